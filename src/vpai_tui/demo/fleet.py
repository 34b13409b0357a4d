"""Start and stop the demo: three simulated hosts on loopback, their state kept in one folder."""

from __future__ import annotations

import asyncio
import fcntl
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import asyncssh

import vpai_tui
from vpai_tui import config
from vpai_tui.clock import Clock, SystemClock
from vpai_tui.demo import apis, backups, creative, foreign, proc, sandbox, seed, you
from vpai_tui.demo.edge import Edge
from vpai_tui.demo.engine.store import STATE_VERSION, Engine, EngineError
from vpai_tui.demo.headscale import net
from vpai_tui.demo.hosts import PROFILES
from vpai_tui.demo.litellm import scenes
from vpai_tui.demo.loki import box as loki
from vpai_tui.demo.registry import Registry
from vpai_tui.demo.servers import Handler, HostServer
from vpai_tui.demo.victoria import box as victoria
from vpai_tui.errors import UsageError
from vpai_tui.upkeep.laptop import Laptop

if TYPE_CHECKING:
    from vpai_tui.demo.breaks import Break

USER = "mobuone"
DEFAULT_SEED = 7
_BACKED_UP = "sese"
_STUDIO = "pi"  # where stacks on demand run
_FIGURES_EVERY_S = 2.0
_DOCKER = "docker"  # the fork server's socket
STAMP = "demo.json"
LAYOUT = 5  # of the folder; another number rebuilds it


class DemoFleet:
    """The running demo. `fleet` is what the cockpit is given in place of the operator's own."""

    def __init__(
        self,
        folder: Path,
        servers: dict[str, HostServer],
        fleet: config.Fleet,
        seed_: int,
        loki_: loki.Box,
        edge: Edge,
    ) -> None:
        self.folder = folder
        self.edge = edge
        self.loki = loki_  # its switches: what can be wrong with the simulated Loki
        self.fleet = fleet
        self.seed = seed_
        self.laptop_dir = folder / "laptop"
        self.stacks_dir = self.laptop_dir / "stacks"
        self.config_path = self.laptop_dir / "config" / "fleet.yaml"
        self.servers = servers

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts' names."""
        return tuple(self.servers)

    def home(self, host: str) -> Path:
        """The folder that holds all of one host."""
        return self.folder / host

    def root(self, host: str) -> Path:
        """The host's root directory, where stacks install their files."""
        return Path(self.fleet.hosts[host].root)

    def engine(self, host: str) -> Engine:
        """The simulated engine's facts, for tests and for `:demo`."""
        return Engine(self.home(host))

    @property
    def registry(self) -> Registry:
        """The simulated registry: a tag can be moved."""
        return Registry(self.folder, self.seed)

    def move(self, image: str) -> None:
        """Let the tag of an image stand for other bits upstream from now on. UsageError for what is no reference."""
        try:
            self.registry.move(image)
        except EngineError as error:
            raise UsageError(f"demo move {image}: {error}", remedy="demo move redis:8.0-bookworm") from error

    async def laptop(self) -> Laptop:
        """How the simulated laptop stands in the VPN: `laptop/tailscale.json` says it as tailscale would."""
        return you.laptop(self.laptop_dir)

    def advance(self, seconds: float) -> None:
        """Move the hosts' clocks on: what the engines hold ages by that, from the next look at it."""
        clock = self.folder / "clock"
        clock.write_text(f"{float(clock.read_text()) + seconds:.3f}\n")

    def budget(self, scene: str) -> None:
        """Have a situation of the AI budget, as `demo.litellm.scenes` knows them. UsageError for any other word."""
        for host in self.hosts:
            if scenes.has_proxy(engine := self.engine(host)):
                if scenes.play(engine, scene):
                    return
                break
        raise UsageError(f"demo budget {scene}", remedy=f"demo budget PERCENT, or {', '.join(scenes.WORDS)}")

    def studio(self, word: str) -> None:
        """Have a situation of the studio, as `demo.creative` knows them. UsageError for any other word."""
        if not creative.play(self.engine(_STUDIO), word, PROFILES[_STUDIO].memory_bytes):
            raise UsageError(f"demo studio {word}", remedy=f"demo studio {', '.join(creative.WORDS)}")

    def break_(self, check: str) -> None:
        """Break what a check looks at, as `demo.breaks` knows it. UsageError for any other word."""
        self._break(check).do(self)

    def mend(self, check: str) -> None:
        """Take `break_` back."""
        self._break(check).mend(self)

    def _break(self, check: str) -> Break:
        from vpai_tui.demo.breaks import BREAKS

        if check not in BREAKS:
            raise UsageError(f"demo break {check}", remedy=f"demo break {', '.join(BREAKS)}")
        return BREAKS[check]

    def backups(self, word: str) -> None:
        """Have a situation of the backups, as `demo.backups` knows them. UsageError for any other word."""
        if not backups.play(self.engine(_BACKED_UP), word):
            raise UsageError(f"demo backups {word}", remedy=f"demo backups {', '.join(backups.WORDS)}")

    async def cut(self, host: str) -> None:
        """Cut the link to a host: its connections drop, new ones are refused until `heal`."""
        await self.servers[host].cut()

    async def heal(self, host: str) -> None:
        """Let a host be reached again, at the same address."""
        await self.servers[host].heal()


