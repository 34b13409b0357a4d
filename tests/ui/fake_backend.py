"""A scripted backend: exact answers, and what was asked of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from vpai_tui.deploy.adopt import Proposal
from vpai_tui.deploy.chronicle import Chronicle
from vpai_tui.deploy.envfiles import EnvReport
from vpai_tui.deploy.envinit import EnvDone, EnvPlan
from vpai_tui.deploy.survey import Survey
from vpai_tui.errors import CommandFailed, OperatorError, UsageError
from vpai_tui.fleet.doctor import CheckResult
from vpai_tui.fleet.model import (
    FleetSnapshot,
    Hold,
    Service,
)
from vpai_tui.fleet.operation import Event, Plan, Release
from vpai_tui.fleet.updates import Update
from vpai_tui.remote.command_log import CommandLog
from vpai_tui.upkeep.examiner import Report
from vpai_tui.upkeep.laptop import Laptop
from vpai_tui.upkeep.news import Morning, Since
from vpai_tui.widgets.backend import Act, Description, Section, Settle

from .fake_answers import _N8N, CHRONICLE, ENV_PLAN, ENV_REPORT, RELEASES, chosen, make_plan, make_proposal, make_survey
from .fake_fleet import FixedClock
from .fake_hands import FakeForwards, FakeTrends


class FakeBackend:
    """Gives what a test scripts, and remembers what was asked of it."""

    def __init__(self, first: FleetSnapshot | None = None, *, clock: FixedClock | None = None) -> None:
        self.clock = clock or FixedClock()
        self.asked: list[tuple[object, ...]] = []
        self.plan_made: Plan | OperatorError = make_plan()
        self.script: list[Event] = []
        self.then: OperatorError | None = None
        self.gate = asyncio.Event()  # an operation goes on past its script when set
        self.release_list: list[Release] | OperatorError = RELEASES
        self.chronicle: Chronicle | OperatorError = CHRONICLE
        self.act_fails: OperatorError | None = None
        self.act_note = ""
        self.shell_ends = 0
        self.edit_changes: tuple[str, ...] = ("compose.yaml",)
        self.reread_fails: list[UsageError] = []
        self.fake_trends = FakeTrends()
        self.fake_forwards = FakeForwards()
        self.checks = [
            CheckResult("sese", "dns", True, "mayi.example.org → 100.64.0.14 (sese)"),
            CheckResult("sese", "tls", True, "mayi.example.org: certificate until 2026-05-01, 63 days"),
            CheckResult("sese", "http", True, "mayi.example.org answers 200"),
        ]
        self.updates_of: dict[str, Update] = {}
        self.checks_held: asyncio.Event | None = None  # what keeps the last check from coming
        self.surveyed = make_survey()
        self.proposal = make_proposal()
        self.command_log = CommandLog(clock=self.clock)
        self.fake_disks: Any = None  # a FakeDisks, made when it is first wanted
        self.fake_machines: Any = None  # a FakeMachines, likewise
        self.fake_vpn: Any = None  # a FakeVpn; a quiet one is made when it is first wanted
        self.fake_budget: Any = None  # a FakeBudget; a quiet one is made when it is first wanted
        self.fake_studio: Any = None  # a FakeStudio; one without anything on demand is made when it is first wanted
        self.fake_backups: Any = None  # a FakeBackups; one where all is well is made when it is first wanted
        self.fake_logs: Any = None  # a FakeLogs; one that knows nothing is made when it is first wanted
        self.morning_told: Morning | OperatorError = Morning(Report(0.0, ()), Since(None))
        self.laptop_told = Laptop(None, why="tailscale is not installed here")
        self.looks: list[str] = []  # what was kept, and settled
        self._snapshots: asyncio.Queue[FleetSnapshot] = asyncio.Queue()
        if first is not None:
            self.put(first)

    def put(self, snapshot: FleetSnapshot) -> None:
        """The next snapshot the watch gives."""
        self._snapshots.put_nowait(snapshot)

    @property
    def demo(self) -> Callable[[str, str], Awaitable[None]] | None:
        return self._steer

    @property
    def backups(self) -> Any:
        if self.fake_backups is None:
            from .fake_backups import FakeBackups

            self.fake_backups = FakeBackups()
        return self.fake_backups

    @property
    def upkeep(self) -> Any:
        return None

    async def morning(self) -> Morning:
        self.asked.append(("morning",))
        if isinstance(self.morning_told, OperatorError):
            raise self.morning_told
        return self.morning_told

    async def laptop(self) -> Laptop:
        return self.laptop_told

    def keep_look(self) -> str:
        self.looks.append("kept")
        return ""

    def settle_look(self) -> str:
        self.looks.append("settled")
        return ""

    @property
    def disks(self) -> Any:
        if self.fake_disks is None:
            from .fake_machines import FakeDisks

            self.fake_disks = FakeDisks()
        return self.fake_disks

    @property
    def machines(self) -> Any:
        if self.fake_machines is None:
            from .fake_machines import FakeMachines

            self.fake_machines = FakeMachines()
        return self.fake_machines

    @property
    def vpn(self) -> Any:
        if self.fake_vpn is None:
            from .fake_mesh import quiet  # with all of the VPN: most tests need none of it
            from .fake_vpn import FakeVpn

            self.fake_vpn = FakeVpn(quiet())
        return self.fake_vpn

    @property
    def budget(self) -> Any:
        if self.fake_budget is None:
            from .fake_budget import FakeBudget

            self.fake_budget = FakeBudget()
        return self.fake_budget

    @property
    def studio(self) -> Any:
        if self.fake_studio is None:
            from .fake_fleet import calm
            from .fake_studio import FakeStudio

            self.fake_studio = FakeStudio(calm(), stacks=())
        return self.fake_studio

    @property
    def trends(self) -> Any:
        return self.fake_trends

    @property
    def forwards(self) -> Any:
        return self.fake_forwards

    @property
    def loki(self) -> Any:
        if self.fake_logs is None:
            from .fake_logs import NoLogs

            self.fake_logs = NoLogs()
        return self.fake_logs

    async def _steer(self, word: str, host: str) -> None:
        self.asked.append(("demo", word, host))

    async def start(self) -> None:
        self.asked.append(("start",))

    async def stop(self) -> None:
        self.asked.append(("stop",))

    async def watch(self) -> AsyncIterator[FleetSnapshot]:
        while True:
            yield await self._snapshots.get()

    def reconnect(self, host: str | None) -> None:
        self.asked.append(("reconnect", host))

    async def plan(self, stack: str) -> Plan:
        return self._plan("plan", stack)

    async def plan_rollback(self, stack: str, release: str | None) -> Plan:
        return self._plan("plan_rollback", stack, release)

    def _plan(self, *asked: object) -> Plan:
        self.asked.append(asked)
        if isinstance(self.plan_made, OperatorError):
            raise self.plan_made
        return self.plan_made

    async def apply(self, plan: Plan) -> AsyncIterator[Event]:
        self.asked.append(("apply", plan.release))
        async for event in self._play():
            yield event

    async def settle(self, stack: str, how: Settle) -> AsyncIterator[Event]:
        self.asked.append(("settle", stack, how))
        async for event in self._play():
            yield event

    async def attach(self, stack: str) -> AsyncIterator[Event]:
        self.asked.append(("attach", stack))
        async for event in self._play():
            yield event

    async def _play(self) -> AsyncIterator[Event]:
        for event in self.script:
            yield event
        await self.gate.wait()
        if self.then is not None:
            raise self.then

    async def releases(self, stack: str) -> list[Release]:
        if isinstance(self.release_list, OperatorError):
            raise self.release_list
        return self.release_list if stack == "sese/apps" else []

    async def hold(self, host: str, why: str) -> str:
        self.asked.append(("hold", host, why))
        if self.act_fails is not None:
            raise self.act_fails
        return self.act_note

    async def lift(self, host: str, hold: Hold) -> str:
        self.asked.append(("lift", host, hold))
        return self.act_note

    async def survey(self, host: str) -> Survey:
        self.asked.append(("survey", host))
        return self.surveyed

    async def propose(self, survey: Survey) -> Proposal:
        self.asked.append(("propose", {match.service: chosen(match) for match in survey.matches}))
        return self.proposal

    async def adopt(self, proposal: Proposal) -> str:
        self.asked.append(("adopt", proposal.host))
        if self.act_fails is not None:
            raise self.act_fails
        return self.act_note

    async def history(self) -> Chronicle:
        if isinstance(self.chronicle, OperatorError):
            raise self.chronicle
        return self.chronicle

    async def act(self, service_id: str, action: Act) -> str:
        self.asked.append((action, service_id))
        if self.act_fails is not None:
            raise self.act_fails
        return self.act_note

    async def env_check(self, stack: str) -> EnvReport:
        self.asked.append(("env_check", stack))
        return ENV_REPORT

    async def env_plan(self, stack: str) -> EnvPlan:
        self.asked.append(("env_plan", stack))
        return ENV_PLAN

    async def env_init(self, plan: EnvPlan) -> EnvDone:
        self.asked.append(("env_init", plan.stack))
        return EnvDone(plan.stack, (_N8N,), ((_N8N, "N8N_ENCRYPTION_KEY", "generate"),), ((_N8N, "LICENCE_KEY"),))

    async def env_edit(self, stack: str, file: str) -> int:
        self.asked.append(("env_edit", stack, file))
        return 0

    async def edit_stack(self, stack: str, file: str) -> tuple[str, ...]:
        self.asked.append(("edit_stack", stack, file))
        return self.edit_changes

    async def reread(self) -> None:
        self.asked.append(("reread",))
        if self.reread_fails:
            raise self.reread_fails.pop(0)

    async def shell(self, place: str) -> int:
        self.asked.append(("shell", place))
        return self.shell_ends

    async def describe(self, service_id: str) -> Description:
        return Description(
            service_id,
            (
                Section("state", (("health", "✔ healthy"), ("sync", "▲ drifted"), ("up", "2d2h"), ("restarts", "0"))),
                Section("reached at", (("the VPN", "https://mayi.example.org  port 5678"),)),
                Section("a restart disturbs", (("", "sese/edge/caddy  names it in configs/caddy/Caddyfile"),)),
                Section(
                    "container",
                    (
                        ("name", "javisi_n8n"),
                        ("id", "6e386e6e386e"),
                        ("image", "docker.n8n.io/n8nio/n8n:2.7.3"),
                        ("networks", "javisi_backend 172.20.2.7\njavisi_egress 172.20.4.7"),
                        ("mounts", "/opt/vpai/data/n8n → /home/node/.n8n"),
                    ),
                ),
                Section("usage", (("cpu", "4%"), ("memory", "402M of 1.0G"))),
            ),
            ("https://mayi.example.org",) if service_id.endswith("n8n") else (),
        )

    async def look_for_updates(self) -> bool:
        self.asked.append(("look_for_updates",))
        return False

    def updates(self, service: Service) -> Update | None:
        return self.updates_of.get(service.id)

    async def check(self, service_id: str) -> AsyncIterator[CheckResult]:
        self.asked.append(("check", service_id))
        for result in self.checks:
            yield result
        if self.checks_held is not None:
            await self.checks_held.wait()

    async def inspect_yaml(self, service_id: str) -> str:
        return "Config:\n  Hostname: 6e386e6e\n  Image: n8n:2.7.3\n  # read only\nState:\n  Status: running\n"

    async def logs(self, service_id: str, _lines: int, /) -> list[str]:
        if service_id.endswith("comfyui"):
            raise CommandFailed("docker logs ended with 1", exit_status=1, host="pi", output="Error: no such container",
                                remedy="It may have been recreated: ctrl+r looks again.")  # fmt: skip
        return [f"2026-02-26T23:03:{second:02d}Z workflow {second} finished in 0.{second}s" for second in range(30, 60)]
