"""The simulated registry: references, digests, what exists, what moves."""

from __future__ import annotations

from pathlib import Path

import pytest

from vpai_tui.demo.engine.store import EngineError
from vpai_tui.demo.history import lower_tag, older
from vpai_tui.demo.registry import Registry, parse

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "repo", "tag", "digest"),
    [
        ("postgres", "postgres", "latest", ""),
        ("docker.io/library/postgres:18", "postgres", "18", ""),
        ("ghcr.io/berriai/litellm:v1.81.3", "ghcr.io/berriai/litellm", "v1.81.3", ""),
        ("127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b", "latest", ""),
        (f"redis@{DIGEST}", "redis", "", DIGEST),
        (f"redis:8@{DIGEST}", "redis", "8", DIGEST),
    ],
)
def test_parses_references(text: str, repo: str, tag: str, digest: str) -> None:
    assert parse(text) == (repo, tag, digest)


@pytest.mark.parametrize("text", ["", "Upper/case", "a:b c", "a@sha256:12", "a@", "-a", "a:" + "x" * 200])
def test_refuses_malformed_references(text: str) -> None:
    with pytest.raises(EngineError, match="invalid reference format"):
        parse(text)


def test_same_reference_same_bits(tmp_path: Path) -> None:
    one, two = Registry(tmp_path, 7), Registry(tmp_path, 7)
    by_tag = one.resolve(parse("redis:8"))
    assert two.resolve(parse("redis:8")) == by_tag
    assert one.resolve(parse(f"redis@{by_tag.digest}")) == by_tag
    assert one.resolve(parse("redis:8.2")).digest != by_tag.digest
    assert Registry(tmp_path, 8).resolve(parse("redis:8")).digest != by_tag.digest
    assert one.resolve(parse("redis:8.2")).layers[0] == by_tag.layers[0]


def test_a_tag_moves_and_the_old_digest_stays(tmp_path: Path) -> None:
    registry = Registry(tmp_path, 7)
    before = registry.resolve(parse("redis:8"))
    digest = registry.move("redis:8", "crash")
    after = registry.resolve(parse("redis:8"))
    assert after.digest == digest != before.digest
    assert after.behaviour == "crash" and before.behaviour == ""
    assert registry.resolve(parse(f"redis@{before.digest}")) == before


def test_missing_and_bad_images(tmp_path: Path) -> None:
    registry = Registry(tmp_path, 7)
    with pytest.raises(EngineError, match="manifest for a/missing:1 not found: manifest unknown"):
        registry.resolve(parse("a/missing:1"))
    assert registry.resolve(parse("a:1-broken")).behaviour == "crash"
    assert registry.resolve(parse("a:1-unhealthy")).behaviour == "unhealthy"


@pytest.mark.parametrize(
    ("tag", "steps", "lower"),
    [
        ("2.7.3", 1, "2.7.2"),
        ("2.7.3", 2, "2.7.1"),
        ("0.26.0", 1, "0.25.0"),
        ("v1.81.3-stable", 1, "v1.81.2-stable"),
        ("8-alpine", 1, "7-alpine"),
        ("latest", 1, "latest"),
        ("2.7.3", 0, "2.7.3"),
    ],
)
def test_older_versions(tag: str, steps: int, lower: str) -> None:
    assert lower_tag(tag, steps) == lower


def test_older_touches_one_service() -> None:
    text = "services:\n  a:\n    image: x:2\n  b:\n    # note\n    image: x:2\n    command: x\n"
    assert older(text, "b", 1) == "services:\n  a:\n    image: x:2\n  b:\n    # note\n    image: x:1\n    command: x\n"
