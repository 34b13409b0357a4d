"""Parameters of a request as Loki reads them, traps included."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

from vpai_tui.demo.loki.lexer import span_ns
from vpai_tui.demo.loki.model import Refused, S

Params = dict[str, list[str]]
MAX_ENTRIES = 5000
MAX_RANGE_NS = 721 * 3600 * S
MAX_POINTS = 11_000
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)")
_INT64 = 1 << 63


class Bounds(NamedTuple):
    """From `start` to before `end`, nanoseconds."""

    start: int
    end: int


def one(params: Params, name: str, default: str = "") -> str:
    """The first value of a parameter; an empty one counts as none."""
    return next((value for value in params.get(name, ()) if value), default)


def time_ns(text: str, what: str = "") -> int:
    """A moment: with a point it is seconds, of up to ten digits too, longer is nanoseconds; or RFC 3339."""
    before = f"could not parse '{what}' parameter: " if what else ""
    if "." in text and (found := _float(text)) is not None:
        return int(found * S)
    digits = text.removeprefix("-").removeprefix("+")
    if digits.isdigit() and digits.isascii():
        number = int(text)
        if abs(number) >= _INT64:
            raise Refused(400, f'{before}strconv.ParseInt: parsing "{text}": value out of range')
        return number * S if len(text) <= 10 else number
    if match := _RFC3339.fullmatch(text):
        try:
            whole = int(datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00")).timestamp())
        except ValueError:
            pass
        else:
            return whole * S + int((match[2] or "0").ljust(9, "0"))
    raise Refused(400, f'{before}strconv.ParseInt: parsing "{text}": invalid syntax')


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def bounds(params: Params, now: int) -> Bounds:
    """`start`, `end` and `since`: the last hour where nothing is said."""
    since = 3600 * S
    if text := one(params, "since"):
        found = span_ns(text)
        if found is None:
            raise Refused(400, f"could not parse 'since' parameter: not a valid duration string: \"{text}\"")
        since = found
    end = time_ns(text, "end") if (text := one(params, "end")) else now
    start = time_ns(text, "start") if (text := one(params, "start")) else min(end, now) - since
    return Bounds(start, end)


def check_range(found: Bounds) -> None:
    """Refused(400) for a window over the limit."""
    length = found.end - found.start
    if length > MAX_RANGE_NS:
        told = f"the query time range exceeds the limit (query length: {go_duration(length)}, limit: 30d1h)"
        raise Refused(400, told)


def go_duration(nanoseconds: int) -> str:
    """`800h0m0s`, with as many digits after the point as there are."""
    whole, rest = divmod(nanoseconds, S)
    fraction = f".{rest:09d}".rstrip("0").rstrip(".")
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{f'{hours}h' if hours else ''}{minutes}m{whole % 60}{fraction}s"


def integer(params: Params, name: str, default: int) -> int:
    """A number, `default` where it is not given."""
    text = one(params, name)
    if not text:
        return default
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise Refused(400, f'strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)


def limit(params: Params) -> int:
    """How many lines at most."""
    found = integer(params, "limit", 100)
    if found <= 0:
        raise Refused(400, "limit must be a positive value")
    return found


def check_entries(wanted: int) -> None:
    """Refused(400) for more lines than a query may return."""
    if wanted > MAX_ENTRIES:
        told = f"max entries limit per query exceeded, limit > max_entries_limit_per_query ({wanted} > {MAX_ENTRIES})"
        raise Refused(400, told)


def forward(params: Params) -> bool:
    """The direction."""
    text = one(params, "direction", "backward").lower()
    if text not in ("forward", "backward"):
        raise Refused(400, f"invalid direction '{one(params, 'direction')}'")
    return text == "forward"


def span(params: Params, name: str, default: int) -> int:
    """A step or interval: seconds, or a duration."""
    text = one(params, name)
    if not text:
        return default
    seconds = _float(text)
    found = span_ns(text) if seconds is None else int(seconds * S)
    if found is None:
        raise Refused(400, f'cannot parse "{text}" to a valid duration')
    return found


def step(params: Params, found: Bounds) -> int:
    """The step, by default a 250th of the window. Refused(400) where that makes too many points."""
    seconds = max(1, (found.end - found.start) // S // 250)
    wanted = span(params, "step", seconds * S)
    if wanted <= 0:
        told = "zero or negative query resolution step widths are not accepted. Try a positive integer"
        raise Refused(400, told)
    if (found.end - found.start) // wanted > MAX_POINTS:
        told = "exceeded maximum resolution of 11,000 points per time series."
        raise Refused(400, f"{told} Try increasing the value of the step parameter")
    return wanted
