"""Hosts and engines that answer nonsense, too much, or without end: each a clear error, none unbounded or obeyed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from corpus_cases import is_safe
from hostile_text import HOSTILE, MARK
from vpai_tui import config
from vpai_tui.errors import CommandFailed, HostUnreachable, LinkLost, OperatorError
from vpai_tui.remote import channel, connection, dial
from vpai_tui.remote.connection import Connection, connect
from vpai_tui.remote.docker import Docker

from .hosts import Keys, SshHost, serve

# Answers `_ping`, then what the file `answer` holds; with a file `endless` beside it, that again and again.
DOCKER = """#!{python} -SE
import os, sys
here = os.path.dirname(sys.argv[0])
while True:
    request = b""
    while b"\\r\\n\\r\\n" not in request:
        part = os.read(0, 65536)
        if not part:
            sys.exit()
        request += part
    if b"/_ping" in request:
        os.write(1, b"HTTP/1.1 200 OK\\r\\nApi-Version: 1.43\\r\\nContent-Length: 0\\r\\n\\r\\n")
        continue
    out = sys.stdout.buffer
    out.write(open(here + "/answer", "rb").read())
    out.flush()
    if os.path.exists(here + "/endless"):
        block = open(here + "/endless", "rb").read()
        while True:
            out.write(block)
    sys.exit()
