"""What a turn of a knob would do, from what is known of the budget: pure, nothing is asked and nothing changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC
from decimal import Decimal

from vpai_tui.budget.activity import older_than
from vpai_tui.budget.cap import GENERAL, NATIVE, NATIVE_SPAN, edited, removed, value_of
from vpai_tui.budget.change import Change, Order, Wanted, Write
from vpai_tui.budget.counters import CAP_KEY, MODE_KEY, Counters
from vpai_tui.budget.figures import money
from vpai_tui.budget.model import BudgetSnapshot, Enforcement, Mode
from vpai_tui.budget.native import Native
from vpai_tui.budget.persist import Edit
from vpai_tui.budget.places import Places, zone_of
from vpai_tui.budget.settings import Settings
from vpai_tui.budget.undo import Mark
from vpai_tui.budget.words import mode_of, usd
from vpai_tui.clock import duration
from vpai_tui.errors import PreflightRefused
from vpai_tui.text import clean_line

DECLARED = "declared only: nothing acts on it"
UNDO = "vpai-tui budget undo"


@dataclass(frozen=True)
class Look:
    """What a plan is made from. `counters` None: Redis does not answer, `why` says so; `config` None: no file of
    LiteLLM's configuration lies on the host, or it cannot be read (`unread` says why); `native` is LiteLLM's own cap,
    None: not told."""

    found: BudgetSnapshot
    places: Places
    counters: Counters | None
    why: str = ""
    config: bytes | None = None
    unread: str = ""
    settings: Settings | None = None
    native: Native | None = None

    @property
    def enforced(self) -> bool:
        return self.found.enforcement is Enforcement.ENFORCED

    @property
    def spend_usd(self) -> float | None:
        """Today's, as the callback counts it where it acts."""
        if self.found.beat is not None and self.enforced:
            return self.found.beat.spend_usd
        return self.found.spend.spend_usd if self.found.spend else None

    @property
    def reset(self) -> str:
        found = self.found
        return f"{found.resets_at.astimezone(zone_of(found.timezone) or UTC):%H:%M} ({found.timezone})"

    @property
    def free(self) -> tuple[str, ...]:
        return self.found.beat.free if self.found.beat else ()

    def answerable(self) -> Counters:
        """The counters. PreflightRefused where Redis does not answer: no key can be set there."""
        if self.counters is None:
            raise self.refused(f"Redis does not answer, so nothing can be set: {self.why}", "look at Redis first")
        return self.counters

    def refused(self, why: str, remedy: str) -> PreflightRefused:
        return PreflightRefused(why, host=self.found.host, step="budget", remedy=remedy)


# ── the cap ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def cap_change(look: Look, cap: Decimal) -> Change:
    """Another cap: through the callback where it acts, else LiteLLM's own.

    Raises:
        PreflightRefused: it cannot be had; nothing was changed.
    """
    if look.enforced:
        return _enforced(look, usd(cap), usd(cap), f"set the cap to ${usd(cap)} a day")
    _certain(look)
    return _native(look, usd(cap), f"set LiteLLM's own cap to ${usd(cap)} a day")


def _certain(look: Look) -> None:
    """PreflightRefused where it is not known what would hold a cap."""
    if look.found.enforcement is Enforcement.UNKNOWN:
        told = look.found.error or look.found.why
        raise look.refused(
            f"whether a cap would hold cannot be known now ({told}); nothing was changed",
            look.found.remedy or "try again when LiteLLM and Redis answer",
        )


