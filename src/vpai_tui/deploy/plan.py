"""A plan: the bundle, the host's facts and the registries' digests, put together; refusals come before anything."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from vpai_tui.clock import Clock
from vpai_tui.deploy.ancestry import judged
from vpai_tui.deploy.bundle import LABELS_FILE, Bundle, ShippedFile, data_of, files_override, read_bundle
from vpai_tui.deploy.checkout import NO_CHECKOUT, Checkout, read_checkout
from vpai_tui.deploy.compare import Comparison, ImageTarget, Wanted, compare, inexact, same_on_host
from vpai_tui.deploy.data import Around, around
from vpai_tui.deploy.envwanted import env_problems, required_keys
from vpai_tui.deploy.facts import HostFacts, LocalImage
from vpai_tui.deploy.holdings import guarded
from vpai_tui.deploy.host import Place, place_of, probe
from vpai_tui.deploy.live import carry_over
from vpai_tui.deploy.steps import Step, steps_for
from vpai_tui.deploy.syntax import broken_programs
from vpai_tui.errors import Interrupted, OperatorError, PreflightRefused
from vpai_tui.fleet import sources
from vpai_tui.fleet.compose import dependencies, services_of
from vpai_tui.fleet.operation import Cause, Effect, Plan, confirm_word
from vpai_tui.fleet.stacks import Stack
from vpai_tui.redact import redact
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.docker import Docker
from vpai_tui.text import last_lines

COMPOSE_FLOOR = (2, 21, 0)
_REGISTRY_TIMEOUT_S = 6.0
_ID_TIME = "%Y%m%dT%H%M%S"
_CLOCK_SLACK = timedelta(minutes=1)  # two deploys within one second are nobody's fault
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan with everything its execution needs."""

    plan: Plan
    place: Place
    bundle: Bundle  # its files carry the host's live values, its compose only the labels that count
    targets: Mapping[str, ImageTarget]
    steps: tuple[Step, ...]
    revert_steps: tuple[Step, ...]
    structure: Mapping[str, Any]
    confirm_timeout_s: int  # 0: no fresh connection is asked for
    health_timeout_s: int = 60
    compose_version: str = ""
    git: Checkout = NO_CHECKOUT
    around: Around = field(default_factory=Around)


def new_release_id(clock: Clock, base: str | None = None) -> str:
    """UTC time and four random digits: names sort by age, behind that of `base` by a laptop whose clock is late too."""
    at = clock.now()
    if (before := _time_of(base)) is not None:
        at = max(at, before + timedelta(seconds=1))
    return f"{at:{_ID_TIME}}-{secrets.token_hex(2)}"


def _time_of(release: str | None) -> datetime | None:
    """When a release was named; None of what was adopted."""
    try:
        return datetime.strptime((release or "").partition("-")[0], _ID_TIME).replace(tzinfo=UTC)
    except ValueError:
        return None


def _clock_notes(clock: Clock, base: str | None) -> list[str]:
    before = _time_of(base)
    if before is None or before - clock.now() < _CLOCK_SLACK:
        return []
    return [f"the clock of this laptop is behind that of release {base}: the new release is named to come after it"]


async def make_plan(
    connection: Connection,
    docker: Docker,
    stack: Stack,
    clock: Clock,
    coming: frozenset[str] = frozenset(),
    beside: Sequence[Stack] = (),
) -> Prepared:
    """What a deploy of `stack` would do now. `coming`: networks that stacks deployed just before it will define;
    `beside`: the stacks of the laptop, this one among them.

    Raises:
        PreflightRefused: host or stack are not fit; all reasons at once.
        Interrupted: an earlier deploy must be settled first.
    """
    git, (prepared, facts) = await asyncio.gather(
        asyncio.to_thread(read_checkout, stack.dir),
        compared_with_host(connection, docker, stack, clock, coming, beside),
    )
    plan = await asyncio.to_thread(judged, prepared.plan, stack.dir, git, facts)
    return replace(prepared, plan=plan, git=git)


