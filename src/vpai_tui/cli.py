"""The command line: every verb over the same functions as the screens. Heavy imports wait for the verb."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from vpai_tui import __version__
from vpai_tui.errors import OperatorError, UsageError

EXIT_CODES = (
    "exit codes: 0 done · 1 failed · 2 usage or configuration · 3 plan has changes · 4 failed and reverted · "
    "75 another deploy holds the lock · 76 an interrupted deploy must be settled first · 77 the plan is stale · "
    "78 preflight refused · 79 the link was lost, the host goes on"
)


def main(argv: Sequence[str]) -> int:
    """Runs one command; returns its exit code."""
    args = _parse(argv)
    try:
        return _run(args)
    except OperatorError as error:
        _complain(error, as_json=args.json)
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()  # the reader has gone; nothing more can be said
        return 1
    except KeyboardInterrupt:
        print("interrupted; what runs detached on a host goes on (vpai-tui status tells)", file=sys.stderr)
        return 130
    except Exception as error:
        if os.environ.get("VPAI_TUI_DEBUG"):
            raise
        _complain(_defect(error), as_json=args.json)
        return 1


def _run(args: argparse.Namespace) -> int:
    if args.verb is None:
        import gc

        gc.disable()  # until the first frame: going through thousands of fresh classes is a tenth of the start
        from vpai_tui.cockpit import open_cockpit

        return open_cockpit(args)
    if args.read_only and args.verb in _CHANGES:
        raise UsageError(f"--read-only: {args.verb} would change something", remedy="leave --read-only out")
    from vpai_tui.cli_verbs import run

    return run(args)


def _defect(error: Exception) -> OperatorError:
    """What nobody foresaw, in one line."""
    from vpai_tui.redact import redact
    from vpai_tui.text import clean_line

    told = redact(clean_line(f"{type(error).__name__}: {error}", 300))
    return OperatorError(f"internal error: {told}", remedy="VPAI_TUI_DEBUG=1 shows where it comes from")


_CHANGES = ("init", "deploy", "rollback", "revert", "resume", "restart", "stop", "start")

_GLOBALS = {"demo": False, "demo_dir": None, "demo_reset": False, "config": None, "json": False}


def _common() -> argparse.ArgumentParser:
    """The options that are accepted before and after the verb."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = common.add_argument_group("everywhere")
    group.add_argument("--config", type=Path, metavar="PATH", help="the fleet.yaml to use")
    group.add_argument("--demo", action="store_true", help="work on a simulated fleet on this machine")
    group.add_argument("--demo-dir", type=Path, metavar="DIR", help="where the demo keeps its state (implies --demo)")
    group.add_argument("--demo-reset", action="store_true", help="begin the demo anew (implies --demo)")
    group.add_argument("--json", action="store_true", help="print JSON (docs/json.md); nothing is asked")
    return common


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    args = build_parser().parse_args(list(argv))
    for name, value in _GLOBALS.items():
        setattr(args, name, getattr(args, name, value))
    args.demo = args.demo or args.demo_reset or args.demo_dir is not None
    return args


def build_parser() -> argparse.ArgumentParser:
    """The parser; `--help` and the README's tables come from it."""
    common = _common()
    parser = argparse.ArgumentParser(
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
    one = verb("plan", "what a deploy would do; changes nothing")
    _stacks(one)
    one.add_argument("--exit-code", action="store_true", help="exit 3 when there are changes")
    one = verb("deploy", "plan, confirm, apply, verify; several stacks in the order given")
    _stacks(one)
    _confirm(one)
    one.add_argument("--take-back", action="store_true", help="when a later stack fails, roll the earlier ones back")
    _stack(verb("releases", "the releases a host keeps of a stack, and which can be gone back to"))
    one = verb("rollback", "back to a release, with the same bits; default the newest restorable before the current")
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
    for name in ("restart", "stop", "start"):
        one = verb(name, f"{name} one service")
        one.add_argument("service", metavar="SERVICE")
        _confirm(one)
    verb("describe", "everything known of one service").add_argument("service", metavar="SERVICE")
    verb("history", "who did what, when, where, with what result").add_argument(
        "--limit", type=int, default=50, metavar="N"
    )
    return parser


def _stacks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stacks", nargs="+", metavar="STACK", help="host/stack, or stack where that is unambiguous")


def _stack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stack", metavar="STACK", help="host/stack, or stack where that is unambiguous")


def _confirm(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="answer reversible plans")
    parser.add_argument(
        "--confirm", action="append", default=[], metavar="NAME", help="type this name where one is asked"
    )


def _complain(error: OperatorError, *, as_json: bool) -> None:
    if as_json:
        import json

        fields = ("message", "host", "step", "output", "remedy")
        told = {name: getattr(error, name) for name in fields}
        print(json.dumps({"schema": 1, "error": {"kind": type(error).__name__, "exit_code": error.exit_code, **told}}))
        return
    print(f"vpai-tui: {error}", file=sys.stderr)
    for line in error.output.splitlines():
        print(f"  {line}", file=sys.stderr)
    if error.remedy:
        print(f"→ {error.remedy}", file=sys.stderr)
