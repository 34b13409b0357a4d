"""What the screens need from the rest of the program: one protocol, built after the first frame by a factory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from vpai_tui.remote.prompts import Prompts

if TYPE_CHECKING:
    from vpai_tui.budget.session import Budget
    from vpai_tui.deploy.adopt import Proposal
    from vpai_tui.deploy.chronicle import Chronicle
    from vpai_tui.deploy.envfiles import EnvReport
    from vpai_tui.deploy.envinit import EnvDone, EnvPlan
    from vpai_tui.deploy.survey import Survey
    from vpai_tui.fleet.doctor import CheckResult
    from vpai_tui.fleet.forward import Forwards
    from vpai_tui.fleet.model import FleetSnapshot, Hold, Service
    from vpai_tui.fleet.operation import Event, Plan, Release
    from vpai_tui.fleet.trend import Trends
    from vpai_tui.fleet.updates import Update
    from vpai_tui.logs.session import Logs
    from vpai_tui.ondemand.session import Studio
    from vpai_tui.remote.command_log import CommandLog
    from vpai_tui.upkeep.backups.session import Backups
    from vpai_tui.upkeep.disk.session import Disks
    from vpai_tui.upkeep.laptop import Laptop
    from vpai_tui.upkeep.machine import Machines
    from vpai_tui.upkeep.news import Morning
    from vpai_tui.upkeep.surface import Surface
    from vpai_tui.vpn.session import Vpn

Act = Literal["restart", "stop", "start"]
Settle = Literal["resume", "revert"]


REACHED = "reached at"  # the section of where a service answers


@dataclass(frozen=True, slots=True)
class Section:
    """One titled part of a description: ordered name and value pairs."""

    title: str
    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Description:
    """Everything known of a service, in the order it is read."""

    title: str
    sections: tuple[Section, ...]
    names: tuple[str, ...] = ()  # its own, which `check` asks for
    limit_bytes: int | None = None  # of memory


class Backend(Protocol):
    """The live fleet and what can be done to it. Every failure is an OperatorError."""

    @property
    def command_log(self) -> CommandLog: ...

    @property
    def demo(self) -> Callable[[str, str], Awaitable[None]] | None:
        """`demo("cut", "pi")` on a simulated fleet; None on a real one."""
        ...

    @property
    def disks(self) -> Disks:
        """What fills the hosts' disks, and freeing them; nothing is asked at first."""
        ...

    @property
    def machines(self) -> Machines:
        """Units, guards and open ports of the hosts; nothing is asked at first."""
        ...

    @property
    def vpn(self) -> Vpn:
        """Headscale's nodes and records; UsageError when the fleet has no hub."""
        ...

    @property
    def budget(self) -> Budget:
        """LiteLLM's money and the two knobs; UsageError when the fleet has no LiteLLM."""
        ...

    @property
    def studio(self) -> Studio:
        """The stacks on demand: how they stand, start, stop, idle stop; nothing is asked at first."""
        ...

    @property
    def trends(self) -> Trends:
        """What was, by VictoriaMetrics; nothing is asked at first."""
        ...

    @property
    def forwards(self) -> Forwards:
        """Ports of services on this laptop."""
        ...

    @property
    def loki(self) -> Logs:
        """Logs of everything: from Loki, else from the containers themselves; nothing is asked at first."""
        ...

    @property
    def backups(self) -> Backups:
        """What is backed up; a backup now, a restore test; nothing is asked at first."""
        ...

    @property
    def upkeep(self) -> Surface:
        """What checks, backups and disks stand on; nothing is asked at first."""
        ...

    async def morning(self) -> Morning:
        """Every check, and what has happened since the last look; what failed is in it, nothing is raised."""
        ...

    async def laptop(self) -> Laptop:
        """How this laptop itself stands in the VPN."""
        ...

    def keep_look(self) -> str:
        """This moment is the last look for whoever looks next; why it could not be kept, mostly nothing."""
        ...

    def settle_look(self) -> str:
        """The same, and news are told against it from now on."""
        ...

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def watch(self) -> AsyncIterator[FleetSnapshot]: ...
    def reconnect(self, host: str | None) -> None: ...
    async def plan(self, stack: str) -> Plan: ...
    async def plan_rollback(self, stack: str, release: str | None) -> Plan: ...
    def apply(self, plan: Plan) -> AsyncIterator[Event]: ...
    async def releases(self, stack: str) -> list[Release]: ...
    def settle(self, stack: str, how: Settle) -> AsyncIterator[Event]: ...
    def attach(self, stack: str) -> AsyncIterator[Event]:
        """Follow a deploy that already runs on the host, from the start of its journal."""
        ...

    async def hold(self, host: str, why: str) -> str:
        """Freeze deploys on a host; returns what must be said of it though it is done, mostly nothing."""
        ...

    async def lift(self, host: str, hold: Hold) -> str:
        """Let deploys go again, if this hold is still the one there; returns as `hold` does."""
        ...

    async def survey(self, host: str) -> Survey:
        """What runs on a host, against its stacks' services."""
        ...

    async def propose(self, survey: Survey) -> Proposal:
        """The file that a decided survey makes."""
        ...

    async def adopt(self, proposal: Proposal) -> str:
        """Write it, record the way back, take the new names at once; returns what must be said, mostly nothing.

        Raises PreflightRefused where something has no way back; the names are taken all the same.
        """
        ...

    async def history(self) -> Chronicle:
        """What was done on every host, from any laptop; hosts that do not answer are named in it."""
        ...

    async def act(self, service_id: str, action: Act) -> str:
        """Restart, stop or start; returns what must be said of it though it is done, mostly nothing."""
        ...

    async def env_check(self, stack: str) -> EnvReport:
        """What the env files of a stack lack."""
        ...

    async def env_plan(self, stack: str) -> EnvPlan:
        """What writing what they lack would do."""
        ...

    async def env_init(self, plan: EnvPlan) -> EnvDone: ...
    async def env_edit(self, stack: str, file: str) -> int:
        """Edit one on this process's terminal, which the screens have given away; the editor's exit status."""
        ...

    async def shell(self, place: str) -> int:
        """A shell in a service or on a host, on this process's terminal as above; its exit status."""
        ...

    async def edit_stack(self, stack: str, file: str) -> tuple[str, ...]:
        """A file of a stack in the laptop's editor, on the terminal as above; the files that are others now."""
        ...

    async def reread(self) -> None:
        """Take the stacks from their files again. UsageError with file and line where one is wrong: all stays as it
        was."""
        ...

    async def describe(self, service_id: str) -> Description: ...
    def check(self, service_id: str) -> AsyncIterator[CheckResult]:
        """Whether a service's names lead to it: one line after the other, as they are known; none without a name."""
        ...

    async def look_for_updates(self) -> bool:
        """Ask the registries that are due whether tags have moved, slowly; whether anything was learnt."""
        ...

    def updates(self, service: Service) -> Update | None:
        """What is known of a service's image by now; None where there is nothing to be known."""
        ...

    async def inspect_yaml(self, service_id: str) -> str: ...
    async def logs(self, service_id: str, _lines: int, /) -> list[str]:
        """The last lines a service wrote, oldest first, at most as many as asked for."""
        ...


# Called after the first frame: it may import what is slow. It is given who asks the operator.
BackendFactory = Callable[[Prompts], Awaitable[Backend]]
