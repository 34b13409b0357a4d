"""One turn of a knob as it is planned: what it changes, where, until when, and how it is undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vpai_tui.budget.model import Enforcement, Mode
from vpai_tui.budget.persist import Edit

Kind = Literal["cap", "mode"]


@dataclass(frozen=True, slots=True)
class Write:
    """A key of Redis, changed only if it still has the value that the plan saw; "" is: not there. A life is the seconds
    after which the key goes by itself, None: it stays."""

    key: str
    was: str
    new: str
    was_life_s: float | None = None
    life_s: float | None = None

    @property
    def empty(self) -> bool:
        return self.was == self.new and self.was_life_s == self.life_s


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the heartbeat shall say afterwards; None: anything. `cap_usd` 0: no cap; `by_redis`: whether it is Redis's
    key that says so, since a cap of the same amount may have acted before."""

    cap_usd: float | None = None
    by_redis: bool | None = None
    mode: Mode | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What is done, in this order: the key, the proof by the heartbeat, the file, the restart.

    `lasting` is what the file says before and after (None: nothing), or None: there is none that can be edited.
    """

    service: str
    enforcement: Enforcement
    write: Write | None = None
    wanted: Wanted = Wanted()
    edit: Edit | None = None
    lasting: tuple[str | None, str | None] | None = None
    restart: bool = False  # LiteLLM's own cap: read at its start only
    unkept: str = ""  # why nothing is written into the file

    @property
    def empty(self) -> bool:
        return (self.write is None or self.write.empty) and (self.edit is None or self.edit.empty) and not self.restart


@dataclass(frozen=True)
class Change:
    """A plan. `word` is what is typed for it, None: it is reversible and `--yes` is enough."""

    kind: Kind
    title: str
    before: str
    after: str
    effects: tuple[str, ...] = ()  # what it will change
    where: tuple[str, ...] = ()
    ends: str = ""  # until when it holds
    warnings: tuple[str, ...] = ()
    word: str | None = None
    undo: str = ""  # the way back
    order: Order | None = None

    @property
    def empty(self) -> bool:
        """All of it is so already."""
        return self.order is not None and self.order.empty
