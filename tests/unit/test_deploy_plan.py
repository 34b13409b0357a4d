"""A plan's refusals, all at once, and the steps there and back."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from fleet_things import stack as stack_of

from vpai_tui import config
from vpai_tui.clock import SystemClock
from vpai_tui.deploy.bundle import Bundle, ShippedFile
from vpai_tui.deploy.compare import Comparison, ImageTarget
from vpai_tui.deploy.facts import HostFacts, RunningContainer
from vpai_tui.deploy.host import Place
from vpai_tui.deploy.plan import _rerun_notes, assemble, check, with_live_values
from vpai_tui.deploy.steps import Step, steps_for
from vpai_tui.errors import Interrupted, PreflightRefused
from vpai_tui.fleet.operation import Cause, Change, Effect

BUNDLE = Bundle(
    stack="sese/apps",
    name="apps",
    project="apps",
    services=("web", "db"),
    compose={},
    files=(),
    envs=("/opt/vpai/a.env", "/opt/vpai/b.env"),
    optional_envs=("/opt/vpai/c.env",),
    env_of={},
    binds=(),
    networks=(),
)


def fit() -> HostFacts:
    return HostFacts(compose="2.40.3", hashes={"web": "1", "db": "2"}, free_kib=1_000_000)


def refusal(facts: HostFacts) -> list[str]:
    with pytest.raises(PreflightRefused) as caught:
        check(facts, BUNDLE, "sese")
    return caught.value.output.split("\n")


def test_a_host_that_is_fit_is_not_refused() -> None:
    check(fit(), BUNDLE, "sese")


def test_every_reason_is_told_at_once() -> None:
    facts = fit()
    facts.compose = "2.20.3"
    facts.unset = ["TAG", "DOMAIN", "TAG"]
    facts.envs = {"/opt/vpai/a.env": "missing", "/opt/vpai/b.env": "600 root", "/opt/vpai/c.env": "missing"}
    facts.missing_networks = ["backbone"]
    facts.files = {"configs/web": "dir"}
    facts.binds = {"/srv/app.conf": "missing", "/srv/data": "missing", "/srv/.hidden": "missing", "/srv/x.y": "file"}
    facts.free_kib = 100
    assert refusal(facts) == [
        "Compose 2.20.3 is too old; 2.21 or newer is needed",
        "variable DOMAIN has no value; write it to the .env below the host's root, empty where that is meant",
        "variable TAG has no value; write it to the .env below the host's root, empty where that is meant",
        "env file /opt/vpai/a.env is missing; `vpai-tui env sese/apps init` writes it, `edit` opens it",
        "network backbone does not exist; deploy the stack that defines it first",
        "configs/web is a directory on the host, the stack ships a file",
        "bind source /srv/app.conf is missing; Docker would make a directory of it",
        "only 100 KiB are free on the host",
    ]


@pytest.mark.parametrize(
    ("errors", "compose", "told"),
    [
        (
            {"config": "x\nno such file: TOKEN=abc"},
            "2.40.3",
            ["compose refuses the files: x", "no such file: TOKEN=•••"],
        ),
        ({"config": ""}, "2.40.3", ["compose refuses the files: no word why"]),
        ({"config": "a", "docker": "no daemon", "structure": "b"}, "", ["Docker does not answer: no daemon"]),
        (
            {"config": "unknown command"},
            "",
            ["the Compose plugin does not answer: install docker-compose-plugin 2.21 or newer"],
        ),
        ({"tool flock": "", "tool timeout": "", "config": "x"}, "2.40.3", None),
    ],
)
def test_only_the_cause_is_told_and_not_what_follows_from_it(
    errors: dict[str, str], compose: str, told: list[str] | None
) -> None:
    facts = replace(fit(), errors=errors, compose=compose)
    expected = ["`flock` is not installed on the host", "`timeout` is not installed on the host"]
    assert refusal(facts) == (expected if told is None else told)


def test_files_that_compose_resolves_and_cannot_show_raw_are_good_files() -> None:
    check(replace(fit(), errors={"structure": "invalid spec: :/x: empty section between colons"}), BUNDLE, "sese")


def test_a_service_without_a_hash_is_refused_and_not_taken_for_unchanged() -> None:
    facts = fit()
    del facts.hashes["db"]
    assert refusal(facts) == ["Compose gives no hash of db (a service with a profile cannot be deployed)"]


def test_an_interrupted_deploy_comes_before_everything_and_a_running_one_does_not() -> None:
    facts = replace(fit(), pending="r2")
    with pytest.raises(Interrupted, match="r2 of sese/apps was interrupted"):
        check(facts, BUNDLE, "sese")
    check(replace(facts, busy=True), BUNDLE, "sese")


def running(name: str) -> RunningContainer:
    return RunningContainer(f"id-{name}", f"apps-{name}-1", "running", name, "h", "i", "2.40.3", "")


def change(service: str, effect: Effect, kind: str = "config") -> Change:
    return Change(service, effect, (Cause(kind, "x"),))


def test_steps_go_there_in_start_order_and_back_for_what_ran() -> None:
    facts = HostFacts(containers=[running(name) for name in ("db", "web", "gone", "conf", "proxy")])
    reload = ShippedFile("configs/proxy", "644", "reload", "s", "s", b"", reload="caddy reload")
    bundle = replace(BUNDLE, files=(reload,), files_of={"proxy": ("configs/proxy",)})
    changes = [
        change("gone", Effect.REMOVE),
        change("db", Effect.RECREATE),
        change("init", Effect.CREATE),
        change("web", Effect.RESTART, "state"),
        change("conf", Effect.RESTART, "files"),
        change("proxy", Effect.RELOAD, "files"),
        change("same", Effect.NONE),
    ]
    there, back = steps_for(changes, facts, ["init"], 60, bundle)
    assert there == (
        Step("up", "db", "service", 60),
        Step("up", "init", "oneshot", 60),
        Step("up", "web", "service", 60),
        Step("restart", "conf", "service", 60),
        Step("reload", "proxy", "service", 60, "caddy reload"),
        Step("rm", "gone", "service", 60),
    )
    assert [(step.verb, step.service) for step in back] == [
        ("rm", "init"),
        ("up", "db"),
        ("up", "web"),
        ("restart", "conf"),
        ("restart", "proxy"),
        ("up", "gone"),
    ]
    assert there[4].line() == "reload\tproxy\tservice\t60\tcaddy reload"


def test_who_shares_a_network_is_brought_up_in_one_step_with_its_owner() -> None:
    facts = HostFacts(netns={"side": "web"}, containers=[running("web"), running("side")])
    there, back = steps_for([change("web", Effect.RECREATE), change("side", Effect.RECREATE)], facts, [], 60, BUNDLE)
    assert there == back == (Step("up", "web,side", "service", 60),)


def test_live_values_of_the_host_go_into_the_files_that_are_sent() -> None:
    item = ShippedFile("c.yaml", "644", "recreate", "s", "other", b"a: 1\nb: 2\n", live_keys=("a",))
    plain = ShippedFile("d", "644", "recreate", "s", "s", b"d")
    facts = HostFacts(lives={"c.yaml": b"a: 9\nb: 0\n"})
    merged, kept = with_live_values(replace(BUNDLE, files=(item, plain)), facts)
    assert [file.content for file in merged.files] == [b"a: 9\nb: 2\n", b"d"]
    assert merged.files[0].sha256 != "s"
    assert kept == ("c.yaml: a",)


@pytest.mark.parametrize(("held", "word"), [('{"data": ["db"]}', "sese/apps"), ("{}", None)])
def test_taking_away_a_service_that_holds_data_wants_the_name_typed(held: str, word: str | None) -> None:
    facts = HostFacts(current="r1", containers=[running("web"), running("db")], hashes={"web": "h"}, compose="2.40.3")
    facts.blobs = {"base.services": b"db\nweb\n", "base.bundle.json": held.encode()}
    host = config.Host(addresses=("10.0.0.1",), ssh=config.Ssh(user="me"))
    connection: Any = SimpleNamespace(name="sese", host=host)
    targets = {"web": ImageTarget("web", "x:1", "i", None)}
    bundle = replace(BUNDLE, services=("web",))
    place = Place("/opt/vpai", "apps", "apps", "docker")
    made = assemble(connection, stack_of("apps", "web"), bundle, place, facts, targets, SystemClock())
    gone = next(change for change in made.plan.changes if change.service == "db")
    assert (gone.effect, gone.has_data, made.plan.confirm_word) == (Effect.REMOVE, word is not None, word)


@pytest.mark.parametrize(("compose", "notes"), [("2.26.1-4", 1), ("2.29.3", 0), ("5.0.2", 0)])
def test_a_one_shot_that_an_old_compose_runs_again_is_told(compose: str, notes: int) -> None:
    stack = stack_of("apps", "init", "web", one_shots=("init",))
    stack.compose["services"]["web"]["depends_on"] = ["init"]
    facts = HostFacts(compose=compose, containers=[running("init"), running("web")])
    result = Comparison([change("init", Effect.NONE), change("web", Effect.RECREATE)])
    assert len(_rerun_notes(stack, facts, result)) == notes
    assert _rerun_notes(stack, facts, Comparison([change("web", Effect.NONE)])) == []
