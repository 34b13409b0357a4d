"""The command line on the demo fleet, as an operator types it; and the `--json` contract of docs/json.md."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vpai_tui import cli

pytestmark = pytest.mark.xdist_group("cli-demo")  # one demo for all of them

Run = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def demo_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture
def run(demo_dir: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("plan", "apps")` → exit code and the JSON that was printed (a list where lines were)."""

    def call(*words: str) -> tuple[int, Any]:
        code = cli.main([*words, "--demo-dir", str(demo_dir), "--json"])
        out = capsys.readouterr().out
        try:
            return code, json.loads(out)
        except json.JSONDecodeError:
            return code, [json.loads(line) for line in out.splitlines()]

    return call


def keys(row: dict[str, Any]) -> set[str]:
    return set(row)


def test_status_tells_hosts_stacks_services_and_alerts(run: Run) -> None:
    code, told = run("status")
    assert code == 0
    assert told["schema"] == 1
    assert [host["name"] for host in told["hosts"]] == ["sese", "seko", "pi"]
    assert {host["state"] for host in told["hosts"]} == {"ready"}
    host = {"name", "state", "address", "error", "age_s", "load", "memory", "disks", "docker", "compose", "hold"}
    assert keys(told["hosts"][0]) == host
    service = {"host", "stack", "service", "sync", "health", "image", "restarts", "ports", "age_s"}
    assert keys(told["services"][0]) == service
    assert {"severity", "host", "subject", "message", "remedy"} == keys(told["alerts"][0])
    assert {row["sync"] for row in told["services"]} >= {"in_sync", "drifted"}


def test_fail_on_is_for_cron(run: Run) -> None:
    assert run("status", "--fail-on", "warn")[0] == 1


def test_a_deploy_then_no_change_then_back(run: Run) -> None:
    """The story of the README: plan, deploy, an empty plan, releases, rollback with the old bits."""
    code, plan = run("plan", "sese/apps", "--exit-code")
    assert code == 3
    assert keys(plan) == {
        "schema",
        "stack",
        "base",
        "release",
        "changes",
        "installs",
        "kept",
        "notes",
        "hold",
        "before",
        "after",
        "dumps",
        "dangers",
        "summary",
    }
    change = next(row for row in plan["changes"] if row["effect"] != "none")
    assert change["causes"]
    assert keys(change["causes"][0]) == {"kind", "detail"}

    code, events = run("deploy", "sese/apps", "--yes")
    assert code == 0
    assert events[0]["event"] == "planned"
    assert events[-1]["event"] == "finished"
    assert events[-1]["outcome"] == "committed"
    names = [event["event"] for event in events]
    assert names.index("layer_pulled") < names.index("runner_started") < names.index("service_healthy")

    assert run("plan", "sese/apps", "--exit-code")[0] == 0
    assert run("deploy", "sese/apps", "--yes")[1][-1]["outcome"] == "unchanged"

    _, told = run("releases", "apps")
    assert told["current"] == events[-1]["release"]
    assert told["releases"][0]["id"] == told["current"]
    assert keys(told["releases"][0]) == {
        "id", "at", "by", "outcome", "restorable", "reason", "rollback_of", "commit", "dirty", "checkout", "images",
        "data_newer", "dumps",
    }  # fmt: skip
    previous = next(row for row in told["releases"] if row["restorable"])

    code, back = run("rollback", "apps", "--yes")
    assert code == 0
    assert back[-1]["outcome"] == "committed"
    _, after = run("releases", "apps")
    assert after["releases"][0]["rollback_of"] == previous["id"]
    assert after["releases"][0]["images"] == previous["images"]

    _, history = run("history", "--local")
    assert [row["what"] for row in history["entries"]] == ["deploy", "deploy", "rollback"]


def test_a_stack_with_data_wants_its_name(run: Run) -> None:
    code, told = run("deploy", "sese/infra", "--yes")
    assert code == 2
    assert "--confirm sese/infra" in told["error"]["remedy"]


