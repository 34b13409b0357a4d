"""The detail pane: what is known of one service, in four views: describe, YAML, events, logs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical

from vpai_tui.widgets import paint
from vpai_tui.widgets.backend import REACHED, Description
from vpai_tui.widgets.canvas import LineView, SafeStatic
from vpai_tui.widgets.context import Seen
from vpai_tui.widgets.paint import Line, Span

if TYPE_CHECKING:
    from vpai_tui.fleet.doctor import CheckResult

VIEWS = ("describe", "yaml", "events", "logs")
_LABEL = 14


class DetailPane(Vertical):
    """A row of view names and the lines of the chosen one."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.view = VIEWS[0]
        self.subject = ""

    def compose(self) -> ComposeResult:
        yield SafeStatic(id="detail-head")
        yield LineView(id="detail-lines")

    @property
    def text(self) -> str:
        """What the pane holds, for the clipboard."""
        return self.query_one(LineView).text

    def open(self, subject: str, view: str) -> bool:
        """Turn to another subject or view; says whether it is a new one."""
        fresh = (subject, view) != (self.subject, self.view)
        self.subject, self.view = subject, view
        self.query_one(SafeStatic).show([self._head()])
        return fresh

    def fill(self, rows: Sequence[Line], *, top: bool) -> None:
        """Draw the view's lines."""
        self.query_one(LineView).show(rows, top=top)

    def scroll_to_end(self) -> None:
        self.query_one(LineView).scroll_end(animate=False)

    def _head(self) -> Line:
        spans: list[Span] = [(f" {self.subject}  ", "strong")]
        for name in VIEWS:
            spans.append((f" {name} ", "chip" if name == self.view else "dim"))
        return tuple(spans)


def description_lines(description: Description, checks: Sequence[Line] = (), load: Sequence[Line] = ()) -> list[Line]:
    """Sections of aligned names and values; long values go on below their column. `checks` stand below what they are
    of: where the service answers; `load` below the first section."""
    rows: list[Line] = []
    for at, section in enumerate(description.sections):
        rows += [()] if rows else []
        if at == 1 and load:
            rows += [*load, ()]
        rows.append(((f" {section.title}", "head"),))
        for name, value in section.items:
            first, *rest = value.splitlines() or [""]
            rows.append(((paint.fit(f"  {name}", _LABEL + 2), "dim"), (first, _value_role(first))))
            rows += [((" " * (_LABEL + 2), ""), (row, "")) for row in rest]
        rows += checks if section.title == REACHED else ()
    return rows


def check_lines(found: Sequence[CheckResult], *, asking: bool) -> list[Line]:
    """What was found out of a service's names; `asking`: more is to come."""
    rows: list[Line] = []
    for it in found:
        glyph, role = (paint.WARN, "warn") if it.ok is None else (paint.OK, "ok") if it.ok else (paint.DOWN, "error")
        rows.append(
            ((f"  {glyph} ", role), (paint.fit(it.check, _LABEL - 2), "dim"), (it.detail, "" if it.ok else role))
        )
        if it.remedy:
            rows.append(((" " * (_LABEL + 2), ""), (f"→ {it.remedy}", "dim")))
    return [*rows, ((f"  {paint.BUSY} asking", "busy"),)] if asking else rows


def _value_role(value: str) -> str:
    roles = {paint.OK: "ok", paint.WARN: "warn", paint.DOWN: "error", paint.STALE: "stale", paint.BUSY: "busy"}
    return roles.get(value[:1], "") if len(value) > 1 and value[1:2] == " " else ""


def yaml_lines(text: str) -> list[Line]:
    """YAML with its keys apart from its values; no parser, so nothing it holds can fail."""
    return [_yaml_line(row) for row in text.splitlines()]


def _yaml_line(row: str) -> Line:
    body = row.lstrip()
    if body.startswith("#"):
        return ((row, "dim"),)
    key, colon, value = row.partition(":")
    if colon and (not value or value.startswith(" ")):
        return ((key, "accent"), (colon, "dim"), (value, ""))
    return ((row, ""),)


def event_lines(seen: Iterable[Seen], service_id: str) -> list[Line]:
    """Changes seen in one service, newest first."""
    rows: list[Line] = [
        ((f" {item.at.strftime('%H:%M:%S')}  ", "dim"), (item.text, item.role))
        for item in seen
        if item.service == service_id
    ]
    return rows[::-1] or [((" nothing changed since the cockpit looks", "dim"),)]


def log_lines(rows: Sequence[str]) -> list[Line]:
    """Log lines as they came; what looks like trouble stands out."""
    return [((f" {row}", _log_role(row)),) for row in rows] or [((" no log lines", "dim"),)]


def _log_role(row: str) -> str:
    head = row[:160].lower()
    if "error" in head or "fatal" in head or "panic" in head:
        return "error"
    return "warn" if "warn" in head else ""
