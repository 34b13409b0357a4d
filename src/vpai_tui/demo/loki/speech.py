"""Of what the demo's voices are made: a moment, what is said in it, and how often and how a kind of service speaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import NamedTuple


class Said(NamedTuple):
    """One line: its level where the text tells one, "" where not."""

    level: str
    text: str


class Moment(NamedTuple):
    """When something is said, with the dice for it; `trouble`: while the database lets nobody in."""

    seconds: float
    dice: Random
    trouble: bool = False

    def utc(self, form: str, digits: int = 3) -> str:
        """The time by `form`, in which `%f` has so many digits."""
        when = datetime.fromtimestamp(self.seconds, UTC)
        return when.strftime(form.replace("%f", f"{when.microsecond:06d}"[:digits]))

    def number(self, low: int, high: int) -> int:
        return self.dice.randint(low, high)

    def one_of(self, *texts: str) -> str:
        return self.dice.choice(texts)


Voice = Callable[[Moment], list[Said]]  # the lines that are written at once


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of service: how many times a minute it speaks, how, and with which levels."""

    a_minute: float
    voice: Voice
    levels: tuple[str, ...]
