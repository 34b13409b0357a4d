"""The history as rows and lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vpai_tui.widgets import paint
from vpai_tui.widgets.dialogs import wrap
from vpai_tui.widgets.paint import Line, Span
from vpai_tui.widgets.safe_table import Column, Row, widest

if TYPE_CHECKING:
    from vpai_tui.deploy.chronicle import Chronicle, Told

_GOOD = ("committed", "done", "adopted", "unchanged")
_MIXED = ("reverted", "refused")
_SHOWN = 500


def history_columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    """Columns wide enough for what these rows hold."""
    return (
        Column("at", "when", 16),
        Column("by", "by", max(4, min(18, widest(rows, "by"))), drop=2),
        Column("what", "what", max(6, min(12, widest(rows, "what")))),
        Column("subject", "where", max(5, min(20, widest(rows, "subject")))),
        Column("result", "result", max(8, min(15, widest(rows, "result")))),
        Column("detail", "", least=8, drop=4),
    )


def pick_lines(lines: Sequence[Told], scope: str | None, needle: str) -> list[Told]:
    """The lines of `scope` that hold every word of `needle`, newest first."""
    words = needle.lower().split()
    kept = [
        line
        for line in reversed(lines)
        if scope in (None, line.host)
        and all(word in f"{line.by} {line.what} {line.subject} {line.result} {line.detail}".lower() for word in words)
    ]
    return kept[:_SHOWN]


def history_rows(lines: Sequence[Told]) -> list[Row]:
    """One row per line, as given; keys are their places."""
    return [
        Row(
            str(at),
            {
                "at": (line.at[:16].replace("T", " ") or "–", "dim"),
                "by": (line.by, ""),
                "what": (line.what, "strong"),
                "subject": (_where(line), ""),
                "result": result(line),
                "detail": (line.detail, "dim"),
            },
        )
        for at, line in enumerate(lines)
    ]


def _where(line: Told) -> str:
    """The subject with its host before it: of a stack or service that is its own name, `sese/apps`."""
    if not line.host or line.subject.split("/")[0] == line.host:
        return line.subject
    return f"{line.host}: {line.subject}"


def result(line: Told) -> Span:
    """Glyph and word of how it ended."""
    word = line.result.partition(":")[0].replace("_", " ")
    if line.result in _GOOD:
        return (f"{paint.OK} {word}", "ok")
    if line.result in _MIXED:
        return (f"{paint.WARN} {word}", "warn")
    if line.result == "running":
        return (f"{paint.BUSY} {word}", "busy")
    return (
        (f"{paint.STALE} {word}", "stale")
        if line.result in ("unknown", "unfinished")
        else (f"{paint.DOWN} {word}", "error")
    )


def reach_lines(found: Chronicle | None, width: int) -> list[Line]:
    """How much of the history is shown: the hosts that did not answer are named."""
    if found is None:
        return [((" … asking every host what was done there", "busy"),)]
    rows: list[Line] = [((f" {len(found.lines)} lines", "dim"), (", of every laptop", "dim"))]
    for host, why in found.unreached:
        rows.append(
            paint.clip(((f" {paint.STALE} {host}: ", "warn"), (f"only what this laptop did: {why}", "")), width)
        )
    if found.unreadable:
        rows.append(((f" {paint.WARN} {found.unreadable} lines of this laptop's journal are damaged", "warn"),))
    return rows


def failed(line: Told) -> bool:
    """Whether it is a deploy that was carried out and failed: there is a moment whose log tells more."""
    deploys = ("deploy", "rollback", "resume")
    return line.what in deploys and line.result in ("reverted", "revert_failed", "failed") and bool(line.at)


def line_detail(line: Told, width: int) -> list[Line]:
    """The whole of one line."""
    known = "as the host has it" if line.source == "host" else "as this laptop saw it"
    rows: list[Line] = [((f" {line.at or '–'}  {line.by}", "strong"), (f"  {known}", "dim"))]
    text = " ".join(part for part in (line.what, line.subject, line.result, line.detail) if part)
    rows += [((f" {piece}", ""),) for piece in wrap(text, max(20, width - 2))[:4]]
    if failed(line):
        rows.append(((" l", "key"), (f"  the log of {line.failed or line.subject} at the moment it failed", "dim")))
    return rows
