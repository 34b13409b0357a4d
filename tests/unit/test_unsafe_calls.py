"""No call that runs, parses or draws what it is given without looking at it."""

from __future__ import annotations

import ast
from pathlib import Path

import vpai_tui

SOURCES = sorted(Path(vpai_tui.__file__).parent.rglob("*.py"))
NEVER = {"eval", "exec", "os.system", "os.popen", "pickle.loads", "pickle.load", "marshal.loads", "shelve.open"}
NEVER_METHODS = {"from_markup", "unsafe_load", "full_load", "extractall"}


def offences(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        if name in NEVER or name.rpartition(".")[2] in NEVER_METHODS:
            found.append(name)
        if name == "yaml.load" and not any(word.arg == "Loader" for word in node.keywords):
            found.append(name)
        if any(word.arg == "shell" and ast.unparse(word.value) != "False" for word in node.keywords):
            found.append(f"{name}(shell=…)")
    return found


def test_the_sources_make_no_unsafe_call() -> None:
    assert {path.name: found for path in SOURCES if (found := offences(path.read_text(encoding="utf-8")))} == {}


def test_each_unsafe_call_would_be_found() -> None:
    source = "eval(x); os.system(x); Text.from_markup(x); yaml.load(x); run(x, shell=True); tar.extractall(x)"
    assert len(offences(source)) == 6
