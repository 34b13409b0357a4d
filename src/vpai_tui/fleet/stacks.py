"""The stacks of the laptop's `stacks/<host>/<stack>/`: compose.yaml, stack.yaml and the files a deploy sends."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vpai_tui import config
from vpai_tui.errors import UsageError
from vpai_tui.fleet import sources
from vpai_tui.fleet.adopted import Adopted, AdoptedFile, AdoptedStack, check_names, effective, override
from vpai_tui.fleet.compose import Bind, EnvFile, binds_of, check_compose, env_files_of, services_of, start_order
from vpai_tui.fleet.stackspec import LiveValues, ShippedFile, StackSpec
from vpai_tui.strict import ConfigError, Document, KeyPath, Problem, build, read_yaml

__all__ = [
    "Bind",
    "EnvFile",
    "LiveValues",
    "ShippedFile",
    "Stack",
    "StackSpec",
    "find_service",
    "find_stack",
    "load_stack",
    "load_stacks",
    "schemas",
]

COMPOSE_FILE = "compose.yaml"
SPEC_FILE = "stack.yaml"
EXAMPLE_SUFFIX = ".env.example"


@dataclass(frozen=True, slots=True)
class Stack:
    """One stack as the laptop has it. `services` is in start order: each after what it depends on.

    Of an adopted stack `compose` and `binds` are as they are on its host: with the names and places found there.
    """

    id: str  # host/stack
    host: str
    name: str
    dir: Path
    spec: StackSpec
    compose: Mapping[str, Any]  # as parsed, variables and all, with the sources that stack.yaml gives
    compose_path: Path
    services: tuple[str, ...]
    env_uses: tuple[EnvFile, ...]  # which service reads which env file
    binds: Mapping[str, tuple[Bind, ...]]  # by service
    off: tuple[str, ...] = ()  # services of compose.yaml whose `source` is not given: in none of the above
    adopted: AdoptedStack | None = None
    override: bytes = b""  # the compose file that makes `compose` of compose.yaml; none where nothing is adopted

    @property
    def project(self) -> str:
        return self.adopted.project if self.adopted else self.spec.project or self.name

    @property
    def title(self) -> str:
        return self.spec.title or self.name

    @property
    def env_files(self) -> tuple[str, ...]:
        """The env files on the host, each once: absolute, or relative to the host's root without `./`."""
        return tuple(dict.fromkeys(use.path for use in self.env_uses))

    def image(self, service: str) -> str | None:
        """The image reference of a service as it stands in the file; None where only `build:` is given."""
        image = services_of(self.compose)[service].get("image")
        return image if isinstance(image, str) else None

    def shipped(self) -> tuple[tuple[str, Path, ShippedFile], ...]:
        """Every single file a deploy sends: path below the host's root, where it lies here, and its entry.

        Sorted by path; directories are walked, examples of env files left out. A file named twice (by its directory
        and by itself) counts for the more exact entry.
        """
        files: dict[str, tuple[Path, ShippedFile]] = {}
        for entry in sorted(self.spec.files, key=lambda entry: len(entry.path)):
            for path in _files_below(self.dir / entry.path):
                relative = path.relative_to(self.dir).as_posix()
                if not relative.endswith(EXAMPLE_SUFFIX):
                    files[relative] = (path, entry)
        return tuple((relative, path, entry) for relative, (path, entry) in sorted(files.items()))

    def services_of_file(self, path: str) -> tuple[str, ...]:
        """The services that bind this file (or a directory around it, or a file below it), in start order."""
        return tuple(
            service
            for service in self.services
            if any(bind.source is not None and _touches(bind.source, path) for bind in self.binds[service])
        )

    def env_example(self, path: str) -> Path | None:
        """The example of one of `env_files` on the laptop (`<path>.example` in the stack's folder), if there is one."""
        example = self.dir / f"{path}.example"
        return example if not path.startswith("/") and example.is_file() else None


def _touches(source: str, path: str) -> bool:
    return source in (".", path) or path.startswith(f"{source}/") or source.startswith(f"{path}/")


