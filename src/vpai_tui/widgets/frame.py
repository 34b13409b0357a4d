"""The rows every screen has: title with breadcrumb and chips on top, footer with the keys that matter below."""

from __future__ import annotations

from textual import events
from textual.message import Message

from vpai_tui.clock import duration
from vpai_tui.command_table import Command
from vpai_tui.commands import Situation, footer_of
from vpai_tui.widgets.canvas import SafeStatic
from vpai_tui.widgets.context import Context
from vpai_tui.widgets.host_strip import has_room
from vpai_tui.widgets.operations import Operation
from vpai_tui.widgets.paint import Line, Span, clip, spread, width_of
from vpai_tui.widgets.you import you_chip

NAME = "vpai"


class TitleBar(SafeStatic):
    """`vpai  fleet › sese` and, at the right, what the operator must not forget: read-only, running operations."""

    class OperationClicked(Message):
        """The chip of a running operation was clicked."""

    def draw(self, crumbs: tuple[str, ...], context: Context) -> bool:
        """Draw it; says whether anything differed."""
        left: list[Span] = [(f" {NAME} ", "chip"), (" ", "")]
        for at, crumb in enumerate(crumbs):
            left += [(" › ", "dim")] if at else []
            left.append((crumb, "strong" if at == len(crumbs) - 1 else "dim"))
        width = self.size.width or 80
        laptop = None if has_room(len(context.snapshot.hosts), width) else context.upkeep.laptop
        right = (*_chips(context), *you_chip(laptop, context.clock.now()))
        return self.show([spread(tuple(left), right, width)])

    def on_click(self, event: events.Click) -> None:
        self.post_message(self.OperationClicked())


def _chips(context: Context) -> Line:
    spans: list[Span] = []
    if context.failure:
        spans += [("✖ no backend ", "error")]
    if context.busy:
        spans.append((f"… {context.busy} ", "busy"))
    for operation in context.operations.running[-2:]:
        spans += [(operation_chip(operation, context.clock.boot_s()), "busy"), (" ", "")]
    if context.read_only:
        spans += [(" READ-ONLY ", "chip"), (" ", "")]
    return tuple(spans)


def operation_chip(operation: Operation, now_boot_s: float) -> str:
    """`… deploy sese/apps 12s`."""
    return f"… {operation.title} {duration(operation.elapsed_s(now_boot_s))} "


class FooterBar(SafeStatic):
    """At most six keys: the ones that matter on this screen, on this row."""

    class KeyClicked(Message):
        """A key of the footer was clicked."""

        def __init__(self, command: Command) -> None:
            super().__init__()
            self.command = command

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._places: list[tuple[int, int, Command]] = []

    def draw(self, now: Situation, hint: str = "") -> bool:
        """Draw the keys of this situation and, at the right, a hint; says whether anything differed."""
        spans: list[Span] = [(" ", "")]
        self._places = []
        left = 1
        for command in footer_of(now):
            part: Line = ((now.key_text(command), "key"), (f" {command.footer}  ", "dim"))
            self._places.append((left, left + width_of(part), command))
            left += width_of(part)
            spans += part
        width = self.size.width or 80
        right: Line = ((f"{hint} ", "dim"),) if hint else ()
        return self.show([clip(spread(tuple(spans), right, width), width)])

    def on_click(self, event: events.Click) -> None:
        for start, end, command in self._places:
            if start <= event.x < end:
                self.post_message(self.KeyClicked(command))
