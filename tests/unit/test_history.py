"""The laptop's journal keeps whole lines, no secrets, and survives what others write into it."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.fleet.history import Entry, History


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


@given(st.binary(max_size=200))
def test_foreign_bytes_are_counted_not_raised(tmp_path_factory, noise: bytes) -> None:  # type: ignore[no-untyped-def]
    history = History(tmp_path_factory.mktemp("h") / "history.jsonl")
    history.append(entry())
    with history.path.open("ab") as file:
        file.write(noise)
    found, _ = history.read()
    assert found[0] == entry()
