"""The engine's answers into containers, events applied, and the watch against an engine made of lists."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.containers import (
    ContainerEvent,
    DockerWatch,
    after_event,
    from_event,
    from_inspect,
    from_list,
    moment,
)
from vpai_tui.fleet.model import Container, Port

LISTED = {
    "Id": "abc",
    "Names": ["/apps-web-1"],
    "Image": "lab/web:1",
    "ImageID": "sha256:1",
    "Created": 1772147040,
    "Labels": {"com.docker.compose.project": "apps", "com.docker.compose.service": "web"},
    "State": "running",
    "Status": "Up 3 minutes (healthy)",
    "Ports": [
        {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"IP": "127.0.0.1", "PrivatePort": 53, "PublicPort": 5353, "Type": "udp"},
        {"PrivatePort": 9000, "Type": "tcp"},
    ],
}
PORTS = (Port("127.0.0.1", 5353, 53, "udp"), Port("0.0.0.0", 8080, 80, "tcp"))


def inspected(name: str = "abc", **state: Any) -> dict[str, Any]:
    return {
        "Id": name,
        "Name": "/apps-web-1",
        "Image": "sha256:1",
        "Created": "2026-02-26T23:04:00.123456789Z",
        "RestartCount": 2,
        "State": {
            "Status": "running",
            "ExitCode": 0,
            "OOMKilled": False,
            "StartedAt": "2026-02-26T23:05:00.5Z",
            "FinishedAt": "0001-01-01T00:00:00Z",
            "Health": {"Status": "healthy"},
            **state,
        },
        "Config": {"Image": "lab/web:1", "Labels": LISTED["Labels"]},
        "HostConfig": {"RestartPolicy": {"Name": "unless-stopped"}},
        "NetworkSettings": {
            "Ports": {
                "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}],
                "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "5353"}],
                "9000/tcp": None,
            }
        },
    }


def event(action: str, container: str = "abc", at: int = 1772147100, **attributes: str) -> dict[str, Any]:
    return {
        "Type": "container",
        "Action": action,
        "Actor": {"ID": container, "Attributes": {"name": "apps-web-1", **attributes}},
        "time": at,
        "timeNano": at * 10**9,
    }


def test_the_list_gives_a_first_picture() -> None:
    seen = from_list(LISTED)
    assert seen is not None
    assert (seen.name, seen.project, seen.service, seen.image) == ("apps-web-1", "apps", "web", "lab/web:1")
    assert (seen.state, seen.health, seen.ports) == ("running", "healthy", PORTS)
    assert (seen.restarts, seen.oom_killed, seen.started_at) == (None, None, None), "not invented"


@pytest.mark.parametrize(
    ("status", "health", "code"),
    [
        ("Up 1 second (health: starting)", "starting", None),
        ("Up 1 hour (unhealthy)", "unhealthy", None),
        ("Up 1 hour", None, None),
        ("Exited (137) 2 hours ago", None, 137),
    ],
)
def test_health_and_exit_from_the_status_line(status: str, health: str | None, code: int | None) -> None:
    seen = from_list(LISTED | {"Status": status})
    assert seen is not None and (seen.health, seen.exit_code) == (health, code)


def test_inspection_gives_the_rest() -> None:
    seen = from_inspect(inspected())
    assert seen is not None
    assert (seen.restarts, seen.exit_code, seen.oom_killed, seen.restart_policy) == (2, 0, False, "unless-stopped")
    assert seen.started_at == datetime(2026, 2, 26, 23, 5, 0, 500000, UTC)
    assert seen.finished_at is None, "the engine's year 1 means never"
    assert (seen.ports, seen.health) == (PORTS, "healthy")


def test_what_compose_run_made_is_not_the_service() -> None:
    labels = {**LISTED["Labels"], "com.docker.compose.oneoff": "True"}
    seen = from_list(LISTED | {"Labels": labels})
    assert seen is not None and (seen.project, seen.service) == ("apps", None)


def test_names_are_cleaned() -> None:
    seen = from_list(LISTED | {"Names": ["/a\x1b[2Jb\u202e"], "Image": "x\ny"})
    assert seen is not None and (seen.name, seen.image) == ("a[2Jb", "x y")


def test_times() -> None:
    assert moment("2026-02-26T23:04:00Z") == datetime(2026, 2, 26, 23, 4, tzinfo=UTC)
    assert moment("2026-02-27T00:04:00.1+01:00") == datetime(2026, 2, 26, 23, 4, 0, 100000, UTC)
    assert moment("2026-13-40T23:04:00Z") is None
    assert moment(5) is None


@pytest.mark.parametrize(
    ("action", "attributes", "expected"),
    [
        ("die", {"exitCode": "137"}, {"state": "exited", "exit_code": 137}),
        ("die", {"exitCode": "x"}, {"state": "exited", "exit_code": None}),
        ("start", {}, {"state": "running", "health": "starting"}),
        ("oom", {}, {"oom_killed": True}),
        ("pause", {}, {"state": "paused"}),
        ("unpause", {}, {"state": "running"}),
        ("health_status: unhealthy", {}, {"health": "unhealthy"}),
        ("kill", {"signal": "9"}, {}),
    ],
)
def test_an_event_tells_something_by_itself(action: str, attributes: dict[str, str], expected: dict[str, Any]) -> None:
    before, happened = from_inspect(inspected()), from_event(event(action, **attributes))
    assert before is not None and happened is not None
    after = after_event(before, happened)
    assert {key: getattr(after, key) for key in expected} == expected
    if not expected:
        assert after == before
        assert happened.detail == "signal 9"


def test_events_about_other_things_are_passed_over() -> None:
    assert from_event(event("start") | {"Type": "network"}) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(sorted({*LISTED, *inspected(), *inspected()["State"], *event("x"), "RestartPolicy", "80/tcp"}))


def driving(text: str) -> list[str]:
    """What of a text moves a cursor, ends a line or turns it around. A character that Unicode has not named yet
    (U+D7FC) or that joins others is none of that, and `str.isprintable` would say no to it."""
    turning = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    kinds = ("Cc", "Cs", "Zl", "Zp")
    return [it for it in text if unicodedata.category(it) in kinds or unicodedata.bidirectional(it) in turning]


@given(st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=4), max_size=8))
def test_no_answer_of_an_engine_raises(answer: dict[str, Any]) -> None:
    for read in (from_list, from_inspect):
        seen = read(answer | {"Id": "abc"})
        assert isinstance(seen, Container) and not driving(seen.name)
    happened = from_event(answer | {"Type": "container", "Actor": {"ID": "abc"}, "Action": "die"})
    assert isinstance(happened, ContainerEvent)


class FakeEngine:
    """An engine whose answers are set by the test; `say` puts an event on its stream, None ends it."""

    def __init__(self) -> None:
        self.containers: dict[str, dict[str, Any]] = {"abc": inspected()}
        self.stream: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.calls: list[str] = []
        self.options: dict[str, Any] = {}

    async def call(self, fn_name: str, /, *args: Any, **kw: Any) -> Any:
        self.calls.append(" ".join([fn_name, *map(str, args)]))
        await asyncio.sleep(0)
        if fn_name == "containers":
            return [LISTED | {"Id": name, "State": facts["State"]["Status"]} for name, facts in self.containers.items()]
        if fn_name == "info":
            return {"ServerVersion": "26.1", "SystemTime": "2026-02-26T23:05:00.5Z"}
        if args[0] not in self.containers:
            raise OperatorError("no such container")
        return self.containers[args[0]]

    async def iterate(self, fn_name: str, /, *args: Any, **kw: Any) -> AsyncIterator[Any]:
        self.options = kw
        while (item := await self.stream.get()) is not None:
            yield item


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(3):
        while not condition():
            await asyncio.sleep(0.01)


class Watched:
    def __init__(self) -> None:
        self.engine = FakeEngine()
        self.seen: list[tuple[Container, ...] | None] = []
        self.watch = DockerWatch(self.engine, lambda: self.seen.append(self.watch.containers))
        self.task = asyncio.ensure_future(self.watch.run())

    def only(self) -> Container:
        assert self.watch.containers
        return self.watch.containers[0]


async def test_first_the_list_then_the_inspection_then_only_events() -> None:
    it = Watched()
    await until(lambda: it.watch.complete)
    assert it.seen[0] is not None and it.seen[0][0].restarts is None, "painted before anything is inspected"
    assert it.only().restarts == 2
    assert it.watch.version == "26.1"
    calls = len(it.engine.calls)
    await asyncio.sleep(0.2)
    assert len(it.engine.calls) == calls, "nothing is polled"
    assert "exec_start" not in it.engine.options["filters"]["event"]
    it.task.cancel()


async def test_a_death_is_seen_at_once_and_then_asked_about_once() -> None:
    it = Watched()
    await until(lambda: it.watch.complete)
    it.engine.containers["abc"] = inspected(Status="exited", ExitCode=137, OOMKilled=True)
    it.engine.calls.clear()
    for action in ("kill", "oom", "die"):
        it.engine.stream.put_nowait(event(action, exitCode="137"))
    await until(lambda: it.only().state == "exited")
    assert it.engine.calls == [], "the event alone told it"
    await until(lambda: it.engine.calls)
    await until(lambda: it.only().oom_killed and it.only().restarts == 2)
    assert it.engine.calls == ["inspect_container abc"], "three events, one question"
    it.task.cancel()


async def test_created_and_destroyed() -> None:
    it = Watched()
    await until(lambda: it.watch.complete)
    it.engine.containers["new"] = inspected("new")
    it.engine.stream.put_nowait(event("create", "new"))
    await until(lambda: len(it.watch.containers or ()) == 2)
    it.engine.stream.put_nowait(event("die", "abc"))
    it.engine.stream.put_nowait(event("destroy", "abc"))
    await until(lambda: len(it.watch.containers or ()) == 1)
    await asyncio.sleep(0.1)
    assert it.only().id == "new", "a late answer does not bring it back"
    it.task.cancel()


async def test_history_is_kept_but_not_applied() -> None:
    it = Watched()
    await until(lambda: it.watch.complete)
    it.engine.stream.put_nowait(event("die", at=1772147000, exitCode="1"))
    await until(lambda: it.watch.events)
    assert it.only().state == "running"
    assert it.watch.events[0].detail == "exit 1"
    it.task.cancel()


async def test_it_ends_with_the_events_and_a_second_run_lists_again() -> None:
    it = Watched()
    await until(lambda: it.watch.complete)
    it.engine.stream.put_nowait(None)
    await asyncio.wait_for(it.task, 3)
    it.engine.containers = {"other": inspected("other")}
    again = DockerWatch(it.engine, lambda: None, it.watch.containers)
    task = asyncio.ensure_future(again.run())
    await until(lambda: again.complete)
    assert [container.id for container in again.containers or ()] == ["other"]
    task.cancel()


async def test_what_was_known_stays_until_it_is_asked_again() -> None:
    known = from_inspect(inspected())
    assert known is not None
    engine = FakeEngine()
    seen: list[tuple[Container, ...] | None] = []
    watch = DockerWatch(engine, lambda: seen.append(watch.containers), (replace(known, restarts=9),))
    task = asyncio.ensure_future(watch.run())
    await until(lambda: watch.complete)
    assert seen[0] is not None and seen[0][0].restarts == 9
    assert watch.containers is not None and watch.containers[0].restarts == 2
    task.cancel()


async def test_an_engine_that_cannot_be_asked_any_more_ends_the_watch_and_is_not_passed_over() -> None:
    it = Watched()
    await until(lambda: it.watch.complete)

    async def no_sudo(fn_name: str, /, *args: Any, **kw: Any) -> Any:
        raise OperatorError("user op may not run `sudo -n`")

    it.engine.call = no_sudo  # type: ignore[method-assign]
    it.engine.stream.put_nowait(event("start"))
    with pytest.raises(OperatorError, match="may not run"):
        async with asyncio.timeout(3):
            await it.task
