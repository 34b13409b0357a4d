"""One cell of the matrix: a deploy, a fault at a point of it, and what the host has come to in the end."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass

import faults
from deploy_kit import Laptop
from fault_subject import Seen, Subject, Version
from faults import Client, Fault, Point, Struck
from lab_host import LabHost

from vpai_tui.errors import Interrupted, OperatorError
from vpai_tui.fleet.operation import Finished, Outcome

_MEANS = {Outcome.COMMITTED: "new", Outcome.REVERTED: "old", Outcome.REFUSED: "old", Outcome.UNCHANGED: "old"}


class Violated(AssertionError):
    """The host is in a state that must not be."""


@dataclass(frozen=True)
class Cell:
    """What came of one deploy: `ended` as the host was found, `settled` after resume or revert ("" when not needed)."""

    host: str
    point: str
    fault: str
    how: str
    ended: str  # new, old or interrupted
    settled: str = ""

    @property
    def outcome(self) -> str:
        return f"{self.ended}, {self.how} → {self.settled}" if self.settled else self.ended


async def run_cell(subject: Subject, point: Point, fault: Fault, how: str) -> Cell:
    """Deploys the next version with `fault` at `point`, settles by `how` what is interrupted, checks what must hold.

    Raises:
        Violated: something of it does not.
    """
    old, new = subject.version, subject.coming()
    said = await _disturbed(subject, point, fault, new)
    ended = await judge(subject, old, new, said, told=how == "resume")
    if ended == "interrupted" and not fault.stops:
        raise Violated(f"the host did not go to an end by itself: {subject.look()}")
    settled = await settle(subject, old, new, how) if ended == "interrupted" else ""
    await asyncio.to_thread(fault.relieve, subject.host)
    await at_rest(subject)
    return Cell(subject.host.name, point.name, fault.name, how, ended, settled)


async def _disturbed(subject: Subject, point: Point, fault: Fault, new: Version) -> str:
    """The deploy with its fault; what its client said it came to (new, old or "" for nothing certain)."""
    host = subject.host
    async with subject.laptop() as me:
        subject.write(me, new, confirmed=point.step == 9)
        faults.arm(host, point)
        client = await _begin(me, subject, fault)
        shell = await faults.reached(host, client)
        if shell is None:
            raise Violated(f"the deploy never came to this point: {await client.ended}")
        await asyncio.to_thread(fault.strike, Struck(host, shell, client))
        faults.release(host)
        if fault.name == "link cut":
            await asyncio.sleep(1)
        await asyncio.to_thread(fault.after, host)
        said = str(await asyncio.wait_for(client.ended, 180))
    await quiet(host)
    faults.disarm(host)
    return said


async def _begin(me: Laptop, subject: Subject, fault: Fault) -> Client:
    if not fault.as_process:
        return Client(None, _deploy(me, subject.stack))
    words = me.cli("deploy", subject.id, "--yes", "--confirm", subject.id)
    null = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*words, stdin=null, stdout=null, stderr=null, env=dict(os.environ))
    return Client(process, _killed(process))


async def _killed(process: asyncio.subprocess.Process) -> str:
    await process.wait()
    return ""


async def _deploy(me: Laptop, stack: str) -> str:
    try:
        end = await me.deploy(stack)
    except OperatorError:
        return ""  # it never began, or its end was not seen
    return _MEANS.get(end.outcome, "")


async def quiet(host: LabHost) -> None:
    """Until nobody holds the lock and no runner is left or about to start; Compose may outlive its runner."""
    script = (
        f"n=0; for i in $(seq 600); do if flock -n {host.root}/deploy/lock true && "
        f"! pgrep -f '{host.root}/[d]eploy/bin/run-' >/dev/null; then n=$((n + 1)); else n=0; fi;"
        "[ $n -lt 3 ] || exit 0; sleep 0.1; done; exit 1"
    )
    await asyncio.to_thread(lambda: host.lab.root_shell(host.name, script, timeout_s=90))


async def judge(subject: Subject, old: Version, new: Version, said: str, *, told: bool = True) -> str:
    """new, old or interrupted, when the host is wholly that and the client has not said otherwise.

    `told`: asks `vpai-tui status` about an interrupted one too, which takes a second.
    """
    seen = await asyncio.to_thread(subject.look)
    if seen.pending:
        await _refused_to_the_next(subject, seen, told)
        if said == "new":
            raise Violated(f"the client said it was committed: {seen}")
        return "interrupted"
    wrong = {"new": subject.right(seen, new), "old": subject.right(seen, old)}
    is_now = next((name for name, problems in wrong.items() if not problems), None)
    if is_now is None:
        raise Violated(f"neither the old release: {wrong['old']}\nnor the new one: {wrong['new']}")
    if said not in ("", is_now):
        raise Violated(f"the client said {said} and the host is {is_now}")
    subject.version = new if is_now == "new" else old
    return is_now


async def _refused_to_the_next(subject: Subject, seen: Seen, told: bool) -> None:
    """The next operator is refused a deploy, and told why, whatever the containers look like."""
    if not seen.free:
        raise Violated(f"pending, and the lock is held though nobody works: {seen}")
    async with subject.laptop("other") as other:
        try:
            await other.plan(subject.stack)
        except Interrupted:
            pass
        else:
            raise Violated(f"a plan was made over an interrupted deploy: {seen}")
        if told:
            await _told_by_status(other, subject)


async def _told_by_status(other: Laptop, subject: Subject) -> None:
    code, out, err = await other.run_cli("status", "--json")
    alerts = json.loads(out)["alerts"] if code == 0 else []
    told = [it["remedy"] for it in alerts if it["severity"] == "error" and subject.stack in it["subject"]]
    if not any("vpai-tui revert" in ways and "resume" in ways for ways in told):
        raise Violated(f"status does not tell the interrupted deploy: {code} {alerts} {err}")


async def settle(subject: Subject, old: Version, new: Version, how: str) -> str:
    """Ends an interrupted deploy; new or old, which the host wholly is then."""
    async with subject.laptop("other") as other:
        end: Finished = await other.settle(how, subject.stack)
    await quiet(subject.host)
    came = await judge(subject, old, new, _MEANS.get(end.outcome, ""))
    if came == "interrupted":
        raise Violated(f"{how} ended with {end.outcome}, {end.reason}: {end.output}")
    return came


async def at_rest(subject: Subject) -> None:
    """The laptop's plan for what runs is empty."""
    async with subject.laptop("other") as other:
        subject.write(other, subject.version)
        plan = await other.plan(subject.stack)
    if not plan.empty:
        raise Violated(f"the plan of what runs is not empty: {plan.changes} {plan.notes}")
