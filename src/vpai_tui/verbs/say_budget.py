"""What is said of the budget. Text from hosts is cleaned already; money is dollars."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from vpai_tui.budget.change import Change
from vpai_tui.budget.model import BudgetSnapshot, Enforcement, Mode, Part, ProviderSpend, Spend
from vpai_tui.budget.places import zone_of
from vpai_tui.budget.prove import Proof, Question
from vpai_tui.clock import duration, rfc3339
from vpai_tui.fleet.model import Severity
from vpai_tui.verbs.say import document, table

_MARKS = {Severity.ERROR: "✖", Severity.WARN: "▲", Severity.INFO: "·"}
_ENFORCED = {
    Enforcement.ENFORCED: ("✔", "enforced"),
    Enforcement.DECLARED: ("▲", "declared only"),
    Enforcement.UNKNOWN: ("◌", "unknown"),
}
_MODES = {Mode.NORMAL: "normal", Mode.ECO: "eco: only free models", Mode.BLOCKED: "blocked: paid models are refused"}
_BARS = "▁▂▃▄▅▆▇█"
_METER = 30  # cells
_ROWS = 12  # models and keys that are listed for people; `--json` has all


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def budget_json(found: BudgetSnapshot) -> dict[str, Any]:
    """The `budget` document: what could not be learnt is null, with its reason in `notes`."""
    spend, beat_age_s = found.spend, found.beat_age_s
    return {
        "day": found.day.isoformat(),
        "timezone": found.timezone,
        "spend_usd": _money(spend.spend_usd if spend else None),
        "cap_usd": _money(found.cap_usd),
        "mode": found.mode,
        "enforcement": found.enforcement,
        "heartbeat_age_s": None if beat_age_s is None else round(beat_age_s, 1),
        "source": spend.total.source if spend else None,
        "age_s": _age(spend.total, found.at) if spend else None,
        "by_provider": [_provider(it) for it in spend.providers] if spend else None,
        "by_model": None
        if spend is None
        else [
            {
                "model": it.model,
                "spend_usd": _money(it.spend_usd),
                "requests": it.requests,
                "tokens": it.tokens,
                "priced": it.priced,
            }
            for it in spend.models
        ],
        "by_key": None
        if spend is None or spend.keys is None
        else [{"alias": it.alias, "spend_usd": _money(it.spend_usd)} for it in spend.keys],
        "hours": None
        if spend is None or spend.hours is None
        else [{"hour": it.hour, "spend_usd": _money(it.spend_usd)} for it in spend.hours],
        "days": None
        if spend is None or spend.days is None
        else [{"day": it.day.isoformat(), "spend_usd": _money(it.spend_usd)} for it in spend.days],
        "forecast": {
            "end_of_day_usd": _money(found.forecast.end_of_day_usd),
            "cap_reached_at": _time(found.forecast.cap_reached_at),
        },
        "notes": list(_notes(found)),
    }


def _provider(it: ProviderSpend) -> dict[str, Any]:
    return {
        "provider": it.provider,
        "billed_usd": _money(it.billed_usd),
        "vendor_usd": _money(it.vendor_usd),
        "share": None if it.share is None else round(it.share, 4),
        "target_share": it.target_share,
    }


def _money(amount: float | None) -> float | None:
    return None if amount is None else round(amount, 6)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


def _age(part: Part, now: datetime) -> float:
    return round(max(0.0, (now - part.at).total_seconds()), 1)


def _notes(found: BudgetSnapshot) -> Iterator[str]:
    if found.error:
        yield found.error
    yield from (note for note in found.notes if note != found.error)


# ── for people ───────────────────────────────────────────────────────────────────────────────────────────────────────


def budget(found: BudgetSnapshot, *, as_json: bool) -> None:
    """All of it."""
    if as_json:
        document(budget_json(found))
        return
    for line in _headlines(found):
        print(line)
    if found.spend is not None:
        _spend(found, found.spend)
    for alert in found.alerts:
        print(f"{_MARKS[alert.severity]} {alert.message}  → {alert.remedy}")
    if found.error:
        print(f"✖ {found.error}" + (f"  → {found.remedy}" if found.remedy else ""))
    for note in found.notes:
        if note != found.error:
            print(f"· {note}")


def _headlines(found: BudgetSnapshot) -> Iterator[str]:
    spend = found.spend
    spent = "not known" if spend is None else _usd(spend.spend_usd)
    cap = "no cap" if found.cap_usd is None else f"of {_usd(found.cap_usd)}"
    yield f"{found.service} on {found.day}: {spent} {cap} {_meter(found.used)}".rstrip()
    mark, word = _ENFORCED[found.enforcement]
    mode = "not known" if found.mode is None else _MODES[found.mode]
    by = "" if found.manual in (None, Mode.NORMAL) else ", set by hand"
    yield f"mode         {mode}{by}"
    yield f"cap          {'none' if found.cap_usd is None else _usd(found.cap_usd)} a day ({_cap_from(found)})"
    yield f"enforcement  {mark} {word}: {found.why}"
    yield f"forecast     {_forecast(found)}"
    left = duration((found.resets_at - found.at).total_seconds())
    yield f"day ends     in {left}, {_clock(found.resets_at, found)} ({found.timezone})"
    if spend is not None:
        yield f"source       {_source(spend.total, found.at)}" + (f", LiteLLM {found.version}" if found.version else "")


def _cap_from(found: BudgetSnapshot) -> str:
    names = {
        "redis": "set in Redis",
        "env": "ECO_DAILY_CAP of the container",
        "general_settings": "litellm_config.yaml",
        "litellm_settings": "LiteLLM's own",
        "none": "nothing sets one",
    }
    told = names.get(found.cap_source, found.cap_source)
    filed = found.configured_cap_usd
    if filed is not None and found.cap_usd is not None and abs(filed - found.cap_usd) > 0.004:
        told += f"; the file says {_usd(filed)}"
    return told


def _forecast(found: BudgetSnapshot) -> str:
    told = found.forecast
    if told.end_of_day_usd is None:
        return "not known"
    rate = "" if told.rate_usd_per_hour is None else f", {_usd(told.rate_usd_per_hour)} an hour now"
    when = told.cap_reached_at
    reached = "the cap is not reached today"
    if when is not None:
        reached = f"the cap is reached at {_clock(when, found)}"
    if found.cap_usd is None:
        return f"{_usd(told.end_of_day_usd)} at the end of the day{rate}"
    if found.used is not None and found.used >= 1:
        reached = "the cap is reached"
    return f"{_usd(told.end_of_day_usd)} at the end of the day{rate}; {reached}"


def _clock(moment: datetime, found: BudgetSnapshot) -> str:
    """In the budget's time zone."""
    return f"{moment.astimezone(zone_of(found.timezone) or UTC):%H:%M}"


