"""The command line: options on both sides of the verb, questions where nobody can be asked, clear errors."""

import json
import subprocess
import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vpai_tui import cli
from vpai_tui.errors import OperatorError, PreflightRefused, UsageError
from vpai_tui.fleet.model import FleetSnapshot, Health, StackStatus, Sync
from vpai_tui.fleet.operation import (
    Cause,
    Change,
    Command,
    Dump,
    Effect,
    Event,
    Finished,
    LayerPulled,
    Outcome,
    Plan,
    after_failed_revert,
    confirm_word,
    stop_word,
)
from vpai_tui.verbs import arguments, say_fleet, say_stacks
from vpai_tui.verbs import stacks as stack_verbs
from vpai_tui.verbs.ask import confirm, confirmed

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
    args = arguments.parse(argv)
    assert (args.verb, args.demo, args.json) == ("status", True, True)


def test_a_demo_folder_means_the_demo(tmp_path: Path) -> None:
    assert arguments.parse(["--demo-dir", str(tmp_path), "plan", "apps"]).demo
    assert not arguments.parse(["plan", "apps"]).demo


def test_a_missing_configuration_is_a_usage_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["status", "--config", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml" in capsys.readouterr().err


def test_an_error_is_json_where_json_was_asked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["status", "--json", "--config", str(tmp_path / "none.yaml")]) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == 1
    assert told["error"]["exit_code"] == 2


