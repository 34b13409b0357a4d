"""What is said of env files: names, marks and verdicts; a value is never here to be said."""

from __future__ import annotations

from typing import Any

from vpai_tui.deploy.envfiles import EnvFile, EnvReport
from vpai_tui.deploy.envinit import EnvDone, EnvPlan, EnvStep, still_to_fill

_MARKS = {"error": "✖", "warn": "▲"}


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
    for file in found.files:
        worst = "error" if any(it.severity == "error" for it in file.problems) else "warn" if file.problems else ""
        print(f"{_MARKS.get(worst, '✔')} {file.path}  {summary(file)}")
        for it in file.problems:
            where = " ".join(word for word in (it.key, f"line {it.line}" if it.line else "") if word)
            print(f"    {_MARKS[it.severity]} {f'{where} ' if where else ''}{it.message}")
    for note in found.notes:
        print(f"  ! {note}")
    if not found.files:
        print(f"✔ {found.stack} has no env files")
    if not found.ok:
        print(f"→ vpai-tui env {found.stack} init writes what is missing; edit opens a file")


def summary(file: EnvFile) -> str:
    """A file in a few words."""
    if file.state != "present":
        return file.state + ("" if file.required else " (optional)")
    known = [key for key in file.keys if key.state == "set"]
    return f"{len(known)} of {len(file.keys)} keys set"


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


def step_lines(step: EnvStep) -> list[str]:
    """A step as lines: the file, then its keys by where their values come from."""
    head = f"+ {step.path}  new: root, mode 600" if step.create else f"~ {step.path}"
    rows = [head + ("  becomes root's, mode 600" if step.tighten else "")]
    parts = (
        ("generated there", step.generated),
        ("copied there", step.copied),
        ("as in the example", step.defaults),
        ("yours to fill in", step.blank),
    )
    return rows + [f"    {what:<18} {', '.join(keys)}" for what, keys in parts if keys]


def warning(found: EnvPlan) -> str:
    """Why a plan asks for a typed name."""
    return f"this stack has {found.ran} already: what they keep under an older secret does not open to a new one"


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
