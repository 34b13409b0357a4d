"""Highlight rules: what is typed, what a file may hold, mistakes that cost only themselves, and who owns a letter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from vpai_tui.errors import UsageError
from vpai_tui.logs.highlight import STYLES, Rule, owners, rule, told
from vpai_tui.logs.highlights import FILE, MOST, Highlights, highlights
from vpai_tui.logs.model import Level, Line
from vpai_tui.widgets.log_style import Style, message


def line(text: str) -> Line:
    return Line(0, (), text.encode(), Level.UNKNOWN)


def drawn(text: str, *rules: Rule, hit: str = "") -> list[tuple[str, str]]:
    return list(message(line(text), Level.UNKNOWN, 0, Style(rules=rules, hit=re.compile(hit) if hit else None)))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("slow warn took \\d{4,}", ("slow", "took \\d{4,}", "warn")),
        ("slow took \\d{4,}", ("slow", "took \\d{4,}", "accent")),
        ("it warn", ("it", "warn", "accent")),  # a style alone is what is looked for
        ("x.y-1  error  Boom", ("x.y-1", "Boom", "error")),
    ],
)
def test_a_rule_as_it_is_typed(words: str, expected: tuple[str, str, str]) -> None:
    made = told(words)
    assert (made.name, made.pattern, made.style) == expected


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("", "highlight NAME"),
        ("slow", "highlight NAME"),
        ("-x warn y", "is no name"),
        ("remove error x", "is no name"),
        ("a/b x", "is no name"),
        ("slow warn took(", "missing \\)"),
        ("slow warn (?L)x", "is no regular expression"),
        ("big " + "x" * 2000, "1 to 1000"),
    ],
)
def test_words_that_are_no_rule_say_what_is_wrong(words: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        told(words)


def test_a_hostile_style_is_none() -> None:
    with pytest.raises(UsageError, match="is no style") as caught:
        rule("x", "y", "on red blink\x1b[5m")
    assert "\x1b" not in str(caught.value)
    assert all(style in caught.value.remedy for style in STYLES)


def test_small_letters_find_large_ones_too() -> None:
    assert rule("a", "boom").found.search("Boom")
    assert not rule("a", "Boom").found.search("boom")


def test_a_rule_is_added_in_order_replaced_in_place_and_removed(tmp_path: Path) -> None:
    file = Highlights(tmp_path / "config" / FILE)
    assert file.read().rules == ()
    file.add(rule("zeta", "z", "ok"))
    file.add(rule("alpha", "a"))
    file.add(rule("zeta", "zz", "warn"))
    assert [(it.name, it.pattern, it.style) for it in file.read().rules] == [
        ("zeta", "zz", "warn"),
        ("alpha", "a", "accent"),
    ]
    assert file.remove("zeta") and not file.remove("zeta")
    assert [it.name for it in file.read().rules] == ["alpha"]
    assert [it.name for it in file.path.parent.iterdir()] == [FILE]


def test_a_mistake_costs_only_its_own_rule_and_is_kept_for_mending(tmp_path: Path) -> None:
    file = Highlights(tmp_path / FILE)
    file.path.write_text(
        "good: {pattern: boom, style: error}\nshort: user=ann\nbad: {pattern: 'x('}\nodd: {pattern: x, style: blink}\n"
        "more: {pattern: x, colour: red}\nnone: {style: ok}\nnumber: 5\n"
    )
    found = file.read()
    assert [(it.name, it.style) for it in found.rules] == [("good", "error"), ("short", "accent")]
    told_of = {problem.split(": ")[1]: problem for problem in found.problems}
    assert list(told_of) == ["bad", "odd", "more", "none", "number"]
    assert all(str(file.path) in problem for problem in found.problems)
    assert "missing )" in told_of["bad"]
    assert "'blink' is no style; one of accent" in told_of["odd"]
    assert "colour is no key" in told_of["more"]
    file.add(rule("new", "n"))
    kept = yaml.safe_load(file.path.read_text())
    assert kept["bad"] == {"pattern": "x("} and kept["number"] == 5
    assert file.remove("bad")
    assert "bad" not in yaml.safe_load(file.path.read_text())


@pytest.mark.parametrize("content", [b"- a\n", b"a: [x", b"\xff\xfe\x00", b"1: x\n", b"x" * 300_000])
def test_a_file_that_is_none_is_named_and_not_written_over(tmp_path: Path, content: bytes) -> None:
    file = Highlights(tmp_path / FILE)
    file.path.write_bytes(content)
    for work in (file.read, lambda: file.add(rule("a", "b")), lambda: file.remove("a")):
        with pytest.raises(UsageError, match=FILE):
            work()
    assert file.path.read_bytes() == content


def test_there_is_an_end_to_them(tmp_path: Path) -> None:
    file = Highlights(tmp_path / FILE)
    file.path.write_text("".join(f"r{number}: x{number}\n" for number in range(MOST + 3)))
    assert len(file.read().rules) == MOST
    assert "only 50" in file.read().problems[0]
    with pytest.raises(UsageError, match="already"):
        file.add(rule("another", "x"))


@example(pattern="\x85")
@example(pattern="\u2028é")
@given(pattern=st.text(min_size=1, max_size=30).map(re.escape))
def test_any_pattern_comes_back_as_it_was(pattern: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = Highlights(tmp_path_factory.getbasetemp() / "any-rules.yaml")
    made = rule("it", pattern)
    file.add(made)
    assert file.read().rules == (made,)


def test_it_is_the_users() -> None:
    assert highlights().path.name == FILE


# -- drawing --------------------------------------------------------------------------------------------------------


def test_the_first_rule_wins_and_what_is_searched_wins_over_all() -> None:
    first, second = rule("a", "cd", "warn"), rule("b", "bcde", "ok")
    assert drawn("abcdef", first, second) == [
        ("a", ""),
        ("b", "rule-ok"),
        ("cd", "rule-warn"),
        ("e", "rule-ok"),
        ("f", ""),
    ]
    assert drawn("abcdef", first, hit="c") == [("ab", ""), ("c", "hit"), ("d", "rule-warn"), ("ef", "")]


def test_a_rule_finds_over_a_name_and_its_value() -> None:
    spans = drawn("level=info msg=done status=500 path=/x", rule("a", "status=500", "error"))
    assert "".join(text for text, role in spans if role == "rule-error") == "status=500"


@given(st.text(max_size=60), st.lists(st.sampled_from(["a", "b+", ".", "x*", "[a-f]{2}", r"\s"]), max_size=4))
def test_rules_never_change_what_is_read(text: str, patterns: list[str]) -> None:
    rules = [rule(f"r{at}", it) for at, it in enumerate(patterns)]
    assert "".join(part for part, _ in drawn(text, *rules)) == "".join(part for part, _ in drawn(text))
    marked = owners(text, rules)
    assert marked is None or len(marked) == len(text)
