"""One moment of the simulated LiteLLM: what is set, what acts, and what was spent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import Any
from zoneinfo import ZoneInfo

from vpai_tui.demo.litellm import traffic
from vpai_tui.demo.litellm.config import Doc, money
from vpai_tui.demo.litellm.traffic import Row

PREFIX = "litellm:budget:"
MODES = ("normal", "eco", "blocked")
HEARTBEAT_S = 30
_KEPT_S = 40 * 86400


def fresh() -> Doc:
    """Nothing set by hand, no call but the usual ones."""
    return {
        "booted": "",
        "loaded": {"models": [], "max_budget": None, "native": None, "callbacks": []},
        "keys": {},  # of Redis, those that somebody set: name → [value, when it ends or null]
        "auto": None,  # {"day", "since", "spend", "cap"}: the cap was reached on that day
        "pauses": [],  # see traffic.rows
        "calls": [],  # rows of calls that were really made, each with its moment: [at, *row]
        "scale": {},  # day (UTC) → factor
        "past": {},  # sums of days that are over, so that they are made once
        "looked": None,
        "scene": {"down": False, "no_database": False, "no_callback": False},
    }


class World:
    """`environ` is the container's; `listens_since` None while nothing listens, `silent_since` then says since when.

    `database` tells whether PostgreSQL runs.
    """

    def __init__(
        self,
        doc: Doc,
        now: float,
        environ: Mapping[str, str],
        *,
        listens_since: float | None,
        silent_since: float = 0.0,
        database: bool = True,
    ) -> None:
        self.doc, self.now, self.environ = doc, now, environ
        self.listens_since, self.silent_since = listens_since, silent_since
        self.database = database and not doc["scene"]["no_database"]

    # ── what is set ──────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def callback(self) -> bool:
        """Whether eco_mode.py is loaded."""
        names = " ".join(self.doc["loaded"]["callbacks"])
        return "eco_mode.instance" in names and not self.doc["scene"]["no_callback"]

    @property
    def mode(self) -> str:
        found = self.key("mode")
        return found if found in MODES else "normal"

    def key(self, name: str) -> str:
        """A key of the budget that somebody set; empty: it is not there."""
        value, ends = self.doc["keys"].get(PREFIX + name, ("", None))
        return str(value) if ends is None or ends > self.now else ""

    @property
    def caps(self) -> Iterator[tuple[str, float | None]]:
        loaded = self.doc["loaded"]
        yield "redis", money(self.key("cap")) if self.key("cap") else None
        yield "env", money(self.environ["ECO_DAILY_CAP"]) if self.environ.get("ECO_DAILY_CAP") else None
        yield "general_settings", loaded["max_budget"]
        yield "litellm_settings", loaded["native"]

    @property
    def cap(self) -> tuple[str, float]:
        """Where it comes from, and dollars a day; 0: none."""
        return next(((name, cap) for name, cap in self.caps if cap is not None), ("none", 0.0))

    @property
    def free(self) -> list[str]:
        """Aliases that answer in eco mode."""
        there = {it["alias"]: it["price"] for it in self.doc["loaded"]["models"]}
        names = self.environ.get("ECO_FREE_ALIASES", "qwen3-coder,deepseek-v3-free").split(",")
        return [name for name in names if name in there and there[name] in ([0.0, 0.0], [None, None])]

    @property
    def effective(self) -> str:
        """What acts; without the callback nothing does."""
        if not self.callback:
            return "normal"
        if self.mode != "normal":
            return self.mode
        return "eco" if self._over() else "normal"

    def _over(self) -> bool:
        _, cap = self.cap
        return cap > 0 and round(self.spent, 6) >= round(cap, 6)

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.environ.get("ECO_TZ", "UTC"))

    @property
    def day(self) -> str:
        """Today in the budget's time zone."""
        return f"{datetime.fromtimestamp(self.now, self.zone):%F}"

    def midnight(self, days: int = 0) -> float:
        """The beginning of today in the budget's time zone, or of the day that is so many days on."""
        day = datetime.fromtimestamp(self.now, self.zone).date() + timedelta(days=days)
        return datetime.combine(day, datetime.min.time(), self.zone).timestamp()

    # ── money ────────────────────────────────────────────────────────────────────────────────────────────────────

    def rows(self, start: float, end: float) -> Iterator[Row]:
        """All that was asked from `start` to `end`, or to now."""
        end = min(end, self.now)
        first = next(iter(self.free), None)
        loaded = self.doc["loaded"]["models"]
        yield from traffic.rows(start, end, loaded, self.doc["pauses"], self.doc["scale"], first)
        for at, *row in self.doc["calls"]:
            if start <= at < end or at == self.now == end:
                yield Row(*row)

    def totals(self) -> dict[str, float]:
        """Dollars of the last thirty days (UTC) and today, the oldest first."""
        found = {}
        for back in range(30, -1, -1):
            start = self.now - self.now % 86400 - 86400 * back
            day = f"{utc(start):%F}"
            found[day] = self.once(f"total {day}", start + 86400, partial(self._total, start, start + 86400))
        return found

    def _total(self, start: float, end: float) -> float:
        return sum((row.spend for row in self.rows(start, end)), 0.0)

    @property
    def spent(self) -> float:
        """Today's dollars."""
        return self._total(self.midnight(), self.now)

    def add(self, row: Row) -> None:
        """One call more, made just now."""
        self.doc["calls"] = [it for it in self.doc["calls"] if it[0] > self.now - _KEPT_S]
        self.doc["calls"].append([self.now, *row])

    # ── what the callback would have done since the last look ────────────────────────────────────────────────────

    def advance(self) -> None:
        """Let the time pass since then: the cap may have been reached meanwhile, a mode may have ended, a day too."""
        now, looked = self.now, self.doc["looked"]
        if looked is None or looked > now or now - looked > _KEPT_S:
            self.doc.update(pauses=[], looked=now)
            looked = now
        for moment in (*sorted([*self._midnights(looked), *self._ends(looked)]), now):
            self.now = moment
            self._step(self.doc["looked"])
            self.doc["looked"] = max(moment, self.doc["looked"])
        self.now = now
        self.doc["pauses"] = [it for it in self.doc["pauses"] if it["to"] is None or it["to"] > now - _KEPT_S]

    def settle(self) -> None:
        """What was just set acts at once."""
        self._step(self.now)

    def _midnights(self, looked: float) -> list[float]:
        """The last moment of each day, and the first of the next: the one may be over the cap."""
        found, moment = [], looked
        while (moment := _next_midnight(moment, self.zone)) < self.now:
            found += [max(looked, moment - 0.001), moment]
        return found

    def _ends(self, looked: float) -> list[float]:
        _, ends = self.doc["keys"].get(PREFIX + "mode", ("", None))
        return [ends] if ends is not None and looked < ends < self.now else []

    def _step(self, since: float) -> None:
        """One stretch of time with one mode and one cap, which ends now."""
        kind = {"normal": "", "eco": "eco", "blocked": "blocked"}[self.effective]
        if self.listens_since is None:
            self._pause("down", max(since, self.silent_since))
            return
        if kind == "eco" and self.mode == "normal" and self._open() != "eco":
            crossed = self._crossed(since)
            self._pause("eco", crossed)
            self._remember(crossed)
        else:
            self._pause(kind, self.listens_since if self._open() == "down" else self.now)
        if not self._over() or not self.callback:
            self.doc["auto"] = None
        elif self.doc["auto"] is None or self.doc["auto"]["day"] != self.day:
            self._remember(self.now)

    def _open(self) -> str:
        last = self.doc["pauses"][-1:]
        return str(last[0]["kind"]) if last and last[0]["to"] is None else ""

    def _pause(self, kind: str, at: float) -> None:
        if self._open() == kind:
            return
        if self._open():
            self.doc["pauses"][-1]["to"] = max(at, self.doc["pauses"][-1]["from"])
        if kind:
            self.doc["pauses"].append({"from": at, "to": None, "kind": kind})

    def _crossed(self, since: float) -> float:
        """When the cap was reached, between `since` and now."""
        now = self.now
        low, high = max(since, self.midnight()), now
        for _ in range(24):
            self.now = (low + high) / 2
            low, high = (low, self.now) if self._over() else (self.now, high)
        self.now = now
        return high

    def _remember(self, since: float) -> None:
        now, self.now = self.now, since
        spend, cap = round(self.spent, 6), self.cap[1]
        self.now = now
        self.doc["auto"] = {"day": self.day, "since": since, "spend": max(spend, min(cap, self.spent)), "cap": cap}

    # ── what it writes to Redis ──────────────────────────────────────────────────────────────────────────────────

    @property
    def beat(self) -> Doc | None:
        """The heartbeat; None: there is none, or it ended with the proxy."""
        if not self.callback:
            return None
        seen = self.now if self.listens_since is not None else self.silent_since
        if self.now - seen >= HEARTBEAT_S:
            return None
        source, cap = self.cap
        spent = round(self.spent, 6)
        return {
            "v": 1,
            "pid": 7,
            "seen": seen,
            "mode": self.mode,
            "effective": self.effective,
            "spend": spent,
            "db_spend": spent if self.database else 0.0,
            "cap": cap,
            "cap_source": source,
            "free": self.free,
            "day": self.day,
            "tz": str(self.zone),
        }

    def redis(self, name: str) -> Any:
        """A key of Redis: text, a hash of texts, or None: it is not there."""
        value, ends = self.doc["keys"].get(name, (None, None))
        if value is not None and (ends is None or ends > self.now):
            return value
        kind, _, day = name.removeprefix(PREFIX).partition(":")
        if not self.callback or not name.startswith(PREFIX):
            return None
        if kind == "hook":
            return None if (beat := self.beat) is None else json.dumps(beat)
        if kind == "auto" and (auto := self.doc["auto"]) and auto["day"] == self.day:
            return json.dumps({part: auto[part] for part in ("since", "spend", "cap")})
        if kind in ("spend", "by") and day in self._counted:
            return self._counters(day)[kind == "by"]
        return None

    @property
    def names(self) -> list[str]:
        """Of all keys that are there."""
        ours = ("hook", "auto", *(f"{kind}:{day}" for day in self._counted for kind in ("spend", "by")))
        names = sorted({*self.doc["keys"], *(PREFIX + it for it in ours)})
        return [name for name in names if self.redis(name) is not None]

    @property
    def _counted(self) -> list[str]:
        """The days whose counters are still there, today first."""
        return [f"{datetime.fromtimestamp(self.midnight(-back), self.zone):%F}" for back in range(8)]

    def once(self, name: str, end: float, make: Callable[[], Any]) -> Any:
        """What `make` gives; kept where `end`, the end of the time it is about, is past."""
        past = self.doc["past"]
        if name in past:
            return past[name]
        made = make()
        if end <= self.now:
            while len(past) > 60:
                del past[next(iter(past))]
            past[name] = made
        return made

    def _counters(self, day: str) -> list[Any]:
        back = self._counted.index(day)
        start, end = self.midnight(-back), self.midnight(1 - back)
        return list(self.once(f"counters {day} {self.zone}", end, partial(self._count, start, end)))

    def _count(self, start: float, end: float) -> list[Any]:
        total, fields = 0.0, dict[str, float]()
        for row in self.rows(start, end):
            total += row.spend
            hour = f"{datetime.fromtimestamp(row.hour, self.zone):%H}"
            places = (f"model|{row.alias}", f"prov|{row.provider}", f"vendor|{row.vendor}", f"key|{row.key}")
            for place in (*places, f"hour|{hour}") if row.spend else ():
                fields[place] = fields.get(place, 0.0) + row.spend
            for kind, amount in (("req", row.requests - row.failed), ("tok", row.prompt + row.completion)):
                fields[f"{kind}|{row.alias}"] = fields.get(f"{kind}|{row.alias}", 0) + amount
        return [repr(total), {name: f"{value:.17g}" for name, value in fields.items()}]


def _next_midnight(moment: float, zone: ZoneInfo) -> float:
    day = datetime.fromtimestamp(moment, zone).date() + timedelta(days=1)
    return datetime.combine(day, datetime.min.time(), zone).timestamp()


def utc(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC)


def moment_of(text: str) -> float | None:
    """`2026-11-28` or `2026-11-28 10:00:00` (UTC) as seconds since the epoch."""
    with suppress(ValueError):
        return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    return None