def _enforced(look: Look, redis: str, lasting: str | None, title: str = "") -> Change:
    """`redis` is the key's new value, "" takes it away; `lasting` the file's, None takes its line out."""
    found, counters, path = look.found, look.answerable(), look.places.config
    write = Write(CAP_KEY, counters.raw_cap, redis)
    edit, unkept, was = None, "", None
    if look.config is None or path is None:
        what = "its configuration is not on the host" if path is None else f"{path} cannot be read ({look.unread})"
        unkept = f"{what}, so it is kept in Redis alone"
    else:
        was = value_of(look.config, GENERAL)
        after = removed(look.config, GENERAL) if lasting is None else edited(look.config, GENERAL, lasting)
        edit = Edit(path, look.config, after)
        unkept = "" if not edit.empty else "the file says so already"
    amount, own = (money(redis), "") if redis else _own_cap(look, lasting)
    told = "what is configured" if amount is None else f"{usd(amount or None)}{own}"
    before = usd(found.cap_usd)
    where = [f"Redis on {found.host}: {CAP_KEY} {_shown(counters.raw_cap)} → {_shown(redis)}, within 2 s"]
    if edit is not None and not edit.empty:
        turn = f"{'.'.join(GENERAL)} {was or 'none'} → {lasting or 'none'}"
        where.append(f"{edit.path} on {found.host}: {turn}, read at LiteLLM's next start; the old file is kept")
    return Change(
        kind="cap",
        title=title or f"put the cap back to {told}",
        before=before,
        after=told,
        effects=("the configured cap acts again",) if amount is None else _cap_effects(look, amount),
        where=tuple(where),
        ends=f"until it is set again; each day's spend begins at {look.reset}",
        warnings=_cap_warnings(look, lasting or "none", was, unkept if edit is None else ""),
        undo=f"{UNDO} (back to {before})",
        order=Order(
            found.service,
            found.enforcement,
            write=write,
            wanted=Wanted(cap_usd=amount, by_redis=bool(redis)),
            edit=edit,
            lasting=None if edit is None else (was, lasting),
            unkept=unkept,
        ),
    )


def _own_cap(look: Look, lasting: str | None) -> tuple[float | None, str]:
    """The cap that acts without the key in Redis, in the callback's order, and whose it is; 0: none, None: not known.

    LiteLLM read its file when it started: what stands there now acts only if it stood there then; the proof shows it.
    """
    if look.places.cap_usd is not None:
        return look.places.cap_usd, " (ECO_DAILY_CAP's)"
    if look.settings is None or (lasting is not None and money(lasting) is None):
        return None, ""  # a file that cannot be read; or that names a variable of the environment
    if lasting is not None:
        return money(lasting), " (the file's)"
    return look.settings.native_budget or 0.0, " (LiteLLM's own)" if look.settings.native_budget else ""


def _shown(raw: str) -> str:
    """A key's value: anybody may have written it."""
    return clean_line(raw, 20) or "none"


def _cap_effects(look: Look, cap: float) -> tuple[str, ...]:
    spent, manual = look.spend_usd, look.found.manual
    told = []
    if manual in (Mode.ECO, Mode.BLOCKED):
        told.append(f"the mode stays {manual}: it was set by hand")
    elif spent is not None and cap and round(spent, 6) >= cap:
        told.append(f"eco comes on now: ${spent:.2f} of today is at or over it; until {look.reset} or a higher cap")
    elif look.found.mode is Mode.ECO:
        told.append("eco goes off now: paid models answer again")
    if not told or manual in (Mode.ECO, Mode.BLOCKED):
        left = "" if spent is None or spent >= cap else f", after another ${cap - spent:.2f},"
        told.append(f"at ${cap:.2f} a day{left} {_saving(look)}" if cap else "no cap holds any more")
    return tuple(told)


def _saving(look: Look) -> str:
    if not look.free:
        return "paid requests are refused: no free model is configured"
    return f"paid requests are answered by {look.free[0]}, until {look.reset}"


def _cap_warnings(look: Look, lasting: str, was: str | None, unkept: str) -> tuple[str, ...]:
    told = []
    if unkept:
        told.append(f"{unkept}: a Redis that forgets it brings the configured cap back")
    else:
        told.append(
            "the file is rendered by Ansible (litellm_budget_global_daily): its next run puts "
            f"{was or 'its own value'} back, unless {lasting} is set there too"
        )
    if look.places.cap_usd is not None:
        told.append(
            f"ECO_DAILY_CAP of the container (${look.places.cap_usd:.2f}) goes before the file, not before Redis"
        )
    return tuple(told)


