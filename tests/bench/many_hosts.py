"""30 hosts and 1000 services against three and 21: key to frame, processor and memory, as ratios.

Key to frame is measured while samples come in: `python tests/bench/many_hosts.py`. It needs no lab.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from terminal import Terminal  # noqa: E402

SIZES = ((3, 21), (30, 1000))
KEYS = 40  # up as often as down: at an end of the table a key would show nothing
IDLE_S = 10.0


def main() -> None:
    heads = ("key → frame", "p95", "filter typed", "processor", "memory", "ratio")
    print(f"{'fleet':<26} " + " ".join(f"{head:>13}" for head in heads))
    base = 0.0
    for hosts, services in SIZES:
        with Terminal([sys.executable, str(HERE / "crowd.py"), str(hosts), str(services)]) as terminal:
            terminal.wait_for("service-001")
            terminal.rest(6)
            used, keys = terminal.cpu_s(), []
            terminal.rest(IDLE_S)
            busy = (terminal.cpu_s() - used) / IDLE_S
            for number in range(KEYS):
                keys.append(terminal.key("jk"[number % 2]))
                terminal.rest(0.1)
            typed = terminal.until("/nobody", "no service holds")
            median = statistics.median(keys)
            base = base or median
            p95 = sorted(keys)[int(0.95 * len(keys))]
            words = f"{hosts} hosts, {services} services"
            figures = (f"{median:.4f} s", f"{p95:.4f} s", f"{typed:.3f} s", f"{100 * busy:.1f} %")
            more = (f"{terminal.rss_mib():.0f} MiB", f"{median / base:.2f}×")
            print(f"{words:<26} " + " ".join(f"{figure:>13}" for figure in (*figures, *more)), flush=True)


if __name__ == "__main__":
    main()
