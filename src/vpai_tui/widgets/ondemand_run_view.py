"""A start or a stop as lines: its steps, what came of it, and what to do next."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

from vpai_tui.clock import duration
from vpai_tui.fleet.operation import Outcome
from vpai_tui.widgets import paint
from vpai_tui.widgets.dialogs import wrap
from vpai_tui.widgets.operation_view import outcome_span, step_lines
from vpai_tui.widgets.operations import Operation
from vpai_tui.widgets.paint import Line, Span

_SAID = 12  # lines of the failing service
_WORDS = {"start": "started", "stop": "stopped"}


def run_headline(operation: Operation, now_boot_s: float, width: int) -> Line:
    """`start pi/opencut   … gate: opencut   2 of 4        12s`."""
    progress = operation.progress
    done = sum(1 for step in progress.services.values() if step.state == "ok")
    if progress.outcome is None:
        known = operation.plan is not None and progress.services  # a stop tells its steps as it takes them
        count = f"   {done} of {len(progress.services)}" if known else ""
        state: Span = (f"{paint.BUSY} {_phase(progress.phase)}{count}", "busy")
    elif progress.outcome is Outcome.COMMITTED:
        state = (f"{paint.OK} {_WORDS.get(operation.kind, 'done')}", "ok")
    else:
        state = outcome_span(progress.outcome)
    left: Line = ((f" {operation.kind} ", "dim"), (f"{operation.stack}   ", "strong"), state)
    return paint.spread(left, ((f"{duration(operation.elapsed_s(now_boot_s))} ", "strong"),), width)


def _phase(phase: str) -> str:
    """The runner's words for what is under way, in those of a start or a stop."""
    for word, said in (("gate: ", "waiting for the health of "), ("up ", "starting "), ("rm ", "stopping ")):
        if phase.startswith(word):
            return said + phase.removeprefix(word)
    return phase


def run_lines(operation: Operation, width: int) -> list[Line]:
    """The steps, in the words of what is done."""
    shown = copy(operation.progress)
    shown.services = {
        name: replace(step, what=operation.kind, detail="stopped" if step.detail == "removed" else step.detail)
        for name, step in operation.progress.services.items()
    }
    return step_lines(shown, width) or [((" … the host is asked", "busy"),)]


def run_outcome(operation: Operation, width: int, url: str | None) -> list[Line]:
    """What came of it, and what to expect or to do next."""
    progress = operation.progress
    if progress.outcome is None:
        host = operation.stack.partition("/")[0]
        goes_on = f"{host} does it by itself now: laptop and link may go"
        return [((f" {goes_on if progress.on_host else 'nothing was changed yet'}", "dim"),)]
    good = progress.outcome in (Outcome.COMMITTED, Outcome.UNCHANGED)
    rows: list[Line] = [
        ((f" {piece}", "" if good else "error"),) for piece in wrap(progress.reason, max(20, width - 2)) if piece
    ]
    rows += [(("   │ ", "track"), (row, "dim")) for row in progress.output.splitlines()[-_SAID:]]
    if operation.kind == "start" and good and url:
        rows.append(((" ", ""), (url, "accent"), ("   copied to the clipboard", "dim")))
    return [*rows, _next(operation)]


def _next(operation: Operation) -> Line:
    match operation.kind, operation.progress.outcome:
        case "start", Outcome.COMMITTED | Outcome.UNCHANGED:
            return ((" way back: ", "dim"), ("S", "key"), (" on the studio stops it", "dim"))
        case "start", Outcome.REVERTED:
            return ((" nothing of it is left up: what this start had brought was taken down again", "dim"),)
        case "start", Outcome.REVERT_FAILED:
            return ((" not all of it could be taken down: ", "error"), ("S", "key"), (" stops the rest", "dim"))
        case "stop", Outcome.COMMITTED | Outcome.UNCHANGED:
            return ((" its data stays; way back: ", "dim"), ("U", "key"), (" on the studio starts it", "dim"))
        case "stop", Outcome.FAILED:
            return ((" some of it is still there: ", "error"), ("S", "key"), (" tries again", "dim"))
        case _, Outcome.UNKNOWN:
            return ((" the host goes on by itself; the studio shows how it ends", "dim"),)
        case _, Outcome.REFUSED:
            return ((" nothing was changed", "dim"),)
    return ()
