"""What is known of the logs that are followed: the lines, what was proven of them, what happened to the tail."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from vpai_tui.errors import OperatorError

if TYPE_CHECKING:  # the first frame knows nothing of Loki
    from vpai_tui.logs.buffer import Buffer
    from vpai_tui.logs.happenings import Happening
    from vpai_tui.logs.highlight import Rules
    from vpai_tui.logs.model import Event, Fallback, Gap, Labels, Polling, Proof, Source
    from vpai_tui.logs.save import SourceOf
    from vpai_tui.logs.session import Choice

_GAPS_KEPT = 200


class Tail(Enum):
    """What the tail does."""

    OFF = "off"  # nothing is followed
    OPENING = "opening"
    LIVE = "live"
    AWAY = "away"  # it ended, and is opened again
    POLLING = "polling"
    FAILED = "failed"  # `failure` says why


@dataclass(slots=True)
class LogLook:
    """Shared by the screens; only the watch writes to it. `version` moves with everything that may be drawn."""

    asked: str = ""  # what the operator named: a service, a stack, a host, `all`, LogQL
    tail: Tail = Tail.OFF
    choice: Choice | None = None
    buffer: Buffer | None = None
    source_of: SourceOf | None = None
    host: str = ""  # where Loki is
    proof: Proof | None = None
    gaps: list[Gap] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)  # lines that came, by level
    failure: OperatorError | None = None
    lost: str = ""  # why there is no tail, or no count, at the moment
    polling: Polling | None = None
    fallback: Fallback | None = None
    uncounted: str = ""
    dropped: int = 0  # lines that the server admits to have dropped from its tail
    moment: Happening | None = None  # it was opened for this, and has not been shown yet
    paging: bool = False  # older lines are being asked for
    kept: dict[str, str] = field(default_factory=dict)  # queries by name
    rules: Rules | None = None  # the operator's highlights; None: not read yet
    version: int = 0

    def begin(self, asked: str) -> None:
        """Something else is followed now: what was known of the last one is gone."""
        from vpai_tui.logs.model import Level, Proof

        self.asked, self.tail, self.choice, self.buffer = asked, Tail.OPENING, None, None
        self.proof, self.gaps, self.levels = Proof(), [], [0] * len(Level)
        self.failure, self.lost, self.polling, self.fallback = None, "", None, None
        self.uncounted, self.dropped = "", 0
        self.version += 1

    def chosen(self, choice: Choice, buffer: Buffer, source_of: SourceOf, host: str) -> None:
        """How the lines are had is known; they come next."""
        self.choice, self.buffer, self.source_of, self.host = choice, buffer, source_of, host
        self.version += 1

    def fail(self, error: OperatorError) -> None:
        """Nothing is followed, and why; lines that are here stay."""
        self.tail, self.failure = Tail.FAILED, error
        self.version += 1

    def recount(self) -> None:
        """Lines came that no event told of: the past was paged into the buffer."""
        if self.buffer is not None:
            self.levels = [0] * len(self.levels)
            for chunk in self.buffer.chunks:
                for bits in chunk.bits:
                    self.levels[bits & 7] += 1
        self.version += 1

    def stopped(self) -> None:
        """The operator has seen enough; lines that are here stay."""
        self.tail = Tail.OFF
        self.version += 1

    @property
    def rule_names(self) -> list[str]:
        """Of the highlight rules, for the palette."""
        return [it.name for it in self.rules.rules] if self.rules is not None else []

    def source(self, labels: Labels) -> Source:
        """Whose lines a stream's are. Raises LookupError before anything was chosen."""
        if self.source_of is None:
            raise LookupError(labels)
        return self.source_of(labels)

    def take(self, event: Event) -> None:
        """What happened to the tail; lines are in the buffer already."""
        from vpai_tui.logs import model

        self.version += 1
        match event:
            case model.LinesCame():
                for line in event.lines:
                    self.levels[line.level] += 1
            case model.Window():
                self._window(event)
            case model.Gap():
                self.gaps.append(event)
                if self.proof is not None:
                    self.proof.give_up(event)
                del self.gaps[:-_GAPS_KEPT]
            case model.Dropped():
                self.dropped += event.count
            case model.Fallback():
                self.fallback = event
            case model.Uncounted():
                self.uncounted = event.reason
            case _:
                self._tail_changed(event)

    def _tail_changed(self, event: Event) -> None:
        from vpai_tui.logs import model

        match event:
            case model.TailOpened() | model.Backfilled():
                self.tail = Tail.LIVE
            case model.Reconnected():
                self.tail, self.lost, self.polling = Tail.LIVE, "", None
            case model.Disconnected():
                self.tail = Tail.AWAY
                self.lost = f"{event.cause.value}: {event.detail}" if event.detail else event.cause.value
            case model.Polling():
                self.tail, self.polling, self.lost = Tail.POLLING, event, ""

    def _window(self, window: object) -> None:
        from vpai_tui.logs.model import Cause, Window

        if not isinstance(window, Window) or self.proof is None:
            return
        self.proof.add(window)
        self.uncounted = ""
        stretch = (window.from_ns, window.to_ns)  # what was missing there is told anew, if it still is
        self.gaps = [it for it in self.gaps if it.cause is not Cause.MISSING or (it.from_ns, it.to_ns) != stretch]

    def filled(self, gap: Gap) -> bool | None:
        """Whether every line of a gap is here by Loki's count; None: not counted yet."""
        proof = self.proof
        if proof is None or proof.to_ns is None or proof.to_ns < gap.to_ns:
            return None
        return not any(it.from_ns < gap.to_ns and gap.from_ns < it.to_ns for it in proof.incomplete())
