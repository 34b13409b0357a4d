"""The client's own API key: minted in the container at the first need, kept in memory, deleted at the end."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from vpai_tui.clock import Clock
from vpai_tui.errors import LinkLost
from vpai_tui.vpn import reading
from vpai_tui.vpn.transport import Way, printed

LIFE = timedelta(hours=2)  # should deleting it fail
RENEW_BEFORE = timedelta(minutes=10)


class Credential:
    """One key at a time; a new one before it ends, and after the server did not accept it."""

    def __init__(self, way: Way, clock: Clock) -> None:
        self._way = way
        self._clock = clock
        self._key = ""
        self._until = datetime.min.replace(tzinfo=UTC)
        self._refused: list[str] = []  # prefixes of keys that were not accepted: deleted with the next
        self._minting = asyncio.Lock()

    async def get(self) -> str:
        """A key that is good for some minutes more."""
        async with self._minting:
            if not self._key or self._clock.now() > self._until - RENEW_BEFORE:
                old, self._key = self._key, await self._mint()
                self._until = self._clock.now() + LIFE
                await self._delete([*self._refused, *([prefix_of(old)] if old else [])])
            return self._key

    def forget(self, key: str) -> None:
        """The server did not accept it; a newer one, made meanwhile for another request, stays."""
        if key == self._key:
            self._refused.append(prefix_of(key))
            self._key = ""

    async def drop(self) -> None:
        """Deletes it. On a dead link it ends by itself."""
        if self._key:
            self._refused.append(prefix_of(self._key))
            self._key = ""
        try:
            await self._delete(self._refused)
        except LinkLost:
            return  # nothing can be said over it any more

    async def _mint(self) -> str:
        life = f"{int(LIFE.total_seconds() // 3600)}h"
        done = await self._way.command("apikeys", "create", "-e", life, "-o", "json")
        found = reading.load(printed(done, "apikeys create", self._way.host), "apikeys create")
        if not isinstance(found, str) or not found:
            raise reading.Strange("apikeys create printed no key", host=self._way.host)
        return found

    async def _delete(self, prefixes: list[str]) -> None:
        """One that is gone already is no error: whoever deletes a key wants it gone."""
        for prefix in prefixes:
            await self._way.command("apikeys", "delete", "-p", prefix, "-o", "json")
        self._refused = []


def prefix_of(key: str) -> str:
    """The public part of an API key: before the dot, or of the new style the 12 characters."""
    if key.startswith("hskey-api-"):
        return key.removeprefix("hskey-api-")[:12]
    return key.partition(".")[0]
