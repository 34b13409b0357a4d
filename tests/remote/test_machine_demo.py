"""`units` and `guard` on the demo fleet: shown, restarted, unbanned, refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vpai_tui import cli
from vpai_tui.clock import SystemClock
from vpai_tui.demo.fleet import build

pytestmark = pytest.mark.xdist_group("upkeep-demo")  # one demo for all of them

Run = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def demo_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("machine"), seed=7, clock=SystemClock(), reset=False)


@pytest.fixture
def run(demo_dir: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str) -> tuple[int, Any]:
        code = cli.main([*words, "--demo-dir", str(demo_dir), "--json"])
        out = capsys.readouterr().out
        return code, json.loads(out) if out.startswith("{\n") else [json.loads(line) for line in out.splitlines()]

    return call


def test_units_are_shown_and_one_is_restarted(run: Run) -> None:
    code, found = run("units", "pi")
    (pi,) = found["hosts"]
    assert (code, list(pi)) == (0, ["host", "systemd", "units", "programs", "error"])
    before = {it["unit"]: it["since"] for it in pi["units"]}
    assert list(pi["units"][0]) == [
        "unit", "installed", "state", "sub", "enabled", "since", "memory_bytes", "restarts",
    ]  # fmt: skip
    assert pi["programs"] == [
        {"name": "opencode", "version": "1.2.8"},
        {"name": "claude", "version": "2.1.47 (Claude Code)"},
    ]
    code, lines = run("units", "pi", "restart", "node_exporter", "--yes")
    assert (code, [it["event"] for it in lines]) == (0, ["planned", "journaled", "finished"])
    after = {it["unit"]: it["since"] for it in run("units", "pi")[1]["hosts"][0]["units"]}
    assert {name for name in after if after[name] != before[name]} == {"node_exporter.service"}


def test_what_the_way_in_stands_on_is_typed(run: Run) -> None:
    code, found = run("units", "seko", "restart", "tailscaled", "--yes")
    assert (code, found[0]["event"], found[0]["confirm"]) == (2, "planned", "tailscaled.service")
    code, lines = run("units", "seko", "restart", "tailscaled", "--confirm", "tailscaled.service")
    assert (code, lines[-1]["outcome"]) == (0, "committed")
    assert run("units", "seko", "restart", "cron", "--yes")[0] == 2
    assert run("--read-only", "units", "seko", "restart", "tailscaled", "--yes")[0] == 2


def test_guards_bans_and_ports(run: Run) -> None:
    code, found = run("guard", "sese")
    (sese,) = found["hosts"]
    assert (code, {it["name"]: it["state"] for it in sese["guards"]}) == (
        0, {"ufw": "up", "fail2ban": "up", "crowdsec": "up"},
    )  # fmt: skip
    assert {it["address"] for it in sese["bans"]} >= {"203.0.113.7", "198.51.100.77"}
    assert [(it["port"], it["reach"], it["meant"]) for it in sese["ports"]] == [(443, "all", "public")]
    assert {it["state"] for it in run("guard", "pi")[1]["hosts"][0]["guards"]} == {"absent"}


def test_an_address_is_let_in_again(run: Run) -> None:
    for address, by in (("203.0.113.7", "fail2ban sshd"), ("198.51.100.77", "crowdsec")):
        code, found = run("guard", "sese", "unban", address, "--yes")
        assert (code, found["lifted"], address in found["way_back"]) == (0, [by], True)
    assert {it["address"] for it in run("guard", "sese")[1]["hosts"][0]["bans"]} == {"203.0.113.90", "198.51.100.23"}
    assert run("guard", "sese", "unban", "-x; reboot", "--yes")[0] == 2
    last = run("history", "--local")[1]["entries"][-1]
    assert (last["what"], last["subject"], last["result"]) == ("unban", "198.51.100.77", "done")


def test_a_host_that_is_gone_costs_only_its_own_line(run: Run, monkeypatch: pytest.MonkeyPatch, demo_dir: Path) -> None:
    from vpai_tui import world

    real = world.read_fleet

    def without_pi(fleet: Any, *rest: Any) -> Any:
        known, stacks = real(fleet, *rest)
        import msgspec

        pi = known.hosts["pi"]
        closed = msgspec.structs.replace(pi, ssh=msgspec.structs.replace(pi.ssh, port=9))
        return msgspec.structs.replace(known, hosts={**known.hosts, "pi": closed}), stacks

    monkeypatch.setattr(world, "read_fleet", without_pi)
    code, found = run("units")
    assert code == 0
    told = {it["host"]: it["error"] for it in found["hosts"]}
    assert (told["sese"], told["seko"], bool(told["pi"])) == (None, None, True)
