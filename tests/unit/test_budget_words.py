"""What may be typed for the budget, and the byte-for-byte edit of one value of litellm_config.yaml."""

from __future__ import annotations

import string
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vpai_tui.budget.cap import GENERAL, NATIVE, NATIVE_SPAN, edited, removed, value_of
from vpai_tui.budget.model import Mode
from vpai_tui.budget.words import cap_of, mode_of, usd
from vpai_tui.errors import PreflightRefused, UsageError

SHIPPED = Path(__file__).parents[2] / "stacks/sese/apps/configs/litellm/litellm_config.yaml"


@pytest.mark.parametrize(
    ("text", "cap"),
    [("3", "3.00"), (" 4.5 ", "4.50"), ("$7.25", "7.25"), ("0.01", "0.01"), ("1000", "1000.00"), ("2.500", "2.50")],
)
def test_an_amount_of_dollars(text: str, cap: str) -> None:
    assert usd(cap_of(text)) == cap


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("-3", "negative"), ("-$3", "negative"), ("- 3.5", "negative"), ("0", "no cap"), ("0.00", "no cap"),
        ("0.001", "finer than a cent"), ("1000.01", "more than"), ("999999999999", "more than"),
        ("nan", "no amount"), ("inf", "no amount"), ("-inf", "no amount"), ("1e2", "no amount"), ("3,50", "no amount"),
        ("", "no amount"), ("five", "no amount"), ("٣", "no amount"), ("3 4", "no amount"), ("0x10", "no amount"),
        ("\x1b[31m3", "no amount"), ("3" * 400, "no amount"),
    ],
)  # fmt: skip
def test_what_is_no_cap_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as told:
        cap_of(text)
    assert told.value.remedy and "\x1b" not in str(told.value) and len(str(told.value)) < 120


@given(st.text(max_size=12) | st.decimals(allow_nan=True, allow_infinity=True).map(str) | st.integers().map(str))
def test_any_text_is_a_cap_within_bounds_or_a_usage_error(text: str) -> None:
    try:
        cap = cap_of(text)
    except UsageError:
        return
    assert Decimal("0.01") <= cap <= 1000
    assert Decimal(usd(cap)) == cap == Decimal(text.strip().removeprefix("$"))


def test_the_words_of_eco() -> None:
    assert [mode_of(word) for word in ("on", "off", "auto", "block")] == [
        Mode.ECO,
        Mode.NORMAL,
        Mode.NORMAL,
        Mode.BLOCKED,
    ]
    with pytest.raises(UsageError, match="no eco mode"):
        mode_of("ON\x1b")


# ── the file ─────────────────────────────────────────────────────────────────────────────────────────────────────────

LABELS = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=6)
SCALARS = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
    st.text(string.printable.replace("\x0b", "").replace("\x0c", "") + "é✔", max_size=12),
)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LABELS, inner, max_size=3), max_leaves=8
)
CAPS = st.decimals(min_value="0.01", max_value="1000", places=2).map(usd)
VALUES = st.sampled_from(["5.00", "5", "'5.00'", '"7"', "0.4", "", "~", "null", "os.environ/CAP", "1e3", ".inf"])


def dumped(prefix: str, tree: dict[str, Any], indent: int = 0) -> str:
    """A mapping as YAML, every key with a prefix so that none meets another."""
    text = yaml.safe_dump({f"{prefix}{key}": value for key, value in tree.items()}, allow_unicode=True) if tree else ""
    return "".join(" " * indent + line for line in text.splitlines(keepends=True))


@st.composite
def configs(draw: st.DrawFn) -> str:
    """A litellm_config.yaml as somebody may have written it."""
    trees = st.dictionaries(LABELS, TREES, max_size=2)
    indent = draw(st.sampled_from([1, 2, 4]))
    style = draw(st.sampled_from(["there", "first", "absent", "empty", "flow", "flow without", "no section"]))
    value = draw(VALUES)
    comment = draw(st.sampled_from(["", "  # dollars a day", " # a: {b"]))
    line = f"{' ' * indent}max_budget: {value}{comment}\n"
    inside = [dumped("b", draw(trees), indent), dumped("c", draw(trees), indent), f"{' ' * indent}d: 1  # one\n"]
    if style == "there":
        section = f"general_settings:{comment}\n{inside[0]}{line}{draw(st.sampled_from(['', inside[1]]))}"
    elif style == "first":
        section = f"general_settings:\n\n# why\n{line}{inside[0]}{inside[2]}"
    elif style == "absent":
        section = f"general_settings:\n{inside[0]}{inside[2]}{draw(st.sampled_from(['', '# behind', '    # deep']))}\n"
    elif style == "empty":
        section = f"general_settings:{comment}\n"
    elif style == "flow":
        section = f"general_settings: {{a: [1, 2], max_budget: {value if value.strip('~') else '5'}, b: x}}{comment}\n"
    elif style == "flow without":
        section = f"general_settings: {draw(st.sampled_from(['{}', '{ a: 1 }', '{a: 1,}', '{a: 1}']))}{comment}\n"
    else:
        section = ""
    text = f"# top\n{dumped('a', draw(trees))}other: x\n{section}{dumped('z', draw(trees))}"
    text += draw(st.sampled_from(["", "\n# the end\n"]))
    text = text.removesuffix("\n") if draw(st.booleans()) and not text.endswith("|\n") else text
    return draw(st.sampled_from(["", "\ufeff"])) + text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


