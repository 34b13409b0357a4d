"""A scripted backend and a fleet that never changes by itself: exact pictures, exact messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from vpai_tui.config import Fleet, Host, Ssh
from vpai_tui.deploy.adopt import Proposal, render
from vpai_tui.deploy.chronicle import Chronicle, Told
from vpai_tui.deploy.envfiles import EnvFile, EnvKey, EnvProblem, EnvReport
from vpai_tui.deploy.envinit import EnvDone, EnvPlan, EnvStep
from vpai_tui.deploy.survey import Candidate, Found, Match, Survey
from vpai_tui.errors import CommandFailed, OperatorError
from vpai_tui.fleet.adopted import Adopted, AdoptedStack
from vpai_tui.fleet.alerts import alerts
from vpai_tui.fleet.model import (
    Alert,
    Container,
    Disk,
    DockerInfo,
    FleetSnapshot,
    Health,
    Hold,
    HostSnapshot,
    HostState,
    Link,
    Metrics,
    Port,
    Service,
    Severity,
    StackStatus,
    Sync,
    Usage,
)
from vpai_tui.fleet.operation import Cause, Change, Effect, Event, Plan, Release
from vpai_tui.remote.command_log import CommandLog
from vpai_tui.widgets.backend import Act, Description, Section, Settle

NOW = datetime(2026, 2, 26, 23, 4, 0, tzinfo=UTC)
BOOT = 5000.0
GIB = 1024**3
MIB = 1024**2


class FixedClock:
    """A clock that moves only when a test moves it."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def boot_s(self) -> float:
        return BOOT + self.passed_s

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.passed_s)


def make_fleet() -> Fleet:
    """Three hosts as VPAI names them, at addresses nobody has."""
    return Fleet(
        hosts={
            "sese": Host(title="Sese-AI", addresses=("127.0.0.1",), ssh=Ssh(user="mobuone", port=804)),
            "seko": Host(title="Seko-VPN", addresses=("127.0.0.2",), ssh=Ssh(user="mobuone"), hub=True),
            "pi": Host(title="Workstation Pi", addresses=("127.0.0.3",), ssh=Ssh(user="mobuone")),
        },
        stacks=("sese/infra", "sese/apps", "sese/monitoring", "sese/edge", "seko/headscale", "pi/opencut"),
    )


# host, stack, service, image, health, sync, memory MiB, cpu %, restarts, age, ports
_SERVICES: tuple[tuple[str, str, str, str, Health, Sync, int, float, int, int, tuple[Port, ...]], ...] = (
    ("sese", "infra", "postgresql", "postgres:18.1-bookworm", Health.HEALTHY, Sync.IN_SYNC, 486, 3.2, 0, 900_000, ()),
    ("sese", "infra", "redis", "redis:8.0-bookworm", Health.HEALTHY, Sync.IN_SYNC, 41, 0.4, 0, 900_000, ()),
    ("sese", "infra", "qdrant", "qdrant/qdrant:v1.16.3", Health.HEALTHY, Sync.IN_SYNC, 310, 1.1, 0, 900_000, ()),
    ("sese", "apps", "n8n", "docker.n8n.io/n8nio/n8n:2.7.3", Health.HEALTHY, Sync.DRIFTED, 402, 4.0, 0, 180_000, ()),
    (
        "sese", "apps", "litellm", "ghcr.io/berriai/litellm:v1.81.3-stable", Health.HEALTHY, Sync.IN_SYNC, 688, 11.0,
        0, 180_000, (),
    ),
    ("sese", "apps", "openclaw", "ghcr.io/openclaw/openclaw:2026.2.23", Health.STARTING, Sync.IN_SYNC, 221, 38.0, 1,
     24, ()),
    ("sese", "apps", "palais", "palais:4f1c2a", Health.DEGRADED, Sync.IN_SYNC, 96, 0.0, 7, 9, ()),
    ("sese", "monitoring", "grafana", "grafana/grafana:12.3.2", Health.HEALTHY, Sync.IN_SYNC, 142, 0.9, 0, 900_000, ()),
    ("sese", "monitoring", "loki", "grafana/loki:3.6.5", Health.HEALTHY, Sync.IN_SYNC, 190, 1.6, 0, 900_000, ()),
    ("sese", "monitoring", "alloy", "grafana/alloy:v1.13.0", Health.RUNNING, Sync.IN_SYNC, 88, 2.0, 0, 900_000, ()),
    (
        "sese", "edge", "caddy", "caddy:2.10.2-alpine", Health.HEALTHY, Sync.IN_SYNC, 36, 0.3, 0, 900_000,
        (Port("0.0.0.0", 80, 80), Port("0.0.0.0", 443, 443)),
    ),
    (
        "seko", "headscale", "headscale", "headscale/headscale:0.26.0", Health.HEALTHY, Sync.IN_SYNC, 52, 0.2, 0,
        4_000_000, (Port("127.0.0.1", 8080, 8080),),
    ),
    ("seko", "", "couchdb", "apache/couchdb:3.3.3", Health.RUNNING, Sync.UNKNOWN, 74, 0.5, 0, 4_000_000, ()),
    ("pi", "opencut", "opencut", "opencut:0.1.0", Health.STOPPED, Sync.IN_SYNC, 0, 0.0, 0, 7_000, ()),
    ("pi", "opencut", "opencut-db", "postgres:17", Health.STOPPED, Sync.NOT_DEPLOYED, 0, 0.0, 0, 7_000, ()),
    ("pi", "", "comfyui", "comfyui-local:v0.3.27", Health.RUNNING, Sync.UNKNOWN, 2900, 62.0, 0, 70_000,
     (Port("127.0.0.1", 8188, 8188),)),
)  # fmt: skip