async def compared_with_host(
    connection: Connection,
    docker: Docker,
    stack: Stack,
    clock: Clock,
    coming: frozenset[str] = frozenset(),
    beside: Sequence[Stack] = (),
) -> tuple[Prepared, HostFacts]:
    """The same plan without a look at the age of its files, and the facts it stands on. Raises as `make_plan`."""
    bundle = await asyncio.to_thread(_bundle, stack, connection.host.root.rstrip("/"))
    place = place_of(connection, bundle.name, bundle.project)
    facts = await probe(connection, place, "plan", bundle=bundle)
    facts.missing_networks = [name for name in facts.missing_networks if name not in coming]
    check(facts, bundle, connection.name)
    digests = await registry_digests(docker, bundle, facts)
    targets = {service: _target(service, bundle, facts, digests) for service in bundle.services}
    notes = [text for ref, text in sorted(digests.items()) if text and not text.startswith("sha256:")]
    bundle, kept = with_live_values(bundle, facts)
    prepared = assemble(connection, stack, bundle, place, facts, targets, clock, notes=notes, kept=kept)
    plan = await guarded(connection, place, prepared.plan, facts, bundle.services, beside)
    return ordered(prepared, plan, facts), facts


def ordered(prepared: Prepared, plan: Plan, facts: HostFacts) -> Prepared:
    """`prepared` for a plan that knows by now what replaces what."""
    timeout_s = prepared.health_timeout_s
    steps, back = steps_for(plan.changes, facts, prepared.bundle.one_shots, timeout_s, prepared.bundle)
    return replace(prepared, plan=plan, steps=steps, revert_steps=back)


def _bundle(stack: Stack, root: str) -> Bundle:
    return replace(read_bundle(stack, root), env_keys=required_keys(stack, root))


def assemble(
    connection: Connection,
    stack: Stack,
    bundle: Bundle,
    place: Place,
    facts: HostFacts,
    targets: Mapping[str, ImageTarget],
    clock: Clock,
    *,
    notes: Sequence[str] = (),
    dangers: Sequence[Cause] = (),
    kept: Sequence[str] = (),
    rollback_to: str | None = None,
) -> Prepared:
    """Compares; `ordered` gives it the runner's steps. Pure but for the release's random name."""
    spec = stack.spec
    data = frozenset((*spec.data, *bundle.data, *data_of(facts.blobs.get("base.bundle.json"))))
    result = compare(Wanted(bundle, targets, data, frozenset(bundle.one_shots)), facts)
    bundle = _without_labels(bundle, result)
    installs = tuple(item.path for item in bundle.files if not same_on_host(item, facts))
    touched = bool(installs) or any(change.effect is not Effect.NONE for change in result.changes)
    extra = around(spec, bundle, data, facts, targets, touched=touched, rollback=rollback_to is not None)
    dangers = (*dangers, *extra.dangers)
    hub = connection.host.hub
    reconnect = spec.confirm == "reconnect" or (spec.confirm is None and hub)
    plan = Plan(
        stack=stack.id,
        kind="rollback" if rollback_to else "deploy",
        base=facts.current,
        release=new_release_id(clock, facts.current),
        fingerprint=facts.fingerprint,
        changes=tuple(result.changes),
        notes=(
            *notes,
            *sources.words(bundle.off),
            *_notes(facts),
            *inexact(facts),
            *_rerun_notes(stack, facts, result),
            *extra.notes,
            *_clock_notes(clock, facts.current),
        ),
        kept=tuple(kept),
        installs=installs,
        confirm_word=stack.id if dangers else confirm_word(stack.id, data=bool(data), hub=hub),
        rollback_to=rollback_to,
        hold=facts.hold,
        adopts=facts.current is None and bool(facts.containers),
        dangers=dangers,
        before=extra.before,
        after=extra.after,
        dumps=extra.dumps,
        off=bundle.off,
    )
    return Prepared(
        plan,
        place,
        bundle,
        targets,
        (),
        (),
        facts.structure,
        int(spec.confirm_timeout_s) if reconnect else 0,
        int(spec.health_timeout_s),
        compose_version=facts.compose,
        around=extra,
    )


