"""LiteLLM callback that holds the daily cap and the eco mode. Named first under `litellm_settings: callbacks`.

LiteLLM itself enforces neither: it ignores `general_settings.max_budget`, and nothing in it reads the mode. Here every
request passes `async_pre_call_hook` (which moves it to a free model, or refuses it), and every deployment the router
picks, those of fallbacks too, passes `async_filter_deployments`. Cost is counted in Redis, so it works without a
database; with one, the larger of both sums counts. A background task reads Redis every few seconds: mode and cap act
without a restart and without traffic.

Keys in Redis; DAY is YYYY-MM-DD in ECO_TZ, dollars are floats
  litellm:budget:mode        in   normal, eco or blocked; anything else, and nothing, is normal
  litellm:budget:cap         in   dollars a day; goes before ECO_DAILY_CAP and both max_budget of the configuration
  litellm:budget:hook        out  heartbeat, JSON, lives 30 s: where it is missing nothing is enforced
  litellm:budget:auto        out  JSON {since, spend, cap}: the cap was reached; gone at midnight or with a higher cap
  litellm:budget:spend:DAY   out  dollars
  litellm:budget:by:DAY      out  hash: model|A prov|P vendor|V key|K hour|HH → dollars, req|A tok|A → counts

LiteLLM loads this file without making a module of it: no dataclasses, nothing that is pickled.
"""

import asyncio
import datetime
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import litellm
from fastapi import HTTPException
from litellm._logging import verbose_proxy_logger as log
from litellm.integrations.custom_logger import CustomLogger

PREFIX = "litellm:budget:"
MODES = ("normal", "eco", "blocked")
HEARTBEAT_S = 30
KEPT_S = 8 * 86400

# Requests that a free chat model can answer in place of the one that was asked.
CHAT = {
    *("completion", "acompletion", "text_completion", "atext_completion", "responses", "aresponses"),
    *("anthropic_messages", "agenerate_content", "agenerate_content_stream"),
}
# Requests that look something up and cost nothing. Whatever is not named here or above is refused in eco mode.
NEUTRAL = {
    *("aretrieve_batch", "alist_batches", "afile_retrieve", "afile_content", "afile_list", "afile_delete"),
    *("aget_responses", "adelete_responses", "acancel_responses", "alist_input_items", "list_mcp_tools"),
}


class Settings:
    """What the environment says. Times are seconds."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        names = environ.get("ECO_FREE_ALIASES", "qwen3-coder,deepseek-v3-free")
        self.free = tuple(name.strip() for name in names.split(",") if name.strip())
        self.poll_s = float(environ.get("ECO_POLL_SECONDS", "2"))
        self.database_poll_s = float(environ.get("ECO_DB_POLL_SECONDS", "30"))
        self.timezone = ZoneInfo(environ.get("ECO_TZ", "UTC"))
        self.status = int(environ.get("ECO_STATUS_CODE", "429"))
        self.cap = environ.get("ECO_DAILY_CAP")
        # A native max_budget would refuse requests, free ones too, before they reach this hook; and compare 30 days.
        self.takes_over = environ.get("ECO_TAKE_OVER", "1") == "1"
        self.redis_url = environ.get("ECO_REDIS_URL")
        self.redis = {
            "host": environ.get("REDIS_HOST", "redis"),
            "port": int(environ.get("REDIS_PORT", "6379")),
            "password": environ.get("REDIS_PASSWORD") or None,
        }


class Ledger:
    """Today's money. What could not be written to Redis yet counts as spent, and is written when Redis is back."""

    def __init__(self) -> None:
        self.day = ""
        self.counted = 0.0  # in Redis
        self.database = 0.0
        self.unsaved: Counter[str] = Counter()  # of the hash's fields; "" is the sum
        self.saving: list[Counter[str]] = []  # on its way to Redis
        self.saves = 0  # that were begun

    def turn_to(self, day: str) -> bool:
        """Begins a new day; returns whether it did."""
        if day == self.day:
            return False
        self.day, self.counted, self.database, self.saving = day, 0.0, 0.0, []
        self.unsaved.clear()
        return True

    @property
    def spent(self) -> float:
        waiting = sum(batch[""] for batch in (*self.saving, self.unsaved))
        return max(self.counted + waiting, self.database)