async def test_an_operation_whose_reader_is_gone_is_left_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[str] = []

    async def events() -> AsyncIterator[Event]:
        try:
            while True:
                yield Finished(AT, Outcome.COMMITTED, "r2")
        finally:
            left.append("events")

    def gone(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(say_stacks.EventPrinter, "event", gone)
    with pytest.raises(BrokenPipeError):
        await stack_verbs._carry_out(events(), "sese/apps", None, args())
    assert left == ["events"]


@pytest.mark.parametrize(("words", "told"), [(["rollback", "apps"], True), (["releases", "apps"], False)])
def test_a_reader_that_goes_away_is_told_what_goes_on(words: list[str], told: bool) -> None:
    program = (
        "import sys; from vpai_tui import cli\n"
        "def gone(args): print('x' * 99999); sys.stdout.flush()\n"
        "cli._run = gone; sys.exit(cli.main(sys.argv[1:]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        said = running.stderr.read().decode()
        assert running.wait(30) == 1
    goes_on = "nobody reads the output any more; what was handed to a host goes on there (vpai-tui status tells)\n"
    assert said == (goes_on if told else "")


def test_init_writes_and_never_overwrites(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["init", str(tmp_path)]) == 0
    fleet = tmp_path / "config" / "fleet.yaml"
    fleet.write_text("mine")
    assert cli.main(["init", str(tmp_path)]) == 0
    assert fleet.read_text() == "mine"
    assert "kept" in capsys.readouterr().out


def args(**given: object) -> Namespace:
    return Namespace(**{"yes": False, "confirm": [], "json": False, "take_back": False, **given})


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


def test_json_never_asks_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(question: str) -> str:
        raise AssertionError(question)

    monkeypatch.setattr("builtins.input", asked)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    with pytest.raises(UsageError):
        confirm([None], "deploy", args(json=True))
    assert not confirmed("take it back?", args(json=True))
    with pytest.raises(AssertionError, match="take it back"):
        confirmed("take it back?", args())


@pytest.mark.parametrize("words", [["deploy", "apps", "--yes"], ["stop", "n8n", "--yes"], ["revert", "apps"]])
def test_a_read_only_command_line_changes_nothing(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert cli.main(["--read-only", *words]) == 2
    assert "--read-only" in capsys.readouterr().err


def test_what_nobody_foresaw_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_args: Namespace) -> int:
        raise KeyError("no such thing\nPASSWORD=hunter2hunter2")

    monkeypatch.setattr(cli, "_run", broken)
    monkeypatch.delenv("VPAI_TUI_DEBUG", raising=False)
    assert cli.main(["status"]) == 1
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("vpai-tui: internal error: KeyError")
    assert len(told) == 2
    assert "hunter2" not in told[0]
    assert cli.main(["status", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == 1
    monkeypatch.setenv("VPAI_TUI_DEBUG", "1")
    with pytest.raises(KeyError):
        cli.main(["status"])


class Shipper:
    """A deployer whose stacks end as the test says; remembers what it was asked to go back to."""

    def __init__(self, ends: dict[str, Outcome | OperatorError]) -> None:
        self.ends = ends
        self.back: list[tuple[str, str | None]] = []
        self.gone_back: list[str] = []
        self.word: str | None = None
        self.dangers: tuple[Cause, ...] = ()

    async def plan(self, stack: str, _after: object) -> Plan:
        first = stack == "sese/first"
        return plan(
            stack=stack, base=None if first or stack == "sese/adopted" else "r1", adopts=stack == "sese/adopted"
        )

    async def plan_rollback(self, stack: str, release: str | None) -> Plan:
        self.back.append((stack, release))
        if f"back {stack}" in self.ends:
            raise OperatorError("the host is gone")
        return plan(
            stack=stack, kind="rollback", rollback_to=release or "r0", confirm_word=self.word, dangers=self.dangers
        )

    async def apply(self, planned: Plan) -> AsyncIterator[Event]:
        if planned.rollback_to:
            self.gone_back.append(planned.stack)
        end = Outcome.COMMITTED if planned.rollback_to else self.ends.get(planned.stack, Outcome.COMMITTED)
        if isinstance(end, OperatorError):
            raise end
        yield Finished(AT, end, planned.release)


class Ground:
    """As much of a world as `deploy` needs."""

    def __init__(self, shipper: Shipper) -> None:
        self.deployer = lambda: shipper


@pytest.mark.parametrize("end", [Outcome.REVERTED, PreflightRefused("an image is gone")])
async def test_what_went_before_a_failure_is_taken_back_in_reverse(
    end: Outcome | OperatorError, capsys: pytest.CaptureFixture[str]
) -> None:
    stacks = ["sese/infra", "sese/adopted", "sese/first", "sese/apps", "sese/edge"]
    shipper = Shipper({"sese/apps": end, "back sese/adopted": Outcome.FAILED})
    given = args(yes=True, take_back=True, stacks=stacks)
    if isinstance(end, OperatorError):
        with pytest.raises(PreflightRefused):
            await stack_verbs._deploy(Ground(shipper), given)  # type: ignore[arg-type]
    else:
        assert await stack_verbs._deploy(Ground(shipper), given) == 4  # type: ignore[arg-type]
    assert shipper.back == [("sese/adopted", None), ("sese/infra", "r1")]
    assert shipper.gone_back == ["sese/infra"]
    out, told = capsys.readouterr()
    assert "sese/infra: roll back to r1" in out
    assert "sese/first was deployed for the first time and stays" in told
    assert "sese/adopted was not taken back; to take it back: vpai-tui rollback sese/adopted" in told


async def test_who_cannot_be_asked_is_told_the_way_back(capsys: pytest.CaptureFixture[str]) -> None:
    shipper = Shipper({"sese/apps": Outcome.FAILED})
    given = args(yes=True, json=True, stacks=["sese/infra", "sese/apps"])
    assert await stack_verbs._deploy(Ground(shipper), given) == 1  # type: ignore[arg-type]
    assert shipper.gone_back == []
    assert "vpai-tui rollback sese/infra --to r1" in capsys.readouterr().err


@pytest.mark.parametrize("dangers", [(), (Cause("data", "17 may not read what 18 wrote", danger=True),)])
@pytest.mark.parametrize("typed", [None, "yes", "sese/infra"])
async def test_what_may_cost_data_is_taken_back_only_by_its_name_typed_after_its_plan(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str | None, dangers: tuple[Cause, ...]
) -> None:
    shipper = Shipper({"sese/apps": Outcome.FAILED})
    shipper.word, shipper.dangers = None if dangers else "sese/infra", dangers
    given = args(yes=True, take_back=True, confirm=["sese/infra"], stacks=["sese/infra", "sese/apps"])
    if typed is not None:
        monkeypatch.setattr("vpai_tui.verbs.ask._terminal", lambda _: True)
        monkeypatch.setattr("builtins.input", lambda _: typed)
    assert await stack_verbs._deploy(Ground(shipper), given) == 1  # type: ignore[arg-type]
    out, err = capsys.readouterr()
    assert ("17 may not read what 18 wrote" in out) == bool(dangers)
    assert shipper.gone_back == (["sese/infra"] if typed == "sese/infra" else [])
    assert ("to take it back: vpai-tui rollback sese/infra --to r1" in err) == (typed != "sese/infra")


@pytest.mark.parametrize(
    ("words", "changing"),
    [
        (["adopt", "sese"], True),
        (["adopt", "sese", "--show"], False),
        (["keys", "create", "--user", "1", "--show"], True),
    ],
)
def test_what_only_looks_is_allowed_under_read_only(words: list[str], changing: bool) -> None:
    assert arguments.changes(arguments.parse(words)) is changing


def test_names_that_are_typed() -> None:
    assert confirm_word("sese/apps", data=False, hub=False) is None
    assert confirm_word("sese/infra", data=True, hub=False) == "sese/infra"
    assert confirm_word("seko/headscale", data=False, hub=True) == "seko/headscale"
    assert stop_word("seko/headscale/headscale", hub=True) == "headscale"
    assert stop_word("sese/apps/n8n", hub=False) is None


def test_files_that_are_installed_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    installing = plan(installs=("configs/litellm/config.yaml",))
    say_stacks.plans([installing], as_json=False)
    assert "  » configs/litellm/config.yaml" in capsys.readouterr().out.splitlines()
    assert say_stacks.plan_json(installing)["installs"] == ["configs/litellm/config.yaml"]


def test_commands_and_dumps_of_a_plan_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    found = plan(
        before=(Command("pg_dump >x", "db", "running", 600, skipped=True),),
        after=(Command("curl x", None, None, 20),),
        dumps=(Dump("db", "/d/x", 1800, 2_000_000), Dump("redis", problem="no dump found")),
    )
    say_stacks.plans([found], as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert "  $ before, in the running db, within 10m: pg_dump >x  (skipped: it has none yet)" in lines
    assert "  $ after, on the host, within 20s: curl x" in lines
    assert "  · db: newest dump 30m old, 2.0 MB: /d/x" in lines
    assert "  ▲ redis: no dump found" in lines
    told = say_stacks.plan_json(found)
    assert told["after"] == [{"run": "curl x", "service": None, "container": None, "timeout_s": 20}]
    assert told["dumps"][1] == {
        "service": "redis", "path": None, "age_s": None, "size_bytes": None, "problem": "no dump found"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("x: exited 1; then the revert failed: y", "vpai-tui revert sese/apps (tries again to go back)"),
        ("x: exited 1; it was taken back, but then y: exited 2", "the release before is back"),
    ],
)
def test_what_to_do_after_a_failed_revert_is_told(reason: str, words: str) -> None:
    told = after_failed_revert("sese/apps", "r2", reason)
    assert any(words in line for line in told)
    assert all(len(line) < 80 for line in told)


def test_why_sync_is_unknown_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    stack = StackStatus(
        "sese", "apps", "", Sync.UNKNOWN, Health.HEALTHY, 1, 1, "r1", None, False, note="an env file is missing"
    )
    snapshot = FleetSnapshot(100.0, (), (stack,), (), ())
    assert say_fleet.status_json(snapshot)["notes"] == ["sese/apps: an env file is missing"]
    say_fleet.status(snapshot)
    assert "sese/apps: an env file is missing" in capsys.readouterr().out


def test_a_plan_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    say_stacks.plans([plan()], as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["changes"][0] == {
        "service": "litellm",
        "effect": "recreate",
        "causes": [{"kind": "image", "detail": "v1 → v2"}],
    }
    assert told["summary"] == "1 recreate"


def test_people_read_only_what_changes(capsys: pytest.CaptureFixture[str]) -> None:
    say_stacks.plans([plan()], as_json=False)
    out = capsys.readouterr().out
    assert "litellm" in out
    assert "n8n" not in out


def test_events_are_a_line_each_and_layers_are_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    events = [LayerPulled(AT, "redis:8.0", "abc", "Downloading", 1, 2), Finished(AT, Outcome.COMMITTED, "r2")]
    for as_json in (True, False):
        printer = say_stacks.EventPrinter(as_json=as_json)
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


@pytest.mark.parametrize("verb", ["nodes", "users", "keys", "dns"])
def test_the_help_of_every_action_of_the_vpn_has_exit_codes_and_a_word_on_each_argument(verb: str) -> None:
    def below(parser: ArgumentParser) -> dict[str, ArgumentParser]:
        return next(dict(it.choices) for it in parser._actions if isinstance(it, _SubParsersAction))

    found = below(below(arguments.build_parser())[verb])
    assert len(found) >= 4
    for action, parser in found.items():
        assert parser.epilog == arguments.EXIT_CODES, action
        assert [it.dest for it in parser._actions if not it.help] == [], action
