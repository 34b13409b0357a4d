"""Each change of an alert once: what a notification has told already, kept on the laptop.

An alert is gone only after it was away for a while, so that one that comes and goes around its threshold is told once;
how often it came is remembered, and too often is a finding of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.fleet.model import Alert
from vpai_tui.text import clean_line
from vpai_tui.upkeep.examiner import Source
from vpai_tui.upkeep.table import BY_ID

if TYPE_CHECKING:
    from vpai_tui.upkeep.surface import Surface

CHECK = "quiet-alerts"
AWAY = timedelta(minutes=15)  # before it counts as gone
RESTLESS = 6  # times in a day that it may come
_DAY = timedelta(days=1)
_KEPT = 500  # alerts in the file
_READ_LIMIT = 1 << 20


class _Known(msgspec.Struct, frozen=True):
    message: str
    seen_at: datetime
    here: bool = True
    came: tuple[datetime, ...] = ()  # within the last day


class _File(msgspec.Struct, frozen=True):
    asked_at: datetime | None = None
    alerts: dict[str, _Known] = {}


@dataclass(frozen=True, slots=True)
class Change:
    """What is new: alerts that came, and those that went, by what they said last."""

    came: tuple[Alert, ...]
    went: tuple[str, ...]
    problem: str = ""  # why it could not be kept: it would be told again


class Told:
    """`told-alerts.json` in the laptop's own folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "told-alerts.json"

    def changes(
        self, alerts: Sequence[Alert], now: datetime, *, gone: Set[str] = frozenset(), unknown: Sequence[Finding] = ()
    ) -> Change:
        """What was not told before; from now on it was. Of hosts that are `gone`, and of checks that are `unknown`,
        nothing that was told goes: nobody has looked."""
        known = _fresh(self._load().alerts, now)
        here = {_key(alert): alert for alert in alerts}
        came = tuple(alert for key, alert in here.items() if key not in known or not known[key].here)
        for key, alert in here.items():
            known[key] = _seen(known.get(key), alert, now)
        went = []
        for key, it in list(known.items()):
            if it.here and key not in here and _unasked(key, it.message, gone, unknown):
                known[key] = msgspec.structs.replace(it, seen_at=now)
            elif it.here and key not in here and now - it.seen_at >= AWAY:
                known[key] = msgspec.structs.replace(it, here=False)
                went.append(it.message)
        return Change(came, tuple(went), self._save(_File(now, known)))

    def findings(self, now: datetime) -> Iterator[Finding]:
        """`quiet-alerts`."""
        file = self._load()
        if file.asked_at is None:
            why = "nothing asks for notifications here: see the timer in docs/day-two.md"
            yield Finding(CHECK, "", "", Standing.UNKNOWN, why)
            return
        try:
            silent = now - file.asked_at
        except TypeError:  # a time without its zone: not ours
            silent = _DAY
        if not timedelta(0) <= silent < _DAY:
            why = f"nothing has asked for notifications since {file.asked_at:%Y-%m-%d %H:%M}: is its timer on?"
            yield Finding(CHECK, "", "", Standing.UNKNOWN, why)
            return
        restless = [(key, len(it.came)) for key, it in _fresh(file.alerts, now).items() if len(it.came) > RESTLESS]
        for key, times in restless:
            host, _, subject = key.partition("\t")
            yield Finding(CHECK, host, subject, Standing.WARN, f"came {times} times within a day")
        if not restless:
            yield Finding(CHECK, "", "", Standing.OK, f"none came more than {RESTLESS} times within a day")

    def _load(self) -> _File:
        """Empty where there is none, or one that cannot be read: the worst that follows is a word too many."""
        try:
            with self.path.open("rb") as file:
                return msgspec.json.decode(file.read(_READ_LIMIT), type=_File)
        except (OSError, msgspec.DecodeError, RecursionError):
            return _File()

    def _save(self, file: _File) -> str:
        newest = sorted(file.alerts.items(), key=lambda item: item[1].seen_at)[-_KEPT:]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            new = self.path.with_suffix(".new")
            new.write_bytes(msgspec.json.encode(msgspec.structs.replace(file, alerts=dict(newest))))
            new.replace(self.path)
        except OSError as error:
            return f"{self.path} could not be written: {clean_line(error.strerror or str(error))}"
        return ""


def told_source(surface: Surface) -> Source:
    """What the notifications of this laptop are like."""

    async def ask() -> Sequence[Finding]:
        return list(Told(surface.folder).findings(surface.clock.now()))

    return Source("this laptop's notifications", (CHECK,), "", ask)


def _unasked(key: str, message: str, gone: Set[str], unknown: Sequence[Finding]) -> bool:
    """Whether what would tell of an alert could not be asked; an alert of a check has its title."""
    host, subject, _ = key.split("\t", 2) if key.count("\t") >= 2 else (key, "", "")
    titles = [BY_ID[it.check].title for it in unknown if it.host in ("", host)]
    return host in gone or any(subject == it or message.startswith(f"{host} {subject}: {it}: ") for it in titles)


def _key(alert: Alert) -> str:
    return f"{alert.host}\t{alert.subject}\t{alert.severity}"


def _seen(before: _Known | None, alert: Alert, now: datetime) -> _Known:
    new = before is None or not before.here
    came = (*(before.came if before else ()), *([now] if new else ()))
    return _Known(f"{alert.host} {alert.subject}: {alert.message}", now, True, came)


def _fresh(alerts: dict[str, _Known], now: datetime) -> dict[str, _Known]:
    """Without what is long gone; times to come are those of a clock that was wrong."""
    found = {}
    for key, it in alerts.items():
        try:
            came = tuple(at for at in it.came if timedelta(0) <= now - at <= _DAY)
            seen_at = min(it.seen_at, now)
        except TypeError:  # a time without its zone: not ours
            continue
        if it.here or came or now - seen_at <= _DAY:
            found[key] = _Known(it.message, seen_at, it.here, came)
    return found
