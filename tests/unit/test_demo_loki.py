"""The demo's Loki without a network: lines by the clock, a tail that is honest unless told otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from vpai_tui.config import load_fleet
from vpai_tui.demo import fleet
from vpai_tui.demo.engine import containers, logs
from vpai_tui.demo.engine.store import Doc, Engine
from vpai_tui.demo.history import Moment
from vpai_tui.demo.loki.api import Loki, Request, answer
from vpai_tui.demo.loki.chorus import _NEEDS, Chorus
from vpai_tui.demo.loki.faults import Faults, Switches
from vpai_tui.demo.loki.model import Entry, Key, S
from vpai_tui.demo.loki.store import Pushed, Together
from vpai_tui.demo.loki.tail import Ended, Tail
from vpai_tui.errors import UsageError
from vpai_tui.fleet.stacks import load_stacks

HOSTS = ("sese", "seko", "pi")
MINUTE = 60 * S
NOW = 1_795_000_000  # seconds: when the demo was made, so that its lines are the same ones each time


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo's state that no test changes."""
    return fleet.build(tmp_path_factory.mktemp("demo"), seed=7, clock=Moment(NOW), reset=False)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A demo's state for one test."""
    return fleet.build(tmp_path, seed=7, clock=Moment(NOW), reset=False)


class Server:
    """A Loki of a demo folder on a clock that the test moves."""

    def __init__(self, folder: Path, faults: Faults | None = None) -> None:
        self.folder = folder
        self.now = (NOW - 3600) * S
        self.faults = faults or Faults()
        self.chorus = Chorus(folder, HOSTS, 7)
        self.pushed = Pushed(folder / "loki" / "pushed.jsonl")
        self.loki = Loki(Together(self.chorus, self.pushed), self.pushed, lambda: self.now, lambda: self.faults)

    def entries(self, start: int, end: int, **labels: str) -> set[tuple[Key, Entry]]:
        wanted = labels.items()
        found = self.loki.source.select(lambda it: wanted <= it.items(), start, end, self.now)
        return {(key, entry) for key, entries in found for entry in entries}

    def tail(self, query: str = '{host=~".+"}', **params: str) -> Tail:
        target = "/loki/api/v1/tail?" + urlencode({"query": query, "limit": "1", **params})
        tail = Tail(self.loki, Request("GET", target, {"x-loki-response-encoding-flags": "categorize-labels"}))
        tail.open()
        return tail

    def run(self, tail: Tail, seconds: float) -> list[dict[str, Any]]:
        """The frames of so many seconds."""
        frames = list(map(json.loads, tail.frames()))
        for _ in range(round(seconds * 2)):
            self.now += S // 2
            tail.poll()
            frames += map(json.loads, tail.frames())
        return frames


def shown(frames: Iterable[dict[str, Any]]) -> list[tuple[str, int, str]]:
    return [
        (json.dumps(it["stream"], sort_keys=True), int(it["values"][0][0]), it["values"][0][1])
        for frame in frames
        for it in frame["streams"]
    ]


def came(server: Server, since: int) -> set[tuple[str, int, str]]:
    """What came in since then, late lines of before too."""
    return {
        (json.dumps(dict(it.stream), sort_keys=True), it.entry.ts, it.entry.line)
        for it in server.chorus.arrivals(lambda _: True, since, server.now)
    }


def stored(server: Server, start: int, end: int) -> set[tuple[str, int, str]]:
    return {(json.dumps(dict(key), sort_keys=True), entry.ts, entry.line) for key, entry in server.entries(start, end)}


def test_every_service_of_the_fleet_has_an_hour_of_lines(folder: Path) -> None:
    server = Server(folder)
    found = server.entries(server.now - 60 * MINUTE, server.now)
    by = {(dict(key)["host"], dict(key)["stack"], dict(key)["service"]) for key, _ in found}
    laptop = folder / "laptop"
    stacks = load_stacks(laptop / "stacks", load_fleet(laptop / "config" / "fleet.yaml"))
    wanted = {(it.host, it.name, name) for it in stacks for name in it.services if name not in it.spec.one_shots}
    assert by == wanted
    assert len(found) > 3000
    for key, entry in found:
        labels = dict(key)
        assert labels["service_name"] == labels["service"]
        assert dict(entry.meta)["detected_level"] == labels.get("level", dict(entry.meta)["detected_level"])
    assert {dict(key).get("level") for key, _ in found} == {None, "debug", "info", "warn", "error", "critical"}
    texts = [entry.line for _, entry in found]
    assert any(text.startswith("Traceback") for text in texts)
    assert any("\x1b[" in text for text in texts)
    assert sum(text.startswith('{"level"') and bool(json.loads(text)) for text in texts) > 1000


def test_streams_are_those_that_have_lines(folder: Path) -> None:
    server = Server(folder)
    speaking = {key for key, _ in server.entries(server.now - 300 * MINUTE, server.now)}
    named = set(server.loki.source.streams(server.now))
    assert speaking <= named
    # Silent while all is well: what complains of others, and a database that is never too busy.
    quiet = ("webhook-relay", "caddy-workstation")  # they lead to nothing that fails
    assert {dict(key)["service"] for key in named - speaking} <= {*_NEEDS, "opencut-db", "diun", *quiet}


