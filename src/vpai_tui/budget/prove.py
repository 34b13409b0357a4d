"""A live call through LiteLLM, one token long: the answer's headers tell which model gave it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vpai_tui.budget.model import BudgetSnapshot, Mode, Price
from vpai_tui.budget.transport import Answer, Inside, Request
from vpai_tui.errors import UsageError
from vpai_tui.redact import redact
from vpai_tui.text import clean_line

TIMEOUT_S = 60.0  # a free model may be slow
_MODEL, _MODE, _COST = "x-litellm-model-group", "x-eco-mode", "x-litellm-response-cost"


@dataclass(frozen=True, slots=True)
class Proof:
    """What one call showed. `answered` None: it was refused (`refused`) or failed; `said` is that in words.

    `mode` is what the callback wrote on the answer (LiteLLM 1.83 and newer), `cost_usd` what LiteLLM counted.
    `forbidden`: a paid alias answered itself while eco or blocked mode is said to act.
    """

    asked: str
    answered: str | None
    status: int
    refused: bool = False
    mode: Mode | None = None
    cost_usd: float | None = None
    said: str = ""
    forbidden: bool = False

    @property
    def good(self) -> bool:
        """Whether it went as the mode wants it; a refusal by the budget is an answer too."""
        return self.refused or (self.answered is not None and not self.forbidden)

    @property
    def told(self) -> str:
        """One sentence."""
        if self.answered is None:
            return f"{self.asked} was {'refused by the budget' if self.refused else 'not answered'}: {self.said}"
        cost = "" if self.cost_usd is None else f", ${self.cost_usd:.6f}"
        if self.answered == self.asked:
            but = ": the mode does not hold it" if self.forbidden else ""
            return f"{self.asked} answered itself{cost}{but}"
        return f"{self.asked} was answered by {self.answered}{cost}"


@dataclass(frozen=True, slots=True)
class Question:
    """The alias that a call asks for, and whether its answer may cost money, with the reason. `held`: it is a paid one
    that the mode keeps from answering itself."""

    alias: str
    costs: bool
    why: str
    held: bool = False


def question(found: BudgetSnapshot, alias: str | None = None) -> Question:
    """What to ask for: in eco and blocked mode a paid alias, since it shows what happens to one; else a free one.

    Raises:
        UsageError: the alias is not there, or none is known.
    """
    free = [name for name, price in found.prices.items() if price.free] or list(found.beat.free if found.beat else ())
    paid = sorted((name for name in found.prices if name not in free), key=lambda name: _dear(found.prices[name]))
    if alias is not None and found.prices and alias not in found.prices:
        known = ", ".join(clean_line(name, 40) for name in list(found.prices)[:12])
        raise UsageError(f"LiteLLM has no alias {clean_line(alias, 60)!r}", remedy=f"known: {known}")
    saving = found.mode in (Mode.ECO, Mode.BLOCKED)
    chosen = alias or next(iter((paid if saving else free) or paid or free), None)
    if chosen is None:
        raise UsageError("no alias of LiteLLM is known", remedy="name one: --prove ALIAS")
    if chosen in free:
        return Question(chosen, False, f"{chosen} is free")
    if saving:
        return Question(chosen, False, f"{chosen} is paid; in {found.mode} mode it should cost nothing", held=True)
    return Question(chosen, True, f"{chosen} is paid: one token of it costs money")


def _dear(price: Price) -> float:
    """What to sort by: the cheapest of those whose words cost something first; embeddings and unknown ones last."""
    given = price.input_usd_per_million, price.output_usd_per_million
    if given[0] is None or not given[1]:
        return math.inf
    return given[0] + given[1]


async def ask(inside: Inside, alias: str) -> Proof:
    """Makes the call. OperatorError when the container cannot be asked at all."""
    body = {
        "model": alias,
        "messages": [{"role": "user", "content": "."}],
        "max_tokens": 1,
        "cache": {"no-cache": True},  # an answer out of the cache would prove nothing
    }
    (answer,) = await inside.litellm([Request("POST", "/v1/chat/completions", body)], timeout_s=TIMEOUT_S)
    return proof_of(alias, answer)


def proof_of(alias: str, answer: Answer) -> Proof:
    """What the answer says. From 1.83 on its body names what was asked for; the header has the truth."""
    body: Mapping[str, Any] = answer.body if isinstance(answer.body, dict) else {}
    mode = next((it for it in Mode if it == answer.headers.get(_MODE)), None)
    if not answer.ok:
        raw = body.get("error")
        error: Mapping[str, Any] = raw if isinstance(raw, dict) else {}
        refused = error.get("type") == "budget_exceeded"
        return Proof(alias, None, answer.status, refused, mode, said=answer.said)
    who = answer.headers.get(_MODEL) or redact(clean_line(str(body.get("model") or ""), 100))
    return Proof(alias, who or "a model that is not told", answer.status, mode=mode, cost_usd=_cost(answer))


def _cost(answer: Answer) -> float | None:
    try:
        cost = float(answer.headers.get(_COST, ""))
    except ValueError:
        return None
    return cost if 0 <= cost < 1e6 else None
