"""What may be typed: every verb with its arguments. Light: `--help` and the cockpit's start read it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from vpai_tui import __version__
from vpai_tui.text import clean, number
from vpai_tui.verbs import (
    arguments_budget,
    arguments_hands,
    arguments_logs,
    arguments_ondemand,
    arguments_upkeep,
    arguments_vpn,
)

EXIT_CODES = (
    "exit codes: 0 done · 1 failed · 2 usage or configuration · 3 plan has changes · 4 failed and reverted · "
    "75 another deploy holds the lock · 76 an interrupted deploy must be settled first · 77 the plan is stale · "
    "78 preflight refused · 79 the link was lost, the host goes on"
)

# Actions of a verb that change nothing.
_LOOKS: dict[str, tuple[str | None, ...]] = {
    "env": ("check",),
    **arguments_vpn.READS,
    **arguments_budget.READS,
    **arguments_ondemand.READS,
    **arguments_upkeep.READS,
}
CHANGES = (
    "init",
    "deploy",
    "rollback",
    "revert",
    "resume",
    "restart",
    "stop",
    "start",
    "hold",
    "adopt",
    "pull",
    *arguments_hands.CHANGES,
    *_LOOKS,
)

_GLOBALS = {
    "demo": False,
    "demo_dir": None,
    "demo_reset": False,
    "demo_foreign": None,
    "config": None,
    "json": False,
}


class _Parser(argparse.ArgumentParser):
    """argparse repeats what it does not know as it was typed."""

    def error(self, message: str) -> NoReturn:
        super().error(clean(message))


def _at_least_one(word: str) -> int:
    count = number(word, least=1)
    if count is None:
        raise argparse.ArgumentTypeError(f"invalid count {word[:20]!r}: expected a whole number, at least 1")
    return count


def _common() -> _Parser:
    """The options that are accepted before and after the verb."""
    common = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    group = common.add_argument_group("everywhere")
    group.add_argument("--config", type=Path, metavar="PATH", help="the fleet.yaml to use")
    group.add_argument("--demo", action="store_true", help="work on a simulated fleet on this machine")
    group.add_argument("--demo-dir", type=Path, metavar="DIR", help="where the demo keeps its state (implies --demo)")
    group.add_argument("--demo-reset", action="store_true", help="begin the demo anew (implies --demo)")
    foreign = "a demo host that ran before vpai-tui, under names of its own, to be adopted (implies --demo)"
    group.add_argument("--demo-foreign", metavar="HOST", help=foreign)
    group.add_argument("--json", action="store_true", help="print JSON (docs/json.md); nothing is asked")
    return common


def parse(argv: Sequence[str]) -> argparse.Namespace:
    args = build_parser().parse_args(list(argv))
    for name, value in _GLOBALS.items():
        setattr(args, name, getattr(args, name, value))
    args.demo = args.demo or args.demo_reset or args.demo_dir is not None or args.demo_foreign is not None
    return args


def changes(args: argparse.Namespace) -> bool:
    """Whether what was typed may change something."""
    if args.verb == "disk":
        return bool(args.prune)
    looks = (args.verb == "adopt" and args.show) or getattr(args, "action", None) in _LOOKS.get(args.verb, ())
    return args.verb in CHANGES and not looks


def build_parser() -> argparse.ArgumentParser:
    """The parser; `--help` and the README's tables come from it."""
    common = _common()
    parser = _Parser(
        prog="vpai-tui",
        parents=[common],
        description="Operator cockpit of VPAI: without a verb it opens the cockpit.",
        epilog=EXIT_CODES,
    )
    parser.add_argument("--version", action="version", version=f"vpai-tui {__version__}")
    parser.add_argument("--read-only", action="store_true", help="hide and refuse every change")
    parser.add_argument("--theme", default="", metavar="NAME", help="dark, light, colour-blind or mono")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        return verbs.add_parser(name, parents=[common], help=text, description=text, epilog=EXIT_CODES)

    one = verb("init", "write a starter config/ and stacks/; nothing is overwritten")
    one.add_argument("dir", nargs="?", type=Path, default=Path(), metavar="DIR")
    verb("doctor", "check configuration, keys, ssh, sudo, Docker, Compose, disks and clocks; a remedy for each fault")
    one = verb("status", "hosts, stacks, services and alerts")
    one.add_argument("--fail-on", choices=("warn", "error"), help="exit 1 when there are such alerts")
    one.add_argument("--checks", action="store_true", help="how every check stands, not only what is bad")
    one.add_argument("--quick", action="store_true", help="without the checks and without what happened since")
    one.add_argument(
        "--new", action="store_true", help="only alerts that came or went since the last --new; --fail-on counts those"
    )
    one.add_argument("--seen", action="store_true", help="this look is the last one: news are told from now on")
    one = verb("plan", "what a deploy would do; changes nothing")
    _stacks(one)
    one.add_argument("--exit-code", action="store_true", help="exit 3 when there are changes")
    one = verb("deploy", "plan, confirm, apply, verify; several stacks in the order given")
    _stacks(one)
    _confirm(one)
    one.add_argument("--take-back", action="store_true", help="when a later stack fails, roll the earlier ones back")
    _stack(verb("releases", "the releases a host keeps of a stack, and which can be gone back to"))
    one = verb(
        "rollback",
        "back to a release, with the same bits; default the newest restorable before what runs that was not fled from",
    )
    _stack(one)
    one.add_argument("--to", metavar="ID", help="the release (its beginning is enough)")
    _confirm(one)
    for name, text in (
        ("revert", "settle an interrupted deploy: back to the release before"),
        ("resume", "settle an interrupted deploy: go on with it"),
    ):
        one = verb(name, text)
        _stack(one)
        _confirm(one)
    one = verb("pull", "fetch the files of the release that runs into stacks/; env files stay on the host")
    _stack(one)
    one.add_argument("--force", action="store_true", help="replace files that differ; the present ones are kept aside")
    one.add_argument("--yes", action="store_true", help="replace them without being asked")
    one = verb("hold", "freeze deploys on a host: who and why is shown to everybody; --off lets them go again")
    one.add_argument("host", metavar="HOST")
    what = one.add_mutually_exclusive_group()
    what.add_argument("--why", metavar="TEXT", help="the reason; asked for where it is not given")
    what.add_argument("--off", action="store_true", help="lift the hold; somebody else's is asked about first")
    one.add_argument("--yes", action="store_true", help="lift somebody else's hold without being asked")
    one = verb("adopt", "take over what already runs on a host: map it to the stacks, keep its names, record r0")
    _adoption(one)
    for name in ("restart", "stop", "start"):
        one = verb(name, f"{name} one service")
        one.add_argument("service", metavar="SERVICE")
        _confirm(one)
    arguments_vpn.add_vpn(verb, _confirm, common)
    arguments_budget.add_budget(verb, _confirm, common)
    arguments_ondemand.add_ondemand(verb, _confirm, common)
    arguments_logs.add_logs(verb, _at_least_one)
    arguments_upkeep.add_upkeep(verb, _confirm, common)
    one = verb("describe", "everything known of one service: where it answers, what a restart disturbs, its container")
    one.add_argument("service", metavar="SERVICE")
    one.add_argument("--check", action="store_true", help="ask for its names: VPN's DNS, certificate, HTTP status")
    arguments_hands.add_hands(verb)
    one = verb("history", "who did what, when, where, with what result: of this laptop and of every host")
    one.add_argument("--host", metavar="HOST", help="of one host only")
    one.add_argument("--limit", type=_at_least_one, default=50, metavar="N", help="the last N lines (50)")
    one.add_argument("--local", action="store_true", help="this laptop's journal alone; no host is asked")
    one = verb("env", "env files on the host: what is missing, write it there, edit it; values never leave the host")
    _stack(one)
    one.add_argument("action", choices=("check", "init", "edit"), metavar="check|init|edit")
    one.add_argument("file", nargs="?", metavar="FILE", help="one of its env files: a path, or a name such as n8n.env")
    _confirm(one)
    return parser


def _stacks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stacks", nargs="+", metavar="STACK", help="host/stack, or stack where that is unambiguous")


def _stack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stack", metavar="STACK", help="host/stack, or stack where that is unambiguous")


def _adoption(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("host", metavar="HOST")
    meaning = "this container is that service; SERVICE=- leaves the service out"
    parser.add_argument("--map", action="append", default=[], metavar="SERVICE=CONTAINER", help=meaning)
    parser.add_argument("--root", metavar="DIR", help="the directory that the host's relative paths stand on")
    parser.add_argument("--show", action="store_true", help="show the mapping and end; changes nothing")
    _confirm(parser)


def _confirm(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="answer reversible plans")
    parser.add_argument(
        "--confirm", action="append", default=[], metavar="NAME", help="type this name where one is asked"
    )
