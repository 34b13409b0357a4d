"""Pure: a bundle against a host's facts → what happens to each service, and why."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from vpai_tui.deploy.bundle import FILES_LABEL, Bundle, ShippedFile
from vpai_tui.deploy.facts import HostFacts, RunningContainer, tsv
from vpai_tui.deploy.live import without_live_keys
from vpai_tui.fleet.operation import Cause, Change, Effect
from vpai_tui.redact import redact
from vpai_tui.text import clean

_DEFAULT_GRACE_S = 10.0
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class ImageTarget:
    """The bits a service shall run. `id` None: not on the host yet, to be pulled by `digest` or built as `ref`."""

    service: str
    ref: str
    id: str | None
    digest: str | None  # repo@sha256:…
    built: bool = False


@dataclass(slots=True)
class Comparison:
    """The outcome: changes in start-up order, removed ones first, and what must not be labelled."""

    changes: list[Change] = field(default_factory=list)
    unlabelled: set[str] = field(default_factory=set)  # run since before us, and their files are the same


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the plan wants: the bundle (with the host's live values in its files) and the images."""

    bundle: Bundle
    targets: Mapping[str, ImageTarget]
    data: frozenset[str]
    one_shots: frozenset[str]


def compare(wanted: Wanted, facts: HostFacts) -> Comparison:
    """Every service of the stack, and every one the base release had and this one has not."""
    result = Comparison()
    running = _running(facts)
    labels = wanted.bundle.labels
    for service in _gone(wanted.bundle, facts):
        off = service in wanted.bundle.off
        cause = Cause("gone", "its source is taken away" if off else "no longer in the stack's compose.yaml")
        result.changes.append(Change(service, Effect.REMOVE, (cause,), has_data=service in wanted.data))
    effects: dict[str, Effect] = {}
    for service in wanted.bundle.services:
        container = running.get(service)
        if container and _runs_since_before_us(service, container, labels, wanted, facts):
            result.unlabelled.add(service)
        effect, causes = _judge(service, container, wanted, facts, plain=service in result.unlabelled)
        parent = facts.netns.get(service)
        if effect is Effect.NONE and parent and effects.get(parent) in (Effect.CREATE, Effect.RECREATE):
            effect, causes = Effect.RECREATE, [Cause("network", f"shares the network of {parent}, which is replaced")]
        effects[service] = effect
        result.changes.append(_change(service, effect, causes, container, wanted, facts))
    return result


def _running(facts: HostFacts) -> dict[str, RunningContainer]:
    """One container per service; a half-made one of a dead Compose never wins."""
    real = [item for item in facts.containers if not re.match(r"[0-9a-f]{12}_", item.name)]
    return {item.service: item for item in real}


def inexact(facts: HostFacts) -> list[str]:
    """Notes on services that run since before us and whose files on the host give another configuration by now."""
    return [
        f"the way back to what runs is not exact for {service}: its compose file was changed after it was started"
        for service, container in sorted(_running(facts).items())
        if facts.was_hashes.get(service, container.config_hash) != container.config_hash
        and _release(container.compose_version) == _release(facts.compose)
    ]


def _gone(bundle: Bundle, facts: HostFacts) -> list[str]:
    base = clean(facts.blobs.get("base.services", b"")).split()
    running = _running(facts)
    return [service for service in base if service not in bundle.services and service in running]


def _runs_since_before_us(
    service: str, container: RunningContainer, labels: Mapping[str, str], wanted: Wanted, facts: HostFacts
) -> bool:
    """Made without our label, from the same configuration and the same files: nothing to recreate for."""
    if service not in labels or container.files_label:
        return False
    return facts.plain_hashes.get(service) == container.config_hash and not _differing(service, wanted, facts, None)


def _judge(
    service: str, container: RunningContainer | None, wanted: Wanted, facts: HostFacts, *, plain: bool
) -> tuple[Effect, list[Cause]]:
    target = wanted.targets.get(service)
    if container is None:
        return Effect.CREATE, [Cause("new", "does not run yet")]
    causes = []
    if target and (cause := _image_cause(container, target, facts)):
        causes.append(cause)
    desired = (facts.plain_hashes if plain else facts.hashes).get(service)
    if desired and desired != container.config_hash:
        causes += _config_causes(service, container, wanted, facts)
    if causes:
        return Effect.RECREATE, causes
    if container.state not in ("running", "restarting") and service not in wanted.one_shots:
        return Effect.RESTART, [Cause("state", f"its container is {container.state}: it is started")]
    return _file_effect(service, wanted, facts)


def _image_cause(container: RunningContainer, target: ImageTarget, facts: HostFacts) -> Cause | None:
    if target.id is not None and target.id == container.image_id:
        return None
    before = f"{_short(container.image_id)}"
    if target.built and target.id is None:
        return Cause("build", f"built on the host as {target.ref}")
    after = (
        _short(target.id) if target.id else f"digest {_short((target.digest or '').rpartition('@')[2])}, to be pulled"
    )
    return Cause("image", f"{target.ref}: {before} → {after}")