def _source(part: Part, now: datetime) -> str:
    return f"{part.source}, {duration(_age(part, now))} old"


def _spend(found: BudgetSnapshot, spend: Spend) -> None:
    counts = [
        f"{value} {what}"
        for value, what in (
            (spend.requests, "requests"),
            (spend.failed, "failed"),
            (spend.tokens, "tokens"),
            (spend.cached_tokens, "of them from a cache"),
        )
        if value is not None
    ]
    if counts:
        print(f"calls        {', '.join(counts)}")
    if spend.hours:
        span = f"from {spend.hours[0].hour} to {spend.hours[-1].hour} h"
        print(f"hours        {_bars([it.spend_usd for it in spend.hours])}  {span}")
    if spend.days:
        days = "  ".join(f"{it.day:%d.%m.} {_usd(it.spend_usd)}" for it in spend.days)
        print(f"days         {_bars([it.spend_usd for it in spend.days])}  {days}")
    print()
    table(
        ("PROVIDER", "BILLED BY", "SHARE", "TARGET", "VENDOR"),
        [
            (it.provider, _usd(it.billed_usd), _percent(it.share), _percent(it.target_share), _usd(it.vendor_usd))
            for it in spend.providers
        ],
    )
    if spend.models:
        print()
        rows = [_model_row(found, spend, index) for index in range(min(_ROWS, len(spend.models)))]
        table(("MODEL", "SPEND", "REQUESTS", "TOKENS", "$ PER MILLION IN / OUT"), rows)
        _left(len(spend.models))
    if spend.keys:
        print()
        table(("KEY", "SPEND"), [(it.alias, _usd(it.spend_usd)) for it in spend.keys[:_ROWS]])
        _left(len(spend.keys))
    print()


