"""What is known of a service, as titled pairs for people: of the describe pane and of the verb."""

from __future__ import annotations

from typing import Any

from vpai_tui.widgets.backend import REACHED, Section


def sections(facts: dict[str, Any], placed: dict[str, Any] | None = None) -> list[Section]:
    """Nested facts as titled pairs: scalars at the top first, then where it is `placed`, then a section per nested
    value."""
    flat = tuple(
        (key.replace("_", " "), _word(value)) for key, value in facts.items() if not isinstance(value, dict | list)
    )
    nested = [
        Section(key.replace("_", " "), _pairs(value))
        for key, value in facts.items()
        if isinstance(value, dict | list) and value
    ]
    return [Section("service", flat), *_placed(placed or {}), *nested]


def _placed(placed: dict[str, Any]) -> list[Section]:
    """Where a service answers, and whom a restart disturbs."""
    reached = []
    for it in placed.get("access", ()):
        words = (it["url"], f"port {it['port']}", f"needs {', '.join(it['needs'])}" if it["needs"] else None)
        reached.append((_REACH[it["reach"]], "  ".join(word for word in words if word)))
    disturbed = [("", f"{it['service']}  {it['why']}") for it in placed.get("dependents", ())]
    found = (Section(REACHED, tuple(reached)), Section("a restart disturbs", tuple(disturbed)))
    return [section for section in found if section.items]


_REACH = {"public": "everybody", "vpn": "the VPN", "internal": "inside"}


def _pairs(value: Any) -> tuple[tuple[str, str], ...]:
    if isinstance(value, dict):
        return tuple((str(key).replace("_", " "), _word(item)) for key, item in value.items())
    return tuple(("", _word(item)) for item in value)


def _word(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return "  ".join(f"{key}={_word(item)}" for key, item in value.items() if item not in (None, "", [], {}))
    if isinstance(value, list | tuple):
        return ", ".join(_word(item) for item in value)
    return str(value)
