"""A shell in a service's container, or of the login user on a host, over the connection there is."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vpai_tui.clock import Clock, duration, rfc3339
from vpai_tui.config import Fleet
from vpai_tui.errors import LinkLost, OperatorError
from vpai_tui.fleet.compose import services_of
from vpai_tui.fleet.containers import Engine, from_list
from vpai_tui.fleet.history import Entry, History, who
from vpai_tui.fleet.model import Container
from vpai_tui.fleet.stacks import Stack, find_service

if TYPE_CHECKING:
    from vpai_tui.remote.connection import Connection

Connect = Callable[[str], Awaitable["Connection"]]
EngineOf = Callable[["Connection"], Engine]

_NONE = (126, 127)  # what `docker exec` ends with when the program is not in the image
_PROBE = "command -v bash || command -v sh || echo sh"
# Docker keeps ctrl-p ctrl-q for itself otherwise, and with it the key that shells go back in their history by.
_DETACH = "--detach-keys=ctrl-^,ctrl-@"
_LOGIN = 'cd -- "$1" 2>/dev/null; exec "${SHELL:-/bin/sh}" -l'


@dataclass(frozen=True, slots=True)
class Place:
    """Where a shell is wanted: in a service's container, or on the host itself."""

    host: str
    stack: Stack | None = None
    service: str = ""

    @property
    def name(self) -> str:
        """The service's id, or the host's name."""
        return f"{self.stack.id}/{self.service}" if self.stack else self.host


def place_of(text: str, fleet: Fleet, stacks: Sequence[Stack]) -> Place:
    """What `text` names: a host, else a service. UsageError when nothing fits."""
    if text in fleet.hosts:
        return Place(text)
    stack, service = find_service(stacks, text)
    return Place(stack.host, stack, service)


async def container_of(engine: Engine, stack: Stack, service: str) -> Container:
    """The running container of a service.

    Raises:
        OperatorError: it has none, or it does not run.
    """
    named = services_of(stack.compose).get(service, {}).get("container_name")
    answer = await engine.call("containers", all=True)
    rows = [it for it in map(from_list, answer if isinstance(answer, list) else ()) if it is not None]
    found = [it for it in rows if (it.project, it.service) == (stack.project, service) or it.name == named]
    running = next((it for it in found if it.state == "running"), None)
    if running is not None:
        return running
    subject = f"{stack.id}/{service}"
    if found:
        raise OperatorError(
            f"{subject} does not run: its container is {found[0].state}",
            host=stack.host,
            remedy=f"vpai-tui start {subject}, or vpai-tui logs {subject}",
        )
    raise OperatorError(f"{subject} has no container", host=stack.host, remedy=f"vpai-tui deploy {stack.id}")


class Shells:
    """Opens shells on this process's terminal, and notes in the journal that they were open: nothing of what was done
    in them."""

    def __init__(
        self,
        fleet: Fleet,
        stacks: Sequence[Stack],
        connect: Connect,
        engine: EngineOf,
        clock: Clock,
        history: History,
    ) -> None:
        self._fleet = fleet
        self._stacks = stacks
        self._connect = connect
        self._engine = engine
        self._clock = clock
        self._history = history

    async def open(self, text: str) -> int:
        """A shell in the service or on the host that `text` names, until it ends; its exit status.

        Raises:
            UsageError: nothing is named so, or there is no terminal here.
            OperatorError: the container does not run, or its image has no shell.
            LinkLost: the link ended first. What was begun in it may go on.
        """
        from vpai_tui.remote.terminal import interactive, need_terminal

        need_terminal()
        place = place_of(text, self._fleet, self._stacks)
        connection = await self._connect(place.host)
        command, root = await self._command(place, connection)
        self._note(place, "opened")
        started, result = self._clock.boot_s(), "failed"
        try:
            status = await interactive(connection, command, root=root, label=f"shell in {place.name}")
            result = f"ended with status {status}"
        except LinkLost as error:
            result = "the link was lost"
            error.remedy = f"what was begun in it may go on: vpai-tui shell {place.name} looks again"
            raise
        finally:
            self._note(place, result, f"after {duration(self._clock.boot_s() - started)}")
        return status

    async def _command(self, place: Place, connection: Connection) -> tuple[list[str], bool]:
        if place.stack is None:
            return ["sh", "-c", _LOGIN, "sh", connection.host.root], False
        container = await container_of(self._engine(connection), place.stack, place.service)
        shell = await self._shell(place, connection, container.name)
        return [*shlex.split(connection.host.docker), "exec", "-it", _DETACH, container.name, shell], True

    async def _shell(self, place: Place, connection: Connection, container: str) -> str:
        docker = shlex.split(connection.host.docker)
        what = f"look for a shell in {container}"
        done = await connection.run(
            [*docker, "exec", container, "sh", "-c", _PROBE], root=True, check=False, label=what
        )
        if done.exit_status in _NONE:
            raise OperatorError(
                f"the image of {place.name} has no shell",
                host=place.host,
                remedy=f"vpai-tui logs {place.name}; its files, from vpai-tui shell {place.host}: "
                f"{'sudo ' if connection.host.sudo else ''}docker cp {container}:/ -",
            )
        if done.exit_status:
            raise connection.failed(what, done)
        return "bash" if done.text.strip().endswith("bash") else "sh"

    def _note(self, place: Place, result: str, detail: str = "") -> None:
        at = rfc3339(self._clock.now())
        self._history.append(Entry(at, who(), place.host, "shell", place.name, result, detail))
