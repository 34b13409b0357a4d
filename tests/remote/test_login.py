from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from vpai_tui import config
from vpai_tui.errors import HostUnreachable
from vpai_tui.remote import keys as keys_module
from vpai_tui.remote.connection import connect
from vpai_tui.remote.failures import HostKeyProblem, HostRefused
from vpai_tui.remote.hostkeys import HostKeys
from vpai_tui.remote.keys import KeyRing

from .hosts import Keys, serve
from .sshd import SSHD, Sshd, keygen, sshd

pytestmark = pytest.mark.skipif(SSHD is None, reason="no sshd on this machine")


class Answers:
    """Prompts that answer as told and remember what they were asked."""

    def __init__(self, *, accept: bool = True, phrases: tuple[str | None, ...] = ()) -> None:
        self.accept = accept
        self.phrases = list(phrases)
        self.asked: list[tuple[str, ...]] = []

    async def accept_host_key(self, host: str, address: str, fingerprint: str, key_type: str) -> bool:
        self.asked.append((host, address, fingerprint, key_type))
        return self.accept

    async def passphrase(self, key_path: str) -> str | None:
        self.asked.append((key_path,))
        await asyncio.sleep(0.1)
        return self.phrases.pop(0)


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Sshd]:
    async with sshd(tmp_path / "sshd") as running:
        yield running


@pytest.fixture
def known(tmp_path: Path) -> Path:
    return tmp_path / "ssh" / "known_hosts"


@pytest.fixture(autouse=True)
def fresh_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "RING", KeyRing())


def vouch(known: Path, real: Sshd, *addresses: str, hashed: bool = False) -> None:
    known.parent.mkdir(exist_ok=True)
    with known.open("a") as file:
        for address in addresses:
            file.write(f"[{address}]:{real.port} {real.host_key}\n")
    if hashed:
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", known], check=True, stderr=subprocess.DEVNULL)


async def succeeds(host: config.Host, **options: object) -> str:
    connection = await connect("box", host, **options)  # type: ignore[arg-type]
    assert (await connection.run(["echo", "in"])).text == "in\n"
    await connection.close()
    return connection.address


# -- host keys


async def test_unknown_key_without_anyone_to_ask_is_refused(real: Sshd, known: Path) -> None:
    with pytest.raises(HostKeyProblem, match="SHA256:") as caught:
        await connect("box", real.host(known))
    assert (caught.value.step, caught.value.refused) == ("host key", True)
    assert "vpai-tui doctor" in caught.value.remedy
    assert not known.exists()


async def test_accepted_key_is_written_once_for_all_addresses(real: Sshd, known: Path) -> None:
    known.parent.mkdir()
    known.write_text("other.invalid ssh-ed25519 AAAA")  # no newline at its end
    answers = Answers()
    host = real.host(known, "127.0.0.1", "127.0.0.2")
    await succeeds(host, prompts=answers)
    shown = subprocess.run(
        ["ssh-keygen", "-lf", real.folder / "host.pub"], check=True, capture_output=True, text=True
    ).stdout.split()[1]
    assert answers.asked == [("box", "127.0.0.1", shown, "ssh-ed25519")]
    lines = known.read_text().splitlines()
    assert lines == [
        "other.invalid ssh-ed25519 AAAA",
        f"[127.0.0.1]:{real.port},[127.0.0.2]:{real.port} {real.host_key}",
    ]
    await succeeds(host)
    await succeeds(host, prefer="127.0.0.2")


async def test_new_known_hosts_file_is_private_and_openssh_reads_it(real: Sshd, known: Path) -> None:
    await succeeds(real.host(known), prompts=Answers())
    assert known.stat().st_mode & 0o777 == 0o600
    found = subprocess.run(
        ["ssh-keygen", "-F", f"[127.0.0.1]:{real.port}", "-f", known], check=True, capture_output=True, text=True
    )
    assert real.host_key in found.stdout


