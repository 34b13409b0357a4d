"""The VPN on the demo fleet, as an operator types it: the guards, the story of a record, and the `--json` contract."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vpai_tui import cli

pytestmark = pytest.mark.xdist_group("vpn-demo")  # one demo for all of them

Run = Callable[..., tuple[int, Any]]
CONFIG = "seko/opt/services/headscale/config/config.yaml"


@pytest.fixture(scope="module")
def demo_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vpn")


@pytest.fixture
def run(demo_dir: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("nodes", "list")` → exit code and the JSON that was printed (a list where lines were)."""

    def call(*words: str) -> tuple[int, Any]:
        code = cli.main([*words, "--demo-dir", str(demo_dir), "--json"])
        out = capsys.readouterr().out
        if words[:2] == ("dns", "apply"):
            return code, [json.loads(line) for line in out.splitlines()]
        return code, json.loads(out)

    return call


def state(demo_dir: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((demo_dir / "seko/headscale/state.json").read_text())
    return found


def test_nodes_list_marks_and_keys(run: Run, demo_dir: Path) -> None:
    code, told = run("nodes", "list")
    assert code == 0
    assert set(told) == {"schema", "server", "nodes", "notes"}
    assert set(told["server"]) == {"version", "url", "cannot"}
    nodes = {node["name"]: node for node in told["nodes"]}
    keys = {
        "id",
        "name",
        "hostname",
        "user",
        "addresses",
        "online",
        "expired",
        "expires_at",
        "last_seen",
        "tags",
        "routes",
    }
    assert set(nodes["sese"]) == keys | {"marks", "records"}
    assert set(nodes["sese"]["routes"][0]) == {"prefix", "advertised", "approved", "served"}
    assert {name: node["marks"] for name, node in nodes.items() if node["marks"]} == {
        "workstation-pi": ["router"], "ewutelo": ["self"], "seko": ["hub"],
    }  # fmt: skip
    assert nodes["old-phone"]["expired"] and nodes["old-phone"]["online"] is False
    assert "llm.ewutelo.cloud" in nodes["sese"]["records"]
    assert state(demo_dir)["apis"] == [], "the API key was deleted at the end"


def test_a_key_that_ends_is_an_alert_of_the_fleet(run: Run) -> None:
    alerts = {alert["subject"]: alert for alert in run("status")[1]["alerts"]}
    assert alerts["sese"]["severity"] == "warn" and "expires in" in alerts["sese"]["message"]


def test_a_key_that_a_record_needs_is_judged_in_the_status_as_in_the_cockpit(run: Run, demo_dir: Path) -> None:
    def severity() -> str:
        return str({alert["subject"]: alert for alert in run("status")[1]["alerts"]}["old-phone"]["severity"])

    file = demo_dir / CONFIG
    before, written_ns = file.read_text(), file.stat().st_mtime_ns
    assert severity() == "info", "nothing is known that needs it"
    file.write_text(before + "    - {name: phone.ewutelo.cloud, type: A, value: 100.64.0.9}\n")
    assert severity() == "error"
    file.write_text("dns: [")
    assert severity() == "info", "records that cannot be read need nothing, and hide no alert"
    file.write_text(before)
    os.utime(file, ns=(written_ns, written_ns))


def test_the_guards_refuse_and_yes_does_not_type_a_name(run: Run) -> None:
    for name, why in (("ewutelo", "connected through"), ("seko", "hub itself")):
        code, told = run("nodes", "delete", name, "--confirm", name)
        assert code == 2 and why in told["error"]["message"]
    code, told = run("nodes", "delete", "old-phone", "--yes")
    assert code == 2 and "--confirm old-phone" in told["error"]["remedy"]
    assert len(run("nodes", "list")[1]["nodes"]) == 5
    code, told = run("--read-only", "nodes", "rename", "sese", "x1", "--yes")
    assert code == 2 and "read-only" in told["error"]["message"]


def test_rename_tag_routes_and_delete(run: Run) -> None:
    code, told = run("nodes", "rename", "workstation-pi", "pi-5", "--yes")
    assert code == 0 and told["nodes"][0]["name"] == "pi-5"
    code, told = run("nodes", "tag", "pi-5", "--add", "studio", "--yes")
    assert code == 0 and set(told["nodes"][0]["tags"]) == {"tag:server", "tag:studio"}
    code, told = run("nodes", "routes", "sese", "--approve", "172.20.0.0/16", "--yes")
    assert code == 0 and told["routes"] == [
        {"prefix": "172.20.0.0/16", "advertised": True, "approved": True, "served": True}
    ]
    code, told = run("nodes", "routes", "sese", "--reject", "172.20.0.0/16", "--yes")
    assert code == 2, "a route that is served has its node's name typed"
    code, told = run("nodes", "expire", "sese", "--never", "--yes")
    assert code == 2 and "expires the node at once" in told["error"]["message"]
    code, told = run("nodes", "delete", "--offline", "30", "--expired", "--confirm", "old-phone")
    assert code == 0 and [node["name"] for node in told["nodes"]] == ["old-phone"]


def test_users_keys_and_a_machine_that_joins(run: Run, demo_dir: Path) -> None:
    url = "https://singa.example.org/register/VPAIDEMOWAITING0LAPTOP24"
    code, told = run("nodes", "register", url, "--user", "famille", "--yes")
    assert code == 0 and told["nodes"][0]["name"] == "new-laptop"
    assert run("users", "create", "1bob", "--yes")[0] == 2
    assert {user["name"] for user in run("users", "create", "invite", "--yes")[1]["users"]} == {
        "mobuone",
        "famille",
        "invite",
    }
    code, told = run("keys", "create", "--user", "invite", "--life", "24h", "--show", "--yes")
    secret = told["line"].split()[-1]
    assert code == 0 and "--login-server https://singa.ewutelo.cloud" in told["line"] and len(secret) == 48
    assert secret not in told["key"]
    _, listed = run("keys", "list")
    assert set(listed["keys"][0]) == {
        "id", "user", "key", "reusable", "ephemeral", "used", "usable", "expires_at", "tags",
    }  # fmt: skip
    assert secret not in json.dumps(listed)
    _, told = run("keys", "expire", str(listed["keys"][-1]["id"]), "--yes")
    assert [key["usable"] for key in told["keys"]] == [True, False]
    journal = (demo_dir / "laptop/history.jsonl").read_text()
    assert "keys create" in journal and secret not in journal


def test_the_story_of_a_record(run: Run, demo_dir: Path) -> None:
    """Staged, undone, refused, compared, applied, resolving; the file's other bytes are the same."""
    file = demo_dir / CONFIG
    code, told = run("dns", "list")
    before = file.read_text()
    assert code == 0 and told["source"] == "config" and told["loaded"] is True and told["drift"] is None
    row = {"name", "type", "value", "in_file", "loaded", "resolves", "node", "problems", "staged"}
    assert set(told["records"][0]) == row and all(it["resolves"] for it in told["records"])
    told_of = {it["name"]: [problem["severity"] for problem in it["problems"]] for it in told["records"]}
    assert told_of.pop("ewutelo.cloud") == ["info"]  # inside the VPN the domain's own name leads to Sese-AI
    assert not any(told_of.values())
    assert run("dns", "add", "singa.ewutelo.cloud", "A", "100.64.0.5")[0] == 78
    assert run("dns", "add", "x.ewutelo.cloud", "A", "fd7a::1")[0] == 2
    assert run("dns", "add", "wiki.ewutelo.cloud", "A", "sese")[1]["warnings"] == []
    _, told = run("dns", "add", "wiki.ewutelo.cloud", "A", "100.64.0.1")
    assert [it.partition(";")[0] for it in told["warnings"]] == [
        "wiki.ewutelo.cloud A 100.64.0.1: this name has several addresses of one family"
    ]
    assert run("dns", "undo")[1]["warnings"] == []
    assert "no node has this address" in run("dns", "add", "y.ewutelo.cloud", "A", "100.64.0.99")[1]["warnings"][0]
    run("dns", "undo")
    run("dns", "remove", "oc.ewutelo.cloud")
    assert run("dns", "undo")[1]["staged"] == [
        {"kind": "add", "old": None, "new": {"name": "wiki.ewutelo.cloud", "type": "A", "value": "100.64.0.14"}}
    ]
    _, diff = run("dns", "diff")
    assert set(diff) == {
        "schema",
        "added",
        "removed",
        "changed",
        "yaml_diff",
        "restart_needed",
        "conflicts",
        "warnings",
    }
    assert diff["restart_needed"] and [it["name"] for it in diff["added"]] == ["wiki.ewutelo.cloud"]
    assert diff["warnings"][0].startswith("you come through the VPN (100.64.0.2)")
    code, events = run("dns", "apply", "--yes")
    assert code == 0 and events[-1]["outcome"] == "committed"
    told = {event["what"]: event["detail"] for event in events if event["event"] == "journaled"}
    assert told["checked"].endswith(" nodes, /health of here https://singa.ewutelo.cloud")
    assert told["verified"].endswith(" nodes answer; wiki.ewutelo.cloud resolves")
    assert file.read_text() == before + "    - {name: wiki.ewutelo.cloud, type: A, value: 100.64.0.14}\n"
    _, told = run("dns", "list")
    new = next(it for it in told["records"] if it["name"] == "wiki.ewutelo.cloud")
    assert new["in_file"] and new["loaded"] and new["resolves"] and new["staged"] is None
    assert run("dns", "check")[0] == 0
    assert run("dns", "apply", "--yes")[1][-1]["outcome"] == "unchanged"


def test_a_machine_that_joined_again_is_followed_by_its_records(run: Run, demo_dir: Path) -> None:
    code, told = run("dns", "retarget", "100.64.0.14", "ewutelo")
    assert code == 0 and len(told["staged"]) == 11
    assert run("dns", "diff")[1]["changed"][0]["new"]["value"] == "100.64.0.2"
    assert run("dns", "discard")[1]["staged"] == []


def test_a_headscale_that_does_not_come_back_gets_its_old_records(run: Run, demo_dir: Path) -> None:
    file = demo_dir / CONFIG
    before = file.read_bytes()
    (demo_dir / "seko/headscale/fault").touch()
    run("dns", "add", "bad.ewutelo.cloud", "A", "sese")
    code, events = run("dns", "apply", "--yes")
    (demo_dir / "seko/headscale/fault").unlink()
    assert code == 4 and events[-1]["outcome"] == "reverted" and events[-1]["output"]
    assert file.read_bytes() == before
    assert len(run("nodes", "list")[1]["nodes"]) == 5
    assert len(run("dns", "diff")[1]["added"]) == 1, "what was staged is still there"


def test_a_restart_that_would_find_no_relays_is_refused(run: Run, demo_dir: Path) -> None:
    file = demo_dir / CONFIG
    before = file.read_text()
    without = before.replace("    enabled: true", "    enabled: false")
    file.write_text(without)
    code, events = run("dns", "apply", "--yes")
    assert code == 78 and "neither an embedded relay" in events[-1]["error"]["message"]
    file.write_text(without.replace("  urls: []", "  urls: [https://relays.example/map]"))
    code, events = run("dns", "apply", "--yes")
    assert code == 78 and events[-1]["reason"].startswith("Headscale would not start again without a relay map: https:")
    file.write_text(before)
    assert len(run("dns", "diff")[1]["added"]) == 1, "nothing was changed, and it is staged still"


def test_a_version_that_is_not_known_is_only_read(run: Run, demo_dir: Path) -> None:
    kept = demo_dir / "seko/headscale/state.json"
    before = kept.read_text()
    kept.write_text(before.replace('"version": "0.26.0"', '"version": "0.31.0"'))
    assert run("nodes", "list")[1]["server"]["version"] == "0.31.0"
    for words in (("dns", "add", "x.ewutelo.cloud", "A", "sese"), ("users", "create", "nobody", "--yes")):
        code, told = run(*words)
        assert code == 2 and "newer than this client knows" in told["error"]["message"]
    code, events = run("dns", "apply", "--yes")
    assert code == 78 and "newer than this client knows" in events[-1]["error"]["message"]
    kept.write_text(before)


def test_another_writer_is_noticed(run: Run, demo_dir: Path) -> None:
    file = demo_dir / CONFIG
    file.write_text(file.read_text().replace("    - {name: oc.ewutelo.cloud, type: A, value: 100.64.0.1}\n", ""))
    _, told = run("dns", "list")
    assert "another writer" in told["drift"]
    assert told["loaded"] is None and any("after Headscale started" in note for note in told["notes"])
    run("dns", "discard")
    assert "another writer changed the records since your last apply" in run("dns", "list")[1]["drift"]


def test_both_sources_set_are_refused(run: Run, demo_dir: Path) -> None:
    file = demo_dir / CONFIG
    before = file.read_text()
    file.write_text(before.replace("  extra_records:", "  extra_records_path: /etc/headscale/r.json\n  extra_records:"))
    (file.parent / "r.json").write_text("[]")
    code, told = run("dns", "add", "x.ewutelo.cloud", "A", "100.64.0.14")
    assert code == 78 and "both set" in told["error"]["message"]
    file.write_text(before)


def test_a_records_file_needs_no_restart(run: Run, demo_dir: Path) -> None:
    file = demo_dir / CONFIG
    run("dns", "discard")
    head, _, _ = file.read_text().partition("  # Read at start only.")
    file.write_text(f"{head}  extra_records_path: /etc/headscale/r.json\n")
    (file.parent / "r.json").write_text('[{"name": "llm.ewutelo.cloud", "type": "A", "value": "100.64.0.14"}]')
    assert run("restart", "seko/headscale/headscale", "--yes")[0] == 0
    run("dns", "add", "p.ewutelo.cloud", "A", "100.64.0.14")
    _, told = run("dns", "diff")
    assert (told["restart_needed"], told["warnings"]) == (False, [])
    code, events = run("dns", "apply", "--yes")
    told = [event.get("what") for event in events]
    assert code == 0 and events[-1]["outcome"] == "committed" and "restarting" not in told and "tested" not in told
    _, told = run("dns", "list")
    assert told["source"] == "path" and told["loaded"] is True
    assert {it["name"]: it["resolves"] for it in told["records"]} == {
        "llm.ewutelo.cloud": True,
        "p.ewutelo.cloud": True,
    }


def test_records_are_shown_while_headscale_is_down(run: Run) -> None:
    assert run("stop", "seko/headscale/headscale", "--confirm", "headscale")[0] == 0
    code, told = run("nodes", "list")
    assert code == 1 and told["error"]["step"] == "headscale"
    _, told = run("dns", "list")
    assert (
        len(told["records"]) == 2 and told["loaded"] is False and any("does not run" in note for note in told["notes"])
    )
    run("dns", "add", "q.ewutelo.cloud", "A", "100.64.0.14")
    code, events = run("dns", "apply", "--yes")
    assert code == 78 and events[-1]["outcome"] == "refused"
