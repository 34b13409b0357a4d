"""The head of the studio: state and uptime, the URL, memory, the idle stop; and what must not be overlooked."""

from __future__ import annotations

from vpai_tui.clock import duration
from vpai_tui.ondemand.fold import idle_words
from vpai_tui.ondemand.model import IdleState, OnDemandSnapshot, State
from vpai_tui.widgets import paint
from vpai_tui.widgets.dialogs import wrap
from vpai_tui.widgets.ondemand_look import StudioLook
from vpai_tui.widgets.ondemand_rows import state_span
from vpai_tui.widgets.paint import Line, Span

_LABEL = 9
_BAR = 20


def head_lines(found: OnDemandSnapshot, width: int) -> list[Line]:
    """Four rows."""
    up = found.uptime_s is not None and found.state not in (State.STOPPED, State.UNKNOWN)
    left: Line = (
        (f" {found.stack.title}   ", "strong"),
        state_span(found),
        (f"   up {duration(found.uptime_s)}" if up else "", "dim"),
    )
    return [
        paint.spread(left, ((f"{found.stack.id} ", "dim"),), width),
        _url(found, width),
        _memory(found, width),
        _idle(found, width),
    ]


def _label(text: str) -> Span:
    return (paint.fit(f" {text}", _LABEL), "dim")


def _url(found: OnDemandSnapshot, width: int) -> Line:
    url = found.stack.url
    if url is None:
        return (_label("url"), ("none: no service of it has a subdomain", "dim"))
    if found.state is State.HEALTHY and not found.stale:
        return paint.spread((_label("url"), (url, "accent")), (("c", "key"), (" copies it ", "dim")), width)
    later = found.state not in (State.UNKNOWN, State.HEALTHY)
    return (_label("url"), (url, "dim"), (", once it is healthy" if later else "", "dim"))


def _memory(found: OnDemandSnapshot, width: int) -> Line:
    role = "stale" if found.stale else ""
    held = "not known" if found.memory_bytes is None else f"{paint.size(found.memory_bytes)} held"
    whole, free = found.host_memory_bytes, found.host_available_bytes
    if whole is None or free is None:
        return (_label("memory"), (held, role), (f"   {found.stack.host}: not known", "stale"))
    used = 100 * (whole - free) / whole if whole else 0.0
    words: Line = (
        _label("memory"),
        (held, role),
        (f"   {paint.size(free)} of {paint.size(whole)} left on {found.stack.host}", "stale" if found.stale else "dim"),
    )
    return paint.spread(words, (*paint.meter(used, _BAR, "stale" if found.stale else None), (" ", "")), width)


def _idle(found: OnDemandSnapshot, width: int) -> Line:
    if not found.looked:
        return (_label("idle"), (f"{paint.STALE} not asked yet", "stale"))
    idle = found.idle
    if idle is None:
        return (_label("idle"), ("no idle stop is set", "dim"))
    what, more = idle_words(idle)
    gone = idle.state in (IdleState.GONE, IdleState.REBOOTED)
    mark = paint.WARN if gone else paint.BUSY if idle.watching else "·"
    role = (
        "stale" if found.stale else "warn" if gone or (idle.watching and idle.why) else "" if idle.watching else "dim"
    )
    return paint.clip((_label("idle"), (f"{mark} {what}", role), (f"  {more}", "dim")), width)


def banner_lines(found: OnDemandSnapshot, look: StudioLook, now_boot_s: float, width: int, most: int) -> list[Line]:
    """What needs the operator, the gravest first, in at most `most` rows."""
    host, rows = found.stack.host, []
    if found.stale:
        rows += _told(
            paint.DOWN, "error", f"{host} is away: {found.why or 'its last values'}", "ctrl+r tries now", width
        )
    elif found.why:
        role = {State.FAILING: "warn", State.UNKNOWN: "stale"}.get(found.state, "busy")
        glyph = {State.FAILING: paint.WARN, State.UNKNOWN: paint.STALE}.get(found.state, paint.BUSY)
        rows += _told(glyph, role, found.why, found.remedy, width)
    if found.owner and found.state not in (State.STARTING, State.STOPPING):
        rows += _told(paint.BUSY, "busy", f"the lock of {host} is held: {found.owner}", "", width)
    failure = look.failures.get(host)
    if failure is not None and not found.stale:
        rows += _told(paint.STALE, "stale", f"lock, idle stop and queues: {failure}", failure.remedy, width)
    elif (old_s := look.old_s(host, now_boot_s)) is not None:
        rows += _told(paint.STALE, "stale", f"lock, idle stop and queues are {duration(old_s)} old", "ctrl+r", width)
    if found.renders:
        names = ", ".join(it.service for it in found.renders)
        verb = "renders" if len(found.renders) == 1 else "render"
        rows += _told(paint.BUSY, "busy", f"{names} {verb}: a stop asks for the name of the stack", "", width)
    for note in found.notes:
        rows += _told("·", "dim", note, "", width)
    return rows[:most]


def _told(glyph: str, role: str, text: str, remedy: str, width: int) -> list[Line]:
    whole = f"{text}  → {remedy}" if remedy else text
    return [((f" {glyph if not at else ' '} {row}", role),) for at, row in enumerate(wrap(whole, max(20, width - 4)))]
