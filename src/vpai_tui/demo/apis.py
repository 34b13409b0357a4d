"""The small APIs of the simulated services: what tells that a program behind its page works."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from vpai_tui.demo.broken import broken
from vpai_tui.demo.engine.life import life
from vpai_tui.demo.engine.store import Doc, Engine

Handler = Callable[[Any, Any], Awaitable[None]]
_REASONS = {101: "Switching Protocols", 200: "OK", 302: "Found", 404: "Not Found", 502: "Bad Gateway"}
_REASONS |= {503: "Service Unavailable"}


class Answer(NamedTuple):
    """One answer; `body` is JSON, or text as it is."""

    status: int
    body: Any = ""


class Api(NamedTuple):
    """Where a service listens and what it answers there, by path; any other path is `otherwise`."""

    port: int
    paths: Mapping[str, Answer]
    otherwise: Answer = Answer(404, "Not Found")


_PAGE = Answer(200, "<!doctype html>")
_APIS: dict[str, Api] = {
    "openclaw": Api(18789, {}, _PAGE),  # a page for every path; the WebSocket is another matter
    "n8n": Api(5678, {"/healthz": Answer(200, {"status": "ok"}), "/healthz/readiness": Answer(200, {"status": "ok"})}),
    "palais": Api(3300, {"/api/health": Answer(200, {"status": "ok"})}, _PAGE),
    "sure-web": Api(3000, {"/up": Answer(200, "<!DOCTYPE html>")}, _PAGE),
    "kaneo-api": Api(1337, {"/api/health": Answer(200, {"status": "ok"})}),
    "qdrant": Api(6333, {"/readyz": Answer(200, "all shards are ready")}),
    "grafana": Api(3000, {"/api/health": Answer(200, {"database": "ok", "version": "12.3.2"})}, Answer(302)),
    "couchdb": Api(5984, {"/_up": Answer(200, {"status": "ok", "seeds": {}})}, Answer(404, {"error": "not_found"})),
    "zerobyte": Api(4096, {"/healthcheck": Answer(200, {"status": "ok"})}, _PAGE),
    "uptime-kuma": Api(3001, {}, Answer(302)),
    "litellm": Api(4000, {}),
}
# What a broken one answers, by the check that is to show it.
_BROKEN: dict[str, tuple[str, Answer]] = {
    "grafana": ("watcher", Answer(502, "")),
    "openclaw": ("api-probes", _PAGE),
}


def listener(engine: Engine, host: str, port: int) -> Handler | None:
    """Who answers at an address of the host's networks; None: nobody."""
    for container in engine.read()["containers"].values():
        service = container["labels"].get("com.docker.compose.service", "")
        api = _APIS.get(service)
        there = api is not None and api.port == port and host in {it.get("ip") for it in container["networks"].values()}
        if there and life(container, engine.now()).status == "running" and _listens(engine, service):
            return lambda reader, writer: _serve(engine, service, reader, writer)
    return None


def _listens(engine: Engine, service: str) -> bool:
    if service != "litellm":
        return True
    from vpai_tui.demo.litellm import box, scenes

    if not scenes.has_proxy(engine):  # a container of that name, from another image
        return False
    with box.change(engine) as world:
        return world.listens_since is not None


async def _serve(engine: Engine, service: str, reader: Any, writer: Any) -> None:
    """Requests until the other side hangs up, or wants to be the last."""
    try:
        while words := (await reader.readline()).decode("latin-1").split():
            headers = await _headers(reader)
            path = words[1] if len(words) == 3 and words[0] == "GET" else ""
            found = await asyncio.to_thread(_answer, engine, service, path, upgrade="upgrade" in headers)
            writer.write(_encoded(found))
            await writer.drain()
            if found.status == 101 or headers.get("connection") == "close":
                break
    except (asyncio.IncompleteReadError, OSError, ValueError):
        pass  # the other side has gone
    writer.close()


async def _headers(reader: Any) -> Doc:
    found = {}
    while line := (await reader.readline()).decode("latin-1").strip():
        name, _, value = line.partition(":")
        found[name.strip().lower()] = value.strip().lower()
    return found


def _answer(engine: Engine, service: str, path: str, *, upgrade: bool) -> Answer:
    check, bad = _BROKEN.get(service, ("", Answer(404)))
    if check and broken(engine.home.parent, check):
        return bad
    if service == "openclaw" and upgrade:
        return Answer(101)
    if service == "litellm":
        return _litellm(engine, path)
    api = _APIS[service]
    return api.paths.get(path.partition("?")[0], api.otherwise)


def _litellm(engine: Engine, path: str) -> Answer:
    """What of it needs no key."""
    from vpai_tui.demo.litellm import box, rest

    if path not in ("/health/liveliness", "/health/readiness"):
        return Answer(401, {"error": {"message": "Authentication Error, No api key passed in."}})
    with box.change(engine) as world:
        found = rest.answer(world, "GET", path, None)
    return Answer(found.status, found.body)


def _encoded(found: Answer) -> bytes:
    head = f"HTTP/1.1 {found.status} {_REASONS.get(found.status, 'Unauthorized')}\r\n"
    if found.status == 101:
        return (head + "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n").encode()
    body = (found.body if isinstance(found.body, str) else json.dumps(found.body)).encode()
    where = "Location: /login\r\n" if found.status == 302 else ""
    return f"{head}{where}Content-Length: {len(body)}\r\n\r\n".encode() + body