def _files_below(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders.sort()
        links = [name for name in folders if (Path(folder) / name).is_symlink()]  # not walked into: told, not lost
        for name in sorted([*names, *links]):
            yield Path(folder) / name


# ── loading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def load_stacks(
    stacks_dir: Path, fleet: config.Fleet, adopted: Mapping[str, AdoptedFile] | None = None
) -> tuple[Stack, ...]:
    """All stacks that the fleet names, in its order; `adopted` by host. Raises ConfigError with all problems."""
    stacks: list[Stack] = []
    problems: list[Problem] = []
    for stack_id in fleet.stacks:
        stack, wrong = _read_stack(stacks_dir, stack_id)
        file = (adopted or {}).get(stack_id.partition("/")[0])
        if stack is not None and file is not None and stack.name in file.spec.stacks:
            wrong += check_names(file, stack.name, stack.compose)
            stack = stack if wrong else with_names(stack, file.spec.stacks[stack.name])
        problems += wrong
        if stack is not None:
            stacks.append(stack)
    problems += _shared_names(stacks)
    if problems:
        raise ConfigError(problems)
    return tuple(stacks)


def load_stack(stacks_dir: Path, stack_id: str) -> Stack:
    """The stack `host/name` of `stacks_dir/host/name`. Raises ConfigError with everything that is wrong."""
    stack, problems = _read_stack(stacks_dir, stack_id)
    if stack is None or problems:
        raise ConfigError(problems)
    return stack


def with_names(stack: Stack, adopted: AdoptedStack) -> Stack:
    """`stack` under the names that its host runs it with."""
    compose = effective(stack.compose, adopted)
    binds = {service: binds_of(body) for service, body in services_of(compose).items()}
    laid = override(stack.compose, adopted)
    return replace(stack, compose=compose, binds=binds, adopted=adopted, override=laid)


def _read_stack(stacks_dir: Path, stack_id: str) -> tuple[Stack | None, list[Problem]]:
    host, _, name = stack_id.partition("/")
    folder = stacks_dir / host / name
    if not folder.is_dir():
        return None, [Problem(folder, "", f"no such folder; {stack_id} of fleet.yaml is expected there")]
    spec_document, problems = read_yaml(folder / SPEC_FILE)
    compose_document, unreadable = read_yaml(folder / COMPOSE_FILE)
    unbuilt = spec_document.value is None and bool(problems)
    spec, misshapen = (None, []) if unbuilt else build(StackSpec, spec_document)
    problems += misshapen + unreadable
    if compose_document.value is None and unreadable:
        return None, problems
    project = spec.project if spec and spec.project else name
    problems += check_compose(compose_document, project)
    if spec is None or problems:
        return None, problems
    off = tuple(name for name in sources.off_of(spec.source) if name in services_of(compose_document.value))
    compose = sources.without(sources.with_sources(compose_document.value, spec.source), off)
    services = services_of(compose)
    stack = Stack(
        id=stack_id,
        host=host,
        name=name,
        dir=folder,
        spec=sources.switched_on(spec, off),
        compose=compose,
        compose_path=folder / COMPOSE_FILE,
        services=start_order(services)[0],
        env_uses=tuple(file for service, body in services.items() for file in env_files_of(service, body)),
        binds={service: binds_of(body) for service, body in services.items()},
        off=off,
    )
    wrong = [*sources.problems(compose_document, off)]
    wrong += [*_check_names(stack, spec_document), *_check_hooks(stack, spec_document)]
    wrong += _check_files(stack, spec_document)
    wrong += [*_check_live(stack, spec_document), *_check_unsent(stack, compose_document)]
    wrong += _check_builds(stack, compose_document)
    return (None if wrong else stack), wrong


def _check_names(stack: Stack, document: Document) -> Iterator[Problem]:
    """Services that stack.yaml names and compose.yaml does not have."""
    spec = stack.spec
    named: list[tuple[KeyPath, str | None]] = []
    named += [(("data", index), service) for index, service in enumerate(spec.data)]
    named += [(("one_shots", index), service) for index, service in enumerate(spec.one_shots)]
    named += [(("source", service), service) for service in spec.source]
    named += [(("access", index, "service"), access.service) for index, access in enumerate(spec.access)]
    for when, hooks in (("before", spec.before), ("after", spec.after)):
        named += [((when, index, "service"), hook.service) for index, hook in enumerate(hooks)]
    named += [(("fresh", index, "dump_of"), fresh.dump_of) for index, fresh in enumerate(spec.fresh)]
    for path, service in named:
        known = (*stack.services, *stack.off)
        if service is not None and service not in known:
            yield document.problem(path, f'expected a service of {", ".join(known)}, found "{service}"')


