"""The command line: every verb over the same functions as the screens. Heavy imports wait for the verb."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from vpai_tui.errors import LinkLost, OperatorError, UsageError
from vpai_tui.text import clean, clean_line
from vpai_tui.verbs.arguments import changes, parse


def main(argv: Sequence[str]) -> int:
    """Runs one command; returns its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that is not UTF-8 shows `?`; it is no reason to fail
    args = parse(argv)
    try:
        return _run(args)
    except OperatorError as error:
        code = 1 if isinstance(error, LinkLost) and not changes(args) else error.exit_code
        _complain(error, code, as_json=args.json)
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else what is left of the output fails again
        if changes(args):
            goes_on = "what was handed to a host goes on there (vpai-tui status tells)"
            print(f"nobody reads the output any more; {goes_on}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what runs detached on a host goes on (vpai-tui status tells)", file=sys.stderr)
        return 130
    except Exception as error:
        if os.environ.get("VPAI_TUI_DEBUG"):
            raise
        _complain(_defect(error), 1, as_json=args.json)
        return 1


def _run(args: argparse.Namespace) -> int:
    if args.verb is None:
        import gc

        gc.disable()  # until the first frame: going through thousands of fresh classes is a tenth of the start
        from vpai_tui.cockpit import open_cockpit

        return open_cockpit(args)
    if args.read_only and changes(args):
        raise UsageError(f"--read-only: {args.verb} would change something", remedy="leave --read-only out")
    from vpai_tui.verbs.run import run

    return run(args)


def _defect(error: Exception) -> OperatorError:
    """What nobody foresaw, in one line."""
    from vpai_tui.redact import redact

    told = redact(clean_line(f"{type(error).__name__}: {error}", 300))
    return OperatorError(f"internal error: {told}", remedy="VPAI_TUI_DEBUG=1 shows where it comes from")


def _complain(error: OperatorError, code: int, *, as_json: bool) -> None:
    if as_json:
        import json

        fields = ("message", "host", "step", "output", "remedy")
        told = {name: value if value is None else clean(value) for name in fields for value in (getattr(error, name),)}
        print(json.dumps({"schema": 1, "error": {"kind": type(error).__name__, "exit_code": code, **told}}))
        return
    print(f"vpai-tui: {clean(str(error))}", file=sys.stderr)
    for line in clean(error.output).splitlines():
        print(f"  {line}", file=sys.stderr)
    if error.remedy:
        print(f"→ {clean(error.remedy)}", file=sys.stderr)