def check(facts: HostFacts, bundle: Bundle, host: str) -> None:
    """Refuses with every reason at once; see `make_plan`."""
    if facts.pending and not facts.busy:
        raise Interrupted(
            f"release {facts.pending} of {bundle.stack} was interrupted",
            host=host,
            remedy=f"vpai-tui resume {bundle.stack}   or   vpai-tui revert {bundle.stack}",
        )
    problems = _stage_problems(facts)
    version = tuple(int(part) for part in re.findall(r"\d+", facts.compose)[:3])
    if facts.compose and version < COMPOSE_FLOOR:
        problems.append(f"Compose {facts.compose} is too old; 2.21 or newer is needed")
    if not facts.errors.keys() - {"structure"} and (
        unknown := [name for name in bundle.services if name not in facts.hashes]
    ):
        problems.append(f"Compose gives no hash of {', '.join(unknown)} (a service with a profile cannot be deployed)")
    problems += [
        f"variable {name} has no value; write it to the .env below the host's root, empty where that is meant"
        for name in sorted(set(facts.unset))
    ]
    problems += env_problems(facts, bundle)
    problems += [
        f"network {name} does not exist; deploy the stack that defines it first" for name in facts.missing_networks
    ]
    problems += [
        f"{path} is a directory on the host, the stack ships a file"
        for path, what in facts.files.items()
        if what == "dir"
    ]
    problems += [
        f"bind source {path} is missing; Docker would make a directory of it"
        for path, what in facts.binds.items()
        if what == "missing" and "." in path.rsplit("/", 1)[-1].lstrip(".")
    ]
    problems += broken_programs(bundle.files)
    if facts.free_kib is not None and facts.free_kib < 65536:
        problems.append(f"only {facts.free_kib} KiB are free on the host")
    if problems:
        raise PreflightRefused(
            f"{bundle.stack} cannot be deployed: {problems[0]}"
            + (f" (and {len(problems) - 1} more)" if problems[1:] else ""),
            host=host,
            step="preflight",
            output=redact("\n".join(problems)),
            remedy="nothing was changed; mend what is listed, then plan again",
        )


def _stage_problems(facts: HostFacts) -> list[str]:
    """What kept the probe from its work, without what only followed from it."""
    tools = [stage.removeprefix("tool ") for stage in facts.errors if stage.startswith("tool ")]
    problems = [f"`{tool}` is not installed on the host" for tool in tools]
    said = {stage: last_lines(text, 2) or "no word why" for stage, text in facts.errors.items()}
    if "docker" in said:
        problems.append(f"Docker does not answer: {said['docker']}")
    elif not facts.compose:
        problems.append("the Compose plugin does not answer: install docker-compose-plugin 2.21 or newer")
    elif not tools and (refusal := said.get("config")):
        problems.append(f"compose refuses the files: {refusal}")
    return problems


async def registry_digests(docker: Docker, bundle: Bundle, facts: HostFacts) -> dict[str, str]:
    """By image reference: the digest its registry gives now, or a sentence why it could not be asked."""
    built = {build.service for build in bundle.builds}
    refs = sorted({ref for service, ref in facts.refs.items() if service in bundle.services and service not in built})

    async def ask(ref: str) -> str:
        if "@sha256:" in ref:
            return ref.rpartition("@")[2]
        try:
            async with asyncio.timeout(_REGISTRY_TIMEOUT_S):
                answer = await docker.call("inspect_distribution", ref)
            digest = str(answer["Descriptor"]["digest"])
            if not DIGEST.fullmatch(digest):
                raise KeyError(digest)
            return digest
        except (TimeoutError, KeyError, TypeError):
            return f"{ref}: its registry did not answer; the host's own copy counts"
        except OperatorError as error:
            return f"{ref}: its registry could not be asked ({error.message}); the host's own copy counts"

    return dict(zip(refs, await asyncio.gather(*(ask(ref) for ref in refs)), strict=True))


def _target(service: str, bundle: Bundle, facts: HostFacts, digests: Mapping[str, str]) -> ImageTarget:
    ref = facts.refs.get(service) or f"{bundle.project}-{service}"
    build = next((item for item in bundle.builds if item.service == service), None)
    if build:
        local = find_image(facts.images, build.tag)
        return ImageTarget(service, ref, local.id if local else None, None, built=True)
    digest = digests.get(ref, "")
    if digest.startswith("sha256:"):
        local = next((image for image in facts.images if digest in map(_bare, image.digests)), None)
        return ImageTarget(service, ref, local.id if local else None, f"{repository(ref)}@{digest}")
    local = find_image(facts.images, ref)
    return ImageTarget(service, ref, local.id if local else None, digest_in(ref, local.digests if local else ()))


