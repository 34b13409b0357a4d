"""What may be typed for stacks on demand: `opencut …`, and the same of any of them by `ondemand STACK …`."""

from __future__ import annotations

import argparse
from collections.abc import Callable

READS: dict[str, tuple[str | None, ...]] = {"opencut": ("status",), "ondemand": ("status",)}


def add_ondemand(
    verb: Callable[[str, str], argparse.ArgumentParser],
    confirm: Callable[[argparse.ArgumentParser], None],
    common: argparse.ArgumentParser,
) -> None:
    """Adds both verbs."""
    one = verb("opencut", "OpenCut, the video editor on demand: how it stands, start, stop, stop when idle")
    _actions(one, confirm, common)
    one = verb("ondemand", "the same of any stack with `on_demand: true`")
    one.add_argument("stack", metavar="STACK", help="host/stack, or stack where that is unambiguous")
    _actions(one, confirm, common)


def _actions(
    parser: argparse.ArgumentParser,
    confirm: Callable[[argparse.ArgumentParser], None],
    common: argparse.ArgumentParser,
) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, what: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, parents=[common], help=what, description=what)

    action("status", "its state, memory, idle stop, and what works beside it")
    confirm(action("start", "bring it up as it was deployed, behind a look at the memory; all of it or nothing"))
    confirm(action("stop", "free everything it holds; its data stays. Asks for its name while something renders"))
    one = action("idle", "stop it after MINUTES without network bytes, the laptop closed too; off cancels that")
    one.add_argument("minutes", metavar="MINUTES|off")
