"""Our Loki answers what a real 3.6.5 answered: the recorded exchanges again, statistics apart."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.contract.loki_kit import RECORDED, RECORDED_AT, asked_again, empty, of_the_recordings, push, recorded

from vpai_tui.demo.loki.api import Loki, Request
from vpai_tui.demo.loki.model import Refused, S
from vpai_tui.demo.loki.tail import Ended, Tail

pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason="the recordings of a real Loki are not here")

# What ours does not understand; it says so as Loki says that it does not expect a word.
_BEYOND = """
    errors/bad_pattern errors/bad_unwrap errors/metric_pipeline_error query/scalar query/vector_of_constant
    query/vector_topk query_range_metric/absent query_range_metric/or_vector_0 query_range_metric/scalar_expression
    query_range_metric/topk query_range_metric/unwrap_quantile query_range_metric/unwrap_sum_float
    query_range_pipeline/label_format query_range_pipeline/label_format__categorized query_range_pipeline/pattern
    query_range_pipeline/pattern__categorized query_range_pipeline/regexp query_range_pipeline/regexp__categorized
"""
BEYOND = frozenset(_BEYOND.split())
# Template functions: refused as a template is that calls what there is not.
TEMPLATES = frozenset(("query_range_pipeline/line_format_only", "query_range_pipeline/line_format_only__categorized"))
# Lines of one nanosecond under a smaller limit: which of the streams gives them is the real merge's secret.
ANY_OF_ONE_NS = frozenset(
    ("pagination/limit_5_forward", "pagination/limit_5_forward_again", "pagination/limit_5_backward")
)
OTHER = {
    "status/buildinfo": "recorded from a build of one's own",
    "status/drilldown_limits": "ours tells a part of the limits",
    "status/labels_by_delete": "404 or 405, from start to start",
    "query_range/interval_5m": "there the eleventh line is thinned out too, five minutes and eight seconds after",
    "push/labels_as_string__series": "recorded between pushes of which the order is not known",
}
PLAIN = ("errors", "format_query", "labels", "patterns_disabled", "query", "query_range", "query_range_metric")
GROUPS = (*PLAIN, "query_range_odd_lines", "query_range_pipeline", "series", "status", "pagination")


def exchanges(*groups: str) -> list[dict[str, Any]]:
    return [it for it in recorded("http.jsonl.gz") if it["name"].split("/")[0] in groups]


def exchange(name: str) -> dict[str, Any]:
    return next(it for it in recorded("http.jsonl.gz") if it["name"] == name)


def same(value: Any) -> Any:
    """What does not differ from run to run: no statistics, and in one order what has none."""
    if not isinstance(value, dict):
        return value
    found = {key: item for key, item in value.items() if key != "stats"}
    if isinstance(found.get("data"), dict):
        data = {key: item for key, item in found["data"].items() if key != "stats"}
        if isinstance(data.get("result"), list):
            data["result"] = sorted((_one(item) for item in data["result"]), key=json.dumps)
        found["data"] = data
    elif isinstance(found.get("data"), list):
        found["data"] = sorted(json.dumps(item, sort_keys=True) for item in found["data"])
    for name in ("fields", "detectedLabels"):
        if name in found:
            found[name] = sorted(found[name], key=lambda it: it["label"])
    if "values" in found:
        found["values"] = sorted(found["values"])
    return found


def _one(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "values": sorted(item["values"], key=json.dumps)} if "values" in item else item


def compare(loki: Loki, wanted: list[dict[str, Any]]) -> None:
    """All of `wanted` at once, so that a failure shows everything that is different."""
    wrong = []
    for it in wanted:
        status, kind, body = asked_again(loki, it)
        ours, theirs = (status, kind, same(body)), (it["status"], it.get("kind", ""), same(it["answer"]))
        if ours != theirs:
            wrong.append(f"{it['name']} {it['params']}\n  ours:   {str(ours)[:700]}\n  theirs: {str(theirs)[:700]}")
    assert not wrong, f"{len(wrong)} of {len(wanted)}:\n" + "\n".join(wrong)


@pytest.fixture(scope="module")
def loki() -> Loki:
    return of_the_recordings()


@pytest.mark.parametrize("group", GROUPS)
def test_the_recorded_exchanges_again(loki: Loki, group: str) -> None:
    left_out = BEYOND | TEMPLATES | ANY_OF_ONE_NS | set(OTHER)
    wanted = [it for it in exchanges(group) if it["name"] not in left_out]
    assert wanted
    compare(loki, wanted)


def test_an_empty_database() -> None:
    compare(empty(), exchanges("empty_database"))


def test_pushes_and_what_they_store() -> None:
    wanted = [it for it in exchanges("push") if it["name"] not in OTHER]
    texts = {"push/line_max": ["x" * 262144], "push/line_too_long": ["before", "x" * 262145, "after"]}
    for it in wanted:
        if it["name"] in texts:
            name = it["name"].rpartition("_")[2].replace("long", "toolong")
            values = [[f"179516880000000000{at}", text] for at, text in enumerate(texts[it["name"]])]
            stream = {"container": f"push_{name}", "job": "docker", "project": "javisi"}
            it["body"] = {"streams": [{"stream": stream, "values": values}]}
            it["headers"] = {"content-type": "application/json"}
    # A push, its repetition, and then what was stored.
    wanted.sort(key=lambda it: (it["name"].partition("__")[0].removesuffix("_again"), "__" in it["name"]))
    compare(empty(), wanted)


def test_fields_and_labels_that_are_detected(loki: Loki) -> None:
    """Cardinalities are estimates there and exact here; `limit` takes any two fields."""
    for it in exchanges("detected"):
        status, _, body = asked_again(loki, it)
        if isinstance(body, dict) and isinstance(it["answer"], dict):
            for answer in (body, it["answer"]):
                for field in answer.get("fields", ()):
                    field["cardinality"] = field["cardinality"] > 1
                    if len(field["parsers"] or ()) > 1:
                        field["type"] = "of either"  # there the type of whichever was seen last
        if it["name"] == "detected/fields_limit_2":
            assert status == 200 and len(body["fields"]) == 2 and body["limit"] == 2
        else:
            assert (status, same(body)) == (it["status"], same(it["answer"])), it["name"]


def test_volumes(loki: Loki) -> None:
    """The same series at the same times, sums about the same: bytes of metadata are counted otherwise there."""
    for it in exchanges("volume"):
        status, _, body = asked_again(loki, it)
        assert status == it["status"], it["name"]
        if it["name"].startswith("volume/stats"):
            assert body == it["answer"]
            continue
        theirs, ours = it["answer"]["data"], body["data"]
        assert ours["resultType"] == theirs["resultType"], it["name"]
        assert _sums(ours).keys() == _sums(theirs).keys(), it["name"]
        for metric, amount in _sums(theirs).items():
            assert abs(_sums(ours)[metric] - amount) < max(1000, amount / 10 if "range" in it["name"] else amount / 20)


def _sums(data: dict[str, Any]) -> dict[str, int]:
    return {
        json.dumps(item["metric"], sort_keys=True): sum(
            int(value) for _, value in item.get("values", [item.get("value")])
        )
        for item in data["result"]
    }


@pytest.mark.parametrize("name", sorted(BEYOND))
def test_what_is_beyond_it_is_refused_as_a_word_that_is_not_expected(loki: Loki, name: str) -> None:
    it = exchange(name)
    status, kind, body = asked_again(loki, it)
    assert (status, kind) == (400, "text/plain; charset=utf-8")
    assert body.startswith("parse error at line 1, col ") and "syntax error: unexpected " in body


@pytest.mark.parametrize("name", sorted(ANY_OF_ONE_NS))
def test_a_limit_inside_one_nanosecond_gives_as_many_of_its_lines(loki: Loki, name: str) -> None:
    it = exchange(name)
    _, _, body = asked_again(loki, it)
    lines = [value for stream in body["data"]["result"] for value in stream["values"]]
    assert len(lines) == 5 and {value[0] for value in lines} == {"1795171200000000000"}


def test_statistics_have_the_recorded_shape(loki: Loki) -> None:
    it = exchange("query/vector_total")
    _, _, body = asked_again(loki, it)
    assert _shape(body["data"]["stats"]) == _shape(it["answer"]["data"]["stats"])
    assert body["data"]["stats"]["summary"]["totalLinesProcessed"] == 2820  # a real one reads the chunk's last line too


def _shape(value: Any) -> Any:
    return {key: _shape(item) for key, item in value.items()} if isinstance(value, dict) else type(value) is bool


# ── tails ────────────────────────────────────────────────────────────────────────────────────────────────────────────

# Needs a server that is killed, is full, or ends its tails after four seconds: the contract suite has those; the
# others are of two connections, or of a stream that was split.
_OTHER_TAILS = """
    max_concurrent__categorized max_concurrent_slot_free_again__categorized max_duration max_duration__categorized
    sigterm__categorized sigkill__categorized reconnect_1_of_2__categorized reconnect_2_of_2__categorized
    reconnect_gap__categorized stream_shard__categorized pings
