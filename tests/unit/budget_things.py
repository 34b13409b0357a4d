"""Hand-made answers of LiteLLM, Redis and the database, and what real ones said."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fleet_things import stack
from hypothesis import strategies as st

from vpai_tui.budget.findings import Findings, gather
from vpai_tui.budget.fold import fold
from vpai_tui.budget.model import TARGETS, BudgetSnapshot
from vpai_tui.budget.places import Place, Places
from vpai_tui.budget.settings import Settings, settings_of
from vpai_tui.budget.transport import Answer, Request
from vpai_tui.config import Host, Ssh
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.stacks import Stack
from vpai_tui.remote.channel import Completed

RECORDED = Path(__file__).parents[1] / "recordings" / "litellm"
VERSIONS = ("1.81.3", "1.83.3", "1.106.2")
NOW = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)  # the day of the recordings
DAY = "2026-11-22"
SILENT = Answer(0, error="Connection refused")
NO_DATABASE = Answer(
    500, {"detail": {"error": "DB not connected. See https://docs.litellm.ai/docs/proxy/virtual_keys"}}
)


def recorded(version: str) -> dict[str, Answer]:
    """What one version answered, by path with its query; answers that were cut short on paper are left out."""
    text = (RECORDED / f"ep-{version}.txt").read_text(encoding="utf-8")
    found = {}
    for path, body, status in re.findall(r"^## GET (\S+)\n(.*)\n\[(\d+)\]$", text, re.MULTILINE):
        try:
            found[path] = Answer(int(status), json.loads(body))
        except ValueError:
            continue
    return found


def recorded_row(version: str) -> tuple[float, str]:
    """Spend and moment of the one row of `/spend/logs/v2` that was written down, though cut short."""
    text = (RECORDED / f"ep-{version}.txt").read_text(encoding="utf-8")
    row = text.partition("## GET /spend/logs/v2")[2].splitlines()[1]
    found = re.search(r'"spend":([0-9.]+),.*?"startTime":"([^"]+)"', row)
    assert found
    return float(found[1]), found[2]


def aggregated(version: str) -> Any:
    """One whole body of the daily aggregated activity."""
    return json.loads((RECORDED / f"daily-aggregated-{version}.json").read_text(encoding="utf-8"))


PLACE = Place("c1", "vpai-litellm-1", "ghcr.io/berriai/litellm:v1.81.3-stable", "running", "vpai", "litellm")
PLACES = Places(
    "sese",
    "sese/apps",
    "sese/apps/litellm",
    PLACE,
    redis=Place("c2", "vpai-redis-1", "redis:8.0", "running", "vpai", "redis"),
    database=Place("c3", "vpai-postgresql-1", "postgres:18", "running", "vpai", "postgresql"),
    config="/opt/vpai/configs/litellm/litellm_config.yaml",
)
CONFIG = b"""
general_settings: {max_budget: 5.00}
litellm_settings: {callbacks: [eco_mode.instance]}
model_list:
  - model_name: claude-sonnet
    litellm_params: {model: openrouter/anthropic/claude-sonnet-4}
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o}
  - model_name: qwen3-coder
    litellm_params: {model: "openrouter/qwen/qwen3-coder:free"}
    model_info: {input_cost_per_token: 0, output_cost_per_token: 0}
