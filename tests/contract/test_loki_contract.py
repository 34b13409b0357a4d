"""One suite for our Loki and, with `VPAI_LOKI_URL`, a real one: plain HTTP and WebSocket, lines of the test's own.

A real one wants a configuration that answers at once for lines of now (the defaults do); nothing of it is removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from httpx_ws import (
    AsyncWebSocketSession,
    WebSocketDisconnect,
    WebSocketNetworkError,
    WebSocketUpgradeError,
    aconnect_ws,
)
from tests.contract.loki_kit import REAL, S, Server, Stream, live, serving

CATEGORIZE = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}


@pytest.fixture(params=["ours", *(["real"] if REAL else [])])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    if request.param == "real":
        yield Server(REAL)
        return
    async with serving(live()) as running:
        yield running


@pytest.fixture
def stream(server: Server) -> Stream:
    return Stream(server)


# ── labels ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_labels_and_values_and_series_of_pushed_lines(stream: Stream) -> None:
    await stream.push(stream.entries("one"), level="info")
    name = stream.labels["container"]
    found = await stream.get("/labels", query=stream.selector)
    assert found == {"status": "success", "data": ["container", "job", "level", "service_name"]}
    found = await stream.get("/label/service_name/values", query=stream.selector)
    assert found["data"] == [name]
    found = await stream.get("/series", **{"match[]": stream.selector})
    assert found["data"] == [{**stream.labels, "level": "info", "service_name": name}]


async def test_data_is_not_there_when_it_would_be_empty(stream: Stream) -> None:
    assert await stream.get("/labels", query=stream.selector) == {"status": "success"}
    assert await stream.get("/label/nope/values") == {"status": "success"}
    assert await stream.get("/label/detected_level/values") == {"status": "success"}
    assert await stream.get("/series", **{"match[]": stream.selector}) == {"status": "success", "data": []}
    assert await stream.get("/detected_fields", query=stream.selector) == {}


# ── lines ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_start_is_inclusive_and_end_exclusive(stream: Stream) -> None:
    await stream.push(stream.entries("a", "b", "c"))
    one, three = stream.base, stream.base + 2 * S
    assert await stream.lines(start=str(one), end=str(three)) == ["a", "b"]
    assert await stream.lines(start=str(one), end=str(three + 1)) == ["a", "b", "c"]
    assert await stream.lines(start=str(one), end=str(one)) == []


async def test_a_count_is_of_lines_after_the_window_begins_to_its_end(stream: Stream) -> None:
    await stream.push(stream.entries("a", "b", "c"))
    one, three = stream.base, stream.base + 2 * S
    assert await stream.count(window="2s", time=str(three)) == 2
    assert await stream.count(window="2s", time=str(three - 1)) == 2  # [one, three), one nanosecond earlier
    assert await stream.count(window="1m", time=str(one - 1)) == 0


async def test_the_limit_is_of_all_streams_and_takes_the_newest(stream: Stream) -> None:
    await stream.push(stream.entries("a1", "a2", "a3"), level="info")
    await stream.push(stream.entries("b1", "b2", "b3", at=S // 2), level="warn")
    assert await stream.lines(limit="3") == ["b2", "a3", "b3"]
    assert await stream.lines(limit="3", direction="forward") == ["a1", "b1", "a2"]


async def test_labels_kept_apart_and_not(stream: Stream) -> None:
    line = '{"level":"error","msg":"x","n":{"a":5}}'
    await stream.push([[str(stream.base), line, {"trace_id": "t1"}]])
    name = stream.labels["container"]
    apart = await stream.get("/query_range", query=f"{stream.selector} | json", headers=CATEGORIZE)
    [found] = apart["data"]["result"]
    assert apart["data"]["encodingFlags"] == ["categorize-labels"]
    assert found["stream"] == {**stream.labels, "service_name": name}
    meta = {"detected_level": "error", "trace_id": "t1"}
    parsed = {"level": "error", "msg": "x", "n_a": "5"}
    assert found["values"] == [[str(stream.base), line, {"structuredMetadata": meta, "parsed": parsed}]]
    together = await stream.get("/query_range", query=f"{stream.selector} | json")
    [found] = together["data"]["result"]
    assert "encodingFlags" not in together["data"]
    assert found["stream"] == {**stream.labels, "service_name": name, **meta, **parsed}
    assert found["values"] == [[str(stream.base), line]]


async def test_the_flags_are_there_for_no_line_too(stream: Stream) -> None:
    found = await stream.get("/query_range", query=stream.selector, headers=CATEGORIZE)
    assert found["data"]["encodingFlags"] == ["categorize-labels"]
    assert found["data"]["result"] == []


@pytest.mark.parametrize(
    ("stages", "wanted"),
    [
        ('|= "GET"', ["GET /a 200", "GET /b 500"]),
        ('!= "GET"', ["POST /c 200", "level=error n=7 took=3s", "level=info n=12 took=20ms"]),
        ('|~ "[ab] \\\\d+"', ["GET /a 200", "GET /b 500"]),
        ('|= "GET" or "POST" != "500"', ["GET /a 200", "POST /c 200"]),
        ('| logfmt | level="error"', ["level=error n=7 took=3s"]),
        ("| logfmt | n > 8", ["level=info n=12 took=20ms"]),
        ("| logfmt | took >= 1s", ["level=error n=7 took=3s"]),
        ('| logfmt | level="info" or n=7', ["level=error n=7 took=3s", "level=info n=12 took=20ms"]),
        ('| detected_level="error"', ["level=error n=7 took=3s"]),
        ('| logfmt | n != "" | line_format "{{.n}}: {{.level}}"', ["7: error", "12: info"]),
    ],
)
async def test_stages(stream: Stream, stages: str, wanted: list[str]) -> None:
    texts = ("GET /a 200", "GET /b 500", "POST /c 200", "level=error n=7 took=3s", "level=info n=12 took=20ms")
    await stream.push(stream.entries(*texts))
    assert await stream.lines(f"{stream.selector} {stages}") == wanted
    assert await stream.count(f"{stream.selector} {stages}", time=str(stream.base + 60 * S)) == len(wanted)


async def test_counts_by_level_and_over_steps(stream: Stream) -> None:
    await stream.push(stream.entries("info: a", "info: b", "err: c", "d"))
    counted = f"count_over_time({stream.selector}[5m])"
    found = await stream.get("/query", query=f"sum by (detected_level) ({counted})", time=str(stream.base + 60 * S))
    assert {item["metric"]["detected_level"]: item["value"][1] for item in found["data"]["result"]} == {
        "info": "2",
        "error": "1",
        "unknown": "1",
    }
    step = {"step": "10", "start": str(stream.base), "end": str(stream.base + 9 * S)}
    found = await stream.get("/query_range", query=f"sum(count_over_time({stream.selector}[10s]))", **step)
    [series] = found["data"]["result"]
    assert found["data"]["resultType"] == "matrix"
    assert sum(int(value) for _, value in series["values"]) == 4
    assert all(second % 10 == 0 for second, _ in series["values"])


async def test_the_same_line_is_stored_once(stream: Stream) -> None:
    await stream.push(stream.entries("same", "same", "other", every=0))
    await stream.push(stream.entries("same", every=0))
    assert sorted(await stream.lines()) == ["other", "same"]


async def test_odd_texts_come_back_as_they_went(stream: Stream) -> None:
    texts = ["", "  ", "<b>&amp;</b>", "\x1b[31mred\x1b[0m", "a\nb", "tab\there", "\u2028 ‮ ✔", "{not json"]
    await stream.push(stream.entries(*texts))
    assert await stream.lines() == texts


async def test_milliseconds_are_no_error_and_find_nothing(stream: Stream) -> None:
    await stream.push(stream.entries("a"))
    window = {"start": str(stream.base // 10**6 - 1000), "end": str(stream.base // 10**6 + 1000)}
    assert await stream.lines(**window) == []
    assert await stream.lines(start=str(stream.base // S - 1), end=str(stream.base // S + 2)) == ["a"]


async def test_volume_and_fields(stream: Stream) -> None:
    await stream.push(stream.entries('{"status":200,"ok":true}', '{"status":404,"ok":false}'))
    found = await stream.get("/index/volume", query=stream.selector, targetLabels="container")
    [volume] = found["data"]["result"]
    assert found["data"]["resultType"] == "vector"
    assert volume["metric"] == {"container": stream.labels["container"]}
    found = await stream.get("/detected_fields", query=stream.selector)
    kinds = {field["label"]: (field["type"], field["parsers"]) for field in found["fields"]}
    assert kinds["status"] == ("int", ["json"])
    assert kinds["ok"] == ("boolean", ["json"])
    assert kinds["detected_level"] == ("string", None)


async def test_statistics_of_what_was_just_pushed_are_zero(stream: Stream) -> None:
    await stream.push(stream.entries("a", "b"))
    found = await stream.get("/index/stats", query=stream.selector)
    assert found == {"streams": 0, "chunks": 0, "bytes": 0, "entries": 0}


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ('{job="docker"', "parse error at line 1, col 14: syntax error: unexpected $end, expecting } or ,"),
        ("{", "parse error at line 1, col 2: syntax error: unexpected $end, expecting IDENTIFIER or }"),
        ("{job='xy'}", "parse error at line 1, col 6: invalid char literal"),
        ("{job='x'}", "parse error at line 1, col 6: syntax error: unexpected IDENTIFIER, expecting STRING"),
        ('{job "x"}', "parse error at line 1, col 6: syntax error: unexpected STRING, expecting = or =~ or !~ or !="),
        ("sum by 5", "parse error at line 1, col 1: syntax error: unexpected IDENTIFIER"),
        (
            '{job="x"} | json | line_format x',
            "parse error at line 1, col 32: syntax error: unexpected IDENTIFIER, expecting STRING",
        ),
        ('rate({job="x"}[5minutes])', 'parse error at line 0, col 15: unknown unit "minutes" in duration "5minutes"'),
        ('rate({job="x"}[5])', 'parse error at line 0, col 15: not a valid duration string: "5"'),
        ('rate({job="x"}[x])', 'parse error at line 0, col 15: not a valid duration string: "x"'),
        (
            'rate({job="x"}[1500000000ns])',
            'parse error at line 0, col 15: unknown unit "ns" in duration "1500000000ns"',
        ),
        ('rate({job="x"}[0.5s])', 'parse error at line 0, col 15: unknown unit "." in duration "0.5s"'),
        ('{job="x"} | json,', "parse error at line 1, col 17: syntax error: unexpected ,"),
        (
            '{job="x"} |~ "(?=a)"',
            "parse error : stage '|~ \"(?=a)\"' : error parsing regexp: invalid or unsupported Perl",
        ),
        (
            '{job="x"} |= y',
            "parse error at line 1, col 14: syntax error: unexpected IDENTIFIER, expecting STRING or ip",
        ),
        ('{job="x"}\n| status >> 5', "parse error at line 2, col 11: syntax error: unexpected >"),
        ('{job="x', "parse error at line 1, col 6: literal not terminated"),
        ("{}", "parse error : queries require at least one regexp or equality matcher"),
        ('{job=~".*"}', "parse error : queries require at least one regexp or equality matcher"),
        ("", "parse error : syntax error: unexpected $end"),
        ('{job="x"} |~ "("', "parse error : stage '|~ \"(\"' : error parsing regexp: missing closing ): `(`"),
        ('{job=~"["}', "parse error : error parsing regexp: missing closing ]: `["),
        ('{job="x"} | line_format "{{.x"', "parse error : stage '| line_format \"{{.x\"' : invalid line template"),
        ('{job="x"} | json a="b["', "parse error : stage '| json a=\"b[\"' : cannot parse expression [b[]"),
        ('count_over_time({job="x"}[5m]', "parse error at line 1, col 30: syntax error: unexpected $end"),
    ],
)
async def test_errors_are_plain_text_with_a_place(server: Server, query: str, told: str) -> None:
    async with server.client() as client:
        done = await client.get("/query_range", params={"query": query})
    assert (done.status_code, done.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert done.text.startswith(told)


@pytest.mark.parametrize("stage", ['|~ "("', '| line_format "{{.x"', '| json a="b["'])
async def test_with_labels_kept_apart_a_stage_that_cannot_run_is_no_error(stream: Stream, stage: str) -> None:
    """And no lines: whoever asks so has to ask without the flag too."""
    await stream.push(stream.entries("a"))
    query = f"{stream.selector} {stage}"
    found = await stream.get("/query_range", query=query, headers=CATEGORIZE)
    assert found["data"]["result"] == []
    assert "parse error : stage" in await stream.get("/query_range", query=query, status=400)
    if "line_format" not in stage:  # which a count leaves out
        counted = f"sum(count_over_time({query} [1m]))"
        assert "parse error : stage" in await stream.get("/query", query=counted, status=400, headers=CATEGORIZE)


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"limit": "5001"}, "max entries limit per query exceeded, limit > max_entries_limit_per_query (5001 > 5000)"),
        ({"limit": "0"}, "limit must be a positive value"),
        ({"limit": "x"}, 'strconv.Atoi: parsing "x": invalid syntax'),
        ({"direction": "up"}, "invalid direction 'up'"),
        ({"start": "yesterday"}, "could not parse 'start' parameter: strconv.ParseInt"),
        ({"start": "20", "end": "10"}, "end timestamp must not be before or equal to start time"),
        ({"since": "800h"}, "the query time range exceeds the limit (query length: 800h0m0s, limit: 30d1h)"),
        ({"step": "0"}, "zero or negative query resolution step widths are not accepted"),
    ],
)
async def test_refused_parameters(server: Server, params: dict[str, str], told: str) -> None:
    async with server.client() as client:
        done = await client.get("/query_range", params={"query": '{job="x"}', **params})
    assert done.status_code == 400
    assert done.text.startswith(told)


async def test_too_many_series(stream: Stream) -> None:
    texts = [f"id=n{number}" for number in range(501)]
    await stream.push(stream.entries(*texts, every=1000))
    query = f"sum by (id) (count_over_time({stream.selector} | logfmt[5m]))"
    told = await stream.get("/query", status=400, query=query, time=str(stream.base + 60 * S))
    assert told.startswith("maximum number of series (500) reached for a single query")


async def test_a_log_query_is_no_instant_one(stream: Stream) -> None:
    told = await stream.get("/query", status=400, query=stream.selector)
    assert told.startswith("log queries are not supported as an instant query type")


async def test_format_query_answers_json_and_knows_the_grammar_only(server: Server) -> None:
    async with server.client() as client:
        done = await client.get("/format_query", params={"query": '{job="x",a=~"b"}|json|status>=500'})
        assert done.json() == {"status": "success", "data": '{job="x", a=~"b"} | json | status>=500'}
        done = await client.get("/format_query", params={"query": '{job="x"} | line_format "{{.x"'})
        assert done.status_code == 200
        done = await client.get("/format_query", params={"query": '{job="x"'})
        assert done.status_code == 400
        assert done.json()["error"].startswith("parse error at line 1, col 9")


async def test_other_addresses(server: Server) -> None:
    async with server.client() as client:
        assert (await client.get("/nope")).status_code == 404
        assert (await client.get("/patterns", params={"query": '{job="x"}'})).status_code == 404
        assert (await client.get("/tail", params={"query": '{job="x"}'})).text == "Bad Request\n"
        info = (await client.get("/status/buildinfo")).json()
        assert info["version"][0].isdigit()
    async with httpx.AsyncClient(trust_env=False) as client:
        ready = await client.get(f"{server.url}/ready")
        assert ready.status_code == 200 or ready.text.startswith("Ingester not ready: waiting for 15s")


async def test_pushes_that_are_refused_keep_their_good_lines(stream: Stream) -> None:
    ahead = [[str(time.time_ns() + 3600 * S), "from the future"]]
    assert "has timestamp too new" in await stream.push(stream.entries("good") + ahead, status=400)
    assert await stream.lines() == ["good"]
    await stream.push([[int(stream.base), "a number"]], status=400)
    async with stream.server.client() as client:
        assert (await client.post("/push", json={"streams": []})).status_code == 422


# ── the tail ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def entries_of(socket: AsyncWebSocketSession, count: int) -> list[tuple[str, dict[str, Any]]]:
    """The next lines with the frames they came in, at least `count`."""
    found: list[tuple[str, dict[str, Any]]] = []
    while len(found) < count:
        frame = json.loads(await asyncio.wait_for(socket.receive_text(), 20))
        assert len(frame["streams"]) <= 100
        for stream in frame["streams"]:
            assert len(stream["values"]) == 1
            found.append((stream["values"][0][1], frame))
    return found


async def test_history_then_live_lines(stream: Stream) -> None:
    await stream.push(stream.entries("a", "b", "c"))
    async with stream.server.tail(stream.selector, start=str(stream.base), limit="2") as socket:
        history = await entries_of(socket, 2)
        assert [line for line, _ in history] == ["b", "c"]
        await stream.push(stream.entries("d", at=10 * S))
        [(line, frame)] = await entries_of(socket, 1)
    assert line == "d"
    assert frame["encodingFlags"] == ["categorize-labels"]
    assert frame["streams"][0]["stream"] == {**stream.labels, "service_name": stream.labels["container"]}
    assert frame["streams"][0]["values"][0][2] == {"structuredMetadata": {"detected_level": "unknown"}}


async def test_without_the_flag_history_and_live_lines_have_other_labels(stream: Stream) -> None:
    await stream.push(stream.entries("info: a"))
    bare = {**stream.labels, "service_name": stream.labels["container"]}
    async with stream.server.client() as client:
        params = {"query": stream.selector, "start": str(stream.base)}
        async with aconnect_ws(f"{stream.server.url}/loki/api/v1/tail", client, params=params) as socket:
            [(_, frame)] = await entries_of(socket, 1)
            assert frame["streams"][0]["stream"] == {**bare, "detected_level": "info"}
            await stream.push(stream.entries("info: b", at=5 * S))
            [(_, frame)] = await entries_of(socket, 1)
            assert frame["streams"][0]["stream"] == bare


async def test_late_lines_and_new_streams_join_and_a_retried_batch_is_shown_again(stream: Stream) -> None:
    async with stream.server.tail(stream.selector, start=str(stream.base), limit="1") as socket:
        await stream.push(stream.entries("new", at=30 * S))
        assert [line for line, _ in await entries_of(socket, 1)] == ["new"]
        await stream.push(stream.entries("late", at=5 * S))
        assert [line for line, _ in await entries_of(socket, 1)] == ["late"]
        await stream.push(stream.entries("other stream", at=6 * S), level="warn")
        assert [line for line, _ in await entries_of(socket, 1)] == ["other stream"]
        for _ in range(2):
            await stream.push(stream.entries("r1", "r2", at=40 * S))
            assert [line for line, _ in await entries_of(socket, 2)] == ["r1", "r2"]
    assert await stream.lines() == ["late", "other stream", "new", "r1", "r2"]


async def test_a_pipeline_in_a_tail(stream: Stream) -> None:
    query = f'{stream.selector} | logfmt | level="error"'
    async with stream.server.tail(query, start=str(stream.base), limit="1") as socket:
        await stream.push(stream.entries("level=info a=1", "level=error a=2"))
        [(line, frame)] = await entries_of(socket, 1)
    assert line == "level=error a=2"
    assert frame["streams"][0]["values"][0][2]["parsed"] == {"level": "error", "a": "2"}


async def test_250_lines_come_in_frames_of_100(stream: Stream) -> None:
    texts = [f"line {number}" for number in range(250)]
    async with stream.server.tail(stream.selector, start=str(stream.base), limit="1") as socket:
        await stream.push(stream.entries(*texts, every=1000))
        found = await entries_of(socket, 250)
    assert [line for line, _ in found] == texts


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"query": '{job="x"'}, "parse error at line 1, col 9"),
        ({"query": "{}"}, "parse error : queries require"),
        ({"query": '{job="x"}', "delay_for": "6"}, "delay_for can't be greater than 5"),
        ({"query": '{job="x"}', "limit": "0"}, "limit must be a positive value"),
    ],
)
async def test_tails_that_are_refused_before_the_upgrade(server: Server, params: dict[str, str], told: str) -> None:
    with pytest.RaisesGroup(WebSocketUpgradeError, flatten_subgroups=True, allow_unwrapped=True):
        async with server.tail(**params):
            raise AssertionError("it was opened")
    async with server.client() as client:
        wanted = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        key = {"Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg=="}
        done = await client.get("/tail", params=params, headers={**wanted, **key})
    assert done.status_code == 400
    assert done.text.startswith(told)


async def ended(server: Server, query: str, **params: Any) -> tuple[int, str]:
    """How the server ends a tail: code and reason."""
    found = (0, "")
    try:
        async with server.tail(query, **params) as socket:
            while True:
                await asyncio.wait_for(socket.receive_text(), 20)
    except* WebSocketDisconnect as group:
        found = next((it.code, it.reason or "") for it in _leaves(group))
    except* (WebSocketNetworkError, httpx.ReadError, httpx.RemoteProtocolError):
        found = (1006, "")
    return found


def _leaves(group: BaseExceptionGroup[Any]) -> list[Any]:
    return [leaf for it in group.exceptions for leaf in (_leaves(it) if isinstance(it, BaseExceptionGroup) else [it])]


async def test_tails_that_are_ended_after_the_upgrade(server: Server) -> None:
    assert await ended(server, 'rate({job="x"}[1m])') == (1011, "only log selector is supported")
    future = str(time.time_ns() + 3600 * S)
    told = (
        "rpc error: code = Code(400) desc = this data is no longer available, it is past now - max_query_lookback (0s)"
    )
    assert await ended(server, '{job="x"}', start=future) == (1011, told)
    long_ago = time.time_ns() - (3000 * 3600 + 33 * 60 + 33) * S + 123456789  # a reason too long for a close frame
    code, _ = await ended(server, '{job="x"}', start=str(long_ago))
    assert code == 1006


@pytest.mark.parametrize("stage", ['|~ "("', '| line_format "{{.x"'])
async def test_a_stage_that_cannot_run_makes_a_silent_tail(stream: Stream, stage: str) -> None:
    await stream.push(stream.entries("before"))
    async with stream.server.tail(f"{stream.selector} {stage}", start=str(stream.base)) as socket:
        await stream.push(stream.entries("now", at=10 * S))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.receive_text(), 2)


async def test_the_eleventh_tail_is_ended_and_a_slot_is_free_after_a_close(stream: Stream) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(9):
            await stack.enter_async_context(stream.server.tail(stream.selector, limit="1"))
        async with stream.server.tail(stream.selector, limit="1"):
            await asyncio.sleep(0.5)
            code, told = await ended(stream.server, stream.selector)
        assert code == 1011
        assert told.endswith("max concurrent tail requests limit exceeded, count > limit (11 > 10)")
        await asyncio.sleep(1)
        async with stream.server.tail(stream.selector, start=str(stream.base), limit="1") as socket:
            await stream.push(stream.entries("there is a slot"))
            assert [line for line, _ in await entries_of(socket, 1)] == ["there is a slot"]
