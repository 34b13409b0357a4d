"""The command line: options on both sides of the verb, questions where nobody can be asked, clear errors."""

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from vpai_tui import cli, cli_print
from vpai_tui.cli_ask import confirm
from vpai_tui.errors import UsageError
from vpai_tui.fleet.operation import Cause, Change, Effect, Finished, LayerPulled, Outcome, Plan

AT = "2026-02-26T23:04:00Z"


def plan(**changed: object) -> Plan:
    change = Change("litellm", Effect.RECREATE, (Cause("image", "v1 → v2"),), interruption_s=12.0)
    base = {
        "stack": "sese/apps",
        "kind": "deploy",
        "base": "r1",
        "release": "r2",
        "fingerprint": "f",
        "changes": (change, Change("n8n", Effect.NONE)),
    }
    return Plan(**{**base, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize("argv", [["--demo", "--json", "status"], ["status", "--demo", "--json"]])
def test_options_stand_before_or_after_the_verb(argv: list[str]) -> None:
    args = cli._parse(argv)
    assert (args.verb, args.demo, args.json) == ("status", True, True)


def test_a_demo_folder_means_the_demo(tmp_path: Path) -> None:
    assert cli._parse(["--demo-dir", str(tmp_path), "plan", "apps"]).demo
    assert not cli._parse(["plan", "apps"]).demo


def test_a_missing_configuration_is_a_usage_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["status", "--config", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml" in capsys.readouterr().err


def test_an_error_is_json_where_json_was_asked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["status", "--json", "--config", str(tmp_path / "none.yaml")]) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == 1
    assert told["error"]["exit_code"] == 2


def test_init_writes_and_never_overwrites(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["init", str(tmp_path)]) == 0
    fleet = tmp_path / "config" / "fleet.yaml"
    fleet.write_text("mine")
    assert cli.main(["init", str(tmp_path)]) == 0
    assert fleet.read_text() == "mine"
    assert "kept" in capsys.readouterr().out


def args(**given: object) -> Namespace:
    return Namespace(**{"yes": False, "confirm": [], **given})


def test_nobody_to_ask_is_refused() -> None:
    with pytest.raises(UsageError):
        confirm([None], "deploy", args())
    with pytest.raises(UsageError):
        confirm(["sese/infra"], "deploy", args(yes=True))  # --yes never stands for a typed name


def test_yes_and_the_typed_name_answer() -> None:
    confirm([None], "deploy", args(yes=True))
    confirm(["sese/infra"], "deploy", args(confirm=["sese/infra"]))
    confirm(["sese/infra"], "deploy", args(confirm=["infra"]))


def test_a_wrong_name_is_refused() -> None:
    with pytest.raises(UsageError):
        confirm(["sese/infra"], "deploy", args(confirm=["sese/apps"]))


def test_a_plan_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    cli_print.plans([plan()], as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["changes"][0] == {
        "service": "litellm",
        "effect": "recreate",
        "causes": [{"kind": "image", "detail": "v1 → v2"}],
    }
    assert told["summary"] == "1 recreate"


def test_people_read_only_what_changes(capsys: pytest.CaptureFixture[str]) -> None:
    cli_print.plans([plan()], as_json=False)
    out = capsys.readouterr().out
    assert "litellm" in out
    assert "n8n" not in out


def test_events_are_a_line_each_and_layers_are_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    events = [LayerPulled(AT, "redis:8.0", "abc", "Downloading", 1, 2), Finished(AT, Outcome.COMMITTED, "r2")]
    for as_json in (True, False):
        printer = cli_print.EventPrinter(as_json=as_json)
        for event in events:
            printer.event(event)
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["event"] for line in lines[:2]] == ["layer_pulled", "finished"]
    assert json.loads(lines[1])["outcome"] == "committed"
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("finished", "code"),
    [
        (Finished(AT, Outcome.COMMITTED, "r"), 0),
        (Finished(AT, Outcome.UNCHANGED, "r"), 0),
        (Finished(AT, Outcome.REVERTED, "r"), 4),
        (Finished(AT, Outcome.REVERT_FAILED, "r"), 1),
        (Finished(AT, Outcome.FAILED, "r"), 1),
        (Finished(AT, Outcome.UNKNOWN, "r"), 79),
        (Finished(AT, Outcome.REFUSED, "r", code=75), 75),
        (Finished(AT, Outcome.REFUSED, "r", code=77), 77),
    ],
)
def test_outcomes_have_their_exit_codes(finished: Finished, code: int) -> None:
    assert finished.exit_code == code


@pytest.mark.parametrize("flag", ["--version", "--help"])
def test_asking_for_help_imports_nothing_slow(flag: str) -> None:
    probe = (
        "import sys\nfrom vpai_tui.cli import main\n"
        f"try:\n    main(['{flag}'])\nexcept SystemExit:\n    pass\n"
        "slow = {'textual', 'asyncssh', 'docker', 'httpx', 'rich', 'yaml'} & set(sys.modules)\n"
        "print('slow:', sorted(slow), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert "slow: []" in done.stderr
