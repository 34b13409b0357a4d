"""Every way a link goes wrong, against real OpenSSH or a port that misbehaves: what the watch says and does."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from vpai_tui import config
from vpai_tui.clock import SystemClock
from vpai_tui.errors import HostUnreachable
from vpai_tui.fleet.model import HostState, Link
from vpai_tui.fleet.pace import MOST_A_MINUTE
from vpai_tui.fleet.watch import FleetWatch
from vpai_tui.remote import login
from vpai_tui.remote.failures import HostRefused
from vpai_tui.remote.threads import use_threads

from .fleet_engine import FleetEngine
from .hosts import Keys, Relay, serve
from .sshd import SSHD, Sshd, sshd
from .test_fleet_watch import link, until

needs_sshd = pytest.mark.skipif(SSHD is None, reason="needs an OpenSSH server")


@asynccontextmanager
async def watching(**hosts: config.Host) -> AsyncIterator[FleetWatch]:
    watch = FleetWatch(config.Fleet(hosts=hosts), (), clock=SystemClock(), interval_s=0.2)
    await watch.start()
    try:
        yield watch
    finally:
        await watch.stop()


def at(port: int, folder: Path, *addresses: str) -> config.Host:
    """A host whose known_hosts knows nobody."""
    ssh = config.Ssh(user="op", port=port, known_hosts=str(folder / "none"))
    return config.Host(addresses=addresses or ("127.0.0.1",), ssh=ssh, sudo=False)


@asynccontextmanager
async def port_that(says: bytes, *, then_closes: bool) -> AsyncIterator[tuple[int, list[float]]]:
    """A TCP port that says something to who connects; with the moments at which somebody did."""
    came: list[float] = []
    open_ones: list[asyncio.StreamWriter] = []

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(time.monotonic())
        open_ones.append(writer)
        writer.write(says)
        if then_closes:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], came
    finally:
        server.close()
        for writer in open_ones:
            writer.close()
        await server.wait_closed()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead link is noticed in a second, a mute login given up after half of one; retries begin at 0.1 s."""
    monkeypatch.setattr(login, "KEEPALIVE_INTERVAL_S", 0.25)
    monkeypatch.setattr(login, "LOGIN_TIMEOUT_S", 0.5)
    monkeypatch.setattr("vpai_tui.fleet.pace.FIRST_RETRY_S", 0.1)


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Sshd]:
    async with sshd(tmp_path / "sshd", "LogLevel VERBOSE") as server:
        yield server


def known(server: Sshd, folder: Path) -> Path:
    path = folder / "known_hosts"
    path.write_text(f"[127.0.0.1]:{server.port} {server.host_key}\n")
    return path


def without_sudo(server: Sshd, folder: Path) -> config.Host:
    return replace(server.host(known(server, folder)), sudo=False, docker="/bin/false")


def logins(server: Sshd) -> int:
    return sum("Connection from" in line for line in server.said)


def is_up(state: Link) -> bool:
    return state.state in (HostState.READY, HostState.DEGRADED)


# -- hosts that are there and do not answer


