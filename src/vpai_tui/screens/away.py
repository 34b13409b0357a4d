"""The terminal given away for a while: to an editor on a host, to a pager. All else of the cockpit goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from textual.app import App, SuspendNotSupported

from vpai_tui.errors import UsageError


async def away(app: App[Any], run: Callable[[], Awaitable[int]], remedy: str) -> int:
    """`run` with the terminal to itself; its status. Nothing is drawn meanwhile: the driver's queue would fill up.

    Raises:
        UsageError: this terminal cannot be given away; `remedy` says what to do instead.
    """
    result: int | None = None
    failed: BaseException | None = None
    try:
        with app.batch_update(), app.suspend():
            try:
                result = await run()
            except BaseException as error:  # Textual takes the terminal back only when nothing is raised here
                failed = error
    except SuspendNotSupported as error:
        raise UsageError("this terminal cannot be given away", remedy=remedy) from error
    if failed is not None:
        raise failed
    return result or 0
