"""The live session of one host: one connection, its state, the metrics channel and the engine's events on it.

asyncssh and the docker SDK are imported when a session starts, not with this module: they cost a third of a second.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from vpai_tui import config
from vpai_tui.clock import Clock
from vpai_tui.errors import CommandFailed, HostUnreachable, LinkLost, OperatorError
from vpai_tui.fleet.containers import ContainerEvent, DockerWatch
from vpai_tui.fleet.metrics import INTERVAL_S, MetricsParser, script
from vpai_tui.fleet.model import DockerInfo, HostSnapshot, HostState, Link
from vpai_tui.fleet.pace import Pace, retry_delay_s
from vpai_tui.redact import redact
from vpai_tui.text import clean_line, last_lines

if TYPE_CHECKING:
    from vpai_tui.remote.command_log import CommandLog
    from vpai_tui.remote.connection import Connection
    from vpai_tui.remote.docker import Docker
    from vpai_tui.remote.prompts import Prompts

SHORT_LIFE_S = 15.0  # a connection that ends sooner makes the next one wait longer: sshd bans who hammers it
_END_WITHIN_S = 1.0
OFFLINE_AFTER = 3  # failures in a row
_UNANSWERED = ("resolve", "tcp")  # steps that mean: nobody there


class HostSession:
    """Keeps one host connected and its `snapshot` true. `run` never returns; cancel it to end the session."""

    def __init__(
        self,
        name: str,
        host: config.Host,
        *,
        clock: Clock,
        on_change: Callable[[str], None],
        prompts: Prompts | None = None,
        log: CommandLog | None = None,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self.name = name
        self.host = host
        self.connection: Connection | None = None
        self.docker: Docker | None = None
        self.connects = 0  # how often a connection was had
        self._clock = clock
        self._on_change = on_change
        self._prompts = prompts
        self._log = log
        self._interval_s = interval_s
        self._wanted = asyncio.Event()  # the operator, or a resume, wants a connection now
        self._nudge = asyncio.Event()  # the same for what does not work on a live connection
        self._pace = Pace()
        self._failures = 0
        self._short_lives = 0  # connections in a row that did not last
        self._troubles: dict[str, tuple[str, str]] = {}  # what does not work on a live host: step → error, remedy
        self._watch: DockerWatch | None = None
        self._sampled = False  # whether this connection has brought metrics
        self._snapshot = HostSnapshot(name, host.title or name, Link(HostState.CONNECTING, clock.boot_s()))

    @property
    def snapshot(self) -> HostSnapshot:
        """All that is known now."""
        return self._snapshot

    @property
    def events(self) -> tuple[ContainerEvent, ...]:
        """The last container events, oldest first."""
        return tuple(self._watch.events) if self._watch else ()

    @property
    def told(self) -> bool:
        """Whether this connection has told everything once, or it is known why not."""
        if not self._snapshot.live:
            return self._snapshot.link.state is not HostState.CONNECTING
        engine = "docker" in self._troubles or (
            self.docker is not None and self._watch is not None and self._watch.complete
        )
        compose = "compose" in self._troubles or bool(self._snapshot.docker and self._snapshot.docker.compose)
        return engine and (compose or "docker" in self._troubles) and (self._sampled or "metrics" in self._troubles)

    def reconnect(self) -> None:
        """Try now: ends a wait, and whatever was refused is tried again. A live connection stays, what does not work
        on it is tried again too."""
        if self.connection is None:
            self._wanted.set()
        self._nudge.set()

    def drop(self) -> None:
        """Give the connection up and make a new one at once: the machine was asleep, nothing it knows is current."""
        self._failures = 0
        self._wanted.set()
        if self.connection is not None:
            self._link(HostState.CONNECTING, error="", remedy="", rtt_s=None)
            self.connection.ssh.abort()

    async def run(self) -> None:
        """Connect, serve, wait, again."""
        while True:
            try:
                connection = await self._connect()
            except HostUnreachable as error:
                await self._failed(error)
            except OperatorError as error:  # e.g. a known_hosts file that cannot be read
                await self._failed(HostUnreachable(error.message, step=error.step, remedy=error.remedy))
            else:
                await self._serve(connection)

    async def _connect(self) -> Connection:
        await asyncio.to_thread(import_module, "vpai_tui.remote.connection")
        from vpai_tui.remote.connection import connect

        await self._keep_pace()
        self._wanted.clear()
        if self._snapshot.link.state is not HostState.OFFLINE:  # offline stays offline until it answers
            self._link(HostState.CONNECTING, retry_at_boot_s=None)
        connection = await connect(
            self.name,
            self.host,
            prompts=self._prompts,
            log=self._log,
            on_step=self._step,
            prefer=self._snapshot.link.address,
        )
        self._failures, self._troubles = 0, {}
        self.connects += 1
        self._link(
            HostState.READY, step="", address=connection.address, error="", remedy="", retry_at_boot_s=None, rtt_s=None
        )
        return connection

    async def _keep_pace(self) -> None:
        """Waits where one more try would be one too many in a minute, whoever wants it."""
        wait_s = self._pace.wait_s(self._clock.boot_s())
        if wait_s:
            state = HostState.BACKOFF if self._snapshot.link.state is HostState.CONNECTING else None
            self._link(state, retry_at_boot_s=self._clock.boot_s() + wait_s)
            await asyncio.sleep(wait_s)
        self._pace.tried(self._clock.boot_s())

    def _step(self, step: str, _address: str) -> None:
        if self._snapshot.link.state is HostState.CONNECTING:
            self._link(HostState.CONNECTING, step=step)

    async def _failed(self, error: HostUnreachable) -> None:
        """Show why, then wait: for the operator where trying again cannot help, else for the next try."""
        self._failures += 1
        facts = {"step": error.step or "", "error": error.message, "remedy": error.remedy}
        if getattr(error, "refused", False):
            self._link(HostState.REFUSED, retry_at_boot_s=None, **facts)
            await self._wanted.wait()
            return
        delay_s = retry_delay_s(self._failures)
        gone = self._failures >= OFFLINE_AFTER and error.step in _UNANSWERED
        state = HostState.OFFLINE if gone else HostState.BACKOFF
        self._link(state, retry_at_boot_s=self._clock.boot_s() + delay_s, **facts)
        await self._pause(delay_s)

    async def _pause(self, delay_s: float) -> None:
        """Wait, at most until a reconnect is asked for."""
        with suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await self._wanted.wait()

    async def _rest(self, failures: int) -> None:
        """The same between two tries of one thing on a live connection."""
        self._nudge.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(retry_delay_s(max(1, failures))):
                await self._nudge.wait()

    async def _serve(self, connection: Connection) -> None:
        """Everything that lives on a connection, until it ends."""
        self.connection = connection
        self._sampled = False
        began_boot_s = self._clock.boot_s()
        work = [
            asyncio.create_task(self._keep_docker(connection), name=f"docker {self.name}"),
            asyncio.create_task(self._keep_metrics(connection), name=f"metrics {self.name}"),
            asyncio.create_task(connection.wait_closed(), name=f"link {self.name}"),
        ]
        error = ""
        try:
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            error = "; ".join(_internal(task) for task in done if _internal(task))
            # A dead link ends the others too, in their own order; cancelled in the middle of that they would hang.
            self._nudge.set()
            await asyncio.wait(work, timeout=_END_WITHIN_S if connection.closed else 0)
        finally:
            self.connection = None
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            await connection.close()
        if self._wanted.is_set():
            return
        short = bool(error) or self._clock.boot_s() - began_boot_s < SHORT_LIFE_S
        self._short_lives = self._short_lives + 1 if short else 0
        delay_s = retry_delay_s(1 + self._short_lives)
        self._link(
            HostState.BACKOFF,
            step="link",
            error=error or "the connection was lost",
            remedy="",
            rtt_s=None,
            retry_at_boot_s=self._clock.boot_s() + delay_s,
        )
        await self._pause(delay_s)

    # ── metrics ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _keep_metrics(self, connection: Connection) -> None:
        """The metrics channel, opened again whenever it ends while the link lives."""
        root, attempt = True, 0
        while True:
            attempt += 1
            before = self._snapshot.metrics
            try:
                trouble, remedy = await self._metrics(connection, root=root), ""
            except LinkLost as error:
                trouble, remedy = error.message, error.remedy
            except OperatorError as error:
                trouble, remedy = error.message, error.remedy
            if connection.closed:
                return
            if self._snapshot.metrics is not before:
                attempt = 0  # it worked for a while
            elif root and self.host.sudo and "sudo" in trouble:
                root = False  # everything but the deploy state can be read without
                remedy = f"allow {self.host.ssh.user} `sudo -n` on {self.name}, or set hosts.{self.name}.sudo to false"
            self._trouble("sudo" if not root else "metrics", trouble, remedy)
            await self._rest(attempt)

    async def _metrics(self, connection: Connection, *, root: bool) -> str:
        """Runs the script to its end; why it ended."""
        argv = ["sh", "-s", "--", f"{self._interval_s:g}", self.host.root]
        parser = MetricsParser(self.name)
        async with connection.stream(argv, root=root, stdin=script(), label="metrics") as lines:
            async for line in lines:
                now, boot_s = self._clock.now(), self._clock.boot_s()
                sample = parser.feed(line, at_boot_s=boot_s, now=now, rtt_s=connection.rtt_s)
                if sample is None:
                    continue
                self._sampled = True
                self._trouble("metrics", "", "")
                metrics = sample.metrics or self._snapshot.metrics
                self._snapshot = replace(self._snapshot, metrics=metrics, usage=sample.usage, seen_boot_s=boot_s)
                if root or not self.host.sudo:
                    self._snapshot = replace(self._snapshot, deploys=sample.deploys, hold=sample.hold)
                self._link(rtt_s=connection.rtt_s, http_bridge=connection.facts.get("http_bridge"))
        said = clean_line(redact(last_lines(lines.stderr, 2)))
        return f"the metrics channel ended with status {lines.exit_status}" + (f": {said}" if said else "")

    # ── Docker ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _keep_docker(self, connection: Connection) -> None:
        """The engine's picture and events, begun again whenever they end while the link lives."""
        asking = asyncio.create_task(self._compose(connection))
        attempt = 0
        try:
            while True:
                error = await self._follow(connection)
                if connection.closed:
                    return
                answered = self._watch is not None and self._watch.containers is not None
                attempt = 1 if answered else attempt + 1
                self._docker_failed(error)
                await self._rest(attempt)
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def _follow(self, connection: Connection) -> OperatorError:
        """One engine client from its first answer to its end; why it ended."""
        await asyncio.to_thread(import_module, "vpai_tui.remote.docker")
        from vpai_tui.remote.docker import Docker

        docker = Docker(connection)
        watch = DockerWatch(docker, self._docker_changed, self._snapshot.containers)
        watch.events.extend(self.events)
        self.docker, self._watch = docker, watch
        try:
            await watch.run()
        except OperatorError as error:
            return error
        finally:
            self.docker = None
            await docker.close()
        return OperatorError("the engine ended its events", step="docker", remedy="is the engine being restarted?")

    async def _compose(self, connection: Connection) -> None:
        """The version of the Compose plugin, asked once per connection; without one nothing can be deployed."""
        argv = [*shlex.split(self.host.docker), "compose", "version", "--short"]
        try:
            done = await connection.run(argv, root=True, timeout_s=20)
        except CommandFailed as error:
            remedy = "install the Compose plugin (docker-compose-v2, docker-compose-plugin) there"
            self._trouble("compose", error.output or error.message, remedy)
            return
        except OperatorError as error:
            self._trouble("compose", error.message, error.remedy)
            return
        version = clean_line(done.stdout, 40).removeprefix("v")
        info = self._snapshot.docker or DockerInfo(None, None)
        self._snapshot = replace(self._snapshot, docker=replace(info, compose=version or None))
        self._trouble("compose", "", "")

    def _docker_changed(self) -> None:
        watch = self._watch
        if watch is None or self.connection is None:
            return
        boot_s = self._clock.boot_s()
        info = self._snapshot.docker or DockerInfo(None, None)
        self._snapshot = replace(
            self._snapshot,
            docker=replace(info, version=watch.version or info.version, error=""),
            containers=watch.containers,
            containers_at_boot_s=boot_s,
            seen_boot_s=boot_s,
        )
        self._trouble("docker", "", "")

    def _docker_failed(self, error: OperatorError) -> None:
        info = self._snapshot.docker or DockerInfo(None, None)
        self._snapshot = replace(self._snapshot, docker=replace(info, error=error.message))
        self._trouble("docker", error.message, error.remedy)

    # ── the state ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _trouble(self, step: str, error: str, remedy: str) -> None:
        """Note (or, with no `error`, forget) that something does not work on a host that is connected."""
        if error:
            self._troubles[step] = (error, remedy)
        elif self._troubles.pop(step, None) is None:
            self._on_change(self.name)
            return
        if self.connection is None:
            return
        if not self._troubles:
            self._link(HostState.READY, step="", error="", remedy="")
            return
        first = next(iter(sorted(self._troubles, key=("docker", "sudo", "compose", "metrics").index)))
        self._link(HostState.DEGRADED, step=first, error=self._troubles[first][0], remedy=self._troubles[first][1])

    def _link(self, state: HostState | None = None, **facts: str | float | None) -> None:
        before = self._snapshot.link
        state = state or before.state
        since = before.since_boot_s if state is before.state else self._clock.boot_s()
        link = replace(before, state=state, since_boot_s=since, **facts)  # type: ignore[arg-type]
        self._snapshot = replace(self._snapshot, link=link)
        self._on_change(self.name)


def _internal(task: asyncio.Task[None]) -> str:
    """What a task that should have lived as long as the link died of; nothing when it ended with the link."""
    error = None if task.cancelled() else task.exception()
    if error is None or isinstance(error, OperatorError):
        return ""
    return f"internal error: {type(error).__name__}: {clean_line(redact(str(error)), 200)}"
