"""What is said of plans, running operations and releases. Text from hosts is cleaned already."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from vpai_tui.clock import duration
from vpai_tui.fleet.operation import (
    BuildLine,
    Cause,
    Command,
    Effect,
    Event,
    Finished,
    HookFailed,
    Journaled,
    LayerPulled,
    Outcome,
    Plan,
    Release,
    StepFailed,
)
from vpai_tui.verbs.say import document, table

_EFFECTS = {
    Effect.CREATE: "+",
    Effect.RECREATE: "~",
    Effect.RESTART: "↻",
    Effect.RELOAD: "↺",
    Effect.REMOVE: "-",
    Effect.NONE: " ",
}


def plan_json(plan: Plan) -> dict[str, Any]:
    """One plan, as the `plan` document has it."""
    return {
        "stack": plan.stack,
        "base": plan.base,
        "release": plan.release,
        "changes": [
            {
                "service": it.service,
                "effect": it.effect,
                "causes": [{"kind": cause.kind, "detail": cause.detail} for cause in it.causes],
            }
            for it in plan.changes
        ],
        "installs": list(plan.installs),
        "kept": list(plan.kept),
        "notes": list(plan.notes),
        "hold": plan.hold._asdict() if plan.hold else None,
        **{
            when: [
                {"run": it.run, "service": it.service, "container": it.container, "timeout_s": it.timeout_s}
                for it in hooks
            ]
            for when, hooks in (("before", plan.before), ("after", plan.after))
        },
        "dumps": [
            {
                "service": it.service,
                "path": it.path,
                "age_s": it.age_s,
                "size_bytes": it.size_bytes,
                "problem": it.problem or None,
            }
            for it in plan.dumps
        ],
        "dangers": [{"kind": cause.kind, "detail": cause.detail} for cause in plan.dangers],
        "summary": plan.summary,
    }


def plans(found: Sequence[Plan], *, as_json: bool) -> None:
    """One plan is one document; several are `{plans: […]}`."""
    if as_json:
        document(plan_json(found[0]) if len(found) == 1 else {"plans": [plan_json(plan) for plan in found]})
        return
    for plan in found:
        _plan(plan)


def _plan(plan: Plan) -> None:
    way = f"roll back to {plan.rollback_to}" if plan.rollback_to else "deploy"
    print(f"{plan.stack}: {way}, {plan.summary}   (base {plan.base or 'none'})")
    if plan.hold:
        print(f"  ■ deploys there are held {plan.hold.told}")
    for danger in plan.dangers:
        print(f"  ✖ {danger.kind}: {danger.detail}")
    _commands("before", plan.before)
    for change in plan.changes:
        if change.effect is Effect.NONE:
            continue
        pause = f"  up to {duration(change.interruption_s)} away" if change.interruption_s else ""
        print(f"  {_EFFECTS[change.effect]} {change.service:<16} {change.effect}{pause}")
        for cause in change.causes:
            print(f"      {cause.kind}: {cause.detail}")
            _diff(cause)
    _commands("after", plan.after)
    _surroundings(plan)


def _surroundings(plan: Plan) -> None:
    """What a plan says besides its services: dumps, files, live values, notes."""
    for dump in plan.dumps:
        print(f"  {'▲' if dump.problem else '·'} {dump.service}: {dump.told}")
    for path in plan.installs:
        print(f"  » {path}")
    for kept in plan.kept:
        print(f"  = {kept} kept as it is on the host")
    if plan.adopts:
        print("  · what runs now is recorded as r0 first: the way back")
    for note in plan.notes:
        print(f"  ! {note}")


def _commands(when: str, found: Sequence[Command]) -> None:
    for it in found:
        skipped = "  (skipped: it has none yet)" if it.skipped else ""
        print(f"  $ {when}, {it.where}, within {duration(it.timeout_s)}: {it.run}{skipped}")


def _diff(cause: Cause) -> None:
    if not cause.before or not cause.after:
        return
    import difflib

    for line in list(difflib.unified_diff(cause.before.splitlines(), cause.after.splitlines(), lineterm="", n=1))[2:]:
        if not line.startswith("@@"):
            print(f"        {line}")


class EventPrinter:
    """An operation's events: one JSON line each, or lines for people (of layers only every image's end)."""

    def __init__(self, *, as_json: bool) -> None:
        self._json = as_json

    def planned(self, plan: Plan) -> None:
        """The plan, ahead of its events (people have read it already)."""
        if self._json:
            self._line({"event": "planned", **plan_json(plan)})

    def event(self, event: Event) -> None:
        if self._json:
            self._line(event.to_json())
        elif not isinstance(event, LayerPulled | BuildLine):
            self._told(event)

    def _line(self, body: dict[str, Any]) -> None:
        print(json.dumps({"schema": 1, **body}, ensure_ascii=False), flush=True)

    def _told(self, event: Event) -> None:
        facts = {
            key: value
            for key, value in event.to_json().items()
            if key not in ("event", "at", "output", "code") and value
        }
        words = " ".join(str(value) for value in facts.values())
        good = not isinstance(event, StepFailed | HookFailed)
        mark = "✔" if good else "✖"
        if isinstance(event, Finished):
            mark = "✔" if event.outcome in (Outcome.COMMITTED, Outcome.UNCHANGED) else "✖"
            words = f"{event.outcome.value} {event.release}" + (f": {event.reason}" if event.reason else "")
        what = (
            "" if isinstance(event, Journaled) else event.name.replace("_", " ") + " "
        )  # a journal line says it itself
        print(f"{event.at[11:19]} {mark} {what}{words}".rstrip(), flush=True)
        for line in getattr(event, "output", "").splitlines():
            print(f"           {line}", flush=True)


def releases(stack: str, found: Sequence[Release], *, as_json: bool) -> None:
    """Newest first; ● can be gone back to, ◐ its bits, while the data is newer, ○ not (with the reason)."""
    if as_json:
        current = next((item.id for item in found if item.current), None)
        rows = [_release_json(item) for item in found]
        document({"stack": stack, "current": current, "releases": rows})
        return
    lines = [
        (_mark(it), it.id, it.at, it.by, _commit(it), it.outcome, it.reason or ("" if it.current else it.data_told))
        for it in found
    ]
    table(("", "RELEASE", "AT", "BY", "COMMIT", "OUTCOME", ""), lines)


def _mark(item: Release) -> str:
    if item.current:
        return "▶"
    return ("◐" if item.data_newer else "●") if item.restorable else "○"


def _commit(item: Release) -> str:
    """`1f0c3a2`, `1f0c3a2 dirty`, `–`."""
    return f"{item.commit[:7]}{' dirty' if item.dirty else ''}" if item.commit else "–"


def _release_json(item: Release) -> dict[str, Any]:
    keys = ("id", "at", "by", "outcome", "restorable", "reason", "rollback_of")
    made = {
        "commit": item.commit or None,
        "dirty": item.dirty if item.commit else None,
        "checkout": item.checkout or None,
    }
    data = {"data_newer": item.data_newer, "dumps": dict(item.dumps)}
    return {key: getattr(item, key) for key in keys} | made | data | {"images": dict(item.images)}
