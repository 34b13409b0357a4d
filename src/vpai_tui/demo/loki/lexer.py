"""LogQL in words, with the positions that Loki's parse errors name."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from vpai_tui.demo.loki.model import Refused

END = "$end"
FUNCTIONS = ("count_over_time", "rate", "bytes_over_time", "bytes_rate", "sum", "min", "max", "avg", "count")
# Of the full language, refused by the parser; named as Loki's grammar names them.
_OTHER = """
    rate_counter sort sort_desc stddev stdvar bottomk topk approx_topk avg_over_time sum_over_time min_over_time
    max_over_time stdvar_over_time stddev_over_time quantile_over_time first_over_time last_over_time
    absent_over_time vector label_replace
"""
_WORDS = """
    by without bool offset on ignoring group_left group_right or and unless json regexp logfmt pattern unpack unwrap
    line_format label_format decolorize drop keep ip
"""
_OTHER_FUNCTIONS = frozenset(_OTHER.split())
_KEYWORDS = frozenset(_WORDS.split())
_UNITS_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9}
_UNITS_NS |= {"m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9, "w": 604800 * 10**9, "y": 31536000 * 10**9}
_UNITS_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_UNITS_BYTES |= {"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}
_SPACE = re.compile(r"(?:\s+|#[^\n]*)+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FLAG = re.compile(r"--(?:strict|keep-empty)\b")
_NUMBER = re.compile(r"-?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?")
_SPAN = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|[smhdwy]))+(?![A-Za-z0-9])")
_SIZE = re.compile(r"\d+(?:\.\d+)?(?:[kmgt]i?)?b(?![A-Za-z0-9])", re.IGNORECASE)
_SIGN = re.compile(r"\|=|\|~|\|>|!=|!~|!>|=~|==|>=|<=|[{}()|,.=<>+\-*/%^\[\]]")
_WINDOW = re.compile(r"(?:\d+(?:ms|[smhdwy]))+")  # a millisecond is the least, and no fractions
_CALLS = re.compile(r"\s*(?:(?:by|without)\s*)?\(")
_CHAR = re.compile(r"'(?:\\.|[^'\\\n])'")
_GO = re.compile(r"(?<!\\)((?:\\\\)*)\\(a|v|x[0-9a-fA-F]{2}|U[0-9a-fA-F]{8})")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|[smhdwy])")


class Token(NamedTuple):
    """One word: its kind in the grammar, what it says, where it starts (line and column from 1; line 0 for ranges)."""

    kind: str
    value: str
    line: int
    column: int
    number: float = 0


def error(text: str, line: int = 0, column: int = 0) -> Refused:
    where = f"at line {line}, col {column}" if line or column else ""
    return Refused(400, f"parse error {where}: {text}")


def span_ns(text: str) -> int | None:
    """`1h30m` in nanoseconds; None when it is no duration."""
    if not _SPAN.fullmatch(text):
        return None
    return int(sum(float(number) * _UNITS_NS[unit] for number, unit in _PART.findall(text)))


def tokens(query: str) -> list[Token]:
    """All words of `query` and the end. Refused(400) for what is no word."""
    found: list[Token] = []
    at = 0
    while True:
        if space := _SPACE.match(query, at):
            at = space.end()
        line = query.count("\n", 0, at) + 1
        column = at - (query.rfind("\n", 0, at) + 1) + 1
        if at >= len(query):
            # An empty query has no place.
            found.append(Token(END, "", line if query else 0, column if query else 0))
            return found
        token, at = _one(query, at, line, column)
        found.append(token)


def _one(query: str, at: int, line: int, column: int) -> tuple[Token, int]:
    char = query[at]
    if char in "\"`'":
        return _string(query, at, line, column)
    if char == "[":
        return _range(query, at, line, column)
    if match := _NAME.match(query, at):
        return Token(_word(query, match), match[0], line, column), match.end()
    if match := _FLAG.match(query, at):
        return Token("FUNCTION_FLAG", match[0], line, column), match.end()
    if match := _SIZE.match(query, at):
        return Token("BYTES", match[0], line, column, _size(match[0])), match.end()
    if match := _SPAN.match(query, at):
        return Token("DURATION", match[0], line, column, float(span_ns(match[0]) or 0)), match.end()
    if match := _NUMBER.match(query, at):
        return Token("NUMBER", match[0], line, column, float(match[0])), match.end()
    if match := _SIGN.match(query, at):
        return Token(match[0], match[0], line, column), match.end()
    raise error(f"syntax error: unexpected {char}", line, column)


def _word(query: str, match: re.Match[str]) -> str:
    """A function's name is one only before a parenthesis or its grouping."""
    word = match[0]
    if word in FUNCTIONS or word in _OTHER_FUNCTIONS:
        calls = _CALLS.match(query, match.end())
        return word.upper() if calls else "IDENTIFIER"
    return word if word in _KEYWORDS else "IDENTIFIER"


def _string(query: str, at: int, line: int, column: int) -> tuple[Token, int]:
    quote = query[at]
    if quote == "'":
        if match := _CHAR.match(query, at):  # Go's literal of one character: a word, but no string
            return Token("IDENTIFIER", match[0], line, column), match.end()
        raise error("invalid char literal", line, column)
    end = at + 1
    while end < len(query) and query[end] != quote and (quote == "`" or query[end] != "\n"):
        end += 2 if query[end] == "\\" and quote == '"' else 1
    if end >= len(query) or query[end] != quote:
        raise error("literal not terminated", line, column)
    body = query[at + 1 : end]
    return Token("STRING", body if quote == "`" else _unescaped(body, line, column), line, column), end + 1


def _json_escape(escape: str) -> str:
    """What JSON has for an escape that only Go knows. ValueError where it is no character."""
    code = 7 if escape == "a" else 11 if escape == "v" else int(escape[1:], 16)
    return json.dumps(chr(code))[1:-1] if code > 0x7F else f"\\u{code:04x}"


def _unescaped(body: str, line: int, column: int) -> str:
    try:
        known = _GO.sub(lambda it: it[1] + _json_escape(it[2]), body).replace("\t", "\\t")
        return str(json.loads(f'"{known}"'))
    except ValueError:
        raise error("invalid syntax", line, column) from None


def _range(query: str, at: int, line: int, column: int) -> tuple[Token, int]:
    end = query.find("]", at)
    if end < 0:
        raise error("missing closing ']' in duration", 0, column)
    text = query[at + 1 : end].strip()
    if _WINDOW.fullmatch(text):
        return Token("RANGE", text, 0, column, float(span_ns(text) or 0)), end + 1
    unit = re.match(r"\d+(?:[a-z]*\d+)*?([^\d]+)", text)
    wrong = f'unknown unit "{unit[1]}" in duration' if unit else "not a valid duration string:"
    raise error(f'{wrong} "{text}"', 0, column)


def _size(text: str) -> float:
    match = re.match(r"[\d.]+", text)
    digits = match[0] if match else "0"
    return float(digits) * _UNITS_BYTES[text[len(digits) :].lower()]
