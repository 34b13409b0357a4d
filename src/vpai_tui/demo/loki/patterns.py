"""Regular expressions as Go's regexp takes them, and how it refuses them."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache

from vpai_tui.demo.loki.model import Refused

_UNSUPPORTED = re.compile(r"(?<!\\)(?:\\\\)*(\((?:\?=|\?!|\?<=|\?<!|\?>))")
_LATER_FLAGS = re.compile(r"(?s)\A(.+?)\(\?([ims]+)\)(.*)\Z")  # which Go takes anywhere
_BACK_REFERENCE = re.compile(r"(?<!\\)(?:\\\\)*(\\[1-9])")


@lru_cache(maxsize=256)
def _compile(pattern: str) -> re.Pattern[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sets in sets, which Go does not mind
        return re.compile(_LATER_FLAGS.sub(r"\1(?\2:\3)", pattern.replace("(?<", "(?P<")))


def compiled(pattern: str, before: str = "") -> re.Pattern[str]:
    """The pattern. Refused(400) with `before` and Go's words otherwise."""
    told = ""
    if found := _UNSUPPORTED.search(pattern):
        told = f"invalid or unsupported Perl syntax: `{found[1]}`"
    elif found := _BACK_REFERENCE.search(pattern):
        told = f"invalid escape sequence: `{found[1]}`"
    else:
        try:
            return _compile(pattern)
        except re.error as error:
            told = _in_go(error, pattern)
    raise Refused(400, f"{before}error parsing regexp: {told}")


def _in_go(error: re.error, pattern: str) -> str:
    at = error.pos or 0
    if "unterminated subpattern" in error.msg:
        return f"missing closing ): `{pattern}`"
    if "unterminated character set" in error.msg:
        return f"missing closing ]: `{pattern[at:]}`"
    if "unbalanced parenthesis" in error.msg:
        return f"unexpected ): `{pattern}`"
    if "nothing to repeat" in error.msg:
        return f"missing argument to repetition operator: `{pattern[at : at + 1]}`"
    if "multiple repeat" in error.msg:
        return f"invalid nested repetition operator: `{pattern[at - 1 : at + 1]}`"
    if "bad character range" in error.msg:
        return f"invalid character class range: `{pattern[at : at + 3]}`"
    if "bad escape (end of pattern)" in error.msg:
        return "trailing backslash at end of expression: ``"
    return f"invalid escape sequence: `{pattern[at : at + 2]}`"
