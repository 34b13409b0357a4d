"""What the callback keeps in Redis: its heartbeat, the two knobs and the day's counters. One script reads all of it.

The keys are those of `eco_mode.py`. Anybody may have written them: what is not as expected is as if it were not there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any

from vpai_tui.budget.figures import calendar_day, count, mapping, money, name
from vpai_tui.budget.model import HEARTBEAT_FRESH_S, Beat, Mode, Reached
from vpai_tui.budget.tally import Tally, Use

PREFIX = "litellm:budget:"
MODE_KEY = f"{PREFIX}mode"
CAP_KEY = f"{PREFIX}cap"
NO_ALIAS = "no alias"  # the master key, and keys that nobody named
HEARTBEAT_S = 30.0  # what the heartbeat lives for, each time it is written
_LAST_STAMP = 1e11  # seconds since 1970, some thousand years on
_AGE_LIMIT_S = 1e8  # older is as good as never
_FREE_LIMIT = 50  # aliases
_DAYS = 8  # that the counters are kept for

# Arguments: the keys' prefix, then days. A key of another kind counts as absent; a hash beyond measure is left out.
READ_LUA = """
local prefix, out = ARGV[1], {spend = {}, by = {}}
local function get(key)
  local value = redis.pcall('GET', prefix .. key)
  if type(value) == 'string' then return value end
end
out.mode, out.cap, out.hook, out.auto = get('mode'), get('cap'), get('hook'), get('auto')
out.hook_ttl_ms, out.mode_ttl_ms = redis.call('PTTL', prefix .. 'hook'), redis.call('PTTL', prefix .. 'mode')
local time = redis.call('TIME')
out.now = time[1] .. '.' .. string.format('%06d', tonumber(time[2]))
for i = 2, #ARGV do
  local day = ARGV[i]
  out.spend[day] = get('spend:' .. day)
  local size = redis.pcall('HLEN', prefix .. 'by:' .. day)
  if type(size) == 'number' and size > 0 and size <= 5000 then
    local fields, flat = {}, redis.call('HGETALL', prefix .. 'by:' .. day)
    for j = 1, #flat, 2 do fields[flat[j]] = flat[j + 1] end
    out.by[day] = fields
  end
end
return cjson.encode(out)
"""

# Arguments: the key, the value it must have now ("": absent), the value it shall have ("": absent), the milliseconds
# that it shall live for ("": it stays). What was there before is told; of two operators one is refused.
SET_LUA = """
local key, expected, new, life_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4] or ''
local was = redis.call('GET', key) or ''
local done = was == expected
if done and new == '' then redis.call('DEL', key) end
if done and new ~= '' then redis.call('SET', key, new) end
if done and new ~= '' and life_ms ~= '' then redis.call('PEXPIRE', key, life_ms) end
return cjson.encode({done = done, was = was})
"""


@dataclass(frozen=True, slots=True)
class Counters:
    """Redis at one moment. `raw_mode` and `raw_cap` are the keys' values unchanged (empty: absent), for `SET_LUA` and
    not to be shown; `mode_life_s`: when the mode goes by itself, None: it stays; `beat_age_s` is by Redis's clock, None
    without a heartbeat; `skew_s`: how far that clock is ahead of the laptop's."""

    manual: Mode
    cap_usd: float | None
    raw_mode: str = ""
    raw_cap: str = ""
    mode_life_s: float | None = None
    beat: Beat | None = None
    beat_age_s: float | None = None
    reached: Reached | None = None
    skew_s: float = 0.0
    days: Mapping[date, Tally] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def fresh(self) -> bool:
        """Whether the callback acts now."""
        return self.beat_age_s is not None and self.beat_age_s <= HEARTBEAT_FRESH_S


def candidate_days(now: datetime) -> tuple[str, ...]:
    """The days to ask `READ_LUA` for, whatever the budget's time zone: as long as they are kept, newest first."""
    newest = now.astimezone(UTC).date() + timedelta(days=1)
    return tuple((newest - timedelta(days=back)).isoformat() for back in range(_DAYS + 1))


def read_arguments(now: datetime) -> tuple[str, ...]:
    """The arguments of `READ_LUA`."""
    return (PREFIX, *candidate_days(now))


def counters_of(raw: Any, now: datetime) -> Counters:
    """What `READ_LUA` returned; `now` is the laptop's clock, which the heartbeat's age is laid back from."""
    found = mapping(raw)
    mode, cap = found.get("mode"), found.get("cap")
    raw_mode, raw_cap = mode if isinstance(mode, str) else "", cap if isinstance(cap, str) else ""
    hook = _json(found.get("hook"))
    age_s = _age(hook, found) if hook is not None else None
    beat = _beat(hook, now - timedelta(seconds=age_s)) if hook is not None and age_s is not None else None
    return Counters(
        manual=mode_of(raw_mode),
        cap_usd=money(raw_cap) if raw_cap else None,
        raw_mode=raw_mode,
        raw_cap=raw_cap,
        mode_life_s=_life(found.get("mode_ttl_ms")),
        beat=beat,
        beat_age_s=age_s if beat is not None else None,
        reached=_reached(_json(found.get("auto"))),
        skew_s=_skew(found.get("now"), now),
        days=MappingProxyType(dict(_days(found))),
    )


