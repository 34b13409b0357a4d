"""Ending an interrupted deploy: values edited on the host since then go along, whichever way it ends."""

from __future__ import annotations

from vpai_tui.deploy.builds import tar_of
from vpai_tui.deploy.facts import HostFacts
from vpai_tui.deploy.host import Place, probe
from vpai_tui.deploy.live import carry_over
from vpai_tui.deploy.told import checked_path, told_of
from vpai_tui.remote.connection import Connection


async def carried(connection: Connection, place: Place, release: str) -> bytes:
    """A tar of the release's files (`files/…` that it brings, `prior/…` that were before) with the host's present live
    values in them; empty when there is nothing to carry over.

    Raises:
        PreflightRefused: a live file is no YAML, so its values cannot be kept; or the release is not as we wrote it.
    """
    return merge(await probe(connection, place, "settling", release))


def merge(facts: HostFacts) -> bytes:
    """See `carried`."""
    keys = {item.path: item.live_keys for item in told_of(facts.blobs.get("bundle.bundle.json")).files}
    entries = []
    for path, present in facts.lives.items():
        for folder, kept in (("files", facts.bundle_lives), ("prior", facts.prior_lives)):
            if path not in kept:
                continue
            merged, changed = carry_over(kept[path], present, keys.get(path, ()), path)
            if changed:
                entries.append((f"{folder}/{checked_path(path)}", merged, "600"))
    return tar_of(entries) if entries else b""
