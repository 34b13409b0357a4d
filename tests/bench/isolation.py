"""What hosts that are black-holed cost the healthy ones: key to frame, and a container killed to screen, as ratios.

Also by itself: `python tests/bench/isolation.py`.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "lab"))
sys.path.insert(0, str(HERE))

from lab_machines import Lab  # noqa: E402
from terminal import Terminal  # noqa: E402

KEYS = 16  # presses in each phase, up as often as down: at an end of the table a key would show nothing
DEATHS = 3
UNNOTICED_S, NOTICED_S = 0.0, 10.0  # a dead link is noticed after 8 s: both before and after are measured
LOST = ("pi", "seko")


def measure(lab: Lab, program: str, config: Path) -> None:
    """Prints a line for none, one and two hosts of three black-holed; the containers `bench-HOST` run."""
    print(f"{'isolation':<34} {'key → frame':>12} {'worst':>9} {'kill → screen':>16} {'ratios':>14}", flush=True)
    base: tuple[float, float] | None = None
    for host in LOST:
        lab.heal(host)
    for count in range(len(LOST) + 1):
        try:
            with Terminal([program, "--config", str(config)]) as terminal:
                terminal.wait_for("bench-sese", "bench-seko", "bench-pi")
                terminal.rest(6)
                for host in LOST[:count]:
                    lab.cut(host)
                keys, deaths = _phases(terminal, lab)
        finally:
            for host in LOST:
                lab.heal(host)
        key, death = statistics.median(keys), statistics.median(deaths)
        base = base or (key, death)
        words = f"{count} of 3 hosts black-holed" if count else "all three healthy"
        ratios = f"{key / base[0]:.2f}× {death / base[1]:.2f}×"
        print(f"{words:<34} {key:10.3f} s {max(keys):7.3f} s {death:14.3f} s {ratios:>14}", flush=True)


def _phases(terminal: Terminal, lab: Lab) -> tuple[list[float], list[float]]:
    keys: list[float] = []
    deaths: list[float] = []
    for wait_s in (UNNOTICED_S, NOTICED_S):
        terminal.rest(wait_s)
        for number in range(KEYS):
            keys.append(terminal.key("jk"[number % 2]))
            terminal.rest(0.1)
        for _ in range(DEATHS):
            deaths.append(_death(terminal, lab))
    return keys, deaths


def _death(terminal: Terminal, lab: Lab) -> float:
    """Seconds from asking the engine to kill a container to the word on screen."""
    terminal.forget()
    asked = time.perf_counter() - terminal.started
    lab.root_shell("sese", "docker kill bench-sese >/dev/null")
    seen = terminal.wait_for("down")
    lab.root_shell("sese", "docker start bench-sese >/dev/null")
    terminal.rest(1.5)
    return seen - asked


if __name__ == "__main__":
    from bench import COCKPIT, furnished

    lab = Lab()
    with furnished(lab), tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "config" / "fleet.yaml"
        path.parent.mkdir()
        (Path(scratch) / "stacks").mkdir()
        path.write_text(lab.fleet_yaml(lab.near))
        measure(lab, COCKPIT, path)
