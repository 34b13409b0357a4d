"""What a forward has to say, for people and as JSON lines."""

from __future__ import annotations

import json
from typing import Any

from vpai_tui.fleet.forward import LOOPBACK, Closed, Event, Forward, Listening, Opened


def event(told: Event, *, as_json: bool) -> None:
    """One line, at once: nobody waits for a full buffer."""
    print(json.dumps({"schema": 1, **_json(told)}, ensure_ascii=False) if as_json else _line(told), flush=True)


def ended(forward: Forward, *, as_json: bool) -> None:
    """The sum of it."""
    if as_json:
        told: dict[str, Any] = {"event": "ended", "connections": forward.total}
        told |= {"sent_bytes": forward.sent_bytes, "received_bytes": forward.received_bytes}
        print(json.dumps({"schema": 1, **told}), flush=True)
        return
    sizes = f"{forward.sent_bytes} bytes sent, {forward.received_bytes} received"
    print(f"closed {LOOPBACK}:{forward.local_port}: {forward.total} connections, {sizes}", flush=True)


def _json(told: Event) -> dict[str, Any]:
    if isinstance(told, Listening):
        where = {"local_address": LOOPBACK, "local_port": told.local_port}
        return {"event": "listening", "service": told.service, "host": told.host, "port": told.port, **where}
    if isinstance(told, Closed):
        sizes = {"sent_bytes": told.sent_bytes, "received_bytes": told.received_bytes}
        return {"event": "closed", "id": told.id, **sizes, "error": told.error or None}
    return {"event": "opened" if isinstance(told, Opened) else "waiting", "id": told.id}


def _line(told: Event) -> str:
    if isinstance(told, Listening):
        other = "" if told.local_port == told.port else f" ({told.port} is not free here)" if told.port >= 1024 else ""
        return f"{LOOPBACK}:{told.local_port} → {told.service} port {told.port}{other}; ctrl+c ends it"
    if isinstance(told, Closed):
        sizes = f"sent {told.sent_bytes} bytes, received {told.received_bytes}"
        return f"#{told.id} closed: {told.error or sizes}"
    return f"#{told.id} opened" if isinstance(told, Opened) else f"#{told.id} waits for a free channel"