def _config_causes(service: str, container: RunningContainer, wanted: Wanted, facts: HostFacts) -> list[Cause]:
    causes = []
    new = _service(facts.structure, service)
    old = _service(facts.base_json(), service)
    if old and new and _without_label(old) != _without_label(new):
        keys = sorted(key for key in {*old, *new} if key != "labels" and old.get(key) != new.get(key)) or ["labels"]
        causes.append(Cause("config", ", ".join(keys), _text(old), _text(new)))
    for path in wanted.bundle.env_of.get(service, ()):
        for sign, key in facts.env_keys.get(path, []):
            causes.append(Cause("env", f"{sign} {key} in {path}"))
    changed = [path for path in wanted.bundle.files_of.get(service, ()) if _policy(path, wanted) == "recreate"]
    if container.files_label != wanted.bundle.labels.get(service, "") and changed:
        paths = _differing(service, wanted, facts, "recreate") or changed
        causes.append(Cause("files", ", ".join(paths)))
    if not causes and facts.compose and _release(container.compose_version) != _release(facts.compose):
        causes.append(
            Cause("compose_upgrade", f"compose {container.compose_version} → {facts.compose} reads it differently")
        )
    return causes or [Cause("config", "its configuration differs from what runs", _text(old), _text(new))]


def _release(version: str) -> str:
    """`2.26.1` of `v2.26.1-4`: a container's label does not name the distribution's build, the command does."""
    return version.removeprefix("v").partition("-")[0].partition("+")[0]


def _file_effect(service: str, wanted: Wanted, facts: HostFacts) -> tuple[Effect, list[Cause]]:
    """Files whose change needs less than a new container, or that were edited on the host."""
    reload = _differing(service, wanted, facts, "reload")
    restart = [*_differing(service, wanted, facts, "restart"), *_differing(service, wanted, facts, "recreate")]
    if restart:
        return Effect.RESTART, [Cause("files", ", ".join(restart))]
    if reload:
        return Effect.RELOAD, [Cause("files", ", ".join(reload))]
    return Effect.NONE, []


def _policy(path: str, wanted: Wanted) -> str:
    return next(item.on_change for item in wanted.bundle.files if item.path == path)


def _differing(service: str, wanted: Wanted, facts: HostFacts, policy: str | None) -> list[str]:
    """Shipped files the service mounts whose content on the host is another one (live values do not count)."""
    mounted = set(wanted.bundle.files_of.get(service, ()))
    found = []
    for item in wanted.bundle.files:
        counts = item.path in mounted and item.on_change != "none" and policy in (None, item.on_change)
        if counts and not same_on_host(item, facts):
            found.append(item.path)
    return found


def same_on_host(item: ShippedFile, facts: HostFacts) -> bool:
    """Whether the host's file is this one; of a live file everything but the live values counts."""
    if facts.files.get(item.path) == item.sha256:
        return True
    present = facts.lives.get(item.path)
    return (
        present is not None and hashlib.sha256(without_live_keys(present, item.live_keys)).hexdigest() == item.identity
    )


def _change(
    service: str,
    effect: Effect,
    causes: list[Cause],
    container: RunningContainer | None,
    wanted: Wanted,
    facts: HostFacts,
) -> Change:
    before = {row[0]: row[1] for row in tsv(facts.blobs.get("base.images.lock", b"")) if len(row) > 1}
    target = wanted.targets.get(service)
    return Change(
        service,
        effect,
        tuple(causes),
        image=target.ref if target else "",
        image_before=before.get(service, ""),
        interruption_s=interruption(_service(facts.structure, service), effect) if container else None,
        has_data=service in wanted.data,
    )


def interruption_of(facts: HostFacts, service: str, old: str) -> float | None:
    """As `interruption`, where a service takes the place of one that the base release calls `old`."""
    return interruption(_service(facts.structure, service), Effect.RECREATE, _service(facts.base_json(), old))


def interruption(service: Mapping[str, Any], effect: Effect, stopped: Mapping[str, Any] | None = None) -> float | None:
    """An upper bound: the grace the old container has to stop, then one interval of the new one's healthcheck."""
    if effect not in (Effect.RECREATE, Effect.RESTART):
        return None
    grace = seconds((service if stopped is None else stopped).get("stop_grace_period")) or _DEFAULT_GRACE_S
    check = service.get("healthcheck")
    check = check if isinstance(check, dict) else {}
    return grace + (seconds(check.get("start_interval") or check.get("interval")) or 1.0)


def seconds(text: object) -> float | None:
    """A Compose duration (`1m30s`) in seconds; None when there is none."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", str(text or ""))
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts) if parts else None


def _service(structure: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = (structure.get("services") or {}).get(name)
    return dict(found) if isinstance(found, dict) else {}


def _without_label(service: Mapping[str, Any]) -> dict[str, Any]:
    raw = service.get("labels") or {}
    if isinstance(raw, list):
        raw = dict(str(item).partition("=")[::2] for item in raw)
    raw = raw if isinstance(raw, dict) else {}
    labels = {key: value for key, value in raw.items() if key != FILES_LABEL}
    return {**{key: value for key, value in service.items() if key != "labels"}, "labels": labels}


def _text(service: Mapping[str, Any]) -> str:
    if not service:
        return ""
    return redact(clean(yaml.safe_dump(_without_label(service), sort_keys=True, allow_unicode=True)))


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12] or "?"
