"""An operation as lines: headline, outcome with the way back, steps with bars, journal."""

from __future__ import annotations

from vpai_tui.clock import duration
from vpai_tui.fleet.operation import Outcome, after_failed_revert
from vpai_tui.widgets import paint
from vpai_tui.widgets.operations import Operation
from vpai_tui.widgets.paint import Line, Span
from vpai_tui.widgets.progress import Progress, Pull, Step

_STEP_GLYPHS = {
    "waiting": ("·", "dim"),
    "busy": (paint.BUSY, "busy"),
    "gate": (paint.BUSY, "busy"),
    "ok": (paint.OK, "ok"),
    "failed": (paint.DOWN, "error"),
    "reverted": ("↩", "warn"),
}
_STEP_WORDS = {"busy": "working", "gate": "gate", "ok": "ok", "failed": "failed", "reverted": "reverted"}
_OUTCOMES: dict[Outcome, tuple[str, str, str]] = {
    Outcome.COMMITTED: (paint.OK, "committed", "ok"),
    Outcome.UNCHANGED: (paint.OK, "unchanged", "ok"),
    Outcome.REVERTED: (paint.WARN, "reverted", "warn"),
    Outcome.REVERT_FAILED: (paint.DOWN, "revert failed", "error"),
    Outcome.FAILED: (paint.DOWN, "failed", "error"),
    Outcome.REFUSED: (paint.DOWN, "refused", "error"),
    Outcome.UNKNOWN: (paint.STALE, "unknown", "stale"),
}
_LAYERS_SHOWN = 4


def outcome_span(outcome: Outcome) -> Span:
    """Glyph and word of an outcome."""
    glyph, word, role = _OUTCOMES[outcome]
    return (f"{glyph} {word}", role)


def headline(operation: Operation, now_boot_s: float, width: int) -> Line:
    """`… deploy sese/apps → r13   gate: n8n        12s`."""
    progress = operation.progress
    state: Span = outcome_span(progress.outcome) if progress.outcome else (f"… {progress.phase}", "busy")
    left: Line = (
        (f" {operation.kind} ", "dim"),
        (operation.stack, "strong"),
        (f" → {progress.release}   " if progress.release else "   ", "dim"),
        state,
    )
    return paint.spread(left, ((f"{duration(operation.elapsed_s(now_boot_s))} ", "strong"),), width)


def outcome_lines(operation: Operation) -> list[Line]:
    """What came of it, and the way back or on; empty while it runs."""
    progress = operation.progress
    if progress.outcome is None:
        host = operation.stack.partition("/")[0]
        if progress.on_host:
            return [((f" {host} does it by itself now: laptop and link may go", "dim"),)]
        return [((" nothing changed yet: the runner has not started", "dim"),)]
    rows: list[Line] = [((f" {progress.reason}", ""),)] if progress.reason else []
    rows += [(("   │ ", "track"), (row, "dim")) for row in progress.output.splitlines()[-6:]]
    if progress.outcome is Outcome.REVERT_FAILED:
        told = after_failed_revert(operation.stack, progress.release, progress.reason)
        return [*rows, *(((f" {paint.DOWN if not at else ' '} {text}", "error"),) for at, text in enumerate(told))]
    rows.append(_way_on(operation))
    if progress.failed is not None:
        whose = progress.failed[1] or operation.stack
        rows.append(((" l", "key"), (f" shows the log of {whose} at the moment it failed", "dim")))
    return rows


def _way_on(operation: Operation) -> Line:
    base = operation.plan.base if operation.plan else None
    match operation.progress.outcome:
        case Outcome.COMMITTED:
            way = f"rolls back to {base or 'what ran before'}"
            return ((" way back: ", "dim"), ("B", "key"), (f" {way}", "dim"))
        case Outcome.REVERTED:
            return (
                (f" {operation.stack} runs {base or 'what ran before'}, as before; ", "dim"),
                ("D", "key"),
                (" on its row plans again", "dim"),
            )
        case Outcome.UNKNOWN:
            return (
                (" the host goes on by itself; ", "dim"),
                ("w", "key"),
                (" on its row follows it when the link is back", "dim"),
            )
        case Outcome.UNCHANGED:
            return ((" it already ran exactly this", "dim"),)
    return ((" nothing was changed on the host", "dim"),) if not operation.progress.on_host else ()


def step_lines(progress: Progress, width: int) -> list[Line]:
    """Images with their layers, then one row per service."""
    rows: list[Line] = []
    if progress.pulls:
        rows.append(((" images", "head"),))
        for pull in progress.pulls.values():
            rows += _pull_lines(pull, width)
        rows.append(())
    if progress.services:
        rows.append(((" services", "head"),))
        longest = min(24, max(len(step.name) for step in progress.services.values()))
        rows += [_step_line(step, longest) for step in progress.services.values()]
    if progress.confirm_s is not None:
        rows += [(), ((f" ▲ waits {progress.confirm_s}s for a fresh connection, else it reverts", "warn"),)]
    return rows


def _pull_lines(pull: Pull, width: int) -> list[Line]:
    bar = max(8, min(24, width - 56))
    total = pull.total_bytes
    name = paint.fit(short_image(pull.image), max(16, min(34, width - bar - 28)))
    if pull.done:
        amount = paint.size(total) if total else "present"
        return [((f" {paint.OK} ", "ok"), (f"{name} ", ""), *paint.meter(100, bar, "ok"), (f" {amount}", "dim"))]
    amount = f"{paint.size(pull.have_bytes)}/{paint.size(total)}" if total else "…"
    rows: list[Line] = [
        (
            (f" {paint.BUSY} ", "busy"),
            (f"{name} ", ""),
            *paint.meter(pull.percent, bar, "busy"),
            (f" {amount}", "dim"),
            (f"  {len(pull.finished)}/{len(pull.layers)} layers", "dim"),
        )
    ]
    active = [(layer, have, of) for layer, (have, of) in pull.layers.items() if layer not in pull.finished]
    for layer, have, of in active[:_LAYERS_SHOWN]:
        share = 100 * have / of if of else None
        rows.append(
            (
                (f"     {paint.fit(layer[:12], len(name) - 2)} ", "dim"),
                *paint.meter(share, bar, "stale"),
                (f" {paint.size(have)}/{paint.size(of)}" if of else " waiting", "dim"),
            )
        )
    if len(active) > _LAYERS_SHOWN:
        rows.append(((f"     … {len(active) - _LAYERS_SHOWN} more", "dim"),))
    return rows


def short_image(image: str) -> str:
    """An image without its registry and digest."""
    name = image.partition("@sha256:")[0]
    head, slash, tail = name.partition("/")
    return tail if slash and ("." in head or ":" in head) else name


def _step_line(step: Step, longest: int) -> Line:
    glyph, role = _STEP_GLYPHS[step.state]
    word = _STEP_WORDS.get(step.state, "waiting")
    return (
        (f" {glyph} ", role),
        (paint.fit(step.name, longest + 1), "strong" if step.state in ("busy", "gate") else ""),
        (paint.fit(step.what, 9), "dim"),
        (paint.fit(word, 9), role),
        ("" if step.detail == word else step.detail, "error" if step.state == "failed" else "dim"),
    )


def journal_lines(progress: Progress) -> list[Line]:
    """The journal, oldest first."""
    return [((f" {at} ", "dim"), (text, role)) for at, text, role in progress.journal] or [((" no line yet", "dim"),)]
