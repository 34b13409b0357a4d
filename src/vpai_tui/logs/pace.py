"""How often and how far behind: the times of following, in one place so that tests may bring others."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds, unless the name says otherwise."""

    window_s: int = 10  # a stretch that is counted
    widest: int = 2160  # as many windows are counted at once when far behind
    settle_s: float = 5.0  # lines younger than this may still be on their way
    retry_count_s: float = 3.0  # after a count that failed
    again_s: float = 60.0  # how often what was counted is counted again
    again_over_s: float = 600.0  # and how far back
    rollover_s: float = 55 * 60.0  # the server ends a tail after an hour
    overlap_s: float = 1.5
    retry_first_s: float = 0.5
    retry_most_s: float = 10.0
    poll_s: float = 2.0
    tail_again_s: float = 30.0  # while polling: a slot may be free again
    history: int = 500  # lines of overlap a new tail brings
    full_frame: int = 100  # entries: what the server sends at most, so that there may have been more
    page: int = 5000