def _check_hooks(stack: Stack, document: Document) -> Iterator[Problem]:
    for when, hooks in (("before", stack.spec.before), ("after", stack.spec.after)):
        for index, hook in enumerate(hooks):
            if hook.container and hook.service is None:
                yield document.problem((when, index, "container"), "expected a service beside it")
            networks = services_of(stack.compose).get(hook.service or "", {}).get("networks") or {}
            fixed = isinstance(networks, dict) and any("ipv4_address" in (how or {}) for how in networks.values())
            if fixed and (hook.container or ("new" if when == "before" else "")) == "new":
                yield document.problem((when, index), f"{hook.service} has a fixed address, which two cannot have")
    for index, fresh in enumerate(stack.spec.fresh):
        if fresh.dump_of in stack.services and fresh.dump_of not in stack.spec.data:
            yield document.problem(("fresh", index, "dump_of"), f"{fresh.dump_of} is not among data")
        if fresh.dump_of and any(other.dump_of == fresh.dump_of for other in stack.spec.fresh[:index]):
            yield document.problem(("fresh", index, "dump_of"), f"{fresh.dump_of} stands here twice")


def _check_files(stack: Stack, document: Document) -> Iterator[Problem]:
    for index, entry in enumerate(stack.spec.files):
        where: KeyPath = ("files", index)
        path = stack.dir / entry.path
        if any(other.path == entry.path for other in stack.spec.files[:index]):
            yield document.problem((*where, "path"), f"{entry.path} stands here twice")
        if not os.path.lexists(path):
            yield document.problem((*where, "path"), f"no such file or folder: {path}")
            continue
        yield from _check_sent(stack, entry, (*where, "path"), document)
        if entry.reload is None:
            continue
        if entry.on_change != "recreate":
            yield document.problem(where, "expected either on_change or reload, found both")
        readers = stack.services_of_file(entry.path)
        if not readers:
            yield document.problem((*where, "reload"), f"no service binds {entry.path}, so none can reload it")
        for service in readers:
            if any(bind.source == entry.path and path.is_file() for bind in stack.binds[service]):
                yield document.problem(
                    (*where, "reload"),
                    f"{service} binds this file by itself and would go on reading the old one; "
                    "expected a bind of its directory, or on_change: restart",
                )


def _check_sent(stack: Stack, entry: ShippedFile, where: KeyPath, document: Document) -> Iterator[Problem]:
    """Each single file below an entry: none from outside, no secret, nothing that is not a plain file."""
    home = stack.dir.resolve()
    if entry.path in (COMPOSE_FILE, SPEC_FILE):
        yield document.problem(where, f"{entry.path} is sent by itself and not installed")
    for path in _files_below(stack.dir / entry.path):
        relative = path.relative_to(stack.dir).as_posix()
        real = Path(os.path.realpath(path))  # pathlib's own raises on links in a circle
        if not real.is_relative_to(home):
            yield document.problem(where, f"{relative} is a link that leads out of {stack.dir}")
        elif not path.is_file():
            yield document.problem(where, f"{relative} is not a plain file")
        elif any(char in relative for char in "\n\r\t\\\"'$`") or not relative.isprintable():
            yield document.problem(where, f"{relative!r} has a character that cannot be sent safely")
        elif path.suffix == ".env" or path.name == ".env":
            yield document.problem(where, f"{relative} is an env file: those stay on the host, with their secrets")


def _check_live(stack: Stack, document: Document) -> Iterator[Problem]:
    shipped = {relative: path for relative, path, _ in stack.shipped()}
    for index, live in enumerate(stack.spec.live):
        if live.file not in shipped:
            yield document.problem(("live", index, "file"), f"{live.file} is not among the files that are sent")
            continue
        content, problems = read_yaml(shipped[live.file])
        yield from problems
        for number, key in enumerate(() if problems else live.keys):
            if not _has_key(content.value, key):
                yield document.problem(("live", index, "keys", number), f"{live.file} has no {key}")


def _has_key(value: object, key: str) -> bool:
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return True


def _check_unsent(stack: Stack, compose: Document) -> Iterator[Problem]:
    """A bind whose source lies in the stack's folder but is not named in `files` would silently not be sent."""
    sent = [entry.path for entry in stack.spec.files]
    for service, binds in stack.binds.items():
        for bind in binds:
            if not bind.relative or bind.source is None or not (stack.dir / bind.source).exists():
                continue
            if not any(_touches(path, bind.source) for path in sent):
                message = (
                    f"{bind.raw} lies in {stack.dir} but is not named in files of {SPEC_FILE}: it would not be sent"
                )
                yield compose.problem(("services", service, "volumes"), message)


