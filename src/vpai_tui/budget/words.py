"""What an operator may type for the budget: an amount of dollars a day, and what the eco mode shall be."""

from __future__ import annotations

import re
from decimal import Decimal

from vpai_tui.budget.model import Mode
from vpai_tui.errors import UsageError
from vpai_tui.text import clean_line

CAP_MOST_USD = Decimal(1000)  # a day; a typing mistake rather than a wish
_AMOUNT = re.compile(r"\$?([0-9]{1,12})(?:\.([0-9]{1,12}))?")
_EXAMPLE = "a number of dollars a day, such as 3 or 4.50"
ECO_WORDS = ("on", "off", "auto", "block")
_SET = {"on": Mode.ECO, "block": Mode.BLOCKED, "off": Mode.NORMAL, "auto": Mode.NORMAL}


def cap_of(text: str) -> Decimal:
    """The cap that `text` says, in dollars a day: more than 0, whole cents, at most `CAP_MOST_USD`.

    Raises:
        UsageError: it says none.
    """
    word = text.strip()
    shown = clean_line(word, 40)
    if re.fullmatch(r"-[\s$]*[0-9.,]+", word):
        raise UsageError(f"a cap of {shown} is negative", remedy=_EXAMPLE)
    match = _AMOUNT.fullmatch(word)
    if match is None:
        raise UsageError(f"{shown!r} is no amount of money", remedy=f"give {_EXAMPLE}")
    if len((match[2] or "").rstrip("0")) > 2:
        raise UsageError(f"{shown} is finer than a cent", remedy=_EXAMPLE)
    cap = Decimal(f"{match[1]}.{match[2] or 0}").quantize(Decimal("0.01"))
    if not cap:
        raise UsageError("a cap of 0 means no cap at all", remedy="to stop paid requests: `budget eco block`")
    if cap > CAP_MOST_USD:
        raise UsageError(
            f"a cap of {shown} is more than ${CAP_MOST_USD} a day",
            remedy="if it is meant, write it into litellm_config.yaml by hand",
        )
    return cap


def mode_of(word: str) -> Mode:
    """What is set by hand for one of `ECO_WORDS`; `off` and `auto` both clear it.

    Raises:
        UsageError: it is none of them.
    """
    if word not in _SET:
        raise UsageError(f"{clean_line(word, 40)!r} is no eco mode", remedy=f"one of {', '.join(ECO_WORDS)}")
    return _SET[word]


def usd(amount: Decimal | float | None) -> str:
    """`5.00`, as it is written into Redis, the file and the journal; `none` without one."""
    return "none" if amount is None else f"{amount:.2f}"
