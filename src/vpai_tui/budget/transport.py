"""The ways into the three containers: LiteLLM's API, Redis and the database, each asked from inside its own container.

So no key is made and none leaves the host, nothing is published, and it works on every version of LiteLLM. Nothing here
knows what is asked.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files as package_files
from types import MappingProxyType
from typing import Any, Protocol

from vpai_tui.errors import OperatorError
from vpai_tui.redact import redact
from vpai_tui.remote.channel import Completed
from vpai_tui.remote.connection import Connection
from vpai_tui.text import clean_line, last_lines

PORT = 4000
ASK_TIMEOUT_S = 5.0
STORE_TIMEOUT_S = 10.0  # of Redis and the database
_SAID = 2000  # characters of an answer that are looked at
_START_S = 10.0  # `docker exec` and Python, on a busy host
# psql shows the last value alone; the limit is the server's own, so that nothing runs on after we have gone.
_LIMIT = f"SET statement_timeout = {int(STORE_TIMEOUT_S * 900)}; "
_REDIS = '[ -z "${REDIS_PASSWORD-}" ] || export REDISCLI_AUTH="$REDIS_PASSWORD"; exec redis-cli "$@"'
_SQL = 'exec psql -X -At -v ON_ERROR_STOP=1 -U "${POSTGRES_USER:-postgres}" -d litellm -c "$1"'
# What LiteLLM answers where it has no database: every version and endpoint has words of its own.
_NO_DATABASE = re.compile(
    r"\b(?:db|database) (?:is )?not connected|\bno (?:connected )?(?:db|database)\b|not connected to (?:the )?db"
    r"|prisma client is not initiali[sz]ed",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Request:
    """One call of LiteLLM's API; `path` with its query."""

    method: str
    path: str
    body: Any = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came: `status` 0 and `error` where nothing did. `headers` has LiteLLM's own and those of the eco mode."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    error: str = ""

    @property
    def ok(self) -> bool:
        return self.status == 200

    @property
    def no_database(self) -> bool:
        """Whether it was refused because LiteLLM has no database; every version says so in other words."""
        return not self.ok and bool(_NO_DATABASE.search(_words(self.body)[:_SAID]))

    @property
    def said(self) -> str:
        """Why it is no good answer, in a few words that can be shown; empty when it is one."""
        if self.ok:
            return ""
        if self.no_database:
            return "no database"
        if not self.status:
            return self.error or "no answer"
        if self.status == 401 or (self.status == 403 and "key" in _words(self.body).lower()):
            return f"the container's LITELLM_MASTER_KEY was not accepted (HTTP {self.status})"
        words = redact(clean_line(_words(self.body)[:_SAID], 200))
        return f"HTTP {self.status}: {words}" if words else f"HTTP {self.status}"


class Inside(Protocol):
    """How this client speaks to LiteLLM and what it stands on."""

    @property
    def host(self) -> str:
        """The host's name, for errors."""
        ...

    async def litellm(self, requests: Sequence[Request], *, timeout_s: float = ASK_TIMEOUT_S) -> list[Answer]:
        """All at the same time; one answer for each, in order. OperatorError: the container cannot be asked."""
        ...

    async def redis(self, script: str, *args: str) -> Any:
        """The JSON that a Lua script returns. OperatorError: Redis cannot be asked, or refuses."""
        ...

    async def sql(self, query: str) -> Any:
        """The one JSON value of a query. OperatorError: the database cannot be asked, or refuses."""
        ...


