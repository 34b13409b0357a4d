"""The client on whatever connection the hub has now: made anew after a loss, its key deleted behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from vpai_tui.clock import Clock
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.stacks import Stack
from vpai_tui.remote.connection import Connection
from vpai_tui.vpn.client import Headscale, find_version
from vpai_tui.vpn.dns.document import Document
from vpai_tui.vpn.dns.settings import Settings, settings_of
from vpai_tui.vpn.files import HostFile, read_host_file
from vpai_tui.vpn.hub import Hub, find_hub, whereabouts
from vpai_tui.vpn.model import Whereabouts
from vpai_tui.vpn.transport import OverSsh

Connect = Callable[[str], Awaitable[Connection]]


@dataclass(frozen=True, slots=True)
class Config:
    """Container, settings and config.yaml as they stood at one moment; `document` is what `file` says, read once."""

    hub: Hub
    settings: Settings
    document: Document
    file: HostFile


@dataclass(frozen=True)
class Live:
    """One connection's worth of knowledge."""

    connection: Connection
    client: Headscale
    where: Whereabouts


class Link:
    """Hands out the client; `config` reads Headscale's configuration, which works while the server is down too."""

    def __init__(self, host: str, stack: Stack | None, connect: Connect, clock: Clock, *, read_only: bool):
        self.host = host
        self.stack = stack
        self._connect = connect
        self._clock = clock
        self._read_only = read_only
        self._live: Live | None = None
        self._container = ""
        self._making = asyncio.Lock()

    async def connection(self) -> Connection:
        return await self._connect(self.host)

    async def config(self, hub: Hub | None = None) -> Config:
        """Container (`hub` where it was looked at just now), settings and config.yaml.

        Raises:
            OperatorError: no bind mount shows config.yaml on the host, or it is not there or not readable.
        """
        connection = await self.connection()
        hub = hub or await find_hub(connection, self.stack)
        if hub.config is None:
            raise OperatorError(
                f"{hub.inside} of {hub.name} is no file of the host",
                host=self.host,
                remedy="mount its directory: ./config:/etc/headscale",
            )
        file = await read_host_file(connection, hub.config)
        return Config(hub, *settings_of(file.content), file)

    async def live(self, known: Config | None = None) -> Live:
        """Connection, client and whereabouts, made anew after a loss and (with `known`) for another container."""
        async with self._making:
            connection = await self.connection()
            moved = known is not None and known.hub.container != self._container
            if self._live is None or self._live.connection is not connection or moved:
                await self._end()
                self._live = await self._make(connection, known or await self.config())
            return self._live

    async def _make(self, connection: Connection, config: Config) -> Live:
        if config.settings.tls:
            raise OperatorError(
                "Headscale ends TLS itself; only plain HTTP is carried over SSH",
                host=self.host,
                remedy="let a reverse proxy on the host end it",
            )
        way = OverSsh(connection, config.hub, config.settings.port)
        client = Headscale(way, await find_version(way), self._clock, read_only=self._read_only)
        self._container = config.hub.container
        return Live(connection, client, await whereabouts(connection))

    async def close(self) -> None:
        """Deletes the API key and lets go; the connection is not ours."""
        await self._end()

    async def _end(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            await live.client.close()