"""


@pytest.fixture
def bin_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "docker").write_text(DOCKER.format(python=sys.executable))
    (folder / "docker").chmod(0o755)
    return folder


@pytest.fixture
async def server(tmp_path: Path, keys: Keys, bin_dir: Path) -> AsyncIterator[SshHost]:
    async with serve(tmp_path / "host", keys, path=str(bin_dir)) as running:
        yield running


@pytest.fixture
async def docker(conn: Connection) -> AsyncIterator[Docker]:
    made = Docker(conn)
    yield made
    await made.close()


def safe_error(error: OperatorError) -> bool:
    return all(is_safe(text) for text in (str(error), error.message, error.output, error.remedy))


# ── engines ──────────────────────────────────────────────────────────────────────────────────────────────────────────

JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = JSON + b"Transfer-Encoding: chunked\r\n\r\n"
MESSAGE = b'{"message": "\\u001b]52;c;eA==\\u0007 \\u009b31m"}'


def with_body(body: bytes, head: bytes = JSON) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


ANSWERS = {
    "HTML": with_body(b"<html>\x1b[31mNot here</html>"),
    "no HTTP": HOSTILE.encode() + b"\r\n\r\n",
    "nothing": b"",
    "500 with a hostile body": with_body(HOSTILE.encode(), b"HTTP/1.1 500 \x1b[31mNo\r\n"),
    "500 with hostile JSON": with_body(MESSAGE, b"HTTP/1.1 500 No\r\nContent-Type: application/json\r\n"),
    "cut JSON": with_body(b'[{"Id": "abc'),
    "fewer bytes than told": JSON + b"Content-Length: 999\r\n\r\n[]",
    "a chunk of no length": CHUNKED + b"zz\r\n[]\r\n",
    "a header without end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
    "a thousand headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
    "nested too deeply": with_body(b"[" * 60_000),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_an_engine_that_answers_nonsense_is_an_error_in_words(
    docker: Docker, bin_dir: Path, answer: bytes
) -> None:
    (bin_dir / "answer").write_bytes(answer)
    with pytest.raises(OperatorError) as caught:
        await docker.call("containers")
    assert caught.value.host == "box"
    assert safe_error(caught.value), caught.value


@pytest.mark.parametrize("start", [JSON + b"\r\n[", CHUNKED], ids=["body", "chunks"])
async def test_an_answer_without_end_is_given_up(
    docker: Docker, bin_dir: Path, monkeypatch: pytest.MonkeyPatch, start: bytes
) -> None:
    monkeypatch.setattr(dial, "OUTPUT_LIMIT", 1 << 20)
    (bin_dir / "answer").write_bytes(start)
    (bin_dir / "endless").write_bytes(b"10000\r\n" + b" " * 65536 + b"\r\n" if start is CHUNKED else b" " * 65536)
    with pytest.raises(OperatorError, match="has no end: more than 1 MiB"):
        await docker.call("containers")


async def test_an_event_without_end_is_given_up_and_many_events_are_not(
    docker: Docker, bin_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "OUTPUT_LIMIT", 1 << 20)
    (bin_dir / "answer").write_bytes(CHUNKED)
    event = b'{"n": "%s"}\n' % (b"x" * 30_000)
    (bin_dir / "endless").write_bytes(b"%x\r\n%s\r\n" % (len(event), event))
    async with aclosing(docker.iterate("events", decode=True)) as events:
        seen = [event async for event, _ in _with(events, range(100))]
    assert len(seen) == 100  # three times what one answer may have
    (bin_dir / "endless").write_bytes(b"10000\r\n" + b" " * 65536 + b"\r\n")
    with pytest.raises(OperatorError, match="has no end"):
        async with aclosing(docker.iterate("events", decode=True)) as events:
            async for _ in events:
                pass


async def _with(items: AsyncIterator[object], count: range) -> AsyncIterator[tuple[object, int]]:
    for number in count:
        yield await anext(items), number


# ── sshd ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_complaints_without_end_are_kept_to_their_last_lines(conn: Connection) -> None:
    flood = (
        "head -c 3000000 /dev/zero | tr '\\0' x >&2; printf '\\033]52;c;eA==\\007\\nlast \\033[31mwords\\n' >&2; exit 3"
    )
    with pytest.raises(CommandFailed) as caught:
        await conn.run(["sh", "-c", flood])
    assert caught.value.exit_status == 3
    assert caught.value.output.endswith("last [31mwords")
    assert len(caught.value.output) <= channel.STDERR_LIMIT
    assert safe_error(caught.value)


async def test_a_command_ended_by_a_signal_is_no_success(conn: Connection) -> None:
    with pytest.raises((CommandFailed, LinkLost)) as caught:
        await conn.run(["sh", "-c", "kill -9 $$"])
    assert safe_error(caught.value)


async def test_a_command_that_ends_without_a_status_leaves_its_outcome_open(
    conn: Connection, server: SshHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def vanish(process: object) -> None:
        process.stdout.write(b"half")  # type: ignore[attr-defined]
        process.channel.close()  # type: ignore[attr-defined]

    monkeypatch.setattr(server, "_handle", vanish)
    with pytest.raises(LinkLost, match="before the outcome was known"):
        await conn.run(["true"])


async def test_output_without_end_is_given_up(conn: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "OUTPUT_LIMIT", 1 << 20)
    with pytest.raises(OperatorError, match="printed more than 1 MiB"):
        await conn.run(["sh", "-c", "yes"])


async def test_a_line_without_end_comes_in_pieces(conn: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "LINE_LIMIT", 200_000)
    async with conn.stream(["sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x; printf '\\n\\033[31mlast'"]) as lines:
        seen = [line async for line in lines]
    assert b"".join(seen[:-1]) == b"x" * 1_000_000
    assert max(map(len, seen)) < 300_000
    assert seen[-1] == b"\x1b[31mlast"


NO_SSH = {
    "escapes": HOSTILE.encode() + b"\r\n",
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a version with escapes": b"SSH-2.0-\x1b[31mx\r\n" + b"\x00" * 64,
    "a line without end": b"x" * 70_000,
}


@pytest.mark.parametrize("said", NO_SSH.values(), ids=NO_SSH)
async def test_what_is_no_ssh_is_told_in_safe_words(tmp_path: Path, keys: Keys, said: bytes) -> None:
    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()
        writer.close()

    keys.user.write_private_key(str(tmp_path / "id"))
    listening = await asyncio.start_server(speak, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    public = keys.host.export_public_key().decode().strip()
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}\n")
    ssh = config.Ssh(user="op", port=port, key=str(tmp_path / "id"), known_hosts=str(tmp_path / "known_hosts"))
    async with listening:
        with pytest.raises(HostUnreachable) as caught:
            await connect("box", config.Host(addresses=("127.0.0.1",), ssh=ssh))
    assert safe_error(caught.value), repr(caught.value.message)


async def test_a_hostile_goodbye_is_told_in_safe_words(
    conn: Connection, server: SshHost, capfd: pytest.CaptureFixture[str]
) -> None:
    waiting = asyncio.create_task(conn.run(["sleep", "60"]))
    while not server.commands:
        await asyncio.sleep(0.01)
    server.connections[0].disconnect(2, HOSTILE, "en")
    with pytest.raises(LinkLost) as caught:
        await waiting
    assert safe_error(caught.value)
    assert MARK not in "".join(capfd.readouterr())


async def test_a_banner_is_shown_to_nobody(
    tmp_path: Path, keys: Keys, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from . import hosts

    def greet(self: hosts._Server, _user: str) -> bool:
        self.owner.connections[-1].send_auth_banner(HOSTILE.replace("\x00", ""))
        return True

    monkeypatch.setattr(hosts._Server, "begin_auth", greet)
    async with serve(tmp_path / "greets", keys) as greeting:
        made = await connect("box", greeting.host())
        assert (await made.run(["echo", "here"])).text == "here\n"
        await made.close()
    assert MARK not in "".join(capfd.readouterr())