def _service(row: tuple[str, str, str, str, Health, Sync, int, float, int, int, tuple[Port, ...]]) -> Service:
    host, stack, name, image, health, sync, memory, cpu, restarts, age, ports = row
    up = health is not Health.STOPPED
    container = Container(
        id=(name.encode().hex() * 4)[:64],
        name=f"javisi_{name}",
        project="javisi",
        service=name,
        image=image,
        image_id="sha256:" + (name.encode().hex() * 6)[:64],
        state="running" if up else "exited",
        health=health.value if health is Health.HEALTHY else None,
        created_at=NOW - timedelta(seconds=age),
        started_at=NOW - timedelta(seconds=age),
        restarts=restarts,
        ports=ports,
    )
    usage = Usage(memory * MIB, cpu) if up else None
    return Service(host, stack, name, sync, health, image, container if sync is not Sync.NOT_DEPLOYED else None, usage)


def services() -> tuple[Service, ...]:
    return tuple(_service(row) for row in _SERVICES)


def calm_services() -> tuple[Service, ...]:
    """The services with nothing wrong in them."""
    return tuple(
        replace(item, health=Health.HEALTHY, sync=Sync.IN_SYNC) if item.stack == "apps" else item for item in services()
    )


def _metrics(load: float, memory: float, disk: float, cpus: int, total_gib: int, heat: float | None = None) -> Metrics:
    total = total_gib * GIB
    return Metrics(
        at_boot_s=BOOT - 2,
        load1=load,
        load5=load,
        load15=load,
        cpus=cpus,
        cpu_percent=100 * load / cpus,
        memory_total_bytes=total,
        memory_available_bytes=int(total * (1 - memory)),
        swap_total_bytes=2 * GIB,
        swap_used_bytes=0,
        disks=(Disk("/", 80 * GIB, int(80 * GIB * disk)),),
        uptime_s=900_000,
        clock_skew_s=0.01,
        temperature_c=heat,
    )


def _host(name: str, title: str, rtt_ms: int, metrics: Metrics) -> HostSnapshot:
    link = Link(HostState.READY, BOOT - 600, address="127.0.0.1", rtt_s=rtt_ms / 1000)
    docker = DockerInfo("29.1.3", "2.40.3")
    return HostSnapshot(name, title, link, metrics, docker, containers=(), seen_boot_s=BOOT - 2)


def hosts() -> tuple[HostSnapshot, ...]:
    return (
        _host("sese", "Sese-AI", 42, _metrics(1.84, 0.71, 0.62, 4, 8)),
        _host("seko", "Seko-VPN", 38, _metrics(0.12, 0.44, 0.88, 2, 4)),
        _host("pi", "Workstation Pi", 6, _metrics(2.31, 0.35, 0.47, 4, 16, 61.0)),
    )


