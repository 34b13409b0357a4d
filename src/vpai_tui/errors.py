"""What went wrong, on which host, at which step, and what to do next.

OperatorError
├── UsageError          2   the command line or the configuration is wrong
├── HostUnreachable     1   no connection to a host could be had
├── CommandFailed       1   a remote command ended with a non-zero status
├── LockHeld           75   another deploy holds the host's lock
├── Interrupted        76   an interrupted deploy must be settled first
├── StalePlan          77   the host changed since the plan was made
├── PreflightRefused   78   the host or the stack is not fit for this deploy
│   └── Collision           what runs there already is in the way: to be adopted
└── LinkLost           79   the connection ended; the outcome is not known
"""

from __future__ import annotations

from typing import ClassVar


class OperatorError(Exception):
    """Base of every error an operator may see.

    `message` says what failed, `host` where, `step` at which point of the work, `output` the last lines of what
    the other side printed (already cleaned and redacted), `remedy` the next thing to do.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        host: str | None = None,
        step: str | None = None,
        output: str = "",
        remedy: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.host = host
        self.step = step
        self.output = output
        self.remedy = remedy

    def __str__(self) -> str:
        where = ": ".join(part for part in (self.host, self.step) if part)
        return f"{where}: {self.message}" if where else self.message


class UsageError(OperatorError):
    """The command line or the configuration is wrong; nothing was asked of any host."""

    exit_code = 2


class HostUnreachable(OperatorError):
    """No connection could be had; `step` is the one that failed (resolve, tcp, host key, auth, login).

    `refused`: host key, user or key were refused, so trying again by itself makes no sense.
    """

    refused: ClassVar[bool] = False


class CommandFailed(OperatorError):
    """A remote command ended with a non-zero status."""

    def __init__(
        self, message: str, *, exit_status: int, host: str | None = None, output: str = "", remedy: str = ""
    ) -> None:
        super().__init__(message, host=host, output=output, remedy=remedy)
        self.exit_status = exit_status


class LockHeld(OperatorError):
    """Another deploy holds the host's lock; the message names it."""

    exit_code = 75


class Interrupted(OperatorError):
    """An earlier deploy of this stack was interrupted and must be resumed or reverted first."""

    exit_code = 76


class StalePlan(OperatorError):
    """The host changed between the plan and its execution; nothing was done."""

    exit_code = 77


class PreflightRefused(OperatorError):
    """The host or the stack is not fit for this deploy; nothing was done."""

    exit_code = 78


class Collision(PreflightRefused):
    """It would create what somebody else's container holds the name, a port or the data of: to be adopted first."""


class LinkLost(OperatorError):
    """The connection ended before the outcome was known. What runs detached on the host goes on."""

    exit_code = 79