def _native(look: Look, scalar: str, title: str) -> Change:
    """LiteLLM's own cap: it reads the file at its start alone."""
    found, path = look.found, look.places.config
    if look.settings is not None and look.settings.names_callback:
        raise look.refused(
            f"the callback that holds a cap is configured, and does not act: {found.why}; nothing was changed",
            f"vpai-tui restart {found.service}, then look at its log",
        )
    if look.config is None or path is None:
        raise look.refused(
            "no callback holds a cap, and LiteLLM's own is in a file that is not on the host; nothing was changed",
            "deploy the stack: it brings the callback (docs/budget.md)",
        )
    if look.native is None:
        raise look.refused(
            "no callback holds a cap, and LiteLLM does not tell its own, so nothing would prove it "
            "(without a database it holds none); nothing was changed",
            "deploy the stack: it brings the callback (docs/budget.md)",
        )
    was, in_force = value_of(look.config, NATIVE), look.native.cap_usd
    edit = Edit(path, look.config, edited(edited(look.config, NATIVE, scalar), NATIVE_SPAN, "1d"))
    span = f"budget_duration {value_of(look.config, NATIVE_SPAN) or 'none'} → 1d"
    old = older_than(found.version, 1, 95) is not False  # its own "1d" cap is one of a day from there on
    loaded = edit.empty and abs(in_force - float(scalar)) < 0.005
    return Change(
        kind="cap",
        title=title,
        before=usd(in_force) if in_force else "none",
        after=scalar if float(scalar) else "none",
        effects=(
            "LiteLLM is restarted: nothing is answered for 6 to 22 s, calls in flight end",
            *_native_effects(look, look.native, float(scalar), old=old),
        ),
        where=(f"{path} on {found.host}: {'.'.join(NATIVE)} {was or 'none'} → {scalar}, {span}",),
        ends="until it is set again",
        warnings=(
            "no callback acts here (docs/budget.md): this is LiteLLM's own cap",
            *((_THIRTY_DAYS.format(version=found.version or "an unknown version"), _ADMIN_KEYS) if old else ()),
            "the file is rendered by Ansible (litellm_budget_global_daily): its next run takes this out again",
        ),
        word=found.service.rpartition("/")[2] if old else None,
        undo=f"{UNDO} (back to {usd(in_force) if in_force else 'none'}, with another restart)",
        order=Order(found.service, found.enforcement, edit=edit, lasting=(was, scalar), restart=not loaded),
    )


def _native_effects(look: Look, native: Native, cap: float, *, old: bool) -> Iterator[str]:
    if not cap:
        yield "no cap holds any more"
        return
    yield "over the cap paid requests are refused; nothing is answered by a free model in their place"
    spent, what = (native.month_usd, "the last 30 days") if old else (look.spend_usd, "today")
    if spent is not None and spent > cap:
        yield f"it is reached now: ${spent:.2f} of {what} are over it"


_THIRTY_DAYS = (
    "LiteLLM {version} compares its 1d cap with the sum of the last 30 days, which never begins anew, and refuses free "
    "models too (1.81); the master key is exempt"
)
_ADMIN_KEYS = (
    "to 1.83 keys made in its Admin UI get that cap as one of their own too, and keep it until max_budget of "
    "default_user_id is cleared (POST /user/update)"
)


# ── the mode ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def mode_change(look: Look, word: str) -> Change:
    """Another mode by hand, or none.

    Raises:
        UsageError: `word` is none of on, off, auto, block.
        PreflightRefused: Redis does not answer; or `off` while the cap holds.
    """
    mode = mode_of(word)
    look.answerable()
    over = _over(look)
    if word == "off" and over:
        raise look.refused(
            f"${look.spend_usd:.2f} of today is at or over the cap of ${usd(look.found.cap_usd)}: "
            "raise the cap first, the cap still holds",
            "vpai-tui budget set USD",
        )
    titles = {"on": "turn eco mode on", "block": "block paid models", "off": "turn eco mode off"}
    return _mode(look, "" if mode is Mode.NORMAL else mode.value, titles.get(word, "leave the mode to the cap"), over)


def _over(look: Look) -> bool:
    """Whether the cap holds now."""
    cap, spent = look.found.cap_usd, look.spend_usd
    return look.enforced and bool(cap) and spent is not None and round(spent, 6) >= round(cap or 0.0, 6)


