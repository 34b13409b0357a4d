"""What `make soak` and `make chaos` do again and again: races, kills at any millisecond, a random walk."""

from __future__ import annotations

import asyncio
import os
import random
from dataclasses import dataclass, field

from deploy_kit import Laptop
from fault_cell import Violated, at_rest, judge, quiet, run_cell, settle
from fault_subject import Subject, Version
from faults import FAULTS, POINTS

from vpai_tui.fleet.operation import Finished, Outcome

_MEANS = {Outcome.COMMITTED: "new", Outcome.REVERTED: "old", Outcome.REFUSED: "old"}
WAYS = ("resume", "revert")


# ── races ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def race(one: tuple[Subject, Laptop, str], two: tuple[Subject, Laptop, str]) -> str:
    """Two operators (subject, laptop, name) deploy at once: one commits, the other is told the winner's name.

    Returns the winner's name.

    Raises:
        Violated: both won, none did, or the loser was told something else.
    """
    host = one[0].host
    coming, deployers, plans = [], [], []
    for subject, me, name in (one, two):
        coming.append(subject.coming())
        subject.write(me, coming[-1], gated=True)
        deployers.append(me.world.deployer())
        deployers[-1]._by = name
        plans.append(await deployers[-1].plan(subject.stack))
    host.sh(f"rm -f {host.root}/gate/go")
    tasks = [
        asyncio.ensure_future(entry[1].follow(deployer.apply(plan)))
        for entry, deployer, plan in zip((one, two), deployers, plans, strict=True)
    ]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=60)
    host.sh(f"touch {host.root}/gate/go")  # the winner stood at its gate meanwhile
    ends: list[Finished] = await asyncio.gather(*tasks)
    won = [index for index, end in enumerate(ends) if end.outcome is Outcome.COMMITTED]
    if len(won) != 1 or not done:
        raise Violated(f"of two deployers {len(won)} won: {ends}")
    winner, loser = won[0], 1 - won[0]
    name = (one, two)[winner][2]
    if ends[loser].exit_code != 75 or f" by {name} " not in ends[loser].reason:
        raise Violated(f"{name} won, and the other was told: {ends[loser]}")
    (one, two)[winner][0].version = coming[winner]
    await quiet(host)
    for subject in {id(entry[0]): entry[0] for entry in (one, two)}.values():
        if problems := subject.right(subject.look(), subject.version):
            raise Violated(f"after the race: {problems}")
    return name


# ── kills at any time ────────────────────────────────────────────────────────────────────────────────────────────────

VICTIMS = ("runner", "runner and compose", "client")


async def killed(subject: Subject, victim: str, after_ms: int, how: str) -> str:
    """A deploy whose `victim` is killed `after_ms` after it was there; what it came to, settled if need be."""
    old, new = subject.version, subject.coming()
    async with subject.laptop() as me:
        subject.write(me, new)
        said = await (_client_killed if victim == "client" else _runner_killed)(me, subject, victim, after_ms)
    await quiet(subject.host)
    ended = await judge(subject, old, new, said, told=False)
    came = await settle(subject, old, new, how) if ended == "interrupted" else ""
    await at_rest(subject)
    return f"{ended} → {came}" if came else ended


async def _client_killed(me: Laptop, subject: Subject, victim: str, after_ms: int) -> str:
    words = me.cli("deploy", subject.id, "--yes", "--confirm", subject.id)
    null = asyncio.subprocess.DEVNULL
    client = await asyncio.create_subprocess_exec(*words, stdin=null, stdout=null, stderr=null, env=dict(os.environ))
    try:
        await asyncio.wait_for(client.wait(), 1 + after_ms / 1000)  # about a second until it asks the host anything
    except TimeoutError:
        client.kill()
        await client.wait()
    # what it began on the host may be about to start the runner
    await asyncio.sleep(1)
    return ""


