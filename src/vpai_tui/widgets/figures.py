"""What the metrics channel has told lately of services and hosts, in bounded rings, and how it is drawn over time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from vpai_tui.clock import duration
from vpai_tui.fleet.model import FleetSnapshot, Service
from vpai_tui.widgets import paint
from vpai_tui.widgets.paint import Line

if TYPE_CHECKING:
    from vpai_tui.fleet.trend import Past, Series

KEPT = 120  # samples of one service: ten minutes of the channel's pace
_DAY_S = 24 * 3600.0
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_LABEL = 16
_TEXT = 25  # cells behind a sparkline
_SPARK_LEAST, _SPARK_MOST = 8, 60


class Written(NamedTuple):
    """How a figure is written, and where its chart ends; None: at its own highest value."""

    write: Callable[[float], str]
    roof: float | None = None


_SERVICE = {"cpu": Written(paint.percent), "memory": Written(paint.size)}
HOST = {"load": Written("{:.1f}".format), "memory": Written(paint.percent, 100), "disk": Written(paint.percent, 100)}


class Sample(NamedTuple):
    """What one container used at one time."""

    at_boot_s: float
    cpu_percent: float | None  # of one core
    memory_bytes: int


@dataclass(slots=True)
class Figures:
    """The last samples of each service there is."""

    _kept: dict[str, deque[Sample]] = field(default_factory=dict)

    def take(self, before: Mapping[str, Service], snapshot: FleetSnapshot) -> None:
        """One sample more of every service whose host has told something new; those that are gone are forgotten."""
        for service in snapshot.services:
            if service.usage is None or service.stale or before.get(service.id) is service:
                continue
            ring = self._kept.setdefault(service.id, deque(maxlen=KEPT))
            metrics = snapshot.host(service.host).metrics
            at = metrics.at_boot_s if metrics is not None else snapshot.at_boot_s
            if not ring or ring[-1].at_boot_s != at:
                ring.append(Sample(at, service.usage.cpu_percent, service.usage.memory_bytes))
        if len(self._kept) > len(snapshot.services):
            known = {service.id for service in snapshot.services}
            self._kept = {name: ring for name, ring in self._kept.items() if name in known}

    def of(self, service_id: str) -> tuple[Sample, ...]:
        """The oldest first."""
        return tuple(self._kept.get(service_id, ()))


def spark(values: Sequence[float | None], width: int, most: float) -> str:
    """`values` in `width` cells, each the highest of its share, from 0 to `most`; a blank where nothing is known."""
    cells = []
    for cell in range(width):
        start = cell * len(values) // width
        share = [it for it in values[start : max(start + 1, (cell + 1) * len(values) // width)] if it is not None]
        if not share:
            cells.append(_EIGHTHS[0])
            continue
        height = round(max(share) / most * 8) if most > 0 else 0
        cells.append(_EIGHTHS[min(8, max(1, height))])
    return "".join(cells)


def by_time(series: Series, end_s: float, cells: int, span_s: float = _DAY_S) -> list[float | None]:
    """The highest value in each of `cells` equal parts of the `span_s` seconds before `end_s`; None in a gap."""
    found: list[float | None] = [None] * cells
    for at_s, value in series.points:
        cell = int((at_s - (end_s - span_s)) / span_s * cells)
        if 0 <= cell < cells:
            found[cell] = value if (known := found[cell]) is None else max(known, value)
    return found


def load_lines(
    service: Service | None,
    samples: Sequence[Sample],
    past: Past | None,
    limit_bytes: int | None,
    now_s: float,
    width: int,
) -> list[Line]:
    """CPU and memory of a service: now and lately, and the last day; why where there is no history."""
    cells = min(_SPARK_MOST, max(_SPARK_LEAST, width - _LABEL - _TEXT - 2))
    rows: list[Line] = [((" load", "head"),)]
    if samples and service is not None and service.usage is not None:
        rows += _lately(service, samples, limit_bytes, cells)
    elif service is not None and service.container is not None:
        rows.append(_row("now", "", f"{paint.STALE} no figures of this container yet", "stale"))
    return [*rows, *past_lines(past, _SERVICE, now_s, cells)]


def past_lines(past: Past | None, words: Mapping[str, Written], now_s: float, cells: int) -> list[Line]:
    """The last day of each figure that `words` names."""
    if past is None:
        return [_row("24 h", "", f"{paint.BUSY} asking VictoriaMetrics", "busy")]
    if past.why:
        return [_row("24 h", "", f"{paint.STALE} no history: {past.why}", "stale")]
    rows = []
    for name, (write, roof) in words.items():
        series = past.figures.get(name)
        if series is None:
            rows.append(_row(f"{name} 24 h", "", f"{paint.STALE} no history of it", "stale"))
            continue
        least, mean, most = (write(value) for value in (series.least, series.mean, series.most))
        text = f"{least} – {most}, mean {mean}"
        rows.append(_row(f"{name} 24 h", spark(by_time(series, now_s, cells), cells, roof or series.most), text))
    return rows


def _lately(service: Service, samples: Sequence[Sample], limit_bytes: int | None, cells: int) -> list[Line]:
    usage = service.usage
    assert usage is not None  # noqa: S101 (told to mypy: the caller has seen it)
    span = duration(samples[-1].at_boot_s - samples[0].at_boot_s)
    ahead: list[float | None] = [None] * (cells - len(samples))  # one sample is no long and even past
    cpu = [*ahead, *(it.cpu_percent for it in samples)]
    told = [it for it in cpu if it is not None]
    most = max(told, default=0.0)
    text = f"{paint.percent(usage.cpu_percent)} of a core, most {paint.percent(most)}"
    roof = float(limit_bytes or max(it.memory_bytes for it in samples))
    memory = paint.size(usage.memory_bytes) + (f" of {paint.size(limit_bytes)}" if limit_bytes else ", no limit")
    share = 100 * usage.memory_bytes / limit_bytes if limit_bytes else 0.0
    return [
        _row(f"cpu {span}", spark(cpu, cells, max(most, 1.0)), text),
        _row(
            f"memory {span}",
            spark([*ahead, *(float(it.memory_bytes) for it in samples)], cells, roof),
            memory,
            paint.level(share),
        ),
    ]


def _row(name: str, drawn: str, text: str, role: str = "") -> Line:
    head = (paint.fit(f"  {name}", _LABEL), "dim")
    return (head, (drawn, "accent"), ("  ", ""), (text, role)) if drawn else (head, (text, role))
