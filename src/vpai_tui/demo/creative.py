"""What works beside a stack on demand in the demo: ComfyUI's and Remotion's APIs, network bytes, situations to look at.

What a container does besides running stands in its record: `job` (a render: id, since, how many wait), `used_s` (for
how long after its start somebody works with it), `holds` (bytes of memory).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from vpai_tui.demo.engine import containers
from vpai_tui.demo.engine.life import life, pid_of
from vpai_tui.demo.engine.store import Doc, Engine, hex_of

Handler = Callable[[Any, Any], Awaitable[None]]
WORDS = ("render", "idle", "used", "unused", "full", "usual", "reboot")
_PORTS = {"comfyui": 8188, "remotion": 3200}
_RENDER_S = 240.0
_USED_S = 300.0  # after its start somebody works with it for so long, where nothing else was played
_ALWAYS_S = 1e9
_USED_BYTES_S = 40_000
_NOISE_BYTES_S = 40  # of a bridge network where nobody does anything
_FULL = 0.86  # of the host's memory, held by ComfyUI
_BACK = ("always", "unless-stopped")


def kind_of(container: Doc) -> str:
    """`comfyui`, `remotion` or nothing."""
    name = str(container["image"]).partition("@")[0].rpartition("/")[2].partition(":")[0]
    service = container["labels"].get("com.docker.compose.service", "")
    return next((kind for kind in _PORTS if kind == service or name.startswith(kind)), "")


# ── figures ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def network(container: Doc, now: float) -> tuple[str, str]:
    """The path below the host's folder, and the text, of what the kernel counts on a container's interfaces."""
    up_s = _up_s(container, now)
    used_s = min(up_s, container.get("used_s", _USED_S))
    count = int(1500 + _NOISE_BYTES_S * up_s + _USED_BYTES_S * used_s)
    rows = [("lo", int(90 * up_s), int(90 * up_s)), ("eth0", count // 2, count - count // 2)]
    head = (
        "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs\n"
    )
    text = head + "".join(f"{name:>6}: {came} 9 0 0 0 0 0 0 {went} 9 0 0 0 0 0 0\n" for name, came, went in rows)
    return f"proc/{pid_of(container)}/net/dev", text


def _up_s(container: Doc, now: float) -> float:
    return max(0.0, now - float(container["started"] or now))


def held(container: Doc) -> int | None:
    """Bytes of memory that a situation gives it; None without one."""
    found = container.get("holds")
    return int(found) if found else None


def printed(container: Doc, now: float) -> list[tuple[float, str, str]]:
    """What a render writes into the log: time, stream, text."""
    job = container.get("job")
    if not job or kind_of(container) != "remotion":
        return []
    steps = range(0, int(now - job["since"]) + 1, 5)
    return [(job["since"] + step, "stdout", f"{job['id']} progress: {_progress(step):.0%}") for step in steps]


def _progress(seconds: float) -> float:
    return min(0.99, seconds / _RENDER_S)


# ── the two APIs ─────────────────────────────────────────────────────────────────────────────────────────────────────


def listener(engine: Engine, host: str, port: int) -> Handler | None:
    """Who answers at an address of the host's networks; None: nobody."""
    for container in engine.read()["containers"].values():
        kind = kind_of(container)
        there = kind and port == _PORTS[kind] and host in {it.get("ip") for it in container["networks"].values()}
        if there and life(container, engine.now()).status == "running":
            return lambda reader, writer: _serve(engine, container["id"], kind, reader, writer)
    return None


async def _serve(engine: Engine, container: str, kind: str, reader: Any, writer: Any) -> None:
    try:
        while words := (await reader.readline()).decode("latin-1").split():
            while (await reader.readline()).strip():
                pass  # headers: nothing depends on them
            path = words[1] if len(words) == 3 and words[0] == "GET" else ""
            found = await asyncio.to_thread(_answer, engine, container, kind, path)
            body = json.dumps({"message": "Not Found"} if found is None else found).encode()
            status = "404 Not Found" if found is None else "200 OK"
            head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, OSError, ValueError):
        pass  # the other side has gone
    writer.close()


def _answer(engine: Engine, container: str, kind: str, path: str) -> Doc | None:
    """The JSON of a path; None: there is no such."""
    known = containers.find(engine.read(), container) or {}
    job, now = known.get("job"), engine.now()
    if kind == "comfyui":
        return _comfyui(job, path)
    if path == "/health":
        return {"status": "ok", "renders": 3 + bool(job)}
    if job and path == f"/renders/{job['id']}":
        return {
            "status": "in-progress",
            "progress": _progress(now - job["since"]),
            "data": {"compositionId": "HelloWorld"},
        }
    return None


def _comfyui(job: Doc | None, path: str) -> Doc | None:
    if path == "/queue":
        waiting = [[9 + at, hex_of(f"waits {at}")[:32], {}, {}, []] for at in range(job["pending"] if job else 0)]
        return {"queue_running": [[8, job["id"], {}, {}, ["9"]]] if job else [], "queue_pending": waiting}
    return {"system": {"os": "posix"}, "devices": []} if path == "/system_stats" else None


# ── situations ───────────────────────────────────────────────────────────────────────────────────────────────────────


def play(engine: Engine, word: str, memory_bytes: int) -> bool:
    """Have one of `WORDS` on a host with so much memory. False: it is none, or who it is about is not there."""
    if word not in WORDS:
        return False
    now = engine.now()
    with engine.change() as state:
        known = list(state["containers"].values())
        if word == "reboot":
            _reboot(engine, state, now)
            return True
        if word in ("used", "unused"):
            for container in known:
                # what was counted stays counted
                until = min(_up_s(container, now), container.get("used_s", _USED_S))
                container["used_s"] = _ALWAYS_S if word == "used" else until
            return True
        found = [it for it in known if kind_of(it)]
        for container in found:
            _set(container, word, now, memory_bytes)
    return bool(found)


def _set(container: Doc, word: str, now: float, memory_bytes: int) -> None:
    raw = hex_of(f"job {container['id']} {now}")
    job = "-".join((raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:32]))
    if word == "render":
        container["job"] = {"id": job, "since": now, "pending": 2 if kind_of(container) == "comfyui" else 0}
    elif word in ("idle", "usual"):
        container["job"] = None
    if word == "full" and kind_of(container) == "comfyui":
        container["holds"] = int(memory_bytes * _FULL)
    elif word == "usual":
        container["holds"] = None


def _reboot(engine: Engine, state: Doc, now: float) -> None:
    """Its kernel starts anew, and with it what is to come back by itself; what watched there is no more."""
    state["booted"] = now
    for record in engine.home.glob("opt/*/deploy/idle/*"):
        _end_watcher(record.read_text())
    for container in state["containers"].values():
        if life(container, now).running:
            containers.stop(state, now, container)
            if str(container["restart"]).partition(":")[0] in _BACK:
                containers.start(state, now, container)


def _end_watcher(record: str) -> None:
    """The process of an idle stop, if it is the one that has written its record."""
    pairs = dict(line.split("=", 1) for line in record.splitlines() if "=" in line)
    pid, token = pairs.get("pid", ""), pairs.get("token", "")
    with contextlib.suppress(OSError):
        if pid.isdigit() and token and token.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            os.kill(int(pid), signal.SIGKILL)
