"""The demo's hosts: what a login can reach and cannot, what happens to commands when the link goes."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest

from vpai_tui import demo
from vpai_tui.demo import DemoFleet
from vpai_tui.demo.servers import MAX_SESSIONS

LAPTOPS_OWN = {"DOCKER_HOST": "tcp://127.0.0.1:1", "SSH_AUTH_SOCK": "/nowhere", "VPAI_TEST_MARK": "laptop"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One demo for all tests of this file: its state persists from one to the next."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture
async def fleet(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DemoFleet]:
    for name, value in LAPTOPS_OWN.items():
        monkeypatch.setenv(name, value)
    async with demo.start(folder) as running:
        yield running


async def login(fleet: DemoFleet, host: str = "sese", **how: object) -> asyncssh.SSHClientConnection:
    known = fleet.fleet.hosts[host]
    options = {"username": known.ssh.user, "client_keys": [known.ssh.key], **how}
    return await asyncssh.connect(
        "127.0.0.1", known.ssh.port, known_hosts=known.ssh.known_hosts, config=[], agent_path=None, **options
    )


@pytest.fixture
async def shell(fleet: DemoFleet) -> AsyncIterator[asyncssh.SSHClientConnection]:
    async with await login(fleet) as connection:
        yield connection


async def out(connection: asyncssh.SSHClientConnection, command: str) -> str:
    done = await connection.run(command, check=True)
    assert isinstance(done.stdout, str)
    return done.stdout.strip()


WAYS = (
    "sh -c '{}'",
    "sudo -n sh -c '{}'",
    "env sh -c '{}'",
    "sudo -n env -i PATH=/usr/bin:/bin HOME=/root sh -c '{}'",
    "sudo -n /usr/bin/env /bin/sh -c '{}'",
)


@pytest.mark.parametrize("way", WAYS)
async def test_docker_and_sudo_are_the_hosts_own(
    fleet: DemoFleet, shell: asyncssh.SSHClientConnection, way: str
) -> None:
    folder = str(fleet.home("sese") / "bin")
    for name in ("docker", "sudo", "env", "date"):
        assert await out(shell, way.format(f"command -v {name}")) == f"{folder}/{name}"


@pytest.mark.parametrize("way", WAYS)
async def test_nothing_of_the_laptop_shows(fleet: DemoFleet, shell: asyncssh.SSHClientConnection, way: str) -> None:
    told = await out(shell, way.format("printenv"))
    seen = dict(line.split("=", 1) for line in told.splitlines())
    assert not set(LAPTOPS_OWN) & set(seen)
    assert seen["PATH"] == str(fleet.home("sese") / "bin")
    assert Path(seen["HOME"]).is_relative_to(fleet.home("sese"))
    assert os.environ["HOME"] not in told


async def test_only_shims_and_harmless_tools_are_on_the_path(fleet: DemoFleet) -> None:
    folder = fleet.home("sese") / "bin"
    here = {path.name for path in folder.iterdir()}
    assert {"sh", "docker", "sudo", "flock", "setsid", "timeout", "awk", "sed", "tar"} <= here
    assert not here & {"bash", "ssh", "wget", "python3", "perl", "socat", "mount", "su"}
    for shown in ("systemctl", "ss", "sshd", "ip", "ufw", "fail2ban-client", "cscli", "du", "journalctl"):
        assert not (folder / shown).is_symlink(), f"{shown} would be this machine's own"
    for name in ("docker", "sudo", "env", "nc", "curl"):
        assert not (folder / name).is_symlink()


async def test_the_laptops_docker_is_not_reached_by_its_path_either(shell: asyncssh.SSHClientConnection) -> None:
    real = shutil.which("docker") or "/usr/bin/docker"
    assert await out(shell, f"sudo -n {real} ps -q --filter name=redis")
    done = await shell.run("sudo -n /usr/sbin/nothing-such")
    assert done.exit_status == 127


async def test_roots_shell_says_root(shell: asyncssh.SSHClientConnection) -> None:
    assert await out(shell, "id -u") == "1000"
    assert await out(shell, "sudo -n id -un") == "root"
    assert await out(shell, "sudo -n env -i PATH=/bin id -u") == "0"
    assert await out(shell, "stat -c '%a %U' ../../opt/vpai/configs/n8n/n8n.env") == "600 root"


async def test_only_the_key_of_this_run_is_taken(fleet: DemoFleet) -> None:
    key = Path(str(fleet.fleet.hosts["sese"].ssh.key))
    assert key.stat().st_mode & 0o777 == 0o600
    with pytest.raises(asyncssh.PermissionDenied):
        await login(fleet, client_keys=[asyncssh.generate_private_key("ssh-ed25519")])
    with pytest.raises(asyncssh.PermissionDenied):
        await login(fleet, username="root")


async def test_the_port_is_on_loopback_only(fleet: DemoFleet) -> None:
    for server in fleet.servers.values():
        assert server.up
        acceptor = server._acceptor
        assert acceptor is not None
        assert {address[0] for address in acceptor.get_addresses()} == {"127.0.0.1"}


async def test_no_forwarding_and_no_eleventh_session(shell: asyncssh.SSHClientConnection) -> None:
    with pytest.raises(asyncssh.ChannelOpenError):
        await shell.open_connection("127.0.0.1", 22)
    waiting = [await shell.create_process("cat") for _ in range(MAX_SESSIONS)]
    with pytest.raises(asyncssh.ChannelOpenError):
        await shell.run("true")
    waiting[0].stdin.write_eof()
    await waiting[0].wait()
    assert await out(shell, "echo again") == "again"
    for process in waiting[1:]:
        process.stdin.write_eof()
        await process.wait()


async def test_streams_status_and_signals(shell: asyncssh.SSHClientConnection) -> None:
    done = await shell.run("cat; echo bad >&2; exit 7", input="fed\n" * 5000)
    assert done.stdout == "fed\n" * 5000 and done.stderr == "bad\n" and done.exit_status == 7
    killed = await shell.run("kill -9 $$")
    assert killed.exit_signal is not None and killed.exit_signal[0] == "KILL"


async def test_a_command_dies_with_its_channel_and_a_detached_one_does_not(fleet: DemoFleet) -> None:
    home = fleet.home("sese") / "home" / "mobuone"
    async with await login(fleet) as connection:
        process = await connection.create_process(
            "echo $$ >pid; setsid sh -c ': >begun; sleep 1; : >detached' </dev/null >/dev/null 2>&1 & sleep 60"
        )
        while not (home / "begun").exists():
            await asyncio.sleep(0.2)
        process.close()
    pid = int((home / "pid").read_text())
    async with asyncio.timeout(10):
        while Path(f"/proc/{pid}").exists() or not (home / "detached").exists():
            await asyncio.sleep(0.2)


async def test_cut_and_heal(fleet: DemoFleet) -> None:
    connection = await login(fleet, "pi")
    running = asyncio.create_task(connection.run("sleep 60"))
    await asyncio.sleep(0.2)
    port = fleet.servers["pi"].port
    await fleet.cut("pi")
    async with asyncio.timeout(5):
        await connection.wait_closed()
    assert (await running).exit_status is None
    with pytest.raises(OSError):
        await login(fleet, "pi")
    async with await login(fleet, "sese") as other:
        assert await out(other, "hostname") == "sese"
    await fleet.heal("pi")
    assert fleet.servers["pi"].port == port
    async with await login(fleet, "pi") as again:
        assert await out(again, "uname -nm") == "pi aarch64"