"""
TAILS = {it["name"]: it for it in (recorded("tail.jsonl.gz") if RECORDED.is_dir() else ())}


@pytest.mark.parametrize("name", sorted(set(TAILS) - set(_OTHER_TAILS.split())))
def test_a_recorded_tail_again(name: str) -> None:
    """The same lines in the same order with the same labels; frames may be cut at other moments."""
    it = TAILS[name]
    first = it["events"][0]["data"]
    request = first["request"]
    began = int(request["params"]["start"]) if name.startswith("delay_for") else RECORDED_AT
    now = began
    loki = of_the_recordings(lambda: now)
    asked = Request("GET", f"{request['path']}?{urlencode(request['params'])}", lowered(request["headers"]))
    if it["events"][0]["event"] == "error":
        with pytest.raises(Refused) as refused:
            Tail(loki, asked)
        assert (refused.value.status, refused.value.text) == (first["status"], first["body"])
        return
    tail = Tail(loki, asked)
    frames: list[dict[str, Any]] = []
    end = it["events"][-1]
    pushes = list(it["pushes"])
    try:
        tail.open()
        for tick in range(int(end["t"] / 0.5) + 2):
            now = began + tick * S // 2
            frames += map(json.loads, tail.frames())
            while pushes and (pushes[0]["t"] or 0) <= tick / 2:
                assert push(loki, pushes.pop(0)["body"]).status == 204
            tail.poll()
        frames += map(json.loads, tail.frames())
        ended = (1000, "")
    except Ended as error:
        ended = (error.code, error.reason)
    theirs = [event["data"] for event in it["events"] if event["event"] == "frame"]
    assert entries(frames) == entries(theirs)
    assert {tuple(frame) for frame in frames} == {tuple(frame) for frame in theirs}
    assert all(len(frame["streams"]) <= 100 for frame in frames)
    assert ended == (end["data"]["code"], end["data"]["reason"])


def entries(frames: list[dict[str, Any]]) -> list[Any]:
    return [stream for frame in frames for stream in frame["streams"]]


def lowered(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
