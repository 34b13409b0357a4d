"""How bytes reach Loki and come back: HTTP requests and the WebSocket of a tail. Nothing here knows what is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import httpx
from httpx_ws import AsyncWebSocketSession, HTTPXWSException, WebSocketDisconnect, WebSocketUpgradeError, aconnect_ws

from vpai_tui.errors import LinkLost, OperatorError
from vpai_tui.text import clean_line

CATEGORIZE = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}  # without it one line has two identities
LARGEST_ANSWER = 192 * 1024 * 1024
_PING_S = 5.0  # a tunnel that is dead is found after twice that


Params = list[tuple[str, str | int | float | bool | None]]


class TooLarge(OperatorError):
    """An answer of more bytes than are taken in at once."""


class End(Enum):
    """Why a tail ended."""

    ROLLOVER = "rollover"  # its hour is over
    SLOTS = "slots"  # all are taken
    FUTURE = "future"  # `start` lies after the server's now
    REFUSED = "refused"  # the query cannot be followed
    LOST = "lost"  # the server, or something on the way, ended it
    UNREACHABLE = "unreachable"  # no connection to the host


@dataclass(frozen=True, slots=True)
class TailEnd:
    """How a tail ended, with what the server said."""

    end: End
    reason: str = ""
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    date: str = ""  # the server's clock, as its header has it


class Way(Protocol):
    """How the client speaks to one Loki."""

    @property
    def host(self) -> str: ...

    async def get(self, path: str, params: Params, *, timeout_s: float, apart: bool = True) -> Answer:
        """One exchange, any status; `apart`: labels by where they come from. Failures are OperatorErrors."""
        ...

    async def tail(
        self, path: str, params: Params, opened: Callable[[], None], message: Callable[[str], None]
    ) -> TailEnd:
        """Takes messages off a WebSocket as fast as they come until it ends; `message` must not wait."""
        ...

    async def close(self) -> None: ...


class OverHttp:
    """Through httpx: over a host's SSH connection, or straight to an address.

    `make` gives a client (one for questions, one for tails: an exec bridge takes few connections at a time), `explain`
    what its failures mean.
    """

    def __init__(
        self, host: str, make: Callable[[], httpx.AsyncClient], explain: Callable[[httpx.HTTPError], OperatorError]
    ) -> None:
        self._host = host
        self._explain = explain
        self._asking = make()
        self._tailing = make()

    @property
    def host(self) -> str:
        return self._host

    async def get(self, path: str, params: Params, *, timeout_s: float, apart: bool = True) -> Answer:
        try:
            async with self._asking.stream(
                "GET", path, params=params, headers=CATEGORIZE if apart else None, timeout=timeout_s
            ) as response:
                body = bytearray()
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) > LARGEST_ANSWER:
                        raise TooLarge(f"Loki's answer is larger than {LARGEST_ANSWER >> 20} MiB", host=self._host)
                return Answer(response.status_code, bytes(body), response.headers.get("date", ""))
        except httpx.HTTPError as error:
            raise self._explain(error) from error

    async def tail(
        self, path: str, params: Params, opened: Callable[[], None], message: Callable[[str], None]
    ) -> TailEnd:
        url = str(httpx.URL(path, params=params))
        try:
            socket: AsyncWebSocketSession
            async with aconnect_ws(
                url,
                self._tailing,
                headers=dict(CATEGORIZE),
                max_message_size_bytes=256 * 1024,
                keepalive_ping_interval_seconds=_PING_S,
                keepalive_ping_timeout_seconds=_PING_S,
            ) as socket:
                opened()
                while True:
                    message(await socket.receive_text())
        except Exception as error:  # the session wraps what happens inside it into a group
            return self._ended(error)

    def _ended(self, error: Exception) -> TailEnd:
        leaves = list(_leaves(error))
        for leaf in leaves:
            if isinstance(leaf, WebSocketDisconnect):
                reason = clean_line(leaf.reason or "", 300)
                return TailEnd(end_of(leaf.code, reason), reason, leaf.code)
            if isinstance(leaf, WebSocketUpgradeError):
                status = leaf.response.status_code
                end = End.REFUSED if 400 <= status < 500 and status != 429 else End.LOST
                return TailEnd(end, f"HTTP {status}", status)
            if isinstance(leaf, OperatorError):
                raise leaf
            if isinstance(leaf, httpx.HTTPError):
                meant = self._explain(leaf)
                return TailEnd(End.UNREACHABLE if isinstance(meant, LinkLost) else End.LOST, str(meant))
        if all(isinstance(leaf, HTTPXWSException | OSError | ValueError) for leaf in leaves):
            return TailEnd(End.LOST, "the connection ended without a word", 1006)
        if any(type(leaf).__module__.split(".")[0] in ("wsproto", "httpcore", "anyio") for leaf in leaves):
            return TailEnd(End.LOST, clean_line(str(leaves[0]), 200), 1006)
        raise error

    async def close(self) -> None:
        await self._asking.aclose()
        await self._tailing.aclose()


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


_ENDS = (
    ("reached tail max duration limit", End.ROLLOVER),
    ("max concurrent tail requests limit exceeded", End.SLOTS),
    ("no longer available", End.FUTURE),
    ("only log selector is supported", End.REFUSED),
    ("query time range exceeds", End.REFUSED),
    ("parse error", End.REFUSED),
)


def end_of(code: int, reason: str) -> End:
    """What a close frame means."""
    return next((end for part, end in _ENDS if part in reason), End.LOST)


def params_of(**values: str | int | None) -> Params:
    """The parameters that have a value; a trailing underscore of a name is dropped."""
    return [(name.rstrip("_"), str(value)) for name, value in values.items() if value is not None]


def header_date_s(date: str) -> float | None:
    """The whole second that a `Date` header names, since 1970; None when it names none."""
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError):
        return None
