"""The tables of the budget: models, providers in two views, keys, changes; one row each, and how they are sorted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vpai_tui.budget.model import BYTEPLUS, TARGETS, BudgetSnapshot, ModelSpend, ProviderSpend, Spend
from vpai_tui.widgets import budget_words as words
from vpai_tui.widgets import paint
from vpai_tui.widgets.history_rows import result
from vpai_tui.widgets.paint import Span
from vpai_tui.widgets.safe_table import Column, Row, widest

if TYPE_CHECKING:
    from vpai_tui.deploy.chronicle import Told

PARTS = ("models", "billed by", "vendor", "keys", "changes")
SORTS: Mapping[str, tuple[str, ...]] = {
    "models": ("spend", "model", "requests", "tokens"),
    "billed by": ("plan", "spend"),
    "vendor": ("plan", "spend"),
    "keys": ("spend", "key"),
    "changes": ("at",),
}
_UNASSIGNED = "nobody's"
_BAR = 22


def columns_of(part: str, rows: Sequence[Row]) -> tuple[Column, ...]:
    """Columns of a part, wide enough for these rows; the name and the money never leave."""
    name = max(12, min(30, widest(rows, "name")))
    match part:
        case "models":
            return (
                Column("name", "model", name),
                Column("spend", "spend", 8, right=True),
                Column("requests", "req", 6, drop=3, right=True),
                Column("tokens", "tokens", 7, drop=2, right=True),
                Column("in", "in $/M", 7, drop=5, right=True),
                Column("out", "out $/M", 7, drop=4, right=True),
                Column("note", "", least=11, drop=1),
            )
        case "billed by" | "vendor":
            return (
                Column("name", "provider", name),
                Column("spend", "billed" if part == "billed by" else "vendor", 8, right=True),
                Column("share", "share", 6, right=True),
                Column("target", "plan", 5, drop=2, right=True),
                Column("bar", "", _BAR, drop=3),
                Column("note", "", least=16, drop=1),
            )
        case "keys":
            return (
                Column("name", "key", name),
                Column("spend", "spend", 8, right=True),
                Column("share", "share", 6, drop=1, right=True),
                Column("bar", "", _BAR, drop=2),
            )
    return (
        Column("at", "when, UTC", 16),
        Column("by", "by", max(4, min(18, widest(rows, "by"))), drop=2),
        Column("what", "what", max(6, min(12, widest(rows, "what")))),
        Column("result", "result", max(8, min(15, widest(rows, "result")))),
        Column("detail", "change", least=8),
    )


def holds(needle: str, *texts: str) -> bool:
    """Whether every word of `needle` is in one of these."""
    text = " ".join(texts).lower()
    return all(word in text for word in needle.lower().split())


# -- models ---------------------------------------------------------------------------------------------------------


def pick_models(found: BudgetSnapshot, needle: str, order: str) -> list[ModelSpend]:
    """What was used today, and below it the aliases that were not, as far as the configuration tells them."""
    if found.spend is None:
        return []
    used = found.spend.models
    names = {it.model for it in used}
    free = found.beat.free if found.beat else ()
    idle = [
        ModelSpend(
            name,
            0.0,
            0,
            0,
            it.known or (None if found.error else False),
            name in free or it.free,
            it.input_usd_per_million,
            it.output_usd_per_million,
        )
        for name, it in sorted(found.prices.items())
        if name not in names
    ]
    keys: dict[str, Callable[[ModelSpend], tuple[float, str]]] = {
        "spend": lambda it: (-it.spend_usd, "" if it.requests else it.model),
        "model": lambda it: (0, it.model),
        "requests": lambda it: (-it.requests, it.model),
        "tokens": lambda it: (-it.tokens, it.model),
    }
    rows = sorted([*used, *idle], key=keys.get(order, keys["spend"]))
    return [it for it in rows if holds(needle, it.model, "free" if it.free else "", _badge(it)[0])]


def model_row(it: ModelSpend, *, stale: bool) -> Row:
    quiet = "" if it.requests or it.spend_usd else "dim"
    return Row(
        it.model,
        {
            "name": (it.model, quiet or "name"),
            "spend": (_spent(it), quiet),
            "requests": (words.count(it.requests), quiet),
            "tokens": (words.count(it.tokens), quiet),
            "in": (words.price(it.input_usd_per_million), "dim"),
            "out": (words.price(it.output_usd_per_million), "dim"),
            "note": _badge(it),
        },
        dim=stale,
    )


def _spent(it: ModelSpend) -> str:
    """At least so much, where LiteLLM knows no price."""
    if not it.requests and not it.spend_usd:
        return "–"
    return f"≥{words.usd(it.spend_usd)}" if it.priced is False and not it.free else words.usd(it.spend_usd)


def _badge(it: ModelSpend) -> Span:
    """What must be known of its money: free, or no price, so that what it spent is a floor."""
    if it.free:
        return (f"{paint.OK} free", "ok")
    if it.priced is False:
        return (f"{paint.WARN} no price", "warn")
    return (f"{paint.STALE} price unknown", "stale") if it.priced is None else ("", "")


# -- providers ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Piece:
    """One provider in one view: its money and its share of that view's whole."""

    name: str
    usd: float | None
    share: float | None
    target: float | None
    note: str = ""