def stacks() -> tuple[StackStatus, ...]:
    ok, healthy = Sync.IN_SYNC, Health.HEALTHY
    return (
        StackStatus("sese", "infra", "PostgreSQL, Redis, Qdrant", ok, healthy, 3, 3, "r8", None, False),
        StackStatus("sese", "apps", "n8n, LiteLLM", Sync.DRIFTED, Health.DEGRADED, 4, 2, "r12", None, False),
        StackStatus("sese", "monitoring", "Grafana, Loki, Alloy", ok, healthy, 3, 3, "r3", None, False),
        StackStatus("sese", "edge", "Caddy", ok, healthy, 1, 1, "r5", None, False),
        StackStatus("seko", "headscale", "Headscale", ok, healthy, 1, 1, "r2", None, False),
        StackStatus(
            "pi", "opencut", "OpenCut", Sync.NOT_DEPLOYED, Health.STOPPED, 2, 2, None, None, False, on_demand=True
        ),
    )


ALERTS = (
    Alert(Severity.ERROR, "sese", "apps/palais", "restarting, 7 times in the last hour", "l shows its last lines",
          "sese/apps/palais"),
    Alert(Severity.WARN, "sese", "apps", "n8n runs another configuration than its files", "D plans a deploy",
          "sese/apps"),
    Alert(Severity.WARN, "seko", "disk /", "88% of 80.0G used", "vpai-tui disk seko", "seko"),
)  # fmt: skip


def calm() -> FleetSnapshot:
    """Nothing needs anybody."""
    quiet = tuple(replace(s, sync=Sync.IN_SYNC, health=Health.HEALTHY, services_ok=s.services)
                  if s.stack == "apps" else s for s in stacks())  # fmt: skip
    return FleetSnapshot(BOOT, hosts(), quiet, calm_services(), ())


def troubled() -> FleetSnapshot:
    """A flapping service, a drifted stack, a full disk."""
    return FleetSnapshot(BOOT, hosts(), stacks(), services(), ALERTS)


def without_pi() -> FleetSnapshot:
    """The Pi went away 38 seconds ago; its last values stay."""
    fleet = calm()
    link = Link(HostState.BACKOFF, BOOT - 38, step="tcp", error="no answer in 3 s", remedy="is it powered?",
                retry_at_boot_s=BOOT + 12)  # fmt: skip
    pi = replace(fleet.host("pi"), link=link, seen_boot_s=BOOT - 38)
    alert = Alert(Severity.ERROR, "pi", "host", "no answer at tcp since 38s", "ctrl+r tries again now", "pi")
    stale = tuple(replace(s, stale=True) if s.host == "pi" else s for s in fleet.services)
    return replace(fleet, hosts=(*fleet.hosts[:2], pi), services=stale, alerts=(alert,))


def interrupted() -> FleetSnapshot:
    """A deploy of sese/apps stopped half way."""
    fleet = troubled()
    left = tuple(replace(s, pending="r13") if s.stack == "apps" else s for s in fleet.stacks)
    alert = Alert(Severity.ERROR, "sese", "apps", "a deploy was interrupted on its way to r13", "resume or revert it",
                  "sese/apps")  # fmt: skip
    return replace(fleet, stacks=left, alerts=(alert, *fleet.alerts))


def revert_failed() -> FleetSnapshot:
    """A deploy of sese/apps could neither be finished nor taken back."""
    fleet = interrupted()
    where = "/opt/vpai/deploy/stacks/apps/releases/r13"
    stacks = tuple(replace(s, revert_failed=where) if s.stack == "apps" else s for s in fleet.stacks)
    return replace(fleet, stacks=stacks, alerts=alerts(fleet.hosts, stacks, fleet.services))


HELD = Hold("2026-02-26T21:10:00Z", "ann@desk", "kernel upgrade until midnight")


def held() -> FleetSnapshot:
    """Somebody froze deploys on sese."""
    fleet = troubled()
    sese = replace(fleet.hosts[0], hold=HELD)
    alert = Alert(Severity.INFO, "sese", "hold", f"deploys are held {HELD.told}",
                  "when that is done: vpai-tui hold sese --off", "sese")  # fmt: skip
    return replace(fleet, hosts=(sese, *fleet.hosts[1:]), alerts=(*fleet.alerts, alert))


COMPOSE_BEFORE = """\
services:
  n8n:
    image: docker.n8n.io/n8nio/n8n:2.7.2
    environment:
      N8N_HOST: mayi.example.net
      EXECUTIONS_DATA_MAX_AGE: "168"
    deploy:
      resources:
        limits:
          memory: 768M
"""
COMPOSE_AFTER = COMPOSE_BEFORE.replace("2.7.2", "2.7.3").replace("768M", "1024M")