@asynccontextmanager
async def start(
    folder: Path,
    *,
    seed: int = DEFAULT_SEED,
    clock: Clock | None = None,
    reset: bool = False,
    foreign_host: str | None = None,
) -> AsyncIterator[DemoFleet]:
    """Run the demo on the state in `folder`, made when it is not there, of another version, or when `reset`.

    `clock` moves the hosts' clocks too: they start at its time and go on at the real pace, while the machines'
    figures follow it exactly. Several cockpits may run on one folder. `foreign_host` runs what it runs as it did
    before vpai-tui: it is there to be adopted.
    """
    clock = clock or SystemClock()
    folder = await asyncio.to_thread(build, folder, seed=seed, clock=clock, reset=reset)
    with tempfile.TemporaryDirectory(prefix="vpai-demo-") as run, _forking(Path(run) / _DOCKER):
        store = loki.Box(folder, tuple(PROFILES), seed)
        past = victoria.Box(folder, tuple(PROFILES), seed)
        edge = _edge(folder, clock)
        servers, fleet = _servers(folder, Path(run), store, past, edge)
        if foreign_host is not None:
            await asyncio.to_thread(_make_foreign, folder, foreign_host, fleet)
        figures: asyncio.Task[None] | None = None
        try:
            for server in servers.values():
                await server.heal()
            fleet = _at_ports(fleet, servers, Path(run))
            _figures(folder, seed, clock)
            figures = asyncio.get_running_loop().create_task(_keep_figures(folder, seed, clock))
            yield DemoFleet(folder, servers, fleet, seed, store, edge)
        finally:
            if figures is not None:
                figures.cancel()
                await asyncio.gather(figures, return_exceptions=True)
            for server in servers.values():
                await server.close()


@contextmanager
def _forking(path: Path) -> Iterator[None]:
    """What the hosts' `docker` commands are forked from; until it listens there they are started anew each."""
    nothing = subprocess.DEVNULL
    with subprocess.Popen(
        sandbox.fork_server(path), stdin=subprocess.PIPE, stdout=nothing, stderr=nothing, start_new_session=True
    ):
        yield


def _edge(folder: Path, clock: Clock) -> Edge:
    names = {**seed.addresses(folder), **{profile.vpn: name for name, profile in PROFILES.items()}}
    homes = {address: folder / name for address, name in names.items() if name in PROFILES}
    return Edge(homes, folder / "laptop" / "stacks", seed.domain(folder), clock.now())


def _make_foreign(folder: Path, host: str, fleet: config.Fleet) -> None:
    if host not in fleet.hosts:
        raise UsageError(f'the demo has no host "{host}"', step="demo", remedy=f"known: {', '.join(fleet.hosts)}")
    foreign.make(folder, host, Path(fleet.hosts[host].root), fleet.stacks)


