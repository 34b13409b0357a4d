"""What the hosts answer: plans, releases, history, what runs before us, env files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vpai_tui.deploy.adopt import Proposal, render
from vpai_tui.deploy.chronicle import Chronicle, Told
from vpai_tui.deploy.envfiles import EnvFile, EnvKey, EnvProblem, EnvReport
from vpai_tui.deploy.envinit import EnvPlan, EnvStep
from vpai_tui.deploy.survey import Candidate, Found, Match, Survey
from vpai_tui.fleet.adopted import Adopted, AdoptedStack
from vpai_tui.fleet.operation import Cause, Change, Effect, Plan, Release

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
