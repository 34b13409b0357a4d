"""Ground of the UI tests: a cockpit on the scripted backend, and pictures that are exact."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import textual
import textual.constants
from pytest_textual_snapshot import SVGImageExtension
from syrupy.assertion import SnapshotAssertion
from syrupy.location import PyTestLocation
from textual.message import Message
from textual.pilot import Pilot

from vpai_tui.app import CockpitApp
from vpai_tui.fleet.model import FleetSnapshot
from vpai_tui.remote.prompts import Prompts
from vpai_tui.widgets.backend import Backend

from .fake_backend import FakeBackend
from .fake_fleet import FixedClock, make_fleet

PICTURES = Path(__file__).resolve().parents[2] / "snapshots"
PINNED_TEXTUAL = "8.2.8"  # pictures are drawn by this one; another may differ by a pixel
SHORT, TALL = (80, 24), (120, 40)


class PictureExtension(SVGImageExtension):
    """SVGs in `snapshots/<test module>/`, named as the test says."""

    @classmethod
    def dirname(cls, *, test_location: PyTestLocation) -> str:
        return str(PICTURES / test_location.basename)

    @classmethod
    def get_snapshot_name(cls, *, test_location: PyTestLocation, index: Any = 0) -> str:
        return str(index)

    @classmethod
    def _get_file_basename(cls, *, test_location: PyTestLocation, index: Any) -> str:
        return str(index)

    @classmethod
    def write_snapshot(cls, **snapshot: Any) -> None:
        """Pictures are named for what they show, not for their test: syrupy would warn of that."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"\s*Can not relate snapshot name")
            super().write_snapshot(**snapshot)


def pytest_configure(config: pytest.Config) -> None:
    textual.constants.TEXTUAL_ANIMATIONS = "none"
    updating = getattr(config.option, "update_snapshots", False)
    if updating and textual.__version__ != PINNED_TEXTUAL:
        raise pytest.UsageError(f"pictures are drawn with textual {PINNED_TEXTUAL}, here is {textual.__version__}")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No colour setting of whoever runs the tests reaches a picture, nor their kept queries and highlight rules."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "no-config"))
    for name in ("NO_COLOR", "TEXTUAL_THEME", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    yield


@dataclass
class Cockpit:
    """A running cockpit under test."""

    app: CockpitApp
    pilot: Pilot[None]
    backend: FakeBackend
    clock: FixedClock
    messages: list[Message] = field(default_factory=list)

    async def press(self, *keys: str) -> None:
        """Press keys and let their work be done."""
        await self.pilot.press(*keys)
        await self.settle()

    async def settle(self) -> None:
        """Wait until no worker but the fleet's and the log's runs and two looks at the screen show the same."""
        before = ""
        for _ in range(80):
            await self.pilot.pause(0.05)
            working = any(worker.is_running for worker in self.app.workers if worker.group not in ("fleet", "logs"))
            working = working or self.app.context.logs.tail.value == "opening"
            shown = self.text()
            if shown == before and not working and not self.app._redraw_due:
                break
            before = shown
        self.app.redraw()
        await self.pilot.pause()

    async def shows(self, text: str) -> None:
        """Wait until that is on the screen."""
        for _ in range(100):
            if text in self.text():
                return
            await self.pilot.pause(0.1)
        raise AssertionError(f"{text!r} is not shown:\n{self.text()}")

    async def started(self) -> None:
        """Wait until the backend was asked to start, which is after the first frame."""
        for _ in range(100):
            if self.backend.asked or self.app.context.failure:
                break
            await self.pilot.pause(0.05)
        await self.settle()

    async def type(self, text: str) -> None:
        await self.press(*("space" if letter == " " else "slash" if letter == "/" else letter for letter in text))

    @property
    def screen(self) -> str:
        return type(self.app.screen).__name__

    def text(self) -> str:
        """What the screen shows, as plain text."""
        width = self.app.size.width
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip)[:width].rstrip() for strip in strips)

    def toasts(self) -> list[str]:
        return [item.message for item in self.app._notifications]


OpenCockpit = Callable[..., AbstractAsyncContextManager[Cockpit]]


@pytest.fixture
def cockpit() -> OpenCockpit:
    """Opens a cockpit: `async with cockpit(snapshot, size=…) as at: …`."""

    @asynccontextmanager
    async def open_cockpit(
        first: FleetSnapshot | None = None, size: tuple[int, int] = SHORT, **options: Any
    ) -> AsyncIterator[Cockpit]:
        clock = FixedClock()
        backend = options.pop("backend", None) or FakeBackend(first, clock=clock)
        backend.clock = clock

        async def factory(_prompts: Prompts) -> Backend:
            return backend

        app = CockpitApp(options.pop("fleet", None) or make_fleet(), factory, clock=clock, **options)
        app.animation_level = "none"
        messages: list[Message] = []
        async with app.run_test(size=size, notifications=True, message_hook=messages.append) as pilot:
            at = Cockpit(app, pilot, backend, clock, messages)
            await at.started()
            yield at

    return open_cockpit


@pytest.fixture
def picture(snapshot: SnapshotAssertion) -> Callable[[Cockpit, str], None]:
    """Compares the screen with `snapshots/<module>/<name>-<width>x<height>.svg`."""
    exact = snapshot.use_extension(PictureExtension)

    def compare(at: Cockpit, name: str) -> None:
        width, height = at.app.size
        assert at.app.export_screenshot() == exact(name=f"{name}-{width}x{height}")

    return compare
