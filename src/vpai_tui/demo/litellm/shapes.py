"""LiteLLM's documents, as version 1.81.3 writes them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from vpai_tui.demo.engine.store import hex_of
from vpai_tui.demo.litellm.config import Doc
from vpai_tui.demo.litellm.traffic import Row
from vpai_tui.demo.litellm.world import World, utc

_METRICS = (
    *("spend", "prompt_tokens", "completion_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"),
    *("total_tokens", "successful_requests", "failed_requests", "api_requests"),
)
_CALLBACKS = (
    *("SkillsInjectionHook", "_PROXY_VirtualKeyModelMaxBudgetLimiter", "_ProxyDBLogger", "_PROXY_MaxBudgetLimiter"),
    *("_PROXY_MaxParallelRequestsHandler_v3", "_PROXY_CacheControlCheck", "ResponsesIDSecurity", "ServiceLogging"),
)


def key_hash(alias: str) -> str:
    """What LiteLLM keeps of a key in place of the key."""
    return hex_of(f"litellm key {alias}")


def alias_of(key: str) -> str | None:
    """The master key has none."""
    return None if key == "-" else key


def path_of(row: Row) -> str:
    return "/embeddings" if row.completion == 0 else "/chat/completions"


# ── daily activity ───────────────────────────────────────────────────────────────────────────────────────────────────


def activity(world: World, start: float, end: float) -> Doc:
    """`/user/daily/activity/aggregated`: the newest day first, days without a call left out."""
    days: dict[str, list[Row]] = {}
    for row in world.rows(start, end):
        days.setdefault(f"{utc(row.hour):%F}", []).append(row)
    whole = _metrics(row for rows in days.values() for row in rows)
    return {
        "results": [_day(day, days[day]) for day in sorted(days, reverse=True)],
        "metadata": {
            **{f"total_{name}": whole[name] for name in ("spend", "prompt_tokens", "completion_tokens")},
            "total_tokens": whole["total_tokens"],
            **{f"total_{name}": whole[name] for name in ("api_requests", "successful_requests", "failed_requests")},
            "total_cache_read_input_tokens": whole["cache_read_input_tokens"],
            "total_cache_creation_input_tokens": 0,
            "page": 1,
            "total_pages": 1,
            "has_more": False,
        },
    }


def _metrics(rows: Iterable[Row]) -> Doc:
    sums = dict.fromkeys(_METRICS, 0)
    sums["spend"] = 0.0  # type: ignore[assignment]
    for row in rows:
        sums["spend"] += row.spend  # type: ignore[assignment]
        sums["prompt_tokens"] += row.prompt
        sums["completion_tokens"] += row.completion
        sums["cache_read_input_tokens"] += row.cached
        sums["total_tokens"] += row.prompt + row.completion
        sums["successful_requests"] += row.requests - row.failed
        sums["failed_requests"] += row.failed
        sums["api_requests"] += row.requests
    return sums


def _day(day: str, rows: Sequence[Row]) -> Doc:
    return {
        "date": day,
        "metrics": _metrics(rows),
        "breakdown": {
            "mcp_servers": {},
            "models": _by((row.model, row) for row in rows),
            "model_groups": _by((row.alias, row) for row in rows),
            "providers": _by((row.provider, row) for row in rows),
            "endpoints": _by((path_of(row), row) for row in rows),
            "api_keys": _keys(rows),
            "entities": _by(("Unassigned", row) for row in rows),
        },
    }


def _by(named: Iterable[tuple[str, Row]]) -> Doc:
    groups: dict[str, list[Row]] = {}
    for name, row in named:
        groups.setdefault(name, []).append(row)
    return {
        name: {"metrics": _metrics(rows), "metadata": {}, "api_key_breakdown": _keys(rows)}
        for name, rows in groups.items()
    }


def _keys(rows: Sequence[Row]) -> Doc:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.key, []).append(row)
    return {
        key_hash(key): {"metrics": _metrics(its), "metadata": {"key_alias": alias_of(key), "team_id": None}}
        for key, its in groups.items()
    }


# ── single requests ──────────────────────────────────────────────────────────────────────────────────────────────────


def logs(world: World, start: float, end: float) -> list[Doc]:
    """Every request of a time, the newest first."""
    found = []
    for row in world.rows(start, end):
        room = min(3600.0, world.now - row.hour)
        for number in range(row.requests):
            at = row.hour + room * (number + 0.5) / row.requests
            if start <= at < end:
                found.append(_log(row, number, at))
    return sorted(found, key=lambda it: str(it["startTime"]), reverse=True)


def _log(row: Row, number: int, at: float) -> Doc:
    last = number == row.requests - 1
    each = int(row.spend * 2**20 / row.requests) / 2**20
    prompt, completion = row.prompt // row.requests, row.completion // row.requests
    moment = f"{utc(at):%FT%T.%f}"[:-3] + "Z"
    return {
        "request_id": str(uuid.UUID(hex_of(f"{row.hour} {row.alias} {row.key} {number}")[:32])),
        "call_type": "aembedding" if row.completion == 0 else "acompletion",
        "api_key": key_hash(row.key),
        "spend": row.spend - each * number if last else each,
        "total_tokens": prompt + completion,
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "startTime": moment,
        "endTime": moment,
        "completionStartTime": moment,
        "model": row.model,
        "model_id": hex_of(f"model {row.alias}"),
        "model_group": row.alias,
        "custom_llm_provider": row.provider,
        "api_base": None,
        "user": "",
        "metadata": {"user_api_key": key_hash(row.key), "user_api_key_alias": alias_of(row.key)},
        "cache_hit": "False",
        "status": "failure" if number < row.failed else "success",
    }


# ── the proxy itself ─────────────────────────────────────────────────────────────────────────────────────────────────


def readiness(world: World) -> Doc:
    """Callbacks are named once a request has come, and here there always was one."""
    ours = ["EcoMode", "BudgetAlerts"] if world.callback else []
    return {
        "status": "connected" if world.database else "healthy",
        "db": "connected" if world.database else "Not connected",
        "cache": "redis",
        "litellm_version": version(world),
        "success_callbacks": ["sync_deployment_callback_on_success", *ours, *_CALLBACKS],
        "use_aiohttp_transport": True,
    }


def version(world: World) -> str:
    return str(world.doc.get("version") or "1.81.3")


def model(entry: Doc) -> Doc:
    """An item of `/model/info`."""
    return {
        "model_name": entry["alias"],
        "litellm_params": {"use_in_pass_through": False, "use_litellm_proxy": False, "model": entry["model"]},
        "model_info": {
            "id": hex_of(f"model {entry['alias']}"),
            "db_model": entry["stored"],
            **({"tier": entry["tier"]} if entry["tier"] else {}),
            "key": entry["model"].partition("/")[2] if None not in entry["price"] else None,
            # It says a price of nothing where it has none.
            "input_cost_per_token": entry["price"][0] or 0,
            "output_cost_per_token": entry["price"][1] or 0,
            "litellm_provider": entry["provider"],
        },
    }


def completion(world: World, entry: Doc, said: str, usage: Doc) -> Doc:
    """A chat's answer: this version names the model that answered, without who bills it."""
    return {
        "id": f"chatcmpl-{uuid.UUID(hex_of(f'{world.now}')[:32])}",
        "created": int(world.now),
        "model": entry["model"].partition("/")[2] or entry["model"],
        "object": "chat.completion",
        "choices": [{"finish_reason": "stop", "index": 0, "message": {"content": said, "role": "assistant"}}],
        "usage": usage,
    }


def headers(world: World, entry: Doc, cost: float, key_spend: Any) -> dict[str, str]:
    """Those of a chat's answer. A cost of nothing is not told."""
    return {
        "x-litellm-call-id": str(uuid.UUID(hex_of(f"call {world.now}")[:32])),
        "x-litellm-model-id": hex_of(f"model {entry['alias']}"),
        "x-litellm-version": version(world),
        **({"x-litellm-response-cost": repr(cost)} if cost else {}),
        "x-litellm-response-cost-original": repr(cost),
        "x-litellm-key-spend": repr(key_spend),
        "x-litellm-response-duration-ms": "641.2",
        "x-litellm-model-group": entry["alias"],
        "x-litellm-attempted-retries": "0",
        "x-litellm-attempted-fallbacks": "0",
    }
