"""The budget's feature as a test scripts it: the states it may be in, what it answers, what was asked of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType

from vpai_tui.budget.alerts import SUBJECT
from vpai_tui.budget.change import Change
from vpai_tui.budget.model import (
    BYTEPLUS,
    TARGETS,
    Beat,
    BudgetSnapshot,
    DaySpend,
    Enforcement,
    Forecast,
    HourSpend,
    KeySpend,
    Mode,
    ModelSpend,
    Part,
    Price,
    ProviderSpend,
    Reached,
    Source,
    Spend,
)
from vpai_tui.budget.prove import Proof, Question
from vpai_tui.deploy.chronicle import Chronicle, Told
from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.model import Alert, Severity
from vpai_tui.fleet.operation import Event, Finished, Journaled, Outcome

ZONE = "Europe/Paris"
AT = datetime(2026, 2, 26, 13, 20, tzinfo=UTC)  # 14:20 in Paris: 60 % of the day
RESETS = datetime(2026, 2, 26, 23, 0, tzinfo=UTC)
DAY = date(2026, 2, 26)
SERVICE = "sese/apps/litellm"
FILE = "/opt/vpai/configs/litellm/litellm_config.yaml"
UNPRICED = "no price is known of kimi-k2: the sum is the least that was spent"
STAMP = "2026-02-26T23:04:00Z"

# alias, share of the day, requests, tokens, dollars per million in and out; None: LiteLLM knows no price.
_MODELS: tuple[tuple[str, float, int, int, float | None, float | None], ...] = (
    ("claude-sonnet", 0.58, 61, 412_000, 3.0, 15.0),
    ("gpt-4o", 0.16, 24, 96_000, 2.5, 10.0),
    ("glm-5", 0.12, 38, 305_000, 0.6, 2.2),
    ("claude-haiku", 0.10, 44, 180_000, 0.8, 4.0),
    ("gemini-flash", 0.04, 12, 51_000, 0.075, 0.3),
    ("kimi-k2", 0.0, 9, 70_000, None, None),
    ("qwen3-coder", 0.0, 21, 130_000, 0.0, 0.0),
)
_IDLE = {"deepseek-v3-free": Price(0.0, 0.0), "grok-4.1-fast": Price(None, None), "gpt-4o-mini": Price(0.15, 0.6)}
_PROVIDERS = (("openrouter", 0.80, 0.04), ("anthropic", 0.0, 0.68), ("openai", 0.16, 0.16), ("zai", 0.0, 0.12),
              ("gemini", 0.04, 0.0))  # fmt: skip
_KEYS = (("n8n-prod", 0.61), ("openclaw", 0.27), ("palais", 0.09), ("ci-smoke", 0.03))
_HOURS = (0.0, 0.0, 0.0, 0.01, 0.0, 0.0, 0.02, 0.07, 0.11, 0.18, 0.14, 0.09, 0.16, 0.19, 0.03)
_PAST = (1.12, 4.91, 0.72, 5.31, 2.2, 3.05)


def part(source: Source, age_s: float) -> Part:
    return Part(source, AT - timedelta(seconds=age_s))


def make_spend(usd: float, source: Source = Source.ACTIVITY, **changed: object) -> Spend:
    """A day on which `usd` was spent, divided as such days are."""
    return replace(
        Spend(
            day=DAY,
            total=part(source, 2),
            spend_usd=usd,
            requests=209,
            failed=3,
            tokens=1_244_000,
            cached_tokens=210_000,
            providers=tuple(
                ProviderSpend(name, usd * billed, usd * vendor, billed, TARGETS.get(name))
                for name, billed, vendor in _PROVIDERS
            ),
            models=tuple(
                ModelSpend(name, usd * share, requests, tokens, cost is not None, cost == 0, cost, out)
                for name, share, requests, tokens, cost, out in _MODELS
            ),
            keys=tuple(KeySpend(alias, usd * share) for alias, share in _KEYS),
            hours=tuple(HourSpend(hour, usd * share) for hour, share in enumerate(_HOURS)),
            hours_part=part(Source.COUNTERS, 1),
            days=(
                *(DaySpend(DAY - timedelta(days=6 - at), spent) for at, spent in enumerate(_PAST)),
                DaySpend(DAY, usd),
            ),
            days_part=part(source, 2),
        ),
        **changed,  # type: ignore[arg-type]
    )


def make_beat(usd: float, cap: float, **changed: object) -> Beat:
    beat = Beat(
        seen_at=AT - timedelta(seconds=1),
        mode=Mode.NORMAL,
        effective=Mode.ECO if usd >= cap else Mode.NORMAL,
        spend_usd=usd,
        database_usd=usd,
        cap_usd=cap,
        cap_source="general_settings",
        free=("qwen3-coder", "deepseek-v3-free"),
        day=DAY,
        timezone=ZONE,
    )
    return replace(beat, **changed)  # type: ignore[arg-type]


def make_snapshot(usd: float = 0.6, cap: float = 5.0, **changed: object) -> BudgetSnapshot:
    """What is known when all answers."""
    beat = make_beat(usd, cap)
    snapshot = BudgetSnapshot(
        at=AT,
        host="sese",
        stack="sese/apps",
        service=SERVICE,
        day=DAY,
        timezone=ZONE,
        resets_at=RESETS,
        mode=beat.effective,
        manual=Mode.NORMAL,
        enforcement=Enforcement.ENFORCED,
        why="the callback's heartbeat is 1 s old",
        version="1.81.3",
        spend=make_spend(usd),
        cap_usd=cap,
        cap_source="general_settings",
        configured_cap_usd=cap,
        file=FILE,
        beat=beat,
        prices=MappingProxyType(
            {name: Price(cost, out) for name, _, _, _, cost, out in _MODELS} | _IDLE,
        ),
        forecast=Forecast(usd * 1.66, None, usd / 14.3),
        notes=(UNPRICED, BYTEPLUS),
    )
    return replace(snapshot, **changed)  # type: ignore[arg-type]


def alert(severity: Severity, subject: str, message: str, remedy: str) -> Alert:
    return Alert(severity, "sese", f"{SUBJECT}: {subject}", message, remedy, SERVICE)


_RAISE = "vpai-tui budget; raise the cap: vpai-tui budget set USD"
NINETY = alert(Severity.WARN, "90 % on 2026-02-26", "$4.60 of $5.00 are spent today; paid models still answer", _RAISE)
OVER = alert(Severity.ERROR, "100 % on 2026-02-26", "$5.21 of $5.00 are spent today; only free models answer", _RAISE)
NOT_ENFORCED = alert(
    Severity.WARN,
    "not enforced",
    "LiteLLM runs without the callback that holds cap and eco mode",
    "deploy the stack with eco_mode.py: vpai-tui plan sese/apps",
)


def ninety() -> BudgetSnapshot:
    """Almost there: the cap will be reached today."""
    reached = AT + timedelta(hours=1, minutes=15)
    return make_snapshot(4.6, forecast=Forecast(7.64, reached, 0.32), alerts=(NINETY,))


def over() -> BudgetSnapshot:
    """The cap was reached an hour ago: eco mode by itself."""
    reached = Reached(AT - timedelta(minutes=58), 5.02, 5.0)
    return make_snapshot(5.21, reached=reached, forecast=Forecast(5.21, None, 0.0), alerts=(OVER,))


def no_database() -> BudgetSnapshot:
    """LiteLLM runs without a database: the counters are all there is."""
    spend = make_spend(
        1.42,
        Source.COUNTERS,
        failed=None,
        cached_tokens=None,
        days=None,
        days_part=None,
        hours_part=part(Source.COUNTERS, 2),
    )
    notes = (
        "no database",
        "not in the callback's counters: failed requests, cache hits",
        "the days before cannot be known",
        BYTEPLUS,
    )
    return make_snapshot(1.42, spend=spend, forecast=Forecast(2.36, None, 0.1), notes=notes)


def down() -> BudgetSnapshot:
    """The proxy does not answer; its tables and Redis do."""
    beat = make_beat(1.42, 5.0, seen_at=AT - timedelta(seconds=24))
    spend = make_spend(1.42, Source.SQL, hours_part=part(Source.SQL, 2))
    models = tuple(replace(it, priced=it.priced or None) for it in spend.models)  # it knows most prices itself
    return make_snapshot(
        1.42,
        spend=replace(spend, models=models),
        enforcement=Enforcement.UNKNOWN,
        mode=None,
        why="LiteLLM does not answer (connection refused), and the callback's last heartbeat is 24 s old",
        beat=beat,
        version=None,
        forecast=Forecast(2.36, None, 0.1),
        error="LiteLLM does not answer: connection refused",
        remedy="after a start it takes up to 90 s; then look at its log: vpai-tui describe sese/apps/litellm",
        notes=(BYTEPLUS,),
    )


def not_enforced() -> BudgetSnapshot:
    """Eco is set in Redis, and nothing reads it."""
    return make_snapshot(
        1.42,
        enforcement=Enforcement.DECLARED,
        mode=Mode.NORMAL,
        manual=Mode.ECO,
        beat=None,
        cap_usd=5.0,
        why="LiteLLM and Redis answer, but the callback has no heartbeat",
        forecast=Forecast(2.36, None, 0.1),
        alerts=(NOT_ENFORCED,),
    )


def poisoned(say: Callable[[str], str]) -> BudgetSnapshot:
    """Every text of it is hostile; `say` is given a word for where it stands."""
    found = over()
    assert found.spend is not None
    assert found.beat is not None
    spend = replace(
        found.spend,
        models=tuple(replace(it, model=f"{say('model')}{at}") for at, it in enumerate(found.spend.models)),
        providers=tuple(replace(it, provider=f"{say('provider')}{at}") for at, it in enumerate(found.spend.providers)),
        keys=tuple(KeySpend(f"{say('alias')}{at}", it.spend_usd) for at, it in enumerate(found.spend.keys or ())),
    )
    return replace(
        found,
        service=say("proxy"),
        timezone=say("zone"),
        why=say("why"),
        version=say("version"),
        cap_source=say("source"),
        file=say("file"),
        spend=spend,
        beat=replace(found.beat, free=(say("free"),), cap_source=say("source")),
        prices={say("idle"): Price(1.0, None)},
        alerts=(Alert(Severity.ERROR, "sese", say("subject"), say("told"), say("cure"), say("target")),),
        notes=(say("note"), say("other")),
        error=say("down"),
        remedy=say("remedy"),
    )


def poisoned_change(say: Callable[[str], str]) -> Change:
    """A plan of which every text is hostile."""
    lists = ((say("effect"),), (say("place"),))
    return Change(
        "cap", say("title"), say("before"), say("after"), *lists, say("ends"), (say("warning"),), None, say("undo")
    )


CAP = Change(
    kind="cap",
    title="set the cap to $3.00 a day",
    before="5.00",
    after="3.00",
    effects=(
        "at $3.00 a day, after another $2.40 paid requests are answered by qwen3-coder, until 00:00 (Europe/Paris)",
    ),
    where=(
        "Redis on sese: litellm:budget:cap none → 3.00, within 2 s",
        f"{FILE} on sese: general_settings.max_budget 5.00 → 3.00, the old file kept",
    ),
    ends="until it is set again; each day's spend begins at 00:00 (Europe/Paris)",
    warnings=(
        "the file is rendered by Ansible (litellm_budget_global_daily): its next run puts 5.00 back, unless 3.00 is "
        "set there too",
    ),
    undo="vpai-tui budget undo (back to 5.00)",
)
LOW = replace(
    CAP,
    title="set the cap to $0.50 a day",
    after="0.50",
    effects=("eco comes on now: $0.60 of today is at or over it; until 00:00 (Europe/Paris) or a higher cap",),
)
NATIVE = Change(
    kind="cap",
    title="set LiteLLM's own cap to $3.00 a day",
    before="none",
    after="3.00",
    effects=(
        "LiteLLM is restarted: nothing is answered for 6 to 22 s, calls in flight end",
        "over the cap paid requests are refused; nothing is answered by a free model in their place",
    ),
    where=(f"{FILE} on sese: litellm_settings.max_budget none → 3.00, budget_duration 1d",),
    ends="until it is set again",
    warnings=(
        "no callback acts here (docs/budget.md): this is LiteLLM's own cap",
        "LiteLLM 1.81.3 compares its 1d cap with the sum of the last 30 days, which never begins anew, and refuses "
        "free models too (1.81); the master key is exempt",
        "the file is rendered by Ansible (litellm_budget_global_daily): its next run takes this out again",
    ),
    word="litellm",
    undo="vpai-tui budget undo (back to none, with another restart)",
)
ECO = Change(
    kind="mode",
    title="turn eco mode on",
    before="normal",
    after="eco",
    effects=(
        "chat, messages and responses are answered by qwen3-coder, whatever model is asked for",
        "embeddings, images, audio, rerank and pass-through of paid models are refused (429)",
    ),
    where=("Redis on sese: litellm:budget:mode none → eco, within 2 s",),
    ends="until `budget eco auto`",
    undo="vpai-tui budget undo (back to normal)",
)
BACK = replace(CAP, title="put the cap back to $5.00 a day", before="3.00", after="5.00")
COMMITTED: tuple[Event, ...] = (
    Journaled(STAMP, "set", "litellm:budget:cap: 5.00 → 3.00"),
    Journaled(STAMP, "enforced", "the heartbeat, 1 s old, says cap 3.00 (redis), normal"),
    Journaled(
        STAMP,
        "kept",
        f"general_settings.max_budget: 3.00 in {FILE}; the file before: {FILE}.20260226T230400Z",
    ),
    Finished(STAMP, Outcome.COMMITTED, ""),
)
UNPROVED: tuple[Event, ...] = (
    Journaled(STAMP, "set", "litellm:budget:mode: normal → eco"),
    Finished(
        STAMP,
        Outcome.FAILED,
        "",
        "litellm:budget:mode is set to eco, and declared only: nothing acts on it: deploy the stack, it brings the "
        "callback (docs/budget.md)",
    ),
)


def _told(at: str, by: str, what: str, result: str, detail: str) -> Told:
    return Told(f"2026-02-{at}Z", by, "sese", what, SERVICE, result, detail, "", "laptop")


HISTORY = Chronicle(
    (
        _told("20T08:00:12", "mobuone@lap", "deploy", "committed", "r12"),
        _told("23T21:40:02", "ann@desk", "budget mode", "committed", "normal → eco"),
        _told("24T07:05:40", "ann@desk", "budget mode", "committed", "eco → normal"),
        _told("25T16:31:09", "mobuone@lap", "budget cap", "committed", "10.00 → 5.00"),
        _told("26T09:12:44", "mobuone@lap", "budget cap", "failed", "5.00 → 8.00: Redis does not answer"),
    )
)


class FakeBudget:
    """`Budget` as a test scripts it; remembers what was asked of it."""

    def __init__(self, found: BudgetSnapshot | OperatorError | None = None) -> None:
        self.host = "sese"
        self.found: BudgetSnapshot | OperatorError = found or make_snapshot()
        self.asked: list[tuple[object, ...]] = []
        self.planned: Change | OperatorError | None = None
        self.undone: Change | None = None
        self.proof = Proof("claude-sonnet", "qwen3-coder", 200, mode=Mode.ECO, cost_usd=0.0)
        self.script: Sequence[Event] = COMMITTED
        self.gate = asyncio.Event()  # a change goes on past its script when set
        self.hangs = False

    async def snapshot(self) -> BudgetSnapshot:
        return await self._look("snapshot")

    async def alerts(self) -> tuple[Alert, ...]:
        return (await self._look("alerts")).alerts

    async def _look(self, what: str) -> BudgetSnapshot:
        self.asked.append((what,))
        while self.hangs:
            await asyncio.sleep(0.05)
        if isinstance(self.found, OperatorError):
            raise self.found
        return self.found

    async def plan_cap(self, text: str) -> Change:
        self.asked.append(("plan_cap", text))
        if text.startswith("-"):
            raise UsageError(f"a cap of {text} is negative", remedy="a number of dollars a day, such as 3 or 4.50")
        return self._planned(CAP)

    async def plan_mode(self, word: str) -> Change:
        self.asked.append(("plan_mode", word))
        return self._planned(ECO)

    async def plan_undo(self) -> Change | None:
        self.asked.append(("plan_undo",))
        return self.undone

    async def question(self, alias: str | None = None) -> Question:
        self.asked.append(("question", alias))
        return Question(
            alias or "qwen3-coder",
            alias is not None,
            f"{alias} is paid: one token of it costs money" if alias else "qwen3-coder is free",
        )

    async def prove(self, alias: str | None = None) -> Proof:
        self.asked.append(("prove", alias))
        return self.proof

    def _planned(self, change: Change) -> Change:
        if isinstance(self.planned, OperatorError):
            raise self.planned
        return self.planned or change

    async def apply(self, change: Change, *, typed: str = "") -> AsyncIterator[Event]:
        self.asked.append(("apply", change.title, typed))
        for event in self.script:
            yield event
        if not self.script or not isinstance(self.script[-1], Finished):
            await self.gate.wait()
