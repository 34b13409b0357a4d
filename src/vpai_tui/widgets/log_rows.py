"""The lines of a view as items: a traceback is one of them. Only what is near the place asked for is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vpai_tui.logs.fold import Folder
from vpai_tui.logs.model import Labels, Level, Line
from vpai_tui.logs.view import View

_BEFORE = 64  # lines looked at so that it is known what the first one belongs to
_AHEAD = 64  # and what still belongs to the last one
_MOST = 8192  # lines of one look


@dataclass(slots=True)
class Item:
    """A line that is shown, and how many lines were folded into it; as bad as the worst of them."""

    place: int
    line: Line
    level: Level
    more: int = 0


class Rows:
    """Items of a view, forward and backward from any place. With `fold` false every line is one."""

    def __init__(self, view: View, *, fold: bool = True) -> None:
        self.view = view
        self.fold = fold

    def forward(self, start: int, count: int) -> list[Item]:
        """At most `count` items from `start` on."""
        start, size = max(start, 0), count + _AHEAD
        while True:
            end = min(start + size, len(self.view))
            found = self._items(start, end)
            if len(found) > count or end == len(self.view) or size >= _MOST:
                return found[:count]
            size *= 2

    def backward(self, end: int, count: int) -> list[Item]:
        """The last `count` items before `end`, in the order of the view."""
        end, size = min(end, len(self.view)), count + _AHEAD
        while True:
            start = max(end - size, 0)
            found = [it for it in self._items(start, min(end + _AHEAD, len(self.view))) if it.place < end]
            if len(found) >= count or start == 0 or size >= _MOST:
                return found[-count:]
            size *= 2

    def is_head(self, place: int) -> bool:
        """Whether the line there is an item of its own."""
        return bool(self._items(place, place + 1))

    def errors(self, place: int, step: int) -> Iterator[int]:
        """The places of rows that are errors, from one place on."""
        while 0 <= place < len(self.view):
            if self.view[place].level >= Level.ERROR and self.is_head(place):
                yield place
            place += step

    def nearest(self, place: int) -> Item:
        """The row that a place belongs to, or the next one. The view must not be empty."""
        return (self.backward(place + 1, 1) or self.forward(place, 1))[0]

    def _items(self, start: int, end: int) -> list[Item]:
        view, found = self.view, []
        if not self.fold:
            return [Item(place, line := view[place], line.level) for place in range(start, end)]
        folder = Folder()
        open_: dict[Labels, Item | None] = {}  # None: its head lies before what was asked for
        for place in range(max(start - _BEFORE, 0), end):
            line = view[place]
            if folder.joins(line):
                head = open_.get(line.labels)
                if head is not None:
                    head.more += 1
                    head.level = max(head.level, line.level)
                continue
            head = None
            if place >= start:
                head = Item(place, line, line.level)
                found.append(head)
            open_[line.labels] = head
        return found
