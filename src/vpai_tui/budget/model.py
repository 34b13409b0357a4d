"""What is known of the AI budget at one moment. Money is dollars, days and hours are of the budget's own time zone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType

from vpai_tui.fleet.model import Alert

THRESHOLDS = (70, 90, 100)  # percent of the cap that are told, each once a day
HEARTBEAT_FRESH_S = 10.0  # older is no proof that the callback still acts; it writes every 2 s
# The document's split; what is left of 100 is assigned to nobody.
TARGETS: Mapping[str, float] = MappingProxyType({"openrouter": 0.65, "anthropic": 0.15, "openai": 0.10, "zai": 0.05})


class Mode(StrEnum):
    """What a mode set by hand says, and what acts."""

    NORMAL = "normal"
    ECO = "eco"  # paid requests are answered by a free model
    BLOCKED = "blocked"  # paid requests are refused


class Enforcement(StrEnum):
    """Whether cap and mode act."""

    ENFORCED = "enforced"  # the callback's heartbeat is fresh
    DECLARED = "declared"  # LiteLLM and Redis answer, and no callback beats: keys without a reader
    UNKNOWN = "unknown"


class Source(StrEnum):
    """Where spend was read, the best first."""

    ACTIVITY = "activity"  # LiteLLM's daily aggregated activity
    SPEND = "spend"  # LiteLLM's spend by provider and by day
    SQL = "sql"  # LiteLLM's tables through the database's container
    COUNTERS = "counters"  # what the callback counts in Redis

    @property
    def told(self) -> str:
        """The source in words."""
        return _WHENCE[self]


_WHENCE: Mapping[Source, str] = MappingProxyType(
    {
        Source.ACTIVITY: "LiteLLM's daily activity",
        Source.SPEND: "LiteLLM's spend by provider",
        Source.SQL: "LiteLLM's tables",
        Source.COUNTERS: "the callback's counters",
    }
)
# Not asked of anybody: n8n calls it with a key of its own, past LiteLLM.
BYTEPLUS = "BytePlus ($5 a month) cannot be known: n8n calls it directly, past LiteLLM"


@dataclass(frozen=True, slots=True)
class Beat:
    """The callback's heartbeat. `mode` is what was set by hand, `effective` what acts; `cap_usd` None: no cap."""

    seen_at: datetime
    mode: Mode
    effective: Mode
    spend_usd: float
    database_usd: float
    cap_usd: float | None
    cap_source: str  # redis, env, general_settings, litellm_settings or none
    free: tuple[str, ...]  # aliases that answer in eco mode, the first one first
    day: date
    timezone: str


@dataclass(frozen=True, slots=True)
class Reached:
    """Since when today's cap has been reached, and what both were then."""

    since: datetime
    spend_usd: float
    cap_usd: float


@dataclass(frozen=True, slots=True)
class ProviderSpend:
    """One provider of the document's split, or one that spent: what it bills, and what its own models cost."""

    provider: str
    billed_usd: float
    vendor_usd: float
    share: float | None  # of all that was billed; None when nothing was
    target_share: float | None


@dataclass(frozen=True, slots=True)
class ModelSpend:
    """One alias. `priced` False: LiteLLM knows no price, so its spend is a floor; None: not known."""

    model: str
    spend_usd: float
    requests: int
    tokens: int
    priced: bool | None = None
    free: bool = False
    input_usd_per_million: float | None = None
    output_usd_per_million: float | None = None


@dataclass(frozen=True, slots=True)
class KeySpend:
    alias: str
    spend_usd: float


@dataclass(frozen=True, slots=True)
class HourSpend:
    hour: int  # 0 to 23
    spend_usd: float


@dataclass(frozen=True, slots=True)
class DaySpend:
    day: date
    spend_usd: float


@dataclass(frozen=True, slots=True)
class Part:
    """Where one part of the numbers comes from, and when it was read."""

    source: Source
    at: datetime


@dataclass(frozen=True, slots=True)
class Spend:
    """Today's money. A part that could not be learnt is None and has its reason in the snapshot's notes."""

    day: date
    total: Part
    spend_usd: float
    requests: int | None = None
    failed: int | None = None
    tokens: int | None = None
    cached_tokens: int | None = None  # prompt tokens that a provider's cache answered
    providers: tuple[ProviderSpend, ...] = ()
    models: tuple[ModelSpend, ...] = ()
    keys: tuple[KeySpend, ...] | None = None
    hours: tuple[HourSpend, ...] | None = None
    hours_part: Part | None = None
    days: tuple[DaySpend, ...] | None = None  # the last seven, today last
    days_part: Part | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """What one alias costs; None where neither the configuration nor LiteLLM has a price."""

    input_usd_per_million: float | None
    output_usd_per_million: float | None

    @property
    def known(self) -> bool:
        return self.input_usd_per_million is not None and self.output_usd_per_million is not None

    @property
    def free(self) -> bool:
        return self.input_usd_per_million == 0 and self.output_usd_per_million == 0


@dataclass(frozen=True, slots=True)
class Forecast:
    """None where nothing can be said yet. `cap_reached_at` None: not today at this rate."""

    end_of_day_usd: float | None
    cap_reached_at: datetime | None
    rate_usd_per_hour: float | None


@dataclass(frozen=True, slots=True)
class BudgetSnapshot:
    """All of it. `mode` is what acts now, None: not known; `cap_usd` is the cap in force (without the callback
    LiteLLM's own, where it says that it has one; else the one that is set), None: none, or not known.

    `configured_cap_usd` is `general_settings.max_budget` of the file on the host. `error` says why LiteLLM itself does
    not answer, with `remedy`; the numbers may then come from the database or Redis.
    """

    at: datetime
    host: str
    stack: str | None  # host/stack
    service: str  # host/stack/service, or the container's name
    day: date
    timezone: str
    resets_at: datetime
    mode: Mode | None
    manual: Mode | None
    enforcement: Enforcement
    why: str  # what the enforcement is judged by, in one sentence
    version: str | None = None
    spend: Spend | None = None
    cap_usd: float | None = None
    cap_source: str = "none"
    redis_cap_usd: float | None = None
    configured_cap_usd: float | None = None
    file: str | None = None  # litellm_config.yaml on the host
    beat: Beat | None = None
    reached: Reached | None = None
    prices: Mapping[str, Price] = field(default_factory=dict)
    forecast: Forecast = Forecast(None, None, None)
    alerts: tuple[Alert, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""
    remedy: str = ""

    @property
    def beat_age_s(self) -> float | None:
        return (self.at - self.beat.seen_at).total_seconds() if self.beat else None

    @property
    def used(self) -> float | None:
        """Spend as a share of the cap; None without either."""
        if self.spend is None or not self.cap_usd:
            return None
        return self.spend.spend_usd / self.cap_usd
