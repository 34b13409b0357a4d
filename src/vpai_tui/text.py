"""The one boundary between untrusted bytes and text that may reach a terminal."""

from __future__ import annotations

import re

# C0 without \t and \n, DEL, C1, surrogates, bidi controls, line and paragraph separators.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]"
)


def clean(raw: str | bytes) -> str:
    """`raw` without what could drive a terminal or reorder text; all other text unchanged.

    Bytes are read as UTF-8, invalid ones become U+FFFD. `\\n` and `\\t` stay.
    """
    text = raw.decode("utf-8", errors="replace") if isinstance(raw, bytes) else raw
    if text.isprintable():
        return text
    return _UNSAFE.sub("", text)


def clean_line(raw: str | bytes, limit: int = 2000) -> str:
    """One cleaned line: newlines and tabs become spaces, at most `limit` characters (then `…`)."""
    text = clean(raw).replace("\n", " ").replace("\t", " ").strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def number(word: str, least: int = 0, most: int = 2**31) -> int | None:
    """The whole number `word` is, in plain digits and within bounds; None when it is none."""
    value = int(word) if re.fullmatch(r"[0-9]{1,18}", word) else None
    return value if value is not None and least <= value <= most else None


def last_lines(raw: str | bytes, count: int = 20) -> str:
    """The last `count` non-empty lines of `raw`, cleaned."""
    lines = [line.rstrip() for line in clean(raw).splitlines() if line.strip()]
    return "\n".join(lines[-count:])
