"""What is said of a host's disks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from vpai_tui.clock import rfc3339
from vpai_tui.fleet.operation import Event, Finished, Outcome
from vpai_tui.upkeep.disk.model import Usage, size
from vpai_tui.upkeep.disk.plan import Prune, told
from vpai_tui.upkeep.disk.run import Freed, Removed, Skipped
from vpai_tui.upkeep.disk.sums import parts
from vpai_tui.upkeep.disk.trend import Forecast
from vpai_tui.verbs.say import document, table

__all__ = ["Usage", "event", "plan", "usage"]
_KEPT_SHOWN = 12


def usage(found: Usage, trends: Mapping[str, Forecast], *, as_json: bool) -> None:
    if as_json:
        document(usage_json(found, trends))
        return
    rows = []
    for disk in found.disks:
        trend = trends.get(disk.mount)
        free = disk.size_bytes - disk.used_bytes if disk.available_bytes is None else disk.available_bytes
        rows.append((disk.mount, f"{disk.used_percent:.0f} %", size(disk.used_bytes), size(free), full(trend)))
    table(("DISK", "FULL", "USED", "LEFT", "WILL BE FULL"), rows)
    print()
    table(
        ("WHAT", "SIZE", "COUNT", ""),
        [(it.title, size(it.bytes_), "" if it.count is None else str(it.count), it.detail) for it in parts(found)],
    )
    for note in found.notes:
        print(f"note: {note}")
    print(f"→ free what nobody needs: vpai-tui disk {found.host} --prune")


def _at(seconds: float) -> str:
    return rfc3339(datetime.fromtimestamp(seconds, UTC))


def full(trend: Forecast | None) -> str:
    """`2026-12-20 (400 MiB a day)`, or why it is not known."""
    if trend is None:
        return "not known"
    if trend.full_at_s is None:
        return f"not known: {trend.why}"
    return f"{trend.day} ({size(trend.per_day_bytes)} a day, by {trend.source})"


def usage_json(found: Usage, trends: Mapping[str, Forecast]) -> dict[str, Any]:
    return {
        "host": found.host,
        "at": _at(found.at_s),
        "disks": [
            {
                "mount": disk.mount,
                "size_bytes": disk.size_bytes,
                "used_bytes": disk.used_bytes,
                "available_bytes": disk.available_bytes,
                "used_percent": round(disk.used_percent, 1),
                "full": _forecast_json(trends.get(disk.mount)),
            }
            for disk in found.disks
        ],
        "docker_root": found.docker_root or None,
        "parts": [
            {"id": it.id, "title": it.title, "size_bytes": it.bytes_, "count": it.count, "detail": it.detail}
            for it in parts(found)
        ],
        "images": [
            {
                "id": image.id,
                "name": image.name,
                "size_bytes": image.size_bytes,
                "unique_bytes": image.unique_bytes,
                "need": image.need.value,
                "by": list(image.by),
                "here_since": _at(image.here_s) if image.here_s is not None else None,
                "pullable": image.pullable,
            }
            for image in found.images
        ],
        "volumes": [{"name": it.name, "size_bytes": it.size_bytes, "users": it.users} for it in found.volumes],
        "logs": [
            {"container": it.name, "size_bytes": it.log_bytes, "driver": it.log_driver, "rotates": it.rotates}
            for it in found.containers
            if not it.keeper
        ],
        "notes": list(found.notes),
    }


def _forecast_json(trend: Forecast | None) -> dict[str, Any] | None:
    if trend is None:
        return None
    return {
        "at": _at(trend.full_at_s) if trend.full_at_s is not None else None,
        "per_day_bytes": round(trend.per_day_bytes) if trend.per_day_bytes is not None else None,
        "why": trend.why or None,
        "source": trend.source or None,
    }


def plan(prune: Prune, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"schema": 1, "event": "planned", **plan_json(prune)}, ensure_ascii=False))
        return
    print(f"{prune.host}: {told(prune)}")
    if prune.items:
        table(("REMOVES", "FREES", "WHY"), [(it.subject, it.frees, it.why) for it in prune.items])
    if prune.kept:
        print("\nstays:")
        rows = [(it.subject, size(it.size_bytes), it.why) for it in prune.kept[:_KEPT_SHOWN]]
        table(("WHAT", "SIZE", "FOR WHOM"), rows)
        if len(prune.kept) > _KEPT_SHOWN:
            print(f"… and {len(prune.kept) - _KEPT_SHOWN} more")
    for note in prune.notes:
        print(f"note: {note}")
    if prune.items:
        print("way back: images are pulled again when they are wanted; what was built here is built again")


def plan_json(prune: Prune) -> dict[str, Any]:
    return {
        "host": prune.host,
        "older_than_s": prune.older_than_s,
        "free_bytes": prune.free_bytes,
        "confirm": prune.word,
        "removes": [
            {
                "kind": it.kind,
                "subject": it.subject,
                "image": it.image.id if it.image is not None else None,
                "frees_least_bytes": it.least_bytes,
                "frees_most_bytes": it.most_bytes,
                "why": it.why,
            }
            for it in prune.items
        ],
        "keeps": [{"subject": it.subject, "size_bytes": it.size_bytes, "why": it.why} for it in prune.kept],
        "notes": list(prune.notes),
    }


def event(told_: Event, *, as_json: bool) -> None:
    """One line of a prune that runs."""
    if as_json:
        body = told_.to_json()
        if isinstance(told_, Finished):
            body["outcome"] = told_.outcome.value
        print(json.dumps({"schema": 1, **body}, ensure_ascii=False), flush=True)
        return
    match told_:
        case Removed():
            print(
                f"  removed {told_.subject}" + (f"  {told_.detail}" if told_.detail not in ("", told_.subject) else "")
            )
        case Skipped():
            print(f"  stays   {told_.subject}: {told_.reason}")
        case Freed():
            print(f"  left on Docker's disk: {size(told_.before_bytes)} before, {size(told_.after_bytes)} now")
        case Finished():
            good = told_.outcome in (Outcome.COMMITTED, Outcome.UNCHANGED)
            print(f"{'done' if good else told_.outcome.value}: {told_.reason}")
