"""What the tests of mode 4 share."""

from __future__ import annotations

from vpai_tui.screens.budget import BudgetScreen

from . import fake_fleet as fake
from .conftest import Cockpit
from .fake_backend import FakeBackend
from .fake_budget import HISTORY, FakeBudget
from .vpn_kit import BOTH, Picture, Size, command

__all__ = ["BOTH", "Picture", "Size", "command", "did", "on", "screen_of", "shown"]


def on(found: FakeBudget) -> FakeBackend:
    backend = FakeBackend(fake.calm())
    backend.fake_budget = found
    backend.chronicle = HISTORY
    return backend


def screen_of(at: Cockpit) -> BudgetScreen:
    screen = at.app.cockpit
    assert isinstance(screen, BudgetScreen)
    return screen


def shown(at: Cockpit, *columns: str) -> list[str]:
    rows = screen_of(at).table.rows
    return [" ".join(filter(None, (row.cells[column][0] for column in columns))) for row in rows]


def did(found: FakeBudget, *names: str) -> list[tuple[object, ...]]:
    return [asked for asked in found.asked if asked[0] in names]
