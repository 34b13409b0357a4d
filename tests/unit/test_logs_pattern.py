"""Regular expressions of a local filter: no line makes one stand still, many lines are searched as if one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.errors import UsageError
from vpai_tui.logs import pattern as module
from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.model import Entry, Labels
from vpai_tui.logs.pattern import Pattern, over_text
from vpai_tui.logs.view import PATIENCE_S, Filter, GivenUp, View

A: Labels = (("container", "a"),)
PATTERNS = (
    "a", "^a", "a$", "^$", "a|b$", r"\bab\b", r"\s", r"a\sb", "[^a]b", "a.b", "(a+)+$", ".*", "b*", "A", r"\Aa", r"a\z",
    "(?s)a.b", "(?-m:^a)", "^b.*a$", r"\W", "a{2,3}", "(?i)AB", "é", r"a\nb", "x*$", r"\Qa.b\E", "[\\s]a", "", "()",
)  # fmt: skip
lines_ = st.lists(st.text(alphabet="ab .é\nA", max_size=8).map(str.encode) | st.binary(max_size=4), max_size=40)


@given(text=st.sampled_from([it for it in PATTERNS if it]), lines=lines_)
def test_many_lines_are_searched_as_if_one_by_one(text: str, lines: list[bytes]) -> None:
    pattern = Pattern(text)
    expected = [place for place, line in enumerate(lines) if pattern.search(line)]
    assert pattern.fitting(lines) == expected
    patch = pytest.MonkeyPatch()
    patch.setattr(module, "AT_ONCE", 16)  # in several groups
    patch.setattr(module, "_FEW", 1)
    found = pattern.fitting(lines)
    patch.undo()
    assert found == expected


HOSTILE = [b"a" * 60 + b"b", b"a" * 200_000, b"x" * 5000 + b"y", b"ab" * 100_000]


@pytest.mark.parametrize(
    "text",
    ["(a+)+$", "(a|a)*$", "(a|aa)+$", "([a-z]+)*\\d", "(.*)(.*)(.*)x$", "[ab]*x", "(x+x+)+y$", "(?:a?){30}a{30}b"],
)
def test_no_line_makes_one_stand_still(text: str) -> None:
    """Python's own engine would not end before the test run does; the words of Loki's own do."""
    pattern = Pattern(text)
    places = pattern.fitting(HOSTILE * 3)
    assert places == [place for place, line in enumerate(HOSTILE * 3) if pattern.search(line)]
    assert list(over_text(text).finditer("a" * 60 + "b")) is not None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(a", "missing )"),
        ("(?=a)b", "RE2, as Loki has them, knows none"),
        (r"(a)\1", "RE2, as Loki has them, knows none"),
        ("*", "no argument"),
        ("a{9999}", "repetition size"),
        ("[a-z]{1000}" * 200, "too large"),
    ],
)
def test_what_is_none_is_refused_in_words(text: str, words: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="is no regular expression") as refused:
        Filter(text).compiled()
    assert words in str(refused.value)
    assert capfd.readouterr().err == ""  # the library keeps quiet: it would write on the screen


def test_small_letters_find_large_ones_of_any_alphabet() -> None:
    assert Pattern("é").search("É".encode())
    assert not Pattern("É").search("é".encode())
    assert [(it.start(), it.end()) for it in over_text("b").finditer("éB b")] == [(1, 2), (3, 4)]


@given(lines=st.lists(st.sampled_from([b"ab", b"b", b"a", b""]), min_size=1, max_size=60), start=st.integers(-3, 63))
def test_the_next_and_the_one_before_are_the_nearest(lines: list[bytes], start: int) -> None:
    buffer = Buffer()
    buffer.add(Entry(number, A, line + b" %d" % number) for number, line in enumerate(lines))
    view = View(buffer, Filter("b"))
    view.refresh()
    pattern = Pattern("^a")
    fits = [place for place, line in enumerate(view) if line.raw.startswith(b"a")]
    inside = 0 <= start < len(view)
    assert view.find(pattern, start) == next((it for it in fits if it >= start and inside), None)
    assert view.find(pattern, start, forward=False) == next(
        (it for it in reversed(fits) if it <= start and inside), None
    )


def test_a_filter_that_takes_too_long_is_given_up_and_says_so() -> None:
    now = [0.0]

    def slow() -> float:
        now[0] += PATIENCE_S / 2
        return now[0]

    buffer = Buffer()
    buffer.add(Entry(number, A, b"line %d" % number) for number in range(20_000))
    view = View(buffer, Filter("line 9"), slow)
    with pytest.raises(GivenUp, match=r"given up: it takes longer than 3 s for 20,000 lines"):
        view.refresh()
    quick = View(buffer, Filter("line 9"), lambda: 0.0)
    assert quick.refresh()
    assert len(quick) == 1111
