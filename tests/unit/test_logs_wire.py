"""Loki's answers as a real one gave them, and as no Loki would; errors with their place in the query."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.clock import SystemClock
from vpai_tui.errors import OperatorError
from vpai_tui.logs import wire
from vpai_tui.logs.client import LokiClient, countable
from vpai_tui.logs.model import LATEST_NS, SECOND_NS, Level
from vpai_tui.logs.way import Answer, End, Params, TailEnd, end_of
from vpai_tui.logs.wire import LokiError, Reader, Strange

RECORDED = Path(__file__).parents[1] / "recordings" / "loki"


def recorded(name: str) -> list[dict[str, Any]]:
    text = gzip.decompress((RECORDED / name).read_bytes()).decode()
    return [json.loads(line) for line in text.split("\n") if line]


class Canned:
    """A way that answers what it was given, in turn, and notes what was asked."""

    host = "box"

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def get(self, path: str, params: Params, *, timeout_s: float, apart: bool = True) -> Answer:
        self.asked.append((path, {name: str(value) for name, value in params}))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def tail(self, path: str, params: Params, opened: Any, message: Any) -> TailEnd:
        raise AssertionError("no tail is asked for")

    async def close(self) -> None:
        return


def client(*answers: Answer | bytes) -> tuple[LokiClient, Canned]:
    way = Canned(*(Answer(200, it) if isinstance(it, bytes) else it for it in answers))
    return LokiClient(way, SystemClock()), way


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recordings of a real Loki are not here")
def test_every_recorded_page_of_lines_is_read() -> None:
    reader, pages = Reader(), 0
    for exchange in recorded("http.jsonl.gz"):
        body = exchange["answer"]
        data = body.get("data") if isinstance(body, dict) else None
        if not isinstance(data, dict) or data.get("resultType") != "streams":
            continue
        pages += 1
        found = reader.lines(json.dumps(body).encode()).entries
        assert len(found) == sum(len(stream["values"]) for stream in data["result"])
        assert all(name != wire.SHARD for entry in found for name, _ in entry.labels)
    assert pages > 30


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recordings of a real Loki are not here")
def test_a_recorded_tail_gives_each_line_one_identity_in_history_and_live() -> None:
    reader = Reader()
    for recording in recorded("tail.jsonl.gz"):
        if not recording["name"].endswith("__categorized"):
            continue
        for event in recording["events"]:
            if event["event"] != "frame":
                continue
            told = reader.frame(json.dumps(event["data"]) if isinstance(event["data"], dict) else event["data"])
            assert all("detected_level" not in dict(entry.labels) for entry in told.entries)


@pytest.mark.parametrize("kind", ["two", "three", "empty meta"])
def test_both_shapes_of_a_value(kind: str) -> None:
    meta: list[Any] = {
        "two": [],
        "three": [{"structuredMetadata": {"detected_level": "warn"}, "parsed": {"n": "1"}}],
    }.get(kind, [{}])
    frame = {
        "streams": [{"stream": {"b": "2", "__stream_shard__": "3", "a": "1"}, "values": [["17", "x", *meta]]}],
        "dropped_entries": [{"timestamp": "16", "labels": {}}, {"timestamp": "16", "labels": {}}],
        "encodingFlags": ["categorize-labels"],
    }
    told = Reader().frame(json.dumps(frame))
    (entry,) = told.entries
    assert (entry.ns, entry.labels, entry.line) == (17, (("a", "1"), ("b", "2")), b"x")
    assert dict(entry.meta) == ({"detected_level": "warn", "n": "1"} if kind == "three" else {})
    assert told.dropped == 2


def test_a_page_with_invalid_utf8_is_mended_not_lost() -> None:
    body = b'{"data":{"resultType":"streams","result":[{"stream":{},"values":[["1","a\xff"],["2","b"]]}]}}'
    assert [entry.line for entry in Reader().lines(body).entries] == ["a�".encode(), b"b"]


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: json.dumps({"data": text}).encode()))
def test_what_is_not_lokis_is_called_strange(body: bytes) -> None:
    reader = Reader()
    for read in (reader.lines, wire.numbers):
        with pytest.raises(Strange):
            read(body)


def test_labels_without_data_are_none() -> None:
    assert wire.names(b'{"status":"success"}', "labels") == ()
    assert wire.series(b'{"status":"success","data":[{"a":"1"}]}') == ({"a": "1"},)


def test_an_error_has_a_caret_at_lokis_column() -> None:
    query = '{job="docker"}\n  | json\n  | status >> 500'
    error = wire.refused(400, b"parse error at line 3, col 13: syntax error: unexpected >", query, "sese")
    assert error.caret.split("\n") == ["  | status >> 500", "            ^"]
    assert error.query_is_wrong and error.remedy and error.host == "sese"
    wide = wire.refused(400, b"parse error at line 1, col 13: x", '{a="é✔"} !! x')
    assert wide.caret.split("\n")[1].index("^") == 9  # Loki counts bytes: é has two, ✔ three
    assert wire.refused(400, b"parse error at line 0, col 0: x", "{").caret == ""
    assert wire.refused(500, b"").message == "HTTP 500"
    assert not wire.refused(429, b"too many outstanding requests").query_is_wrong


def test_hostile_errors_are_cleaned() -> None:
    error = wire.refused(400, b"parse error at line 1, col 1: \x1b]0;pwn\x07\xe2\x80\xae", "\x1b[2J{")
    assert "\x1b" not in error.message + error.caret and "\x07" not in error.message


@pytest.mark.parametrize(
    ("reason", "end"),
    [
        ("reached tail max duration limit", End.ROLLOVER),
        (
            "rpc error: code = Code(400) desc = max concurrent tail requests limit exceeded, count > limit (11 > 10)",
            End.SLOTS,
        ),
        ("rpc error: code = Code(400) desc = this data is no longer available, it is past now", End.FUTURE),
        ("only log selector is supported", End.REFUSED),
        ("all ingesters closed the connection", End.LOST),
        ("", End.LOST),
    ],
)
def test_what_a_close_means(reason: str, end: End) -> None:
    assert end_of(1011, reason) is end


# ── what is asked ────────────────────────────────────────────────────────────────────────────────────────────────────

_EMPTY = b'{"data":{"resultType":"streams","result":[]}}'
_THREE = b'{"data":{"resultType":"vector","result":[{"metric":{},"value":[1,"3"]}]}}'


def test_a_count_of_a_half_open_span_is_asked_a_nanosecond_earlier() -> None:
    loki, way = client(_THREE)
    start = 1_795_168_800 * SECOND_NS + 7
    assert asyncio.run(loki.count('{a="b"}', start, start + 10_000_000)) == 3
    assert way.asked == [
        ("/loki/api/v1/query", {"query": 'sum(count_over_time({a="b"}\n [10ms]))', "time": str(start + 9_999_999)})
    ]
    assert asyncio.run(client(b'{"data":{"resultType":"vector","result":[]}}')[0].count("{}", 5, 9)) == 0


def test_what_a_window_of_milliseconds_has_too_much_is_taken_off() -> None:
    start = 1_795_168_800 * SECOND_NS
    one = b'{"data":{"resultType":"streams","result":[{"stream":{"a":"b"},"values":[["1795168799999500000","x",{}]]}]}}'
    loki, way = client(_THREE, one)
    assert asyncio.run(loki.count('{a="b"}', start, start + 10)) == 2
    assert [asked.get("time") for _, asked in way.asked] == [str(start + 9), None]
    assert way.asked[1][1]["start"] == str(start + 10 - 1_000_000)
    assert way.asked[1][1]["end"] == str(start)


def test_no_lines_may_hide_a_refusal() -> None:
    loki, way = client(_EMPTY, Answer(400, b"parse error : stage '|~ \"(\"' : error parsing regexp: missing closing )"))
    with pytest.raises(LokiError, match="error parsing regexp"):
        asyncio.run(loki.lines('{a="b"} |~ "("', 1, 2, limit=9, forward=False))
    loki, way = client(_EMPTY)
    for _ in range(3):
        asyncio.run(loki.lines("{}", 1, 2, limit=9, forward=False))
    assert len(way.asked) == 4  # it is looked at once


def test_lines_that_a_parser_fails_on_are_counted_too() -> None:
    assert "drop __error__" in countable('{a="b"} | json')
    assert "drop" not in countable('{a="b"} |= "x"')
    assert countable('{a="b"} # note').endswith("\n")  # what follows is no comment


def test_only_times_that_loki_survives_are_sent() -> None:
    loki, way = client(_EMPTY)
    for wrong in (-1, LATEST_NS + 1):
        with pytest.raises(OperatorError, match="no time"):
            asyncio.run(
                loki.lines("{}", wrong - 1 if wrong > 0 else wrong, wrong if wrong > 0 else 5, limit=1, forward=True)
            )
    assert way.asked == []
    asyncio.run(loki.lines("{}", 1, 2, limit=9, forward=False))
    assert way.asked[0][1] == {"query": "{}", "start": "1", "end": "2", "limit": "9", "direction": "backward"}


def test_a_server_with_a_lower_limit_is_asked_for_less() -> None:
    refused = Answer(400, b"max entries limit per query exceeded, limit > max_entries_limit_per_query (5000 > 100)")
    loki, way = client(refused, Answer(200, _EMPTY))
    asyncio.run(loki.lines("{}", 1, 2, limit=5000, forward=True))
    assert [asked["limit"] for _, asked in way.asked] == ["5000", "100", "1"]  # the last: is it empty, or wrong?
    assert loki.most == 100


def test_a_metric_query_is_no_log() -> None:
    with pytest.raises(Strange, match="numbers, not lines"):
        asyncio.run(client(_THREE)[0].validate("sum(x)"))


def test_refusals_are_lokis_own_words() -> None:
    with pytest.raises(LokiError) as caught:
        asyncio.run(client(Answer(400, b"parse error at line 1, col 2: syntax error"))[0].validate("{"))
    assert caught.value.output == "{\n ^"


def test_the_servers_clock_is_heard_of_its_answers() -> None:
    loki, _ = client(Answer(200, _EMPTY, "Sat, 28 Nov 2026 04:00:00 GMT"))
    asyncio.run(loki.validate("{}"))
    assert 0 <= loki.now_ns() - 1_795_838_400 * SECOND_NS < 5 * SECOND_NS
    skew = loki.clock.skew_s
    assert skew is not None
    loki.clock.heard("Sat, 28 Nov 2026 03:59:59 GMT")  # an answer that was slow: not earlier than known
    assert loki.clock.skew_s == pytest.approx(skew, abs=1)
    known = loki.now_ns()
    loki.clock.heard("Sat, 28 Nov 2026 03:59:00 GMT", 70.0)  # a large one over a slow link: no step of the clock
    assert loki.now_ns() >= known
    loki.clock.heard("Sat, 28 Nov 2026 03:00:00 GMT")  # the server's clock was set
    assert loki.clock.skew_s == pytest.approx(skew + 3600, abs=2)
    loki.clock.heard("nonsense")


def test_counts_are_asked_in_whole_steps() -> None:
    matrix = b'{"data":{"resultType":"matrix","result":[{"metric":{"level":"error"},"values":[[60,"2"],[120,"5"]]}]}}'
    loki, way = client(matrix)
    (series,) = asyncio.run(loki.counts("{}", 1, 119 * SECOND_NS, 60, ("level",)))
    assert series.points == ((60.0, 2.0), (120.0, 5.0))
    asked = way.asked[0][1]
    assert (asked["start"], asked["end"], asked["step"]) == ("60", "120", "60")
    assert asked["query"].startswith("sum by (level)(count_over_time({}")
    assert Level.ERROR.word == series.labels["level"]
