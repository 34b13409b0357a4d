"""LiteLLM callback that posts to a webhook when 70, 90 and 100 % of the daily cap are spent, each once a day.

It lives by the heartbeat that `eco_mode.py` writes to Redis, and runs in the proxy because that is always there: the
warning arrives with the cockpit closed. ECO_WEBHOOK_URL (else WEBHOOK_URL) is n8n's, or Telegram's sendMessage with the
chat in ECO_TELEGRAM_CHAT_ID. What was told today is the set `litellm:budget:alert:DAY`, so that one of several workers
tells it, and a restart does not repeat it.
"""

import asyncio
import datetime
import json
import os
from typing import Any

import httpx
from litellm._logging import verbose_proxy_logger as log
from litellm.integrations.custom_logger import CustomLogger

PREFIX = "litellm:budget:"
THRESHOLDS = (100, 90, 70)  # percent, the highest first
KEPT_S = 2 * 86400


class BudgetAlerts(CustomLogger):
    """Without a webhook it does nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.webhook = os.environ.get("ECO_WEBHOOK_URL") or os.environ.get("WEBHOOK_URL")
        self.chat_id = os.environ.get("ECO_TELEGRAM_CHAT_ID")
        self.poll_s = float(os.environ.get("ECO_ALERT_SECONDS", "15"))
        self._client: Any = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """The background task; outside of a running loop (at import) the first request starts it."""
        if not self.webhook or (self._task is not None and not self._task.done()):
            return
        try:
            self._task = asyncio.get_running_loop().create_task(self._watch())
        except RuntimeError:
            self._task = None

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> None:
        self.start()

    async def _watch(self) -> None:
        while True:
            try:
                await self._look()
            except Exception as error:  # the address may hold a token: only the kind of error is written
                log.warning("budget_alerts: %s", type(error).__name__)
            await asyncio.sleep(self.poll_s)

    async def _look(self) -> None:
        beat = json.loads(await self._redis().get(f"{PREFIX}hook") or "{}")
        cap, spend = float(beat.get("cap") or 0), float(beat.get("spend") or 0)
        reached = next((step for step in THRESHOLDS if cap > 0 and 100 * spend / cap >= step), None)
        if reached is None:
            return
        key = f"{PREFIX}alert:{beat['day']}"
        if not await self._redis().sadd(key, reached):
            return
        try:
            await self._post(self._message(reached, spend, cap, beat))
        except BaseException:
            await self._redis().srem(key, reached)  # the next look tries again
            raise
        # Who was told of 90 % need not be told of 70 % afterwards.
        await self._redis().sadd(key, *(step for step in THRESHOLDS if step <= reached))
        await self._redis().expire(key, KEPT_S)

    async def _post(self, message: dict[str, Any]) -> None:
        async with httpx.AsyncClient(timeout=5) as client:
            (await client.post(str(self.webhook), json=message)).raise_for_status()

    def _message(self, reached: int, spend: float, cap: float, beat: dict[str, Any]) -> dict[str, Any]:
        """The fields of n8n's `litellm-credit-alert`, and Telegram's, which leaves out those it does not know."""
        acts = {"normal": "paid models still answer", "eco": "free models only", "blocked": "paid models are refused"}
        text = (
            f"LiteLLM: ${spend:.2f} of ${cap:.2f} spent today, {reached} % reached; {acts.get(beat['effective'], '')}"
        )
        told = {
            "event_message": text,
            "alert_type": f"budget_{reached}",
            "model": "",
            "time_stamp": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "text": text,
            "percent": reached,
            "spend_usd": spend,
            "cap_usd": cap,
            "day": beat["day"],
        }
        return told | ({"chat_id": self.chat_id} if self.chat_id else {})

    def _redis(self) -> Any:
        if self._client is None:
            import redis.asyncio

            limits: dict[str, Any] = {"socket_timeout": 1, "socket_connect_timeout": 1, "decode_responses": True}
            url = os.environ.get("ECO_REDIS_URL")
            place: dict[str, Any] = {
                "host": os.environ.get("REDIS_HOST", "redis"),
                "port": int(os.environ.get("REDIS_PORT", "6379")),
                "password": os.environ.get("REDIS_PASSWORD") or None,
            }
            self._client = redis.asyncio.from_url(url, **limits) if url else redis.asyncio.Redis(**place, **limits)
        return self._client


instance = BudgetAlerts()
instance.start()