def _model_row(found: BudgetSnapshot, spend: Spend, index: int) -> tuple[str, ...]:
    it = spend.models[index]
    floor = "≥ " if it.priced is False else ""
    given = it.input_usd_per_million, it.output_usd_per_million
    price = "no price: a floor" if it.priced is False else "free" if it.free else "–"
    if given[0] is not None and given[1] is not None and not it.free:
        price = f"{given[0]:g} / {given[1]:g}"
    return it.model, f"{floor}{_usd(it.spend_usd)}", str(it.requests), str(it.tokens), price


def _left(count: int) -> None:
    if count > _ROWS:
        print(f"… {count - _ROWS} more: --json")


def _usd(amount: float) -> str:
    """Cents; below one of them as many places as it takes to see something."""
    return f"${amount:.2f}" if amount == 0 or amount >= 0.01 else f"${amount:.4f}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"


def _meter(used: float | None) -> str:
    """`[######----] 67 %`, with the marks of 70 and 90 %."""
    if used is None:
        return ""
    filled = min(_METER, int(used * _METER))
    marks = {int(0.7 * _METER), int(0.9 * _METER)}
    cells = "".join("█" if at < filled else "┊" if at in marks else "·" for at in range(_METER))
    return f"[{cells}] {100 * used:.0f} %"


def _bars(amounts: Sequence[float]) -> str:
    most = max(amounts, default=0.0)
    if most <= 0:
        return _BARS[0] * len(amounts)
    return "".join(_BARS[min(7, int(8 * max(0.0, amount) / most))] for amount in amounts)


# ── the knobs ────────────────────────────────────────────────────────────────────────────────────────────────────────


def change_json(change: Change) -> dict[str, Any]:
    """The plan, as the first line of `budget set`, `eco` and `undo`."""
    return {
        "kind": change.kind,
        "title": change.title,
        "before": change.before,
        "after": change.after,
        "effects": list(change.effects),
        "where": list(change.where),
        "ends": change.ends,
        "warnings": list(change.warnings),
        "confirm": change.word,
        "undo": change.undo,
        "unchanged": change.empty,
    }


def change(planned: Change, *, as_json: bool) -> None:
    """What it will do, before anything is asked."""
    if as_json:
        print(json.dumps({"schema": 1, "event": "planned", **change_json(planned)}, ensure_ascii=False), flush=True)
        return
    print(f"{planned.title}: {planned.before} → {planned.after}")
    if planned.empty:
        print("  nothing to change: it is so already")
        return
    for sign, lines in ((" ", planned.effects), ("~", planned.where), ("▲", planned.warnings)):
        for line in lines:
            print(f"  {sign} {line}")
    print(f"    ends: {planned.ends}")
    print(f"    back: {planned.undo}")


def asked(found: Question, *, as_json: bool) -> None:
    if not as_json:
        print(f"a live call of one token: {found.why}")


def proof(found: Proof, *, as_json: bool, line: bool = False) -> None:
    """What a live call showed; `line`: as one of an operation's lines."""
    if as_json:
        body = {**asdict(found), "said": found.told}
        if line:
            print(json.dumps({"schema": 1, "event": "proved", **body}, ensure_ascii=False), flush=True)
        else:
            document(body)
        return
    mode = "" if found.mode is None else f"  (mode {found.mode})"
    print(f"{'✔' if found.good else '✖'} {found.told}{mode}")
