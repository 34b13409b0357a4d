"""What is known of the backups, and of one that was begun from here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the first frame knows nothing of backups
    from vpai_tui.upkeep.backups.model import HostBackups
    from vpai_tui.upkeep.backups.session import Event, Unreached

STALE_S = 900.0  # asked every five minutes while it is looked at: older than this, it is history


@dataclass(slots=True)
class BackupsLook:
    """Shared by the screens."""

    found: tuple[HostBackups | Unreached, ...] | None = None
    taken_boot_s: float = 0.0
    asking: bool = False
    error: str = ""  # why the last asking came to nothing
    doing: str = ""  # what was begun from here and has not ended
    events: list[Event] = field(default_factory=list)  # of it, or of the last one

    def stale(self, now_boot_s: float) -> bool:
        """Whether what is shown is history."""
        return self.found is not None and now_boot_s - self.taken_boot_s > STALE_S
