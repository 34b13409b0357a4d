"""Reads the budget of one fleet over its SSH connections: all of it, or what the fleet's alert list needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from vpai_tui.budget import activity, counters
from vpai_tui.budget.alerts import alerts_of
from vpai_tui.budget.counters import Counters
from vpai_tui.budget.findings import gather
from vpai_tui.budget.fold import fold
from vpai_tui.budget.model import BudgetSnapshot, Enforcement
from vpai_tui.budget.places import Places, find_places, host_of
from vpai_tui.budget.settings import Settings, settings_of
from vpai_tui.budget.transport import Inside
from vpai_tui.clock import Clock
from vpai_tui.config import Fleet
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.model import Alert
from vpai_tui.fleet.stacks import Stack
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.files import read_file


@dataclass(frozen=True, slots=True)
class Ground:
    """What one look stands on: the connection as it lives now, the containers there, and the way into them."""

    connection: Connection
    places: Places
    inside: Inside


class Reader:
    """Made cheap: nothing is asked before the first read.

    Raises:
        UsageError: no stack of the fleet has LiteLLM.
    """

    def __init__(
        self, fleet: Fleet, stacks: Sequence[Stack], connection: Callable[[str], Awaitable[Connection]], clock: Clock
    ) -> None:
        self.host, self.stack, self.service = host_of(fleet, stacks)
        self._connection = connection
        self._clock = clock
        self._known: Ground | None = None

    @property
    def service_id(self) -> str:
        """host/stack/service, for messages, alerts and the journal."""
        return f"{self.stack.id}/{self.service}"

    async def ground(self) -> Ground:
        """Looks at the host's containers as they are now. OperatorError: the host or its Docker does not answer."""
        connection = await self._connection(self.host)
        places = await find_places(connection, self.stack, self.service)
        self._known = Ground(connection, places, places.inside_of(connection))
        return self._known

    async def snapshot(self) -> BudgetSnapshot:
        """Everything that can be learnt now. What LiteLLM, Redis or the database do not answer is told in `notes` and
        `error`, and the rest is there all the same.

        Raises:
            OperatorError: the host cannot be reached, or its Docker not be asked.
        """
        ground = await self.ground()
        return fold(await gather(ground.inside, ground.places, lambda: self.settings(ground), self._clock.now))

    async def settings(self, ground: Ground) -> Settings:
        """litellm_config.yaml on the host. OperatorError: it is not to be found there, or not to be read."""
        places = ground.places
        if places.config is None:
            raise OperatorError(f"{places.inside} of the container is no file of the host", host=self.host)
        content = await read_file(ground.connection, places.config, root=True)
        if content is None:
            raise OperatorError(f"there is no {places.config}", host=self.host)
        return settings_of(content, places.config)

    async def counters(self, ground: Ground | None = None) -> Counters:
        """What Redis holds now. OperatorError: Redis cannot be asked."""
        ground = ground or await self.ground()
        raw = await ground.inside.redis(counters.READ_LUA, *counters.read_arguments(self._clock.now()))
        return counters.counters_of(raw, self._clock.now())

    async def alerts(self) -> tuple[Alert, ...]:
        """The alerts of a snapshot by Redis alone, for the fleet's list: one command while the callback beats.

        Without a heartbeat the containers are looked at again, and LiteLLM is asked whether it is up: one that does not
        run has an alert of its own, and one that starts beats soon.

        Raises:
            OperatorError: the host or Redis does not answer.
        """
        found = await self._fresh_counters()
        if found is None:
            ground = await self.ground()
            found = await self.counters(ground)
            if not found.fresh and not await _answers(ground):
                return ()
        beat = found.beat if found.fresh else None
        return alerts_of(
            self.host,
            self.service_id,
            day=beat.day if beat else self._clock.now().date(),
            spend_usd=beat.spend_usd if beat else None,
            cap_usd=beat.cap_usd if beat else None,
            enforcement=Enforcement.ENFORCED if beat else Enforcement.DECLARED,
            mode=beat.effective if beat else None,
        )

    async def _fresh_counters(self) -> Counters | None:
        """By the containers of the last look; None where they are not there any more, or nothing beats."""
        known = self._known
        if known is None or known.connection is not await self._connection(self.host):
            return None
        try:
            found = await self.counters(known)
        except OperatorError:
            return None
        return found if found.fresh else None


async def _answers(ground: Ground) -> bool:
    place = ground.places.litellm
    if place is None or not place.running:
        return False
    (answer,) = await ground.inside.litellm([activity.READINESS])
    return bool(answer.status)