async def test_declined_key_is_not_written(real: Sshd, known: Path) -> None:
    with pytest.raises(HostKeyProblem, match="not accepted"):
        await connect("box", real.host(known), prompts=Answers(accept=False))
    assert not known.exists()


async def test_hashed_entries_are_understood(real: Sshd, known: Path) -> None:
    vouch(known, real, "127.0.0.1", hashed=True)
    assert "127.0.0.1" not in known.read_text()
    await succeeds(real.host(known))


async def test_key_known_for_one_address_is_trusted_at_another(real: Sshd, known: Path) -> None:
    vouch(known, real, "127.0.0.2")
    assert await succeeds(real.host(known, "127.0.0.1", "127.0.0.2")) == "127.0.0.1"


async def test_changed_key_on_the_primary_is_refused_with_its_line(real: Sshd, known: Path, tmp_path: Path) -> None:
    other = keygen(tmp_path / "other").with_suffix(".pub").read_text()
    known.parent.mkdir()
    known.write_text(f"# mine\n[127.0.0.1]:{real.port} {other}")
    answers = Answers()
    with pytest.raises(HostKeyProblem, match="has changed") as caught:
        await connect("box", real.host(known, "127.0.0.1", "127.0.0.2"), prompts=answers)
    assert f"remove {known}:2 " in caught.value.remedy
    assert answers.asked == []


async def test_changed_key_of_another_type_is_refused_too(real: Sshd, known: Path, tmp_path: Path) -> None:
    other = keygen(tmp_path / "other", kind="ecdsa").with_suffix(".pub").read_text()
    known.parent.mkdir()
    known.write_text(f"[127.0.0.1]:{real.port} {other}")
    with pytest.raises(HostKeyProblem, match="shows ssh-ed25519 SHA256:") as caught:
        await connect("box", real.host(known))
    assert f"remove {known}:1 " in caught.value.remedy


async def test_known_type_is_asked_for_even_behind_an_alias(real: Sshd, known: Path, tmp_path: Path) -> None:
    """The host has two keys; the one we know is not the one ssh would choose by itself."""
    home = Path(os.environ["HOME"]) / ".ssh"
    home.mkdir(parents=True)
    (home / "config").write_text("Host alias\n HostName 127.0.0.1\n")
    second = keygen(tmp_path / "second", kind="ecdsa")
    async with sshd(tmp_path / "two", f"HostKey {second}") as two:
        known.parent.mkdir()
        known.write_text(f"[127.0.0.1]:{two.port} {second.with_suffix('.pub').read_text()}")
        await succeeds(two.host(known, "alias"))


async def test_revoked_key_is_refused(real: Sshd, known: Path) -> None:
    vouch(known, real, "127.0.0.1")
    known.write_text(f"{known.read_text()}@revoked * {real.host_key}\n")
    with pytest.raises(HostKeyProblem, match="revoked"):
        await connect("box", real.host(known))


@pytest.mark.parametrize(
    ("field", "covered"),
    [
        ("10.0.0.1", True),
        ("[10.0.0.1]:804", True),
        ("[10.0.0.1]:805", False),
        ("10.0.0.*", True),
        ("10.0.0.?,!10.0.0.1", False),
        ("other,10.0.0.1", True),
        ("10.0.0.11", False),
        ("|1|bm9uc2Vuc2U", False),
    ],
)
def test_lines_of_known_hosts(tmp_path: Path, keys: Keys, field: str, covered: bool) -> None:
    path = tmp_path / "known"
    path.write_text(f"\n# comment\n{field} {keys.host.export_public_key().decode()}garbage\nx y\n")
    assert bool(HostKeys.read(str(path), ["10.0.0.1"], 804).known) is covered


