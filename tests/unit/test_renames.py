"""A service that takes over what a removed one held: the removal comes first, there and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vpai_tui.deploy.bundle import Bundle
from vpai_tui.deploy.facts import Held, HostFacts, Occupant, Published, RunningContainer
from vpai_tui.deploy.renames import replacing
from vpai_tui.deploy.steps import steps_for
from vpai_tui.fleet.operation import Change, Effect, Plan

BUNDLE = Bundle("sese/infra", "infra", "vpai", ("postgres", "web"), {}, (), (), (), {}, (), ())
PG = Held("vpai_pg", "/var/lib/postgresql", volume=True)
OLD = Occupant("o1", "vpai-postgresql-1", "running", "vpai", "postgresql", "", (), (PG,))
CREATED = Change("postgres", Effect.CREATE, has_data=True)
GONE = Change("postgresql", Effect.REMOVE, has_data=True)
WEB = Change("web", Effect.RECREATE)


def running(name: str) -> RunningContainer:
    return RunningContainer(f"id-{name}", f"vpai-{name}-1", "running", name, "h", "i", "2.40.3", "")


def host(*occupants: Occupant, **changed: Any) -> HostFacts:
    told: dict[str, Any] = {
        "containers": [running("postgresql"), running("web")],
        "mounts": {"postgres": [replace(PG, source="pg")]},
        "volumes": {"pg": "vpai_pg"},
        "blobs": {"base.services": b"postgresql\nweb\n"},
        **changed,
    }
    return HostFacts(occupants=list(occupants), **told)


def planned(facts: HostFacts, *changes: Change) -> Plan:
    return replacing(Plan("sese/infra", "deploy", "r1", "r2", "", changes), facts, "vpai")


def told(facts: HostFacts, *changes: Change) -> tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]:
    there, back = steps_for(planned(facts, *changes).changes, facts, (), 60, BUNDLE)
    return [(it.verb, it.service, it.command) for it in there], [(it.verb, it.service, it.command) for it in back]


def test_a_renamed_database_is_removed_before_the_new_one_is_made_and_the_other_way_back() -> None:
    there, back = told(host(OLD), GONE, CREATED, WEB)
    assert there == [("rm", "postgresql", "-"), ("up", "postgres", "-"), ("up", "web", "-")]
    assert back == [("rm", "postgres", "-"), ("up", "postgresql", "after=postgres"), ("up", "web", "-")]


def test_what_is_only_removed_goes_last_and_comes_back_in_its_own_order() -> None:
    there, back = told(host(replace(OLD, mounts=())), GONE, CREATED, WEB)
    assert [step[:2] for step in there] == [("up", "postgres"), ("up", "web"), ("rm", "postgresql")]
    assert back == [("rm", "postgres", "-"), ("up", "postgresql", "-"), ("up", "web", "-")]


def test_the_plan_names_the_rename_its_pause_and_the_danger() -> None:
    structure = {"services": {"postgres": {"healthcheck": {"interval": "5s"}}}}
    base = b'{"services": {"postgresql": {"stop_grace_period": "1m"}}}'
    facts = host(OLD, structure=structure)
    facts.blobs["base.structure.json"] = base
    plan = planned(facts, GONE, CREATED, WEB)
    created = plan.changes[1]
    words = "postgresql, which is stopped and removed first: volume vpai_pg"
    assert [(item.kind, item.detail, item.danger) for item in created.causes] == [("replaces", words, True)]
    assert (created.replaces, created.interruption_s) == (("postgresql",), 65.0)
    assert [item.detail for item in plan.dangers] == [f"postgres replaces {words}"]
    assert plan.confirm_word == "sese/infra"
    assert plan.changes[2] == WEB


def test_a_port_or_a_name_taken_over_is_no_danger_but_an_order() -> None:
    port = Published("", "80", "tcp")
    caddy = replace(OLD, mounts=(), ports=(port,))
    plain = (replace(GONE, has_data=False), replace(CREATED, has_data=False))
    facts = host(caddy, published={"postgres": [port]}, mounts={})
    assert [step[:2] for step in told(facts, *plain)[0]] == [("rm", "postgresql"), ("up", "postgres")]
    assert planned(facts, *plain).dangers == ()
    facts = host(replace(caddy, ports=(), state="exited"), named={"postgres": OLD.name}, mounts={})
    assert planned(facts, *plain).changes[1].replaces == ("postgresql",)


def test_who_takes_over_a_volume_of_a_removed_service_is_not_who_shares_it_already() -> None:
    facts = host(OLD, mounts={"web": [PG]})
    assert planned(facts, GONE, WEB).changes[1].replaces == ("postgresql",)
    facts.occupants.append(replace(OLD, id="o2", name="vpai-web-1", service="web"))
    assert planned(facts, GONE, WEB).changes[1].replaces == ()


def test_of_a_group_that_shares_a_network_every_member_waits() -> None:
    facts = host(OLD, netns={"postgres": "web"})
    there, _ = told(facts, GONE, WEB, CREATED)
    assert [step[:2] for step in there] == [("rm", "postgresql"), ("up", "web,postgres")]


def test_a_one_shot_that_is_gone_is_not_run_again_on_the_way_back() -> None:
    facts = host(containers=[running("init")])
    facts.blobs["base.bundle.json"] = b'{"one_shots": ["init"]}'
    there, back = told(facts, Change("init", Effect.REMOVE))
    assert (there, back) == ([("rm", "init", "-")], [])
