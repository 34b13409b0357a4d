"""Paging through lines without missing or doubling one, also where many are of one nanosecond."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from vpai_tui.logs.client import PAGE
from vpai_tui.logs.model import Entry
from vpai_tui.logs.way import TooLarge
from vpai_tui.logs.wire import Cost, Lines

_SMALLEST = 50


class Pageable(Protocol):
    """What pages are asked of."""

    @property
    def most(self) -> int: ...

    async def lines(self, query: str, from_ns: int, to_ns: int, *, limit: int, forward: bool) -> Lines: ...


@dataclass(frozen=True, slots=True)
class Page:
    """Some lines, oldest first. `overflow_ns`: one nanosecond has more lines than Loki gives at once."""

    entries: list[Entry]
    cost: Cost
    overflow_ns: int | None = None


async def pages(
    loki: Pageable, query: str, from_ns: int, to_ns: int, *, forward: bool, limit: int = PAGE
) -> AsyncIterator[Page]:
    """All lines of `[from_ns, to_ns)`, each as often as Loki has it, page by page in the direction asked for.

    A full page may end inside a nanosecond: the lines of its last one are left to the next page, which begins there.
    """
    while from_ns < to_ns:
        asked = min(limit, loki.most)
        try:
            found = await loki.lines(query, from_ns, to_ns, limit=asked, forward=forward)
        except TooLarge:
            if asked <= _SMALLEST:
                raise
            limit = max(asked // 4, _SMALLEST)
            continue
        entries = found.entries
        if len(entries) < min(asked, loki.most):
            if entries:
                yield Page(entries, found.cost)
            return
        edge = entries[-1 if forward else 0].ns
        whole = [it for it in entries if it.ns != edge]
        if whole:
            yield Page(whole, found.cost)
            from_ns, to_ns = (edge, to_ns) if forward else (from_ns, edge + 1)
        elif asked < min(PAGE, loki.most):
            limit = PAGE
        else:
            yield Page(entries, found.cost, overflow_ns=edge)
            from_ns, to_ns = (edge + 1, to_ns) if forward else (from_ns, edge)


async def newest(loki: Pageable, query: str, from_ns: int, to_ns: int, count: int) -> tuple[list[Entry], bool]:
    """The newest `count` lines of a span, oldest first, and whether there are no older ones in it."""
    found: list[Entry] = []
    while len(found) < count:
        asked = min(count - len(found), loki.most)
        page = await loki.lines(query, from_ns, to_ns, limit=asked, forward=False)
        asked = min(asked, loki.most)
        found = page.entries + found
        if len(page.entries) < asked:
            return found, True
        if len(found) >= count:
            return found, False
        edge = page.entries[0].ns
        inside = [it for it in found if it.ns == edge]
        if len(inside) >= loki.most:  # it cannot be seen past: go on before it
            to_ns = edge
            continue
        found = found[len(inside) :]
        to_ns = edge + 1
    return found, False
