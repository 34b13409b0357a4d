"""All that is known of one row of the budget, and of the budget itself: what the describe pane shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vpai_tui.budget.model import BYTEPLUS, BudgetSnapshot, Mode, ModelSpend, Part
from vpai_tui.clock import duration
from vpai_tui.widgets import budget_words as words
from vpai_tui.widgets import paint
from vpai_tui.widgets.backend import Section
from vpai_tui.widgets.budget_banner import sayings
from vpai_tui.widgets.budget_look import BudgetLook
from vpai_tui.widgets.budget_rows import Piece, against
from vpai_tui.widgets.dialogs import wrap

if TYPE_CHECKING:
    from vpai_tui.deploy.chronicle import Told

_LABEL = 16
_NO_PRICE = (
    "no price: where the provider does not tell the cost itself, LiteLLM counts nothing, so its spend and the day's "
    "sum are a floor. Give the alias a price in litellm_config.yaml"
)
Pairs = list[tuple[str, str]]


def model_section(it: ModelSpend, found: BudgetSnapshot, room: int) -> Section:
    """One alias: money, traffic, price, and what eco mode does to it."""
    whole = found.spend.spend_usd if found.spend else 0.0
    part = words.share(it.spend_usd / whole if whole else None)
    rows: Pairs = [("spend", f"{words.usd(it.spend_usd)} today, {part} of all")]
    rows.append(("requests", f"{words.count(it.requests)}, {words.count(it.tokens)} tokens"))
    if it.requests and it.priced is not False:
        rows.append(("each", f"{_tiny(it.spend_usd / it.requests)} and {words.count(it.tokens / it.requests)} tokens"))
    prices = f"in {words.price(it.input_usd_per_million)}, out {words.price(it.output_usd_per_million)}"
    rows.append(("price", f"{prices} per million tokens"))
    if it.free:
        rows.append(("", f"{paint.OK} free: answers in eco mode too, costs nothing"))
    elif it.priced is False:
        rows.append(("", f"{paint.WARN} {_NO_PRICE}"))
    elif it.priced is None:
        rows.append(("", f"{paint.STALE} whether LiteLLM knows its price is not known"))
    if not it.free:
        answer = found.beat.free[0] if found.beat and found.beat.free else "the first free model"
        rows.append(("in eco mode", f"{answer} answers in its place"))
    return _section(it.model, rows, room)


def _tiny(value: float) -> str:
    return f"${value:.4f}" if 0 < value < 0.1 else words.usd(value)


def piece_section(it: Piece, view: str, room: int) -> Section:
    """One provider in one view."""
    if it.usd is None:
        return _section(it.name, [("", it.note)], room)
    what = "is on its bill" if view == "billed by" else "its own models cost, whoever bills them"
    rows: Pairs = [
        (view, f"{words.usd(it.usd)} {what}"),
        ("share", words.share(it.share)),
        ("plan", "–" if it.target is None else f"{words.share(it.target)}   {against(it)[0]}"),
    ]
    return _section(it.name, rows, room)


def key_section(alias: str, found: BudgetSnapshot, room: int) -> Section:
    known = found.spend.keys or () if found.spend else ()
    spent = next((it.spend_usd for it in known if it.alias == alias), None)
    whole = sum(it.spend_usd for it in known)
    told = (
        f"{words.usd(spent)} today, {words.share(spent / whole if whole and spent is not None else None)} of all keys"
    )
    return _section(alias or "–", [("spend", told)], room)


def change_section(it: Told, room: int) -> Section:
    """One change of the past."""
    known = "the host's record" if it.source == "host" else "this laptop's record"
    rows: Pairs = [("when", it.at), ("by", it.by), ("where", it.subject or it.host), ("change", it.detail),
                   ("result", it.result), ("known from", known)]  # fmt: skip
    return _section(it.what, [(name, value) for name, value in rows if value], room)


def budget_sections(look: BudgetLook, now_boot_s: float, room: int) -> list[Section]:
    """The budget itself: what to do, the cap and where it comes from, the mode and its proof, sources, notes."""
    found = look.snapshot
    if found is None:
        return []
    parts: list[Section] = []
    told = sayings(found)
    if told:
        rows: Pairs = [("", f"{glyph} {text}" + (f" → {remedy}" if remedy else "")) for glyph, _, text, remedy in told]
        parts.append(_section("what to know", rows, room))
    parts += [_cap(found, room), _mode(look, found, now_boot_s, room), _sources(look, found, now_boot_s, room)]
    parts.append(_section("outside this budget", [(words.OUTSIDE, f"{paint.STALE} {BYTEPLUS}")], room))
    notes = [("", note) for note in found.notes if note != BYTEPLUS]
    if notes:
        parts.append(_section("notes", notes, room))
    return parts


def _cap(found: BudgetSnapshot, room: int) -> Section:
    source = {
        "redis": "set by hand, in Redis",
        "env": "ECO_DAILY_CAP",
        "general_settings": "general_settings.max_budget",
        "litellm_settings": "litellm_settings.max_budget",
        "none": "none is set" if found.beat else "not known",
    }.get(found.cap_source, found.cap_source)
    rows: Pairs = [
        ("in force", f"{words.usd(found.cap_usd)} a day ({source})"),
        ("in Redis", words.usd(found.redis_cap_usd)),
        ("in the file", words.usd(found.configured_cap_usd)),
        ("file", found.file or "–"),
        ("day", f"{found.day:%a %d %B}, ends {words.reset(found)}"),
    ]
    if found.reached is not None:
        then = f"{words.usd(found.reached.spend_usd)} of {words.usd(found.reached.cap_usd)}"
        rows.append(("reached", f"at {words.at(found.reached.since, found.timezone)}, {then}"))
    return _section("cap", rows, room)


def _mode(look: BudgetLook, found: BudgetSnapshot, now_boot_s: float, room: int) -> Section:
    hand = {Mode.ECO: "eco", Mode.BLOCKED: "blocked", Mode.NORMAL: "nothing", None: "not known"}[found.manual]
    rows: Pairs = [
        ("acts now", found.mode.value if found.mode else "not known"),
        ("set by hand", hand),
        ("enforcement", f"{words.enforcement_spans(look, now_boot_s)[0][0]}"),
        ("", found.why),
    ]
    if found.beat is not None:
        beat = found.beat
        rows += [
            ("heartbeat", f"{duration(look.age_s(beat.seen_at, now_boot_s))} ago"),
            ("it counts", f"{words.usd(beat.spend_usd)}; the database {words.usd(beat.database_usd)}"),
            ("free models", ", ".join(beat.free) or "none"),
        ]
    rows.append(("LiteLLM", f"{found.version or 'version not known'}, {found.service} on {found.host}"))
    return _section("mode", [(name, value) for name, value in rows if value], room)


def _sources(look: BudgetLook, found: BudgetSnapshot, now_boot_s: float, room: int) -> Section:
    spend = found.spend

    def told(part: Part | None) -> str:
        if part is None:
            return "not known"
        return f"{part.source.told}, {duration(look.age_s(part, now_boot_s))} ago"

    rows: Pairs = [
        ("sum, tables", told(spend.total if spend else None)),
        ("hours", told(spend.hours_part if spend else None)),
        ("days", told(spend.days_part if spend else None)),
    ]
    return _section("where it was read", rows, room)


def _section(title: str, rows: Sequence[tuple[str, str]], room: int) -> Section:
    wide = max(20, room - _LABEL)
    return Section(title, tuple((name, "\n".join(wrap(value, wide))) for name, value in rows))
