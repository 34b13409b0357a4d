"""A scripted past and scripted forwards."""

from __future__ import annotations

from math import sin

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.forward import Forward
from vpai_tui.fleet.model import Service
from vpai_tui.fleet.trend import DAY_S, Past, Point, Series

from .fake_fleet import FixedClock


def series(least: float, most: float, waves: float = 3.0) -> Series:
    """A day that goes up and down between the two, until the tests' own now."""
    end = FixedClock().now().timestamp()
    middle, swing = (least + most) / 2, (most - least) / 2
    points = [Point(end - DAY_S + at * 300, middle + swing * sin(at * waves / 45)) for at in range(289)]
    return Series({}, tuple(points))


class FakeTrends:
    """The same day for each; `why` in place of it."""

    def __init__(self) -> None:
        self.why = "no stack has VictoriaMetrics"
        self.asked: list[str] = []

    async def of_service(self, service: Service) -> Past:
        self.asked.append(service.id)
        if self.why:
            return Past({}, self.why)
        return Past({"cpu": series(0.4, 31.0), "memory": series(180e6, 320e6, 1.0)})

    async def of_host(self, host: str) -> Past:
        self.asked.append(host)
        if self.why:
            return Past({}, self.why)
        figures = {"load": series(0.2, 2.4), "memory": series(41.0, 63.0, 1.0), "disk": series(55.0, 58.0, 0.2)}
        return Past(figures if host != "pi" else {"load": series(0.2, 2.4)})


class FakeForwards:
    """Those that a test puts there, and what was asked."""

    def __init__(self) -> None:
        self.made: list[Forward] = []
        self.asked: list[tuple[object, ...]] = []
        self.fails: OperatorError | None = None

    @property
    def running(self) -> tuple[Forward, ...]:
        return tuple(self.made)

    async def open(self, service: str, port: int | None = None, local: int | None = None) -> Forward:
        self.asked.append(("open", service, port, local))
        if self.fails is not None:
            raise self.fails
        if service.endswith("/none"):
            raise UsageError("no such service")
        number = len(self.made) + 1
        made = Forward(number, service, service.partition("/")[0], port or 5432, port or 5432, FixedClock().boot_s())
        self.made.append(made)
        return made

    async def shut(self, forward: Forward) -> None:
        self.asked.append(("shut", forward.service))
        self.made.remove(forward)
