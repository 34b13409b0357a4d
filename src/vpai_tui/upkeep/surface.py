"""What the checks stand on: a fleet that is watched, over connections that somebody else keeps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vpai_tui.clock import Clock
from vpai_tui.config import Fleet
from vpai_tui.fleet.containers import ContainerEvent
from vpai_tui.fleet.history import History
from vpai_tui.fleet.model import FleetSnapshot
from vpai_tui.fleet.stacks import Stack

if TYPE_CHECKING:
    from vpai_tui.fleet.endpoints import Questioner
    from vpai_tui.remote.connection import Connection
    from vpai_tui.remote.docker import Docker
    from vpai_tui.upkeep.laptop import Laptop


@dataclass(frozen=True)
class Surface:
    """`snapshot` is the fleet now; `connection` and `docker` hand out what is live, or raise OperatorError."""

    fleet: Fleet
    stacks: Sequence[Stack]
    snapshot: Callable[[], FleetSnapshot]
    connection: Callable[[str], Awaitable[Connection]]
    docker: Callable[[str], Docker]
    questioner: Callable[[], Questioner]  # asks names of the fleet from where a user stands
    laptop: Callable[[], Awaitable[Laptop]]  # how this laptop itself stands
    clock: Clock
    history: History
    folder: Path  # the laptop's own state
    read_only: bool = False
    events: Callable[[str], Sequence[ContainerEvent]] = lambda _host: ()  # of the last hour, oldest first

    def live(self) -> list[str]:
        """The hosts that can be asked now, in the fleet's order."""
        return [host.name for host in self.snapshot().hosts if host.live]
