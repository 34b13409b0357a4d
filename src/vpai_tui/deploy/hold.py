"""A hold: deploys on a host are frozen by somebody, for a reason, until it is lifted. It lies on the host."""

from __future__ import annotations

from vpai_tui.deploy.host import script
from vpai_tui.errors import LockHeld, UsageError
from vpai_tui.fleet.model import Hold
from vpai_tui.redact import redact
from vpai_tui.remote.connection import Completed, Connection
from vpai_tui.text import clean_line, last_lines

WHY_LIMIT = 200  # characters
NO_REASON = "no reason given"
_OTHER, _LOCKED = 65, 75


def reason_of(why: str) -> str:
    """`why` as it is written down: one line, without secrets."""
    return redact(clean_line(why, WHY_LIMIT)) or NO_REASON


async def read_hold(connection: Connection) -> Hold | None:
    """The hold on a host; None when deploys are free."""
    return _hold(await _run(connection, "show"))


async def set_hold(connection: Connection, by: str, why: str) -> Hold:
    """Freezes deploys on the host; one's own hold is renewed with another reason.

    Raises:
        UsageError: somebody else holds it already.
        LockHeld: a deploy is running there; nothing was changed.
    """
    done = await _run(connection, "set", clean_line(by, 100), reason_of(why))
    present = _hold(done)
    if done.exit_status == _OTHER or present is None:
        told = f"is held already {present.told}" if present else "could not be held: the hold is not there afterwards"
        remedy = f"vpai-tui hold {connection.name} --off, when that is settled with them"
        raise UsageError(f"{connection.name} {told}", host=connection.name, step="hold", remedy=remedy)
    return present


async def lift_hold(connection: Connection, hold: Hold, by: str) -> None:
    """Lets deploys go again, if `hold` is still the one that is there.

    Raises:
        UsageError: it is gone, or another took its place; nothing was changed.
        LockHeld: a deploy (a settling: it may run under a hold) is running there.
    """
    done = await _run(connection, "off", hold.at, hold.by, clean_line(by, 100))
    if done.exit_status == _OTHER:
        present = _hold(done)
        told = f"now it is held {present.told}" if present else "it is not held any more"
        raise UsageError(f"{connection.name}: {told}; nothing was changed", host=connection.name, step="hold")


async def _run(connection: Connection, *words: str) -> Completed:
    argv = ["sh", "-s", "--", connection.host.root.rstrip("/"), *words]
    label = f"hold {words[0]}"
    done = await connection.run(argv, root=True, stdin=script("hold.sh"), check=False, timeout_s=160, label=label)
    if done.exit_status == _LOCKED:
        raise LockHeld(
            f"a deploy holds the lock: {last_lines(done.stderr, 1) or 'nobody says who'}",
            host=connection.name,
            step="hold",
            remedy="try again when it has ended",
        )
    if done.exit_status not in (0, _OTHER):
        raise connection.failed(label, done)
    return done


def _hold(done: Completed) -> Hold | None:
    return Hold.read(done.stdout) if done.stdout.strip() else None