def build(folder: Path, *, seed: int, clock: Clock, reset: bool) -> Path:
    """Make the state in `folder` unless it is there already; its absolute path.

    Raises UsageError where the folder cannot be used, or holds something that is no demo: nothing is removed then.
    """
    if sys.platform != "linux":
        raise UsageError("the demo's hosts need Linux", remedy="use Linux or WSL2, or a fleet of your own (--config)")
    folder = folder.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (folder / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _build_locked(folder, seed, clock, reset=reset)
    except OSError as error:
        raise UsageError(
            f"{folder}: {error.strerror or error}", step="demo", remedy="name another --demo-dir"
        ) from error
    return folder


def _build_locked(folder: Path, number: int, clock: Clock, *, reset: bool) -> None:
    path = folder / STAMP
    if not path.exists():
        strange = sorted(entry.name for entry in folder.iterdir() if entry.name != ".lock")
        if strange:
            what = f"{folder} is no demo folder: {strange[0]} is in it"
            raise UsageError(what, step="demo", remedy="name an empty --demo-dir, or one that does not exist yet")
        path.write_text("{}")  # from here on it is ours, also when the build does not come to its end
    wanted = {"layout": LAYOUT, "state": STATE_VERSION, "version": vpai_tui.__version__, "seed": number}
    (folder / "clock").write_text(f"{clock.now().timestamp() - time.time():.3f}\n")
    if reset or _stamp(path) != wanted:
        path.write_text("{}")
        _build_anew(folder, number, clock)
        path.write_text(json.dumps(wanted))
    for name, profile in PROFILES.items():
        sandbox.build(folder / name, profile)


def _stamp(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except ValueError:
        return None


def _build_anew(folder: Path, number: int, clock: Clock) -> None:
    for name in (*PROFILES, "laptop", loki.FOLDER):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "registry.json").unlink(missing_ok=True)
    seed.laptop(folder)
    stacks = seed.stacks_in_order(folder)
    for name, profile in PROFILES.items():
        (folder / name).mkdir()
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(folder / name / "ssh_host_key")
        seed.host(folder, profile, stacks, number, clock.now().timestamp())
    you.look(folder / "laptop", clock.now())


def _servers(
    folder: Path, run: Path, store: loki.Box, past: victoria.Box, edge: Edge
) -> tuple[dict[str, HostServer], config.Fleet]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    path = run / "key"
    path.touch(mode=0o600)
    path.write_bytes(key.export_private_key())
    servers = {}
    hosts = {}
    own = config.load_fleet(folder / "laptop" / "config" / "fleet.yaml").hosts
    hub = Engine(next(folder / name for name, profile in PROFILES.items() if profile.hub))
    for name, profile in PROFILES.items():
        home = folder / name
        servers[name] = HostServer(
            name,
            user=USER,
            key=key,
            host_key=asyncssh.read_private_key(home / "ssh_host_key"),
            env={**sandbox.environment(home), "VPAI_DOCKER": str(run / _DOCKER)},
            cwd=home / "home" / USER,
            forwarding=profile.forwarding,
            listener=partial(_listener, Engine(home), hub, store, past, edge),
            wire=run / f"{name}.net",
        )
        hosts[name] = config.Host(
            title=profile.title,
            addresses=("127.0.0.1",),
            ssh=config.Ssh(user=USER, port=1, key=str(path), known_hosts=str(run / "known_hosts")),
            root=str(home / profile.root.lstrip("/")),
            hub=profile.hub,
            listens=own[name].listens if name in own else (),
        )
    return servers, config.Fleet(hosts=hosts, stacks=seed.stacks_in_order(folder), domain=seed.domain(folder))


def _listener(
    engine: Engine, hub: Engine, store: loki.Box, past: victoria.Box, edge: Edge, host: str, port: int
) -> Handler | None:
    """Who answers at an address of a host's networks, or of the VPN."""
    if port == net.DNS_PORT:  # every machine of the VPN has the resolver
        return net.listener(hub, host, port)
    found = net.listener(engine, host, port) or store.listener(engine, host, port) or edge.listener(host, port)
    found = found or past.listener(engine, host, port) or creative.listener(engine, host, port)
    return found or apis.listener(engine, host, port)


def _at_ports(fleet: config.Fleet, servers: dict[str, HostServer], run: Path) -> config.Fleet:
    import msgspec

    hosts = {}
    known = []
    for name, host in fleet.hosts.items():
        server = servers[name]
        public = server.host_key.export_public_key("openssh").decode().strip()
        known.append(f"[127.0.0.1]:{server.port} {' '.join(public.split()[:2])}\n")
        hosts[name] = msgspec.structs.replace(host, ssh=msgspec.structs.replace(host.ssh, port=server.port))
    (run / "known_hosts").write_text("".join(known))
    return msgspec.structs.replace(fleet, hosts=hosts)


def _figures(folder: Path, number: int, clock: Clock) -> None:
    for name, profile in PROFILES.items():
        proc.write(folder / name, profile, number, clock.now().timestamp())


async def _keep_figures(folder: Path, number: int, clock: Clock) -> None:
    while True:
        await asyncio.sleep(_FIGURES_EVERY_S)
        await asyncio.to_thread(_figures, folder, number, clock)