def test_a_way_back_that_changes_nothing_is_passed_over(run: Run) -> None:
    """sese/infra is deployed for a drift only: its new release is what the one before was."""
    code, _ = run("deploy", "sese/infra", "--confirm", "sese/infra")
    assert code == 0
    _, told = run("releases", "sese/infra")
    current, same, *older = [row["id"] for row in told["releases"] if row["restorable"] or row["id"] == told["current"]]
    assert current == told["current"] and older
    code, events = run("rollback", "sese/infra", "--confirm", "sese/infra")
    planned, finished = events[0], events[-1]
    assert (code, finished["outcome"]) == (0, "committed")
    assert f"{same} is what runs already and is passed over" in planned["notes"]


def test_one_service_is_restarted_and_described(run: Run) -> None:
    code, told = run("restart", "litellm", "--yes")
    assert (code, told["outcome"]) == (0, "done")
    code, told = run("describe", "litellm")
    assert code == 0
    assert told["id"] == "sese/apps/litellm"
    assert told["env_keys"]
    assert "env" not in told
    assert told["past"]["hours"] == 24
    for name in ("cpu_percent", "memory_bytes"):
        assert list(told["past"][name]) == ["least", "mean", "most"]
        assert 0 <= told["past"][name]["least"] <= told["past"][name]["mean"] <= told["past"][name]["most"]
    assert told["notes"] == []
    code, told = run("describe", "headscale")
    assert (code, told["past"]) == (0, {"hours": 24, "cpu_percent": None, "memory_bytes": None})
    assert "VictoriaMetrics has no figures" in told["notes"][0]


def test_nothing_to_settle_is_said(run: Run) -> None:
    for words in (["apps", "--yes"], ["infra"]):  # before anything is asked
        code, told = run("revert", *words)
        assert code == 2
        assert "interrupted" in told["error"]["message"]


def test_stopping_on_the_hub_wants_the_name(run: Run) -> None:
    code, told = run("stop", "headscale", "--yes")
    assert code == 2
    assert "--confirm headscale" in told["error"]["remedy"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["plan", "nope"], "nope"),
        (["rollback", "apps", "--to", "1999", "--yes"], "1999"),
        (["describe", "sese/apps/nope"], "nope"),
    ],
)
def test_names_that_are_not_there(run: Run, words: list[str], message: str) -> None:
    code, told = run(*words)
    assert code == 2
    assert message in told["error"]["message"]


def test_doctor_finds_the_demo_fit(run: Run) -> None:
    code, told = run("doctor")
    assert code == 0, [row for row in told["checks"] if row["ok"] is False]
    assert {row["host"] for row in told["checks"]} == {"laptop", "sese", "seko", "pi"}


@pytest.mark.parametrize("host", ["sese", "seko", "pi"])
def test_every_demo_host_can_be_one_that_ran_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], host: str
) -> None:
    assert cli.main(["adopt", host, "--show", "--json", "--demo-dir", str(tmp_path), "--demo-foreign", host]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["services"]
    assert all(str(row["container"]).startswith("javisi_") for row in shown["services"]), shown


def test_a_host_that_ran_before_is_adopted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*words: str) -> tuple[int, Any]:
        code = cli.main([*words, "--json", "--demo-dir", str(tmp_path), "--demo-foreign", "pi"])
        return code, json.loads(capsys.readouterr().out)

    code, told = run("plan", "opencut")
    assert code == 78
    assert "opencut-db would be created, but it runs already" in told["error"]["message"]
    assert "port 127.0.0.1:3100 is one of the container javisi_opencut" in told["error"]["output"]
    code, shown = run("adopt", "pi", "--show")
    assert (code, set(shown)) == (0, {"schema", "host", "services", "unclaimed"})
    found = {row["service"]: row["container"] for row in shown["services"] if row["stack"] == "pi/opencut"}
    assert found == {name: f"javisi_{name}" for name in ("opencut-db", "opencut-valkey", "opencut-srh", "opencut")}
    code, told = run("adopt", "pi")
    assert (code, told["error"]["remedy"]) == (2, "give --yes")
    code, told = run("adopt", "pi", "--yes")
    assert set(told) == {*shown, "file", "root", "changed", "recorded", "outcome", "reason", "notes"}
    recorded = [f"pi/{name} is r0" for name in ("edge", "creative", "opencut", "monitoring")]
    assert (code, told["outcome"], told["recorded"]) == (0, "committed", recorded)
    code, told = run("plan", "opencut")
    assert (code, told["base"], told["summary"]) == (0, "00000000T000000-r0", "nothing to change")
