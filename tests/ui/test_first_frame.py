"""The first frame waits for nothing slow, and an idle cockpit draws nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vpai_tui.widgets.canvas import LineView, SafeStatic
from vpai_tui.widgets.safe_table import SafeTable

from . import fake_fleet as fake
from .conftest import OpenCockpit

SLOW = (
    "asyncssh",
    "docker",
    "httpx",
    "httpx_ws",
    "ruamel",
    "yaml",
    "cryptography",
    "requests",
    "pygments.lexers.python",
)


@pytest.mark.parametrize("module", ["vpai_tui.app", "vpai_tui.screens.dispatch"])
def test_neither_the_app_nor_its_first_key_imports_what_is_slow(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {SLOW!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


MODULES = ["vpn", "vpn_flows", "budget", "budget_flows", "budget_run", "logs", "studio", "studio_flows", "studio_run"]


@pytest.mark.parametrize("module", [f"vpai_tui.screens.{name}" for name in MODULES])
def test_the_screens_of_modes_import_neither_ssh_nor_yaml(module: str) -> None:
    slow = ("asyncssh", "cryptography", "httpx", "ruamel", "yaml")
    code = f"import sys, {module}; print([name for name in {slow!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


async def test_the_backend_is_built_after_the_first_frame(cockpit: OpenCockpit) -> None:
    async with cockpit(None) as at:
        names = [type(message).__name__ for message in at.messages]
        assert names.index("Compose") < names.index("Mount")
        assert at.backend.asked == [("start",)]


async def test_an_idle_cockpit_draws_nothing(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled()) as at:
        widgets = [w for kind in (SafeStatic, LineView, SafeTable) for w in at.app.screen.query(kind)]
        drawn: list[str] = []
        for widget in widgets:
            original = widget.render_line

            def counting(y: int, original: object = original, name: str = str(widget.id)) -> object:
                drawn.append(name)
                return original(y)  # type: ignore[operator]

            widget.render_line = counting  # type: ignore[method-assign, assignment]
        for _ in range(5):
            at.app.redraw()
            await at.pilot.pause()
        assert drawn == []


async def test_the_same_snapshot_again_draws_nothing(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled()) as at:
        table = at.app.screen.query_one("#main-table", SafeTable)
        before = table.rows
        at.backend.put(fake.troubled())
        await at.settle()
        assert table.rows is before
