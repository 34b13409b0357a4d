"""Asks registries now and then, a while after the start, whether the tags of running images have moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpai_tui.errors import OperatorError

if TYPE_CHECKING:
    from vpai_tui.screens.shell import Shell

FIRST_AFTER_S = 20.0  # the operator's own questions go first
EVERY_S = 60.0


class UpdateWatch:
    """One round at a time, as a worker of the app."""

    def __init__(self, shell: Shell) -> None:
        self._app = shell
        self._next_boot_s: float | None = None
        self._asking = False

    def due(self) -> None:
        """Called with every snapshot."""
        now = self._app.context.clock.boot_s()
        if self._next_boot_s is None:
            self._next_boot_s = now + FIRST_AFTER_S
        if self._asking or now < self._next_boot_s or self._app.context.backend is None:
            return
        self._asking, self._next_boot_s = True, now + EVERY_S
        self._app.run_worker(self._look(), group="updates", exit_on_error=False, description="asking for new images")

    async def _look(self) -> None:
        context = self._app.context
        try:
            if context.backend is not None and await context.backend.look_for_updates():
                self._app.redraw()
        except OperatorError:
            return  # the next round is soon
        finally:
            self._asking = False
