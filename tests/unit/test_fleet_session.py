"""What the fleet's live part costs to import, and how long it waits between tries."""

from __future__ import annotations

import subprocess
import sys

from vpai_tui.fleet.pace import LONGEST_RETRY_S, MOST_A_MINUTE, WINDOW_S, Pace, retry_delay_s


def test_importing_the_watch_brings_neither_asyncssh_nor_docker_nor_textual() -> None:
    names = ("watch", "session", "containers", "alerts", "actions", "describe", "doctor")
    code = "import sys\n" + "".join(f"import vpai_tui.fleet.{name}\n" for name in names)
    code += "print([name for name in ('asyncssh', 'docker', 'textual', 'httpx') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_wait_doubles_to_half_a_minute_with_some_spread() -> None:
    middle = [retry_delay_s(n, spread=lambda: 0.5) for n in range(1, 9)]
    assert middle == [1, 2, 4, 8, 16, LONGEST_RETRY_S, LONGEST_RETRY_S, LONGEST_RETRY_S]
    assert retry_delay_s(10**6, spread=lambda: 0.5) == LONGEST_RETRY_S
    assert (retry_delay_s(1, spread=lambda: 0.0), retry_delay_s(1, spread=lambda: 1.0)) == (0.75, 1.25)
    assert len({retry_delay_s(3) for _ in range(20)}) > 1


def test_backoff_stays_below_the_ceiling_by_itself() -> None:
    now_s, tries = 0.0, []
    for failures in range(1, 12):
        tries.append(now_s)
        now_s += retry_delay_s(
            failures, spread=lambda: 0.0
        )  # the shortest waits there are, and every try fails at once
    assert max(sum(1 for at in tries if start <= at < start + WINDOW_S) for start in tries) <= MOST_A_MINUTE


def test_nobody_connects_more_often_than_the_ceiling() -> None:
    pace, now_s, tries = Pace(), 0.0, []
    for _ in range(50):  # wants to connect every half second, whatever it is told
        now_s += max(0.5, pace.wait_s(now_s))
        pace.tried(now_s)
        tries.append(now_s)
    for start in tries:
        assert sum(1 for at in tries if start <= at < start + WINDOW_S) <= MOST_A_MINUTE
    assert tries[-1] > 4 * WINDOW_S
