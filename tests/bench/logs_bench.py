"""What the logs cost: `python tests/bench/logs_bench.py`. Figures only, as ratios against plain decoding and printing.

The comparison decodes the same tail frames with the standard library's `json` and writes `labels line` to /dev/null, as
logcli's default output does; it neither orders, dedupes, levels nor filters, and keeps nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.levels import level_of
from vpai_tui.logs.model import Entry, Level
from vpai_tui.logs.view import Filter, View
from vpai_tui.logs.wire import Reader

START_NS = 1_795_172_386_316_156_892
LEVELS = ("INFO", "WARN", "ERROR")
LINE = "2026-11-20T10:00:00.{0:09d}Z {1} service::module: request {0} of user {2} took {3} ms"


def frames(lines: int, length: int = 100, each: int = 100) -> Iterator[bytes]:
    """Tail frames as Loki sends them: `each` entries, each with its labels and its detected level."""
    for first in range(0, lines, each):
        streams = []
        for number in range(first, min(first + each, lines)):
            text = LINE.format(number, LEVELS[number % 3], number * 7919 % 10007, number % 977)
            labels = {"container": f"javisi_{number % 7}", "job": "docker", "project": "javisi"}
            meta = {"structuredMetadata": {"detected_level": "info"}}
            value = [str(START_NS + number * 1000), text.ljust(length)[:length], meta]
            streams.append({"stream": labels, "values": [value]})
        yield json.dumps({"streams": streams, "encodingFlags": ["categorize-labels"]}).encode()


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def timed(work: Callable[[], object]) -> float:
    """Seconds of this process's own processor time: the machine may be busy with other things."""
    began = time.process_time()
    work()
    return time.process_time() - began


def row(measure: str, value: str, wanted: str = "") -> None:
    print(f"{measure:<72} {value:>18}   {wanted}", flush=True)


def ours(sent: list[bytes]) -> None:
    reader, buffer = Reader(), Buffer()
    view = View(buffer, Filter("took 5.. ms", levels=frozenset({Level.WARN, Level.ERROR})))
    for number, frame in enumerate(sent):
        buffer.add(reader.frame(frame).entries)
        if number % 20 == 0:  # a frame of the screen
            view.refresh()
    view.refresh()


def decoded(sent: list[bytes]) -> None:
    with open(os.devnull, "w") as out:
        for frame in sent:
            for stream in json.loads(frame)["streams"]:
                for value in stream["values"]:
                    print(stream["stream"], value[1], file=out)


def doubled(sent: list[bytes]) -> None:
    reader, buffer = Reader(), Buffer()
    for frame in sent:
        buffer.add(reader.frame(frame).entries)
        buffer.add(reader.frame(frame).entries)


def ingest(sent: list[bytes], count: int) -> None:
    own, plain, twice = (timed(lambda work=work: work(sent)) for work in (ours, decoded, doubled))
    row("decode + order + dedupe + level + filter", f"{count / own:,.0f} lines/s", "≥ 50,000")
    row("json.loads + print, as logcli does", f"{count / plain:,.0f} lines/s")
    row("ratio of the time, ours to that", f"{own / plain:.2f}×")
    row("the same lines all sent twice, without the filter", f"{2 * count / twice:,.0f} lines/s")


def held(count: int) -> None:
    before = resident_mb()
    reader, buffer = Reader(), Buffer()
    for frame in frames(count):
        buffer.add(reader.frame(frame).entries)
    row(f"{len(buffer):,} lines of 100 characters, resident memory", f"{resident_mb() - before:.0f} MB", "≤ 250 MB")
    view = View(buffer, Filter("took 5.. ms"))
    row("filter over all of them by a regular expression", f"{timed(view.refresh) * 1000:.0f} ms")
    pages = 200
    spent = timed(
        lambda: [[buffer[at + row_].text for row_ in range(50)] for at in range(0, count - 50, count // pages)]
    )
    row("a page of 50 lines, cleaned, from anywhere", f"{spent / pages * 1000:.2f} ms", "≤ 3 ms (with drawing)")
    late = [Entry(START_NS + at * 1000 + 500, (("container", "late"),), b"late %d" % at) for at in range(0, count, 997)]
    spent = timed(lambda: buffer.add(late))
    row(f"{len(late):,} late lines put in place", f"{spent / len(late) * 1e6:.0f} µs each")
    spent = timed(lambda: [buffer.count(START_NS + at, START_NS + at + 10**9) for at in range(1000)])
    row("the count of a window", f"{spent * 1000:.1f} µs")


def levels(count: int) -> None:
    texts = [
        b'{"level":"info","ts":1795168801.8,"logger":"http.log.access.log0","msg":"handled request","status":200}',
        b"2026-11-20 10:03:40.794 UTC [1122] FATAL:  password authentication failed for user",
        b'INFO:     172.20.2.10:43349 - "GET /health/liveliness HTTP/1.1" 200 OK',
        b"1:M 20 Nov 2026 10:01:00.971 * 387 changes in 300 seconds. Saving...",
        b"Prompt executed in 97.95 seconds and everything else went as it should have gone",
    ]
    keyword = re.compile(rb"(?i)\b(error|warn|info|debug|fatal)\b")
    rounds = count // len(texts)
    own = timed(lambda: [level_of(text) for _ in range(rounds) for text in texts])
    theirs = timed(lambda: [keyword.search(text) for _ in range(rounds) for text in texts])
    row("level of a line", f"{own / rounds / len(texts) * 1e6:.2f} µs")
    row("ratio against one search for a level word, which is often wrong", f"{own / theirs:.2f}×")


def idle(minutes: int) -> None:
    """A tail that is followed in virtual time: what the machinery costs without the network."""
    from sim_loki import SimLoki, in_virtual_time
    from sim_loki import entry as line_at

    from vpai_tui.logs.live import Following
    from vpai_tui.logs.pace import Pace

    async def run() -> None:
        loki = SimLoki()
        following = Following(loki, "{}", Buffer(), Pace())
        await following.begin(1000, 3600)
        for second in range(minutes * 60):
            await asyncio.sleep(1)
            entry = line_at(second)
            loki.push([entry])
            loki.show([entry])
            following._events.clear()
        await following.end()

    spent = timed(lambda: in_virtual_time(run()))
    row("a tail of one line a second with its proof: processor", f"{spent / minutes / 60 * 100:.3f} %", "≤ 2 %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000, help="lines that are held (1,000,000)")
    args = parser.parse_args()
    count = min(200_000, args.lines)
    ingest(list(frames(count)), count)
    held(args.lines)
    levels(100_000)
    idle(10)


if __name__ == "__main__":
    main()
