"""A simulated fleet of three hosts behind real SSH servers on loopback.

`demo.start` is looked up late: the `docker` shim of a simulated host imports this package too, and must be quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vpai_tui.demo.fleet import DemoFleet as DemoFleet
    from vpai_tui.demo.fleet import start as start


def __getattr__(name: str) -> Any:
    if name in ("DemoFleet", "start"):
        from vpai_tui.demo import fleet

        return getattr(fleet, name)
    raise AttributeError(name)