def _mode(look: Look, raw: str, title: str, over: bool, life_s: float | None = None) -> Change:
    """`raw` is the key's new value, "" takes it away; `life_s`: after which it goes by itself, None: it stays."""
    found, counters = look.found, look.answerable()
    mode = next((it for it in Mode if it == raw), Mode.NORMAL)
    write = Write(MODE_KEY, counters.raw_mode, raw, counters.mode_life_s, life_s)
    if mode is Mode.NORMAL and counters.manual is Mode.NORMAL:
        write = Write(MODE_KEY, raw, raw)  # what is no mode acts as none: there is nothing to take away
    turn = f"{_shown(write.was)}{_for(write.was_life_s)} → {_shown(raw)}{_for(life_s)}"
    warnings = []
    if not look.enforced:
        warnings.append(
            DECLARED if found.enforcement is Enforcement.DECLARED else f"nothing may act on it: {found.why}"
        )
    elif mode is Mode.ECO and not look.free:
        warnings.append("no free model is configured: paid requests are refused")
    return Change(
        kind="mode",
        title=title,
        before=counters.manual.value,
        after=mode.value,
        effects=_mode_effects(look, mode, over),
        where=(f"Redis on {found.host}: {MODE_KEY} {turn}, within 2 s",),
        ends=_mode_ends(mode, life_s),
        warnings=tuple(warnings),
        undo=f"{UNDO} (back to {counters.manual.value})",
        order=Order(found.service, found.enforcement, write=write, wanted=Wanted(mode=mode)),
    )


def _for(life_s: float | None) -> str:
    return "" if life_s is None else f" (for {duration(life_s)})"


def _mode_ends(mode: Mode, life_s: float | None) -> str:
    if mode is Mode.NORMAL:
        return "eco comes back by itself at 100 % of the cap"
    return (
        "until `budget eco auto`" if life_s is None else f"by itself in {duration(life_s)}, or with `budget eco auto`"
    )


def _mode_effects(look: Look, mode: Mode, over: bool) -> tuple[str, ...]:
    if look.found.enforcement is Enforcement.DECLARED:
        return ("none, until a callback reads the key",)
    if mode is Mode.BLOCKED:
        return ("paid requests are refused (429 budget_exceeded), free models answer",)
    if mode is Mode.NORMAL:
        if over:
            return (f"the cap still holds: it stays eco until {look.reset} or a higher cap",)
        return ("paid models answer, up to the cap",)
    if not look.free:
        return ("paid requests are refused",)
    return (
        f"chat, messages and responses are answered by {look.free[0]}, whatever model is asked for",
        "embeddings, images, audio, rerank and pass-through of paid models are refused (429)",
    )


# ── back ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def undo_change(look: Look, mark: Mark) -> Change:
    """Back to what was before the change that left `mark`. Raises as the change itself would."""
    made = _cap_back(look, mark) if mark.kind == "cap" else _mode_back(look, mark)
    counters = look.answerable()
    present = counters.raw_cap if mark.kind == "cap" else counters.raw_mode
    if mark.native or present == mark.now:
        return made
    since = f"somebody else changed it since: you left {_shown(mark.now)}, now it is {_shown(present)}"
    return replace(made, warnings=(since, *made.warnings))


def _mode_back(look: Look, mark: Mark) -> Change:
    """What somebody had set for a while comes back for what is left of it."""
    life_s = None if mark.until is None else mark.until - look.found.at.timestamp()
    raw = mark.was if life_s is None or life_s > 0 else ""
    title = f"put the mode back to {clean_line(raw, 20) or Mode.NORMAL}"
    return _mode(look, raw, title, _over(look), life_s if raw else None)


def _cap_back(look: Look, mark: Mark) -> Change:
    """By the way that it came: the other one would leave what that change did."""
    _certain(look)
    if mark.native and look.enforced:
        raise look.refused(
            "that change was one of LiteLLM's own cap, and the callback holds the cap now; nothing was changed",
            "vpai-tui budget set USD",
        )
    if mark.native:
        scalar = usd(money(mark.file_was) or 0.0)
        back = f"put LiteLLM's own cap back to ${scalar}" if float(scalar) else "take LiteLLM's own cap away"
        return _native(look, scalar, back)
    if not look.enforced:
        raise look.refused(
            f"that change was made through the callback, which does not act now: {look.found.why}; nothing was changed",
            f"vpai-tui restart {look.found.service}, then look at its log",
        )
    redis = mark.was if money(mark.was) is not None else ""  # what is no amount acts as if it were not there
    return _enforced(look, redis, _file_back(look, mark))


def _file_back(look: Look, mark: Mark) -> str | None:
    """What the file said before that change, None: nothing that counts. Its line is taken out only where it still
    says what the change wrote."""
    if mark.file_was is not None and _PLAIN.fullmatch(mark.file_was):
        return mark.file_was
    present = value_of(look.config, GENERAL) if look.config is not None else None
    return None if present == mark.now else present


_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]{0,58}")  # a scalar that can be written back as it was
