"""What is known of the stacks on demand: the last good look at each host, and why there is no newer one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vpai_tui.errors import OperatorError

if TYPE_CHECKING:  # the first frame knows nothing of the studio
    from vpai_tui.ondemand.model import Look

STALE_S = 45.0  # the screen asks every ten seconds: older than this, it is history


@dataclass(slots=True)
class StudioLook:
    """Shared by the screens; only the watch writes to it."""

    chosen: str = ""  # the stack shown; empty: the first
    looks: dict[str, Look] = field(default_factory=dict)  # by host
    failures: dict[str, OperatorError] = field(default_factory=dict)  # by host: why the newest look gave nothing
    asking: bool = False

    def take(self, look: Look) -> None:
        """Keep a new look."""
        self.looks[look.host] = look
        self.failures.pop(look.host, None)

    def fail(self, host: str, error: OperatorError) -> None:
        """The look gave nothing: what was known before stays, with the reason."""
        self.failures[host] = error

    def old_s(self, host: str, now_boot_s: float) -> float | None:
        """How old the look at a host is, where it is history by now; else None."""
        look = self.looks.get(host)
        age_s = None if look is None else now_boot_s - look.at_boot_s
        return age_s if age_s is not None and age_s > STALE_S else None
