"""What the day will have cost at its end, and when the cap will be reached. Pure; hours are the budget's own.

The day is cut into its real hours (23 to 25 of them). How much of a day's money each of them takes is learnt from past
days and mixed with an even spread, which is all there is without them. Early in the day, past days' totals hold the
estimate; the later it is, the more today's own spend counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from vpai_tui.budget.model import Forecast

_HOUR = timedelta(hours=1)
_PAST_WEIGHT = 0.15  # past days count as much as this part of today
_EARLY = 0.02  # of the day; before, today's spend alone says nothing
_SILENT = 0.25  # of the day without any spend until that says something
_RATE_LEAST_H = 0.1


def midnight(day: date, zone: tzinfo) -> datetime:
    """When `day` begins in `zone`, in UTC. Where a clock change takes midnight away, the moment of the change."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def forecast(
    now: datetime,
    zone: tzinfo,
    spent_usd: float,
    *,
    cap_usd: float | None = None,
    hours: Mapping[int, float] | None = None,
    past: Sequence[Mapping[int, float]] = (),
    stopped: bool = False,
) -> Forecast:
    """`hours`: today's dollars by hour; `past`: those of days before, in any order; `stopped`: nothing paid is answered
    any more, so what was spent stays. `cap_reached_at` lies between now and midnight."""
    curve = _Curve.of(now, zone, past)
    done = curve.share(now)
    rate = _rate(now, zone, curve.begin, spent_usd, hours)
    over = cap_usd is not None and cap_usd > 0 and spent_usd >= cap_usd
    if stopped:
        return Forecast(spent_usd, now if over else None, rate)
    whole = _whole_day(done, spent_usd, past)
    if whole is None:
        return Forecast(None, now if over else None, rate)
    end = max(spent_usd, spent_usd + (1 - done) * whole)
    return Forecast(end, now if over else _reached(curve, now, done, whole, spent_usd, end, cap_usd), rate)


def _whole_day(done: float, spent: float, past: Sequence[Mapping[int, float]]) -> float | None:
    """What a whole day costs at today's pace; None where nothing can be said yet."""
    if not past:
        return None if done < (_EARLY if spent > 0 else _SILENT) else spent / done
    usual = math.fsum(math.fsum(day.values()) for day in past) / len(past)
    return (spent + _PAST_WEIGHT * usual) / (done + _PAST_WEIGHT)


def _reached(
    curve: _Curve, now: datetime, done: float, whole: float, spent: float, end: float, cap: float | None
) -> datetime | None:
    if not cap or cap <= 0 or end < cap or whole <= 0:
        return None
    return min(max(now, curve.when(done + (cap - spent) / whole)), curve.end)


def _rate(
    now: datetime, zone: tzinfo, begin: datetime, spent: float, hours: Mapping[int, float] | None
) -> float | None:
    """Dollars an hour: of this hour and the one before where hours are known, else of the day so far."""
    elapsed = (now.astimezone(UTC) - begin) / _HOUR
    if hours is not None:
        local = now.astimezone(zone)
        recent = [hours.get(it, 0.0) for it in {local.hour, max(local.hour - 1, 0)}]
        span = min(elapsed, local.minute / 60 + 1)
        return math.fsum(recent) / span if span >= _RATE_LEAST_H else None
    return spent / elapsed if elapsed >= _RATE_LEAST_H else None


@dataclass(frozen=True, slots=True)
class _Curve:
    """How a day's money spreads: `steps` are the shares of its real hours, in order; together 1."""

    begin: datetime
    end: datetime
    steps: tuple[float, ...]

    @classmethod
    def of(cls, now: datetime, zone: tzinfo, past: Sequence[Mapping[int, float]]) -> _Curve:
        day = now.astimezone(zone).date()
        begin, end = midnight(day, zone), midnight(day + timedelta(days=1), zone)
        count = max(1, math.ceil((end - begin) / _HOUR))
        labels = [(begin + index * _HOUR).astimezone(zone).hour for index in range(count)]
        spans = [min(_HOUR, end - begin - index * _HOUR) / (end - begin) for index in range(count)]
        learnt = [weight / labels.count(label) for label, weight in zip(labels, _weights(labels, past), strict=True)]
        known = math.fsum(learnt)
        trust = len(past) / (len(past) + 1) if known > 0 else 0.0
        steps = [
            trust * (own / known if known > 0 else 0.0) + (1 - trust) * even
            for own, even in zip(learnt, spans, strict=True)
        ]
        return cls(begin, end, tuple(steps))

    def share(self, at: datetime) -> float:
        """The share of the day's money that is spent by then, 0 to 1."""
        passed = min(max(at.astimezone(UTC), self.begin), self.end) - self.begin
        whole, rest = divmod(passed, _HOUR)
        full = math.fsum(self.steps[:whole])
        part = self.steps[whole] * min(1.0, rest / self._length(whole)) if whole < len(self.steps) else 0.0
        return min(1.0, full + part)

    def when(self, share: float) -> datetime:
        """When that share is spent."""
        left = share
        for index, step in enumerate(self.steps):
            if left <= step:
                part = left / step if step > 0 else 0.0
                return self.begin + index * _HOUR + part * self._length(index)
            left -= step
        return self.end

    def _length(self, index: int) -> timedelta:
        """How long the hour is: the last one of a day may be cut short."""
        return min(_HOUR, self.end - self.begin - index * _HOUR)


def _weights(labels: Sequence[int], past: Sequence[Mapping[int, float]]) -> list[float]:
    """What each hour of the clock took on past days; each day counts the same, whatever it cost."""
    totals = [(day, math.fsum(day.values())) for day in past]
    return [math.fsum(day.get(label, 0.0) / total for day, total in totals if total > 0) for label in labels]
