"""The lines around a moment, whether or not they are in a buffer, with the count that proves them."""

from __future__ import annotations

from dataclasses import dataclass

from vpai_tui.errors import OperatorError
from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.model import SECOND_NS, Entry
from vpai_tui.logs.pages import newest, pages
from vpai_tui.logs.past import Asked

BEFORE, AFTER = 500, 1500  # lines that are read at once on either side; more are paged
WITHIN_S = 3600.0
_AHEAD_NS = 600 * SECOND_NS  # Loki takes lines of clocks that are so far ahead
_SETTLE_NS = 5 * SECOND_NS  # younger lines may still be on their way


@dataclass(frozen=True, slots=True)
class There:
    """All lines of `[from_ns, to_ns)` were read, which are `count`; Loki has `expected` of them (None: not counted)."""

    from_ns: int
    to_ns: int
    count: int
    expected: int | None

    @property
    def proven(self) -> bool:
        return self.expected is not None and self.count >= self.expected


async def around_moment(
    loki: Asked,
    query: str,
    ns: int,
    buffer: Buffer,
    *,
    before: int = BEFORE,
    after: int = AFTER,
    within_s: float = WITHIN_S,
) -> There:
    """The `before` lines before `ns` and about `after` from it on, no farther away than `within_s`, into `buffer`.

    Raises:
        LokiError: the query is wrong.
        OperatorError: Loki does not answer.
    """
    reach, now = int(within_s * SECOND_NS), loki.now_ns()
    from_ns, to_ns = max(ns - reach, 0), min(ns + reach, now + _AHEAD_NS)
    earlier, all_before = await newest(loki, query, from_ns, ns, before)
    if earlier and not all_before:
        from_ns = earlier[0].ns + 1  # its own nanosecond may hold more of them
    later: list[Entry] = []
    async for page in pages(loki, query, ns, to_ns, forward=True, limit=after):
        later += page.entries
        if 2 * len(later) >= after or page.overflow_ns is not None:  # a full page ends before its last nanosecond
            to_ns = later[-1].ns + (page.overflow_ns is None)
            break
    buffer.from_ns = from_ns
    buffer.add([*earlier, *later])
    to_ns = min(to_ns, max(now - _SETTLE_NS, from_ns))
    count = sum(from_ns <= it.ns < to_ns for it in (*earlier, *later))
    try:
        expected = await loki.count(query, from_ns, to_ns)
    except OperatorError:
        return There(from_ns, to_ns, count, None)
    return There(from_ns, to_ns, count, expected)