def test_the_past_is_the_same_for_everybody_and_later(folder: Path) -> None:
    one, other = Server(folder), Server(folder)
    start, end = one.now - 30 * MINUTE, one.now - 10 * MINUTE
    first = one.entries(start, end)
    other.now += 50 * MINUTE
    assert other.entries(start, end) == first
    middle = (start + end) // 2
    assert one.entries(start, middle) | one.entries(middle, end) == first


def test_what_has_not_come_yet_is_not_there(folder: Path) -> None:
    server = Server(folder)
    start = server.now - 2 * MINUTE
    before = server.entries(start, server.now)
    arrived = {(it.stream, it.entry) for it in server.chorus.arrivals(lambda _: True, server.now, server.now + MINUTE)}
    server.now += MINUTE
    after = server.entries(start, server.now - MINUTE)
    assert before <= after
    assert after - before <= arrived
    assert all(entry.ts > server.now - MINUTE - 2 * S for _, entry in after - before) or len(after - before) < 20


def test_some_lines_come_late(folder: Path) -> None:
    server = Server(folder)
    late = [
        it
        for it in server.chorus.arrivals(lambda _: True, server.now - 120 * MINUTE, server.now)
        if it.at - it.entry.ts > 15 * S
    ]
    assert 0 < len(late) < 100


def test_a_tail_without_faults_shows_exactly_what_is_stored(folder: Path) -> None:
    server = Server(folder)
    began = server.now
    frames = server.run(server.tail(start=str(began)), 90)
    found = shown(frames)
    assert len(found) == len(set(found)) > 50
    assert set(found) == came(server, began) >= stored(server, began, server.now)
    assert not any("dropped_entries" in frame for frame in frames)


def test_a_lossy_tail_loses_and_reports_a_part(folder: Path) -> None:
    server = Server(folder, Faults(lossy=0.4))
    began = server.now
    frames = server.run(server.tail(start=str(began)), 120)
    lost = came(server, began) - set(shown(frames))
    reported = [entry for frame in frames for entry in frame.get("dropped_entries", ())]
    assert len(lost) > 20
    assert 0 < len(reported) < len(lost)
    assert set(reported[0]) == {"timestamp", "labels"}
    assert {int(entry["timestamp"]) for entry in reported} <= {ts for _, ts, _ in lost}


def test_a_duplicating_tail_repeats(folder: Path) -> None:
    server = Server(folder, Faults(duplicating=0.5))
    found = shown(server.run(server.tail(), 60))
    assert len(found) - len(set(found)) > 10


def test_a_burst_is_lost_in_part_and_some_of_it_silently(folder: Path, tmp_path: Path) -> None:
    server = Server(folder)
    server.pushed = Pushed()
    server.loki = Loki(server.pushed, server.pushed, lambda: server.now)
    tail = server.tail('{job="burst"}')
    values = [[str(server.now + number), f"line {number}"] for number in range(5000)]
    body = json.dumps({"streams": [{"stream": {"job": "burst"}, "values": values}]}).encode()
    headers = {"content-type": "application/json"}
    assert answer(server.loki, Request("POST", "/loki/api/v1/push", headers, body)).status == 204
    frames = server.run(tail, 1)
    reported = sum(len(frame.get("dropped_entries", ())) for frame in frames)
    assert len(shown(frames)) == 3200
    assert reported == 900
    assert max(len(frame["streams"]) for frame in frames) == 100


def test_a_stream_that_gets_too_much_is_divided(folder: Path) -> None:
    server = Server(folder)
    server.pushed = Pushed()
    server.loki = Loki(server.pushed, server.pushed, lambda: server.now)
    values = [[str(server.now + number), "x" * 200_000] for number in range(20)]
    body = json.dumps({"streams": [{"stream": {"job": "large"}, "values": values}]}).encode()
    headers = {"content-type": "application/json"}
    assert answer(server.loki, Request("POST", "/loki/api/v1/push", headers, body)).status == 204
    found = json.loads(answer(server.loki, Request("GET", "/loki/api/v1/series?match[]={job=%22large%22}", {})).body)
    assert sorted(it["__stream_shard__"] for it in found["data"]) == ["0", "1", "2"]
    found = json.loads(answer(server.loki, Request("GET", "/loki/api/v1/labels", {})).body)
    assert found["data"] == ["__stream_shard__", "job", "service_name"]


def test_how_tails_end(folder: Path) -> None:
    server = Server(folder)
    server.loki.max_duration_s = 4
    with pytest.raises(Ended, match="reached tail max duration limit") as ended:
        server.run(server.tail(), 10)
    assert ended.value.code == 1011
    tail = server.tail()
    server.faults = Faults(restarted=server.now / S)
    with pytest.raises(Ended) as ended:
        server.run(tail, 1)
    assert ended.value.code == 1006
    tail.close()
    server.faults = Faults(tails_taken=10)
    with pytest.raises(Ended, match=r"count > limit \(12 > 10\)|count > limit \(11 > 10\)"):
        server.tail()


