"""What may be typed for a host's upkeep: `disk HOST`, `backups …`, `units …`, `guard …`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable

from vpai_tui.text import number

READS: dict[str, tuple[str | None, ...]] = {"backups": (None,), "units": (None,), "guard": (None,)}


def add_upkeep(
    verb: Callable[[str, str], argparse.ArgumentParser],
    confirm: Callable[[argparse.ArgumentParser], None],
    common: argparse.ArgumentParser,
) -> None:
    """Adds the verbs."""
    one = verb("disk", "what fills a host's disk, when it will be full, and a plan that frees what nobody needs")
    one.add_argument("host", metavar="HOST")
    one.add_argument(
        "--prune", action="store_true", help="plan, confirm, free; never a volume, nor what a release needs"
    )
    one.add_argument(
        "--older-than",
        type=_span,
        default=7 * 86400,
        metavar="DAYS",
        help="of images with a name and of build cache (7)",
    )
    confirm(one)
    one = verb("backups", "what is backed up, how fresh, what is not; ends with 1 when something is red")
    actions = one.add_subparsers(dest="action", metavar="ACTION")
    what = "back up everything now, detached on the host; the heartbeat goes out when all of it succeeded"
    confirm(actions.add_parser("run", parents=[common], help=what, description=what))
    what = "restore the newest dump of DB into a database that is thrown away, and count what came"
    one = actions.add_parser("restore-test", parents=[common], help=what, description=what)
    one.add_argument("database", metavar="DB")
    confirm(one)
    one = verb("units", "systemd units and programs beside Docker, as stack.yaml names them; restart one")
    one.add_argument("host", nargs="?", metavar="HOST", help="one host; default all")
    one.add_argument("action", nargs="?", choices=("restart",), metavar="restart")
    one.add_argument("unit", nargs="?", metavar="UNIT", help="such as caddy.service, or caddy")
    confirm(one)
    one = verb("guard", "firewall, bans and open ports against what the stacks declare; let an address in again")
    one.add_argument("host", nargs="?", metavar="HOST", help="one host; default all")
    one.add_argument("action", nargs="?", choices=("unban",), metavar="unban")
    one.add_argument("address", nargs="?", metavar="ADDRESS")
    confirm(one)


def _span(word: str) -> int:
    """`7`, `7d` or `12h` in seconds."""
    found = re.fullmatch(r"([0-9]{1,4})([dh]?)", word)
    count = number(found[1]) if found else None
    if found is None or count is None:
        raise argparse.ArgumentTypeError(
            f"invalid age {word[:20]!r}: expected days such as 7 or 7d, or hours such as 12h"
        )
    return count * (3600 if found[2] == "h" else 86400)
