"""Env files in words, the same on the command line and on screen."""

from __future__ import annotations

from vpai_tui.deploy.envfiles import EnvFile, EnvProblem, EnvReport
from vpai_tui.deploy.envinit import EnvPlan, EnvStep


def report_lines(found: EnvReport) -> list[tuple[str, str]]:
    """(ok, warn or error; text): each file, and indented below it what is wrong."""
    rows: list[tuple[str, str]] = []
    for file in found.files:
        severities = {it.severity for it in file.problems}
        rows.append((next((it for it in ("error", "warn") if it in severities), "ok"), f"{file.path}  {summary(file)}"))
        rows += [(it.severity, f"  {_problem(it)}") for it in file.problems]
    rows += [("error", f"  {note}") for note in found.notes]
    return rows or [("ok", f"{found.stack} has no env files")]


def _problem(it: EnvProblem) -> str:
    return " ".join(word for word in (it.key, f"line {it.line}" if it.line else "", it.message) if word)


def summary(file: EnvFile) -> str:
    """A file in a few words."""
    if file.state != "present":
        return file.state + ("" if file.required else " (optional)")
    known = [key for key in file.keys if key.state == "set"]
    return f"{len(known)} of {len(file.keys)} keys set"


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