"""
MODELS = Answer(
    200,
    {
        "data": [
            {
                "model_name": "claude-sonnet",
                "litellm_params": {"model": "openrouter/anthropic/claude-sonnet-4"},
                "model_info": {"input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05},
            },
            {
                "model_name": "gpt-4o",
                "litellm_params": {"model": "openai/gpt-4o"},
                "model_info": {"input_cost_per_token": 0, "output_cost_per_token": 0},  # it knows none
            },
            {
                "model_name": "qwen3-coder",
                "litellm_params": {"model": "openrouter/qwen/qwen3-coder:free"},
                "model_info": {"input_cost_per_token": 0, "output_cost_per_token": 0},
            },
        ]
    },
)


def hook(**changed: Any) -> str:
    """A heartbeat as `eco_mode.py` writes it."""
    beat = {
        "v": 1,
        "pid": 7,
        "seen": NOW.timestamp(),
        "mode": "normal",
        "effective": "normal",
        "spend": 0.1,
        "db_spend": 0.1,
        "cap": 5.0,
        "cap_source": "general_settings",
        "free": ["qwen3-coder"],
        "day": DAY,
        "tz": "UTC",
    }
    return json.dumps(beat | changed)


def redis(beat: str | None = "", *, ttl_ms: int = 29_000, **keys: Any) -> dict[str, Any]:
    """What READ_LUA returns; `beat` None: no callback."""
    found = {"now": str(NOW.timestamp()), "hook_ttl_ms": ttl_ms, "spend": {}, "by": {}}
    return found | ({"hook": beat or hook()} if beat is not None else {"hook_ttl_ms": -2}) | keys


def counted(**fields: str) -> dict[str, Any]:
    """One day's counters; field names with `_` for `|`."""
    told = {key.replace("_", "|", 1).replace("__", "/"): value for key, value in fields.items()}
    return {"spend": {DAY: "0.1"}, "by": {DAY: told}}


def table(**changed: Any) -> dict[str, Any]:
    """What the query returns."""
    found: dict[str, Any] = {
        "day": DAY,
        "spend": 0.1,
        "requests": 3,
        "failed": 1,
        "tokens": 90,
        "aliases": [
            {"alias": "claude-sonnet", "spend": 0.05, "requests": 1, "tokens": 30},
            {"alias": "gpt-4o", "spend": 0.05, "requests": 1, "tokens": 30},
            {"alias": "qwen3-coder", "spend": 0, "requests": 1, "tokens": 30},
        ],
        "models": [
            {"model": "openrouter/anthropic/claude-sonnet-4", "provider": "openrouter", "spend": 0.05},
            {"model": "gpt-4o", "provider": "openai", "spend": 0.05},
        ],
        "keys": [{"alias": "n8n", "hash": "aa", "spend": 0.08}, {"alias": None, "hash": "feedbeef99", "spend": 0.02}],
        "hours": [
            {"day": DAY, "hour": "09", "spend": 0.1},
            {"day": "2026-11-21", "hour": "09", "spend": 1},
            {"day": "2026-11-21", "hour": "21", "spend": 3},
        ],
        "settings": [],
    }
    return found | changed


@dataclass
class Told:
    """An `Inside` that answers what it was given; an error in an answer's place is raised. `asked` is what was."""

    answers: Mapping[str, Answer] = field(default_factory=dict)  # by path without its query
    of_redis: Any = None
    of_sql: Any = None
    down: OperatorError | None = None
    host: str = "sese"
    asked: list[str] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)

    async def litellm(self, requests: Sequence[Request], *, timeout_s: float = 5.0) -> list[Answer]:
        self.asked += [it.path for it in requests]
        if self.down is not None:
            raise self.down
        return [self.answers.get(it.path.partition("?")[0], SILENT) for it in requests]

    async def redis(self, script: str, *args: str) -> Any:
        return _or_raise(self.of_redis)

    async def sql(self, query: str) -> Any:
        self.queries.append(query)
        return _or_raise(self.of_sql)


def _or_raise(value: Any) -> Any:
    if isinstance(value, OperatorError):
        raise value
    return value


def healthy(version: str = "1.81.3") -> dict[str, Answer]:
    """A LiteLLM with its database, of one version."""
    real = {path.partition("?")[0]: answer for path, answer in recorded(version).items()}
    return real | {"/user/daily/activity/aggregated": Answer(200, aggregated(version)), "/model/info": MODELS}


def told(**changed: Any) -> Told:
    """All three as they should be."""
    given: dict[str, Any] = {"answers": healthy(), "of_redis": redis(), "of_sql": table()}
    return Told(**(given | changed))


async def found(inside: Told, *, places: Places = PLACES, config: bytes | OperatorError = CONFIG) -> Findings:
    async def settings() -> Settings:
        return settings_of(_or_raise(config), str(places.config))

    return await gather(inside, places, settings, lambda: NOW)


async def snapshot(inside: Told, *, places: Places = PLACES, config: bytes | OperatorError = CONFIG) -> BudgetSnapshot:
    return fold(await found(inside, places=places, config=config))


