"""An apply of records whose link breaks: how long it is followed, by which connections, and what is read whole."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from vpai_tui import config
from vpai_tui.clock import SystemClock
from vpai_tui.errors import HostUnreachable, LinkLost, OperatorError
from vpai_tui.fleet.operation import Event, Finished, Journaled, Outcome
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.failures import HostRefused
from vpai_tui.remote.files import FILE_LIMIT
from vpai_tui.vpn.dns import apply
from vpai_tui.vpn.dns.apply import Order, Run
from vpai_tui.vpn.files import read_host_file
from vpai_tui.vpn.hub import Hub


class Done:
    def __init__(self, status: int, stdout: bytes) -> None:
        self.exit_status, self.stdout = status, stdout


class Link:
    """A connection that tells some lines of the journal and breaks then; commands run here."""

    name = "here"
    host = config.Host(addresses=("127.0.0.1",), ssh=config.Ssh(user="me"))

    def __init__(self, *lines: str) -> None:
        self.lines = lines
        self.closed = 0

    async def run(self, argv: Sequence[str], **_: object) -> Done:
        done = subprocess.run(argv, capture_output=True, timeout=30)
        return Done(done.returncode, done.stdout)

    @asynccontextmanager
    async def stream(self, *_: object, **__: object) -> AsyncIterator[AsyncIterator[bytes]]:
        yield self._told()

    async def _told(self) -> AsyncIterator[bytes]:
        for line in self.lines:
            yield line.encode()
        raise LinkLost("cut", host="here")

    async def close(self) -> None:
        self.closed += 1


def line(event: str, detail: str = "-") -> str:
    return f"t\t{event}\t-\t{detail}"


async def followed(first: Link, *later: Link | OperatorError) -> tuple[list[Event], int]:
    """The events of an apply whose links are these, one after the other and the last for ever; how many were asked."""
    asked = 0

    async def fresh() -> Connection:
        nonlocal asked
        asked += 1
        given = later[min(asked, len(later)) - 1]
        if isinstance(given, OperatorError):
            raise given
        return given  # type: ignore[return-value]

    run = Run(first, "r2", "me", SystemClock(), fresh)  # type: ignore[arg-type]
    hub = Hub("here", None, "c", "headscale", True, None, "/etc/headscale/config.yaml")
    order = Order(hub, "/x/config.yaml", hub.inside, b"", "h", restart=True)
    return [event async for event in run.apply(order)], asked


@pytest.mark.parametrize("refused", [True, False])
async def test_a_host_that_refuses_is_not_asked_again(monkeypatch: pytest.MonkeyPatch, refused: bool) -> None:
    monkeypatch.setattr(apply, "RECONNECT_WITHIN_S", 2.0)
    kind = HostRefused if refused else HostUnreachable
    first = Link(line("begin"))
    events, asked = await followed(first, kind("no such key", host="here", step="auth"))
    end = events[-1]
    assert isinstance(end, Finished) and end.outcome is Outcome.UNKNOWN
    assert end.reason.startswith("no such key; the host goes on by itself")
    assert asked == (1 if refused else 3), "0, 0.5 and 1.5 s; each is a login that counts"
    assert first.closed == 0, "the first connection is somebody else's"


async def test_a_link_that_breaks_without_news_is_not_tried_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "RECONNECT_WITHIN_S", 2.0)
    silent = Link()
    events, asked = await followed(Link(line("begin")), silent)
    assert isinstance(events[-1], Finished) and events[-1].outcome is Outcome.UNKNOWN
    assert (asked, silent.closed) == (3, 3)


async def test_news_renews_the_patience_and_every_link_that_was_opened_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(apply, "RECONNECT_WITHIN_S", 0.1)  # less than one pause: only news lets it try again
    links = [Link(line("checked")), Link(line("tested"), line("kept")), Link(line("finished", "committed 0"))]
    events, asked = await followed(Link(line("begin")), *links)
    told = [event.what for event in events if isinstance(event, Journaled)]
    assert told == ["begin", "link_lost", "checked", "link_lost", "tested", "kept", "link_lost"]
    assert isinstance(events[-1], Finished) and events[-1].outcome is Outcome.COMMITTED
    assert (asked, [link.closed for link in links]) == (3, [1, 1, 1])


def test_an_apply_lets_go_of_old_runs_but_not_of_one_that_is_unsettled(tmp_path: Path) -> None:
    home = tmp_path / "deploy/dns"
    for number in range(10, 24):
        (home / str(number)).mkdir(parents=True)
    (home / "pending").symlink_to("11")
    link = Link()
    link.host = config.Host(addresses=("127.0.0.1",), ssh=config.Ssh(user="me"), root=str(tmp_path))
    run = Run(link, "24", "me", SystemClock(), lambda: pytest.fail("no new link"))  # type: ignore[arg-type]
    command = run._install(f"{tmp_path}/deploy/bin/run.sh", b"#", "apply")
    subprocess.run(["sh", "-euc", command], input=b"#new", check=True, timeout=30)
    kept = sorted(path.name for path in home.iterdir() if path.name.isdigit())
    assert kept == ["11", *(str(number) for number in range(15, 25))]
    (home / "pending").unlink()
    subprocess.run(["sh", "-euc", command], input=b"#new", check=True, timeout=30)
    assert not (home / "11").exists()


async def test_a_file_is_read_whole_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"x" * FILE_LIMIT)
    found = await read_host_file(Link(), str(path))  # type: ignore[arg-type]
    assert (len(found.content), found.written_at is not None) == (FILE_LIMIT, True)
    path.write_bytes(b"x" * (FILE_LIMIT + 1))
    with pytest.raises(OperatorError, match="larger than 8 MiB"):
        await read_host_file(Link(), str(path))  # type: ignore[arg-type]