def digest_in(ref: str, digests: Sequence[str]) -> str | None:
    """Of an image's `digests` that of the repository of `ref`, to pull by; another repository's may not be there."""
    wanted = _familiar(repository(ref))
    found = (item for item in digests if _familiar(item.partition("@")[0]) == wanted)
    return next((f"{repository(ref)}@{_bare(item)}" for item in found), None)


def _bare(digest: str) -> str:
    return digest.rpartition("@")[2]


def repository(ref: str) -> str:
    """`ref` without tag and digest: `host:5000/name:tag@sha256:…` → `host:5000/name`."""
    bare = ref.split("@", 1)[0]
    head, _, last = bare.rpartition("/")
    name = last.split(":", 1)[0]
    return f"{head}/{name}" if head else name


def find_image(images: Sequence[LocalImage], ref: str) -> LocalImage | None:
    """The host's image a reference names; `docker.io/library/x` and `x` are one."""
    wanted = _familiar(ref)
    return next(
        (image for image in images if wanted in {_familiar(tag) for tag in image.tags} or image.id == ref), None
    )


def _familiar(ref: str) -> str:
    short = ref.removeprefix("docker.io/").removeprefix("library/")
    return short if ":" in short.rsplit("/", 1)[-1] or "@" in short else f"{short}:latest"


def with_live_values(bundle: Bundle, facts: HostFacts) -> tuple[Bundle, tuple[str, ...]]:
    """The bundle with the host's present live values in its files, and which were kept (`file: key`)."""
    files: list[ShippedFile] = []
    kept: list[str] = []
    for item in bundle.files:
        present = facts.lives.get(item.path)
        if present is None or item.content is None or not item.live_keys:
            files.append(item)
            continue
        merged, keys = carry_over(item.content, present, item.live_keys, item.path)
        kept += [f"{item.path}: {key}" for key in keys]
        # byte for byte the host's where only live values differ: nothing is rewritten for its layout
        files.append(item.with_content(present if same_on_host(item, facts) else merged))
    return replace(bundle, files=tuple(files)), tuple(kept)


def _without_labels(bundle: Bundle, result: Comparison) -> Bundle:
    """Services that run since before us, unchanged, stay unlabelled: a label alone would recreate them."""
    labels = {name: value for name, value in bundle.labels.items() if name not in result.unlabelled}
    compose = {name: content for name, content in bundle.compose.items() if name != LABELS_FILE}
    if labels and not bundle.source:
        compose[LABELS_FILE] = files_override(labels)
    return replace(bundle, compose=compose, labels=labels)


def _notes(facts: HostFacts) -> list[str]:
    notes = []
    old, new = facts.base_json(), facts.structure
    for kind, danger in (
        ("networks", "Compose stops everything attached and makes it anew"),
        ("volumes", "data stays, Compose only warns"),
    ):
        before, after = old.get(kind) or {}, new.get(kind) or {}
        for name in sorted({*before, *after}):
            if old and name in before and name in after and before[name] != after[name]:
                notes.append(f"{kind[:-1]} {name} changes its definition: {danger}")
    if "structure" in facts.errors:  # as with `${DIR:-./x}:/x`, a good file; the structure only names what changes
        why = redact(last_lines(facts.errors["structure"], 1))
        notes.append(f"what changes inside a service is not named: Compose cannot show these files raw ({why})")
    if facts.compose.startswith("5.2."):
        notes.append(f"Compose {facts.compose} recreates services that share a network at every deploy; 5.3 mends it")
    if facts.busy:
        notes.append(f"another deploy runs on this host: {facts.owner}")
    return notes


def _rerun_notes(stack: Stack, facts: HostFacts, result: Comparison) -> list[str]:
    """Compose before 2.29.3 is not given --no-deps (docker/compose#12069): it runs again what a service waits for."""
    version = tuple(int(part) for part in re.findall(r"\d+", facts.compose)[:3])
    if version >= (2, 29, 3):
        return []
    services = services_of(stack.compose)
    up = [change.service for change in result.changes if change.effect in (Effect.CREATE, Effect.RECREATE)]
    again = {wanted for name in up if name in services for wanted in dependencies(services[name])}
    ran = {item.service for item in facts.containers}
    return [
        f"{name} runs once more: Compose {facts.compose} does so with every service that waits for it; 2.29.3 mends it"
        for name in stack.spec.one_shots
        if name in again and name in ran and name not in up
    ]
