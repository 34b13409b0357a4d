"""`source` of stack.yaml: services whose image, or what it is built from, is the operator's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
import yaml

from vpai_tui.fleet.compose import dependencies, services_of
from vpai_tui.fleet.stackspec import StackSpec
from vpai_tui.strict import Document, Problem

_PROFILE = "source-not-given"  # nobody asks for a profile of this name: Compose leaves the service alone


def without(compose: Mapping[str, Any], off: tuple[str, ...]) -> dict[str, Any]:
    """A parsed compose file without the services that are off."""
    services = {name: body for name, body in compose["services"].items() if name not in off}
    return {**compose, "services": services}


def off_of(source: Mapping[str, str | None]) -> tuple[str, ...]:
    """The services whose source has not been given."""
    return tuple(name for name, given in source.items() if given is None)


def switched_on(spec: StackSpec, off: tuple[str, ...]) -> StackSpec:
    """`spec` without what it says of services that are off: nothing is run in them, and they hold no data."""
    if not off:
        return spec
    return msgspec.structs.replace(
        spec,
        data=tuple(name for name in spec.data if name not in off),
        one_shots=tuple(name for name in spec.one_shots if name not in off),
        before=tuple(hook for hook in spec.before if hook.service not in off),
        after=tuple(hook for hook in spec.after if hook.service not in off),
        fresh=tuple(item for item in spec.fresh if item.dump_of not in off),
    )


def words(off: Iterable[str]) -> list[str]:
    """What the operator is told of them."""
    return [f"{name} is off: its image or what it is built from is your own, and stack.yaml gives none" for name in off]


def with_sources(compose: Mapping[str, Any], source: Mapping[str, str | None]) -> dict[str, Any]:
    """A parsed compose file with the given sources in the places of those that stand in it."""
    services = dict(compose["services"])
    for name, given in source.items():
        if given is not None and name in services:
            services[name] = _given(services[name], _body(given))
    return {**compose, "services": services}


def override(source: Mapping[str, str | None]) -> bytes:
    """The compose file that says the same to the host's Compose; empty where there is nothing to say."""
    if not source:
        return b""
    bodies = {name: {"profiles": [_PROFILE]} if given is None else _body(given) for name, given in source.items()}
    return yaml.safe_dump({"services": bodies}, sort_keys=True).encode()


def problems(compose: Document, off: tuple[str, ...]) -> Iterator[Problem]:
    """Services that wait for one that is off: they could never start."""
    for name, body in services_of(compose.value).items():
        for wanted in dependencies(body):
            if wanted in off and name not in off:
                message = f"{wanted} is off, for its source is not given in stack.yaml: {name} could never start"
                yield compose.problem(("services", name, "depends_on"), message)


def _given(service: Mapping[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """What stands in the file beside the context stays: its arguments, its Dockerfile. An image is not built."""
    build = service.get("build")
    if "image" in body:
        return {**{key: value for key, value in service.items() if key != "build"}, **body}
    return {**service, "build": {**(build if isinstance(build, dict) else {}), **body["build"]}}


def _body(given: str) -> dict[str, Any]:
    """An image reference, or a context to build from: a path begins with a dot or a slash, an address has a scheme."""
    built = given.startswith((".", "/", "git@")) or "://" in given
    return {"build": {"context": given}} if built else {"image": given}
