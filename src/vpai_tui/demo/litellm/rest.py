"""The proxy's API, as far as this client and its operator ask it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from vpai_tui.demo.litellm import shapes
from vpai_tui.demo.litellm.config import Doc
from vpai_tui.demo.litellm.traffic import GRAIN, Row, floor
from vpai_tui.demo.litellm.world import World, moment_of

_DAY_S = 86400
_MONTH_S = 30 * _DAY_S
_REFUSED = "[Errno 111] Connection refused"


class Answer(NamedTuple):
    """One answer of the proxy, as `budget/ask.py` prints it."""

    status: int
    body: Any
    headers: Mapping[str, str] = MappingProxyType({})


class Query:
    """The query of a request."""

    def __init__(self, text: str) -> None:
        self._found = parse_qs(text)

    def text(self, name: str) -> str:
        return (self._found.get(name) or [""])[0]

    def number(self, name: str, default: int) -> int:
        text = self.text(name)
        return int(text) if text.isdigit() else default

    @property
    def span(self) -> tuple[float, float] | None:
        """start_date and end_date, both whole days (or moments where they are some)."""
        start, end = moment_of(self.text("start_date")), moment_of(self.text("end_date"))
        if start is None or end is None:
            return None
        return start, end + (_DAY_S if len(self.text("end_date")) == 10 else 0)


def ask(world: World, requests: list[list[Any]]) -> list[Doc]:
    """What `budget/ask.py` prints for these requests."""
    if world.listens_since is None:
        return [{"status": 0, "headers": {}, "body": None, "error": _REFUSED} for _ in requests]
    answers = [answer(world, str(method), str(path), body) for method, path, body in requests]
    return [{"status": it.status, "headers": dict(it.headers), "body": it.body} for it in answers]


def answer(world: World, method: str, target: str, body: Any) -> Answer:
    """One request that carries the master key."""
    parts = urlsplit(target)
    path, query = parts.path.removeprefix("/v1"), Query(parts.query)
    if method == "POST" and path == "/chat/completions":
        return _chat(world, body)
    call = _GETS.get(path) if method == "GET" else None
    if call is None:
        return Answer(404, {"detail": "Not Found"})
    if path in _WITHOUT_DATABASE and not world.database:
        status, said = _WITHOUT_DATABASE[path]
        return Answer(status, said)
    return call(world, query)


def _error(message: str, status: int, kind: str = "internal_error", param: str | None = "None") -> Doc:
    return {"error": {"message": message, "type": kind, "param": param, "code": str(status)}}


_CONNECT = "Connect a database to your proxy - https://docs.litellm.ai/docs/simple_proxy#managing-auth---virtual-keys"
_VIRTUAL_KEYS = "https://docs.litellm.ai/docs/proxy/virtual_keys"
_NO_DATABASE = _error("Prisma Client is not initialized", 500)
_WITHOUT_DATABASE: dict[str, tuple[int, Doc]] = {
    "/user/daily/activity": (500, {"detail": {"error": f"DB not connected. See {_VIRTUAL_KEYS}"}}),
    "/user/daily/activity/aggregated": (500, {"detail": {"error": f"DB not connected. See {_VIRTUAL_KEYS}"}}),
    "/global/spend": (500, _error("{'error': 'No db connected'}", 500)),
    "/global/spend/provider": (400, {"detail": {"error": f"Database not connected. {_CONNECT}"}}),
    "/global/spend/logs": (500, _NO_DATABASE),
    "/global/spend/models": (500, _NO_DATABASE),
    "/global/spend/keys": (500, _NO_DATABASE),
    "/spend/logs/v2": (401, _error("Prisma Client is not initialized", 401)),
    "/spend/logs/ui": (401, _error("Prisma Client is not initialized", 401)),
}


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _activity(world: World, query: Query) -> Answer:
    if (span := query.span) is None:
        return Answer(400, {"detail": {"error": "Please provide start_date and end_date"}})
    return Answer(200, shapes.activity(world, *span))


def _month(world: World) -> list[Row]:
    return list(world.rows(world.now - world.now % _DAY_S - _MONTH_S, world.now))


def _sums(rows: list[Row], name: Callable[[Row], str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for row in rows:
        found[name(row)] = found.get(name(row), 0.0) + row.spend
    return found


def _spend(world: World, query: Query) -> Answer:
    """The sum of thirty days and today, and the native cap, which the callback takes over."""
    native = world.doc["loaded"]["native"] or 0.0
    return Answer(200, {"spend": sum(world.totals().values()), "max_budget": 0.0 if world.callback else native})


def _spend_logs(world: World, query: Query) -> Answer:
    return Answer(200, [{"date": day, "spend": spend} for day, spend in world.totals().items() if spend])


def _spend_providers(world: World, query: Query) -> Answer:
    if (span := query.span) is None:
        return Answer(400, _error("Please provide start_date and end_date", 400, "bad_request", None))
    found = _sums(list(world.rows(*span)), lambda row: row.provider)
    return Answer(200, [{"provider": name, "spend": spend} for name, spend in found.items()])


def _spend_models(world: World, query: Query) -> Answer:
    found = _sums(_month(world), lambda row: row.model)
    ordered = sorted(found, key=lambda it: -found[it])[: query.number("limit", 10)]
    return Answer(200, [{"model": name, "total_spend": found[name]} for name in ordered])


def _spend_keys(world: World, query: Query) -> Answer:
    found = _sums(_month(world), lambda row: row.key)
    ordered = sorted(found, key=lambda it: -found[it])[: query.number("limit", 10)]
    return Answer(
        200,
        [
            {
                "api_key": shapes.key_hash(name),
                "key_alias": shapes.alias_of(name),
                "key_name": f"sk-...{shapes.key_hash(name)[:4]}",
                "total_spend": found[name],
            }
            for name in ordered
        ],
    )


def _logs(world: World, query: Query) -> Answer:
    if (span := query.span) is None:
        return Answer(400, _error("Please provide start_date and end_date", 400, "bad_request", None))
    page, size = max(1, query.number("page", 1)), max(1, min(100, query.number("page_size", 50)))
    found = shapes.logs(world, *span)
    pages = -(-len(found) // size)
    shown = found[(page - 1) * size : page * size]
    return Answer(200, {"data": shown, "total": len(found), "page": page, "page_size": size, "total_pages": pages})


def _models(world: World, query: Query) -> Answer:
    aliases = [it["alias"] for it in world.doc["loaded"]["models"]]
    listed = [{"id": name, "object": "model", "created": 1677610602, "owned_by": "openai"} for name in aliases]
    return Answer(200, {"data": listed, "object": "list"})


_GETS: dict[str, Callable[[World, Query], Answer]] = {
    "/health/liveliness": lambda world, query: Answer(200, "I'm alive!"),
    "/health/readiness": lambda world, query: Answer(200, shapes.readiness(world)),
    "/model/info": lambda world, query: Answer(
        200, {"data": [shapes.model(it) for it in world.doc["loaded"]["models"]]}
    ),
    "/models": _models,
    "/user/daily/activity": _activity,
    "/user/daily/activity/aggregated": _activity,
    "/global/spend": _spend,
    "/global/spend/logs": _spend_logs,
    "/global/spend/provider": _spend_providers,
    "/global/spend/models": _spend_models,
    "/global/spend/keys": _spend_keys,
    "/spend/logs/v2": _logs,
    "/spend/logs/ui": _logs,
}


# ── a live call ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _chat(world: World, body: Any) -> Answer:
    asked = str(body.get("model")) if isinstance(body, dict) else "None"
    models = {it["alias"]: it for it in world.doc["loaded"]["models"]}
    free, mode = world.free, world.effective
    if mode != "normal" and asked not in free:
        if mode == "blocked":
            return _refused(world, asked, "paid models are refused")
        if not free:
            return _refused(world, asked, "no free model is configured")
        asked = free[0]
    if asked not in models:
        words = f"/chat/completions: Invalid model name passed in model={asked}. "
        said = "{'error': '" + words + "Call `/v1/models` to view available models for your key.'}"
        return Answer(400, _error(said, 400, "None"))
    return _served(world, models[asked], body)


def _served(world: World, entry: Doc, body: Any) -> Answer:
    price = (0.0, 0.0) if None in entry["price"] else entry["price"]
    prompt, completion = max(1, len(str(body.get("messages"))) // 5), 9
    exact = prompt * price[0] + completion * price[1]
    cost = max(GRAIN, floor(exact)) if exact else 0.0
    hour = int(world.now // 3600) * 3600
    alias, model, provider, vendor = (entry[name] for name in ("alias", "model", "provider", "vendor"))
    world.add(Row(hour, alias, model, provider, vendor, "-", 1, 0, prompt, completion, 0, cost))
    world.settle()
    used = {"completion_tokens": completion, "prompt_tokens": prompt, "total_tokens": prompt + completion}
    answered = shapes.completion(world, entry, "OK", used)
    return Answer(200, answered, shapes.headers(world, entry, cost, cost))


def _refused(world: World, asked: str, why: str) -> Answer:
    usable = ", ".join(world.free) or "none"
    said = (
        f"Budget mode '{world.effective}': {why} (model={asked}, spend today ${world.spent:.4f} of "
        f"${world.cap[1]:.2f}). Usable: {usable}"
    )
    return Answer(429, _error(said, 429, "budget_exceeded", "model"), {"x-litellm-response-cost": "0"})
