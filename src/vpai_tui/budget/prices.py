"""What each alias costs: as LiteLLM calculates, checked by what litellm_config.yaml says itself.

LiteLLM gives a price of nothing for a model it does not know, so nothing is a price only where the file says it, the
callback counts the alias as free, or the provider's own name for it ends in `:free`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vpai_tui.budget.figures import mapping, money, rows
from vpai_tui.budget.model import Price
from vpai_tui.budget.settings import Deployment, Settings, deployment

_UNKNOWN = Price(None, None)


@dataclass(frozen=True, slots=True)
class PriceList:
    """`by_alias` has every alias that is configured; `otherwise` those with a price by image, second, request."""

    by_alias: Mapping[str, Price] = field(default_factory=dict)
    otherwise: frozenset[str] = frozenset()
    heard: bool = True  # whether LiteLLM told what it knows; the file alone does not name every price

    def of(self, alias: str) -> Price | None:
        return self.by_alias.get(alias)

    def free(self, alias: str) -> bool:
        price = self.of(alias)
        return price is not None and price.free

    def priced(self, alias: str) -> bool | None:
        """Whether what the alias spends is counted; None where it is not configured (any more), or LiteLLM, which
        knows most prices itself, was not heard."""
        price = self.of(alias)
        if price is None:
            return None
        return price.known or alias in self.otherwise or (False if self.heard else None)


def price_list(info: Any, settings: Settings | None, free: Iterable[str]) -> PriceList:
    """From LiteLLM's `/model/info` (None: it did not answer), the file, and the aliases that count as free."""
    told = rows(mapping(info).get("data"))
    given = settings.deployments if settings else ()
    free_aliases = {*free, *(it.alias for it in given if it.price.free)}
    seen = [(deployment(row), row) for row in told]
    known = [it for it, _ in seen if it.alias] or list(given)
    by_alias: dict[str, Price] = {}
    for it in known:
        fitting = _true_price(it, free_aliases)
        by_alias[it.alias] = _dearer(by_alias.get(it.alias), fitting)
    return PriceList(
        by_alias=by_alias,
        otherwise=frozenset(it.alias for it, row in seen if _other_price(row)),
        heard=bool(told),
    )


def _true_price(it: Deployment, free: set[str]) -> Price:
    if it.price.free or not it.price.known:
        return Price(0.0, 0.0) if it.alias in free or it.model.endswith(":free") else _UNKNOWN
    return it.price


def _dearer(one: Price | None, other: Price) -> Price:
    """Of two deployments of one alias the one that matters: without a price before the dearer one."""
    if one is None or not other.known:
        return other
    if not one.known:
        return one
    return max(one, other, key=lambda it: (it.input_usd_per_million or 0) + (it.output_usd_per_million or 0))


def _other_price(row: Mapping[str, Any]) -> bool:
    """Whether it is billed by something else than tokens."""
    info = mapping(row.get("model_info"))
    return any("_cost_per_" in key and "token" not in key and (money(value) or 0) > 0 for key, value in info.items())