def test_a_restart_is_over_after_a_while(folder: Path) -> None:
    server = Server(folder)
    ready = Request("GET", "/ready", {})
    server.faults = Faults(restarted=server.now / S)
    assert server.faults.gone(server.now)
    server.now += 3 * S
    assert not server.faults.gone(server.now)
    assert answer(server.loki, ready).body == b"Ingester not ready: waiting for 15s after being ready\n"
    server.now += 15 * S
    assert answer(server.loki, ready).body == b"ready\n"


# ── what happens to containers ───────────────────────────────────────────────────────────────────────────────────────


def container(state: Doc, name: str) -> Doc:
    found = containers.find(state, name)
    assert found is not None
    return found


def test_a_stop_is_silence_and_others_complain(own: Path) -> None:
    server = Server(own)
    engine = Engine(own / "sese")
    server.now = int(engine.now() * S)
    began = server.now
    with engine.change() as state:
        containers.stop(state, began / S, container(state, "vpai-postgresql-1"))
    with engine.change() as state:
        containers.start(state, began / S + 60, container(state, "vpai-postgresql-1"))
    server.now += 3 * MINUTE
    mine = sorted(entry for _, entry in server.entries(began - MINUTE, server.now, service="postgresql"))
    gap = [entry for entry in mine if began + S < entry.ts < began + MINUTE]
    assert gap == []
    assert [entry.line for entry in mine if "SIGTERM" in entry.line] == ["received SIGTERM, shutting down"]
    assert [entry.line for entry in mine if entry.line.startswith(("starting ", "ready"))] == [
        "starting postgres:18.1-bookworm",
        "ready to serve",
    ]
    theirs = [
        entry
        for service in ("n8n", "litellm")
        for _, entry in server.entries(began, began + MINUTE, service=service, level="error")
    ]
    assert sum("postgresql:5432" in entry.line for entry in theirs) > 40
    tracebacks = [entry.line for _, entry in server.entries(began, began + MINUTE, service="litellm")]
    assert "Traceback (most recent call last):" in tracebacks


def test_a_service_that_crashes_keeps_its_past(own: Path) -> None:
    server = Server(own)
    engine = Engine(own / "sese")
    server.now = int(engine.now() * S)
    before = server.entries(server.now - 10 * MINUTE, server.now - MINUTE, service="caddy")
    with engine.change() as state:
        found = container(state, "vpai-caddy-1")
        containers.stop(state, engine.now(), found)
        found["behaviour"] = "crash"
        containers.start(state, engine.now(), found)
    assert server.entries(server.now - 10 * MINUTE, server.now - MINUTE, service="caddy") == before
    server.now += 2 * MINUTE
    after = [entry.line for _, entry in server.entries(server.now - 2 * MINUTE, server.now, service="caddy")]
    assert after.count("panic: exit status 1") >= 5
    assert not any("handled request" in line for line in after[-3:])


def test_docker_logs_say_what_loki_has(folder: Path) -> None:
    server = Server(folder)
    engine = Engine(folder / "sese")
    server.now = int(engine.now() * S)
    one = container(engine.read(), "vpai-litellm-1")
    printed = logs.lines(one, server.now / S, server.chorus)
    assert len(printed) == 400
    assert {stream for _, stream, _ in printed} == {"stdout", "stderr"}
    end = server.now
    server.now += 30 * S  # all of it has come
    have = [
        entry.line
        for _, entry in sorted(server.entries(int(printed[0][0] * S) - S, end, service="litellm"), key=lambda it: it[1])
    ]
    assert [text for _, _, text in printed] == have[-400:]


# ── what lies in the folder ──────────────────────────────────────────────────────────────────────────────────────────


def test_pushes_are_seen_by_every_cockpit_on_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "loki" / "pushed.jsonl"
    one, other = Pushed(path), Pushed(path)
    stream: Key = (("job", "x"),)
    one.push([(stream, Entry(5, "a\u2028b", ()))], 10)
    assert list(other.select(lambda _: True, 0, 10, 10)) == [(stream, [Entry(5, "a\u2028b", ())])]
    other.arrivals(lambda _: True, 0, 20)
    one.push([(stream, Entry(6, "c", ()))], 15)
    assert [it.entry.line for it in other.arrivals(lambda _: True, 20, 30)] == ["c"]  # however late it was seen
    assert list(one.streams(0)) == list(other.streams(0)) == [stream]


def test_switches_are_words(tmp_path: Path) -> None:
    switches = Switches(tmp_path / "loki" / "faults.json", lambda: 1000.0)
    assert switches.read() == Faults()
    switches.turn("lossy 0.3")
    switches.turn("slots 10")
    switches.turn("down on")
    assert switches.read() == Faults(lossy=0.3, tails_taken=10, down=True)
    switches.turn("restart")
    assert switches.read().restarted == 1000.0
    assert Switches(tmp_path / "loki" / "faults.json").turn("ok") == Faults()
    for text in ("", "lossy", "lossy much", "nonsense 1", "restart now"):
        with pytest.raises(UsageError):
            switches.turn(text)
    (tmp_path / "loki" / "faults.json").write_text("{")
    assert switches.read() == Faults()
