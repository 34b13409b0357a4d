"""A fleet in which every name and every answer is hostile; run as a program, the cockpit over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from hostile_text import HOSTILE
from vpai_tui.app import CockpitApp
from vpai_tui.deploy.adopt import Proposal
from vpai_tui.deploy.chronicle import Chronicle, Told
from vpai_tui.deploy.envfiles import EnvFile, EnvKey, EnvProblem, EnvReport
from vpai_tui.deploy.envinit import EnvPlan, EnvStep
from vpai_tui.deploy.survey import Candidate, Found, Match, Survey
from vpai_tui.errors import CommandFailed
from vpai_tui.fleet.doctor import CheckResult
from vpai_tui.fleet.model import Alert, FleetSnapshot, Hold, Severity
from vpai_tui.fleet.operation import (
    Cause,
    Change,
    Command,
    Dump,
    Effect,
    Finished,
    Journaled,
    Outcome,
    Release,
    ServiceHealthy,
    ServiceStarted,
    StepFailed,
)
from vpai_tui.remote.prompts import Prompts
from vpai_tui.widgets.backend import Backend, Description, Section

from . import fake_answers as answers
from . import fake_fleet as fake
from .fake_backend import FakeBackend
from .fake_budget import FakeBudget, poisoned, poisoned_change

AT = "2026-02-24T18:20:11Z"
Say = Callable[[str], str]  # a word for where the text stands → the text


def poisoned_fleet(say: Say) -> FleetSnapshot:
    """Services have hostile names; stacks, hosts and alerts hostile words."""
    fleet = fake.troubled()
    services = tuple(
        replace(item, service=f"{say('service')}{at}", image=say("image")) for at, item in enumerate(fleet.services)
    )
    stacks = tuple(
        replace(item, title=say("title"), current=say("current"), owner=say("owner"), busy=True)
        for item in fleet.stacks
    )
    hold = Hold(say("since"), say("holder"), say("why"))
    hosts = tuple(
        replace(item, link=replace(item.link, error=say("error"), step=say("step")), hold=hold) for item in fleet.hosts
    )
    alert = Alert(Severity.ERROR, "sese", say("subject"), say("alert"), say("remedy"), "sese/apps")
    return replace(fleet, services=services, stacks=stacks, hosts=hosts, alerts=(alert,))


class HostileBackend(FakeBackend):
    """Every answer is hostile; what it gives to `describe`, `logs` and `yaml` too."""

    def __init__(self, say: Say) -> None:
        super().__init__(poisoned_fleet(say))
        self.say = say
        cause = Cause("config", say("cause"), say("before"), say("after"))
        self.release_list = [Release(say("release"), AT, say("by"), say("outcome"), False, reason=say("reason"))]
        self.plan_made = replace(
            answers.make_plan(),
            release=say("release"),
            confirm_word="sese/apps",
            changes=(Change("n8n", Effect.RECREATE, (cause,), image=say("image"), image_before=say("former")),),
            notes=(say("note"),),
            kept=(say("kept"),),
            dangers=(Cause("ancestry", say("danger"), danger=True),),
            before=(Command(say("command"), say("where"), "new", 60),),
            dumps=(Dump(say("dumped"), problem=say("problem")),),
        )
        self.script = [
            ServiceStarted(AT, "n8n"),
            ServiceHealthy(AT, "n8n", say("healthy")),
            Journaled(AT, say("event"), say("journaled")),
            StepFailed(AT, "n8n", say("failed"), say("output")),
        ]
        self.fake_budget = FakeBudget(poisoned(say))
        self.fake_budget.planned = poisoned_change(say)
        end = Finished(AT, Outcome.FAILED, say("release"), say("reason"), say("output"))
        self.fake_budget.script = [Journaled(AT, say("step"), say("detail")), end]
        told = Told(AT, say("by"), "sese", say("what"), say("subject"), say("result"), say("detail"), "", "host")
        self.chronicle = Chronicle((told,), 1, (("pi", say("silent")),))
        self.surveyed = _survey(say)
        self.proposal = Proposal(
            "pi",
            answers.make_proposal().path,
            answers.make_proposal().adopted,
            say("proposed"),
            None,
            notes=(say("note"),),
        )
        self.command_log.end(self.command_log.begin("sese", say("logged")), 1)

    def failure(self) -> CommandFailed:
        say = self.say
        return CommandFailed(say("failure"), exit_status=1, host=say("host"), output=say("output"), remedy=say("cure"))

    async def describe(self, service_id: str) -> Description:
        pairs = ((self.say("key"), self.say("value")),)
        return Description(service_id, (Section(self.say("section"), pairs),), (self.say("name"),))

    async def check(self, service_id: str) -> AsyncIterator[CheckResult]:
        yield CheckResult(self.say("host"), self.say("check"), False, self.say("detail"), self.say("remedy"))

    async def inspect_yaml(self, service_id: str) -> str:
        return f"{self.say('yaml')}: {self.say('inspected')}\n"

    async def logs(self, service_id: str, _lines: int, /) -> list[str]:
        return [self.say("line")]

    async def env_check(self, stack: str) -> EnvReport:
        return _report(self.say, stack)

    async def env_plan(self, stack: str) -> EnvPlan:
        word = self.say
        step = EnvStep(word("envfile"), True, False, (word("made"),), (word("same"),), (), (word("yours"),), b"")
        return EnvPlan(stack, "sese", (step,), "containers", None)


def _survey(say: Say) -> Survey:
    found = Found(say("container"), say("container"), "running", say("image"), say("project"), say("service"))
    other = Found(say("stray"), say("stray"), "running", say("image"))
    candidate = Candidate(found, 11, (say("evidence"),))
    return Survey("pi", (Match("pi/opencut", say("match"), (candidate,), candidate),), (found, other))


def _report(say: Say, stack: str) -> EnvReport:
    key = EnvKey(say("envkey"), "empty", required=True, known=True, lacking=True)
    problem = EnvProblem("error", say("envproblem"), say("envkey"))
    file = EnvFile(say("envfile"), (say("service"),), True, True, "present", "644", say("envowner"), (key,), (problem,))
    return EnvReport(stack, (file,), "containers")


def tagged(word: str) -> str:
    """What the program says at `word`: a tag by which it is found on the screen, then the hostile text."""
    return f"<{word[:8]}>{HOSTILE}"


def main() -> None:
    """The cockpit on standard input and output, over a hostile fleet; it asks about a hostile host key first."""
    backend = HostileBackend(tagged)
    backend.gate.set()
    backend.then = backend.act_fails = backend.failure()

    async def factory(prompts: Prompts) -> Backend:
        await prompts.accept_host_key(tagged("keyhost"), tagged("address"), tagged("print"), tagged("keytype"))
        return backend

    asyncio.run(CockpitApp(fake.make_fleet(), factory, clock=backend.clock).run_async())
