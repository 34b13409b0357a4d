"""What is known of the AI budget: the last good look, how old each part of it is, and why there is no newer one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.model import Alert

if TYPE_CHECKING:  # the first frame knows nothing of LiteLLM
    from vpai_tui.budget.model import BudgetSnapshot, Part

STALE_S = 45.0  # the screen asks every ten seconds: older than this, it is history
TARGET = "budget:"  # the target of the budget's alerts
_ALERTS_KEPT_S = 1200.0  # what was said of today is not repeated for ever when nothing answers any more


@dataclass(slots=True)
class BudgetLook:
    """Shared by the screens; only the watch writes to it."""

    snapshot: BudgetSnapshot | None = None
    taken_boot_s: float = 0.0  # when that was
    failure: OperatorError | None = None  # why the newest look gave nothing
    asking: bool = False
    told: tuple[Alert, ...] = ()
    told_boot_s: float = 0.0  # when those were
    changed: int = 0  # how often this cockpit has changed something

    def alerts(self, now_boot_s: float) -> tuple[Alert, ...]:
        """Alerts of the last look of either kind; each leads to the budget screen."""
        if now_boot_s - self.told_boot_s > _ALERTS_KEPT_S:
            return ()
        return tuple(replace(alert, target=TARGET) for alert in self.told)

    def take(self, snapshot: BudgetSnapshot, now_boot_s: float) -> None:
        """Keep a new look."""
        self.snapshot, self.taken_boot_s, self.failure = snapshot, now_boot_s, None
        self.take_alerts(snapshot.alerts, now_boot_s)

    def take_alerts(self, alerts: tuple[Alert, ...], now_boot_s: float) -> None:
        """Keep what the rare look told."""
        self.told, self.told_boot_s = alerts, now_boot_s

    def fail(self, error: OperatorError) -> None:
        """The look gave nothing: what was known before stays, with the reason."""
        self.failure = error

    def stale(self, now_boot_s: float) -> bool:
        """Whether what is shown is history."""
        return self.failure is not None or now_boot_s - self.taken_boot_s > STALE_S

    def now(self, now_boot_s: float) -> datetime | None:
        """The moment it is, by the clock of the look: a laptop's clock that jumps moves nothing here."""
        if self.snapshot is None:
            return None
        return self.snapshot.at + timedelta(seconds=max(0.0, now_boot_s - self.taken_boot_s))

    def age_s(self, part: Part | datetime, now_boot_s: float) -> float | None:
        """How old a part of the last look is."""
        now = self.now(now_boot_s)
        at = part if isinstance(part, datetime) else part.at
        return None if now is None else max(0.0, (now - at).total_seconds())
