"""The app as its screens and flows see it: the shared context, the screen on top, words in the corner."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

from textual.app import App

from vpai_tui.screens.backups_watch import BackupsWatch
from vpai_tui.screens.base import CockpitScreen
from vpai_tui.screens.budget_watch import BudgetWatch
from vpai_tui.screens.logs_watch import LogWatch
from vpai_tui.screens.studio_watch import StudioWatch
from vpai_tui.screens.update_watch import UpdateWatch
from vpai_tui.screens.upkeep_watch import UpkeepWatch
from vpai_tui.screens.vpn_watch import VpnWatch
from vpai_tui.text import clean_line
from vpai_tui.widgets.context import Context

# Runs what is slow, named by the first argument, and shows its error.
Work = Callable[[str, Callable[[], Awaitable[None]]], None]
_TOAST_S = 6.0


class Shell(App[None]):
    """Base of the cockpit's app."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context
        self.budget_watch = BudgetWatch(self)
        self.log_watch = LogWatch(self)
        self.studio_watch = StudioWatch(self)
        self.vpn_watch = VpnWatch(self)
        self.update_watch = UpdateWatch(self)
        self.backups_watch = BackupsWatch(self)
        self.upkeep_watch = UpkeepWatch(self)
        self._redraw_due = False

    @property
    def cockpit(self) -> CockpitScreen:
        """The cockpit screen on top, below any dialog."""
        return next(item for item in reversed(self.screen_stack) if isinstance(item, CockpitScreen))

    def redraw(self) -> None:
        """Draw the screen that is seen."""
        self._redraw_due = False
        if self.is_running and self.screen_stack:
            self.cockpit.redraw()

    def toast(self, text: str, *, severity: Literal["information", "warning", "error"] = "information") -> None:
        """A few words in the corner; never markup."""
        self.notify(clean_line(text), severity=severity, timeout=_TOAST_S, markup=False)
