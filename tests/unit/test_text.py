"""Text from outside: what could drive a terminal goes, all other text stays."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.text import clean, clean_line, last_lines

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def unsafe(char: str) -> bool:
    """DESIGN's rule, told in another way than the code does."""
    return char not in "\n\t" and (unicodedata.category(char) in ("Cc", "Cs") or char in BIDI + "\u2028\u2029")


@given(st.text(st.characters()))
def test_exactly_the_unsafe_characters_go(text: str) -> None:
    assert clean(text) == "".join(char for char in text if not unsafe(char))


def test_every_character_one_by_one() -> None:
    kept = {char for code in range(0x3000) if clean(char := chr(code))}
    assert kept == {chr(code) for code in range(0x3000) if not unsafe(chr(code))}


@given(st.binary())
def test_bytes_never_fail_and_come_out_safe(raw: bytes) -> None:
    assert not any(unsafe(char) for char in clean(raw))
    assert clean(clean(raw)) == clean(raw)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("\x1b]52;c;aGk=\x07hi", "]52;c;aGk=hi"),
        ("\x1b[2J\x9b31m", "[2J31m"),
        (b"caf\xc3\xa9 \xff", "café \ufffd"),
        (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
        ("a\r\nb\tc", "a\nb\tc"),
        ("\ud800x", "x"),
        ("[link=file:///etc]x[/]", "[link=file:///etc]x[/]"),
        ("👩\u200d🚀 e\u0301 \u00ad", "👩\u200d🚀 e\u0301 \u00ad"),
    ],
)
def test_examples(raw: str | bytes, text: str) -> None:
    assert clean(raw) == text


@given(st.text(st.characters()) | st.binary(), st.integers(1, 50))
def test_a_line_is_one_line_of_limited_length(raw: str | bytes, limit: int) -> None:
    line = clean_line(raw, limit)
    assert len(line) <= limit
    assert "\n" not in line
    assert "\t" not in line


def test_a_line_that_is_cut_says_so() -> None:
    assert clean_line("abcdef", 6) == "abcdef"
    assert clean_line("abcdefg", 6) == "abcde…"
    assert clean_line("  a\n\tb  ") == "a  b"


def test_last_lines_are_the_last_ones_with_something_in_them() -> None:
    assert last_lines("1\n2\n\n3  \n \n", 2) == "2\n3"
    assert last_lines(b"only\x1b[m") == "only[m"
    assert last_lines("") == ""
    assert len(last_lines("x\n" * 100).splitlines()) == 20
