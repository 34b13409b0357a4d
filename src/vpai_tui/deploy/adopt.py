"""`adopt HOST`: look what runs, map it, write the operator's file, record the way back. Nothing there is touched."""

from __future__ import annotations

import asyncio
import difflib
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import yaml

from vpai_tui import config
from vpai_tui.clock import Clock, rfc3339
from vpai_tui.deploy.apply import Connect, Run
from vpai_tui.deploy.builds import tar_of
from vpai_tui.deploy.bundle import describe, read_bundle
from vpai_tui.deploy.host import Place, lines, probe
from vpai_tui.deploy.plan import new_release_id
from vpai_tui.deploy.survey import Survey, containers_of, survey
from vpai_tui.deploy.takeover import take_over
from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.adopted import Adopted, folder_of, load_adopted
from vpai_tui.fleet.history import Entry, History, who
from vpai_tui.fleet.operation import Event, Finished, Journaled, Outcome
from vpai_tui.fleet.stacks import Stack, with_names
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.docker import Docker
from vpai_tui.text import clean_line

_HEAD = """\
# yaml-language-server: $schema=../adopted.schema.json
#
# Under which names {host} runs what it ran before vpai-tui. Written by `vpai-tui adopt {host}`; it is yours to edit:
# a deploy goes onto these containers, networks, volumes and directories. Every key is explained in docs/adopt.md.

"""


@dataclass(frozen=True, slots=True)
class Proposal:
    """The file as it would be. `before`: its text now; None where there is none."""

    host: str
    path: Path
    adopted: Adopted
    text: str
    before: str | None
    notes: tuple[str, ...] = ()

    @property
    def unchanged(self) -> bool:
        """The file says the same already: it is left as it is, with its comments."""
        return self.before is not None and _meaning(self.before) == _meaning(self.text)

    @property
    def diff(self) -> tuple[str, ...]:
        """The lines of the file that would change."""
        if self.before is None or self.unchanged:
            return ()
        old, new = self.before.splitlines(), self.text.splitlines()
        return tuple(difflib.unified_diff(old, new, "now", "new", lineterm="", n=1))


