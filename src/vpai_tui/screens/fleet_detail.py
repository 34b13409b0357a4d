"""What is told of the service under the cursor: its facts, how its names fare, what it uses now and used in a day."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vpai_tui.widgets import detail
from vpai_tui.widgets.context import Context
from vpai_tui.widgets.figures import load_lines
from vpai_tui.widgets.paint import Line

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpai_tui.fleet.doctor import CheckResult
    from vpai_tui.fleet.trend import Past
    from vpai_tui.widgets.backend import Backend, Description


@dataclass(slots=True)
class Told:
    """One service as it is described; it grows while it is asked, and is drawn anew with every snapshot."""

    subject: str
    description: Description
    checks: list[CheckResult] = field(default_factory=list)
    asking: bool = False
    past: Past | None = None
    limit_bytes: int | None = None

    def lines(self, context: Context, width: int) -> list[Line]:
        """What is known by now: first who it is, then what it uses, then the rest."""
        service = context.service(self.subject)
        samples = context.figures.of(self.subject)
        now_s = context.clock.now().timestamp()
        load = load_lines(service, samples, self.past, self.limit_bytes, now_s, width)
        checks = detail.check_lines(self.checks, asking=self.asking)
        return detail.description_lines(self.description, checks, load)

    async def ask(self, backend: Backend, context: Context, draw: Callable[[], None]) -> None:
        """Asks whether its names lead to it, and for its last day; drawn as each is known."""
        await asyncio.gather(self._check(backend, draw), self._ask_past(backend, context, draw))

    async def _check(self, backend: Backend, draw: Callable[[], None]) -> None:
        if not self.description.names:
            return
        self.asking = True
        try:
            async for result in backend.check(self.subject):
                self.checks.append(result)
                draw()
        finally:
            self.asking = False
        draw()

    async def _ask_past(self, backend: Backend, context: Context, draw: Callable[[], None]) -> None:
        service = context.service(self.subject)
        if service is not None:
            self.past = await backend.trends.of_service(service)
            draw()
