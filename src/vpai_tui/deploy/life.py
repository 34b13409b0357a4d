"""Starting and stopping what is deployed already: its own release, its own bits, and no release more."""

from __future__ import annotations

import asyncio
import hashlib
import shlex
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from vpai_tui.clock import Clock, rfc3339
from vpai_tui.deploy import arch
from vpai_tui.deploy.apply import Connect, Run, install
from vpai_tui.deploy.builds import tar_of
from vpai_tui.deploy.bundle import Bundle, read_bundle
from vpai_tui.deploy.envfiles import check as check_envs
from vpai_tui.deploy.host import Place, place_of, probe, runner_script
from vpai_tui.deploy.images import Images
from vpai_tui.deploy.kept import plan_of_release
from vpai_tui.deploy.plan import Prepared, new_release_id
from vpai_tui.errors import CommandFailed, LockHeld, PreflightRefused
from vpai_tui.fleet.operation import Effect, Event, Finished, Outcome
from vpai_tui.fleet.stacks import Stack
from vpai_tui.redact import redact
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.docker import Docker
from vpai_tui.remote.job import script_name
from vpai_tui.text import last_lines

START = "start"
_TOLD_WITHIN = 30  # looks, a second apart, for the end of a run that was killed: what minds it takes it down
_COMPOSE = "00-compose.yaml"  # the stack's own file in a bundle


class LifeRun(Run):
    """One start or stop. `more` is set in the runner's environment besides."""

    def __init__(
        self, connection: Connection, place: Place, by: str, clock: Clock, fresh: Connect, again: Connect | None,
        more: str = "",
    ) -> None:  # fmt: skip
        super().__init__(connection, place, new_release_id(clock), by, clock, fresh, again=again)
        self._more = more

    @property
    def directory(self) -> str:
        return f"{self.place.home}/runs/{self.release}"

    @property
    def told_in(self) -> str:
        return f"../runs/{self.release}"

    @property
    def environment(self) -> str:
        return f"{super().environment}{self._more}"

    async def _ended(self, stderr: bytes, refused: int | None) -> Finished:
        """The journal stopped without an end: it was killed, or never began."""
        said = b""
        for _ in range(_TOLD_WITHIN):
            try:
                facts = await probe(self.connection, self.place, "tail_of", self.told_in)
            except CommandFailed as error:
                return self._unknown(error)
            if facts.status:
                return await self._finished(self._now(), facts.status)
            said = facts.out.encode() or stderr
            if not self._seen:
                break
            await asyncio.sleep(1)
        reason = "it was killed on its way" if self._seen else "the runner did not start"
        output = redact(last_lines(said, 24))
        return Finished(self._now(), Outcome.FAILED, self.release, f"{reason}: look at `vpai-tui status`", output)


# ── starting ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def start_of(connection: Connection, stack: Stack, clock: Clock, beside: Sequence[Stack] = ()) -> Prepared | None:
    """What it takes for all of the deployed release to run again; None where more than starting is needed: then it is
    a deploy (nothing is deployed yet, something was changed on the host, an image that was built there is gone).

    Raises:
        LockHeld: a deploy runs on the host, and who makes it.
        Interrupted: one was interrupted and must be settled first.
        PreflightRefused: the host is not fit: keys missing in env files, a port taken, …; all reasons at once.
    """
    place = place_of(connection, stack.name, stack.project)
    facts = await probe(connection, place, "state")
    if facts.busy:
        remedy = "try again when it ended; vpai-tui status shows it"
        raise LockHeld(f"something runs on this host: {facts.owner}", host=stack.host, step=START, remedy=remedy)
    if facts.current is None:
        return None
    prepared = await plan_of_release(connection, place, stack, facts.current, clock, beside)
    if not _only_starts(prepared):
        return None
    if not all(change.effect is Effect.NONE for change in prepared.plan.changes):
        await _refuse_lacking(connection, stack, beside)
    notes = await _notes(connection, place, stack, prepared.bundle)
    plan = replace(prepared.plan, kind=START, release=facts.current, rollback_to=None, notes=notes, kept=(), dumps=())
    return replace(prepared, plan=plan)


def _only_starts(prepared: Prepared) -> bool:
    plan = prepared.plan
    fits = all(
        change.effect in (Effect.NONE, Effect.CREATE)
        or (change.effect is Effect.RESTART and change.causes[0].kind == "state")
        for change in plan.changes
    )
    gone = any(target.id is None and target.built for target in prepared.targets.values())
    return fits and not gone and not plan.installs and not plan.dangers


