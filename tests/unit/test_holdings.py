"""What a plan would take of the host that is somebody else's, and data it would leave behind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.deploy.claims import same_port
from vpai_tui.deploy.facts import Held, HostFacts, Occupant, Published, RunningContainer, parse
from vpai_tui.deploy.holdings import collisions, moved, with_dangers
from vpai_tui.deploy.renames import left_running, project_moved
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.operation import Change, Effect, Plan
from vpai_tui.fleet.stacks import Stack
from vpai_tui.fleet.stackspec import StackSpec

DATA = Held("/opt/javisi/data/pg", "/var/lib/postgresql", volume=False)
OTHER = Occupant("o1", "javisi_db", "running", "javisi", "db", "/opt/javisi/c.yml", (), (DATA,))
NEW = [Change("db", Effect.CREATE)]
DATABASE = Change("db", Effect.CREATE, has_data=True)
POSTGRES = replace(OTHER, image="docker.io/library/postgres:16", mounts=())


def facts(*occupants: Occupant, **changed: object) -> HostFacts:
    found = HostFacts(occupants=list(occupants))
    for name, value in changed.items():
        setattr(found, name, value)
    return found


def told(found: HostFacts, project: str = "vpai", change: Change = NEW[0], beside: Sequence[Stack] = ()) -> str:
    return "\n".join(collisions([change], found, project, ["db", "web"], beside))


def stack(name: str, project: str, *services: str) -> Stack:
    compose = {"services": {service: {} for service in services}}
    spec = StackSpec(project=project)
    return Stack(f"sese/{name}", "sese", name, Path("."), spec, compose, Path("c"), services, (), {})


def test_nothing_in_common_is_no_collision() -> None:
    assert told(facts(OTHER)) == ""


def test_a_name_that_is_taken() -> None:
    assert "javisi_db is the name of the container javisi_db (project javisi" in told(
        facts(replace(OTHER, state="exited"), named={"db": "javisi_db"})
    )
    assert "vpai-db-1 is the name" in told(facts(replace(OTHER, name="vpai-db-1", project="", service="")))


def test_a_port_that_is_published() -> None:
    bound = replace(OTHER, ports=(Published("127.0.0.1", "5432", "tcp"),))
    wanted = {"db": [Published("", "5432", "tcp")]}
    assert "port 5432 is one of the container javisi_db" in told(facts(bound, published=wanted))
    assert told(facts(replace(bound, state="exited"), published=wanted)) == ""


def test_data_that_another_writes_to() -> None:
    wanted = {"db": [Held("/opt/javisi/data/../data/pg", "/var/lib/postgresql", volume=False)]}
    assert "/opt/javisi/data/pg is the data of the container javisi_db" in told(facts(OTHER, mounts=wanted))
    read_only = {"db": [replace(DATA, writable=False)]}
    assert told(facts(OTHER, mounts=read_only)) == ""
    assert told(facts(replace(OTHER, mounts=(replace(DATA, writable=False),)), mounts=wanted)) == ""
    ours = replace(OTHER, config_files="/opt/vpai/deploy/stacks/a/releases/r1/compose/00-compose.yaml")
    assert "is the data of" in told(facts(ours, mounts=wanted))  # a release of ours, and no file knows it any more
    assert told(facts(replace(OTHER, state="exited"), mounts=wanted)) == ""
    assert "is the data of" in told(facts(replace(OTHER, state="exited"), mounts=wanted), change=DATABASE)


def test_what_another_stack_of_ours_runs_is_alike_and_no_stranger() -> None:
    made = "/opt/vpai/deploy/stacks/web/releases/r1/compose/00-compose.yaml"
    mounts = (Held("web_data", "/data", volume=True),)
    theirs = replace(OTHER, image="lab/web:1", config_files=made, project="web", mounts=mounts)
    wanted = facts(theirs, refs={"db": "lab/web:1"}, mounts={"db": [Held("data", "/data", volume=True)]})

    def refused(change: Change, stack: str) -> bool:
        return bool(collisions([change], wanted, "other", ["db"], stack=stack))

    assert not refused(NEW[0], "other")
    assert refused(NEW[0], "web")  # the same stack, under another project
    assert refused(DATABASE, "other")  # its files may only have been moved


def test_a_volume_is_known_by_its_name() -> None:
    volume = replace(OTHER, mounts=(Held("shared_pg", "/data", volume=True),))
    wanted = {"db": [Held("pg", "/data", volume=True)]}
    assert "volume shared_pg is the data" in told(facts(volume, mounts=wanted, volumes={"pg": "shared_pg"}))
    assert told(facts(volume, mounts=wanted, volumes={"pg": "vpai_pg"})) == ""


def test_the_engines_socket_is_nobodys_data() -> None:
    socket = Held("/var/run/docker.sock", "/var/run/docker.sock", volume=False)
    assert told(facts(replace(OTHER, mounts=(socket,)), mounts={"db": [socket]})) == ""


@pytest.mark.parametrize("path", ["/devdata/pg", "/runner/data", "/tmpfiles", "/system"])
def test_a_path_that_only_begins_like_a_shared_one_is_somebodys_data(path: str) -> None:
    held = Held(path, "/data", volume=False)
    assert f"{path} is the data of" in told(facts(replace(OTHER, mounts=(held,)), mounts={"db": [held]}))
    inside = replace(held, source="/run/user/1")
    assert told(facts(replace(OTHER, mounts=(inside,)), mounts={"db": [inside]})) == ""


def test_two_services_of_one_stack_and_two_stacks_share_a_volume_on_purpose() -> None:
    shared = Held("shared", "/data", volume=True)
    other = replace(OTHER, project="vpai", service="web", mounts=(shared,))
    wanted = {"db": [replace(shared, source="key")]}
    found = facts(other, mounts=wanted, volumes={"key": "shared"})
    assert told(found, change=DATABASE) == ""  # web is of this stack
    found.occupants = [replace(other, service="backup")]
    assert "volume shared is the data of" in told(found, change=DATABASE)
    for project in ("vpai", "own"):
        found.occupants = [replace(other, project=project, service="backup")]
        assert told(found, change=DATABASE, beside=[stack("backups", project, "backup")]) == ""


def test_two_servers_of_one_kind_on_one_volume_are_no_purpose() -> None:
    shared = Held("shared", "/data", volume=True)
    other = replace(POSTGRES, project="own", service="old", mounts=(shared,))
    found = facts(other, mounts={"db": [shared]}, refs={"db": "postgres:17"})
    beside = [stack("copy", "own", "old")]
    assert "volume shared is the data of" in told(found, change=DATABASE, beside=beside)
    assert told(found, beside=beside) == ""  # no database, so the operator's files count


def test_a_database_that_runs_under_another_project_is_not_created_again() -> None:
    found = facts(POSTGRES, refs={"db": "postgres:17"})
    assert "it runs already (service, name, image are the same) as the container javisi_db" in told(
        found, change=DATABASE
    )
    found.occupants = [replace(POSTGRES, state="exited")]
    assert "it runs already" in told(found, change=DATABASE)
    found.occupants = [replace(POSTGRES, project="", service="", name="db")]
    assert "(name, image are the same) as the container db (made by hand)" in told(found, change=DATABASE)
    found.occupants = [replace(POSTGRES, image="mirror.lan/postgres:17")]
    assert "it runs already" in told(found, change=DATABASE)
    found.occupants = [replace(POSTGRES, image="redis:8")]
    assert told(found, change=DATABASE) == ""
    found.occupants = [replace(POSTGRES, service="other", name="other")]
    assert told(found, change=DATABASE) == ""


def test_what_is_no_database_is_known_by_what_it_holds_besides() -> None:
    caddy = replace(POSTGRES, image="caddy:2", mounts=(Held("javisi_caddy", "/data", volume=True),))
    found = facts(caddy, refs={"db": "caddy:2"})
    assert told(found) == ""
    found.mounts = {"db": [Held("caddy", "/data", volume=True)]}
    assert "it runs already (service, name, image, mount are the same)" in told(found)
    assert told(found, beside=[stack("edge", "javisi", "db")]) == ""  # another stack's own


def test_containers_below_the_project_of_the_release_that_runs_are_found() -> None:
    found = facts(OTHER, replace(OTHER, id="o2", service="gone"), replace(OTHER, id="o3", service="alien"))
    found.blobs = {"base.manifest": b"id=r1\nproject=javisi\n", "base.services": b"gone\ndb\n"}
    assert [item.id for item in left_running(found, "vpai", ["db"], [])] == ["o1", "o2"]
    assert left_running(found, "javisi", ["db"], []) == []
    assert left_running(found, "vpai", ["db"], [stack("x", "javisi", "db", "gone")]) == []
    found.blobs = {"base.project": b"javisi\n", "base.manifest": b"id=r0\n"}  # what was adopted
    assert [item.id for item in left_running(found, "vpai", ["db"], [])] == ["o1"]
    found.blobs = {"base.manifest": b"project=vpai\n", "bundle.manifest": b"project=javisi\n"}  # a way back across it
    assert [item.id for item in left_running(found, "vpai", ["db"], [])] == ["o1"]


def test_a_new_project_with_nothing_left_below_the_old_one_is_a_danger() -> None:
    plan = Plan("sese/infra", "deploy", "r1", "r2", "", (DATABASE,))
    found = facts(blobs={"base.manifest": b"project=javisi\n"})
    moved_plan = project_moved(plan, found, "vpai")
    assert (moved_plan.confirm_word, [item.kind for item in moved_plan.dangers]) == ("sese/infra", ["project"])
    assert project_moved(plan, found, "javisi") is plan


def test_its_own_containers_and_services_that_are_there_are_no_collision() -> None:
    mine = facts(OTHER, named={"db": "javisi_db"})
    assert told(mine, project="javisi") == ""
    assert collisions([Change("db", Effect.RECREATE)], mine, "vpai", ["db"]) == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("", "127.0.0.1", True),
        ("0.0.0.0", "10.0.0.1", True),
        ("0.0.0.0", "::1", False),
        ("::", "fd00::1", True),
        ("127.0.0.1", "10.0.0.1", False),
        ("", "::", True),
    ],
)
def test_addresses_meet(one: str, other: str, same: bool) -> None:
    assert same_port(Published(one, "80", "tcp"), Published(other, "80", "tcp")) is same
    assert same_port(Published(other, "80", "tcp"), Published(one, "80", "tcp")) is same
    assert not same_port(Published(one, "80", "tcp"), Published(other, "80", "udp"))


@given(first=st.integers(1, 60), size=st.integers(0, 9), port=st.integers(1, 70))
def test_a_range_meets_what_is_in_it(first: int, size: int, port: int) -> None:
    span = Published("", f"{first}-{first + size}", "tcp")
    assert same_port(span, Published("", str(port), "tcp")) is (first <= port <= first + size)


# ── data ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

RUNNING = RunningContainer("o1", "javisi_db", "running", "db", "h", "i", "v", "")
CHANGED = Change("db", Effect.RECREATE, has_data=True)


def moves(*wanted: Held, change: Change = CHANGED, now: Held = DATA) -> list[str]:
    found = facts(replace(OTHER, mounts=(now,)), containers=[RUNNING], mounts={"db": list(wanted)})
    return [item.cause.detail for item in moved([change], found)]


def test_data_that_stays_is_no_danger() -> None:
    assert moves(DATA) == []
    assert moves(replace(DATA, source="/opt/javisi/data/./pg")) == []


def test_data_that_moves_is_a_danger_of_its_service_and_of_the_plan() -> None:
    assert moves(Held("pg", DATA.target, volume=True)) == [
        "/var/lib/postgresql: /opt/javisi/data/pg → volume pg",
    ]
    found = facts(OTHER, containers=[RUNNING], mounts={"db": [replace(DATA, source="/x")]})
    plan = Plan("sese/infra", "deploy", "r1", "r2", "", (CHANGED,))
    red = with_dangers(plan, moved(plan.changes, found))
    assert (red.confirm_word, [item.kind for item in red.dangers]) == ("sese/infra", ["mount"])
    assert [(cause.kind, cause.danger) for cause in red.changes[0].causes] == [("mount", True)]
    assert with_dangers(plan, []) is plan


@pytest.mark.parametrize("has_data", [True, False])
def test_data_that_vanishes_or_gets_another_target_counts_for_every_service(has_data: bool) -> None:
    change = replace(CHANGED, has_data=has_data)
    gone = ["/var/lib/postgresql: /opt/javisi/data/pg → not mounted any more"]
    assert moves(change=change) == gone
    assert moves(replace(DATA, target="/var/lib/postgres"), change=change) == gone
    volume = Held("n8n", DATA.target, volume=True)
    assert moves(replace(volume, target="/home/nod/.n8n"), change=change, now=volume) == [
        "/var/lib/postgresql: volume n8n → not mounted any more"
    ]
    assert moves(now=Held("ab" * 32, DATA.target, volume=True)) == []  # without a name: Compose carries it over


@pytest.mark.parametrize("effect", [Effect.NONE, Effect.RESTART, Effect.REMOVE])
def test_only_what_is_recreated_loses_a_mount(effect: Effect) -> None:
    assert moves(replace(DATA, source="/x"), change=replace(CHANGED, effect=effect)) == []


# ── what the probe tells ─────────────────────────────────────────────────────────────────────────────────────────────


def record(keeper: object = None, ports: object = None, mounts: object = None) -> bytes:
    cells = ["javisi", "db", "/opt/javisi/c.yml", keeper, ports, mounts, "postgres:17"]
    return "\t".join(["occupant", "o1", "/javisi_db", "running", *map(json.dumps, cells)]).encode() + b"\nend\n"


def test_an_occupant_is_read() -> None:
    ports = {"5432/tcp": [{"HostIp": "", "HostPort": "5432"}, {"HostIp": "::1", "HostPort": ""}], "9/udp": None}
    mounts = [
        {"Type": "bind", "Source": DATA.source, "Destination": DATA.target, "RW": True},
        {"Type": "tmpfs", "Source": "", "Destination": "/tmp", "RW": True},
    ]
    (found,) = parse(record(None, ports, mounts), "sese").occupants
    assert found == replace(OTHER, ports=(Published("", "5432", "tcp"),), image="postgres:17")


def test_what_only_holds_images_is_no_occupant() -> None:
    assert parse(record("1"), "sese").occupants == []


def test_a_broken_occupant_is_told() -> None:
    with pytest.raises(OperatorError, match="bad `occupant` record"):
        parse(b"occupant\to1\t/x\trunning\t{\nend\n", "sese")
    with pytest.raises(OperatorError, match="bad `occupant` record"):
        parse(record(None, ["x"]), "sese")
