"""Lines and answers made to do harm: they look odd, no more. None ends a tail, stalls a screen or drives a terminal."""

from __future__ import annotations

import json

import pytest

from vpai_tui.errors import UsageError
from vpai_tui.logs import wire
from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.fields import folded
from vpai_tui.logs.model import Entry, Level, Line, Source
from vpai_tui.logs.save import document
from vpai_tui.logs.view import Filter, View

DEEP = b"[" * 100_000 + b"]" * 100_000
LABELS = (("container", "caddy"),)


@pytest.mark.parametrize(
    "line", [b'{"level":' + DEEP + b"}", b'{"other":' + DEEP + b"}", b'{"level":' + DEEP[:100_000]]
)
def test_a_line_nested_without_end_is_a_line(line: bytes) -> None:
    (came,) = Buffer().add([Entry(1, LABELS, line)])
    assert came.level is Level.UNKNOWN
    assert folded(line).kind == "text"


@pytest.mark.parametrize("line", ["a=" * 100_000 + '"', "a@" * 100_000 + '="', 'a="' * 70_000, "a=\\" * 70_000 + '"'])
def test_a_line_that_is_nearly_logfmt_is_read_once(line: str) -> None:
    # Looked through from each of its letters it would take hours: this test then never ends.
    assert folded(line.encode()).kind == "text"


def test_labels_and_fields_reach_a_terminal_clean_and_masked() -> None:
    line = Line(
        1,
        (("container", "a\x9b31m\u202e\x1b]0;x\x07"), ("db_password", "hunter two")),
        b'msg="up" token="one two" port=80',
        Level.INFO,
        meta={"k\x9b": "v\u2028w", "detected_level": "info", "api_key": "three four"},
    )
    told = document(line, Source("a"))
    assert told["labels"] == {"container": "a31m]0;x", "db_password": "•••"}
    assert told["fields"] == {"k": "vw", "api_key": "•••", "token": "•••", "port": "80"}
    assert json.dumps(told, ensure_ascii=False).isprintable()


@pytest.mark.parametrize("ns", ["9" * 20, "-1", "9" * 5000, "soon"])
def test_a_time_that_nothing_holds_is_a_strange_answer(ns: str) -> None:
    body = {"data": {"resultType": "streams", "result": [{"stream": {}, "values": [[ns, "x"]]}]}}
    with pytest.raises(wire.Strange):
        wire.Reader().lines(json.dumps(body).encode())


@pytest.mark.parametrize("value", ["NaN", "+Inf", "many"])
def test_a_count_that_is_no_number_is_a_strange_answer(value: str) -> None:
    body = {"data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, value]}]}}
    with pytest.raises(wire.Strange):
        wire.numbers(json.dumps(body).encode())


def test_answers_of_another_shape_are_strange_or_empty() -> None:
    for data in (b"5", b'"text"', b"{}", b"null"):
        assert wire.names(b'{"data":' + data + b"}", "labels") == ()
        assert wire.series(b'{"data":' + data + b"}") == ()
    reader = wire.Reader()
    for read in (reader.frame, reader.lines, wire.numbers, wire.series):
        with pytest.raises(wire.Strange):
            read(b'{"data":' + DEEP + b',"dropped_entries":[{"timestamp":' + DEEP + b"}]}")


def test_a_filter_that_begins_with_anything_reads_a_long_line_once() -> None:
    buffer = Buffer()
    buffer.add([Entry(1, LABELS, b"x" * 250_000), Entry(2, LABELS, b"a timeout after an error"), Entry(3, LABELS, b"")])
    for pattern, count in ((".*error", 1), (".*?.*ERROR", 0), (".*", 3), (".+", 2), (".*?", 3), (".*time.*err", 1)):
        view = View(buffer, Filter(pattern))
        view.refresh()
        assert len(view) == count, pattern
    with pytest.raises(UsageError):
        Filter(".**").compiled()


@pytest.mark.parametrize("pattern", ["a{9999}", "[a-z]{1000}" * 200, "(", "a{5,2}"])
def test_a_filter_that_cannot_be_had_is_a_usage_error(pattern: str) -> None:
    with pytest.raises(UsageError):
        Filter(pattern).compiled()