async def test_stranger_at_a_fallback_address_is_passed_over(tmp_path: Path, keys: Keys, known: Path) -> None:
    async with serve(tmp_path / "a", keys, host_key=keys.other) as stranger:
        known.parent.mkdir()
        known.write_text(f"[127.0.0.3]:{stranger.port} {keys.host.export_public_key().decode()}")
        ssh = config.Ssh(user="op", port=stranger.port, key=str(stranger.root / "id"), known_hosts=str(known))
        answers = Answers()
        host = config.Host(addresses=("127.0.0.3", "127.0.0.1"), ssh=ssh)
        with pytest.raises(HostUnreachable) as caught:
            await connect("box", host, prompts=answers)
    assert "127.0.0.1 is not our host" in caught.value.message
    assert "remove" not in caught.value.remedy
    assert not isinstance(caught.value, HostRefused)
    assert answers.asked == []
    assert stranger.offered == []  # it was not even shown our key


# -- addresses


async def test_addresses_are_tried_in_order_and_steps_are_told(real: Sshd, known: Path) -> None:
    vouch(known, real, "127.0.0.1")
    steps: list[tuple[str, str]] = []
    host = real.host(known, "127.0.0.9", "127.0.0.1")
    assert await succeeds(host, on_step=lambda step, address: steps.append((step, address))) == "127.0.0.1"
    assert steps == [("tcp", "127.0.0.9"), *((step, "127.0.0.1") for step in ("tcp", "host key", "auth"))]


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