def _check_builds(stack: Stack, compose: Document) -> Iterator[Problem]:
    for service, body in services_of(stack.compose).items():
        build_spec = body.get("build")
        context = build_spec.get("context", ".") if isinstance(build_spec, dict) else build_spec
        if not isinstance(context, str) or "$" in context or "://" in context or context.startswith("git@"):
            continue
        folder = Path(os.path.realpath(stack.dir / context))
        where: KeyPath = ("services", service, "build")
        if not folder.is_relative_to(stack.dir.resolve()):
            yield compose.problem(where, f'expected a build context inside {stack.dir}, found "{context}"')
        elif not folder.is_dir():
            yield compose.problem(where, f"no such build context: {stack.dir / context}")


def _shared_names(stacks: Iterable[Stack]) -> Iterator[Problem]:
    """Two stacks of one project on one host own disjoint services; container names are the host's."""
    services: dict[tuple[str, str, str], Stack] = {}
    containers: dict[tuple[str, str], Stack] = {}
    for stack in stacks:
        for service in (*stack.services, *stack.off):
            other = services.setdefault((stack.host, stack.project, service), stack)
            if other is not stack:
                message = f"{other.id} of the same project {stack.project} has a service of this name"
                yield Problem(stack.compose_path, f"services.{service}", message)
            name = services_of(stack.compose).get(service, {}).get("container_name")
            if isinstance(name, str) and containers.setdefault((stack.host, name), stack) is not stack:
                message = f"{containers[stack.host, name].id} has a container of this name"
                yield Problem(stack.compose_path, f"services.{service}.container_name", message)


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def find_stack(stacks: Sequence[Stack], name: str) -> Stack:
    """The stack called `host/stack`, or `stack` alone where only one is. Raises UsageError."""
    fitting = [stack for stack in stacks if name in (stack.id, stack.name)]
    exact = [stack for stack in fitting if stack.id == name]
    if exact or len(fitting) == 1:
        return (exact or fitting)[0]
    raise _no_such("stack", name, [stack.id for stack in fitting], [stack.id for stack in stacks])


def find_service(stacks: Sequence[Stack], name: str) -> tuple[Stack, str]:
    """The service called `host/stack/service`, or by as much of its end as tells it apart. Raises UsageError."""
    everything = [(stack, service) for stack in stacks for service in stack.services]
    ids = {f"{stack.id}/{service}": (stack, service) for stack, service in everything}
    if name in ids:
        return ids[name]
    fitting = [
        full
        for full, (stack, service) in ids.items()
        if full.endswith(f"/{name}") or name in (service, f"{stack.host}/{service}")
    ]
    if len(fitting) == 1:
        return ids[fitting[0]]
    off = next((stack for stack in stacks for it in stack.off if f"/{stack.id}/{it}".endswith(f"/{name}")), None)
    if off is not None and not fitting:
        raise UsageError(
            sources.words([name])[0],
            remedy=f"Name it under source in {off.dir / SPEC_FILE}, then deploy {off.id}.",
        )
    raise _no_such("service", name, fitting, list(ids))


def _no_such(kind: str, name: str, fitting: Sequence[str], known: Sequence[str]) -> UsageError:
    if fitting:
        return UsageError(f'"{name}" may be {" or ".join(fitting)}', remedy=f"Name the {kind} in full.")
    import difflib

    near = difflib.get_close_matches(name, [*known, *(full.rpartition("/")[2] for full in known)], n=1)
    hint = f'Did you mean "{near[0]}"?' if near else f"Known: {', '.join(known)}."
    return UsageError(f'no {kind} "{name}"', remedy=hint)


def schemas() -> dict[str, str]:
    """The JSON Schemas shipped in `config/`, by file name, generated from the types."""
    return {
        "fleet.schema.json": config.json_schema(config.Fleet, "fleet.yaml of vpai-tui"),
        "stack.schema.json": config.json_schema(StackSpec, "stack.yaml of vpai-tui"),
        "adopted.schema.json": config.json_schema(Adopted, "adopted/<host>.yaml of vpai-tui"),
    }
