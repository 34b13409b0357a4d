"""The laptop's journal keeps whole lines, no secrets, and survives what others write into it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.clock import SystemClock
from vpai_tui.deploy.deployer import Deployer
from vpai_tui.errors import CommandFailed, HostUnreachable, LinkLost, OperatorError, PreflightRefused
from vpai_tui.fleet.history import Entry, History
from vpai_tui.fleet.operation import Event, Finished, Journaled, Outcome, RunnerStarted
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.failures import NoAnswer


def entry(**changed: str) -> Entry:
    base = {
        "at": "2026-02-26T23:04:00Z",
        "by": "me@laptop",
        "host": "sese",
        "what": "deploy",
        "subject": "sese/apps",
        "result": "committed",
        "detail": "",
    }
    return Entry(**{**base, **changed})


def test_entries_come_back_in_order(tmp_path: Path) -> None:
    history = History(tmp_path / "state" / "history.jsonl")
    history.append(entry(subject="sese/infra"))
    history.append(entry(subject="sese/apps"))
    found, bad = history.read()
    assert [item.subject for item in found] == ["sese/infra", "sese/apps"]
    assert bad == 0


def test_only_the_last_are_told(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    for number in range(5):
        history.append(entry(detail=str(number)))
    assert [item.detail for item in history.read(2)[0]] == ["3", "4"]


def test_no_secret_and_no_escape_sequence_is_written(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    history.append(entry(detail="POSTGRES_PASSWORD=hunter2hunter2 \x1b]52;c;AAAA\x07 next\nline"))
    raw = history.path.read_text()
    assert "hunter2" not in raw
    assert "\\u001b" not in raw
    assert len(raw.splitlines()) == 1


def test_the_file_is_the_operators_alone(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    history.append(entry())
    assert history.path.stat().st_mode & 0o777 == 0o600


def test_a_journal_that_cannot_be_written_is_told_not_raised(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    history = History(tmp_path / "state" / "history.jsonl")
    assert "could not be written" in history.append(entry())
    assert history.problem
    (tmp_path / "state").unlink()
    assert history.append(entry()) == history.problem == ""


class Recorder(Deployer):
    """A deployer without a fleet."""

    def __init__(self, history: History) -> None:
        async def nobody(host: str) -> Connection:
            raise HostUnreachable("nobody", host=host)

        super().__init__((), nobody, nobody, lambda _: None, SystemClock(), history)  # type: ignore[arg-type,return-value]


async def story(*events: Event, then: OperatorError | None = None) -> AsyncIterator[Event]:
    for event in events:
        yield event
    if then is not None:
        raise then


STARTED = RunnerStarted("2026-02-26T23:04:00Z", "r2")
FINISHED = Finished("2026-02-26T23:04:09Z", Outcome.COMMITTED, "r2")


@pytest.mark.parametrize(
    ("told", "then", "result"),
    [
        ([STARTED, FINISHED], None, "committed"),
        ([], PreflightRefused("an image is gone"), "refused"),
        ([STARTED], LinkLost("gone"), "unknown"),
        ([STARTED], CommandFailed("docker is gone", exit_status=1), "unknown"),
    ],
)
async def test_every_end_is_recorded_once(
    tmp_path: Path, told: list[Event], then: OperatorError | None, result: str
) -> None:
    history = History(tmp_path / "history.jsonl")
    try:
        seen = [item async for item in Recorder(history)._recorded(story(*told, then=then), "deploy", "sese/apps")]
        assert seen == told
    except OperatorError as error:
        assert error is then
    assert [item.result for item in history.read()[0]] == [result]


@pytest.mark.parametrize("lost", [LinkLost("gone; the host goes on"), NoAnswer("no answer in 60 s")])
async def test_a_link_lost_before_the_runner_could_begin_leaves_nothing_unknown(tmp_path: Path, lost: LinkLost) -> None:
    history = History(tmp_path / "history.jsonl")
    events = Recorder(history)._recorded(story(then=lost), "deploy", "sese/apps")
    with pytest.raises(HostUnreachable) as caught:
        await anext(events)
    assert caught.value.exit_code == HostUnreachable.exit_code != LinkLost.exit_code
    assert "nothing was changed" in caught.value.remedy
    assert [item.result for item in history.read()[0]] == ["failed"]


async def test_who_leaves_after_the_runner_started_leaves_an_unknown_end(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    events = Recorder(history)._recorded(story(STARTED, FINISHED), "deploy", "sese/apps")
    assert await anext(events) is STARTED
    await events.aclose()
    (left,) = history.read()[0]
    assert left.result == "unknown"
    assert "r2" in left.detail


async def test_an_outcome_is_told_though_it_cannot_be_recorded(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    recorder = Recorder(History(tmp_path / "state" / "history.jsonl"))
    seen = [item async for item in recorder._recorded(story(STARTED, FINISHED), "deploy", "sese/apps")]
    assert seen[-1] is FINISHED
    assert isinstance(seen[-2], Journaled)
    assert "could not be written" in seen[-2].detail


async def test_sync_that_cannot_be_learnt_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: object, **__: object) -> None:
        raise PreflightRefused("an env file is missing")

    monkeypatch.setattr("vpai_tui.deploy.deployer.compared_with_host", refused)
    with pytest.raises(PreflightRefused, match="env file"):
        await Recorder(History(tmp_path / "h")).sync_of(None, None)  # type: ignore[arg-type]


@given(st.binary(max_size=200))
def test_foreign_bytes_are_counted_not_raised(tmp_path_factory, noise: bytes) -> None:  # type: ignore[no-untyped-def]
    history = History(tmp_path_factory.mktemp("h") / "history.jsonl")
    history.append(entry())
    with history.path.open("ab") as file:
        file.write(noise)
    found, _ = history.read()
    assert found[0] == entry()
