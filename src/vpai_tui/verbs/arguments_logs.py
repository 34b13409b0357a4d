"""What may be typed for the logs."""

from __future__ import annotations

import argparse
from collections.abc import Callable

LEVELS = ("trace", "debug", "info", "warn", "error", "critical")


def add_logs(verb: Callable[[str, str], argparse.ArgumentParser], count: Callable[[str], int]) -> None:
    """Adds the verb."""
    one = verb("logs", "lines of a service, a stack, a host, `all`, or any LogQL; counted against what Loki has")
    one.add_argument("target", metavar="SERVICE|LOGQL", help="a service, stack or host, all, or a query with a {")
    one.add_argument("-f", "--follow", action="store_true", help="go on as lines come, until ctrl+c")
    one.add_argument("--since", metavar="TIME", help="1h (before now), 14:05, 2026-11-28T14:05, RFC 3339 (1h)")
    one.add_argument("--until", metavar="TIME", help="as --since (now); not with -f")
    one.add_argument("--grep", default="", metavar="RE", help="only lines that fit; Loki looks (RE2, case counts)")
    one.add_argument("--level", choices=LEVELS, help="only lines that bad or worse, by what they say themselves")
    one.add_argument(
        "--limit",
        type=count,
        default=1000,
        metavar="N",
        help="the newest N lines that fit --level; with -f, N lines to begin with (1000)",
    )
    one.add_argument("--utc", action="store_true", help="times in UTC, not local")
