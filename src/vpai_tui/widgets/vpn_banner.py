"""What must not be overlooked on the VPN screen: no answer, old values, an interrupted apply, drift, conflicts."""

from __future__ import annotations

from vpai_tui.clock import duration
from vpai_tui.fleet.model import Severity
from vpai_tui.vpn.view import DnsView
from vpai_tui.widgets import paint
from vpai_tui.widgets.dialogs import wrap
from vpai_tui.widgets.paint import Line, Span
from vpai_tui.widgets.vpn_look import VpnLook

_ROWS = 6


def head_line(look: VpnLook, part: str, now_boot_s: float, width: int) -> Line:
    """The two parts with their counts, the server, and how old all of it is."""
    found = look.snapshot
    staged = len(found.dns.staged.edits) if found and found.dns else 0
    counts = {
        "nodes": "" if found is None else "?" if found.error else str(len(found.nodes)),
        "dns": "" if found is None or found.dns is None else str(sum(1 for it in found.dns.records if it.in_file)),
    }
    spans: list[Span] = [(" ", "")]
    for name, count in counts.items():
        spans += [(f" {name} {count} ".replace("  ", " "), "chip" if name == part else "dim"), (" ", "")]
    if staged:
        spans.append((f" {staged} staged", "warn"))
    return paint.spread(tuple(spans), _server(look, now_boot_s), width)


def _server(look: VpnLook, now_boot_s: float) -> Line:
    found = look.snapshot
    if found is None:
        return ((" … asking Headscale ", "busy"),) if look.failure is None else ((f"{paint.DOWN} no answer ", "error"),)
    name = f"Headscale {found.server.version}" if found.server else f"{paint.DOWN} Headscale is down"
    age = duration(now_boot_s - look.taken_boot_s)
    old: Span = (f"{paint.STALE} {age} old ", "stale") if look.stale(now_boot_s) else (f"{age} ago ", "dim")
    return ((name, "dim" if found.server else "error"), (f" on {found.host}  ", "dim"), old)


def banner_lines(look: VpnLook, part: str, now_boot_s: float, width: int) -> list[Line]:
    """At most six rows; the describe pane has the whole of the settings."""
    rows: list[Line] = []
    found, failure = look.snapshot, look.failure
    if failure is not None:
        rows += _told(paint.DOWN, "error", str(failure), failure.remedy, width)
    if found is None:
        return rows[:_ROWS]
    if found.error:
        rest = "the records below are read from the file" if found.dns else ""
        rows += _told(paint.DOWN, "error", f"Headscale does not answer: {found.error}", found.remedy or rest, width)
    if why := dict(found.server.cannot if found.server else ()).get("write"):
        rows += _told(paint.WARN, "warn", why, "", width)
    if found.dns is None:
        rows += [row for note in found.notes for row in _told(paint.WARN, "warn", note, "", width)]
    else:
        rows += _of_apply(found.dns, width) + (_of_records(found.dns, width) if part == "dns" else [])
    return rows[:_ROWS]


def _of_apply(dns: DnsView, width: int) -> list[Line]:
    """What stands in the way of the next apply."""
    rows: list[Line] = []
    if dns.interrupted:
        way = "`:dns settle` takes it back; the next apply does so first"
        rows += _told(paint.WARN, "warn", f"the apply {dns.interrupted} was interrupted", way, width)
    for conflict in dns.conflicts[:1]:
        rows += _told(paint.DOWN, "error", f"staged, but does not fit any more: {conflict}", "u undoes", width)
    return rows


def _of_records(dns: DnsView, width: int) -> list[Line]:
    """What another writer did, and what is wrong with how records are looked up at all."""
    rows = _told(paint.WARN, "warn", dns.drift, "d shows what an apply would do to it", width) if dns.drift else []
    for problem in dns.problems[:2]:
        if problem.severity is not Severity.INFO:
            rows += _told(*paint.severity(problem.severity), problem.message, "", width)[:2]
    return rows


def _told(glyph: str, role: str, text: str, remedy: str, width: int) -> list[Line]:
    told = f"{text} → {remedy}" if remedy else text
    pieces = wrap(told, max(20, width - 4))
    return [((f" {glyph if not at else ' '} ", role), (piece, role)) for at, piece in enumerate(pieces)]
