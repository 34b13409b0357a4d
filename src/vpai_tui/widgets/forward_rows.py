"""Forwards as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vpai_tui.clock import duration
from vpai_tui.widgets import paint
from vpai_tui.widgets.paint import Line
from vpai_tui.widgets.safe_table import Column, Row, widest

if TYPE_CHECKING:
    from vpai_tui.fleet.forward import Forward


def forward_columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    """Columns wide enough for what these rows hold."""
    return (
        Column("local", "on this laptop", 16),
        Column("service", "leads to", max(8, min(30, widest(rows, "service")))),
        Column("port", "port", 5),
        Column("open", "open", 4),
        Column("waiting", "wait", 4, drop=2),
        Column("total", "all", 5, drop=3),
        Column("bytes", "sent/received", 14, drop=4),
        Column("since", "since", 6, drop=1),
        Column("error", "", least=8, drop=5),
    )


def forward_rows(forwards: Sequence[Forward], now_boot_s: float) -> list[Row]:
    """One row per forward; keys are their numbers."""
    return [
        Row(
            str(it.id),
            {
                "local": (f"127.0.0.1:{it.local_port}", "strong"),
                "service": (it.service, "name"),
                "port": (str(it.port), ""),
                "open": (str(it.open), "accent" if it.open else "dim"),
                "waiting": (str(it.waiting), "warn" if it.waiting else "dim"),
                "total": (str(it.total), "dim"),
                "bytes": (f"{paint.size(it.sent_bytes)}/{paint.size(it.received_bytes)}", "dim"),
                "since": (duration(now_boot_s - it.since_boot_s), "dim"),
                "error": (it.error, "error"),
            },
        )
        for it in forwards
    ]


def forward_head(forwards: Sequence[Forward]) -> Line:
    """What these are, in a line."""
    if not forwards:
        return ((" nothing is forwarded", "dim"), ("   :forward SERVICE [PORT] begins", "dim"))
    carried = sum(it.open for it in forwards)
    return ((f" {len(forwards)} forwarded", ""), (f", {carried} connections open; they end with the cockpit", "dim"))


def forward_detail(forward: Forward | None) -> list[Line]:
    """How one is used, and its last trouble."""
    if forward is None:
        return []
    rows: list[Line] = [
        ((f" 127.0.0.1:{forward.local_port}", "strong"), (f" → {forward.service} port {forward.port}", ""))
    ]
    if forward.waiting:
        rows.append(((f" {paint.WARN} {forward.waiting} wait: {forward.host} has few channels", "warn"),))
    if forward.error:
        rows.append(((f" {paint.DOWN} last: {forward.error}", "error"),))
    return rows


def forward_question(forwards: Sequence[Forward]) -> list[Line]:
    """What quitting means for them."""
    return [
        (("⇄ ", "busy"), (f"127.0.0.1:{it.local_port}", "strong"), (f" → {it.service}: ends with the cockpit", ""))
        for it in forwards[:6]
    ]
