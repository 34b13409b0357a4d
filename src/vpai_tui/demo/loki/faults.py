"""What can be wrong with the simulated Loki: switches in a file of the demo's folder, all off at first."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from vpai_tui.demo.loki.model import S
from vpai_tui.errors import UsageError

_WORDS = {"lossy": "lossy", "duplicating": "duplicating", "slow": "slow_s", "down": "down", "slots": "tails_taken"}
_AWAY_S = 2.0  # how long a restart takes
_SETTLING_S = 15.0  # and how long `/ready` denies it afterwards


@dataclass(frozen=True, slots=True)
class Faults:
    """The switches. Shares are of lines, from 0 to 1."""

    lossy: float = 0.0  # tails lose this share, and report every third of what they lost
    duplicating: float = 0.0  # tails show this share twice
    slow_s: float = 0.0  # every answer takes that long
    down: bool = False  # nobody listens
    tails_taken: float = 0  # by others, of the ten there are
    restarted: float = 0.0  # when, in seconds since the epoch

    def gone(self, now: int) -> bool:
        """Whether nobody listens at `now` (nanoseconds)."""
        return self.down or 0 <= now / S - self.restarted < _AWAY_S

    def not_ready(self, now: int) -> str:
        """What `/ready` says in place of `ready`."""
        if 0 <= now / S - self.restarted - _AWAY_S < _SETTLING_S:
            return "Ingester not ready: waiting for 15s after being ready"
        return ""


class Switches:
    """The file. Every look at it sees what any cockpit on the demo has switched."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        """`clock`: the server's, in seconds since the epoch."""
        self._path, self._clock = path, clock

    def read(self) -> Faults:
        try:
            found = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return Faults()
        known = {it.name for it in fields(Faults)}
        return Faults(**{name: value for name, value in found.items() if name in known})

    def turn(self, text: str) -> Faults:
        """`lossy 0.3`, `down on`, `slots 10`, `restart`, `ok` (all off). UsageError for other words."""
        word, _, value = text.partition(" ")
        if word == "ok" and not value:
            return self.set(**asdict(Faults()))
        if word == "restart" and not value:
            return self.set(restarted=self._clock())
        name = _WORDS.get(word)
        try:
            if name is not None and value:
                return self.set(**{name: value == "on" if name == "down" else float(value)})
        except ValueError:
            pass
        raise UsageError(
            f"demo loki {text}", remedy=f"demo loki {' | '.join(_WORDS)} VALUE, demo loki restart, demo loki ok"
        )

    def set(self, **changes: float | bool) -> Faults:
        """Turn switches; the others stay."""
        found = replace(self.read(), **changes)  # type: ignore[arg-type]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        new.write_text(json.dumps(asdict(found)))
        new.replace(self._path)
        return found
