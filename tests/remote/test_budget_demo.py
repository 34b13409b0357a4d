"""The budget on the demo fleet, as an operator types it: each turn of a knob proved, kept, told and taken back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vpai_tui import cli
from vpai_tui.demo.engine.store import Engine
from vpai_tui.demo.litellm import scenes

pytestmark = pytest.mark.xdist_group("budget-demo")  # one demo for all of them

Run = Callable[..., tuple[int, Any]]
CONFIG = "sese/opt/vpai/configs/litellm/litellm_config.yaml"


@pytest.fixture(scope="module")
def demo_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("budget")


@pytest.fixture
def run(demo_dir: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("budget")` → exit code and the JSON that was printed (a list where lines were)."""

    def call(*words: str) -> tuple[int, Any]:
        code = cli.main([*words, "--demo-dir", str(demo_dir), "--json"])
        out = capsys.readouterr().out
        return code, json.loads(out) if out.startswith("{\n") else [json.loads(line) for line in out.splitlines()]

    return call


def told(lines: Any) -> list[str]:
    return [line.get("what") or line["event"] for line in lines]


def test_the_sums_fit(run: Run) -> None:
    code, found = run("budget")
    assert (code, found["mode"], found["enforcement"], found["cap_usd"]) == (0, "normal", "enforced", 5.0)
    assert sum(it["billed_usd"] for it in found["by_provider"]) == pytest.approx(found["spend_usd"], abs=1e-4)
    assert {it["provider"] for it in found["by_provider"] if it["target_share"]} == {
        "openrouter", "anthropic", "openai", "zai",
    }  # fmt: skip


def test_a_cap_is_proved_and_kept_and_taken_back(run: Run, demo_dir: Path) -> None:
    before = (demo_dir / CONFIG).read_text()
    code, lines = run("budget", "set", "3", "--yes")
    assert (code, told(lines)) == (0, ["planned", "set", "enforced", "kept", "finished"])
    assert (demo_dir / CONFIG).read_text() == before.replace("max_budget: 5.00", "max_budget: 3.00")
    assert run("budget")[1]["cap_usd"] == 3.0
    code, lines = run("budget", "undo", "--yes")
    assert (code, lines[-1]["outcome"]) == (0, "committed")
    assert (demo_dir / CONFIG).read_text() == before


def test_eco_is_proved_by_a_live_call(run: Run) -> None:
    code, lines = run("budget", "eco", "on", "--yes", "--prove", "claude-sonnet")
    assert (code, told(lines)) == (0, ["planned", "set", "enforced", "finished", "proved"])
    assert (lines[-1]["asked"], lines[-1]["answered"]) == ("claude-sonnet", "qwen3-coder")


def test_over_the_cap_it_holds_until_the_cap_is_raised(run: Run, demo_dir: Path) -> None:
    assert scenes.play(Engine(demo_dir / "sese"), "over")
    code, (refused,) = run("budget", "eco", "off", "--yes")
    assert code == 78 and "raise the cap first" in refused["error"]["message"]
    assert any("100 % on" in alert["subject"] for alert in run("status")[1]["alerts"])
    assert run("budget", "set", "9", "--yes")[0] == 0
    assert run("budget", "eco", "off", "--yes")[0] == 0
    assert run("budget")[1]["mode"] == "normal"


def test_the_journal_has_every_turn(run: Run) -> None:
    entries = [it for it in run("history", "--local")[1]["entries"] if it["what"].startswith("budget")]
    assert [(it["what"], it["detail"]) for it in entries] == [
        ("budget cap", "5.00 → 3.00"),
        ("budget cap", "3.00 → 5.00 (the file's)"),
        ("budget mode", "normal → eco"),
        ("budget cap", "5.00 → 9.00"),
        ("budget mode", "eco → normal"),
    ]
    assert {(it["subject"], it["result"]) for it in entries} == {("sese/apps/litellm", "committed")}