def pieces(spend: Spend | None, view: str) -> list[Piece]:
    """Each provider in the plan's order, then the others, what is nobody's, and what cannot be known."""
    found = list(spend.providers) if spend else []

    def money(it: ProviderSpend) -> float:
        return it.billed_usd if view == "billed by" else it.vendor_usd

    whole = sum(money(it) for it in found)
    order = list(TARGETS)
    found.sort(key=lambda it: (order.index(it.provider) if it.provider in order else len(order), -money(it)))
    rows = [Piece(it.provider, money(it), money(it) / whole if whole else None, it.target_share) for it in found]
    rest = 1 - sum(TARGETS.values())
    return [
        *rows,
        Piece(_UNASSIGNED, None, None, rest, "the plan gives it to nobody"),
        Piece(words.OUTSIDE, None, None, None, f"{paint.STALE} {BYTEPLUS}"),
    ]


def pick_pieces(spend: Spend | None, view: str, needle: str, order: str) -> list[Piece]:
    rows = pieces(spend, view)
    if order == "spend":
        rows.sort(key=lambda it: -1.0 if it.usd is None else it.usd, reverse=True)
    return [it for it in rows if holds(needle, it.name, it.note)]


def piece_row(it: Piece, *, stale: bool) -> Row:
    blank = it.usd is None
    return Row(
        it.name,
        {
            "name": (it.name, "dim" if blank else "name"),
            "spend": ("◌ ?" if it.note.startswith(paint.STALE) else "" if blank else words.usd(it.usd), "stale"
                      if blank else ""),
            "share": ("" if blank else words.share(it.share), ""),
            "target": ("" if it.target is None else words.share(it.target), "dim"),
            "bar": ("" if blank else share_bar(it.share, it.target, _BAR), "accent"),
            "note": (it.note, "stale" if blank else "") if it.note else against(it),
        },
        dim=stale,
    )  # fmt: skip


def against(it: Piece) -> Span:
    """How far a share is from the plan, in points."""
    if it.share is None:
        return ("", "")
    if it.target is None:
        return ("not in the plan", "dim")
    points = round(100 * (it.share - it.target))
    return ("as planned", "dim") if abs(points) <= 2 else (f"{points:+d} points".replace("-", "−"), "")


def share_bar(share: float | None, target: float | None, width: int) -> str:
    """A bar of 0 to 100 % with a tick where the plan is."""
    filled = 0 if share is None else min(width, round(width * share))
    cells = ["━"] * filled + ["─"] * (width - filled)
    if target:
        at = max(0, min(width - 1, round(width * target) - 1))
        cells[at] = "┿" if at < filled else "┼"
    return "".join(cells)


# -- keys -----------------------------------------------------------------------------------------------------------


def key_rows(found: BudgetSnapshot, needle: str, order: str, *, stale: bool) -> list[Row]:
    """Keys by their alias; a key without one is named as LiteLLM names it."""
    known = (found.spend.keys or ()) if found.spend else ()
    whole = sum(it.spend_usd for it in known)
    rows = sorted(known, key=(lambda it: (0, it.alias)) if order == "key" else (lambda it: (-it.spend_usd, it.alias)))
    return [
        Row(
            it.alias,
            {
                "name": (it.alias or "–", "name"),
                "spend": (words.usd(it.spend_usd), ""),
                "share": (words.share(it.spend_usd / whole if whole else None), ""),
                "bar": (share_bar(it.spend_usd / whole if whole else None, None, _BAR), "accent"),
            },
            dim=stale,
        )
        for it in rows
        if holds(needle, it.alias)
    ]


# -- changes --------------------------------------------------------------------------------------------------------


def change_rows(lines: Sequence[Told], needle: str) -> list[Row]:
    """Changes of cap and mode, the newest first; keys are their places."""
    return [
        Row(
            str(at),
            {
                "at": (it.at[:16].replace("T", " ") or "–", "dim"),
                "by": (it.by, ""),
                "what": (it.what.removeprefix("budget "), "strong"),
                "result": result(it),
                "detail": (it.detail, ""),
            },
        )
        for at, it in enumerate(lines)
        if holds(needle, it.by, it.what, it.result, it.detail)
    ]


def budget_changes(lines: Sequence[Told]) -> list[Told]:
    """Those of a history that are about the budget, the newest first."""
    return [it for it in reversed(lines) if it.what.partition(" ")[0] == "budget"]
