"""What the checks last found, what has happened since the last look, and how this laptop itself stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vpai_tui.fleet.model import Alert

if TYPE_CHECKING:  # the first frame knows nothing of checks
    from vpai_tui.upkeep.laptop import Laptop
    from vpai_tui.upkeep.news import Morning, News

STALE_S = 900.0  # asked every five minutes: older than this, it is history


@dataclass(slots=True)
class UpkeepLook:
    """Shared by the screens; only the watch writes to it."""

    morning: Morning | None = None
    taken_boot_s: float = 0.0  # when that was
    asking: bool = False
    laptop: Laptop | None = None  # None until it was asked
    touched: bool = False  # whether the operator did anything since the last look was kept

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """What the checks found bad, but for this laptop, which has a cell of its own while it is well."""
        if self.morning is None:
            return ()
        from vpai_tui.upkeep.examiner import alerts_of

        return alerts_of(self.morning.report.findings)

    @property
    def news(self) -> tuple[News, ...]:
        return self.morning.since.news if self.morning is not None else ()

    def take(self, morning: Morning, now_boot_s: float) -> None:
        """Keep a new look."""
        self.morning, self.taken_boot_s = morning, now_boot_s

    def stale(self, now_boot_s: float) -> bool:
        """Whether what is shown is history."""
        return self.morning is not None and now_boot_s - self.taken_boot_s > STALE_S
