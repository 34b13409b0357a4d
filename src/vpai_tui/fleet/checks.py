"""What a check found: one finding per thing it looked at. The table of all checks is `upkeep.table`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Standing(StrEnum):
    """How a thing stands. `UNKNOWN`: it could not be asked; the finding's detail says why."""

    OK = "ok"
    WARN = "warn"
    ERROR = "error"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check says of one thing. Strings are clean and without secrets."""

    check: str  # an id of `upkeep.table`
    host: str  # "" where it is of no single host
    subject: str  # a database, an artefact, a port, a name; "" for the host as a whole
    standing: Standing
    detail: str  # one line: the value, and the threshold it missed
    remedy: str = ""  # the next thing to do; the table's own where it is empty
    target: str = ""  # where it is mended: a host, a stack or a service id

    @property
    def bad(self) -> bool:
        return self.standing in (Standing.WARN, Standing.ERROR)
