"""All that is known of a stack on demand: what the describe pane shows below the row."""

from __future__ import annotations

from vpai_tui.clock import duration
from vpai_tui.ondemand.fold import idle_words
from vpai_tui.ondemand.model import OnDemandSnapshot
from vpai_tui.widgets import paint
from vpai_tui.widgets.backend import Section
from vpai_tui.widgets.dialogs import wrap
from vpai_tui.widgets.ondemand_rows import state_span

_LABEL = 16


def stack_sections(found: OnDemandSnapshot, room: int) -> list[Section]:
    """The stack, its memory, its idle stop, its host."""
    stack, limits = found.stack, found.stack.limits
    counted = [limit for limit in limits.values() if limit is not None]
    without = [name for name, limit in limits.items() if limit is None]
    what, more = idle_words(found.idle) if found.looked else ("not asked yet", "")
    known = found.idle if found.looked else None
    return [
        _section(
            stack.title,
            [
                ("stack", stack.id),
                ("state", state_span(found)[0]),
                ("", f"{found.why}{f' → {found.remedy}' if found.remedy else ''}"),
                ("up", duration(found.uptime_s)),
                ("url", stack.url or "none"),
                ("front", ", ".join(stack.front)),
                ("data", ", ".join(stack.data) or "none"),
            ],
            room,
        ),
        _section(
            "memory",
            [
                ("held", paint.size(found.memory_bytes)),
                (
                    "at most",
                    paint.size(sum(counted)) + (f", {', '.join(without)} without a limit" if without else ""),
                ),
                ("host", f"{paint.size(found.host_available_bytes)} of {paint.size(found.host_memory_bytes)} left"),
            ],
            room,
        ),
        _section(
            "idle stop",
            [
                ("now", what),
                ("", more),
                ("set", f"{known.at} by {known.by}" if known else ""),
                ("told", known.told if known else ""),
            ],
            room,
        ),
        _section("host", [("lock", found.owner or ("free" if found.looked else "not asked yet"))], room),
        *([_section("notes", [("", note) for note in found.notes], room)] if found.notes else []),
    ]


def _section(title: str, rows: list[tuple[str, str]], room: int) -> Section:
    """Without what is empty; long values go on below their column."""
    wide = max(20, room - _LABEL)
    return Section(title, tuple((name, "\n".join(wrap(value, wide))) for name, value in rows if value))
