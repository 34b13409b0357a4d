"""Situations to look at, played on the demo: `demo budget 92`, `demo budget no-database`, `demo budget usual`."""

from __future__ import annotations

from vpai_tui.demo.engine.store import Engine
from vpai_tui.demo.litellm import box
from vpai_tui.demo.litellm.hook import kind_of
from vpai_tui.demo.litellm.traffic import Row
from vpai_tui.demo.litellm.world import World, utc

FLAGS = {"down": "down", "no-database": "no_database", "no-callback": "no_callback"}
WORDS = (*FLAGS, "over", "usual")
_OVER = 1.034  # of the cap
_SINCE_S = 1500  # that long ago it was reached


def has_proxy(engine: Engine) -> bool:
    return any(kind_of(it) == "litellm" for it in engine.read()["containers"].values())


def play(engine: Engine, text: str) -> bool:
    """What `text` says: a share of the cap in percent (`92`), or one of `WORDS`. False: it says nothing of this.

    `usual` undoes everything, what was set by hand too.
    """
    word = text.strip().removesuffix("%")
    if word not in WORDS and not (word.isdigit() and int(word) <= 1000):
        return False
    box.boot(engine)
    with box.change(engine) as world:
        if word in FLAGS:
            world.doc["scene"][FLAGS[word]] = world.now
        elif word == "usual":
            world.doc.update(keys={}, auto=None, pauses=[], calls=[], scale={}, past={})
            world.doc["scene"] = dict.fromkeys(world.doc["scene"], False)
        elif word == "over":
            _spend(world, _OVER, max(world.midnight() + 1, world.now - _SINCE_S))
        else:
            _spend(world, int(word) / 100, world.now)
        if word not in FLAGS:
            world.settle()
    return True


def _spend(world: World, share: float, at: float) -> None:
    """Have `share` of the cap spent at that moment of today; where it is reached, eco mode came on then."""
    _, cap = world.cap
    now, world.now = world.now, at
    day = f"{utc(at):%F}"
    world.doc.update(auto=None, calls=[], pauses=[], past={})
    world.doc["scale"][day] = 1.0
    wanted, usual = share * cap, world.spent
    if usual > 0:
        world.doc["scale"][day] = wanted / usual
    if (missing := wanted - world.spent) > 0:  # what the rounding took
        _top_up(world, missing)
    world.settle()
    world.now = now


def _top_up(world: World, dollars: float) -> None:
    """One call of the first paid model that costs so much, rounded up to whole grains."""
    grains = -int(-dollars * 2**20 // 1)
    model = next((it for it in world.doc["loaded"]["models"] if any(it["price"])), None)
    if model is None:
        return
    hour = int(world.now // 3600) * 3600
    alias, name, provider, vendor = (model[it] for it in ("alias", "model", "provider", "vendor"))
    world.add(Row(hour, alias, name, provider, vendor, "openclaw", 1, 0, 900, 200, 0, grains / 2**20))
