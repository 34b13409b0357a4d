"""Images made for another kind of machine: told before anything changes, not by a service that never comes up."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from vpai_tui.deploy.compare import ImageTarget
from vpai_tui.deploy.plan import Prepared
from vpai_tui.errors import PreflightRefused
from vpai_tui.fleet.operation import Effect
from vpai_tui.remote.docker import Docker
from vpai_tui.text import clean_line

# A 64-bit kernel runs its 32-bit predecessor's programs.
_ALSO = {"amd64": {"386"}, "arm64": {"arm"}}
_LEFT = (Effect.NONE, Effect.REMOVE)


async def check(docker: Docker, prepared: Prepared, targets: Mapping[str, ImageTarget]) -> None:
    """Looks at the images of all services that start. A service with a `platform:` of its own is let be: its host
    emulates that one.

    Raises:
        PreflightRefused: some are for another architecture than the engine's; all of them are named.
    """
    chosen = _with_platform(prepared.structure)
    starting = [it.service for it in prepared.plan.changes if it.effect not in _LEFT and it.service not in chosen]
    ids = sorted({found.id for name in starting if (found := targets.get(name)) and found.id})
    host, *images = await asyncio.gather(_of_engine(docker), *(_of_image(docker, it) for it in ids))
    made_for = dict(zip(ids, images, strict=True))
    wrong = [
        f"{targets[name].ref} of {name} is made for {made}"
        for name in starting
        if name in targets and (made := made_for.get(targets[name].id or "")) and not _runs(host, made)
    ]
    if wrong:
        raise PreflightRefused(
            f"the host is {host}, and {wrong[0]}" + (f" (and {len(wrong) - 1} more)" if wrong[1:] else ""),
            host=prepared.plan.stack.partition("/")[0],
            step="images",
            output="\n".join(wrong),
            remedy=f"nothing was changed; take an image for {host}, or say `platform:` where the host emulates it",
        )


def _with_platform(structure: Mapping[str, Any]) -> set[str]:
    services = structure.get("services")
    known = services.items() if isinstance(services, Mapping) else ()
    return {name for name, it in known if isinstance(it, Mapping) and it.get("platform")}


def _runs(host: str, made: str) -> bool:
    return not host or made == host or made in _ALSO.get(host, ())


async def _of_engine(docker: Docker) -> str:
    return _told(await docker.call("version"), "Arch")


async def _of_image(docker: Docker, image: str) -> str:
    return _told(await docker.call("inspect_image", image), "Architecture")


def _told(answer: object, key: str) -> str:
    """Empty where the engine does not tell: then nobody knows better than who wrote the file."""
    found = answer.get(key) if isinstance(answer, Mapping) else None
    return clean_line(found) if isinstance(found, str) else ""