async def test_silence_after_tcp_ends_the_login(silent: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vpai_tui.remote.login.LOGIN_TIMEOUT_S", 1.0)
    ssh = config.Ssh(user="op", port=silent, known_hosts=str(tmp_path / "none"))
    started = time.monotonic()
    with pytest.raises(HostUnreachable) as caught:
        await connect("box", config.Host(addresses=("127.0.0.1",), ssh=ssh))
    assert caught.value.step == "host key"
    assert 0.9 < time.monotonic() - started < 3


async def test_nobody_at_home_and_unknown_name(tmp_path: Path, real: Sshd, known: Path) -> None:
    with pytest.raises(HostUnreachable) as caught:
        await connect("box", real.host(known, "127.0.0.9"))
    assert (caught.value.step, type(caught.value)) == ("tcp", HostUnreachable)
    with pytest.raises(HostUnreachable) as caught:
        await connect("box", real.host(known, "nowhere.invalid"))
    assert caught.value.step == "resolve"


# -- users and keys


async def test_wrong_user_and_wrong_key_are_refused_with_a_remedy(real: Sshd, known: Path, tmp_path: Path) -> None:
    vouch(known, real, "127.0.0.1")
    wrong = keygen(tmp_path / "wrong")
    for ssh in ({"user": "nobody-here"}, {"key": str(wrong)}):
        with pytest.raises(HostRefused) as caught:
            await connect("box", real.host(known, **ssh))
        assert caught.value.step == "auth"
        assert "hosts.box.ssh.user" in caught.value.remedy


async def test_missing_and_broken_key_files(real: Sshd, known: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("no key")
    for path, message in ((tmp_path / "gone", "does not exist"), (broken, "cannot be read")):
        with pytest.raises(HostRefused, match=message) as caught:
            await connect("box", real.host(known, key=str(path)))
        assert caught.value.remedy


async def test_tilde_in_the_key_path(real: Sshd, known: Path, tmp_path: Path) -> None:
    vouch(known, real, "127.0.0.1")
    home = Path(os.environ["HOME"])
    (home / ".ssh").mkdir(parents=True)
    real.key.rename(home / ".ssh" / "mine")
    await succeeds(real.host(known, key="~/.ssh/mine"))


def _encrypted(real: Sshd, tmp_path: Path) -> Path:
    path = keygen(tmp_path / "locked", passphrase="open sesame")
    (real.folder / "authorized").write_text(path.with_suffix(".pub").read_text())
    return path


async def test_passphrase_is_asked_once_for_many_hosts(real: Sshd, known: Path, tmp_path: Path) -> None:
    vouch(known, real, "127.0.0.1")
    path = _encrypted(real, tmp_path)
    answers = Answers(phrases=("wrong", "open sesame"))
    host = real.host(known, key=str(path))
    await asyncio.gather(*(succeeds(host, prompts=answers) for _ in range(3)))
    await succeeds(host)
    assert answers.asked == [(str(path),)] * 2


async def test_encrypted_key_nobody_opens(real: Sshd, known: Path, tmp_path: Path) -> None:
    host = real.host(known, key=str(_encrypted(real, tmp_path)))
    for prompts, message in (
        (None, "nobody can be asked"),
        (Answers(phrases=(None,)), "no passphrase"),
        (Answers(phrases=("hunter2",) * 3), "wrong 3 times"),
    ):
        with pytest.raises(HostRefused, match=message) as caught:
            await connect("box", host, prompts=prompts)
        assert "ssh-add" in caught.value.remedy
        assert "hunter2" not in repr(caught.value.__dict__) + str(caught.value)


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    path = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as process:
        while not path.exists():
            time.sleep(0.05)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        yield
        process.terminate()


async def test_agent_lends_the_configured_key_and_no_other(
    agent: None, real: Sshd, known: Path, tmp_path: Path
) -> None:
    """With more keys in the agent than sshd lets anyone try."""
    vouch(known, real, "127.0.0.1")
    path = _encrypted(real, tmp_path)
    for number in range(8):
        subprocess.run(["ssh-add", "-q", keygen(tmp_path / f"key{number}")], check=True)
    askpass = tmp_path / "askpass"
    askpass.write_text("#!/bin/sh\necho open sesame\n")
    askpass.chmod(0o755)
    env = {**os.environ, "SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": "x"}
    subprocess.run(["ssh-add", "-q", path], check=True, env=env, stdin=subprocess.DEVNULL)
    await succeeds(real.host(known, key=str(path)))
    path.unlink()  # the public half is enough
    await succeeds(real.host(known, key=str(path)))


# -- ~/.ssh/config and sshd's limits


async def test_ssh_config_aliases_identities_and_jumps(real: Sshd, known: Path, tmp_path: Path) -> None:
    home = Path(os.environ["HOME"]) / ".ssh"
    home.mkdir(parents=True)
    vouch(home / "known_hosts", real, "127.0.0.1")
    async with sshd(tmp_path / "far") as far:
        vouch(known, far, "127.0.0.2")
        (home / "config").write_text(
            f"Host jump\n HostName 127.0.0.1\n Port {real.port}\n IdentityFile {real.key}\n"
            f"Host far.example\n HostName 127.0.0.2\n IdentityFile {far.key}\n ProxyJump jump\n"
        )
        ssh = config.Ssh(user=far.host(known).ssh.user, port=far.port, known_hosts=str(known))
        await succeeds(config.Host(addresses=("far.example",), ssh=ssh))


async def test_more_commands_than_sshd_lets_in_at_once_all_run(tmp_path: Path, known: Path) -> None:
    async with sshd(tmp_path / "few", "MaxSessions 4") as few:
        vouch(known, few, "127.0.0.1")
        connection = await connect("box", few.host(known))
        done = await asyncio.gather(*(connection.run(["sh", "-c", "sleep 0.2; echo x"]) for _ in range(12)))
        assert [one.stdout for one in done] == [b"x\n"] * 12
        await connection.close()


async def test_forwarding_forbidden_by_sshd_is_noticed(tmp_path: Path, known: Path) -> None:
    from vpai_tui.remote.http import http_bridge

    for setting, bridge in (("AllowTcpForwarding no", "bash"), ("AllowTcpForwarding yes", "direct-tcpip")):
        async with sshd(tmp_path / setting.split()[1], setting) as running:
            vouch(known, running, "127.0.0.1")
            connection = await connect("box", running.host(known))
            assert await http_bridge(connection) == bridge
            await connection.close()
