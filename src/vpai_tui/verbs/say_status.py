"""What is said of the checks and of what has happened since the last look."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.upkeep.news import headline
from vpai_tui.upkeep.table import BY_ID
from vpai_tui.verbs.say_fleet import alert_json, alert_line

if TYPE_CHECKING:
    from vpai_tui.upkeep.news import Morning
    from vpai_tui.upkeep.told import Change

_MARKS = {Standing.OK: "✔", Standing.WARN: "▲", Standing.ERROR: "✖", Standing.UNKNOWN: "◌"}


def morning_json(found: Morning | None) -> dict[str, Any]:
    """`checks` and `since` of the `status` document; null where they were not asked for."""
    if found is None:
        return {"checks": None, "since": None}
    news = [asdict(it) for it in found.since.news]
    return {
        "checks": [_finding_json(it) for it in found.report.findings],
        "since": {"at": found.since.at, "news": news, "notes": list(found.since.notes)},
    }


def _finding_json(found: Finding) -> dict[str, Any]:
    return {
        "check": found.check,
        "host": found.host or None,
        "subject": found.subject or None,
        "standing": found.standing,
        "detail": found.detail,
        "remedy": found.remedy,
        "target": found.target or None,
    }


def morning(found: Morning | None, *, every: bool) -> None:
    """What has happened since; how the checks stand in one line, or all of them with `every`."""
    if found is None:
        return
    since = found.since
    print(f"since {since.at}: {headline(since.news) or 'nothing happened'}" if since.at else "first look")
    for it in since.news:
        print(f"◆ {f'{it.host} ' if it.host else ''}{it.subject}: {it.text}")
    for note in since.notes:
        print(f"◌ {note}")
    findings = found.report.findings
    counts = [(word, sum(1 for it in findings if it.standing is word)) for word in Standing]
    told = ", ".join(f"{count} {word}" for word, count in counts if count)
    print(f"checks: {told}{'' if every else ' (--checks)'}")
    for finding in findings if every else ():
        check(finding)


def check(found: Finding) -> None:
    """One finding in a line, and the remedy of a bad one below it."""
    where = " ".join(word for word in (found.host, found.subject) if word)
    told = f"cannot be known: {found.detail}" if found.standing is Standing.UNKNOWN else found.detail
    print(f"{_MARKS[found.standing]} {BY_ID[found.check].title}{f' ({where})' if where else ''}: {told}")
    if found.remedy and found.standing is not Standing.OK:
        print(f"    → {found.remedy}")


def change_json(found: Change) -> dict[str, Any]:
    """The `status --new` document."""
    return {"came": [alert_json(it) for it in found.came], "went": list(found.went)}


def change(found: Change) -> None:
    """What came and what went; nothing where nothing did."""
    for alert in found.came:
        alert_line(alert)
    for message in found.went:
        print(f"✔ gone: {message}")