def rest(text: str) -> Any:
    data = yaml.safe_load(text)
    section = data.pop("general_settings", None) or {}
    section.pop("max_budget", None)
    return data, section


def untouched(text: str) -> list[str]:
    """All lines but those of the key and of its section's own name, with their ends (a last one may lack its)."""
    end = "\r\n" if "\r\n" in text else "\n"
    lines = (text if text.endswith(end) else text + end).split("\n")
    kept = [line for line in lines if "max_budget" not in line and not line.startswith("general_settings:")]
    return [line for line in kept if line.strip()]


@settings(max_examples=150, deadline=None)
@given(configs(), CAPS)
def test_any_config_with_any_cap_differs_in_the_cap_only(text: str, cap: str) -> None:
    after = edited(text.encode(), GENERAL, cap).decode()
    assert yaml.safe_load(after)["general_settings"]["max_budget"] == float(cap)
    assert value_of(after.encode(), GENERAL) == cap
    assert rest(after) == rest(text)
    assert untouched(after) == untouched(text)
    assert edited(after.encode(), GENERAL, cap) == after.encode()


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=40) | st.text(" \n\t:-{}[]&*!|>#'\"%a", max_size=24).map(str.encode), CAPS)
def test_any_bytes_are_edited_or_refused(noise: bytes, cap: str) -> None:
    content = noise + b"\ngeneral_settings:\n  max_budget: 5.00\n"
    try:
        after = edited(content, GENERAL, cap)
    except PreflightRefused:
        return
    assert after == content.replace(b"max_budget: 5.00", b"max_budget: " + cap.encode())


