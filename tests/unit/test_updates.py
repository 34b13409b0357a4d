"""Whether a tag has moved upstream: asked rarely, kept on the laptop, never guessed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from vpai_tui.errors import LinkLost, OperatorError
from vpai_tui.fleet import updates
from vpai_tui.fleet.model import Container, Health, Service, Sync
from vpai_tui.fleet.updates import Update, Updates, look

OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates, "PAUSE_S", 0)


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 11, 28, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def boot_s(self) -> float:
        return 0.0


class Registry:
    """An engine whose images have `OLD`, and a registry that answers `upstream`, or raises it."""

    def __init__(self, upstream: object = OLD, digests: object = (f"redis@{OLD}",)) -> None:
        self.upstream, self.digests = upstream, digests
        self.asked: list[str] = []

    async def call(self, method: str, *args: object, **options: object) -> Any:
        if method == "inspect_image":
            return {"RepoDigests": list(self.digests) if isinstance(self.digests, tuple) else self.digests}
        self.asked.append(str(args[0]))
        if isinstance(self.upstream, Exception):
            raise self.upstream
        return self.upstream if isinstance(self.upstream, Mapping) else {"Descriptor": {"digest": self.upstream}}


def service(image: str = "redis:8.0", *, name: str = "redis", host: str = "sese", stack: str = "infra") -> Service:
    made = Container("c" * 64, name, "vpai", name, image, f"id of {image}", "running", None, None)
    return Service(host, stack, name, Sync.IN_SYNC, Health.HEALTHY, image, made)


async def told(registry: Registry, at: Service, path: Path, clock: Clock | None = None) -> Update | None:
    found = Updates(path, clock or Clock())
    await look(found, lambda: [at], lambda _: registry)
    return found.of(at)


async def test_a_tag_that_moved_one_that_did_not_and_one_nobody_knows(tmp_path: Path) -> None:
    path = tmp_path / "updates.json"
    assert await told(Registry(), service(), path) == Update(False, "the tag still stands for it (asked 0s ago)")
    path.unlink()
    found = await told(Registry(NEW), service(), path)
    assert found is not None and found.moved and found.why.startswith("the tag has moved to sha256:bbbb")
    path.unlink()
    found = await told(Registry(OperatorError("toomanyrequests: slow down")), service(), path)
    assert found is not None and found.moved is None and "toomanyrequests" in found.why
    assert Updates(path, Clock()).of(service()) == Update(None, "not asked yet"), "what runs is not known yet"


@pytest.mark.parametrize("answer", [{}, {"Descriptor": None}, {"Descriptor": {"digest": 7}}, "latest", "sha256:ab"])
async def test_an_answer_that_is_none_is_not_taken_for_one(tmp_path: Path, answer: object) -> None:
    found = await told(Registry(answer), service(), tmp_path / "updates.json")
    assert found is not None and found.moved is None and found.why.startswith("cannot be known")


@pytest.mark.parametrize(
    "image", ["redis@" + OLD, "redis:8@" + OLD, "vpai.build/opencut:abc", "vpai.keep/apps-n8n:1", OLD, ""]
)
async def test_what_has_no_tag_of_a_registry_is_not_asked_for(tmp_path: Path, image: str) -> None:
    registry = Registry(NEW)
    assert await told(registry, service(image), tmp_path / "updates.json") is None
    assert registry.asked == []


async def test_what_was_built_on_the_host_is_not_asked_for(tmp_path: Path) -> None:
    for digests in ((), None, "x"):
        registry = Registry(NEW, digests)
        assert await told(registry, service(), tmp_path / "updates.json") is None
        assert registry.asked == []


async def test_a_reference_is_asked_once_in_six_hours_whoever_runs_it_and_whoever_looks(tmp_path: Path) -> None:
    path, clock, registry = tmp_path / "updates.json", Clock(), Registry()
    twice = [service(), service(name="cache"), service(host="pi")]
    found = Updates(path, clock)
    assert await look(found, lambda: twice, lambda _: registry)
    assert not await look(found, lambda: twice, lambda _: registry), "nothing is due any more"
    again = Updates(path, clock)
    await look(again, lambda: twice, lambda _: registry)
    assert registry.asked == ["redis:8.0"] and again.of(twice[2]) == found.of(twice[0])
    clock.at += timedelta(hours=6)
    registry.upstream = NEW
    await look(again, lambda: twice, lambda _: registry)
    assert registry.asked == ["redis:8.0"] * 2
    moved = again.of(twice[1])
    assert moved is not None and moved.moved


async def test_a_command_asks_some_and_the_next_one_goes_on(tmp_path: Path) -> None:
    path, registry = tmp_path / "updates.json", Registry(NEW)
    several = [service(image, name=image.partition(":")[0]) for image in ("redis:8.0", "caddy:2", "n8n:2", "loki:3")]
    left = [4]
    for _ in range(3):
        found = Updates(path, Clock())
        await look(found, lambda: several, lambda _: registry, most=2)
        left.append(len(found.unasked(several)))
    assert left == [4, 2, 0, 0] and len(registry.asked) == 4
    assert found.moved(several) == {it.id: it.image for it in several}
    registry.upstream = OLD
    path.unlink()
    await look(found := Updates(path, Clock()), lambda: several, lambda _: registry, most=4)
    assert (found.moved(several), found.unasked(several)) == ({}, frozenset())


async def test_a_registry_that_refuses_is_left_alone_as_long(tmp_path: Path) -> None:
    path, clock, registry = tmp_path / "updates.json", Clock(), Registry(OperatorError("429"))
    for _ in range(3):
        await told(registry, service(), path, clock)
    assert len(registry.asked) == 1
    clock.at -= timedelta(days=2)  # the clock was wrong: what it says of later does not hold
    await told(registry, service(), path, clock)
    assert len(registry.asked) == 2


async def test_a_host_that_goes_away_says_nothing_of_the_registry(tmp_path: Path) -> None:
    path, registry = tmp_path / "updates.json", Registry(LinkLost("gone", host="sese"))
    found = Updates(path, Clock())
    others = [service(), service("postgres:18", name="db")]
    assert not await look(found, lambda: others, lambda _: registry)
    assert len(registry.asked) == 1 and not path.exists(), "its other services are not tried"
    registry.upstream = NEW
    assert await look(found, lambda: others, lambda _: registry)
    assert registry.asked[1:] == ["redis:8.0", "postgres:18"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"redis:8.0": 3}', '{"redis:8.0": {"at": 7, "digest": []}}'])
async def test_a_file_that_is_not_ours_is_forgotten(tmp_path: Path, text: str) -> None:
    path = tmp_path / "updates.json"
    path.write_text(text)
    found = await told(Registry(NEW), service(), path)
    assert found is not None and found.moved
    assert json.loads(path.read_text())["redis:8.0"]["digest"] == NEW


async def test_a_folder_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "no").write_text("a file")
    found = await told(Registry(NEW), service(), tmp_path / "no" / "updates.json")
    assert found is not None and found.moved
