"""One day's money, whichever source told it: by alias, by who bills, by whose model it is, by key, by hour."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from vpai_tui.budget.model import TARGETS, KeySpend, ModelSpend, ProviderSpend
from vpai_tui.budget.prices import PriceList

OTHER = "other"  # what no provider's name stands behind
_SAME = {"z-ai": "zai", "zhipuai": "zai", "?": OTHER, "": OTHER, "unknown": OTHER}
_CENT = 1e-6  # dollars; less is the rounding of sums


@dataclass(frozen=True, slots=True)
class Use:
    """One alias' share of a day."""

    spend_usd: float = 0.0
    requests: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Tally:
    """Dollars by name; None where the source does not say. `hours` has those in which something was spent."""

    spend_usd: float
    requests: int | None = None
    failed: int | None = None
    tokens: int | None = None
    cached_tokens: int | None = None
    models: Mapping[str, Use] = field(default_factory=dict)
    providers: Mapping[str, float] = field(default_factory=dict)
    vendors: Mapping[str, float] = field(default_factory=dict)
    keys: Mapping[str, float] | None = None
    hours: Mapping[int, float] | None = None


def provider_name(word: str) -> str:
    """One name for each provider; the document's for those of its split."""
    lower = word.strip().lower()
    return _SAME.get(lower, lower)


def vendor_of(model: str, provider: str = "") -> str:
    """Whose model it is: `openrouter/z-ai/glm-5` is billed by OpenRouter and made by zai."""
    parts = model.split("/")
    if len(parts) > 2 and parts[0].lower() == "openrouter":
        return provider_name(parts[1])
    return provider_name(parts[0] if len(parts) > 1 else provider)


def summed(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Dollars by name, names that stand twice added up."""
    found: dict[str, float] = {}
    for word, amount in pairs:
        found[word] = found.get(word, 0.0) + amount
    return found


def total_of(tally: Tally) -> float:
    """The day's sum; where the providers' parts make more than what the source gave as the sum, those."""
    parts = math.fsum(tally.providers.values())
    return parts if parts > tally.spend_usd + _CENT else tally.spend_usd


def providers_of(tally: Tally) -> tuple[ProviderSpend, ...]:
    """A row for each provider of the document's split, and for every other that has a part; what is left of the sum
    and has no provider is `other`: the rows make up the day's sum."""
    total = total_of(tally)
    billed, vendor = _with_rest(tally.providers, total), _with_rest(tally.vendors, total)
    names = [*TARGETS, *sorted({*billed, *vendor} - {*TARGETS}, key=lambda it: (it == OTHER, -billed.get(it, 0.0), it))]
    return tuple(
        ProviderSpend(
            provider=it,
            billed_usd=billed.get(it, 0.0),
            vendor_usd=vendor.get(it, 0.0),
            share=billed.get(it, 0.0) / total if total > 0 else None,
            target_share=TARGETS.get(it),
        )
        for it in names
        if it in TARGETS or billed.get(it) or vendor.get(it)
    )


def _with_rest(parts: Mapping[str, float], total: float) -> dict[str, float]:
    found = summed((provider_name(word), amount) for word, amount in parts.items())
    rest = total - math.fsum(found.values())
    if rest > _CENT:
        found[OTHER] = found.get(OTHER, 0.0) + rest
    return found


def models_of(tally: Tally, prices: PriceList) -> tuple[ModelSpend, ...]:
    """Aliases with what they cost, the dearest first."""
    rows = []
    for alias, use in tally.models.items():
        price = prices.of(alias)
        rows.append(
            ModelSpend(
                model=alias,
                spend_usd=use.spend_usd,
                requests=use.requests,
                tokens=use.tokens,
                priced=prices.priced(alias),
                free=prices.free(alias),
                input_usd_per_million=price.input_usd_per_million if price else None,
                output_usd_per_million=price.output_usd_per_million if price else None,
            )
        )
    return tuple(sorted(rows, key=lambda it: (-it.spend_usd, -it.requests, it.model)))


def keys_of(tally: Tally) -> tuple[KeySpend, ...] | None:
    """Keys by alias, the dearest first."""
    if tally.keys is None:
        return None
    found = [KeySpend(alias, spent) for alias, spent in tally.keys.items()]
    return tuple(sorted(found, key=lambda it: (-it.spend_usd, it.alias)))
