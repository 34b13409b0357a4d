"""A host that answers nothing, whatever is asked of it: keys and the other hosts' news are drawn as ever."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import NoReturn

from vpai_tui.fleet.model import Health, HostState, Service
from vpai_tui.fleet.operation import Plan, Release
from vpai_tui.widgets.backend import Description

from . import fake_fleet as fake
from .conftest import OpenCockpit
from .fake_backend import FakeBackend


class Hung(FakeBackend):
    """Every question ends in an await that nobody answers."""

    async def describe(self, service_id: str) -> Description:
        return await self._never("describe", service_id)

    async def logs(self, service_id: str, lines: int) -> list[str]:
        return await self._never("logs", service_id)

    async def releases(self, stack: str) -> list[Release]:
        return await self._never("releases", stack)

    async def plan(self, stack: str) -> Plan:
        return await self._never("plan", stack)

    async def _never(self, what: str, subject: str) -> NoReturn:
        self.asked.append((what, subject))
        await asyncio.Event().wait()
        raise AssertionError


async def test_keys_and_news_go_on_while_every_question_hangs(cockpit: OpenCockpit) -> None:
    first = fake.troubled()
    backend = Hung(first)
    async with cockpit(first, backend=backend) as at:
        for _ in range(3):  # asked again and again, and never answered
            await at.pilot.press("enter")
            await at.pilot.pause(0.05)
            await at.pilot.press("escape", "l")
            await at.pilot.pause(0.05)
            await at.pilot.press("escape")
        await at.pilot.pause(0.05)
        assert [asked[0] for asked in backend.asked].count("describe") >= 1, backend.asked
        await at.pilot.press("v")
        await at.pilot.pause(0.05)
        await at.pilot.press("escape")

        def sick(service: Service) -> Service:
            return replace(service, health=Health.DOWN) if service.service == "redis" else service

        news = replace(first, services=tuple(map(sick, first.services)))
        assert HostState.READY in {host.link.state for host in news.hosts}
        backend.put(news)
        async with asyncio.timeout(20):
            while not any("redis" in line and "down" in line for line in at.text().splitlines()):
                await at.pilot.pause(0.05)
        await at.pilot.press("ctrl+q")
        await at.pilot.pause(0.05)
        await at.pilot.press("right", "enter")
        await at.pilot.pause(0.05)
        assert at.app._exit
