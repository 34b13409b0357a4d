"""Every remote command: when, where, how long, with which exit status. Secrets are masked before they get here."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count

from vpai_tui.clock import Clock, SystemClock
from vpai_tui.redact import redact
from vpai_tui.text import clean_line


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """One remote command. `exit_status` is None while it runs and for ever when its outcome is not known."""

    id: int
    at: datetime  # UTC
    host: str
    command: str  # redacted, one line
    duration_s: float | None = None
    exit_status: int | None = None
    running: bool = True


class CommandLog:
    """A bounded ring of `CommandRecord`, newest last; subscribers hear of each start and each end."""

    def __init__(self, limit: int = 2000, clock: Clock | None = None) -> None:
        self._limit = limit
        self._clock = clock or SystemClock()
        self._records: OrderedDict[int, CommandRecord] = OrderedDict()
        self._started: dict[int, float] = {}
        self._ids = count(1)
        self._callbacks: list[Callable[[CommandRecord], None]] = []

    def __len__(self) -> int:
        return len(self._records)

    def records(self) -> tuple[CommandRecord, ...]:
        """All kept records, oldest first."""
        return tuple(self._records.values())

    def subscribe(self, callback: Callable[[CommandRecord], None]) -> Callable[[], None]:
        """Calls `callback` with each new or changed record; returns what ends the subscription."""
        self._callbacks.append(callback)

        def unsubscribe() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return unsubscribe

    def begin(self, host: str, command: str) -> int:
        """Records a command that starts now; the number returned is for `end`."""
        record = CommandRecord(next(self._ids), self._clock.now(), host, clean_line(redact(command)))
        self._started[record.id] = self._clock.boot_s()
        self._put(record)
        while len(self._records) > self._limit:
            dropped, _ = self._records.popitem(last=False)
            self._started.pop(dropped, None)
        return record.id

    def end(self, record_id: int, exit_status: int | None) -> None:
        """Records that command `record_id` is over; None means its outcome is not known."""
        started = self._started.pop(record_id, None)
        record = self._records.get(record_id)
        if record is None or started is None:
            return
        took = self._clock.boot_s() - started
        self._put(replace(record, duration_s=took, exit_status=exit_status, running=False))

    def _put(self, record: CommandRecord) -> None:
        self._records[record.id] = record
        for callback in list(self._callbacks):
            callback(record)
