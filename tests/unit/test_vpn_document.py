"""The byte-for-byte edit of `dns.extra_records`: whatever the file looks like, nothing else ever differs."""

from __future__ import annotations

import string
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vpai_tui.errors import PreflightRefused
from vpai_tui.vpn.dns.document import edit, parse
from vpai_tui.vpn.model import Record

LABELS = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=6)
NAMES = st.lists(LABELS, min_size=1, max_size=3).map(".".join)
VALUES = st.ip_addresses().map(str)
RECORDS = st.lists(st.builds(Record, NAMES, st.sampled_from(["A", "AAAA"]), VALUES), max_size=6)
SCALARS = st.one_of(
    st.integers(),
    st.booleans(),
    st.none(),
    st.text(string.printable.replace("\x0b", "").replace("\x0c", ""), max_size=12),
)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LABELS, inner, max_size=3), max_leaves=8
)


def listed(records: list[Record], style: str, end: str) -> str:
    """The records as somebody may have written them, below `  extra_records:`."""
    if style == "absent":
        return ""
    if style == "null" and not records:
        return f"  extra_records:{end}"
    if style == "flow" or not records:
        inner = ", ".join(f"{{name: {it.name!r}, type: {it.type}, value: '{it.value}'}}" for it in records)
        return f"  extra_records: [{inner}]   # a list{end}"
    lines = [f"  extra_records:  # what is where{end}"]
    for number, it in enumerate(records):
        lines.append(f"    # number {number}{end}" if number % 2 else "")
        if style == "block":
            lines.append(
                f"    - name: {it.name!r}{end}      type: {it.type}{end}      value: '{it.value}'  # here{end}"
            )
        else:
            lines.append(f"    - {{value: \"{it.value}\", name: '{it.name}', type: {it.type}}} # {number}{end}")
    return "".join(lines)


@st.composite
def files(draw: st.DrawFn) -> tuple[str, list[Record]]:
    """A config.yaml, and the records in it."""
    style = draw(st.sampled_from(["absent", "null", "flow", "block", "lines"]))
    records = [] if style in ("absent", "null") else draw(RECORDS)
    end = draw(st.sampled_from(["\n", "\r\n"]))
    before = yaml.safe_dump(
        {f"a{key}": value for key, value in draw(st.dictionaries(LABELS, TREES, max_size=3)).items()}
    )
    after = yaml.safe_dump(
        {f"z{key}": value for key, value in draw(st.dictionaries(LABELS, TREES, max_size=2)).items()}
    )
    text = "# top\n" + ("" if before == "{}\n" else before)
    text += "dns:  # names\n  magic_dns: true\n" + draw(st.sampled_from(["", "\n  # a comment\n"]))
    text = text.replace("\n", end) + listed(records, style, end)
    text += (
        draw(st.sampled_from(["", "  base_domain: x.test\n", "\n# the end\n"])) + ("" if after == "{}\n" else after)
    ).replace("\n", end)
    return (text.removesuffix(end) if draw(st.booleans()) else text), records


def rest(text: str) -> Any:
    data = yaml.safe_load(text)
    data["dns"].pop("extra_records", None)
    return data


@settings(max_examples=100, deadline=None)
@given(files(), RECORDS, st.data())
def test_any_file_with_any_edit_differs_in_the_records_only(
    made: tuple[str, list[Record]], new: list[Record], data: st.DataObject
) -> None:
    text, records = made
    kept = [it for it in records if data.draw(st.booleans())]
    wanted = [*kept, *new]
    assert list(parse(text.encode()).records) == records
    after = edit(text.encode(), wanted).decode()
    assert list(parse(after.encode()).records) == wanted
    assert rest(after) == rest(text)
    without = [line for line in after.splitlines(keepends=True) if "name:" not in line and "value:" not in line]
    for line in text.splitlines(keepends=True):
        untouched = all(word not in line for word in ("name:", "type:", "value:", "extra_records"))
        if untouched and line.strip():
            assert line.rstrip("\r\n") in [it.rstrip("\r\n") for it in without]


def test_a_change_keeps_spelling_order_and_comment_of_its_line() -> None:
    before = b"dns:\n  extra_records:\n    - {value: '1.2.3.4', name: a.b, type: A}  # why\n"
    after = edit(before, [Record("a.b", "A", "1.2.3.5")])
    assert after == b"dns:\n  extra_records:\n    - {value: 1.2.3.5, name: a.b, type: A}  # why\n"


def test_nothing_to_change_is_the_same_bytes() -> None:
    before = b"dns: {extra_records: [{name: a, type: A, value: 1.2.3.4}]}"
    assert edit(before, [Record("a", "A", "1.2.3.4")]) == before


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("dns:\n\tmagic_dns: true\n", "not readable"),
        ("server_url: x\n", "no dns section"),
        ("- a\n", "no mapping"),
        ("", "no mapping"),
        ("dns: {a: 1}\ndns: {b: 2}\n", "stands twice"),
        ("dns:\n  a: 1\n  a: 2\n", "stands twice"),
        ("dns:\n  extra_records_path: /x.json\n", "extra_records_path"),
        ("dns:\n  extra_records_path: /x.json\n  extra_records: []\n", "extra_records_path"),
        ("dns:\n  extra_records: {name: a, type: A, value: 1.2.3.4}\n", "no list"),
        ("dns:\n  extra_records: [a.b]\n", "no mapping of name"),
        ("l: &l []\ndns:\n  extra_records: *l\n", "alias"),
        ("d: &d {x: 1}\ndns: *d\n", "alias"),
        ("dns: &d\n  magic_dns: true\nother: *d\n", "cannot be edited safely"),
        ("\ufeffdns: {a: 1}\n", "byte order mark"),
        ("dns: [\n", "not readable"),
        ("dns: &d {a: *d}\n", "too deep"),
    ],
)
def test_what_cannot_be_edited_safely_is_refused(text: str, why: str) -> None:
    with pytest.raises(PreflightRefused, match=why):
        edit(text.encode(), [Record("a.b", "A", "1.2.3.4")])


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(PreflightRefused, match="UTF-8"):
        edit(b"dns: {a: \xff}\n", [])


def test_no_word_of_the_file_is_in_an_error() -> None:
    with pytest.raises(PreflightRefused) as told:
        edit(b"oidc: {client_secret: hunter2hunter2, client_secret: [}\n", [])
    assert "hunter2" not in str(told.value)
