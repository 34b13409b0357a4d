"""What of the budget fails in silence: hidden spend, a cap that is not the one believed, a mode that nothing holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from vpai_tui.budget import activity
from vpai_tui.budget.figures import mapping as as_mapping
from vpai_tui.budget.figures import money, rows
from vpai_tui.budget.findings import Findings, gather
from vpai_tui.budget.fold import fold
from vpai_tui.budget.model import BudgetSnapshot, Enforcement, Mode
from vpai_tui.budget.reading import Ground, Reader
from vpai_tui.budget.settings import settings_of
from vpai_tui.budget.transport import Answer
from vpai_tui.clock import Clock
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.fleet.stacks import Stack

SPEND, CAP, ECO = "health-check-spend", "effective-cap", "eco-acts"
CHECKS = (SPEND, CAP, ECO)
_INTERNAL = re.compile(r"(?i)^litellm[-_]internal|health[-_ ]?check")
_LOOK_BACK_S = 300.0  # of calls while eco mode acts
_FILE = "litellm_config.yaml"
_NATIVE = "litellm_settings"  # where LiteLLM itself looks for a cap


class BudgetChecks:
    """Made cheap: nothing is asked before the first look."""

    def __init__(self, reader: Reader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock
        self.host = reader.host

    async def ask(self) -> list[Finding]:
        """All three checks from one look.

        Raises:
            OperatorError: the host cannot be reached, or its Docker not be asked.
        """
        reader = self._reader
        ground = await reader.ground()
        found = await gather(ground.inside, ground.places, lambda: reader.settings(ground), self._clock.now)
        snapshot = fold(found)
        laptop = laptop_cap(reader.stack, snapshot.file)
        recent = await self._recent(ground, snapshot) if snapshot.mode in (Mode.ECO, Mode.BLOCKED) else None
        return [
            *internal_spend(snapshot, keys_of(found, snapshot)),
            cap_in_force(snapshot, laptop),
            acts(snapshot, recent),
        ]

    async def _recent(self, ground: Ground, snapshot: BudgetSnapshot) -> Answer | None:
        """LiteLLM's rows of the last minutes; None where it is not there to be asked."""
        begin = snapshot.at - timedelta(seconds=_LOOK_BACK_S)
        try:
            return (await ground.inside.litellm([activity.log_page(begin, 1)]))[0]
        except OperatorError:
            return None


# ── hidden spend ─────────────────────────────────────────────────────────────────────────────────────────────────────


def keys_of(found: Findings, snapshot: BudgetSnapshot) -> Mapping[str, float] | None:
    """Dollars by key of today, and of the day before where the callback counted it; None where nobody knows."""
    keys: dict[str, float] = {}
    if snapshot.spend is not None and snapshot.spend.keys is not None:
        keys = {it.alias: it.spend_usd for it in snapshot.spend.keys}
    elif not (found.counters and found.counters.days):
        return None
    before = found.counters.days.get(snapshot.day - timedelta(days=1)) if found.counters else None
    for alias, spent in ((before.keys if before else None) or {}).items():
        keys[alias] = keys.get(alias, 0.0) + spent
    return keys


def internal_spend(snapshot: BudgetSnapshot, keys: Mapping[str, float] | None) -> Iterator[Finding]:
    """One for each internal key that spent anything."""
    host, service = snapshot.host, snapshot.service
    if keys is None:
        why = "nobody tells spend by key: neither LiteLLM's tables nor the callback's counters"
        yield Finding(SPEND, host, "", Standing.UNKNOWN, why)
        return
    internal = {alias: spent for alias, spent in keys.items() if _INTERNAL.search(alias) and spent > 0}
    today = {it.alias: it.spend_usd for it in (snapshot.spend.keys if snapshot.spend else None) or ()}
    for alias, spent in sorted(internal.items(), key=lambda it: -it[1]):
        detail = (
            f"${spent:.2f} since yesterday{_slope(today.get(alias, 0.0), snapshot)}: LiteLLM calls models by itself"
        )
        yield Finding(SPEND, host, alias, Standing.WARN, detail, target=service)
    if not internal:
        total = sum(keys.values())
        yield Finding(SPEND, host, "", Standing.OK, f"none of ${total:.2f} of {len(keys)} keys is LiteLLM's own")


def _slope(today_usd: float, snapshot: BudgetSnapshot) -> str:
    """`, $0.06 an hour today`; empty in the first quarter of an hour of a day, and without spend today."""
    begun = snapshot.resets_at - timedelta(days=1)
    hours = (snapshot.at - begun).total_seconds() / 3600
    return f", ${today_usd / hours:.2f} an hour today" if today_usd > 0 and hours > 0.25 else ""


