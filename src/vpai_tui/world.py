"""What a command works in: a real fleet from `fleet.yaml`, or the demo; connections made as they are asked for."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vpai_tui import config
from vpai_tui.clock import Clock, SystemClock
from vpai_tui.errors import UsageError
from vpai_tui.fleet.history import History

if TYPE_CHECKING:
    import ssl

    from vpai_tui.budget.session import Budget
    from vpai_tui.demo import DemoFleet
    from vpai_tui.deploy.adopt import Adopter
    from vpai_tui.deploy.deployer import Deployer
    from vpai_tui.deploy.envkeeper import EnvKeeper
    from vpai_tui.fleet.endpoints import Questioner
    from vpai_tui.fleet.forward import Forwards
    from vpai_tui.fleet.shell import Shells
    from vpai_tui.fleet.stacks import Stack
    from vpai_tui.fleet.trend import Trends
    from vpai_tui.fleet.watch import FleetWatch
    from vpai_tui.logs.session import Logs
    from vpai_tui.ondemand.session import Studio
    from vpai_tui.remote.command_log import CommandLog
    from vpai_tui.remote.connection import Connection
    from vpai_tui.remote.docker import Docker
    from vpai_tui.remote.prompts import Prompts
    from vpai_tui.upkeep.laptop import Laptop
    from vpai_tui.upkeep.surface import Surface as Upkeep
    from vpai_tui.vpn.session import Vpn


@dataclass(slots=True)
class World:
    """Fleet, stacks, clock, journal; and the connections of a command, one per host, closed at the end."""

    fleet: config.Fleet
    stacks: tuple[Stack, ...]
    clock: Clock
    history: History
    config_path: Path
    own_fleet: config.Fleet | None = None  # as fleet.yaml has it: without the roots of adopted hosts
    demo: DemoFleet | None = None
    prompts: Prompts | None = None
    log: CommandLog | None = None
    _connections: dict[str, Connection] = field(default_factory=dict)
    _dockers: dict[str, Docker] = field(default_factory=dict)

    async def connection(self, host: str) -> Connection:
        """The connection to `host`, made at the first call."""
        known = self._connections.get(host)
        if known is None or known.closed:
            if stale := self._dockers.pop(host, None):
                await stale.close()
            known = self._connections[host] = await self.fresh(host)
        return known

    async def fresh(self, host: str) -> Connection:
        """A new connection to `host`; the caller closes it."""
        from vpai_tui.remote.connection import connect

        if host not in self.fleet.hosts:
            raise UsageError(f'no host "{host}"', remedy=f"known: {', '.join(self.fleet.hosts)}")
        return await connect(host, self.fleet.hosts[host], prompts=self.prompts, log=self.log)

    def docker(self, connection: Connection) -> Docker:
        """The engine's client of a connection of this world."""
        from vpai_tui.remote.docker import Docker

        if connection.name not in self._dockers:
            self._dockers[connection.name] = Docker(connection)
        return self._dockers[connection.name]

    def deployer(self, watch: FleetWatch | None = None) -> Deployer:
        """Plans and deploys over this world's connections, or over those that `watch` keeps."""
        from vpai_tui.deploy.deployer import Deployer

        if watch is None:
            return Deployer(self.stacks, self.connection, self.fresh, self.docker, self.clock, self.history)
        from vpai_tui.deploy.apply import RECONNECT_WITHIN_S

        async def live(host: str) -> Connection:
            return watch.connection(host)

        return Deployer(
            self.stacks,
            live,
            self.fresh,
            lambda connection: watch.docker(connection.name),
            self.clock,
            self.history,
            again=lambda host: watch.connected(host, RECONNECT_WITHIN_S),
        )

    def studio(
        self, watch: FleetWatch, lifter: Callable[[], Deployer] | None = None, *, read_only: bool = False
    ) -> Studio:
        """The stacks on demand, over what `watch` keeps; `lifter` hands out the deployer that starts and stops them."""
        from vpai_tui.ondemand.session import Studio, Surface

        async def live(host: str) -> Connection:
            return watch.connection(host)

        return Studio(
            Surface(
                fleet=self.fleet,
                stacks=self.stacks,
                snapshot=watch.snapshot,
                connection=live,
                docker=watch.docker,
                lifter=lifter or cache(lambda: self.deployer(watch)),
                clock=self.clock,
                history=self.history,
                read_only=read_only,
            )
        )

    def adopter(self) -> Adopter:
        """Takes hosts over; it sees fleet and stacks as their files have them."""
        from vpai_tui.deploy.adopt import Adopter
        from vpai_tui.fleet.stacks import load_stacks

        fleet = self.own_fleet or self.fleet
        stacks = load_stacks(config.find_stacks_dir(self.config_path), fleet)
        connect = lambda host: lambda: self.fresh(host)  # noqa: E731
        return Adopter(fleet, stacks, self.config_path, self.clock, self.history, connect)

    def reread(self) -> None:
        """Take fleet and stacks from their files again, after a host was adopted.

        Raises:
            UsageError: a file is wrong.
        """
        self.fleet, self.stacks = read_fleet(self.own_fleet or self.fleet, self.config_path)
        for name, connection in self._connections.items():
            connection.host = self.fleet.hosts[name]

    @property
    def laptop(self) -> Path:
        """Where this world keeps the laptop's own state."""
        return self.history.path.parent

    def addresses(self) -> dict[str, tuple[str, ...]]:
        """The fleet's hosts and their addresses as the operator wrote them: the demo's own are all on loopback."""
        fleet = self.fleet if self.demo is None else config.load_fleet(self.config_path)
        return {name: host.addresses for name, host in fleet.hosts.items() if name in self.fleet.hosts}

    def questioner(
        self,
        hosts: Callable[[], Sequence[str]] | None = None,
        connection: Callable[[str], Awaitable[Connection]] | None = None,
    ) -> Questioner:
        """Checks the fleet's names, asked from the first of `hosts` (default: all) that is not the service's own."""
        from vpai_tui.fleet.endpoints import Questioner

        hub_first = sorted(self.fleet.hosts, key=lambda host: not self.fleet.hosts[host].hub)
        known = (lambda: [host for host in hub_first if host in hosts()]) if hosts else lambda: hub_first
        return Questioner(
            self.stacks,
            self.fleet.domain,
            known,
            connection or self.connection,
            self.addresses(),
            self.trust,
            self.clock,
        )

    def trust(self) -> ssl.SSLContext:
        """By what the certificates of the fleet's names are judged: this machine's own roots, or the demo's."""
        import ssl

        return ssl.create_default_context() if self.demo is None else self.demo.edge.trust

    def vpn(self, connection: Callable[[str], Awaitable[Connection]] | None = None, *, read_only: bool = False) -> Vpn:
        """The VPN over this world's connections, or over those that `connection` hands out; close it."""
        from vpai_tui.vpn.session import Surface, Vpn

        return Vpn(
            Surface(
                fleet=self.fleet,
                stacks=self.stacks,
                connection=connection or self.connection,
                fresh=self.fresh,
                clock=self.clock,
                history=self.history,
                folder=self.laptop,
                addresses=self.addresses(),
                read_only=read_only,
            )
        )

    def budget(
        self, connection: Callable[[str], Awaitable[Connection]] | None = None, *, read_only: bool = False
    ) -> Budget:
        """The AI budget over this world's connections, or over those that `connection` hands out.

        Raises:
            UsageError: no stack of the fleet has LiteLLM.
        """
        from vpai_tui.budget.session import Budget, Surface

        return Budget(
            Surface(
                fleet=self.fleet,
                stacks=self.stacks,
                connection=connection or self.connection,
                fresh=self.fresh,
                clock=self.clock,
                history=self.history,
                folder=self.laptop,
                read_only=read_only,
            )
        )

    def upkeep(self, watch: FleetWatch, *, read_only: bool = False) -> Upkeep:
        """What checks, backups and disks of the watched fleet stand on."""
        from vpai_tui.upkeep.surface import Surface as Upkeep

        async def live(host: str) -> Connection:
            return watch.connection(host)

        def reached() -> list[str]:
            return [host.name for host in watch.snapshot().hosts if host.live]

        return Upkeep(
            fleet=self.fleet,
            stacks=self.stacks,
            snapshot=watch.snapshot,
            connection=live,
            docker=watch.docker,
            questioner=lambda: self.questioner(reached, live),
            laptop=self.laptop_probe(),
            clock=self.clock,
            history=self.history,
            folder=self.laptop,
            read_only=read_only,
            events=watch.events,
        )

    def laptop_probe(self) -> Callable[[], Awaitable[Laptop]]:
        """Asks how this laptop stands in the VPN; the demo's has one of its own."""
        from vpai_tui.upkeep.laptop import names_of, probe

        if self.demo is not None:
            return self.demo.laptop
        return probe(names_of(self.fleet.domain, self.stacks))

    def logs(
        self,
        connection: Callable[[str], Awaitable[Connection]] | None = None,
        docker: Callable[[Connection], Docker] | None = None,
    ) -> Logs:
        """The logs over this world's connections, or over those that `connection` and `docker` hand out; close them."""
        from vpai_tui.logs.session import Logs, Surface

        return Logs(Surface(self.fleet, self.stacks, connection or self.connection, docker or self.docker, self.clock))

    def shells(
        self,
        connection: Callable[[str], Awaitable[Connection]] | None = None,
        docker: Callable[[Connection], Docker] | None = None,
    ) -> Shells:
        """Shells in services and on hosts over this world's connections, or over those handed out."""
        from vpai_tui.fleet.shell import Shells

        connect, engine = connection or self.connection, docker or self.docker
        return Shells(self.fleet, self.stacks, connect, engine, self.clock, self.history)

    def forwards(
        self,
        connection: Callable[[str], Awaitable[Connection]] | None = None,
        docker: Callable[[Connection], Docker] | None = None,
        **options: Any,
    ) -> Forwards:
        """Ports of services on this laptop over this world's connections, or over those handed out; close them."""
        from vpai_tui.fleet.forward import Forwards

        connect, engine = connection or self.connection, docker or self.docker
        return Forwards(self.stacks, connect, engine, self.clock, self.history, **options)

    def trends(
        self,
        connection: Callable[[str], Awaitable[Connection]] | None = None,
        docker: Callable[[Connection], Docker] | None = None,
    ) -> Trends:
        """VictoriaMetrics' figures over this world's connections, or over those handed out; nothing stays open."""
        from vpai_tui.fleet.trend import Trends

        return Trends(self.stacks, connection or self.connection, docker or self.docker, self.clock)

    def env_keeper(self) -> EnvKeeper:
        """Checks and writes env files over this world's connections."""
        from vpai_tui.deploy.envkeeper import EnvKeeper

        return EnvKeeper(self.stacks, self.connection, self.clock, self.history)

    async def close(self) -> None:
        """Ends what was opened."""
        for docker in self._dockers.values():
            await docker.close()
        for connection in self._connections.values():
            await connection.close()