def make_plan(**changed: object) -> Plan:
    """Two services touched, two left alone."""
    plan = Plan(
        stack="sese/apps",
        kind="deploy",
        base="r12",
        release="r13",
        fingerprint="f" * 16,
        changes=(
            Change(
                "n8n",
                Effect.RECREATE,
                (
                    Cause("image", "docker.n8n.io/n8nio/n8n 2.7.2 → 2.7.3"),
                    Cause("config", "image, memory limit", COMPOSE_BEFORE, COMPOSE_AFTER),
                    Cause("env", "N8N_SMTP_HOST changed"),
                ),
                image="docker.n8n.io/n8nio/n8n:2.7.3",
                image_before="docker.n8n.io/n8nio/n8n:2.7.2",
                interruption_s=25,
            ),
            Change(
                "litellm",
                Effect.RESTART,
                (Cause("files", "configs/litellm/config.yaml",
                       "model_list:\n  - model_name: fast\nnum_retries: 1\n",
                       "model_list:\n  - model_name: fast\n  - model_name: deep\nnum_retries: 2\n"),),
                image="ghcr.io/berriai/litellm:v1.81.3-stable",
                image_before="ghcr.io/berriai/litellm:v1.81.3-stable",
                interruption_s=8,
            ),
            Change("openclaw", Effect.NONE),
            Change("palais", Effect.NONE),
        ),
        notes=("palais is degraded now: the gate does not watch what the plan leaves alone",),
        kept=("configs/litellm/config.yaml: max_budget",),
    )  # fmt: skip
    return replace(plan, **changed)  # type: ignore[arg-type]


RELEASES = [
    Release("r12", "2026-02-24T18:20:11Z", "mobuone@lap", "ok", True, current=True, commit="4f1c2a9" + "0" * 33),
    Release("r11", "2026-02-24T18:02:40Z", "mobuone@lap", "reverted", False, reason="never ran"),
    Release(
        "r10", "2026-02-20T09:14:02Z", "ann@desk", "ok", True, rollback_of="r8", commit="77ab01c" + "0" * 33, dirty=True
    ),
    Release("r9", "2026-02-19T22:31:55Z", "mobuone@lap", "ok", False, reason="image litellm@1f0c is gone"),
    Release("r8", "2026-02-11T07:45:30Z", "mobuone@lap", "ok", True),
    Release("r0", "2026-01-30T12:00:00Z", "mobuone@lap", "adopted", True),
]


def _told(at: str, by: str, what: str, subject: str, result: str, detail: str, source: str = "host") -> Told:
    return Told(f"2026-02-{at}Z", by, subject.split("/")[0], what, subject, result, detail, "", source)


CHRONICLE = Chronicle(
    (
        _told("20T09:14:40", "ann@desk", "rollback", "sese/apps", "committed", "r10 to r8"),
        _told("24T18:04:02", "mobuone@lap", "deploy", "sese/apps", "reverted", "r11 litellm restarted 3 times in 10 s"),
        _told("24T18:20:51", "mobuone@lap", "deploy", "sese/apps", "committed", "r12"),
        _told("25T07:00:12", "mobuone@lap", "restart", "pi/opencut/opencut", "failed: no such container", "", "laptop"),
        _told("26T20:01:00", "bob@tower", "deploy", "seko/headscale", "interrupted", "r3"),
        _told("26T20:09:30", "ann@desk", "revert", "seko/headscale", "reverted", "r3 on request of ann@desk"),
        _told("26T21:10:00", "ann@desk", "hold", "sese", "done", "kernel upgrade until midnight"),
        _told("26T22:58:00", "mobuone@lap", "deploy", "sese/apps", "refused", "deploys are held by ann@desk", "laptop"),
    ),
    0,
    (("pi", "no answer in 3 s"),),
)


def _found(name: str, service: str = "", project: str = "workstation", image: str = "x:1") -> Found:
    return Found(name, name, "running", image, project if service else "", service)


def _match(service: str, *candidates: Candidate, undecided: bool = False) -> Match:
    choice = candidates[0] if candidates and not undecided else None
    return Match("pi/opencut", service, candidates, choice, undecided)


