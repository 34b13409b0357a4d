"""Questions of the studio: what a start or a stop will do, before it does."""

from __future__ import annotations

from vpai_tui.fleet.operation import Effect
from vpai_tui.ondemand.fold import idle_words
from vpai_tui.ondemand.model import OnDemandSnapshot, Start, Stop
from vpai_tui.widgets import paint
from vpai_tui.widgets.dialogs import named, wrap
from vpai_tui.widgets.ondemand_rows import queue_words
from vpai_tui.widgets.paint import Line

_WIDE = 50  # cells beside a label
_HOLDERS = 4


def start_lines(planned: Start) -> list[Line]:
    """What is started, the memory for it, who else holds some, the way back."""
    plan, room = planned.plan, planned.room
    names = [it.service for it in plan.changes if it.effect is not Effect.NONE]
    rows: list[Line] = [((row, "error"),) for danger in plan.dangers for row in wrap(danger.detail)]
    rows.append(named("stack", planned.stack.id))
    rows += _wrapped("starts", ", ".join(names))
    rows.append(named("release", plan.base or "none yet: this is its first deploy"))
    if room.available_bytes is None:
        rows.append(named("memory", f"at most {paint.size(room.wanted_bytes)}; what is left there is not known"))
    else:
        rows.append(
            named("memory", f"at most {paint.size(room.wanted_bytes)} of {paint.size(room.available_bytes)} left")
        )
    for at, (name, held) in enumerate(room.holders[:_HOLDERS]):
        rows.append(named("beside it" if not at else "", name, paint.size(held)))
    if len(room.holders) > _HOLDERS:
        rows.append(named("", f"… {len(room.holders) - _HOLDERS} more"))
    if planned.stack.url:
        rows.append(named("then", planned.stack.url))
    rows.append(named("way back", "S stops it; its data stays"))
    return rows + [((piece, "warn"),) for note in planned.notes for piece in wrap(note)]


def stop_lines(planned: Stop) -> list[Line]:
    """What is ended, what becomes free, and what renders meanwhile."""
    rows: list[Line] = [named("stack", planned.stack.id)]
    rows += _wrapped("stops", ", ".join(planned.running))
    rows.append(named("frees", paint.size(planned.frees_bytes) if planned.frees_bytes is not None else "not known"))
    rows.append(named("data", "stays: no volume is touched"))
    rows.append(named("way back", "U starts it again"))
    for it in planned.renders:
        told = f"{paint.WARN} {it.service} renders: {queue_words(it.queue) if it.queue else ''}"
        rows += [((piece, "warn"),) for piece in wrap(told)]
    for told in planned.unknown:
        name, _, why = told.partition(":")
        rows += [((piece, "warn"),) for piece in wrap(f"{paint.STALE} whether {name} renders is not known:{why}")]
    return rows


def idle_lines(found: OnDemandSnapshot) -> list[Line]:
    """How the idle stop stands now, and what another one would do."""
    what, more = idle_words(found.idle)
    rows: list[Line] = [named("stack", found.stack.id), *_wrapped("now", f"{what}{f' ({more})' if more else ''}")]
    rows += _wrapped("watches", f"the network bytes of {', '.join(found.stack.front)}, on {found.stack.host} itself")
    rows += _wrapped("ends", "when the stack is stopped; a reboot ends it too, and then it is shown as gone")
    return rows


def _wrapped(label: str, text: str) -> list[Line]:
    return [named(label if not at else "", piece) for at, piece in enumerate(wrap(text, _WIDE))]
