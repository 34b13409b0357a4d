"""The reverse proxy of each simulated host: TLS at port 443 of its addresses, and whoever is behind a name.

A public name leads to its service's host without the VPN, as public DNS would have it.
"""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
from anyio.streams.tls import TLSStream

from vpai_tui.demo import yaml_text
from vpai_tui.demo.broken import broken
from vpai_tui.demo.engine.life import life
from vpai_tui.demo.engine.store import Doc, Engine
from vpai_tui.demo.servers import Handler

PORT = 443
DAYS = 61  # that a certificate holds, from the start of the demo
DAYS_LEFT = 2  # where nothing renews it
_HUB = "singa"


class Edge:
    """The proxies of all hosts and the authority that signs for them; `trust` is how their certificates are checked.

    `homes`: the folder of each host's engine by its addresses.
    """

    def __init__(self, homes: Mapping[str, Path], stacks: Path, domain: str, now: datetime.datetime) -> None:
        self._homes = dict(homes)
        self._stacks = stacks
        self._domain = domain
        self._made: tuple[ssl.SSLContext, ssl.SSLContext] | None = None
        self._ending: tuple[ssl.SSLContext, ssl.SSLContext] | None = None
        self._now = now

    @property
    def trust(self) -> ssl.SSLContext:
        return self._contexts()[1]

    def listener(self, host: str, port: int) -> Handler | None:
        """Who answers at this address; None: nobody, as where no proxy runs."""
        home = (self._homes.get(host) or self._home_of(host)) if port == PORT else None
        if home is None or not self._has_proxy(home):
            return None
        return lambda reader, writer: self._serve(Engine(home), home.name, reader, writer)

    def _home_of(self, name: str) -> Path | None:
        """Where a public name leads."""
        for home in self._homes.values():
            if any(self._is(access, name) and access.get("reach") == "public" for access in self._accesses(home.name)):
                return home
        return None

    def _has_proxy(self, home: Path) -> bool:
        """A container; where no stack has one it is a unit of the machine itself."""
        files = (self._stacks / home.name).glob("*/compose.yaml")
        shipped = any("\n  caddy:" in path.read_text() for path in files)
        return not shipped or _running(Engine(home), "caddy") is not None

    def _accesses(self, host: str) -> Iterator[Doc]:
        for path in sorted((self._stacks / host).glob("*/stack.yaml")):
            yield from (yaml_text.load(path.read_text()) or {}).get("access", ())

    def _is(self, access: Doc, name: str) -> bool:
        return bool(access.get("subdomain")) and f"{access['subdomain']}.{self._domain}" == name

    def _contexts(self) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        """For the servers, for who checks them; made when they are asked for."""
        if self._is_broken("certificates"):
            self._ending = self._ending or self._certified(DAYS_LEFT)
            return self._ending
        self._made = self._made or self._certified(DAYS)
        return self._made

    def _certified(self, days: int) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        from vpai_tui.demo.certificates import contexts  # slow, and not needed for the first frame

        return contexts(self._domain, self._now, days)

    def _is_broken(self, check: str) -> bool:
        return broken(self._stacks.parents[1], check)

    async def _serve(self, engine: Engine, host: str, reader: Any, writer: Any) -> None:
        context = await asyncio.to_thread(lambda: self._contexts()[0])
        try:
            async with await TLSStream.wrap(_Wire(reader, writer), server_side=True, ssl_context=context) as stream:
                wanted = _host_of(await stream.receive())
                status, said = await asyncio.to_thread(self._answer, engine, host, wanted)
                head = f"HTTP/1.1 {status} {_WORDS[status]}\r\nContent-Length: {len(said)}\r\nConnection: close\r\n\r\n"
                await stream.send(head.encode() + said)
        except (OSError, ssl.SSLError, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # the other side has gone, or does not trust us
        writer.close()

    def _answer(self, engine: Engine, host: str, name: str) -> tuple[int, bytes]:
        """What the proxy says for a name: of the service behind it, 502 where that does not run, 404 for no name."""
        for access in self._accesses(host):
            if self._is(access, name):
                if access["subdomain"] == _HUB and self._is_broken("control-plane"):
                    return 502, b""
                runs = _running(engine, access["service"]) is not None
                return (200, b"hello from the demo\n") if runs else (502, b"")
        return 404, b""


_WORDS = {200: "OK", 404: "Not Found", 502: "Bad Gateway"}


def _running(engine: Engine, service: str) -> Doc | None:
    now = engine.now()
    everyone: dict[str, Doc] = engine.read()["containers"]
    return next(
        (
            it
            for it in everyone.values()
            if it["labels"].get("com.docker.compose.service") == service and life(it, now).status == "running"
        ),
        None,
    )


def _host_of(request: bytes) -> str:
    lines = request.decode("latin-1").split("\r\n")
    found = (line.partition(":")[2] for line in lines[1:] if line.lower().startswith("host:"))
    return next(found, "").strip().partition(":")[0]


class _Wire(anyio.abc.ByteStream):
    """A forwarded connection as anyio's TLS wants it."""

    def __init__(self, reader: Any, writer: Any) -> None:
        self._reader, self._writer = reader, writer

    async def receive(self, max_bytes: int = 65536) -> bytes:
        data: bytes = await self._reader.read(max_bytes)
        if not data:
            raise anyio.EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        self._writer.write(item)
        await self._writer.drain()

    async def send_eof(self) -> None:
        """Never asked for: TLS says by itself that it ends."""

    async def aclose(self) -> None:
        self._writer.close()
