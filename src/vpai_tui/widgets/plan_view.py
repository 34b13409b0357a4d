"""A plan as rows and lines: which service, what happens to it, why, for how long, and the exact difference."""

from __future__ import annotations

import difflib

from vpai_tui.clock import duration
from vpai_tui.fleet.operation import Cause, Change, Effect, Plan
from vpai_tui.widgets import paint
from vpai_tui.widgets.dialogs import wrap
from vpai_tui.widgets.paint import Line
from vpai_tui.widgets.safe_table import Column, Row

PLAN_COLUMNS = (
    Column("service", "service", 18),
    Column("effect", "effect", 11),
    Column("down", "down", 6, right=True, drop=1),
    Column("cause", "cause", least=20),
)
_EFFECT_ROLES = {
    Effect.CREATE: "ok",
    Effect.RECREATE: "warn",
    Effect.RESTART: "warn",
    Effect.RELOAD: "accent",
    Effect.REMOVE: "error",
    Effect.NONE: "dim",
}


def plan_rows(plan: Plan) -> list[Row]:
    """A tree: each service, and below it one row per further cause."""
    rows: list[Row] = []
    for change in plan.changes:
        causes = change.causes or (Cause("state", "nothing to change"),)
        rows.append(_change_row(change, causes[0]))
        rows += [_cause_row(change, at, cause, last=at == len(causes) - 1) for at, cause in enumerate(causes) if at]
    return rows


def _change_row(change: Change, cause: Cause) -> Row:
    role = _EFFECT_ROLES[change.effect]
    quiet = change.effect is Effect.NONE
    data = " ●data" if change.has_data else ""
    return Row(
        change.service,
        {
            "service": (change.service + data, "dim" if quiet else "strong"),
            "effect": (f"{paint.effect_glyph(change.effect.value)} {change.effect.value}", role),
            "down": (_down(change), "dim"),
            "cause": (_cause_text(cause), "error" if cause.danger else "dim" if quiet else ""),
        },
    )


def _down(change: Change) -> str:
    if change.effect is Effect.NONE:
        return ""
    return "–" if change.interruption_s is None else f"~{duration(change.interruption_s)}"


def _cause_row(change: Change, at: int, cause: Cause, *, last: bool) -> Row:
    return Row(
        f"{change.service}#{at}",
        {
            "service": (f" {'└' if last else '├'}", "dim"),
            "cause": (_cause_text(cause), "error" if cause.danger else ""),
        },
    )


def _cause_text(cause: Cause) -> str:
    return f"{cause.kind}: {cause.detail}" if cause.kind != "state" else cause.detail


def change_lines(plan: Plan, key: str | None) -> list[Line]:
    """The difference behind the row `key` of `plan_rows`, then what holds for the whole plan."""
    service, _, number = (key or "").partition("#")
    change = next((item for item in plan.changes if item.service == service), None)
    rows: list[Line] = []
    if change is not None:
        causes = change.causes[int(number) : int(number) + 1] if number else change.causes
        rows += _image_lines(change)
        for cause in causes:
            rows += _cause_lines(cause)
    return rows + note_lines(plan)


def _image_lines(change: Change) -> list[Line]:
    if not change.image or change.image == change.image_before:
        return [((" image ", "dim"), (change.image, ""))] if change.image else []
    rows: list[Line] = [((f" - {change.image_before}", "del"),)] if change.image_before else []
    return [*rows, ((f" + {change.image}", "add"),)]


def _cause_lines(cause: Cause) -> list[Line]:
    rows: list[Line] = [((f" {cause.kind} ", "head"), (cause.detail, "error" if cause.danger else "dim"))]
    if cause.before or cause.after:
        rows += diff_lines(cause.before, cause.after)
    return rows


def diff_lines(before: str, after: str) -> list[Line]:
    """A unified diff in colour; signs carry it without colour."""
    found = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)
    return [_diff_line(row) for row in list(found)[2:]]


def _diff_line(row: str) -> Line:
    if row.startswith("@@"):
        return ((f" {row}", "accent"),)
    role = {"+": "add", "-": "del"}.get(row[:1], "dim")
    return ((f" {row[:1]} {row[1:]}", role),)


def note_lines(plan: Plan) -> list[Line]:
    """Commands, dumps, what is recorded first, files that are installed, kept live values, notes."""
    rows: list[Line] = [*command_lines(plan), *dump_lines(plan)]
    if plan.adopts:
        rows.append(((" adopts ", "head"), ("what runs now is recorded as r0 first: the way back", "")))
    if plan.installs:
        count = len(plan.installs)
        rows.append(
            ((" installs ", "head"), (f"{count} file{'s' if count > 1 else ''}: {', '.join(plan.installs)}", ""))
        )
    rows += [((" kept ", "head"), (item, ""), ("  as edited on the host", "dim")) for item in plan.kept]
    rows += [((" note ", "head"), (item, "")) for item in plan.notes]
    return [(), *rows] if rows else rows


def command_lines(plan: Plan) -> list[Line]:
    """What runs before and after the services are touched, and where."""
    return [
        (
            (f" {when} ", "head"),
            (f"{item.where}: ", "dim"),
            (item.run, "dim" if item.skipped else ""),
            ("  skipped: it has none yet" if item.skipped else "", "dim"),
        )
        for when, found in (("before", plan.before), ("after", plan.after))
        for item in found
    ]


def dump_lines(plan: Plan) -> list[Line]:
    """The newest dump of each service that holds data."""
    return [
        (
            (f" {paint.WARN if item.problem else ' '} data ", "warn" if item.problem else "head"),
            (f"{item.service}: ", "strong"),
            (item.told, "warn" if item.problem else ""),
        )
        for item in plan.dumps
    ]


def plan_head(plan: Plan, width: int) -> list[Line]:
    """The title, and below it what must not be overlooked: a hold, and the dangers of the whole plan."""
    told = [(f" {paint.OFF} held by ", plan.hold.told.removeprefix("by "), "warn")] if plan.hold else []
    told += [(f" {paint.DOWN} {item.kind}: ", item.detail, "error") for item in plan.dangers]
    rows = [plan_title(plan)]
    for label, text, role in told:
        for at, piece in enumerate(wrap(text, max(20, width - len(label) - 1))):
            rows.append(((" " * len(label) if at else label, role), (piece, role)))
    return rows


def plan_title(plan: Plan) -> Line:
    """`deploy sese/apps  r12 → r13  2 recreate`."""
    target = f"back to {plan.rollback_to}" if plan.rollback_to else plan.release
    return (
        (f" {plan.kind} ", "dim"),
        (plan.stack, "strong"),
        (f"   {plan.base or 'nothing'} → {target}   ", "dim"),
        (plan.summary, "dim" if plan.empty else "warn"),
    )


def interruption(plan: Plan) -> str:
    """The longest expected interruption, as words."""
    known = [c.interruption_s for c in plan.changes if c.effect is not Effect.NONE and c.interruption_s is not None]
    return f"about {duration(max(known))}" if known and max(known) > 0 else "none expected"