# ── the cap ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def laptop_cap(stack: Stack, on_host: str | None) -> tuple[str, float | None] | None:
    """The cap of the stack's own file on this laptop, with its path; None where the stack ships none."""
    ending = f"/{_FILE}" if on_host is None else f"/{on_host.rsplit('/', 1)[-1]}"
    shipped = [(path, source) for path, source, _ in stack.shipped() if f"/{path}".endswith(ending)]
    for path, source in shipped:
        try:
            return path, settings_of(source.read_bytes(), path).max_budget
        except (OSError, OperatorError):
            return path, None
    return None


def cap_in_force(snapshot: BudgetSnapshot, laptop: tuple[str, float | None] | None) -> Finding:
    """The cap in force against the two files that may be believed instead."""
    host, service, cap = snapshot.host, snapshot.service, snapshot.cap_usd
    if snapshot.enforcement is Enforcement.UNKNOWN:
        return Finding(CAP, host, "", Standing.UNKNOWN, f"what is in force cannot be known: {snapshot.why}")
    if not cap:
        return Finding(CAP, host, "", Standing.ERROR, "no cap is in force at all", target=service)
    if snapshot.enforcement is Enforcement.DECLARED and snapshot.cap_source != _NATIVE:
        detail = f"no cap is in force: ${cap:.2f} is set, and nothing holds it"
        return Finding(CAP, host, "", Standing.ERROR, detail, target=service)
    others = [("the file on the host", snapshot.configured_cap_usd)]
    others += [(f"{laptop[0]} on this laptop", laptop[1])] if laptop else []
    told = f"${cap:.2f} a day is in force, by {_SOURCES.get(snapshot.cap_source, snapshot.cap_source)}"
    differing = [f"{it} says ${one:.2f}" for it, one in others if one is not None and abs(one - cap) >= 0.005]
    if differing:
        return Finding(CAP, host, "", Standing.WARN, f"{told}; {', '.join(differing)}", target=service)
    agree = "the files agree" if any(one is not None for _, one in others) else "no file says another"
    return Finding(CAP, host, "", Standing.OK, f"{told}; {agree}")


_SOURCES = {
    "redis": "the key in Redis",
    "env": "the container's environment",
    "general_settings": "the file on the host",
    _NATIVE: "LiteLLM's own setting",
}


# ── the mode ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def acts(snapshot: BudgetSnapshot, recent: Answer | None) -> Finding:
    """Whether cap and mode act. `recent`: LiteLLM's rows of the last minutes, asked where a mode is on."""
    host, service = snapshot.host, snapshot.service
    if snapshot.enforcement is Enforcement.UNKNOWN:
        return Finding(ECO, host, "", Standing.UNKNOWN, snapshot.why)
    if snapshot.enforcement is Enforcement.DECLARED:
        set_ = [f"mode {snapshot.manual}"] if snapshot.manual not in (None, Mode.NORMAL) else []
        native = snapshot.cap_source == _NATIVE
        set_ += [f"a cap of ${snapshot.cap_usd:.2f}"] if snapshot.cap_usd and not native else []
        if not set_:
            what = "a mode: only LiteLLM's own cap acts" if native and snapshot.cap_usd else "a cap or a mode"
            return Finding(ECO, host, "", Standing.WARN, f"nothing would hold {what}", target=service)
        detail = f"{' and '.join(set_)}, and nothing holds it: {snapshot.why}"
        return Finding(ECO, host, "", Standing.ERROR, detail, target=service)
    beat = f"the callback beat {snapshot.beat_age_s or 0:.0f} s ago"
    if snapshot.mode in (None, Mode.NORMAL):
        return Finding(ECO, host, "", Standing.OK, f"{beat}; no mode is on")
    calls = calls_of(recent, snapshot.at)
    if calls is None:
        return Finding(ECO, host, "", Standing.OK, f"mode {snapshot.mode} acts: {beat}; its last calls are not known")
    paid, total = calls
    detail = f"mode {snapshot.mode} acts: {beat}; {paid} of {total} calls of the last 5 minutes cost money"
    if paid:
        return Finding(ECO, host, "", Standing.WARN, f"{detail}, unless it is younger than that", target=service)
    return Finding(ECO, host, "", Standing.OK, detail)


def calls_of(recent: Answer | None, now: datetime) -> tuple[int, int] | None:
    """How many calls of the last minutes cost money, and how many there were; None where LiteLLM does not tell."""
    data = as_mapping(recent.body).get("data") if recent is not None and recent.ok else None
    if not isinstance(data, list):
        return None
    begin = now - timedelta(seconds=_LOOK_BACK_S)
    calls = [row for row in rows(data) if (at := activity.moment_of(row.get("startTime"))) and at >= begin]
    return sum(1 for row in calls if money(row.get("spend"))), len(calls)