def has_note(snap: BudgetSnapshot, words: str) -> bool:
    return any(words in note for note in snap.notes)


def sums_up(snap: BudgetSnapshot) -> bool:
    assert snap.spend is not None
    billed = math.fsum(it.billed_usd for it in snap.spend.providers)
    assert [it.provider for it in snap.spend.providers][: len(TARGETS)] == list(TARGETS)
    return math.isclose(billed, snap.spend.spend_usd, abs_tol=2e-6)


# Any JSON, with the names we look for in it, so that hypothesis gets past the first look.
_NAMES = """
results date metrics spend breakdown models model_groups providers api_keys metadata key_alias data model_name model
litellm_params model_info input_cost_per_token output_cost_per_token hook mode cap auto by since effective day free tz
now hook_ttl_ms total_pages startTime hours hour alias provider hash settings status headers body error detail message
max_budget litellm_version 2026-11-22 model|a prov|b hour|07 req|a eco openrouter/z-ai/glm-5
"""
_WORDS = st.sampled_from(_NAMES.split())
_TEXTS = st.one_of(st.text(max_size=12), _WORDS, st.sampled_from([DAY, "1e400", "-1", "9" * 400, "\x1b[2J", hook()]))
_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), _TEXTS, st.sampled_from([10**400, -1, 0.5, 2**63])
)
ANY_JSON: st.SearchStrategy[Any] = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(_WORDS, st.text(max_size=6)), inner, max_size=5)
    ),
    max_leaves=25,
)


@st.composite
def bent(draw: st.DrawFn, good: Any) -> Any:
    """`good` with a few of its values replaced by anything, or gone."""
    found = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, 4))):
        place = found
        while isinstance(place, dict | list) and place:
            key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            if not isinstance(place[key], dict | list) or draw(st.integers(0, 4)) == 0:
                place[key] = draw(ANY_JSON)
                break
            place = place[key]
    return found


# ── a host and its connection ────────────────────────────────────────────────────────────────────────────────────────

LITELLM = ("vpai-litellm-1", "ghcr.io/berriai/litellm:v1.81.3-stable", "running", "vpai", "litellm")
REDIS = ("vpai-redis-1", "redis:8.0-bookworm", "running", "vpai", "redis")
POSTGRES = ("vpai-postgresql-1", "postgres:18.1-bookworm", "running", "vpai", "postgresql")
SEEN: dict[str, Any] = {
    "entrypoint": ["docker/prod_entrypoint.sh"],
    "command": ["--config", "/app/config.yaml", "--port", "4000"],
    "mounts": [
        {"Type": "bind", "Source": "/opt/vpai/configs/litellm/litellm_config.yaml", "Destination": "/app/config.yaml"},
        {"Type": "volume", "Source": "/var/lib/docker/volumes/x/_data", "Destination": "/data"},
    ],
    "env": ["REDIS_HOST=redis", "ECO_FREE_ALIASES=qwen3-coder, deepseek-v3-free,", None],
}


def apps() -> Stack:
    found = stack("apps", "n8n", "litellm", project="vpai")
    return replace(found, compose={"services": {"n8n": {"image": "n8n:1"}, "litellm": {"image": LITELLM[1]}}})


def listed(*rows: Sequence[str]) -> str:
    return "".join("\t".join((f"id{at}", *row)) + "\n" for at, row in enumerate(rows))


@dataclass
class Link:
    """A connection that answers by the first word of Docker's that fits."""

    answers: Mapping[str, str | Completed | Callable[[Sequence[str]], str]]
    name: str = "sese"
    host: Host = field(default_factory=lambda: Host(addresses=("127.0.0.1",), ssh=Ssh(user="me"), docker="podman"))
    ran: list[list[str]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)

    async def run(self, argv: Sequence[str], *, root: bool, label: str, **_: object) -> Completed:
        assert root
        self.ran.append(list(argv))
        self.labels.append(label)
        said = self.answers[argv[1]]
        if callable(said):
            said = said(argv)
        return said if isinstance(said, Completed) else Completed(0, said.encode(), b"", 0.0)
