"""What the demo's n8n, agents and people ask of LiteLLM: for each hour the same whenever one looks.

Amounts are whole multiples of `GRAIN`, so that sums come out the same in any order. Only the time counts in which
requests were let through: while eco mode acts, those of paid models go to a free one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import NamedTuple

from vpai_tui.demo.engine.store import fraction
from vpai_tui.demo.litellm.config import Doc

GRAIN = 2.0**-20  # dollars
HOUR_S = 3600
_DAY_USD = 3.7  # of a usual working day
# alias: share of the day's dollars, requests a day, output tokens per input token, keys with their shares
_USE: dict[str, tuple[float, int, float, dict[str, float]]] = {
    "glm-5": (0.25, 210, 0.3, {"openclaw": 0.7, "n8n": 0.3}),
    "deepseek-v3": (0.14, 520, 0.4, {"n8n": 0.8, "telegram-bot": 0.2}),
    "deepseek-r1": (0.09, 64, 0.9, {"opencode": 0.6, "openclaw": 0.4}),
    "perplexity-pro": (0.11, 38, 0.6, {"openclaw": 0.8, "palais": 0.2}),
    "minimax-m1": (0.06, 55, 0.5, {"n8n": 0.6, "opencode": 0.4}),
    "kimi-k2": (0.0, 72, 0.4, {"opencode": 1.0}),
    "grok-search": (0.0, 31, 0.3, {"openclaw": 1.0}),
    "claude-sonnet": (0.08, 24, 0.35, {"opencode": 0.6, "openclaw": 0.4}),
    "claude-haiku": (0.04, 61, 0.35, {"openclaw": 0.7, "palais": 0.3}),
    "claude-opus": (0.03, 3, 0.4, {"opencode": 1.0}),
    "gpt-4o": (0.05, 22, 0.3, {"n8n": 0.5, "palais": 0.5}),
    "gpt-4o-mini": (0.03, 340, 0.3, {"n8n": 0.9, "telegram-bot": 0.1}),
    "gpt-codex": (0.015, 18, 0.5, {"opencode": 1.0}),
    "embedding": (0.005, 900, 0.0, {"n8n": 0.7, "palais": 0.3}),
    "glm-4.6": (0.05, 44, 0.4, {"opencode": 1.0}),
    "gemini-flash": (0.05, 260, 0.3, {"n8n": 1.0}),
    "qwen3-coder": (0.0, 180, 0.3, {"opencode": 0.8, "n8n": 0.2}),
    "deepseek-v3-free": (0.0, 58, 0.4, {"telegram-bot": 1.0}),
    "deepseek-r1-free": (0.0, 17, 0.9, {"opencode": 1.0}),
}
_CACHED = {"anthropic": 0.45, "openai": 0.2, "openrouter": 0.1}  # share of the prompt that the provider had already
_TOKENS = 1900  # of one call, where no price says how many
_FAILS = {"grok-search": 0.06, "perplexity-pro": 0.03, "deepseek-v3-free": 0.08}
# How a day's requests are spread over its hours (UTC): jobs at night, people by day.
_CURVE = (2, 2, 5, 2, 2, 3, 5, 9, 12, 13, 12, 9, 7, 10, 12, 12, 11, 9, 7, 6, 7, 6, 4, 3)


class Row(NamedTuple):
    """What one key asked of one alias within one hour; `hour` is its beginning, seconds since the epoch."""

    hour: int
    alias: str
    model: str
    provider: str
    vendor: str
    key: str
    requests: int
    failed: int
    prompt: int
    completion: int
    cached: int
    spend: float


class Share(NamedTuple):
    """The parts of an hour in which paid and free models answered, and in which a free one answered for a paid one."""

    paid: float
    free: float
    moved: float


def floor(dollars: float) -> float:
    """The next amount below that is a multiple of the grain."""
    return int(dollars / GRAIN) * GRAIN


def rows(
    start: float, end: float, models: Sequence[Doc], pauses: Sequence[Doc], scale: dict[str, float], free: str | None
) -> Iterator[Row]:
    """All traffic from `start` to `end`.

    Each of `pauses` is {"from", "to", "kind"}: while "down" nobody is answered, while "blocked" paid models are not,
    while "eco" the alias `free` answers for them. `scale` has a factor for days (UTC) that are not as usual.
    """
    hour = int(start // HOUR_S) * HOUR_S
    while hour < end:
        share = _share(max(start, hour), min(end, hour + HOUR_S), pauses)
        yield from _hour(hour, share, models, scale.get(_day(hour), 1.0), free)
        hour += HOUR_S


def _share(start: float, end: float, pauses: Sequence[Doc]) -> Share:
    lost = {"down": 0.0, "blocked": 0.0, "eco": 0.0}
    for pause in pauses:
        until = end if pause["to"] is None else pause["to"]
        lost[pause["kind"]] += max(0.0, min(end, until) - max(start, pause["from"]))
    free = max(0.0, end - start - lost["down"])
    paid = max(0.0, free - lost["blocked"] - lost["eco"])
    return Share(paid / HOUR_S, free / HOUR_S, min(free, lost["eco"]) / HOUR_S)


def _hour(hour: int, share: Share, models: Sequence[Doc], scale: float, free: str | None) -> Iterator[Row]:
    moved = 0
    for model in models:
        use = _USE.get(model["alias"])
        if use is None or model["alias"] == free:
            continue
        costs_nothing = model["price"] == [0.0, 0.0]
        part = share.free if costs_nothing else share.paid
        whole = _whole(hour, model["alias"])
        moved += 0 if costs_nothing or model["alias"] == "embedding" else int(use[1] * whole * share.moved * scale)
        yield from _of_model(hour, model, use, whole, part, scale)
    for model in models:
        if model["alias"] == free and free in _USE:
            yield from _of_model(hour, model, _USE[free], _whole(hour, free), share.free, scale, moved)


def _of_model(
    hour: int,
    model: Doc,
    use: tuple[float, int, float, dict[str, float]],
    whole: float,
    part: float,
    scale: float,
    moved: int = 0,
) -> Iterator[Row]:
    """`whole` is this hour's share of the alias's day, `part` what of the hour counts."""
    share, requests_a_day, ratio, keys = use
    fails = _FAILS.get(model["alias"], 0.0)
    per_input = _per_input(model, ratio)
    for key, weight in keys.items():
        spend = floor(_DAY_USD * scale * share * whole * weight * part)
        requests = int(requests_a_day * whole * weight * part * scale) + int(moved * weight)
        if spend and not requests:
            requests = 1
        prompt = int(spend / per_input) if spend and per_input else int(requests * _TOKENS / (1 + ratio))
        if requests:
            cached = int(prompt * _CACHED.get(model["provider"], 0.0))
            yield Row(
                hour,
                model["alias"],
                model["model"],
                model["provider"],
                model["vendor"],
                key,
                requests,
                int(requests * fails),
                prompt,
                int(prompt * ratio),
                cached,
                spend,
            )


def _per_input(model: Doc, ratio: float) -> float:
    """Dollars per input token, with the output that belongs to it."""
    price = [it or 0.0 for it in model["price"]]
    return float(price[0] + ratio * price[1])


@cache
def _whole(hour: int, alias: str) -> float:
    """The share of a usual day's traffic that this hour has, give or take."""
    moment = datetime.fromtimestamp(hour, UTC)
    day = 0.85 + 0.3 * fraction(f"litellm day {moment:%F}")
    if moment.weekday() > 4:
        day *= 0.75
    jitter = 0.7 + 0.6 * fraction(f"litellm hour {hour} {alias}")
    busy = min(1.0, _USE[alias][1] / 24)  # of few requests a day most hours have none
    if fraction(f"litellm busy {hour} {alias}") >= busy:
        return 0.0
    return day * jitter / busy * _CURVE[moment.hour] / sum(_CURVE)


def _day(hour: int) -> str:
    return f"{datetime.fromtimestamp(hour, UTC):%F}"
