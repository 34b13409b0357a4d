"""Our LiteLLM answers in the shapes that a real 1.81.3 answered in, and has no field that newer ones dropped."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from vpai_tui.demo.litellm import config, redis, rest
from vpai_tui.demo.litellm.world import PREFIX, World, fresh

RECORDED = Path(__file__).parents[1] / "recordings" / "litellm"
CONFIG = Path(__file__).parents[2] / "stacks/sese/apps/configs/litellm/litellm_config.yaml"
OLD, NEWER = "1.81.3", ("1.83.3", "1.106.2")
NOW = datetime(2026, 11, 22, 21, tzinfo=UTC).timestamp()  # the day of the recordings
FREE_NAMES = {"model_groups", "models", "providers", "endpoints", "api_keys", "entities", "api_key_breakdown"}
_THERE = RECORDED.is_dir()
pytestmark = pytest.mark.skipif(not _THERE, reason="tests/recordings/litellm is not there")


def recorded(name: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((RECORDED / f"{name}.json").read_text()) if _THERE else {}
    return found


WITH = sorted(recorded(OLD))
WITHOUT = sorted(recorded(f"{OLD}-without-database"))


def shape(value: Any, name: str = "") -> Any:
    """Names and kinds; where names are data (aliases, hashes), those of the first."""
    if isinstance(value, dict):
        if name in FREE_NAMES:
            return {"*": shape(next(iter(value.values())))} if value else {}
        return {key: shape(item, key) for key, item in sorted(value.items())}
    if isinstance(value, list):
        return [shape(value[0])] if value and isinstance(value[0], dict) else "list"
    if isinstance(value, bool) or value is None:
        return str(value)
    return "number" if isinstance(value, int | float) else "text"


def lacking(ours: Any, theirs: Any, path: str = "") -> list[str]:
    """What ours has and theirs has not."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [
            missing
            for key, value in ours.items()
            if key != "*" or theirs  # an empty map says nothing of what would be in it
            for missing in ([f"{path}.{key}"] if key not in theirs else lacking(value, theirs[key], f"{path}.{key}"))
        ]
    if isinstance(ours, list) and isinstance(theirs, list) and ours and theirs:
        return lacking(ours[0], theirs[0], f"{path}[]")
    return []


def world(*, database: bool = True) -> World:
    doc = fresh()
    doc["loaded"] = config.start(CONFIG.read_bytes())
    return World(doc, NOW, {}, listens_since=NOW - 9, database=database)


def ask(at: World, name: str) -> rest.Answer:
    """`GET path`, or `POST alias` with the mode that acts."""
    if not name.startswith("POST "):
        return rest.answer(at, "GET", name, None)
    alias, _, mode = name.removeprefix("POST ").partition(" in ")
    if mode:
        redis.run(at, ["SET", f"{PREFIX}mode", mode.removesuffix(" mode")])
    body = {"model": alias, "messages": [{"role": "user", "content": "hi"}]}
    return rest.answer(at, "POST", "/v1/chat/completions", body)


@pytest.mark.parametrize("path", WITH)
def test_with_a_database(path: str) -> None:
    theirs = recorded(OLD)[path]
    answer = ask(world(), path)
    assert answer.status == theirs["status"]
    ours, wanted = shape(answer.body), shape(theirs["body"])
    if path == "/health/readiness":  # the recorded one had nothing cached, and says when it looked
        ours.pop("cache"), wanted.pop("cache"), wanted.pop("last_updated")
    assert ours == wanted


@pytest.mark.parametrize("version", NEWER)
@pytest.mark.parametrize("path", [it for it in WITH if not it.startswith("/health")])
def test_newer_versions_have_every_field_too(path: str, version: str) -> None:
    theirs = recorded(version)[path]
    assert theirs["status"] == 200
    assert lacking(shape(ask(world(), path).body), shape(theirs["body"])) == []


@pytest.mark.parametrize("name", WITHOUT)
def test_without_a_database(name: str) -> None:
    theirs = recorded(f"{OLD}-without-database")[name]
    answer = ask(world(database=False), name)
    assert answer.status == theirs["status"]
    if answer.status == 200:
        ours, wanted = shape(answer.body), shape(theirs["body"])
        for body in (ours, wanted):
            body.pop("cache", None)  # ours has one
        assert ours == wanted
    elif answer.status == 429:
        same = ("type", "param", "code")
        assert [answer.body["error"][it] for it in same] == [theirs["body"]["error"][it] for it in same]
        assert (
            answer.body["error"]["message"].partition(" (")[0] == theirs["body"]["error"]["message"].partition(" (")[0]
        )
    else:
        assert answer.body == theirs["body"]
    if name.startswith("POST ") and answer.status == 200:
        assert set(answer.headers) <= set(theirs["headers"])
        assert ("x-litellm-response-cost" in answer.headers) == ("x-litellm-response-cost" in theirs["headers"])
        assert answer.headers["x-litellm-model-group"] == theirs["headers"]["x-litellm-model-group"]
