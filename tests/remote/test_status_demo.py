"""The morning look on the demo: news, checks, each change told once; and a cockpit that is not the operator's eyes."""

import json
from pathlib import Path
from typing import Any

import pytest

from vpai_tui import cli
from vpai_tui.demo.engine.store import Engine
from vpai_tui.demo.you import said
from vpai_tui.errors import OperatorError
from vpai_tui.upkeep.table import CHECKS
from vpai_tui.vpn.session import Vpn

pytestmark = pytest.mark.xdist_group("status-demo")


@pytest.fixture(scope="module")
def demo_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


def run(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    code = cli.main(["status", *words, "--demo-dir", str(folder), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_every_check_is_told_and_the_news_until_they_were_seen(
    demo_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, told = run(demo_dir, capsys, "--seen")
    assert {row["check"] for row in told["checks"]} == {check.id for check in CHECKS}
    assert set(told["checks"][0]) == {"check", "host", "subject", "standing", "detail", "remedy", "target"}
    unknown = [row for row in told["checks"] if row["standing"] == "unknown"]
    assert all(row["detail"] for row in unknown)
    assert any(note.startswith("image updates: not known of ") for note in told["since"]["notes"])
    assert {"deploy", "spend"} <= {row["kind"] for row in told["since"]["news"]}
    assert set(told["since"]["news"][0]) == {"kind", "severity", "host", "subject", "text", "target"}
    _, again = run(demo_dir, capsys)
    assert not [row for row in again["since"]["news"] if row["kind"] in ("deploy", "replaced", "restart")]


def test_each_change_is_told_once_and_only_that_counts(demo_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Engine(demo_dir / "sese").change() as state:
        for container in state["containers"].values():
            container["behaviour"] = ""  # one of them flaps
    code, first = run(demo_dir, capsys, "--new", "--quick", "--fail-on", "warn")
    assert code == 1
    assert first["came"]
    assert run(demo_dir, capsys, "--new", "--quick", "--fail-on", "warn") == (
        0,
        {"schema": 1, "came": [], "went": []},
    )


def test_a_laptop_outside_the_vpn_is_an_error_with_its_remedy(
    demo_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (demo_dir / "laptop" / "tailscale.json").write_bytes(said(state="Stopped"))
    _, told = run(demo_dir, capsys)
    (you,) = [row for row in told["checks"] if row["check"] == "laptop"]
    assert (you["standing"], you["detail"]) == ("error", "this laptop is not in the VPN: Stopped")
    assert you["remedy"] == "tailscale up"
    assert any(alert["subject"] == "you" for alert in told["alerts"])


def test_quick_asks_nothing_of_it(demo_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, told = run(demo_dir, capsys, "--quick")
    assert (told["checks"], told["since"]) == (None, None)


def test_nothing_is_said_to_be_gone_while_whoever_told_it_is_silent(
    demo_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    book = demo_dir / "laptop" / "told-alerts.json"
    run(demo_dir, capsys, "--new", "--quick")
    old = json.loads(book.read_text())
    key = next(key for key in old["alerts"] if "old-phone" in key)
    old["alerts"] = {key: {**old["alerts"][key], "seen_at": "2026-01-01T00:00:00Z"}}
    book.write_text(json.dumps(old).replace("old-phone", "older-phone"))

    async def silent(_self: Vpn) -> None:
        raise OperatorError("Headscale does not answer", host="seko")

    with monkeypatch.context() as patch:
        patch.setattr(Vpn, "expiring", silent)
        assert run(demo_dir, capsys, "--new", "--quick")[1]["went"] == []
    held = json.loads(book.read_text().replace("old-phone", "oldest-phone"))
    for it in held["alerts"].values():
        it["seen_at"] = "2026-01-01T00:00:00Z"
    book.write_text(json.dumps(held))
    assert any("older-phone" in it for it in run(demo_dir, capsys, "--new", "--quick")[1]["went"])