def mode_of(word: object) -> Mode:
    """As the callback reads it: what is no mode is normal."""
    return next((mode for mode in Mode if mode == word), Mode.NORMAL)


def _json(text: object) -> Mapping[str, Any] | None:
    if not isinstance(text, str):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return mapping(found) if isinstance(found, dict) else None


def _age(hook: Mapping[str, Any], found: Mapping[str, Any]) -> float | None:
    """Seconds since the heartbeat: by what is left of its life, else by Redis's clock. A key that somebody wrote to
    stay for ever is no heartbeat by its life."""
    left, now, seen = found.get("hook_ttl_ms"), _stamp(found.get("now")), _stamp(hook.get("seen"))
    if isinstance(left, int) and not isinstance(left, bool) and 0 < left <= HEARTBEAT_S * 1000:
        return HEARTBEAT_S - left / 1000
    return min(max(0.0, now - seen), _AGE_LIMIT_S) if now is not None and seen is not None else None


def _life(left_ms: object) -> float | None:
    """Seconds; None for a key that stays (-1) or is not there (-2)."""
    found = count(left_ms)
    return found / 1000 if found else None


def _stamp(value: object) -> float | None:
    """Seconds since 1970, from a number or the text of one; None for what no calendar has."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if 0 <= found < _LAST_STAMP else None


def _skew(value: object, now: datetime) -> float:
    stamp = _stamp(value)
    ahead = stamp - now.timestamp() if stamp is not None else 0.0
    return ahead if abs(ahead) < _AGE_LIMIT_S else 0.0


def _beat(hook: Mapping[str, Any], seen_at: datetime) -> Beat | None:
    """None where it lacks what makes it one: the mode that acts, and the day."""
    day, effective = calendar_day(hook.get("day")), hook.get("effective")
    if day is None or effective not in list(Mode):
        return None
    free = hook.get("free")
    return Beat(
        seen_at=seen_at,
        mode=mode_of(hook.get("mode")),
        effective=mode_of(effective),
        spend_usd=money(hook.get("spend")) or 0.0,
        database_usd=money(hook.get("db_spend")) or 0.0,
        cap_usd=money(hook.get("cap")) or None,
        cap_source=name(hook.get("cap_source")) or "none",
        free=tuple(word for it in free[:_FREE_LIMIT] if (word := name(it))) if isinstance(free, list) else (),
        day=day,
        timezone=name(hook.get("tz")) or "UTC",
    )


def _reached(auto: Mapping[str, Any] | None) -> Reached | None:
    if auto is None:
        return None
    since, spend, cap = _stamp(auto.get("since")), money(auto.get("spend")), money(auto.get("cap"))
    if since is None or spend is None or cap is None:
        return None
    return Reached(datetime.fromtimestamp(since, UTC), spend, cap)


def _days(found: Mapping[str, Any]) -> Iterable[tuple[date, Tally]]:
    spends, fields = mapping(found.get("spend")), mapping(found.get("by"))
    for text in {*spends, *fields}:
        if day := calendar_day(text):
            yield day, _tally(money(spends.get(text)), mapping(fields.get(text)))


def _tally(total: float | None, fields: Mapping[str, Any]) -> Tally:
    money_by: dict[str, dict[str, float]] = {kind: {} for kind in ("model", "prov", "vendor", "key", "hour")}
    counts: dict[str, dict[str, int]] = {"req": {}, "tok": {}}
    for key, value in fields.items():
        kind, _, raw = key.partition("|")
        what = name(raw)
        if kind in money_by and what:
            money_by[kind][what] = money_by[kind].get(what, 0.0) + (money(value) or 0.0)
        elif kind in counts and what:
            counts[kind][what] = counts[kind].get(what, 0) + (count(value) or 0)
    aliases = {*money_by["model"], *counts["req"], *counts["tok"]}
    return Tally(
        spend_usd=sum(money_by["prov"].values()) if total is None else total,
        requests=sum(counts["req"].values()),
        tokens=sum(counts["tok"].values()),
        models={
            it: Use(money_by["model"].get(it, 0.0), counts["req"].get(it, 0), counts["tok"].get(it, 0))
            for it in aliases
        },
        providers=money_by["prov"],
        vendors=money_by["vendor"],
        keys={NO_ALIAS if it == "-" else it: spent for it, spent in money_by["key"].items()},
        hours=dict(_hours(money_by["hour"])),
    )


def _hours(spent: Mapping[str, float]) -> Iterable[tuple[int, float]]:
    for text, amount in spent.items():
        if text.isascii() and text.isdigit() and len(text) <= 2 and int(text) < 24:
            yield int(text), amount
