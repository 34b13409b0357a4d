"""Bits onto the host, attached and abortable: pulled by digest, or built there. Nothing that runs changes."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from vpai_tui.clock import Clock, rfc3339
from vpai_tui.deploy.builds import Build
from vpai_tui.deploy.compare import ImageTarget
from vpai_tui.deploy.plan import DIGEST, Prepared, digest_in
from vpai_tui.errors import CommandFailed, LinkLost, OperatorError, PreflightRefused
from vpai_tui.fleet.operation import BuildLine, Event, ImageBuilt, ImagePulled, LayerPulled
from vpai_tui.redact import redact
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.docker import Docker
from vpai_tui.text import clean_line

_DONE = ("Pull complete", "Already exists")


class Images:
    """Fetches what a plan's services need; `targets` has every image's id afterwards."""

    def __init__(self, connection: Connection, docker: Docker, prepared: Prepared, clock: Clock) -> None:
        self.targets: dict[str, ImageTarget] = dict(prepared.targets)
        self._connection = connection
        self._docker = docker
        self._prepared = prepared
        self._clock = clock

    async def fetch(self) -> AsyncIterator[Event]:
        """Pulls and builds what is missing.

        Raises:
            PreflightRefused: an image cannot be had, or a build failed.
        """
        builds = {build.service: build for build in self._prepared.bundle.builds}
        digests: dict[str, str] = {}
        for service, target in self.targets.items():
            if target.id is not None:
                continue
            if service in builds:
                async for event in self._build(builds[service]):
                    yield event
                self.targets[service] = replace(target, id=await self._id(builds[service].tag))
                continue
            wanted = target.digest or target.ref
            if wanted not in digests:
                async for event in self._pull(target.ref, wanted):
                    yield event
                digests[wanted] = await self._id(wanted)
            self.targets[service] = replace(
                target, id=digests[wanted], digest=target.digest or await self._digest(wanted)
            )

    async def _pull(self, ref: str, wanted: str) -> AsyncIterator[Event]:
        try:
            async for row in self._docker.iterate("pull", wanted, stream=True, decode=True):
                if event := self._layer(ref, row):
                    yield event
        except LinkLost:
            raise
        except OperatorError as error:
            await self._pull_by_host(ref, wanted, error)
        yield ImagePulled(self._now(), ref, wanted.rpartition("@")[2])

    async def _pull_by_host(self, ref: str, wanted: str, why: OperatorError) -> None:
        """The host may know a login for the registry that the Engine API is not given; without bars, then."""
        argv = [*self._connection.host.docker.split(), "pull", "-q", wanted]
        try:
            await self._connection.run(argv, root=True, timeout_s=900)
        except CommandFailed as error:
            raise PreflightRefused(
                f"image {ref} cannot be had: {why.message}",
                host=self._connection.name,
                step="pull",
                output=error.output,
                remedy="nothing was changed; check the reference and the registry, then plan again",
            ) from error

    def _layer(self, ref: str, row: Any) -> LayerPulled | None:
        if not isinstance(row, Mapping):
            return None
        if row.get("error"):
            raise OperatorError(clean_line(str(row["error"])), host=self._connection.name, step="pull")
        status, detail = clean_line(str(row.get("status", ""))), row.get("progressDetail")
        detail = detail if isinstance(detail, Mapping) else {}
        if not row.get("id") or status.startswith("Pulling from"):
            return None
        current, total = detail.get("current"), detail.get("total")
        return LayerPulled(
            self._now(),
            ref,
            clean_line(str(row["id"])),
            status,
            current if isinstance(current, int) else None,
            total if isinstance(total, int) else None,
            done=status in _DONE,
        )

    async def _build(self, build: Build) -> AsyncIterator[Event]:
        options: dict[str, Any] = {
            "tag": build.tag,
            "dockerfile": build.dockerfile,
            "buildargs": dict(build.args),
            "rm": True,
            "forcerm": True,
            "decode": True,
            "target": build.target or None,
        }
        source: dict[str, Any] = (
            {"path": build.remote} if build.remote else {"fileobj": io.BytesIO(build.context), "custom_context": True}
        )
        last = ""
        try:
            async for row in self._docker.iterate("build", **source, **options):
                text = clean_line(str(row.get("stream") or row.get("error") or "")) if isinstance(row, Mapping) else ""
                if isinstance(row, Mapping) and row.get("error"):
                    raise self._unbuilt(build, text, last, "mend the Dockerfile")
                if text:
                    last = text
                    yield BuildLine(self._now(), build.service, redact(text))
        except (LinkLost, PreflightRefused):
            raise
        except OperatorError as error:  # of the engine itself: it has no git, or cannot reach the address
            needs_git = '"git"' in error.message and "not found" in error.message
            raise self._unbuilt(
                build, error.message, last, "install git on the host" if needs_git else "look at what is built from"
            ) from error
        yield ImageBuilt(self._now(), build.service, build.tag)

    def _unbuilt(self, build: Build, why: str, last: str, remedy: str) -> PreflightRefused:
        return PreflightRefused(
            f"the image of {build.service} cannot be built: {redact(why)}",
            host=self._connection.name,
            step="build",
            output=redact(last),
            remedy=f"nothing was changed; {remedy}, then plan again",
        )

    async def _id(self, ref: str) -> str:
        answer = await self._docker.call("inspect_image", ref)
        found = answer.get("Id") if isinstance(answer, Mapping) else None
        if not isinstance(found, str) or not DIGEST.fullmatch(found):
            raise PreflightRefused(f"the engine tells no id of {ref}", host=self._connection.name, step="pull")
        return found

    async def _digest(self, ref: str) -> str | None:
        answer = await self._docker.call("inspect_image", ref)
        found = answer.get("RepoDigests") if isinstance(answer, Mapping) else None
        told = [item for item in found if isinstance(item, str)] if isinstance(found, list) else []
        return digest_in(ref, [item for item in told if DIGEST.fullmatch(item.rpartition("@")[2])])

    def _now(self) -> str:
        return rfc3339(self._clock.now())
