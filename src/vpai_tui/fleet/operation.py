"""What may be done and what was done: plans before, past facts during.

Everything that takes time is an async generator of the frozen dataclasses below, named as past facts. The command
line prints them, the screen draws them, the tests assert them, a runner's journal replays into them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from vpai_tui.clock import duration
from vpai_tui.errors import PreflightRefused
from vpai_tui.fleet.model import Hold


class Effect(StrEnum):
    """What a plan does to one service."""

    CREATE = "create"
    RECREATE = "recreate"
    RESTART = "restart"
    RELOAD = "reload"
    REMOVE = "remove"
    NONE = "none"


class Outcome(StrEnum):
    """How an operation ended."""

    COMMITTED = "committed"
    UNCHANGED = "unchanged"
    REVERTED = "reverted"
    REVERT_FAILED = "revert_failed"
    FAILED = "failed"
    REFUSED = "refused"
    UNKNOWN = "unknown"  # the link was lost: the host goes on


def confirm_word(stack: str, *, data: bool, hub: bool) -> str | None:
    """What is typed before a stack is changed: its name when it holds data or its host carries the VPN, else None."""
    return stack if data or hub else None


def stop_word(service: str, *, hub: bool) -> str | None:
    """What is typed before a service is stopped: its name on the host that carries the VPN, which may lock us out."""
    return service.rpartition("/")[2] if hub else None


@dataclass(frozen=True)
class Cause:
    """Why a service is touched. `kind`: new, gone, image, config, env, files, live, network, volume, compose_upgrade,
    build, state, mount, replaces; of a whole plan: ancestry, project, data. `detail` is one safe line, without secret
    values. `before`/`after` are multi-line texts to diff."""

    kind: str
    detail: str
    before: str = ""
    after: str = ""
    danger: bool = False


@dataclass(frozen=True)
class Change:
    """What happens to one service, and why. `interruption_s` is the expected time it does not answer.

    `replaces`: removed services whose data, port or name it takes over, which are therefore removed before.
    """

    service: str
    effect: Effect
    causes: tuple[Cause, ...] = ()
    image: str = ""
    image_before: str = ""
    interruption_s: float | None = None
    has_data: bool = False
    replaces: tuple[str, ...] = ()


@dataclass(frozen=True)
class Command:
    """A command that runs once before or after the services are touched. `run` is one safe line."""

    run: str
    service: str | None  # None: on the host
    container: str | None  # new (one made for it) or running
    timeout_s: float
    skipped: bool = False  # it wants a running container of a service that has none yet

    @property
    def where(self) -> str:
        if self.service is None:
            return "on the host"
        which = "a container of the new" if self.container == "new" else "the running"
        return f"in {which} {self.service}"


@dataclass(frozen=True)
class Dump:
    """The newest dump of a service that holds data; without `path` there is none, and `problem` says so."""

    service: str
    path: str | None = None
    age_s: float | None = None
    size_bytes: int | None = None
    problem: str = ""

    @property
    def told(self) -> str:
        """`newest dump 7h old, 12.4 MB: /opt/vpai/backups/app.dump`, or what is wrong."""
        if self.path is None or self.size_bytes is None:
            return self.problem
        large = self.size_bytes >= 1_000_000
        size = f"{self.size_bytes / 1e6:.1f} MB" if large else f"{self.size_bytes / 1e3:.1f} kB"
        wrong = f" ({self.problem})" if self.problem else ""
        return f"newest dump {duration(self.age_s)} old{wrong}, {size}: {self.path}"


@dataclass(frozen=True)
class Plan:
    """What a deploy, a rollback or a start of one stack would do, as compared with the host a moment ago."""

    stack: str  # host/stack
    kind: str  # deploy, rollback or start (of the release that is deployed, which is then `release` too)
    base: str | None  # the release it starts from; None: the stack was never deployed
    release: str  # the release it makes
    fingerprint: str  # of the host's state; the runner refuses when it moved
    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()  # live values carried over, as `file: key`
    confirm_word: str | None = None  # the word to type; None: Enter is enough
    rollback_to: str | None = None
    installs: tuple[str, ...] = ()  # shipped files that differ on the host
    adopts: bool = False  # records what runs now as the way back (r0) first
    hold: Hold | None = None  # deploys on this host are frozen: the plan may be read, not applied
    dangers: tuple[Cause, ...] = ()  # of the whole plan: whoever applies it types the stack's name
    before: tuple[Command, ...] = ()  # run before the first service is touched
    after: tuple[Command, ...] = ()  # run when all are healthy, before the commit
    dumps: tuple[Dump, ...] = ()  # one for each service that holds data
    off: tuple[str, ...] = ()  # services that wait for the operator's own source

    @property
    def empty(self) -> bool:
        """Nothing would change on the host. Of a stack never deployed by us the first release is; not if all is off."""
        return (
            (self.base is not None or bool(self.off and not self.changes))
            and not self.installs
            and all(c.effect is Effect.NONE for c in self.changes)
        )

    @property
    def summary(self) -> str:
        """`2 recreate, 1 create`, or `nothing to change`."""
        counts = {effect: sum(1 for change in self.changes if change.effect is effect) for effect in Effect}
        parts = [f"{count} {effect.value}" for effect, count in counts.items() if count and effect is not Effect.NONE]
        if not parts and self.installs:
            parts = [f"{len(self.installs)} file(s) to install"]
        if not parts and self.off and not self.changes:
            parts = [f"off: {', '.join(self.off)}"]
        return ", ".join(parts) or ("nothing to change" if self.base else "nothing to change, recorded as a release")


def refuse_held(plan: Plan) -> None:
    """Nothing is asked, fetched or sent for a plan that its host would refuse.

    Raises:
        PreflightRefused: deploys on the host are held.
    """
    if plan.hold is not None and not plan.empty:
        host = plan.stack.partition("/")[0]
        remedy = f"when that is done: vpai-tui hold {host} --off, then plan again"
        raise PreflightRefused(f"deploys are held {plan.hold.told}", host=host, step="hold", remedy=remedy)


@dataclass(frozen=True)
class Release:
    """One release of a stack as its host keeps it. `images` maps service to `ref@id12`."""

    id: str
    at: str  # RFC 3339 UTC
    by: str
    outcome: str  # ok, reverted, revert_failed, pending, adopted
    restorable: bool
    reason: str = ""  # why not restorable
    rollback_of: str | None = None
    base: str | None = None  # what ran when it was made
    images: tuple[tuple[str, str], ...] = ()
    current: bool = False
    commit: str = ""  # the full id its files were at; empty: they lay in no checkout
    dirty: bool = False  # with changes that are in no commit
    checkout: str = ""  # which repository: the id of its first commit
    data_newer: bool = False  # its bits can be had back, but later releases have written to the stack's data since
    dumps: tuple[tuple[str, str], ...] = ()  # service → the newest dump there was when it was committed

    @property
    def data_told(self) -> str:
        """`bits yes, data newer; dump of then: …`; empty where the data is that of the release, or there is none."""
        if not self.data_newer:
            return ""
        named = ", ".join(path for _, path in self.dumps) or "none"
        return f"bits yes, data newer; dump of then: {named}"


@dataclass(frozen=True)
class Event:
    """Base of the past facts of an operation. `at` is RFC 3339 UTC by the clock of whoever saw it."""

    at: str

    @property
    def name(self) -> str:
        """snake_case of the class name: the `event` of `--json`."""
        text = type(self).__name__
        return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(text))

    def to_json(self) -> dict[str, Any]:
        return {"event": self.name} | {item.name: getattr(self, item.name) for item in fields(self)}


@dataclass(frozen=True)
class LayerPulled(Event):
    """Progress of one layer; `done` when it is there. Byte counts are None while unknown."""

    image: str
    layer: str
    status: str
    current_bytes: int | None = None
    total_bytes: int | None = None
    done: bool = False


@dataclass(frozen=True)
class ImagePulled(Event):
    image: str
    digest: str


@dataclass(frozen=True)
class ImageBuilt(Event):
    service: str
    tag: str


@dataclass(frozen=True)
class BuildLine(Event):
    service: str
    line: str


@dataclass(frozen=True)
class ReleaseUploaded(Event):
    release: str
    size_bytes: int


@dataclass(frozen=True)
class RunnerStarted(Event):
    """From here on the host goes on by itself, whatever happens to the laptop."""

    release: str


@dataclass(frozen=True)
class Journaled(Event):
    """A journal line with no class of its own (`begin`, `pending`, `files_installed`, `repaired`, …)."""

    what: str
    detail: str = ""


@dataclass(frozen=True)
class HookStarted(Event):
    """A `before` or `after` command; `hook` is `before 1`, `detail` where it runs and what."""

    hook: str
    detail: str


@dataclass(frozen=True)
class HookDone(Event):
    hook: str
    detail: str = ""


@dataclass(frozen=True)
class HookFailed(Event):
    """A `before` that fails has changed nothing; after an `after` the release is reverted."""

    hook: str
    reason: str


@dataclass(frozen=True)
class StepStarted(Event):
    service: str
    effect: str


@dataclass(frozen=True)
class ServiceStarted(Event):
    """Compose brought the container up; the gate watches it now."""

    service: str


@dataclass(frozen=True)
class ServiceHealthy(Event):
    """The gate let the service pass."""

    service: str
    detail: str = ""


@dataclass(frozen=True)
class ServiceRemoved(Event):
    service: str


@dataclass(frozen=True)
class StepFailed(Event):
    service: str
    reason: str
    output: str = ""


@dataclass(frozen=True)
class ConfirmAwaited(Event):
    """The host waits for a fresh connection; it reverts when none comes within `timeout_s`."""

    timeout_s: int


@dataclass(frozen=True)
class Confirmed(Event):
    pass


@dataclass(frozen=True)
class RevertStarted(Event):
    to: str
    reason: str


@dataclass(frozen=True)
class Verified(Event):
    """After a commit the host was compared with the release once more; `detail` names what differs, "" when nothing."""

    detail: str = ""


@dataclass(frozen=True)
class Finished(Event):
    """Always the last event. `reason` is a sentence when the outcome is not `committed`; `output` the last lines.

    `code` is the exit code of a refusal (75 to 78).
    """

    outcome: Outcome
    release: str
    reason: str = ""
    output: str = ""
    code: int = 0

    @property
    def exit_code(self) -> int:
        """What the command line ends with."""
        if self.outcome is Outcome.REFUSED:
            return self.code if 75 <= self.code <= 78 else 78
        codes = {Outcome.COMMITTED: 0, Outcome.UNCHANGED: 0, Outcome.REVERTED: 4, Outcome.UNKNOWN: 79}
        return codes.get(self.outcome, 1)


TAKEN_BACK = "; it was taken back, but then "  # the runner's own words


def after_failed_revert(stack: str, release: str, reason: str) -> list[str]:
    """What to do after an outcome of `revert_failed`, in sentences.

    The runner tells two cases apart by its reason: all of the release before is back and does not run well, or
    something of it is not back.
    """
    if TAKEN_BACK in reason:
        return ["the release before is back, and not all of it is healthy: vpai-tui status"]
    host, _, name = stack.partition("/")
    return [
        "neither release is whole; no other deploy of it starts until it is settled",
        f"1. mend what is told above; more of it is on {host}, below its root:",
        f"   deploy/stacks/{name}/releases/{release}/failure.log, out.log",
        f"2. vpai-tui revert {stack} (tries again to go back), or resume (goes on)",
    ]
