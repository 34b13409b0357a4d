"""A provider whose credit is used up, while that is broken on purpose: a line of LiteLLM each minute."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from vpai_tui.demo.broken import FOLDER
from vpai_tui.demo.loki.model import Arrived, Entry, Key, Match, S, key_of

CHECK = "provider-credit"
_EVERY_NS = 60 * S
_LABELS = {"host": "sese", "stack": "apps", "service": "litellm", "container": "vpai-litellm-1", "level": "error"}
_SAID = (
    "litellm.proxy.proxy_server._handle_llm_api_exception(): Exception occured - litellm.APIError: "
    'OpenrouterException - {"error":{"message":"This request requires more credits, or fewer max_tokens. You '
    'requested up to 4096 tokens, but can only afford 311.","code":402}}'
)


class Complaints:
    """A source of lines; none while nothing is broken. `clock`: the hosts' time in seconds since 1970."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._path = folder / FOLDER / CHECK
        self._clock = clock
        self._stream = key_of({**_LABELS, "service_name": "litellm"})

    def _since(self) -> int | None:
        try:
            broken_at = self._path.stat().st_mtime
        except OSError:
            return None
        return int((broken_at - time.time() + self._clock()) * S)

    def streams(self, now: int) -> Iterable[Key]:
        return [self._stream] if self._since() is not None else []

    def select(self, match: Match, start: int, end: int, now: int) -> Iterable[tuple[Key, list[Entry]]]:
        found = self._lines(match, start, min(end, now + 1))
        return [(self._stream, found)] if found else []

    def arrivals(self, match: Match, after: int, until: int) -> list[Arrived]:
        return [Arrived(it.ts, self._stream, it) for it in self._lines(match, after + 1, until + 1)]

    def _lines(self, match: Match, start: int, end: int) -> list[Entry]:
        since = self._since()
        if since is None or not match(dict(self._stream)):
            return []
        first = -(-max(start - since, 0) // _EVERY_NS)
        times = (since + step * _EVERY_NS for step in range(first, first + 1500))
        return [Entry(at, _SAID, (("detected_level", "error"),)) for at in times if start <= at < end]
