"""What the cockpit's screens stand on: the live fleet, the deployer, the journal, as `widgets.backend.Backend`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING

from vpai_tui.backend_hands import HandsOn
from vpai_tui.clock import rfc3339
from vpai_tui.description import sections
from vpai_tui.errors import OperatorError, PreflightRefused, UsageError
from vpai_tui.fleet import actions
from vpai_tui.fleet.describe import describe, inspect_yaml, last_log_lines, secrets_of
from vpai_tui.fleet.endpoints import place
from vpai_tui.fleet.history import Entry, who
from vpai_tui.fleet.model import FleetSnapshot, Hold, Service, Sync
from vpai_tui.fleet.operation import Event, Finished, Plan, Release
from vpai_tui.fleet.updates import Update, Updates, look
from vpai_tui.fleet.watch import FleetWatch
from vpai_tui.remote.command_log import CommandLog
from vpai_tui.remote.prompts import Prompts
from vpai_tui.widgets.backend import Act, Description, Settle
from vpai_tui.world import World

if TYPE_CHECKING:
    from vpai_tui.budget.session import Budget
    from vpai_tui.deploy.adopt import Proposal
    from vpai_tui.deploy.chronicle import Chronicle
    from vpai_tui.deploy.deployer import Deployer
    from vpai_tui.deploy.envfiles import EnvReport
    from vpai_tui.deploy.envinit import EnvDone, EnvPlan
    from vpai_tui.deploy.envkeeper import EnvKeeper
    from vpai_tui.deploy.survey import Survey
    from vpai_tui.fleet.doctor import CheckResult
    from vpai_tui.fleet.stacks import Stack
    from vpai_tui.logs.session import Logs
    from vpai_tui.morning import MorningLook
    from vpai_tui.ondemand.session import Studio
    from vpai_tui.remote.connection import Connection
    from vpai_tui.upkeep.backups.session import Backups
    from vpai_tui.upkeep.disk.session import Disks
    from vpai_tui.upkeep.laptop import Laptop
    from vpai_tui.upkeep.machine import Machines
    from vpai_tui.upkeep.news import Morning
    from vpai_tui.upkeep.surface import Surface
    from vpai_tui.vpn.session import Vpn


class LiveBackend(HandsOn):
    """One per running cockpit. With `read_only` every change is refused here too, whatever a screen asks."""

    def __init__(self, world: World, prompts: Prompts, *, read_only: bool = False) -> None:
        self._world = world
        self._read_only = read_only
        world.prompts = prompts
        self.command_log = CommandLog()
        world.log = self.command_log
        self._watch = FleetWatch(
            world.fleet,
            world.stacks,
            clock=world.clock,
            prompts=world.prompts,
            log=self.command_log,
            sync_probe=self._sync_of,
        )
        self._updates = Updates(world.laptop / "updates.json", world.clock)

    @cached_property
    def _deployer(self) -> Deployer:
        """Made at the first plan: what it imports would keep the hosts waiting at the start."""
        return self._world.deployer(self._watch)

    @cached_property
    def vpn(self) -> Vpn:
        """Headscale over the watched connections; nothing is asked before its first read."""
        return self._world.vpn(self._connection, read_only=self._read_only)

    @cached_property
    def budget(self) -> Budget:
        """LiteLLM's money over the watched connections; UsageError where no stack has LiteLLM."""
        return self._world.budget(self._connection, read_only=self._read_only)

    @cached_property
    def studio(self) -> Studio:
        """The stacks on demand, over the watched fleet; nothing is asked before its first look."""
        return self._world.studio(self._watch, lambda: self._deployer, read_only=self._read_only)

    @cached_property
    def loki(self) -> Logs:
        """Loki and the containers' own logs over the watched connections; nothing is asked at first."""
        docker_of = self._watch.docker
        return self._world.logs(self._connection, lambda it: docker_of(it.name))

    @cached_property
    def backups(self) -> Backups:
        from vpai_tui.upkeep.backups.session import Backups

        return Backups(self.upkeep)

    @cached_property
    def upkeep(self) -> Surface:
        """What checks, backups and disks of the watched fleet stand on."""
        return self._world.upkeep(self._watch, read_only=self._read_only)

    @cached_property
    def _morning(self) -> MorningLook:
        from vpai_tui.morning import MorningLook, Sources

        def services() -> Sequence[Service]:
            return self._watch.snapshot().services

        sources = Sources(
            self.history,
            self._spend,
            moved=lambda: self._updates.moved(services()),
            unasked=lambda: self._updates.unasked(services()),
        )
        return MorningLook(self.upkeep, sources)

    async def _spend(self) -> Mapping[str, float]:
        from vpai_tui.morning import spend_of

        return await spend_of(lambda: self.budget)

    async def morning(self) -> Morning:
        return await self._morning.look()

    def keep_look(self) -> str:
        return self._morning.keep() if "_morning" in self.__dict__ else ""

    def settle_look(self) -> str:
        return self._morning.settle()

    async def laptop(self) -> Laptop:
        return await self.upkeep.laptop()

    async def _sync_of(self, connection: Connection, stack: Stack) -> Mapping[str, Sync]:
        await asyncio.to_thread(import_module, "vpai_tui.deploy.deployer")
        return await self._deployer.sync_of(connection, stack)

    @property
    def disks(self) -> Disks:
        """What fills the disks of the watched hosts; nothing is asked at first."""
        from vpai_tui.upkeep.disk.session import Disks

        return Disks(self.upkeep)

    @property
    def machines(self) -> Machines:
        """Units, guards and open ports of the watched hosts; nothing is asked at first."""
        from vpai_tui.upkeep.machine import Machines

        return Machines(self.upkeep)

    @property
    def demo(self) -> Callable[[str, str], Awaitable[None]] | None:
        return None if self._world.demo is None else self._demo

    async def _demo(self, what: str, host: str) -> None:
        running = self._world.demo
        if running is not None and what == "budget":
            running.budget(host)
            return
        if running is not None and what == "loki":
            running.loki.switches.turn(host)
            return
        if running is not None and what == "move":
            running.move(host)
            self._updates.forget()
            return
        if running is not None and what == "studio":
            running.studio(host)
            return
        if running is not None and what in ("break", "mend"):
            (running.break_ if what == "break" else running.mend)(host)
            return
        if running is None or what not in ("cut", "heal") or host not in self._world.fleet.hosts:
            raise UsageError(
                f"demo {what} {host}",
                remedy="demo cut HOST, heal HOST, loki restart, budget 92, break CHECK, move IMG",
            )
        await (running.cut(host) if what == "cut" else running.heal(host))

    async def start(self) -> None:
        await self._watch.start()

    async def stop(self) -> None:
        await self.close_forwards()
        await self._close_vpn()
        await self._close_loki()
        await self._watch.stop()

    async def _close_vpn(self) -> None:
        vpn = self.__dict__.pop("vpn", None)
        if vpn is not None:
            with suppress(OperatorError):  # a key that cannot be deleted any more ends by itself
                await vpn.close()

    async def _close_loki(self) -> None:
        loki = self.__dict__.pop("loki", None)
        if loki is not None:
            await loki.close()

    def watch(self) -> AsyncIterator[FleetSnapshot]:
        return self._watch.watch()

    def snapshot(self) -> FleetSnapshot:
        """The fleet as it is known now."""
        return self._watch.snapshot()

    def reconnect(self, host: str | None) -> None:
        self._watch.reconnect(host)
        self._watch.recheck()

    async def plan(self, stack: str) -> Plan:
        return await self._deployer.plan(stack)

    async def plan_rollback(self, stack: str, release: str | None) -> Plan:
        return await self._deployer.plan_rollback(stack, release)

    def apply(self, plan: Plan) -> AsyncIterator[Event]:
        self._may_change()
        return self._deployer.apply(plan)

    async def releases(self, stack: str) -> list[Release]:
        return await self._deployer.releases(stack)

    def settle(self, stack: str, how: Settle) -> AsyncIterator[Event]:
        self._may_change()
        return self._deployer.settle(stack, how)

    def attach(self, stack: str) -> AsyncIterator[Event]:
        return self._deployer.attach(stack)

    async def hold(self, host: str, why: str) -> str:
        self._may_change()
        await self._deployer.hold(host, why)
        return self._world.history.problem

    async def lift(self, host: str, hold: Hold) -> str:
        self._may_change()
        await self._deployer.lift(host, hold)
        return self._world.history.problem

    async def survey(self, host: str) -> Survey:
        return await self._world.adopter().survey(self._watch.connection(host), self._watch.docker(host))

    async def propose(self, survey: Survey) -> Proposal:
        return await self._world.adopter().propose(survey, self._watch.docker(survey.host))

    async def adopt(self, proposal: Proposal) -> str:
        self._may_change()
        host, reason = proposal.host, ""
        try:
            async for event in self._world.adopter().carry_out(self._watch.connection(host), proposal):
                reason = event.reason if isinstance(event, Finished) else reason
        finally:  # the file is there, whatever came of the rest: its names hold from now on
            self._world.reread()
            self._watch.use(self._world.fleet, self._world.stacks, host)
            self.__dict__.pop("budget", None)
            self.__dict__.pop("studio", None)
            self.__dict__.pop("upkeep", None)
            self.__dict__.pop("backups", None)
            self.__dict__.pop("_morning", None)
            self.__dict__.pop("_deployer", None)  # made anew, for the new names; so is what knows the hub by them
            await self._close_vpn()
            await self._close_loki()
        if reason:
            raise PreflightRefused(
                f"{host} has its names in {proposal.path.name}, but not all that runs has a way back",
                host=host,
                step="adopt",
                output="\n".join(reason.split("; ")),
                remedy=f"put right what is said above, then adopt {host} again",
            )
        return self._world.history.problem

    async def history(self) -> Chronicle:
        from vpai_tui.deploy.chronicle import chronicle

        return await chronicle(self._connection, list(self._world.fleet.hosts), self._world.history)

    async def act(self, service_id: str, action: Act) -> str:
        self._may_change()
        return await act_and_record(self._world, self._watch, service_id, action)

    async def env_check(self, stack: str) -> EnvReport:
        return await self._env.check(stack)

    async def env_plan(self, stack: str) -> EnvPlan:
        return await self._env.plan(stack)

    async def env_init(self, plan: EnvPlan) -> EnvDone:
        self._may_change()
        return await self._env.init(plan)

    async def env_edit(self, stack: str, file: str) -> int:
        self._may_change()
        return (await self._env.edit(stack, file, wait=True))[1]

    @property
    def _env(self) -> EnvKeeper:
        from vpai_tui.deploy.envkeeper import EnvKeeper

        world = self._world
        return EnvKeeper(world.stacks, self._connection, world.clock, world.history)

    async def describe(self, service_id: str) -> Description:
        service = find(self._watch.snapshot(), service_id)
        events = self._watch.events(service.host, service.container.id) if service.container else ()
        facts = await describe(self._watch.docker(service.host), service, events)
        placed = place(self._world.stacks, self._world.fleet.domain, service.id)
        if (update := self._updates.of(service)) is not None:
            facts["image"]["update"] = update.why
        names = tuple(it["url"] for it in placed["access"] if it["url"])
        limit = facts.get("limits", {}).get("memory_bytes")
        return Description(service.id, tuple(sections(facts, placed)), names, limit)

    def check(self, service_id: str) -> AsyncIterator[CheckResult]:
        watch = self._watch
        live = lambda: [host.name for host in watch.snapshot().hosts if host.live]  # noqa: E731
        return self._world.questioner(live, self._connection).of({service_id})

    async def inspect_yaml(self, service_id: str) -> str:
        service = find(self._watch.snapshot(), service_id)
        return await inspect_yaml(self._watch.docker(service.host), _container_id(service))

    async def logs(self, service_id: str, lines: int) -> list[str]:
        service = find(self._watch.snapshot(), service_id)
        docker, container = self._watch.docker(service.host), _container_id(service)
        return await last_log_lines(docker, container, lines, await secrets_of(docker, container))

    async def look_for_updates(self) -> bool:
        watch = self._watch
        return await look(self._updates, lambda: watch.snapshot().services, watch.docker)

    def updates(self, service: Service) -> Update | None:
        return self._updates.of(service)

    def _may_change(self) -> None:
        if self._read_only:
            raise UsageError("this cockpit is read-only", remedy="open it without --read-only")

    async def _connection(self, host: str) -> Connection:
        return self._watch.connection(host)


async def act_and_record(world: World, watch: FleetWatch, service_id: str, action: Act) -> str:
    """Restart, stop or start one service; the result goes into the journal, and an error is raised after it.

    Returns why the journal could not be written, or an empty text.
    """
    service = find(watch.snapshot(), service_id)
    result = "failed"
    try:
        async for _ in actions.act(watch.docker(service.host), service, action, clock=world.clock):
            pass
        result = "done"
    except OperatorError as error:
        result = f"failed: {error.message}"
        raise
    finally:
        at = rfc3339(world.clock.now())
        world.history.append(Entry(at, who(), service.host, action, service.id, result))
    return world.history.problem


def find(snapshot: FleetSnapshot, service_id: str) -> Service:
    """The service of the snapshot with this id.

    Raises:
        UsageError: there is none.
    """
    found = next((item for item in snapshot.services if item.id == service_id), None)
    if found is None:
        raise UsageError(f"{service_id} is not in the fleet", remedy="vpai-tui status")
    return found


def _container_id(service: Service) -> str:
    if service.container is None:
        raise UsageError(f"{service.id} has no container", host=service.host)
    return service.container.id
