"""Which Headscale this is, and what each version can do (facts: the capability table). Unknown newer: read-only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

OLDEST, NEWEST = (0, 26), (0, 29)


class Can(StrEnum):
    """What may or may not work, by version."""

    WRITE = "write"
    MOVE = "move"
    SET_EXPIRY = "set_expiry"
    NEVER_EXPIRE = "never_expire"
    DELETE_KEY = "delete_key"  # pre-auth keys
    KEY_WITHOUT_USER = "key_without_user"
    CLEAR_TAGS = "clear_tags"
    DELETE_USER = "delete_user"


@dataclass(frozen=True, slots=True)
class Version:
    """`text` as the server says it. `series` is the pair this client speaks to it."""

    text: str
    numbers: tuple[int, int, int]

    @property
    def series(self) -> tuple[int, int]:
        return self.numbers[:2]

    @property
    def label(self) -> str:
        return f"{self.series[0]}.{self.series[1]}"

    @property
    def keys_by_id(self) -> bool:
        """Pre-auth keys are listed for all users at once and expired by id; before, per user and by the key."""
        return self.series >= (0, 28)

    @property
    def long_registration_ids(self) -> bool:
        return self.series >= (0, 29)

    def why_not(self, what: Can) -> str:
        """Why this server cannot do it; empty when it can."""
        if self.series > NEWEST:
            return f"Headscale {self.text} is newer than this client knows ({NEWEST[0]}.{NEWEST[1]}): read-only"
        if self.series < OLDEST:
            return f"Headscale {self.text} is older than this client knows ({OLDEST[0]}.{OLDEST[1]}): read-only"
        return self._lacks(what)

    def _lacks(self, what: Can) -> str:
        if what is Can.MOVE and self.series >= (0, 28):
            return "moving a node to another user was removed in 0.28: register it again"
        if what is Can.SET_EXPIRY and self.numbers < (0, 27, 1):
            return "before 0.27.1 setting a date expires the node at once"
        if what is Can.NEVER_EXPIRE and self.series < (0, 29):
            return "before 0.29 switching the expiry off expires the node at once"
        if what in (Can.DELETE_KEY, Can.KEY_WITHOUT_USER) and self.series < (0, 28):
            return (
                "possible from 0.28 on; expire the key instead" if what is Can.DELETE_KEY else "possible from 0.28 on"
            )
        if what is Can.CLEAR_TAGS and self.series >= (0, 28):
            return "from 0.28 on a tagged node stays tagged: at least one tag must be left"
        if what is Can.DELETE_USER and self.numbers == (0, 28, 0):
            return "0.28.0 deletes the pre-auth keys of all users with it: upgrade to 0.29 first"
        return ""

    def cannot(self) -> tuple[tuple[str, str], ...]:
        """Every capability this server lacks, with the reason."""
        return tuple((what.value, why) for what in Can if (why := self.why_not(what)))


def parse_version(text: str) -> Version | None:
    """The version in `0.26.0`, `v0.27.1` or `headscale version v0.29.2\\n…`; None when there is none (`dev`)."""
    found = re.search(r"(?<![\d.])v?(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?", text)
    if found is None:
        return None
    numbers = (int(found[1]), int(found[2]), int(found[3] or 0))
    return Version(found[0].removeprefix("v"), numbers)
