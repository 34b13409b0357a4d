"""What a simulated container writes: lines that depend on the container and the moment only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpai_tui.demo.engine.life import CRASH_RUN_S, life
from vpai_tui.demo.engine.store import Doc, fraction
from vpai_tui.demo.engine.views import stamp

if TYPE_CHECKING:
    from vpai_tui.demo.loki.chorus import Chorus
    from vpai_tui.demo.loki.model import Entry

_PERIOD_S = 4.0
_KEPT = 400
_REACH_S = 1800  # how far back is looked at once for so many
_S = 10**9
_COMMON = (
    'level=info msg="request completed" method=GET path=/health status=200 duration_ms={n}',
    'level=info msg="request completed" method=GET path=/metrics status=200 duration_ms={n}',
    'level=info msg="connection accepted" remote=172.20.2.{n} active={m}',
    'level=debug msg="housekeeping done" items={n} duration_ms={m}',
    'level=info msg="job finished" id={n} result=ok',
    'level=warn msg="slow operation" duration_ms=1{n}0',
)
_REFUSED = 'level=error msg="dependency check failed" error="dial tcp 127.0.0.1:5432: connect: connection refused"'


def lines(container: Doc, now: float, chorus: Chorus | None = None) -> list[tuple[float, str, str]]:
    """All lines kept at `now`, oldest first: time, stream (`stdout` or `stderr`), text without newline.

    With `chorus`, a service that has a voice of its own says what Loki has of it.
    """
    from vpai_tui.demo.creative import printed
    from vpai_tui.demo.loki.voices import known

    if said := printed(container, now):
        return sorted([*_usual(container, now), *said])
    if chorus is None or not known(container["image"]) or container["behaviour"] not in ("", "flap"):
        return _usual(container, now)
    return _spoken(container, now, chorus)


def _spoken(container: Doc, now: float, chorus: Chorus) -> list[tuple[float, str, str]]:
    seen = life(container, now)
    if not seen.started_at:
        return []
    end = int((seen.finished_at if seen.status == "exited" else now) * _S) + 1
    start = end
    found: list[tuple[str, Entry]] = []
    while len(found) < _KEPT and start > container["created"] * _S:
        start = max(start - _REACH_S * _S, int(container["created"] * _S))
        found = chorus.own(container, start, end)
    streams = {"error": "stderr", "critical": "stderr"}
    return [(entry.ts / _S, streams.get(level, "stdout"), entry.line) for level, entry in found[-_KEPT:]]


def _usual(container: Doc, now: float) -> list[tuple[float, str, str]]:
    seen = life(container, now)
    if not seen.started_at:
        return []
    if container["behaviour"] == "crash":
        return _crashing(container, seen.started_at, seen.restarts, now)
    end = seen.finished_at if seen.status == "exited" else now
    found = [(seen.started_at + 0.05 * i, "stdout", text) for i, text in enumerate(_banner(container))]
    if container["behaviour"] == "oneshot":
        return [*found, (end, "stdout", "done, nothing left to do")]
    first = int((end - seen.started_at) // _PERIOD_S) - _KEPT
    for number in range(max(1, first), int((end - seen.started_at) // _PERIOD_S) + 1):
        found.append((seen.started_at + number * _PERIOD_S, *_line(container, number)))
    if container["behaviour"] == "unhealthy":
        found.append((min(end, seen.started_at + 1.0), "stderr", "level=error msg=\"dependency check failed\" error=\"dial tcp 127.0.0.1:5432: connect: connection refused\""))  # noqa: E501  # fmt: skip
    return sorted(line for line in found if line[0] <= end)


def _banner(container: Doc) -> tuple[str, ...]:
    return f"starting {container['image']}", "configuration loaded", "ready"


def _line(container: Doc, number: int) -> tuple[str, str]:
    key = f"{container['id'][:12]} {number}"
    text = _COMMON[int(fraction(key) * len(_COMMON))]
    return "stdout", text.format(n=1 + int(90 * fraction("n " + key)), m=1 + int(30 * fraction("m " + key)))


def _crashing(container: Doc, started: float, restarts: int, now: float) -> list[tuple[float, str, str]]:
    found = []
    for back in range(min(restarts, 10), -1, -1):
        at = started - back * (CRASH_RUN_S + 1.0)
        found += [
            (at, "stdout", f"starting {container['image']}"),
            (at + 0.2, "stderr", 'fatal: cannot load configuration: unknown directive "respond_to" at line 14'),
            (at + 0.3, "stderr", "panic: exit status 1"),
        ]
    return [line for line in found if line[0] <= now]


def rendered(
    container: Doc, now: float, chorus: Chorus, *, tail: int | None, since: float, timestamps: bool
) -> list[tuple[str, str]]:
    """`lines` as `docker logs` shows them: stream and text."""
    found = [line for line in lines(container, now, chorus) if line[0] > since]
    if tail is not None:
        found = found[len(found) - min(tail, len(found)) :]
    return [(stream, f"{stamp(at)} {text}" if timestamps else text) for at, stream, text in found]
