"""The simulated Compose's reading of files: interpolation, merge, environment, hash, the wording of its errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.demo.engine.compose_env import ComposeError, escape_tree, interpolate, interpolate_tree, parse_env
from vpai_tui.demo.engine.compose_load import Project, Source, config_hash, load
from vpai_tui.demo.engine.compose_up import memory_bytes, selection

VARIABLES = {"SET": "value", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$SET ${SET}", "value value"),
        ("$$SET", "$SET"),
        ("${NONE:-d} ${EMPTY:-d} ${EMPTY-d} ${NONE-d}", "d d  d"),
        ("${SET:+yes}${EMPTY:+no}${EMPTY+set}", "yesset"),
        ("${NONE:-${SET}}", "value"),
        ("${SET:?must}", "value"),
        ("a${NONE}b", "ab"),
    ],
)
def test_interpolates(text: str, expected: str) -> None:
    assert interpolate(text, VARIABLES.get, []) == expected


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
def test_escaped_text_survives_interpolation(tree: Any) -> None:
    assert interpolate_tree(escape_tree(tree), {}.get, []) == tree


def test_env_file_values() -> None:
    text = "A=1\n# no\nexport B='$raw'\nC=\"two $A\\n\"\nD=x # comment\nE=p$$q\nF=\nG=a#b\n"
    assert parse_env(text, {}) == {
        "A": "1",
        "B": "$raw",
        "C": "two 1\n",
        "D": "x",
        "E": "p$q",
        "F": "",
        "G": "a#b",
    }


def project(folder: Path, *texts: str, **how: Any) -> Project:
    files = []
    for number, text in enumerate(texts):
        path = folder / f"{number}.yaml"
        path.write_text(text)
        files.append(str(path))
    return load(Source(files, folder, "p", (), {}), **how)


def piped(folder: Path, found: Project) -> Project:
    return load(Source(["-"], folder, "p", (), {}, json.dumps(found.document(escape=True))))


FULL = """
x-base: &base {restart: unless-stopped}
services:
  web:
    <<: *base
    image: ${IMAGE:-nginx}:1
    command: run --price '5$$'
    environment: [A=1, "B=x$$y"]
    env_file: ./web.env
    ports: ["127.0.0.1:8080:80", "53:53/udp"]
    volumes: ["./conf:/conf:ro", "data:/data"]
    depends_on: [db]
    healthcheck: {test: "curl -f http://localhost"}
    labels: [one=1]
  db: {image: "postgres:18", networks: {back: {aliases: [base]}}}
networks: {back: {}}
volumes: {data: }
"""


def test_short_forms_become_long(tmp_path: Path) -> None:
    (tmp_path / "web.env").write_text("S=secret$$1\nA=from file\n")
    web = project(tmp_path, FULL).services["web"]
    assert web["image"] == "nginx:1"
    assert web["restart"] == "unless-stopped"
    assert web["command"] == ["run", "--price", "5$"]
    assert web["environment"] == {"A": "1", "B": "x$y", "S": "secret$1"}
    assert web["ports"][0]["host_ip"] == "127.0.0.1" and web["ports"][0]["published"] == "8080"
    assert web["ports"][1]["protocol"] == "udp"
    assert web["volumes"][0]["source"] == str(tmp_path / "conf") and web["volumes"][0]["read_only"]
    assert web["volumes"][1]["type"] == "volume"
    assert web["depends_on"] == {"db": {"condition": "service_started", "required": True}}
    assert web["healthcheck"]["test"] == ["CMD-SHELL", "curl -f http://localhost"]
    assert web["labels"] == {"one": "1"}
    assert "env_file" not in web


def test_piped_hash_equals_the_direct_resolution(tmp_path: Path) -> None:
    (tmp_path / "web.env").write_text("S=secret$$1\n")
    direct = project(tmp_path, FULL)
    again = piped(tmp_path, direct)
    for name, service in direct.services.items():
        assert config_hash(service) == config_hash(again.services[name])


def test_what_changes_the_hash_and_what_does_not(tmp_path: Path) -> None:
    env = tmp_path / "web.env"
    env.write_text("S=1\n")
    base = config_hash(project(tmp_path, FULL).services["web"])
    env.write_text("S=2\n")
    assert config_hash(project(tmp_path, FULL).services["web"]) != base
    env.write_text("S=1\n")
    label = 'services: {web: {labels: {vpai.files: "1"}}}'
    assert config_hash(project(tmp_path, FULL, label).services["web"]) != base
    unhashed = "services: {web: {pull_policy: never, depends_on: {db: {condition: service_healthy}}, x-note: 1}}"
    assert config_hash(project(tmp_path, FULL, unhashed).services["web"]) == base
    (tmp_path / "elsewhere").mkdir()
    assert config_hash(project(tmp_path, FULL).services["web"]) == base


def test_later_files_win(tmp_path: Path) -> None:
    (tmp_path / "web.env").write_text("")
    over = """
services:
  web:
    image: other:2
    command: [stop]
    environment: {A: "2", C: "3"}
    volumes: ["./else:/conf"]
    cap_add: [X]
"""
    web = project(tmp_path, FULL, over).services["web"]
    assert web["image"] == "other:2" and web["command"] == ["stop"]
    assert web["environment"] == {"A": "2", "B": "x$y", "C": "3"}
    assert {entry["target"]: entry["source"] for entry in web["volumes"]}["/conf"] == str(tmp_path / "else")


def test_no_interpolation_hides_env_files(tmp_path: Path) -> None:
    raw = project(tmp_path, FULL, interpolate=False, environment=False).services["web"]
    assert raw["image"] == "${IMAGE:-nginx}:1"
    assert raw["env_file"] == [{"path": str(tmp_path / "web.env"), "required": True}]
    assert "S" not in raw["environment"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("services: {a: {image: x, env_file: no.env}}", r"env file .*/no\.env not found: stat .*: no such file"),
        (
            "services: {a: {image: x, environment: {A: '${V:?tell me}'}}}",
            "error while interpolating services.a.environment.A: required variable V is missing a value: tell me",
        ),
        ("services: {a: {image: 'x$'}}", "invalid interpolation format for services.a.image"),
        ("services: {a: {command: x}}", 'service "a" has neither an image nor a build context specified'),
        ("services: {a: {image: x, networks: [n]}}", 'service "a" refers to undefined network n'),
        ("services: {a: {image: x, volumes: ['v:/v']}}", 'service "a" refers to undefined volume v'),
        ("services: {a: {image: x, depends_on: [b]}}", 'service "a" depends on undefined service "b"'),
        ("services: [", "yaml: "),
        ("servizes: {}", "additional properties 'servizes' not allowed"),
    ],
)
def test_errors_say_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ComposeError, match=said):
        project(tmp_path, text)


def test_order_is_by_dependency(tmp_path: Path) -> None:
    found = project(tmp_path, "services: {a: {image: x, depends_on: [c]}, b: {image: x}, c: {image: x}}")
    assert selection(found, ["a"], dependencies=True) == ["c", "a"]
    assert selection(found, ["a"], dependencies=False) == ["a"]
    assert selection(found, (), dependencies=False) == ["c", "a", "b"]
    with pytest.raises(ComposeError, match="no such service: z"):
        selection(found, ["z"], dependencies=True)


@pytest.mark.parametrize(("limit", "size"), [("512M", 512 << 20), ("1g", 1 << 30), ("64MiB", 64 << 20), (1000, 1000)])
def test_memory_limits(limit: object, size: int) -> None:
    assert memory_bytes({"mem_limit": limit}) == size
    assert memory_bytes({"deploy": {"resources": {"limits": {"memory": limit}}}}) == size
