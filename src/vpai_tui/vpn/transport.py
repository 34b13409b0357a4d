"""The two ways to Headscale: its command line in the container, and its REST API. Nothing here knows what is asked."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import urlencode

import httpx

from vpai_tui.errors import CommandFailed, OperatorError
from vpai_tui.redact import redact
from vpai_tui.remote.channel import Completed
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.failures import NoAnswer
from vpai_tui.remote.http import as_operator_error, http_client
from vpai_tui.text import clean_line, last_lines
from vpai_tui.vpn.hub import Hub

COMMAND_TIMEOUT_S = 30.0
READ_TIMEOUT_S = 15.0
WRITE_TIMEOUT_S = 25.0  # a locked database answers after 10.4 s, and the write may still happen


class Refused(OperatorError):
    """Headscale said no; `status` is HTTP's, `said` its own words."""

    def __init__(self, what: str, status: int, said: str, host: str) -> None:
        super().__init__(f"{what}: {said or f'HTTP {status}'}", host=host, step="headscale")
        self.status = status
        self.said = said

    @property
    def undecided(self) -> bool:
        """Whether it may have happened all the same, or may happen later: the database was locked."""
        return "database is locked" in self.said or self.status in (502, 503, 504)


class Unauthorized(Refused):
    """The API key is not good (any more). 0.26 says so with HTTP 500."""


class Way(Protocol):
    """How this client speaks to one Headscale."""

    @property
    def host(self) -> str:
        """The host's name, for errors."""
        ...

    async def command(self, *words: str) -> Completed:
        """`headscale WORDS…`: any exit status. stdin is /dev/null: no prompt is ever answered."""
        ...

    async def request(
        self, method: str, path: str, *, key: str, body: bytes | None, timeout_s: float
    ) -> httpx.Response:
        """One HTTP exchange; failures are OperatorErrors."""
        ...

    async def close(self) -> None: ...


class OverSsh:
    """Through the host's SSH connection: `docker exec`, and HTTP to the container's address."""

    def __init__(self, connection: Connection, hub: Hub, port: int) -> None:
        self._connection = connection
        self._hub = hub
        self._client = http_client(connection, container=hub.container, base_url=f"http://{hub.name}:{port}")

    @property
    def host(self) -> str:
        return self._connection.name

    async def command(self, *words: str) -> Completed:
        return await in_container(self._connection, self._hub, *words)

    async def request(
        self, method: str, path: str, *, key: str, body: bytes | None, timeout_s: float
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            return await self._client.request(method, path, headers=headers, content=body, timeout=timeout_s)
        except httpx.HTTPError as error:
            raise as_operator_error(error, self._connection, "headscale") from error

    async def close(self) -> None:
        await self._client.aclose()


async def in_container(connection: Connection, hub: Hub, *words: str) -> Completed:
    """`docker exec CONTAINER headscale WORDS…`; the words are in the command log, its output is not."""
    argv = [*shlex.split(connection.host.docker), "exec", hub.container, "headscale", *words]
    label = f"headscale {shlex.join(words)}"
    return await connection.run(argv, root=True, check=False, timeout_s=COMMAND_TIMEOUT_S, label=label)


def printed(done: Completed, what: str, host: str) -> str:
    """Standard output of a command that ended well.

    Raises:
        CommandFailed: it did not; with Headscale's own words, taken out of their JSON.
    """
    if done.exit_status == 0:
        return done.text
    said = last_lines(done.stderr.strip() or done.stdout, 4)
    with suppress(ValueError, KeyError, TypeError):  # plain text is kept as it is
        said = str(json.loads(said)["error"])
    raise CommandFailed(
        f"headscale {what}: {redact(clean_line(said, 300)) or 'failed'}", exit_status=done.exit_status, host=host
    )


def target(path: str, query: Mapping[str, str] | None) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def answer_of(response: httpx.Response, what: str, host: str) -> Any:
    """The JSON of an answer that is one.

    Raises:
        Unauthorized, Refused: what Headscale said instead. A status alone proves nothing: the body must be JSON.
    """
    text = response.text
    if text.strip() == "Unauthorized":
        raise Unauthorized(what, response.status_code, "the API key was not accepted", host)
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    if response.status_code != 200:
        raise Refused(what, response.status_code, _said(body, text), host)
    if not isinstance(body, dict):
        raise Refused(what, response.status_code, f"the answer is no JSON: {clean_line(text, 120)}", host)
    return body


def _said(body: Any, text: str) -> str:
    if isinstance(body, dict):
        words = body.get("message") or body.get("detail") or body.get("title") or ""
        if isinstance(words, str):
            return redact(clean_line(words, 300))
    return redact(clean_line(text, 200))


__all__ = [
    "READ_TIMEOUT_S",
    "WRITE_TIMEOUT_S",
    "NoAnswer",
    "OverSsh",
    "Refused",
    "Unauthorized",
    "Way",
    "answer_of",
    "in_container",
    "printed",
    "target",
]
