"""Every source of findings that a fleet has: the one place where checks of all features come together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpai_tui.upkeep.examiner import Examiner, Source
from vpai_tui.upkeep.seen import seen_source

if TYPE_CHECKING:
    from vpai_tui.upkeep.surface import Surface


def sources(surface: Surface) -> list[Source]:
    """In no order that matters: they are asked at the same time."""
    return [seen_source(surface)]


def examiner(surface: Surface) -> Examiner:
    """Checks a watched fleet."""
    return Examiner(sources(surface), surface.clock)
