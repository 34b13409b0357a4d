"""LiteLLM's own cap, which counts only as far as LiteLLM itself says that it is in force."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vpai_tui.budget.activity import GLOBAL_SPEND
from vpai_tui.budget.transport import Inside


@dataclass(frozen=True, slots=True)
class Native:
    """`cap_usd` in force, 0: none; `month_usd` what the last 30 days cost, in every version; None: not told."""

    cap_usd: float
    month_usd: float | None


async def native_of(inside: Inside) -> Native | None:
    """None: LiteLLM does not tell (it has no database). OperatorError: it cannot be asked."""
    (answer,) = await inside.litellm([GLOBAL_SPEND])
    found = answer.body if answer.ok and isinstance(answer.body, dict) else {}
    cap = _dollars(found.get("max_budget"))
    return None if cap is None else Native(cap, _dollars(found.get("spend")))


def _dollars(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        return None
    return float(value)
