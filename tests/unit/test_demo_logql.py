"""The demo's LogQL: what it refuses and where, in Loki's own words (most cases are from the tests of its parser)."""

from __future__ import annotations

import pytest

from vpai_tui.demo.loki import syntax
from vpai_tui.demo.loki.levels import of_line
from vpai_tui.demo.loki.model import Refused
from vpai_tui.demo.loki.parser import parse
from vpai_tui.demo.loki.patterns import compiled

TOO_WIDE = "parse error : queries require at least one regexp or equality matcher"


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ('unk({ foo = "bar" }[5m])', "at line 1, col 1: syntax error: unexpected IDENTIFIER"),
        ('rate({ foo = "bar" }[5minutes])', 'at line 0, col 21: unknown unit "minutes" in duration "5minutes"'),
        ('rate({ foo = "bar" }[5)', "at line 0, col 21: missing closing ']' in duration"),
        ('min({ foo = "bar" }[5m])', "at line 0, col 20: syntax error: unexpected RANGE"),
        ('{foo="bar}', "at line 1, col 6: literal not terminated"),
        ('{foo="bar"', "at line 1, col 11: syntax error: unexpected $end, expecting } or ,"),
        ('{foo="bar"} |~', "at line 1, col 15: syntax error: unexpected $end, expecting STRING or ip"),
        ('{foo="bar"} "foo"', "at line 1, col 13: syntax error: unexpected STRING"),
        ('{foo="bar"} foo', "at line 1, col 13: syntax error: unexpected IDENTIFIER"),
        (
            'count without (rate({namespace="apps"}[15s]))',
            "at line 1, col 16: syntax error: unexpected RATE, expecting IDENTIFIER or )",
        ),
        ('{foo="bar"} | a > "x"', "at line 1, col 19: syntax error: unexpected STRING"),
        ('{foo="bar"}\n\n|= 5', "at line 3, col 4: syntax error: unexpected NUMBER, expecting STRING or ip"),
        ('{foo="bar"} | unwrap x', "at line 1, col 15: syntax error: unexpected unwrap"),
        ('{foo "bar"}', "at line 1, col 6: syntax error: unexpected STRING, expecting = or =~ or !~ or !="),
        ('{foo="bar"} ; {', "at line 1, col 13: syntax error: unexpected ;"),
    ],
)
def test_refusals_name_the_place(query: str, told: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(query)
    assert (refused.value.status, refused.value.text) == (400, f"parse error {told}")


@pytest.mark.parametrize("query", ['{app!="x"}', '{app=~".*"}', '{app!~"a|b"}', '{app=""}', '{app=~"a|"}'])
def test_selectors_that_would_take_streams_without_the_label(query: str) -> None:
    for asked in (query, f"count_over_time({query}[5m])", f"sum by (a) (rate({query}[5m]))"):
        with pytest.raises(Refused, match=TOO_WIDE):
            parse(asked)


@pytest.mark.parametrize(
    ("query", "printed"),
    [
        ('{a="b"}|="x"|~`y\\d`or"z"', '{a="b"} |= "x" |~ "y\\\\d" or "z"'),
        ('{a="b"} |= "it\'s" # told', '{a="b"} |= "it\'s"'),
        ('{a="b"}|logfmt --strict|n>5 and(m="x"or took>=1s)', None),
        ('sum(count_over_time({a="b"}|json[1h30m]))by(c,d)', 'sum by (c, d)(count_over_time({a="b"} | json[1h30m]))'),
        ('max without(x)(rate({a="b"}[5m]|="y"))', 'max without (x)(rate({a="b"} |= "y"[5m]))'),
        ('sum(count_over_time({a="b"}\n| drop __error__, __error_details__ [1500ms]))', None),
        ('count_over_time({a="b"}[5m] offset 1h)', 'count_over_time({a="b"}[5m] offset 1h)'),
    ],
)
def test_what_is_understood_is_printed_and_read_again(query: str, printed: str | None) -> None:
    found = parse(query)
    assert printed is None or str(found) == printed
    assert parse(str(found)) == found


def test_a_window_is_of_milliseconds_at_the_least() -> None:
    found = parse('count_over_time({a="b"}[1s1500ms])')
    assert isinstance(found, syntax.Range) and found.window == 2_500_000_000
    for window, unit in (("1500000000ns", "ns"), ("10us", "us"), ("0.5s", ".")):
        with pytest.raises(Refused, match=f'unknown unit "{unit}" in duration "{window}"'):
            parse(f'count_over_time({{a="b"}}[{window}])')


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [("(?i)abc", "ABC", True), ("x(?i)abc", "xABC", True), ("x(?i)abc", "XABC", False), ("(?<n>x)", "x", True)],
)
def test_patterns_of_go(pattern: str, text: str, fits: bool) -> None:
    assert (compiled(pattern).search(text) is not None) == fits


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("(", "missing closing ): `(`"),
        ("a)", "unexpected ): `a)`"),
        ("[a", "missing closing ]: `[a`"),
        ("*a", "missing argument to repetition operator: `*`"),
        ("(?=x)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(x)\\1", "invalid escape sequence: `\\1`"),
        ("\\q", "invalid escape sequence: `\\q`"),
    ],
)
def test_patterns_that_go_refuses(pattern: str, told: str) -> None:
    with pytest.raises(Refused) as refused:
        compiled(pattern)
    assert refused.value.text == f"error parsing regexp: {told}"


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("ERROR: something failed", "unknown"),
        ("2026 ERROR something with info in it", "info"),
        ('{"level":30}', "unknown"),
        ('{"log":{"level":"error"}}', "error"),
        ('{"a":{"b":{"level":"error"}}}', "unknown"),
        ("level=WARNING x=1", "warn"),
        ("errors=0 warnings=0", "warn"),
    ],
)
def test_levels_as_wrong_as_those_of_loki(line: str, level: str) -> None:
    assert of_line(line) == level
