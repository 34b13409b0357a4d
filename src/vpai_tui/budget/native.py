"""LiteLLM's own cap, which counts only as far as LiteLLM itself says that it is in force."""

from __future__ import annotations

from dataclasses import dataclass

from vpai_tui.budget.activity import GLOBAL_SPEND
from vpai_tui.budget.figures import mapping, money
from vpai_tui.budget.transport import Answer, Inside


@dataclass(frozen=True, slots=True)
class Native:
    """`cap_usd` in force, 0: none; `month_usd` what the last 30 days cost, in every version; None: not told."""

    cap_usd: float
    month_usd: float | None


async def native_of(inside: Inside) -> Native | None:
    """None: LiteLLM does not tell (it has no database). OperatorError: it cannot be asked."""
    (answer,) = await inside.litellm([GLOBAL_SPEND])
    return native_from(answer)


def native_from(answer: Answer) -> Native | None:
    """What `GLOBAL_SPEND` was answered."""
    found = mapping(answer.body) if answer.ok else {}
    cap = money(found.get("max_budget"))
    return None if cap is None else Native(cap, money(found.get("spend")))
