"""Queries kept by name: read, kept, forgotten, and files that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vpai_tui.errors import UsageError
from vpai_tui.logs.saved import MOST, Saved, saved


def test_a_query_is_kept_and_forgotten(tmp_path: Path) -> None:
    queries = Saved(tmp_path / "config" / "queries.yaml")
    assert queries.read() == {}
    queries.keep("5xx of caddy", '{container="caddy"} | json | status >= 500')
    queries.keep("all", '{container=~".+"}')
    queries.keep("all", '{job=~".+"}')
    assert queries.read() == {"5xx of caddy": '{container="caddy"} | json | status >= 500', "all": '{job=~".+"}'}
    assert queries.forget("all") and not queries.forget("all")
    assert list(queries.read()) == ["5xx of caddy"]
    assert [it.name for it in queries.path.parent.iterdir()] == ["queries.yaml"]  # nothing is left beside it


@example(query="\x85")
@example(query="\u00e9\u2028")
@given(query=st.text(min_size=1, max_size=60))
def test_any_query_comes_back_as_it_was(query: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    queries = Saved(tmp_path_factory.getbasetemp() / "any.yaml")
    queries.keep("it", query)
    assert queries.read()["it"] == query


@pytest.mark.parametrize("name", ["", "-x", "a\n", "a/b", "x" * 41, "\x1b[2J"])
def test_names_are_plain(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no name"):
        Saved(tmp_path / "q.yaml").keep(name, "{}")


@pytest.mark.parametrize("content", [b"- a\n- b\n", b"a: 1\n", b"a: [x", b"\xff\xfe\x00", b"a: {b: c}\n"])
def test_a_file_that_is_none_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "q.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"q\.yaml"):
        Saved(path).read()


def test_there_is_an_end_to_them(tmp_path: Path) -> None:
    queries = Saved(tmp_path / "q.yaml")
    queries._write({f"q{number}": "{}" for number in range(MOST)})
    with pytest.raises(UsageError, match="already"):
        queries.keep("one more", "{}")
    queries.keep("q1", "{a}")


def test_nothing_is_lost_of_a_file_that_is_not_read_whole(tmp_path: Path) -> None:
    queries = Saved(tmp_path / "q.yaml")
    queries.keep("a", "{a}")
    with pytest.raises(UsageError, match="KiB"):
        queries.keep("b", "x" * 300_000)
    assert queries.read() == {"a": "{a}"}
    by_hand = "a: '{a}'\nb: " + "x" * 300_000 + "\nc: '{c}'\n"
    queries.path.write_text(by_hand)
    with pytest.raises(UsageError, match="larger than"):
        queries.keep("d", "{d}")
    assert queries.path.read_text() == by_hand


def test_they_are_the_users() -> None:
    assert saved().path.name == "queries.yaml"
