"""What may be typed for the budget: nothing, `set`, `eco`, `undo`, `prove`."""

from __future__ import annotations

import argparse
from collections.abc import Callable

ECO = ("on", "off", "auto", "block")
READS: dict[str, tuple[str | None, ...]] = {"budget": (None,)}  # the actions that change nothing: the verb alone


def add_budget(
    verb: Callable[[str, str], argparse.ArgumentParser],
    confirm: Callable[[argparse.ArgumentParser], None],
    common: argparse.ArgumentParser,
) -> None:
    """Adds the verb."""
    text = "what AI costs today against its cap; set the cap, eco mode; without an action it shows all"
    actions = verb("budget", text).add_subparsers(dest="action", metavar="ACTION")

    def action(name: str, what: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, parents=[common], help=what, description=what)

    one = action("set", "another cap, in dollars a day: acts at once, proven by the heartbeat, kept in the file")
    one.add_argument("usd", metavar="USD", help="3 or 4.50")
    confirm(one)
    one = action("eco", "eco mode by hand: on, block (paid models are refused), off or auto (the cap decides)")
    one.add_argument("word", choices=ECO, metavar="|".join(ECO))
    what = "then ask for one token and show which model answered; ALIAS: whom to ask (a paid one may cost money)"
    one.add_argument("--prove", nargs="?", const="", metavar="ALIAS", help=what)
    confirm(one)
    confirm(action("undo", "back to what was before the newest change of this laptop"))
    one = action("prove", "ask for one token and show which model answered; a paid model costs money")
    one.add_argument("alias", nargs="?", default="", metavar="ALIAS", help="whom to ask; a free one unless eco acts")
    confirm(one)