@pytest.mark.parametrize(
    ("says", "closes", "step", "error", "remedy"),
    [
        (b"", False, "host key", "did not answer within", "is the host up"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", False, "host key", "did not answer within", "is the host up"),
        (b"", True, "host key", "ended the login", "PerSourcePenalties"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", True, "host key", "ended the login", "PerSourcePenalties"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", True, "host key", "ended the login", "PerSourcePenalties"),
        (b"\x00\xff\x1b]0;gotcha\x07" * 2000, True, "host key", "does not speak SSH", "port"),
        (b"SSH-1.5-old\r\n", True, "host key", "does not speak SSH", "port"),
        (b"Exceeded MaxStartups\r\n", True, "host key", "ended the login", "wait"),
    ],
    ids=["mute", "mute after its banner", "hangs up", "hangs up after it", "http", "noise", "ssh1", "MaxStartups"],
)
async def test_what_answers_instead_of_sshd(
    quick: None, tmp_path: Path, says: bytes, closes: bool, step: str, error: str, remedy: str
) -> None:
    async with port_that(says, then_closes=closes) as (port, came), watching(pi=at(port, tmp_path)) as watch:
        snapshot = await until(watch, lambda seen: link(seen, "pi").state is HostState.BACKOFF)
        told = link(snapshot, "pi")
        assert (told.step, error in told.error, remedy in told.remedy) == (step, True, True), told
        assert "\x1b" not in told.error + told.remedy
        assert told.retry_at_boot_s is not None
        assert len(came) < MOST_A_MINUTE


async def test_nobody_makes_it_connect_more_often_than_the_ceiling(quick: None, tmp_path: Path) -> None:
    async with port_that(b"", then_closes=True) as (port, came), watching(pi=at(port, tmp_path)) as watch:
        for _ in range(60):  # an operator who keeps pressing ctrl+r
            watch.reconnect("pi")
            await asyncio.sleep(0.02)
        snapshot = await until(watch, lambda seen: (link(seen, "pi").retry_at_boot_s or 0) > time.monotonic() + 20)
        assert link(snapshot, "pi").state is HostState.BACKOFF
        assert len(came) == MOST_A_MINUTE


async def test_a_name_that_does_not_resolve(quick: None, tmp_path: Path) -> None:
    async with watching(pi=at(22, tmp_path, "pi.invalid")) as watch:
        snapshot = await until(watch, lambda seen: link(seen, "pi").state is HostState.OFFLINE)
        assert link(snapshot, "pi").step == "resolve"
        assert "pi.invalid" in link(snapshot, "pi").error and "fleet.yaml" in link(snapshot, "pi").remedy


async def test_a_name_server_that_does_not_answer_keeps_nobody_else_waiting(
    quick: None, tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_lookup, answers, asked = socket.getaddrinfo, threading.Event(), []

    def lookup(host: str, *args: object, **kwargs: object) -> object:
        if host == "hung.invalid":
            asked.append(host)
            answers.wait(60)
        return real_lookup(host, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    monkeypatch.setattr(login, "TCP_TIMEOUT_S", 0.1)
    use_threads()
    hung = {f"hung{number}": at(22, tmp_path, "hung.invalid") for number in range(20)}
    try:
        async with serve(tmp_path / "host", keys) as server, watching(**hung) as watch:
            await until(watch, lambda _: len(asked) >= 40)  # more than a pool has threads
            host = replace(server.host(), addresses=("localhost",))
            async with watching(sese=host) as other:
                (server.root / "known_hosts").write_text(
                    f"[localhost]:{server.port} {keys.host.export_public_key().decode().strip()}\n"
                )
                await until(other, lambda seen: is_up(link(seen)))
            assert "hung.invalid" in link(watch.snapshot(), "hung0").error
    finally:
        answers.set()


# -- a link that was good


@pytest.mark.parametrize("way", ["down", "both"])
async def test_a_black_hole_is_said_and_left_by_itself(quick: None, tmp_path: Path, keys: Keys, way: str) -> None:
    """Bytes dropped without a word under metrics, events and a call; the other direction needs the lab."""
    engine = FleetEngine(tmp_path / "bin")
    engine.put("w1", "web")
    async with serve(tmp_path / "host", keys, path=str(engine.path)) as server, Relay(server.port) as relay:
        public = keys.host.export_public_key().decode().strip()
        (server.root / "known_hosts").write_text(f"[127.0.0.1]:{relay.port} {public}\n")
        async with watching(sese=server.host(port=relay.port)) as watch:
            snapshot = await until(watch, lambda seen: is_up(link(seen)) and seen.host("sese").containers)
            relay.hole_up, relay.hole_down = way == "both", True
            asking = asyncio.create_task(watch.docker("sese").call("info"))
            snapshot = await until(watch, lambda seen: link(seen).state is HostState.BACKOFF)
            assert (link(snapshot).step, link(snapshot).error) == ("link", "the connection was lost")
            assert link(snapshot).retry_at_boot_s is not None
            assert snapshot.host("sese").containers and snapshot.host("sese").metrics, "the last values stay"
            assert not snapshot.host("sese").live
            (error,) = await asyncio.gather(asking, return_exceptions=True)
            assert "ended before" in str(error)
            relay.hole_up = relay.hole_down = False
            await until(watch, lambda seen: is_up(link(seen)))
            first = watch.snapshot().host("sese").metrics
            await until(watch, lambda seen: seen.host("sese").metrics is not first)


@needs_sshd
async def test_a_host_key_that_changed_while_connected(quick: None, real: Sshd, tmp_path: Path) -> None:
    async with watching(sese=without_sudo(real, tmp_path)) as watch:
        await until(watch, lambda seen: is_up(link(seen)))
        await real.stop()
        real.new_host_key()
        await real.start()
        before = logins(real)
        watch.connection("sese").ssh.abort()
        snapshot = await until(watch, lambda seen: link(seen).state is HostState.REFUSED)
        told = link(snapshot)
        assert told.step == "host key" and "has changed" in told.error
        assert f"{tmp_path / 'known_hosts'}:1" in told.remedy
        assert told.retry_at_boot_s is None
        with pytest.raises(HostRefused):
            await watch.connected("sese", 30)  # what follows a deploy gives up at once
        await _nothing_more(real, before + 1)


async def _nothing_more(server: Sshd, expected: int) -> None:
    """Nobody waits for another try: the session is asleep until somebody wants it."""
    sleeping = [task for task in asyncio.all_tasks() if task.get_name() == "session sese"]
    assert [task.get_stack()[-1].f_code.co_name for task in sleeping] != []
    await asyncio.sleep(0.6)  # many times the first retries
    assert logins(server) == expected


@needs_sshd
async def test_a_key_that_is_taken_away_costs_one_try(quick: None, real: Sshd, tmp_path: Path) -> None:
    authorized = real.folder / "authorized"
    right = authorized.read_text()
    async with watching(sese=without_sudo(real, tmp_path)) as watch:
        await until(watch, lambda seen: is_up(link(seen)))
        authorized.write_text("")
        before = logins(real)
        watch.connection("sese").ssh.abort()
        snapshot = await until(watch, lambda seen: link(seen).state is HostState.REFUSED)
        told = link(snapshot)
        assert told.step == "auth" and "refuses user" in told.error and "authorized_keys" in told.remedy
        await _nothing_more(real, before + 1)
        failed = [line for line in real.said if "Failed publickey" in line or "invalid key" in line.lower()]
        assert len(failed) <= 1, "MaxAuthTries is 3 on sese"
        authorized.write_text(right)
        watch.reconnect("sese")
        await until(watch, lambda seen: is_up(link(seen)))


@needs_sshd
async def test_an_sshd_that_is_restarted_and_one_that_stays_away(quick: None, real: Sshd, tmp_path: Path) -> None:
    async with watching(sese=without_sudo(real, tmp_path)) as watch:
        await until(watch, lambda seen: is_up(link(seen)))
        before, old = logins(real), watch.connection("sese")
        await real.drop()
        async with asyncio.timeout(8):
            await old.wait_closed()
        connection = await watch.connected("sese", 8)
        assert connection is not old
        assert logins(real) == before + 1
        await real.stop()  # the session lives on, as with any upgrade of the package
        await real.start()
        assert (await connection.run(["echo", "here"])).text == "here\n"
        await real.stop()
        connection.ssh.abort()
        snapshot = await until(watch, lambda seen: link(seen).state is HostState.OFFLINE)
        assert link(snapshot).step == "tcp" and "port" in link(snapshot).remedy
        with pytest.raises(HostUnreachable):
            watch.connection("sese")
        await real.start()
        await until(watch, lambda seen: is_up(link(seen)))


@needs_sshd
@pytest.mark.parametrize("most", [1, 2])
async def test_too_few_sessions_are_a_degraded_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr("vpai_tui.remote.connection.OPEN_TIMEOUT_S", 0.5)
    engine = FleetEngine(tmp_path / "bin")
    engine.put("w1", "web")
    async with sshd(tmp_path / "sshd", f"MaxSessions {most}\nLogLevel VERBOSE") as server:
        host = replace(server.host(known(server, tmp_path)), sudo=False, docker=str(engine.path / "docker"))
        async with watching(sese=host) as watch:
            snapshot = await until(watch, lambda seen: link(seen).state is HostState.DEGRADED)
            told = link(snapshot)
            assert told.step in ("docker", "compose", "metrics")
            assert "no more channels" in told.error and "MaxSessions" in told.remedy
            connection = watch.connection("sese")
            tried = len(connection.log)
            await asyncio.sleep(1.0)
            assert len(connection.log) - tried <= 4, "asked again in growing intervals"
            assert watch.connection("sese") is connection and logins(server) == 1


async def test_sudo_that_asks_for_a_password_all_at_once(quick: None, tmp_path: Path, keys: Keys) -> None:
    engine = FleetEngine(tmp_path / "bin")
    engine.put("w1", "web")
    sudo = engine.path / "sudo"
    sudo.write_text('#!/bin/sh\nshift\nexec "$@"\n')
    sudo.chmod(0o755)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serve(tmp_path / "host", keys, path=str(engine.path)))
        watch = await stack.enter_async_context(watching(sese=replace(server.host(), sudo=True)))
        await until(watch, lambda seen: link(seen).state is HostState.READY)
        sudo.write_text("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
        server.drop()
        snapshot = await until(
            watch, lambda seen: link(seen).state is HostState.DEGRADED and link(seen).step == "docker"
        )
        assert "sudo" in link(snapshot).error and "NOPASSWD" in link(snapshot).remedy
        first = snapshot.host("sese").metrics
        snapshot = await until(watch, lambda seen: seen.host("sese").metrics is not first)
        assert snapshot.host("sese").live, "what needs no rights goes on"
        docker = snapshot.host("sese").docker
        assert docker is not None and docker.error


# -- the others are not kept waiting


async def test_hosts_that_hang_take_nothing_from_the_one_that_answers(quick: None, tmp_path: Path, keys: Keys) -> None:
    """Deterministic: whatever two hosts leave unanswered for ever, the third's events arrive, on a loop whose own
    threads are all there are."""
    engine = FleetEngine(tmp_path / "bin")
    engine.put("w1", "web")
    silent = FleetEngine(tmp_path / "silent")
    (silent.path / "docker").write_text("#!/bin/sh\nexec sleep 600\n")
    async with (
        serve(tmp_path / "good", keys, path=str(engine.path)) as good,
        serve(tmp_path / "bad", keys, path=str(silent.path)) as bad,
        watching(sese=good.host(), pi=bad.host(), seko=bad.host()) as watch,
    ):
        await until(watch, lambda seen: seen.host("sese").containers and is_up(link(seen, "pi")))
        hung = [asyncio.create_task(_call(watch, name, number)) for name in ("pi", "seko") for number in range(40)]
        for number in range(5):
            engine.put(f"n{number}", "web")
            engine.say("create", f"n{number}", time.time())
            await until(watch, lambda seen, n=number: any(it.id == f"n{n}" for it in seen.host("sese").containers))
        assert not any(task.done() for task in hung)
        for task in hung:
            task.cancel()
        await asyncio.gather(*hung, return_exceptions=True)


async def _call(watch: FleetWatch, host: str, number: int) -> None:
    from vpai_tui.remote.docker import Docker

    docker = Docker(watch.connection(host))
    try:
        if number % 2:
            await docker.call("containers")
        async for _ in docker.iterate("events"):
            pass
    finally:
        await docker.close()
