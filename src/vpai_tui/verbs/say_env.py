"""What is said of env files: names, marks and verdicts; a value is never here to be said."""

from __future__ import annotations

from typing import Any

from vpai_tui.deploy.envfiles import EnvFile, EnvReport
from vpai_tui.deploy.envinit import EnvDone, EnvPlan, still_to_fill
from vpai_tui.deploy.envwords import report_lines, step_lines, warning

_MARKS = {"error": "✖", "warn": "▲", "ok": "✔"}


def report_json(found: EnvReport) -> dict[str, Any]:
    """The `env check` document."""
    return {
        "stack": found.stack,
        "ok": found.ok,
        "files": [_file_json(file) for file in found.files],
        "ran": found.ran or None,
        "notes": list(found.notes),
    }


def _file_json(file: EnvFile) -> dict[str, Any]:
    keys = ("name", "state", "required", "known", "comes_from")
    problems = ("severity", "key", "line", "message")
    return {
        "path": file.path,
        "state": file.state,
        "required": file.required,
        "mode": file.mode or None,
        "owner": file.owner or None,
        "example": file.has_example,
        "services": list(file.services),
        "keys": [{name: getattr(key, name) for name in keys} for key in file.keys],
        "problems": [{name: getattr(it, name) or None for name in problems} for it in file.problems],
    }


def report(found: EnvReport) -> None:
    """Each file, and below it what is wrong."""
    for severity, line in report_lines(found):
        print(f"{_MARKS[severity]} {line}" if not line.startswith(" ") else f"    {_MARKS[severity]} {line.strip()}")
    if not found.ok:
        print(f"→ vpai-tui env {found.stack} init writes what is missing; edit opens a file")


def plan(found: EnvPlan) -> None:
    """What would be written, file by file."""
    if found.empty:
        print(f"{found.stack}: nothing to write; `vpai-tui env {found.stack} check` says how the files stand")
        return
    print(f"{found.stack}: write env files on {found.host}")
    for step in found.steps:
        for line in step_lines(step):
            print(f"  {line}")
    if found.confirm_word:
        print(f"  ✖ {warning(found)}")


def done_json(plan_: EnvPlan, done_: EnvDone) -> dict[str, Any]:
    """The `env init` document."""
    ways: dict[str, dict[str, list[str]]] = {path: {} for path in done_.wrote}
    for path, key, how in done_.made:
        ways[path].setdefault(how, []).append(key)
    created = {step.path: step.create for step in plan_.steps}
    return {
        "stack": done_.stack,
        "outcome": "done",
        "files": [
            {
                "path": path,
                "created": created[path],
                "generated": ways[path].get("generate", []),
                "copied": ways[path].get("same", []),
                "defaults": ways[path].get("default", []),
            }
            for path in done_.wrote
        ],
        "fill_in": [{"path": path, "key": key} for path, key in done_.left],
    }


def done(found: EnvDone) -> None:
    """What was written, and what is left to the operator."""
    for path in found.wrote:
        keys = [key for of, key, how in found.made if of == path and how == "generate"]
        print(f"✔ {path}" + (f"  generated {', '.join(keys)}" if keys else ""))
    left = still_to_fill(found)
    if left:
        print(f"still to fill in: {'; '.join(left)}")
        print(f"→ vpai-tui env {found.stack} edit FILE")
