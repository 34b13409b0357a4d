"""Mode 5: nodes and records, what is asked before something is done, and what is said when nothing answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vpai_tui.screens.vpn import VpnScreen

from . import fake_backend as fake
from .conftest import SHORT, TALL, Cockpit, OpenCockpit
from .fake_backend import FakeBackend
from .fake_vpn import FakeVpn

Picture = Callable[[Cockpit, str], None]
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


@BOTH
async def test_the_nodes_with_what_each_is(cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]) -> None:
    async with cockpit(backend=on(FakeVpn()), size=size) as at:
        await at.press("5")
        assert shown(at, "name", "state") == [
            "ewutelo ✔ online", "old-phone ✖ expired", "seko ✔ online", "sese ✔ online", "tablet ◌ offline 3 d",
            "workstation-pi ✔ online",
        ]  # fmt: skip
        assert "▲ 9 d" in shown(at, "expiry")
        assert "▲ 0/1 pending" in at.text()
        assert {"name", "state", "marks", "expiry"} <= set(screen_of(at).table.visible_columns())
        picture(at, "nodes")


@BOTH
async def test_the_records_with_what_is_wrong(cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]) -> None:
    async with cockpit(backend=on(FakeVpn()), size=size) as at:
        await at.press("5", "tab", "G")
        assert shown(at, "name", "resolves")[-2:] == ["old.example ✔ yes", "ghost.example ✖ no"]
        assert "no node has this address" in at.text()
        picture(at, "dns")