async def _refuse_lacking(connection: Connection, stack: Stack, beside: Sequence[Stack]) -> None:
    """What the env files lack by the laptop's examples: a service would start with it and not work."""
    report = await check_envs(connection, stack, beside)
    wrong = [
        f"{problem.key or 'the file'} in {file.path} {problem.message}"
        for file in report.files
        for problem in file.problems
        if problem.severity == "error"
    ]
    if wrong:
        raise PreflightRefused(
            f"{stack.id} cannot be started: {wrong[0]}" + (f" (and {len(wrong) - 1} more)" if wrong[1:] else ""),
            host=stack.host,
            step=START,
            output="\n".join(wrong),
            remedy=f"`vpai-tui env {stack.id} init` writes what is missing, `edit` opens it",
        )


async def _notes(connection: Connection, place: Place, stack: Stack, kept: Bundle) -> tuple[str, ...]:
    """That the laptop's files are other ones by now: a start does not bring them."""
    mine = await asyncio.to_thread(read_bundle, stack, place.root)
    argv = ["sha256sum", f"{place.home}/current/compose/{_COMPOSE}"]
    done = await connection.run(argv, root=True, check=False, label=f"look at the release of {stack.name}")
    same = done.text.split()[:1] == [hashlib.sha256(mine.compose[_COMPOSE]).hexdigest()]
    same = same and {item.path: item.identity for item in mine.files} == {it.path: it.identity for it in kept.files}
    if done.exit_status or same:
        return ()
    return (f"the laptop's files differ from what is deployed, and a start brings none: vpai-tui plan {stack.id}",)


async def start(
    connection: Connection,
    docker: Docker,
    prepared: Prepared,
    by: str,
    clock: Clock,
    fresh: Connect,
    again: Connect | None = None,
) -> AsyncIterator[Event]:
    """Carries a plan of `start_of` out. The last event is `Finished`: of `committed` all runs and is healthy, of
    `reverted` all that was started is gone again. Raises as `apply.execute`."""
    plan = prepared.plan
    if plan.empty:
        yield Finished(rfc3339(clock.now()), Outcome.UNCHANGED, plan.release, "all of it runs already")
        return
    images = Images(connection, docker, prepared, clock)
    async for event in images.fetch():
        yield event
    await arch.check(docker, prepared, images.targets)
    run = LifeRun(connection, prepared.place, by, clock, fresh, again)
    steps = b"".join(f"{step.line()}\n".encode() for step in prepared.steps)
    told = _manifest(run, START, plan.stack, clock, release=plan.release, compose=prepared.compose_version)
    async for event in run.start(START, tar_of([("manifest", told, "600"), ("steps", steps, "600")])):
        yield event


# ── stopping ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def stop(
    connection: Connection,
    stack: Stack,
    networks: Sequence[str],
    by: str,
    clock: Clock,
    fresh: Connect,
    again: Connect | None = None,
) -> AsyncIterator[Event]:
    """Stops and removes the containers of all services of `stack`, whoever started them, and `networks`; no volume.

    The last event is `Finished`: committed, unchanged (nothing was there), failed, refused or unknown.
    """
    place = place_of(connection, stack.name, stack.project)
    run = LifeRun(connection, place, by, clock, fresh, again, _what(stack, networks))
    told = _manifest(run, "stop", stack.id, clock)
    async for event in run.start("stop", tar_of([("manifest", told, "600")])):
        yield event


async def stop_words(connection: Connection, stack: Stack, networks: Sequence[str], by: str) -> str:
    """The sh words that stop `stack` on its host, run there as root by whoever has them, in the name of `by`; the
    runner is put there."""
    place, runner = place_of(connection, stack.name, stack.project), runner_script()
    path = f"{place.deploy}/bin/{script_name(runner)}"
    argv = ["sh", "-c", install(place, path, runner)]
    await connection.run(argv, root=True, stdin=runner, label=f"install the runner of {stack.name}")
    words = f"{place.environment()} WHO={shlex.quote(by)}{_what(stack, networks)}"
    return f"{words} sh {shlex.quote(path)} stop auto"


def _what(stack: Stack, networks: Sequence[str]) -> str:
    services = shlex.quote(" ".join(stack.services))
    return f" SERVICES={services} NETWORKS={shlex.quote(' '.join(networks))}"


def _manifest(run: Run, kind: str, stack: str, clock: Clock, **more: str) -> bytes:
    pairs = {"id": run.release, "stack": stack, "kind": kind, "created_at": rfc3339(clock.now()), "by": run.by}
    return "".join(f"{key}={value}\n" for key, value in (pairs | more).items()).encode()
