"""How often a host is connected to: backoff after failures, under a ceiling that nothing lifts."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 30.0
MOST_A_MINUTE = 10  # tries to connect; sshd's PerSourcePenalties and fail2ban shut out who makes many
WINDOW_S = 60.0


def retry_delay_s(failures: int, *, spread: Callable[[], float] = random.random) -> float:
    """How long to wait after the n-th failure: 1 s doubling to 30 s, give or take a quarter, so that hosts that went
    together are not all asked at the same moment."""
    delay_s = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(failures - 1, 10))
    return delay_s * (0.75 + 0.5 * spread())


class Pace:
    """The tries of one host. Neither an impatient operator nor a link that comes and goes makes more than
    `MOST_A_MINUTE` of them."""

    def __init__(self) -> None:
        self._tries: deque[float] = deque(maxlen=MOST_A_MINUTE)

    def wait_s(self, now_s: float) -> float:
        """Seconds until the next try may be made."""
        if len(self._tries) < MOST_A_MINUTE:
            return 0.0
        return max(0.0, self._tries[0] + WINDOW_S - now_s)

    def tried(self, now_s: float) -> None:
        """A try was begun."""
        self._tries.append(now_s)
