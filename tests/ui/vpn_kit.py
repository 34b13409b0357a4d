"""What the tests of mode 5 share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vpai_tui.screens.vpn import VpnScreen

from . import fake_fleet as fake
from .conftest import SHORT, TALL, Cockpit
from .fake_backend import FakeBackend
from .fake_vpn import FakeVpn

Picture = Callable[[Cockpit, str], None]
Size = tuple[int, int]
BOTH = pytest.mark.parametrize("size", [SHORT, TALL], ids=["80x24", "120x40"])


def on(found: FakeVpn) -> FakeBackend:
    backend = FakeBackend(fake.calm())
    backend.fake_vpn = found
    return backend


def screen_of(at: Cockpit) -> VpnScreen:
    screen = at.app.cockpit
    assert isinstance(screen, VpnScreen)
    return screen


def shown(at: Cockpit, *columns: str) -> list[str]:
    table = screen_of(at).table
    return [" ".join(row.cells[column][0] for column in columns).strip() for row in table.rows]


def did(found: FakeVpn, *names: str) -> list[tuple[object, ...]]:
    return [asked for asked in found.asked if asked[0] in names]


async def to_node(at: Cockpit, name: str) -> None:
    await at.press("5")
    screen_of(at).reveal(name)
    await at.press("escape")


async def command(at: Cockpit, words: str) -> None:
    await at.press("colon")
    await at.type(words)
    await at.press("enter")


async def without_toasts(at: Cockpit) -> None:
    """They go by themselves after a time: no picture may depend on it."""
    at.app.clear_notifications()
    for screen in at.app.screen_stack:
        await screen.query("Toast").remove()
    await at.settle()
