"""A query narrowed by a field of a line: what it becomes, for any value; judged by the demo's Loki, which parses it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.demo.loki import model
from vpai_tui.demo.loki.parser import parse
from vpai_tui.demo.loki.stages import Pipeline, matches
from vpai_tui.demo.loki.syntax import Log
from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.logs.model import Level, Line
from vpai_tui.logs.narrow import Field, Kind, check, in_place, message_field, narrowed, parsed_fields
from vpai_tui.logs.view import Filter

LABELS = (("container", "caddy"), ("host", "sese"))


def line(text: str | bytes, labels: tuple[tuple[str, str], ...] = LABELS, **meta: str) -> Line:
    raw = text if isinstance(text, bytes) else text.encode()
    return Line(5, labels, raw, Level.INFO, meta=meta)


def gives(query: str, it: Line) -> bool:
    """Whether Loki gives the line for the query."""
    found = parse(query)
    assert isinstance(found, Log)
    if not matches(found.matchers)(dict(it.labels)):
        return False
    entry = model.Entry(it.ns, it.raw.decode("utf-8", "replace"), dict(it.meta))
    return Pipeline(found.stages).run(dict(it.labels), entry) is not None


def label(name: str, value: str) -> Field:
    return Field(name, value, Kind.LABEL)


ACCESS = line('{"level":"info","msg":"handled","request":{"method":"GET","2x":"y"},"status":200,"took":0.50,"ok":true}')
DONE = line('level=info msg="all done" status=500 path="/a b\\"c" host=elsewhere')


@pytest.mark.parametrize(
    ("query", "field", "excluded", "expected"),
    [
        ('{container="caddy"}', label("host", "sese"), False, '{container="caddy", host="sese"}'),
        ('{container="caddy"}', label("host", "sese"), True, '{container="caddy", host!="sese"}'),
        ('{container=~".+"} |= "x"', label("container", "caddy"), False, '{container="caddy"} |= "x"'),
        ('{container=~".+"}', label("container", "caddy"), True, '{container=~".+", container!="caddy"}'),
        ('{a="}", b=~`,}`} |= "{"', label("host", "s"), False, '{a="}", b=~`,}`, host="s"} |= "{"'),
        ('# {x}\n{a="b" # why, so\n} |= "y"', label("h", "s"), False, '# {x}\n{a="b" # why, so\n, h="s"} |= "y"'),
        ('{a="b"} | label_format h=x', label("h", "s"), True, '{a="b"} | label_format h=x | h!="s"'),
        ('{a="b"}', Field("trace_id", "7", Kind.META), False, '{a="b"} | trace_id="7"'),
    ],
)
def test_labels_go_into_the_selector(query: str, field: Field, excluded: bool, expected: str) -> None:
    assert narrowed(query, field, ACCESS, excluded=excluded) == expected


@pytest.mark.parametrize(
    ("query", "it", "name", "expected"),
    [
        ('{a="b"}', ACCESS, "status", '{a="b"} | json | status="200"'),
        ('{a="b"}', ACCESS, "took", '{a="b"} | json | took="0.50"'),  # as it is written
        ('{a="b"}', ACCESS, "ok", '{a="b"} | json | ok="true"'),
        ('{a="b"}', ACCESS, "request.method", '{a="b"} | json | request_method="GET"'),
        ('{a="b"}', ACCESS, "request.2x", '{a="b"} | json | request_2x="y"'),
        ('{a="b"} |= "x" | json', ACCESS, "status", '{a="b"} |= "x" | json | status="200"'),  # put in once
        ('{a="b"} | json |= "x"', ACCESS, "status", '{a="b"} | json |= "x" | status="200"'),
        ('{a="b"} | json s="status"', ACCESS, "status", '{a="b"} | json s="status" | json | status="200"'),
        ('{a="b"} |= "| json"', ACCESS, "status", '{a="b"} |= "| json" | json | status="200"'),
        ('{a="b"} # | json', ACCESS, "status", '{a="b"} # | json\n| json\n| status="200"'),
        ('{a="b"} | json | drop status', ACCESS, "status", '{a="b"} | json | drop status | json | status="200"'),
        ('{a="b"} | logfmt --strict', DONE, "status", '{a="b"} | logfmt --strict | status="500"'),
        ('{a="b"}', DONE, "path", '{a="b"} | logfmt | path="/a b\\"c"'),
        ('{a="b"}', DONE, "host", '{a="b"} | logfmt | host_extracted="elsewhere"'),  # the stream has one too
    ],
)
def test_fields_go_behind_their_parser(query: str, it: Line, name: str, expected: str) -> None:
    assert narrowed(query, parsed_fields(it)[name], it, excluded=False) == expected


def test_the_second_field_finds_the_parser_there_and_what_loki_found_needs_none() -> None:
    fields = parsed_fields(ACCESS)
    once = narrowed('{a="b"}', fields["status"], ACCESS, excluded=False)
    told = line(ACCESS.raw, status="200", request_method="GET")  # Loki's parser ran: it tells what it found
    assert narrowed(once, fields["request.method"], told, excluded=True) == f'{once} | request_method!="GET"'
    with pytest.raises(UsageError, match="has that field already"):
        narrowed(once, fields["status"], told, excluded=True)
    with pytest.raises(UsageError, match="has that label already"):
        narrowed('{a="b", host="sese"}', label("host", "sese"), ACCESS, excluded=True)


def test_the_message_is_a_field_where_it_is_the_value_of_one() -> None:
    said = message_field(ACCESS)
    assert said == Field("msg", "handled", Kind.JSON)
    assert message_field(line("only text")) is None
    assert message_field(line('{"error":["x"],"err":"y"}')) is None  # a list is the message: no field of Loki's
    assert message_field(line('{"a":1}')) is None


def test_what_loki_does_not_extract_is_no_field() -> None:
    found = parsed_fields(line('{"msg":"x","list":[1],"none":null,"deep":{"a":{"b":{"c":{"d":1}}}},"n":1e5}'))
    assert {name: it.value for name, it in found.items()} == {"msg": "x", "n": "1e5"}
    assert parsed_fields(line("{" * 5000)) == {}
    assert parsed_fields(line(b"\xff\xfe")) == {}


@pytest.mark.parametrize(
    ("field", "why"),
    [
        (Field("password", "hunter2", Kind.JSON), "looks like a secret"),
        (Field("line", "token=abcdefgh", Kind.META), "looks like a secret"),
        (Field("x", "", Kind.LABEL), "empty value"),
        (Field("x", "y" * 1001, Kind.JSON), "more than 1000"),
        (Field("x", "a\ufffdb", Kind.JSON), "no valid UTF-8"),
        (Field("x", "a\ud800b", Kind.JSON), "no valid UTF-8"),
        (Field("x-y\x1b[2J", "z", Kind.LABEL), "is no label"),
    ],
)
def test_values_that_are_put_into_no_query(field: Field, why: str) -> None:
    for excluded in (False, True):
        with pytest.raises(UsageError, match=why) as caught:
            narrowed('{a="b"}', field, line("x"), excluded=excluded)
        assert "hunter2" not in str(caught.value) and "\x1b" not in str(caught.value)


@pytest.mark.parametrize("query", ["", "no selector", '{a="b', "}{"])
def test_a_query_without_a_selector_is_told(query: str) -> None:
    with pytest.raises(UsageError, match="no selector"):
        narrowed(query, label("a", "b"), line("x"), excluded=False)


HOSTILE = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30) | st.sampled_from(
    [
        "`",
        '"',
        "\\",
        '\\"',
        "a\nb",
        "`\n`",
        "{}",
        '"} | drop x {"',
        "# not a comment",
        "\x00\x1b[2J",
        "\u202e",
        "a|b",
        "'",
    ]
)
QUERIES = st.sampled_from(
    [
        '{container="caddy"}',
        '{container=~".+"} |= "" # why',
        '{container="caddy"} | json',
        '{host=~"s.*", container="caddy"} != "`never`" | logfmt',
    ]
)


@given(QUERIES, HOSTILE, st.booleans())
def test_any_value_of_a_json_field_gives_its_line_or_takes_it_away(query: str, value: str, twice: bool) -> None:
    it = line(json.dumps({"msg": "x", "who": {"it-is": value}}, ensure_ascii=twice))
    try:
        with_it = narrowed(query, parsed_fields(it)["who.it-is"], it, excluded=False)
        without = narrowed(query, parsed_fields(it)["who.it-is"], it, excluded=True)
    except UsageError:  # it looks like a secret, or is no UTF-8
        return
    other = line(json.dumps({"msg": "x", "who": {"it-is": value + "!"}}))
    assert (gives(with_it, it), gives(with_it, other)) == (True, False)
    assert (gives(without, it), gives(without, other)) == (False, True)


@given(HOSTILE, st.booleans())
def test_any_value_of_a_label_gives_its_stream_or_takes_it_away(value: str, excluded: bool) -> None:
    it = line("x", (("container", "caddy"), ("who", value)))
    other = line("x", (("container", "caddy"), ("who", value + "!")))
    try:
        query = narrowed('{container="caddy"} |= "x"', label("who", value), it, excluded=excluded)
    except UsageError:
        return
    assert (gives(query, it), gives(query, other)) == (not excluded, excluded)


@given(HOSTILE)
def test_any_value_is_found_where_loki_is_not_asked(value: str) -> None:
    it = line(json.dumps({"msg": "x", "n": 20, "who": {"it": value}}))
    try:
        pattern = in_place(parsed_fields(it)["who.it"], it)
    except UsageError:
        return
    found = Filter(pattern).compiled()
    assert found is not None
    assert found.search(it.raw)
    assert not found.search(json.dumps({"who": {"it": f"!{value}"}}).encode())


def test_in_place_a_number_and_logfmt_are_found_whole() -> None:
    number = Filter(in_place(parsed_fields(ACCESS)["status"], ACCESS)).compiled()
    word = Filter(in_place(parsed_fields(DONE)["status"], DONE)).compiled()
    assert number is not None and word is not None
    assert number.search(ACCESS.raw) and not number.search(b'{"status":2001}')
    assert word.search(DONE.raw) and not word.search(b"level=info status=5001") and not word.search(b"xstatus=500")
    with pytest.raises(UsageError, match="all lines are of one container"):
        in_place(label("container", "caddy"), DONE)


async def test_loki_is_asked_whether_it_reads_the_line_so_before_anything_changes() -> None:
    class Loki:
        found = 1
        wrong: OperatorError | None = None

        def __init__(self) -> None:
            self.asked: list[tuple[str, int, int]] = []

        async def validate(self, query: str) -> None:
            if self.wrong is not None:
                raise self.wrong

        async def count(self, query: str, from_ns: int, to_ns: int) -> int:
            self.asked.append((query, from_ns, to_ns))
            return self.found

    loki = Loki()
    await check(loki, "wanted", "included", ACCESS)
    assert loki.asked == [("included", 5, 6)]
    loki.found = 0
    with pytest.raises(OperatorError, match="does not find this field"):
        await check(loki, "wanted", "included", ACCESS)
    loki.wrong = OperatorError("parse error")
    with pytest.raises(OperatorError, match="parse error"):
        await check(loki, "wanted", "included", ACCESS)