def vendor_of(model: str, provider: str) -> str:
    """Whose model it is: `openrouter/z-ai/glm-5` is billed by openrouter and made by z-ai."""
    parts = model.removeprefix(f"{provider}/").split("/")
    return parts[0] if len(parts) > 1 else provider


def number(value: object) -> float | None:
    """A cap as people and files write it; None where it is none, or no amount of money."""
    try:
        found = float(str(value))
    except ValueError:
        return None
    return found if 0 <= found < float("inf") else None


class EcoMode(CustomLogger):
    """One per worker of the proxy; workers agree through Redis."""

    def __init__(self) -> None:
        super().__init__()
        self.settings = Settings(os.environ)
        self.ledger = Ledger()
        self.mode = "normal"
        self.redis_cap: float | None = None
        self.native_cap: float | None = None
        self.redis_works = False
        self._client: Any = None
        self._task: asyncio.Task[None] | None = None
        self._read_at = self._database_at = 0.0

    # ── the state, as Redis, the database and the configuration have it ───────────────────────────────────────────────

    def start(self) -> None:
        """The background task; outside of a running loop (at import) the first request starts it."""
        if self._task is not None and not self._task.done():
            return
        try:
            self._task = asyncio.get_running_loop().create_task(self._poll())
        except RuntimeError:
            self._task = None

    async def _poll(self) -> None:
        while True:
            try:
                await self.refresh(now=True)
            except Exception as error:  # whatever it is, the next round must come
                log.warning("eco_mode: %s", type(error).__name__)
            await asyncio.sleep(self.settings.poll_s)

    async def refresh(self, *, now: bool = False) -> None:
        """Reads mode, cap and spend where the last look is older than a poll, then says that this hook lives."""
        if not now and time.monotonic() - self._read_at < self.settings.poll_s:
            return
        self._read_at = time.monotonic()
        if self.ledger.turn_to(self._day()):
            self._database_at = 0.0
        self._take_over()
        await self._read_redis()
        await self._read_database()
        if self.redis_works:
            await self._write("heartbeat", self._beat())

    def _take_over(self) -> None:
        if litellm.max_budget:
            self.native_cap = number(litellm.max_budget)
            if self.settings.takes_over:
                litellm.max_budget = 0.0

    async def _read_redis(self) -> None:
        names = ("mode", "cap", f"spend:{self.ledger.day}")
        saves, quiet = self.ledger.saves, not self.ledger.saving
        try:
            mode, cap, spent = await self._redis().mget(*(PREFIX + name for name in names))
        except Exception as error:  # down, restarting or refusing us: the last known mode and cap go on
            self.redis_works = False
            log.warning("eco_mode: Redis cannot be read (%s): stays %s", type(error).__name__, self.effective)
            return
        self.redis_works = True
        self.mode = mode if mode in MODES else "normal"
        self.redis_cap = number(cap) if cap else None
        if quiet and saves == self.ledger.saves:  # else nobody knows whether the sum has it: the next look does
            self.ledger.counted = number(spent) or 0.0
        if self.ledger.unsaved:
            await self._write("unsaved spend", self._save())

    async def _read_database(self) -> None:
        if time.monotonic() - self._database_at < self.settings.database_poll_s:
            return
        self._database_at = time.monotonic()
        midnight = self._midnight().astimezone(datetime.UTC).replace(tzinfo=None)
        since = midnight.isoformat(sep=" ")
        table = 'SELECT COALESCE(SUM(spend), 0) AS spent FROM "LiteLLM_SpendLogs"'
        query = f"{table} WHERE \"startTime\" >= '{since}'::timestamp"  # a time of ours, no text from outside
        try:
            from litellm.proxy.proxy_server import prisma_client

            if prisma_client is None:
                return
            rows = await asyncio.wait_for(prisma_client.db.query_raw(query), 2)
            self.ledger.database = number(rows[0]["spent"]) or 0.0
        except Exception as error:
            log.warning("eco_mode: the database cannot be read (%s)", type(error).__name__)

    async def _beat(self) -> None:
        redis = self._redis()
        beat = {
            "v": 1,
            "pid": os.getpid(),
            "seen": time.time(),
            "mode": self.mode,
            "effective": self.effective,
            "spend": round(self.ledger.spent, 6),
            "db_spend": round(self.ledger.database, 6),
            "cap": self.cap,
            "cap_source": self.cap_source,
            "free": self.free(),
            "day": self.ledger.day,
            "tz": str(self.settings.timezone),
        }
        await redis.set(f"{PREFIX}hook", json.dumps(beat), ex=HEARTBEAT_S)
        if self.over:
            reached = {"since": time.time(), "spend": round(self.ledger.spent, 6), "cap": self.cap}
            until = int(self._midnight(1).timestamp())
            await redis.set(f"{PREFIX}auto", json.dumps(reached), nx=True, exat=until)
        else:
            await redis.delete(f"{PREFIX}auto")

    async def _write(self, what: str, doing: Any) -> None:
        try:
            await doing
        except Exception as error:
            self.redis_works = False
            log.warning("eco_mode: %s could not be written to Redis (%s)", what, type(error).__name__)

    def _redis(self) -> Any:
        if self._client is None:
            import redis.asyncio

            limits: dict[str, Any] = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5, "decode_responses": True}
            url = self.settings.redis_url
            self._client = (
                redis.asyncio.from_url(url, **limits) if url else redis.asyncio.Redis(**self.settings.redis, **limits)
            )
        return self._client

    # ── what follows from it ──────────────────────────────────────────────────────────────────────────────────────────

    def _caps(self) -> Iterator[tuple[str, float | None]]:
        yield "redis", self.redis_cap
        yield "env", number(self.settings.cap) if self.settings.cap else None
        from litellm.proxy import proxy_server

        settings = getattr(proxy_server, "general_settings", None) or {}
        yield "general_settings", number(settings["max_budget"]) if "max_budget" in settings else None
        yield "litellm_settings", self.native_cap

    @property
    def cap_source(self) -> str:
        return next((name for name, cap in self._caps() if cap is not None), "none")

    @property
    def cap(self) -> float:
        """Dollars a day; 0: no cap."""
        return next((cap for _, cap in self._caps() if cap is not None), 0.0)

    @property
    def over(self) -> bool:
        return self.cap > 0 and round(self.ledger.spent, 6) >= round(self.cap, 6)

    @property
    def effective(self) -> str:
        """The mode that acts: the one set by hand, else eco from the cap on."""
        if self.mode != "normal":
            return self.mode
        return "eco" if self.over else "normal"

    def free(self) -> list[str]:
        """The free aliases that the proxy has, the first one first. One that has a price is none, whatever its name."""
        from litellm.proxy import proxy_server

        router = getattr(proxy_server, "llm_router", None)
        if router is None:
            return list(self.settings.free)
        deployments = router.get_model_list() or []
        priced = {item.get("model_name") for item in deployments if _has_price(item)}
        names = {item.get("model_name") for item in deployments}
        return [alias for alias in self.settings.free if alias in names - priced]

    def _day(self) -> str:
        return datetime.datetime.now(self.settings.timezone).strftime("%Y-%m-%d")

    def _midnight(self, days: int = 0) -> datetime.datetime:
        """The beginning of today, or of the day that is so many days on."""
        day = datetime.datetime.now(self.settings.timezone).date() + datetime.timedelta(days=days)
        return datetime.datetime.combine(day, datetime.time(), self.settings.timezone)

    # ── the two walls ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> Any:
        """Moves a request to a free model, or refuses it."""
        self.start()
        await self.refresh()
        if self.effective == "normal" or call_type in NEUTRAL:
            return None
        asked, free = data.get("model"), self.free()
        if asked not in free:
            if self.effective == "blocked":
                self._refuse(asked, "paid models are refused")
            if call_type not in CHAT:
                self._refuse(asked, f"{call_type} has no free substitute")
            if not free:
                self._refuse(asked, "no free model is configured")
            _remember(data, asked)
        data["model"] = asked if asked in free else free[0]
        # The proxy's own chains, and those a client may send, can end in a paid model.
        data["fallbacks"] = [alias for alias in free if alias != data["model"]]
        data["context_window_fallbacks"] = []
        data["content_policy_fallbacks"] = []
        return data

    async def async_filter_deployments(
        self,
        model: str,
        healthy_deployments: Any,
        messages: Any,
        request_kwargs: Any = None,
        parent_otel_span: Any = None,
    ) -> Any:
        """Inside the router: whatever it may choose, for fallbacks and for routes without a first wall too."""
        if self.effective == "normal":
            return healthy_deployments
        free = self.free()
        if isinstance(healthy_deployments, dict):
            if healthy_deployments.get("model_name") in free:
                return healthy_deployments
        elif kept := [item for item in healthy_deployments if item.get("model_name") in free]:
            return kept
        return self._refuse(model, "paid models are refused")

    async def async_post_call_response_headers_hook(
        self, data: dict[str, Any], user_api_key_dict: Any, response: Any, request_headers: Any = None, **_: Any
    ) -> dict[str, str]:
        """`x-eco-mode`, and `x-eco-from` with the model that was asked for (LiteLLM 1.83 and newer)."""
        asked = _metadata(data).get("eco_from")
        return {"x-eco-mode": self.effective} | ({"x-eco-from": str(asked)} if asked else {})

    def _refuse(self, model: object, why: str) -> Any:
        error = HTTPException(
            self.settings.status,
            f"Budget mode '{self.effective}': {why} (model={model}, spend today ${self.ledger.spent:.4f} of "
            f"${self.cap:.2f}). Usable: {', '.join(self.free()) or 'none'}",
        )
        # LiteLLM copies both into the error that clients read.
        error.type, error.param = "budget_exceeded", "model"  # type: ignore[attr-defined]
        raise error

    # ── counting ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Adds one answered request to today."""
        told = kwargs.get("standard_logging_object") or {}
        alias = told.get("model_group") or kwargs.get("model") or "?"
        # Some routes (1.81: /v1/messages) forget the zero price and take LiteLLM's own for the model behind the alias.
        cost = 0.0 if alias in self.free() else number(kwargs.get("response_cost") or 0) or 0.0
        provider = told.get("custom_llm_provider") or "?"
        key = (told.get("metadata") or {}).get("user_api_key_alias") or "-"
        hour = datetime.datetime.now(self.settings.timezone).strftime("%H")
        self.ledger.turn_to(self._day())
        unsaved = self.ledger.unsaved
        unsaved[f"req|{alias}"] += 1
        unsaved[f"tok|{alias}"] += int(told.get("total_tokens") or 0)
        if cost:
            vendor = vendor_of(str(told.get("model") or kwargs.get("model") or ""), provider)
            for field in ("", f"model|{alias}", f"prov|{provider}", f"vendor|{vendor}", f"key|{key}", f"hour|{hour}"):
                unsaved[field] += cost  # type: ignore[assignment]
        await self._write("spend", self._save())

    async def _save(self) -> None:
        """One transaction: all of it is written, or none."""
        ledger, day, saving = self.ledger, self.ledger.day, self.ledger.saving
        batch, ledger.unsaved = ledger.unsaved, Counter()
        ledger.saves += 1
        saving.append(batch)
        try:
            await self._add(batch, f"{PREFIX}spend:{day}", f"{PREFIX}by:{day}")
        except BaseException:
            if day == ledger.day:
                ledger.unsaved.update(batch)
            raise
        else:
            if day == ledger.day:
                ledger.counted += batch[""]
        finally:
            saving.remove(batch)

    async def _add(self, batch: Mapping[str, float], total: str, fields: str) -> None:
        pipe = self._redis().pipeline(transaction=True)
        for field, amount in batch.items():
            if not field:
                pipe.incrbyfloat(total, amount)
                pipe.expire(total, KEPT_S)
            elif field.startswith(("req|", "tok|")):
                pipe.hincrby(fields, field, int(amount))
            else:
                pipe.hincrbyfloat(fields, field, amount)
        pipe.expire(fields, KEPT_S)
        await pipe.execute()


def _has_price(deployment: Mapping[str, Any]) -> bool:
    places = (deployment.get("model_info") or {}, deployment.get("litellm_params") or {})
    names = ("input_cost_per_token", "output_cost_per_token", "input_cost_per_request")
    return any(number(place.get(name) or 0) != 0 for place in places for name in names)


def _metadata(data: Mapping[str, Any]) -> dict[str, Any]:
    for name in ("litellm_metadata", "metadata"):
        if isinstance(found := data.get(name), dict):
            return found
    return {}


def _remember(data: dict[str, Any], asked: object) -> None:
    """Which model was asked for, where LiteLLM keeps its own notes on a request."""
    name = "litellm_metadata" if isinstance(data.get("litellm_metadata"), dict) else "metadata"
    if isinstance(data.setdefault(name, {}), dict):
        data[name]["eco_from"] = asked


instance = EcoMode()
instance.start()