def make_survey() -> Survey:
    """What the Pi runs: one service that two containers may be, one that none is, and somebody's test."""
    found = {
        name: _found(name, name.partition("_")[2])
        for name in ("workstation_opencut", "workstation_opencut-db", "workstation_opencut-valkey")
    }
    found |= {
        "valkey_old": _found("valkey_old", image="valkey/valkey:8-alpine"),
        "someones_test": _found("someones_test"),
    }
    by_all = ("service", "name", "image")
    matches = (
        _match("opencut-db", Candidate(found["workstation_opencut-db"], 11, (*by_all, "mount"))),
        _match(
            "opencut-valkey",
            Candidate(found["workstation_opencut-valkey"], 5, ("name", "image")),
            Candidate(found["valkey_old"], 5, ("name", "image")),
            undecided=True,
        ),
        _match("opencut-srh"),
        _match("opencut", Candidate(found["workstation_opencut"], 12, (*by_all, "port"))),
    )
    return Survey("pi", matches, tuple(found.values()))


def make_proposal() -> Proposal:
    containers = {"opencut-db": "workstation_opencut-db", "opencut": "workstation_opencut"}
    stack = AdoptedStack(project="workstation", containers=containers, volumes={"opencut-db": "workstation_db"})
    adopted = Adopted(root="/opt/workstation", stacks={"opencut": stack})
    return Proposal("pi", Path("config/adopted/pi.yaml"), adopted, render("pi", adopted), None)


def chosen(match: Match) -> str | None:
    return match.choice.found.name if match.choice else None


_N8N = "/opt/vpai/configs/n8n/n8n.env"
_LITELLM = "/opt/vpai/configs/litellm/litellm.env"
ENV_REPORT = EnvReport(
    "sese/apps",
    (
        EnvFile(_N8N, ("n8n",), True, True, "missing", "", "", (), (EnvProblem("error", "the file is missing"),)),
        EnvFile(
            _LITELLM,
            ("litellm",),
            True,
            True,
            "present",
            "644",
            "mobuone",
            (
                EnvKey("LITELLM_MASTER_KEY", "set", required=True, known=True, lacking=False),
                EnvKey("DATABASE_URL", "empty", required=True, known=True, lacking=True),
            ),
            (
                EnvProblem("error", "everyone on the host may open it (mode 644); 600 is right"),
                EnvProblem("error", "is empty (init takes it from [LITELLM_DB_PASSWORD])", "DATABASE_URL"),
                EnvProblem("warn", "is cut at its #: put the value in single quotes", "UI_PASSWORD", 14),
            ),
        ),
    ),
    "containers",
)
ENV_PLAN = EnvPlan(
    "sese/apps",
    "sese",
    (
        EnvStep(_N8N, True, False, ("N8N_ENCRYPTION_KEY",), ("DB_POSTGRESDB_PASSWORD",), (), ("LICENCE_KEY",), b""),
        EnvStep(_LITELLM, False, True, (), ("DATABASE_URL",), (), (), b""),
    ),
    "containers",
    "sese/apps",
)


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
        self.surveyed = make_survey()
        self.proposal = make_proposal()
        self.command_log = CommandLog(clock=self.clock)
        self.fake_vpn: Any = None  # a FakeVpn; a quiet one is made when it is first wanted
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
    def vpn(self) -> Any:
        if self.fake_vpn is None:
            from .fake_vpn import FakeVpn, quiet  # it stands on this module

            self.fake_vpn = FakeVpn(quiet())
        return self.fake_vpn

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

    async def describe(self, service_id: str) -> Description:
        return Description(
            service_id,
            (
                Section("state", (("health", "✔ healthy"), ("sync", "▲ drifted"), ("up", "2d2h"), ("restarts", "0"))),
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
        )

    async def inspect_yaml(self, service_id: str) -> str:
        return "Config:\n  Hostname: 6e386e6e\n  Image: n8n:2.7.3\n  # read only\nState:\n  Status: running\n"

    async def logs(self, service_id: str, _lines: int, /) -> list[str]:
        if service_id.endswith("comfyui"):
            raise CommandFailed("docker logs ended with 1", exit_status=1, host="pi", output="Error: no such container",
                                remedy="It may have been recreated: ctrl+r looks again.")  # fmt: skip
        return [f"2026-02-26T23:03:{second:02d}Z workflow {second} finished in 0.{second}s" for second in range(30, 60)]
