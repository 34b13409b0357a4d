"""What is said of an adoption: the mapping, the file, what was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vpai_tui.deploy.adopt import Proposal
from vpai_tui.deploy.survey import Match, Survey
from vpai_tui.fleet.operation import Event, Finished, Journaled
from vpai_tui.verbs.say import document, table


def survey(found: Survey, *, as_json: bool) -> None:
    """Every service with its container, then the containers that are none of ours."""
    if as_json:
        document(survey_json(found))
        return
    rows = [(match.id, *_choice(match)) for match in found.matches]
    table(("SERVICE", "CONTAINER", "STATE", "PROJECT", "EVIDENCE"), rows)
    if found.unclaimed:
        print("\nno service of ours:")
        table(
            ("CONTAINER", "STATE", "PROJECT", "IMAGE"),
            [(item.name, item.state, item.project or "-", item.image) for item in found.unclaimed],
        )


def _choice(match: Match) -> tuple[str, str, str, str]:
    if match.undecided:
        names = " or ".join(f"{item.found.name} ({', '.join(item.evidence)})" for item in match.candidates)
        return ("? say which", "-", "-", names)
    if match.choice is None:
        return ("-", "-", "-", "no container")
    found = match.choice.found
    return (found.name, found.state, found.project or "made by hand", ", ".join(match.choice.evidence))


def survey_json(found: Survey) -> dict[str, Any]:
    """The `adopt --show` document, without its schema."""
    return {
        "host": found.host,
        "services": [_match_json(match) for match in found.matches],
        "unclaimed": [
            {"container": item.name, "state": item.state, "project": item.project or None, "image": item.image}
            for item in found.unclaimed
        ],
    }


def _match_json(match: Match) -> dict[str, Any]:
    return {
        "stack": match.stack,
        "service": match.service,
        "container": match.choice.found.name if match.choice else None,
        "evidence": list(match.choice.evidence) if match.choice else [],
        "undecided": match.undecided,
        "candidates": [
            {"container": item.found.name, "points": item.points, "evidence": list(item.evidence)}
            for item in match.candidates
        ],
    }


def proposal(made: Proposal) -> None:
    """The file as it will be, or how it will change."""
    print()
    if made.unchanged:
        print(f"{made.path} says so already and is left as it is")
    elif made.before is None:
        print(f"{made.path}:")
        print("\n".join(f"  {line}" for line in made.text.splitlines()))
    else:
        print(f"{made.path} is there and would change (a copy is kept beside it):")
        print("\n".join(f"  {line}" for line in made.diff))
    for note in made.notes:
        print(f"  ! {note}")


def event(told: Event) -> None:
    """One line for what an operator wants to read."""
    if isinstance(told, Journaled) and told.what in ("adopted_file", "way_back"):
        print(f"· {told.detail}")
    elif isinstance(told, Finished):
        print("✔ adopted: `vpai-tui plan` shows what differs" if not told.exit_code else f"✖ {told.reason}")


def adopted(found: Survey, made: Proposal, events: Sequence[Event], last: Finished) -> None:
    """The `adopt` document."""
    recorded = [item.detail for item in events if isinstance(item, Journaled) and item.what == "way_back"]
    document(
        {
            **survey_json(found),
            "file": str(made.path),
            "root": made.adopted.root,
            "changed": not made.unchanged,
            "recorded": recorded,
            "outcome": last.outcome,
            "reason": last.reason,
            "notes": list(made.notes),
        }
    )