async def _runner_killed(me: Laptop, subject: Subject, victim: str, after_ms: int) -> str:
    kill = "kill -KILL $p" if victim == "runner" else "pkill -KILL -s $p"
    subject.host.sh(
        f"(i=0; until p=$(pgrep -of 'sh {subject.host.root}/[d]eploy/bin/run-.* apply') || [ $i = 3000 ];"
        f" do i=$((i + 1)); sleep 0.01; done; sleep {after_ms / 1000:.3f}; {kill}) >/dev/null 2>&1 &"
    )
    end = await me.deploy(subject.stack)
    return _MEANS.get(end.outcome, "")


# ── a random walk ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Walk:
    """Moves on one host, each followed by a look at the invariant; `trail` tells them."""

    subject: Subject
    dice: random.Random
    versions: dict[str, Version] = field(default_factory=dict)  # by release
    trail: list[str] = field(default_factory=list)

    async def move(self) -> None:
        """One move and what it came to.

        Raises:
            Violated: the host is in a state that must not be.
        """
        moves = (self._deploy, self._rollback, self._fault, self._fault, self._kill, self._edit, self._touch)
        move = self.dice.choice(moves)
        self.trail.append(move.__name__.strip("_"))
        self.trail[-1] += f": {await move()}"
        await quiet(self.subject.host)
        await at_rest(self.subject)
        self._remember()

    def _remember(self) -> None:
        seen = self.subject.look()
        if problems := self.subject.right(seen, self.subject.version):
            raise Violated(f"{problems}")
        self.versions[seen.current] = self.subject.version

    async def _deploy(self) -> str:
        new = self.subject.coming()
        async with self.subject.laptop() as me:
            self.subject.write(me, new)
            await me.committed(self.subject.stack)
        self.subject.version = new
        return f"{new.number}"

    async def _rollback(self) -> str:
        releases = sorted(release for release in self.versions if release < self.subject.look().current)
        async with self.subject.laptop() as me:
            known = [item.id for item in await me.world.deployer().releases(self.subject.stack) if item.restorable]
            target = next((item for item in reversed(releases) if item in known), None)
            if target is None:
                return "nothing to go back to"
            end = await me.rollback(target, self.subject.stack)
        same = self.versions[target] == self.subject.version  # a release that put right what was edited by hand
        if end.outcome is not (Outcome.UNCHANGED if same else Outcome.COMMITTED):
            raise Violated(f"the rollback to {target} ended with {end}")
        self.subject.version = self.versions[target]
        return f"to {self.subject.version.number}"

    async def _fault(self) -> str:
        fault = self.dice.choice([fault for fault in FAULTS if not fault.small])
        point = self.dice.choice(POINTS)
        cell = await run_cell(self.subject, point, fault, self.dice.choice(WAYS))
        return f"{fault.name} at {point.name}: {cell.outcome}"

    async def _kill(self) -> str:
        victim, after_ms = self.dice.choice(VICTIMS), self.dice.randrange(6000)
        came = await killed(self.subject, victim, after_ms, self.dice.choice(WAYS))
        return f"{victim} after {after_ms} ms: {came}"

    async def _edit(self) -> str:
        """The shipped file by hand, or a live value of the host: the one is put right, the other stays."""
        host = self.subject.host
        if self.dice.random() < 0.5:
            self.subject.budget = self.dice.randrange(1000)
            host.sh(f"echo 'budget: {self.subject.budget}' >{host.root}/{self.subject.live}")
            return f"live value {self.subject.budget}"
        host.sh(f"echo 'by hand' >>{host.root}/{self.subject.file}")
        await self._put_right("an edited file")
        return "shipped file"

    async def _touch(self) -> str:
        """A container stopped or removed by hand."""
        name = f"{self.subject.stack}-{self.dice.choice(['front', 'back'])}-1"
        how = self.dice.choice(["stop", "rm -f", "kill"])
        self.subject.host.sh(f"docker {how} {name}")
        await self._put_right(f"{how} {name}")
        return f"{how} {name}"

    async def _put_right(self, what: str) -> None:
        async with self.subject.laptop() as me:
            self.subject.write(me, self.subject.version)
            if (await me.plan(self.subject.stack)).empty:
                raise Violated(f"{what} is not in the plan")
            await me.committed(self.subject.stack)