def test_the_shipped_file_changes_in_one_line() -> None:
    before = SHIPPED.read_bytes()
    after = edited(before, GENERAL, "3.00")
    pairs = [(a, b) for a, b in zip(before.splitlines(), after.splitlines(), strict=True) if a != b]
    assert pairs == [(b"  max_budget: 5.00", b"  max_budget: 3.00")]
    assert value_of(before, GENERAL) == "5.00" and value_of(before, NATIVE) is None
    native = edited(edited(before, NATIVE, "3.00"), NATIVE_SPAN, "1d")
    assert yaml.safe_load(native)["litellm_settings"] == {
        **yaml.safe_load(before)["litellm_settings"], "max_budget": 3.0, "budget_duration": "1d",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("general_settings:\n  max_budget: 5.00 # why\n", "general_settings:\n  max_budget: 3.00 # why\n"),
        ("general_settings: {max_budget: 5}\n", "general_settings: {max_budget: 3.00}\n"),
        ("general_settings: {a: 1}", "general_settings: {a: 1, max_budget: 3.00}"),
        ("general_settings: {}", "general_settings: {max_budget: 3.00}"),
        ("general_settings:\n  max_budget:\n", "general_settings:\n  max_budget: 3.00\n"),
        ("general_settings:\n", "general_settings:\n  max_budget: 3.00\n"),
        ("a: 1", "a: 1\ngeneral_settings:\n  max_budget: 3.00"),
        ("g: &g {x: 1}\ngeneral_settings:\n  <<: *g\n",
         "g: &g {x: 1}\ngeneral_settings:\n  <<: *g\n  max_budget: 3.00\n"),
        ("general_settings:\n  a: |\n    x", "general_settings:\n  max_budget: 3.00\n  a: |\n    x"),
        ("general_settings:\n  a: &l [1]\n  b:\n  - *l\n",
         "general_settings:\n  a: &l [1]\n  max_budget: 3.00\n  b:\n  - *l\n"),
    ],
)  # fmt: skip
def test_where_the_value_goes(before: str, after: str) -> None:
    assert edited(before.encode(), GENERAL, "3.00").decode() == after


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("general_settings:\n\tmax_budget: 5\n", "not readable"),
        ("general_settings: [\n", "not readable"),
        ("- a\n", "no mapping"),
        ("", "no mapping"),
        ("{}", "cannot be edited safely"),
        ("a: 1\n---\ngeneral_settings: {max_budget: 5}\n", "not readable"),
        ("general_settings: {a: 1}\ngeneral_settings: {max_budget: 5}\n", "general_settings stands twice"),
        ("general_settings:\n  max_budget: 5\n  max_budget: 6\n", "max_budget stands twice"),
        ("general_settings: [max_budget]\n", "no mapping"),
        ("general_settings: null\n", "cannot be edited safely"),
        ("general_settings:\n  max_budget: [5]\n", "no single value"),
        ("general_settings:\n  max_budget: {a: 5}\n", "no single value"),
        ("general_settings:\n  max_budget: |\n    5\n", "cannot be edited safely"),
        ("general_settings:\n  max_budget: !!str 5\n", "cannot be edited safely"),
        ("general_settings:\n  max_budget: &cap 5\n", "cannot be edited safely"),
        ("general_settings:\n  max_budget: &cap 5\nother: *cap\n", "used elsewhere"),
        ("x: &cap 5\ngeneral_settings:\n  max_budget: *cap\n", "alias"),
        ("x: &g {max_budget: 5}\ngeneral_settings: *g\n", "alias"),
        ("general_settings: &g\n  max_budget: 5\nother:\n  <<: *g\n", "used elsewhere"),
        ("general_settings: &g {max_budget: 5, a: *g}\n", "used elsewhere"),
    ],
)
def test_what_cannot_be_edited_safely_is_refused(text: str, why: str) -> None:
    with pytest.raises(PreflightRefused, match=why) as told:
        edited(text.encode(), GENERAL, "3.00")
    assert told.value.remedy


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("general_settings:\n  a: 1\n  max_budget: 3.00 # ours\n  b: 2\n", "general_settings:\n  a: 1\n  b: 2\n"),
        ("general_settings:\r\n  # why\r\n  max_budget: 3.00", "general_settings:\r\n  # why\r\n"),
        ("general_settings:\n  max_budget: null\n", "general_settings:\n  max_budget: null\n"),
        ("general_settings:\n  a: 1\n", "general_settings:\n  a: 1\n"),
        ("a: 1\n", "a: 1\n"),
    ],
)
def test_a_line_that_is_taken_out(before: str, after: str) -> None:
    assert removed(before.encode(), GENERAL).decode() == after


@pytest.mark.parametrize(
    "text", ["general_settings: {max_budget: 3.00}\n", "general_settings:\n  max_budget:\n    3.00\n",
             "general_settings:\n  max_budget: &cap 3.00\nother: *cap\n"]
)  # fmt: skip
def test_a_line_that_cannot_be_taken_out_safely_is_left(text: str) -> None:
    with pytest.raises(PreflightRefused):
        removed(text.encode(), GENERAL)


@settings(max_examples=50, deadline=None)
@given(configs(), CAPS)
def test_what_was_put_into_any_config_can_be_taken_out(text: str, cap: str) -> None:
    try:
        after = removed(edited(text.encode(), GENERAL, cap), GENERAL).decode()
    except PreflightRefused:
        assert "{" in text.partition("general_settings:")[2].partition("\n")[0], "a section on one line alone"
        return
    assert value_of(after.encode(), GENERAL) is None
    assert rest(after) == rest(text)
    assert untouched(after) == untouched(text)


def test_bytes_that_are_no_text_and_files_that_are_too_deep_are_refused() -> None:
    with pytest.raises(PreflightRefused, match="UTF-8"):
        edited(b"a: \xff\n", GENERAL, "3.00")
    with pytest.raises(PreflightRefused, match="too deep"):
        edited(b"a: " + b"[" * 3000 + b"]" * 3000, GENERAL, "3.00")


def test_aliases_that_multiply_cost_nothing() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    text = "\n".join([*lines, "general_settings:", "  max_budget: 5.00", ""])
    assert edited(text.encode(), GENERAL, "3.00").decode() == text.replace("5.00", "3.00")


def test_no_word_of_the_file_is_in_an_error() -> None:
    with pytest.raises(PreflightRefused) as told:
        edited(b"general_settings: {master_key: hunter2hunter2, b: [}\n", GENERAL, "3.00")
    assert "hunter2" not in str(told.value)
