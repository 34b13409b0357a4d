"""Faults, and the points of a deploy at which they strike: placed on a lab host from outside the runner."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from lab_host import LabHost
from lab_machines import LabError

_STAND_IN = Path(__file__).parent / "stand_in.sh"
_PROGRAMS = ("docker", "flock", "mv", "rm", "setsid", "tar")


@dataclass(frozen=True)
class Point:
    """A moment of a deploy that a program's call tells from outside: the `nth` call whose arguments match `pattern`."""

    step: int  # of the protocol
    what: str
    program: str
    pattern: str
    moment: str = "before"  # before, during (a container has its temporary name) or after the call
    nth: int = 1

    @property
    def name(self) -> str:
        return f"{self.step} {self.what}"


POINTS = (
    Point(1, "plan is read", "docker", "ps -a --no-trunc*"),
    Point(2, "release is uploaded", "tar", "-xf - -C *.part", "after"),
    Point(2, "release gets its name", "mv", "-T *.part *"),
    Point(3, "runner starts", "setsid", "sh *"),
    Point(4, "lock is taken", "flock", "-w 3 9", "after"),
    Point(4, "preflight", "docker", "image inspect -f {{.Id}}*"),
    Point(5, "before pending", "mv", "-T *pending.new *"),
    Point(5, "after pending", "mv", "-T *pending.new *", "after"),
    Point(6, "file is put in place", "mv", "-T *.vpai-new *"),
    Point(6, "image is tagged", "docker", "tag sha256:*", "after"),
    Point(7, "before the first up", "docker", "compose *up -d *"),
    Point(7, "in a recreate", "docker", "compose *up -d *front*", "during"),
    Point(7, "after up, before its gate", "docker", "compose *up -d *front*", "after"),
    Point(7, "at the gate", "docker", "inspect -f {{.State.Status}} *", "after"),
    Point(7, "before the last up", "docker", "compose *up -d *extra*"),
    Point(8, "a service is removed", "docker", "rm -f *"),
    Point(9, "confirmation", "rm", "-f */confirmed"),
    Point(10, "before the commit", "mv", "-T *current.new *"),
    Point(10, "after the commit", "mv", "-T *current.new *", "after"),
    Point(10, "status is written", "mv", "-T *status.new *"),
    Point(10, "before pending goes", "rm", "-f */pending *"),
    Point(10, "after pending went", "rm", "-f */pending *", "after"),
    Point(10, "tidying up", "docker", "ps -a --filter label=vpai.keep=1*"),
)


@dataclass
class Struck:
    """A deploy stopped at a point: what a fault acts on."""

    host: LabHost
    shell: int  # pid of the runner; of what the client runs on the host where there is no runner yet
    client: Client


class Client:
    """A deploy seen from the laptop: `vpai-tui deploy` as a process, or a task of this one."""

    def __init__(self, process: asyncio.subprocess.Process | None, ended: Awaitable[object]) -> None:
        self._process = process
        self.ended = asyncio.ensure_future(ended)

    def kill(self) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()


@dataclass(frozen=True)
class Fault:
    """Something that happens to a deploy. `strike` while it stands at the point; `after` once it was let go on."""

    name: str
    strike: Callable[[Struck], None]
    after: Callable[[LabHost], None] = lambda host: None
    relieve: Callable[[LabHost], None] = lambda host: None  # when the host has been settled under it
    stops: bool = True  # the host's part may end in the middle; False: the host goes to an end by itself
    as_process: bool = False  # the client has to be a process of its own
    small: bool = False  # the host's deploys lie on a small filesystem


def _kill_runner(at: Struck) -> None:
    at.host.sh(f"kill -KILL {at.shell}")


def _kill_all(at: Struck) -> None:
    """The runner with everything it started; it is the first of its session."""
    at.host.sh(f"pkill -KILL -s {at.shell} || kill -KILL {at.shell}")


def _restart_engine(at: Struck) -> None:
    at.host.sh(
        "p=$(cat /run/docker.pid); kill $p; for i in $(seq 200); do kill -0 $p 2>/dev/null || exit 0; sleep 0.1; done;"
        "exit 1"
    )


def _lose_power(at: Struck) -> None:
    at.host.lab.crash(at.host.name)


def _fill_disk(at: Struck) -> None:
    at.host.sh(f"head -c 1G /dev/zero >{at.host.root}/deploy/filled 2>/dev/null || :")


def _free_disk(host: LabHost) -> None:
    host.sh(f"rm -f {host.root}/deploy/filled")


FAULTS = (
    Fault("client killed", lambda at: at.client.kill(), stops=False, as_process=True),
    Fault("runner killed", _kill_runner),
    Fault("runner and compose killed", _kill_all),
    Fault("link cut", lambda at: at.host.cut(), lambda host: host.heal(), stops=False),
    Fault("engine restarted", _restart_engine, lambda host: host.lab.wait_ready(host.name)),
    Fault("power lost", _lose_power, lambda host: host.lab.boot(host.name)),
    Fault("disk full", _fill_disk, relieve=_free_disk, small=True),
)
BY_NAME = {fault.name: fault for fault in FAULTS}


def install(host: LabHost) -> None:
    """The stand-ins come first in the PATH of the runner; without a point they only pass on."""
    names = " ".join(f"/usr/local/sbin/{name}" for name in _PROGRAMS)
    host.sh(
        f"rm -rf /run/fault; cat >/usr/local/sbin/stand-in; chmod 755 /usr/local/sbin/stand-in; for p in {names}; do "
        "ln -sf stand-in $p; done",
        stdin=_STAND_IN.read_bytes(),
    )


def remove(host: LabHost) -> None:
    names = " ".join(f"/usr/local/sbin/{name}" for name in _PROGRAMS)
    host.sh(f"rm -rf /run/fault; rm -f {names} /usr/local/sbin/stand-in")


def arm(host: LabHost, point: Point) -> None:
    lines = f"{point.program}\n{point.pattern}\n{point.nth}\n{point.moment}\n"
    host.sh(
        "rm -rf /run/fault; mkdir /run/fault; cat >/run/fault/new; mv /run/fault/new /run/fault/point",
        stdin=lines.encode(),
    )


def release(host: LabHost) -> None:
    """Lets the deploy go on; of a host that lost its power there is nothing to let go."""
    with contextlib.suppress(LabError):
        host.sh("[ ! -d /run/fault ] || : >/run/fault/go")


def disarm(host: LabHost) -> None:
    host.sh("rm -rf /run/fault")


async def reached(host: LabHost, client: Client, timeout_s: float = 60) -> int | None:
    """The pid of the deploy's shell once it stands at the point; None when the deploy ended without coming there."""
    script = "for i in $(seq 20); do [ ! -e /run/fault/reached ] || { cat /run/fault/reached; exit; }; sleep 0.05; done"
    deadline = asyncio.get_running_loop().time() + timeout_s
    while asyncio.get_running_loop().time() < deadline:
        done = client.ended.done()
        told = (await asyncio.to_thread(host.sh, script)).strip()
        if told:
            return int(told)
        if done:
            return None
    raise AssertionError(f"the deploy neither ends nor comes to the point: {host.sh('cat /run/fault/* || :')}")