class OverSsh:
    """`docker exec` through the host's SSH connection; a container that was not found is an error when it is asked."""

    def __init__(
        self,
        connection: Connection,
        *,
        litellm: str | None,
        redis: str | None = None,
        database: str | None = None,
        port: int = PORT,
    ) -> None:
        self._connection = connection
        self._litellm = litellm
        self._redis = redis
        self._database = database
        self._port = port

    @property
    def host(self) -> str:
        return self._connection.name

    async def litellm(self, requests: Sequence[Request], *, timeout_s: float = ASK_TIMEOUT_S) -> list[Answer]:
        if not requests:
            return []
        asked = [[it.method, it.path, it.body] for it in requests]
        order = json.dumps({"port": self._port, "timeout_s": timeout_s, "requests": asked})
        label = "litellm: " + ", ".join(f"{it.method} {it.path.partition('?')[0]}" for it in requests)
        argv = ["python3", "-c", ask_program(), order]
        done = await self._exec(self._litellm, "LiteLLM", argv, label, timeout_s + _START_S)
        return answers_of(_printed(done, "LiteLLM", self.host), len(requests), self.host)

    async def redis(self, script: str, *args: str) -> Any:
        argv = ["sh", "-c", _REDIS, "sh", "EVAL", script, "0", *args]
        done = await self._exec(self._redis, "Redis", argv, "redis: EVAL", STORE_TIMEOUT_S + _START_S)
        return json_of(_printed(done, "Redis", self.host), "Redis", self.host)

    async def sql(self, query: str) -> Any:
        argv = ["sh", "-c", _SQL, "sh", _LIMIT + query]
        done = await self._exec(self._database, "PostgreSQL", argv, "psql: SELECT", STORE_TIMEOUT_S + _START_S)
        return json_of(_printed(done, "PostgreSQL", self.host).removeprefix("SET\n"), "PostgreSQL", self.host)

    async def _exec(
        self, container: str | None, what: str, argv: Sequence[str], label: str, timeout_s: float
    ) -> Completed:
        if container is None:
            raise OperatorError(f"there is no container of {what}", host=self.host)
        words = [*shlex.split(self._connection.host.docker), "exec", container, *argv]
        return await self._connection.run(words, root=True, check=False, timeout_s=timeout_s, label=label)


@cache
def ask_program() -> str:
    """The text of the program that runs inside LiteLLM's container."""
    return package_files("vpai_tui.budget").joinpath("ask.py").read_text(encoding="utf-8")


def answers_of(printed: str, count: int, host: str) -> list[Answer]:
    """What `ask.py` printed.

    Raises:
        OperatorError: it is something else.
    """
    found = json_of(printed, "LiteLLM", host)
    if not isinstance(found, list) or len(found) != count or not all(isinstance(it, dict) for it in found):
        raise OperatorError("what was asked in LiteLLM's container was answered strangely", host=host)
    return [_answer(it) for it in found]


def json_of(text: str, what: str, host: str) -> Any:
    """The JSON in `text`.

    Raises:
        OperatorError: there is none; with what is said in its place.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        words = redact(last_lines(text, 1)[:300]).removeprefix("(error) ")
        raise OperatorError(f"{what} says: {words or 'nothing'}", host=host, remedy=f"look at {what}'s log") from None


def _printed(done: Completed, what: str, host: str) -> str:
    """Standard output of a command that ended well."""
    if done.exit_status == 0:
        return done.text
    said = redact(last_lines(done.stderr.strip() or done.stdout, 1)[:300])
    said = said.removeprefix("Error response from daemon: ") or f"status {done.exit_status}"
    raise OperatorError(f"{what} cannot be asked: {said}", host=host, remedy=f"look at {what}'s container and its log")


def _answer(raw: Mapping[str, Any]) -> Answer:
    status, headers, error = raw.get("status"), raw.get("headers"), raw.get("error")
    shown = {clean_line(str(name), 100): clean_line(str(value), 300) for name, value in _pairs(headers)}
    right = isinstance(status, int) and not isinstance(status, bool) and 0 <= status < 1000
    words = redact(clean_line(error, 200)) if isinstance(error, str) else ""
    return Answer(status if right and isinstance(status, int) else 0, raw.get("body"), MappingProxyType(shown), words)


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def _words(body: Any, depth: int = 4) -> str:
    """What an error body says, whichever of its shapes it has; not yet cleaned."""
    if isinstance(body, str):
        return body
    if isinstance(body, dict) and depth:
        for name in ("error", "detail", "message", "msg"):
            if words := _words(body.get(name), depth - 1):
                return words
    if isinstance(body, list) and body and depth:
        return _words(body[0], depth - 1)
    return ""


__all__ = ["PORT", "Answer", "Inside", "OverSsh", "Request", "answers_of", "ask_program", "json_of"]