def _meaning(text: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


class Adopter:
    """Takes hosts over. `stacks` are as their compose.yaml has them, `fleet` as fleet.yaml has it."""

    def __init__(
        self,
        fleet: config.Fleet,
        stacks: Sequence[Stack],
        config_path: Path,
        clock: Clock,
        history: History,
        fresh: Callable[[str], Connect],
    ) -> None:
        self._fleet = fleet
        self._stacks = tuple(stacks)
        self._folder = folder_of(config_path)
        self._clock = clock
        self._history = history
        self._fresh = fresh

    def stacks_of(self, host: str) -> tuple[Stack, ...]:
        """Raises UsageError where there is no such host."""
        if host not in self._fleet.hosts:
            raise UsageError(f'no host "{clean_line(host)}"', remedy=f"known: {', '.join(self._fleet.hosts)}")
        return tuple(stack for stack in self._stacks if stack.host == host)

    async def survey(self, connection: Connection, docker: Docker) -> Survey:
        """The host's containers against its stacks; what its file says already is chosen."""
        host = connection.name
        stacks = self.stacks_of(host)
        if not stacks:
            raise UsageError(f"fleet.yaml has no stack on {host}", remedy="add what it should run to `stacks`")
        containers, deployed = await asyncio.gather(containers_of(docker), self._deployed(connection, stacks))
        file = load_adopted(self._folder, self._fleet).get(host)
        known = file.spec.stacks if file else {}
        found = survey(host, stacks, containers, deployed, (f"{host}/{name}" for name in known))
        names = {item.name for item in containers}
        for stack, spec in known.items():
            for service, container in spec.containers.items():
                if container in names and any(it.id == f"{host}/{stack}/{service}" for it in found.matches):
                    found = found.choose(f"{host}/{stack}/{service}", container)
        return found

    async def _deployed(self, connection: Connection, stacks: Sequence[Stack]) -> tuple[str, ...]:
        """Those that have a release below the root of fleet.yaml."""
        host = self._fleet.hosts[connection.name]
        places = [Place(host.root.rstrip("/"), stack.name, stack.project, host.docker) for stack in stacks]
        facts = await asyncio.gather(*(probe(connection, place, "state") for place in places))
        return tuple(stack.id for stack, fact in zip(stacks, facts, strict=True) if fact.current)

    async def propose(self, found: Survey, docker: Docker, root: str | None = None) -> Proposal:
        """The file that the decided survey makes.

        Raises:
            PreflightRefused: something is undecided or cannot be taken over.
        """
        answer = await docker.call("networks")
        networks = [clean_line(str(item.get("Name"))) for item in answer if isinstance(item, dict)]
        fleet_root = self._fleet.hosts[found.host].root.rstrip("/")
        made = take_over(found, self.stacks_of(found.host), networks, fleet_root, root)
        path = self._folder / f"{found.host}.yaml"
        before = await asyncio.to_thread(path.read_text, encoding="utf-8") if path.exists() else None
        return Proposal(found.host, path, made.adopted, render(found.host, made.adopted), before, made.notes)

    async def carry_out(self, connection: Connection, proposal: Proposal) -> AsyncIterator[Event]:
        """Writes the file, then records what runs as r0 of each stack that has none. The last event is `Finished`.

        Raises:
            UsageError: the file cannot be written; nothing was changed.
        """
        backup = None if proposal.unchanged else await asyncio.to_thread(self._write, proposal)
        said = "unchanged" if proposal.unchanged else f"the one before is {backup}" if backup else "written"
        yield Journaled(self._now(), "adopted_file", f"{proposal.path} {said}")
        end = Finished(self._now(), Outcome.FAILED, "", "it broke off", "", 1)
        try:
            failed: dict[str, Finished | None] = {}
            for stack in self.stacks_of(proposal.host):
                async for event in self._way_back(connection, stack, proposal.adopted, failed):
                    yield event
            end = self._end(failed)
        except OperatorError as error:
            end = replace(end, reason=error.message)
            raise
        finally:
            entry = Entry(self._now(), who(), proposal.host, "adopt", proposal.host, end.outcome.value, end.reason)
            self._history.append(entry)
        yield end

    async def _way_back(
        self, connection: Connection, stack: Stack, adopted: Adopted, failed: dict[str, Finished | None]
    ) -> AsyncIterator[Event]:
        """Records what runs of one stack; without a way back its end is in `failed`."""
        spec = adopted.stacks.get(stack.name)
        if spec is None or not spec.containers:
            return
        ended: Finished | None = None
        async for event in self._record(connection, with_names(stack, spec), adopted.root):
            ended = event if isinstance(event, Finished) else ended
            if not isinstance(event, Finished):
                yield event
        if ended is None or ended.outcome not in (Outcome.COMMITTED, Outcome.UNCHANGED):
            failed[stack.id] = ended
        else:
            known = ended.outcome is Outcome.UNCHANGED
            yield Journaled(self._now(), "way_back", f"{stack.id} {'has one already' if known else 'is r0'}")

    def _end(self, failed: Mapping[str, Finished | None]) -> Finished:
        outcome = Outcome.REFUSED if failed else Outcome.COMMITTED
        told = {stack: end.reason if end else "it ended without an outcome" for stack, end in failed.items()}
        code = max((end.exit_code if end else 1 for end in failed.values()), default=0)
        return Finished(self._now(), outcome, "", "; ".join(f"{stack}: {why}" for stack, why in told.items()), "", code)

    async def _record(self, connection: Connection, stack: Stack, root: str) -> AsyncIterator[Event]:
        host = self._fleet.hosts[stack.host]
        place = Place(root, stack.name, stack.project, host.docker)
        bundle = await asyncio.to_thread(read_bundle, stack, root)
        lists = {
            "services": lines(bundle.services),
            "files.sha256": lines(f"{item.sha256} {item.mode} {item.path}" for item in bundle.files),
            "lives": lines(bundle.lives),
            "envs": lines(bundle.envs),
            "envs.optional": lines(bundle.optional_envs),
            "bundle.json": describe(bundle),
        }
        tar = tar_of([(name, content, "600") for name, content in lists.items()])
        run = Run(connection, place, new_release_id(self._clock), who(), self._clock, self._fresh(stack.host))
        async for event in run.start("adopt", tar):
            yield event

    def _write(self, proposal: Proposal) -> Path | None:
        """Whole or not at all; returns where the file that was there is now."""
        path, backup = proposal.path, None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if proposal.before is not None:
                backup = path.with_name(f"{path.name}.{self._clock.now():%Y%m%dT%H%M%S}")
                backup.write_text(proposal.before, encoding="utf-8")
            new = path.with_name(f".{path.name}.new")
            with new.open("w", encoding="utf-8") as file:
                file.write(proposal.text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror or error}", step="adopt") from error
        return backup

    def _now(self) -> str:
        return rfc3339(self._clock.now())


def render(host: str, adopted: Adopted) -> str:
    """The text of a file: what is empty is left out."""
    body = msgspec.to_builtins(adopted)
    stacks = {name: _filled(stack) for name, stack in body["stacks"].items()}
    written: str = yaml.safe_dump({"root": body["root"], "stacks": stacks}, sort_keys=False, width=100)
    return _HEAD.format(host=host) + written


def _filled(stack: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in stack.items() if value}
