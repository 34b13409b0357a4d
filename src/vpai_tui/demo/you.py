"""The simulated laptop of the operator: what its tailscale would say, and where it stood at the last look."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from vpai_tui.clock import rfc3339
from vpai_tui.upkeep.laptop import Laptop, read_status
from vpai_tui.upkeep.lastlook import LastLook, LookFile

_FILE = "tailscale.json"
_KEY_DAYS = 143
_NAME = "llm.ewutelo.cloud"


def laptop(folder: Path) -> Laptop:
    """From `tailscale.json` in the laptop's folder, else in the VPN with a key of some months."""
    try:
        content = (folder / _FILE).read_bytes()
    except FileNotFoundError:
        content = said()
    found, own = read_status(content)
    return replace(found, names=((own, True), (_NAME, True))) if found.vpn else found


def look(folder: Path, now: datetime) -> None:
    """The operator was away for three days: what was done meanwhile is news."""
    then = now - timedelta(days=3)
    LookFile(folder).save(LastLook(rfc3339(then), spend_usd={f"{then:%Y-%m-%d}": 1.2}))


def said(*, state: str = "Running", online: bool = True, key_s: float = _KEY_DAYS * 86400) -> bytes:
    """`tailscale status --json` of a laptop in this state; `key_s` seconds until its key ends."""
    ends = datetime.now(UTC) + timedelta(seconds=key_s)
    me = {"Online": online, "DNSName": "ewutelo.mesh.ewutelo.cloud.", "KeyExpiry": ends.isoformat()}
    return json.dumps({"BackendState": state, "Self": me}).encode()
