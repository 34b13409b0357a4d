"""What works beside a stack on demand: the queues of ComfyUI and Remotion, as far as their APIs tell them.

ComfyUI: `GET /queue` has `queue_running` and `queue_pending`, rows of `[number, prompt_id, …]`. Remotion's render
server has no list of jobs: `GET /health` counts all since its start, so the job that runs is found in what it prints
(`<id> progress: 42%`) and then asked for by `GET /renders/<id>`, unless that wants a token.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.describe import last_log_lines
from vpai_tui.fleet.model import Container, Service
from vpai_tui.ondemand.kinds import PORTS, Kind, kind_of
from vpai_tui.ondemand.model import Queue
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.docker import Docker
from vpai_tui.remote.http import as_operator_error, http_client
from vpai_tui.text import clean_line

ANSWER_WITHIN_S = 5.0
LARGEST_ANSWER = 16 << 20  # bytes; each row of ComfyUI's queue has its whole workflow in it
_LOG_LINES = 60
_PROGRESS = re.compile(r"\b([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) progress: (\d{1,3})%")
_COUNT_MOST = 100_000


async def queues_of(
    connection: Connection, docker: Callable[[], Docker], services: Sequence[Service]
) -> dict[str, Queue]:
    """The queues of those of `services` that have one, by service id. One that does not answer says so."""

    async def ask(service: Service, kind: Kind, container: Container) -> Queue:
        try:
            async with asyncio.timeout(2 * ANSWER_WITHIN_S):
                return await _ASK[kind](connection, docker, container, _port(container, kind))
        except TimeoutError:
            return Queue(error=f"no answer within {2 * ANSWER_WITHIN_S:.0f} s")
        except OperatorError as error:
            return Queue(error=clean_line(error.message, 160))

    known = [(it, kind, it.container) for it in services if (kind := kind_of(it)) is not None and it.container]
    found = await asyncio.gather(*(ask(service, kind, container) for service, kind, container in known))
    return {service.id: queue for (service, _, _), queue in zip(known, found, strict=True)}


def _port(container: Container, kind: Kind) -> int:
    """The port it listens on: the one it publishes, where that is one only."""
    told = {port.container_port for port in container.ports if port.protocol == "tcp"}
    return told.pop() if len(told) == 1 else PORTS[kind]


async def _comfyui(connection: Connection, docker: Callable[[], Docker], container: Container, port: int) -> Queue:
    del docker
    status, body = await _get(connection, container, port, "/queue")
    if status != 200:
        return Queue(error=f"/queue answers HTTP {status}")
    return read_comfyui(body)


def read_comfyui(body: bytes) -> Queue:
    """What `/queue` told."""
    told = _json(body)
    running, pending = (told.get(key) if isinstance(told, dict) else None for key in ("queue_running", "queue_pending"))
    if not isinstance(running, list) or not isinstance(pending, list):
        return Queue(error="/queue has another shape than ComfyUI's")
    first = running[0] if running else None
    job = first[1] if isinstance(first, list) and len(first) > 1 and isinstance(first[1], str) else ""
    return Queue(len(running), len(pending), clean_line(job, 60))


async def _remotion(connection: Connection, docker: Callable[[], Docker], container: Container, port: int) -> Queue:
    status, body = await _get(connection, container, port, "/health")
    if status != 200:
        return Queue(error=f"/health answers HTTP {status}")
    if (count := _renders(body)) is None:
        return Queue(error="/health has another shape than the render server's")
    if not count:
        return Queue(0, 0)
    job = last_job(await last_log_lines(docker(), container.id, _LOG_LINES, ()))
    if job is None:
        return Queue(note=f"{count} since its start; which runs is not told")
    status, body = await _get(connection, container, port, f"/renders/{job[0]}")
    if status == 200:
        return read_render(body, *job)
    if status in (401, 403):
        return Queue(1 if job[1] < 1 else 0, None, job[0], job[1], "by its log: its API wants a token")
    return Queue(0, None, note=f"{count} since its start")


def read_render(body: bytes, job: str, progress: float) -> Queue:
    """What `/renders/<id>` told of the last job that printed something."""
    told = _json(body)
    state = told.get("status") if isinstance(told, dict) else None
    if not isinstance(state, str):
        return Queue(error="/renders has another shape than the render server's")
    if state not in ("queued", "in-progress"):
        return Queue(0, None, note=f"the last one: {clean_line(state, 30)}")
    share = told.get("progress") if isinstance(told, dict) else None
    known = isinstance(share, int | float) and not isinstance(share, bool) and 0 <= share <= 1
    return Queue(1, None, job, float(share) if known and isinstance(share, int | float) else progress)


def last_job(lines: Sequence[str]) -> tuple[str, float] | None:
    """The job whose progress was printed last, and how far it was (0 to 1)."""
    for line in reversed(lines):
        if found := _PROGRESS.search(line):
            return found[1], min(100, int(found[2])) / 100
    return None


def _renders(body: bytes) -> int | None:
    told = _json(body)
    count = told.get("renders") if isinstance(told, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= _COUNT_MOST else None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


async def _get(connection: Connection, container: Container, port: int, path: str) -> tuple[int, bytes]:
    """Status and body. OperatorError: nobody answers, not in time, or too much."""
    client = http_client(connection, container=container.id, timeout_s=ANSWER_WITHIN_S)
    try:
        async with client.stream("GET", f"http://{container.id[:12]}:{port}{path}") as response:
            body = bytearray()
            async for part in response.aiter_bytes():
                body += part
                if len(body) > LARGEST_ANSWER:
                    raise OperatorError(f"{path} answers more than {LARGEST_ANSWER >> 20} MiB", host=connection.name)
            return response.status_code, bytes(body)
    except httpx.HTTPError as error:
        raise as_operator_error(error, connection, path) from error
    finally:
        await client.aclose()


_Ask = Callable[[Connection, Callable[[], Docker], Container, int], Awaitable[Queue]]
_ASK: dict[Kind, _Ask] = {Kind.COMFYUI: _comfyui, Kind.REMOTION: _remotion}
