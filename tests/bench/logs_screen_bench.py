"""Key to frame on the logs screen while lines arrive, against RichLog: `python tests/bench/logs_screen_bench.py`.

Both run in a pseudo terminal of 120×40 and are given the same lines by a program of their own (`logs_flood.py`). Ours
decodes Loki's frames, orders, dedupes and levels each line; RichLog is given finished text. A key counts until what it
alone does is on screen.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from logs_bench import row  # noqa: E402
from terminal import Terminal  # noqa: E402

WANTED_MS = 50


def flood(which: str, rate: int) -> Terminal:
    return Terminal([sys.executable, str(HERE / "logs_flood.py"), which, str(rate)])


def cockpit(rate: int, keys: int) -> tuple[list[float], float]:
    """Seconds from `k`, which stops the following, until the screen says so; and the share of a processor used."""
    with flood("cockpit", rate) as terminal:
        terminal.wait_for("sese")
        terminal.press("3")
        terminal.wait_for("live")
        terminal.rest(3)
        spent, began = terminal.cpu_s(), time.perf_counter()
        took = []
        for _ in range(keys):
            took.append(terminal.until("k", "paused"))
            terminal.press("f")
            terminal.rest(0.4)
        return took, (terminal.cpu_s() - spent) / (time.perf_counter() - began)


def richlog(rate: int, keys: int) -> tuple[list[float], float]:
    """The same from `k`, which counts, until the number is there."""
    with flood("richlog", rate) as terminal:
        terminal.wait_for("ready")
        terminal.rest(3)
        spent, began = terminal.cpu_s(), time.perf_counter()
        took = []
        for number in range(1, keys + 1):
            took.append(terminal.until("k", f"pressed {number} times"))
            terminal.rest(0.4)
        return took, (terminal.cpu_s() - spent) / (time.perf_counter() - began)


def told(name: str, took: list[float], load: float, wanted: str = "") -> None:
    p95 = statistics.quantiles(took, n=20)[-1]
    row(f"{name}: key → frame, median", f"{statistics.median(took) * 1000:.0f} ms")
    row(f"{name}: key → frame, p95", f"{p95 * 1000:.0f} ms", wanted)
    row(f"{name}: processor", f"{load * 100:.0f} %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=40)
    parser.add_argument("--rate", type=int, default=5000, help="lines a second (5,000)")
    args = parser.parse_args()
    told("no line arrives", *cockpit(0, args.keys))
    ours, load = cockpit(args.rate, args.keys)
    told(f"{args.rate:,} lines a second", ours, load, f"≤ {WANTED_MS} ms")
    theirs, load = richlog(args.rate, args.keys)
    told("the stock RichLog, the same lines", theirs, load)
    row("ratio of the medians, ours to that", f"{statistics.median(ours) / statistics.median(theirs):.2f}×")


if __name__ == "__main__":
    main()