def state_dir() -> Path:
    """Where the laptop keeps its own state."""
    import platformdirs

    return Path(platformdirs.user_state_dir("vpai-tui", appauthor=False))


def config_path(args: Namespace, environ: Mapping[str, str] = os.environ) -> Path:
    """The fleet.yaml the world will have, known at once; the demo's is a copy of the starter's with other addresses.

    Raises:
        UsageError: there is none.
    """
    if sys.platform == "win32":
        raise UsageError("native Windows is not supported", remedy="run it in WSL2")
    if args.demo:
        from vpai_tui.starter import find_starter

        return find_starter() / "config" / "fleet.yaml"
    return config.find_config(args.config, environ)


@asynccontextmanager
async def open_world(args: Namespace, environ: Mapping[str, str] = os.environ) -> AsyncIterator[World]:
    """The world `--demo`, `--demo-dir`, `--demo-reset` or `--config` name.

    Raises:
        UsageError: the configuration is wrong, or there is none.
    """
    path = config_path(args, environ)
    async with AsyncExitStack() as exits:
        world = await _demo_world(args, exits) if args.demo else _real_world(path, args)
        exits.push_async_callback(world.close)
        yield world


def read_fleet(
    fleet: config.Fleet, path: Path, args: Namespace | None = None
) -> tuple[config.Fleet, tuple[Stack, ...]]:
    """`fleet` of the file at `path`, and its stacks, under the names that adopted hosts have.

    `pull` is for a laptop that lacks the files of some, `edit` for one where they do not hold: none is read for them.

    Raises:
        UsageError: a stack or a file of `adopted/` is wrong.
    """
    from vpai_tui.fleet.adopted import folder_of, load_adopted, with_roots
    from vpai_tui.fleet.stacks import load_stacks

    adopted = load_adopted(folder_of(path), fleet)
    pulls = getattr(args, "verb", None) in ("pull", "edit")
    return with_roots(fleet, adopted), () if pulls else load_stacks(config.find_stacks_dir(path), fleet, adopted)


def _real_world(path: Path, args: Namespace) -> World:
    own = config.load_fleet(path)
    fleet, stacks = read_fleet(own, path, args)
    history = History(state_dir() / "history.jsonl")
    return World(fleet, stacks, SystemClock(), history, config_path=path, own_fleet=own)


async def _demo_world(args: Namespace, exits: AsyncExitStack) -> World:
    from vpai_tui import demo

    folder = Path(args.demo_dir) if args.demo_dir else state_dir() / "demo"
    foreign_host = getattr(args, "demo_foreign", None)
    running = await exits.enter_async_context(demo.start(folder, reset=args.demo_reset, foreign_host=foreign_host))
    fleet, stacks = read_fleet(running.fleet, running.config_path, args)
    history = History(running.laptop_dir / "history.jsonl")
    path = running.config_path
    return World(fleet, stacks, SystemClock(), history, config_path=path, own_fleet=running.fleet, demo=running)
