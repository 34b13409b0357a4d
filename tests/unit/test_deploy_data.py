"""Data across a deploy: which commands a plan runs, what it says of dumps, and which new versions it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from vpai_tui.deploy.bundle import Bundle
from vpai_tui.deploy.compare import ImageTarget
from vpai_tui.deploy.data import Around, around, hook_file, major_of, refuse_unfit
from vpai_tui.deploy.facts import HostFacts, LocalImage, RunningContainer
from vpai_tui.errors import PreflightRefused
from vpai_tui.fleet.operation import Dump
from vpai_tui.fleet.stackspec import Fresh, Hook, StackSpec

FRESH = Fresh(glob="dumps/*.sql", max_age_s=3600, dump_of="db")
HOOK = Hook(run="pg_dump >dumps/x.sql")


def bundle(*dumps: str) -> Bundle:
    return Bundle("sese/apps", "apps", "apps", ("web", "db"), {}, (), (), (), {}, (), (), dumps=dumps)


def running(ref: str) -> HostFacts:
    """A host whose `db` was deployed as `ref`."""
    db = RunningContainer("1", "apps-db-1", "running", "db", "h", "old", "2.40.3", "", image=ref)
    return HostFacts(current="r1", containers=[db])


def planned(
    before: str, after: str, spec: StackSpec | None = None, facts: HostFacts | None = None, **how: Any
) -> Around:
    targets = {"db": ImageTarget("db", after, "new", None)}
    flags = {"touched": True, "rollback": False, **how}
    return around(spec or StackSpec(), bundle("db 1 dumps/*.sql"), {"db"}, facts or running(before), targets, **flags)


@pytest.mark.parametrize(
    ("ref", "major"),
    [
        ("postgres:17.6-bookworm", 17), ("postgres:18", 18), ("pgvector/pgvector:pg17", 17), ("lab/x:v2.7.3", 2),
        ("localhost:5000/postgres:16@sha256:12", 16),
        ("pgvector/pgvector:0.8.0-pg17", 17), ("timescale/timescaledb:2.17.2-pg16", 16),
        ("postgres:alpine3.20", None), ("postgres:17-alpine3.20", 17), ("x:4f2e1a", None), ("x:svpg3", None),
        ("minio:RELEASE.2024-05-01", None), ("x:release-3", None),
        ("postgres:latest", None), ("postgres", None), ("localhost:5000/postgres", None), ("x:sha-1f0c3a2", None),
        ("x:bookworm", None), ("x@sha256:12", None), ("0123456789ab", None),
    ],
)  # fmt: skip
def test_the_major_version_is_what_the_tag_begins_with_or_names_as_pg(ref: str, major: int | None) -> None:
    assert major_of(ref) == major


@pytest.mark.parametrize(
    ("before", "after"),
    [("postgres:17.6", "postgres:17.7"), ("docker.io/library/postgres:17", "mirror.lan/postgres:17.9")],
)
def test_the_same_major_version_needs_nothing(before: str, after: str) -> None:
    found = planned(before, after)
    assert (found.refusals, found.notes, found.files["majors"]) == ([], [], b"")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("postgres:latest", "postgres:latest"),
        ("postgres:17-alpine", "postgres:alpine3.20"),
        ("postgres@sha256:12", "postgres@sha256:34"),
        ("0123456789ab", "postgres:17"),
        ("postgres:17", "pgvector/pgvector:pg18"),
    ],
)
def test_a_version_that_cannot_be_told_is_a_danger(before: str, after: str) -> None:
    found = planned(before, after)
    assert (found.refusals, found.notes) == ([], [])
    told = f"whether db changes its major version cannot be told from {before} → {after}: it may not read its data"
    assert [(item.kind, item.detail, item.danger) for item in found.dangers] == [("data", told, True)]


def test_an_extension_of_postgresql_goes_by_its_server() -> None:
    assert planned("pgvector/pgvector:0.7.4-pg16", "pgvector/pgvector:0.8.0-pg17").refusals != []
    found = planned("pgvector/pgvector:0.7.4-pg16", "pgvector/pgvector:0.8.0-pg16")
    assert (found.refusals, found.dangers) == ([], [])


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (StackSpec(), "no dump of it is declared (fresh: dump_of: db)"),
        (StackSpec(before=(HOOK,)), "no dump of it is declared (fresh: dump_of: db)"),
        (StackSpec(fresh=(FRESH,)), "no before command makes a dump of it"),
        (StackSpec(fresh=(FRESH,), after=(HOOK,)), "no before command makes a dump of it"),
    ],
)
def test_a_new_major_version_is_refused_where_no_dump_can_come_of_it(spec: StackSpec, why: str) -> None:
    found = planned("postgres:17.6", "mirror.lan/postgres:18.0", spec)
    assert found.refusals == [f"db goes from version 17 to 18, and {why}"]
    with pytest.raises(PreflightRefused, match="sese/apps cannot be deployed: db goes from version 17 to 18"):
        refuse_unfit("sese/apps", found.refusals)


def test_with_a_dump_to_come_the_host_is_told_what_to_look_for() -> None:
    found = planned("postgres:17.6", "postgres:18.0", StackSpec(fresh=(FRESH,), before=(HOOK,)))
    assert found.refusals == []
    refuse_unfit("sese/apps", found.refusals)
    assert found.files["majors"] == b"db\t17\t18\n"


def test_what_runs_is_called_as_its_release_called_it_else_as_its_image_is_still_called() -> None:
    facts = running("0123456789ab")
    facts.blobs["base.images.lock"] = b"db\tpostgres:16.1\told\t-\t0\n"
    assert planned("", "postgres:18", facts=facts).files["majors"] == b"db\t16\t18\n"
    facts = running("0123456789ab")
    facts.images = [LocalImage("old", "linux/amd64", ("other:9", "postgres:15"), ())]
    assert planned("", "postgres:18", facts=facts).files["majors"] == b"db\t15\t18\n"


def test_a_rollback_runs_no_command_and_a_version_back_is_a_danger() -> None:
    spec = StackSpec(fresh=(FRESH,), before=(HOOK,))
    found = planned("postgres:18.0", "postgres:17.6", spec, rollback=True)
    assert (found.before, found.after, found.files, found.refusals) == ((), (), {}, [])
    assert [item.detail for item in found.dangers] == [
        "db goes from version 18 to 17, and its data stays as it is: 17 may not read what 18 wrote"
    ]
    assert found.notes == [
        "data stays as it is: a rollback touches no volume", "before and after commands are not run by a rollback",
    ]  # fmt: skip


def test_commands_are_not_run_where_nothing_changes() -> None:
    spec = StackSpec(before=(HOOK,), after=(HOOK,))
    assert planned("x:1", "x:1", spec).before
    found = planned("x:1", "x:1", spec, touched=False)
    assert (found.before, found.after, "hooks" in found.files) == ((), (), False)


def test_commands_are_told_where_they_run_and_without_their_secrets() -> None:
    hooks = (
        HOOK, Hook(run="x", service="db"), Hook(run="y", service="db", container="running"),
        Hook(run="z --password=hunter2", service="web", container="running", timeout_s=0.4),
    )  # fmt: skip
    found = planned("x:1", "x:1", StackSpec(before=hooks, after=(Hook(run="y", service="db"),)))
    assert [(item.where, item.skipped) for item in found.before] == [
        ("on the host", False), ("in a container of the new db", False), ("in the running db", False),
        ("in the running web", True),
    ]  # fmt: skip
    assert found.before[3].run == "z --password=•••"
    assert found.after[0].where == "in the running db"
    assert hook_file(StackSpec(before=hooks)).decode().splitlines() == [
        "before\t1\t-\t-\t60\tpg_dump >dumps/x.sql", "before\t2\tdb\tnew\t60\tx",
        "before\t3\tdb\trunning\t60\ty", "before\t4\tweb\trunning\t1\tz --password=hunter2",
    ]  # fmt: skip


def test_a_network_that_changes_is_not_risked_for_a_command() -> None:
    facts = running("x:1")
    facts.blobs["base.structure.json"] = b'{"networks": {"back": {"internal": false}}}'
    facts.structure = {"networks": {"back": {"internal": True}}}
    (why,) = planned("x:1", "x:1", StackSpec(before=(Hook(run="x", service="db"),)), facts).refusals
    assert why.startswith("network back changes its definition")
    assert planned("x:1", "x:1", StackSpec(before=(HOOK,)), facts).refusals == []


@pytest.mark.parametrize(
    ("dumps", "told"),
    [
        ({"db": ("/d/x.sql", 1800.0, 2_000_000)}, "newest dump 30m old, 2.0 MB: /d/x.sql"),
        ({"db": ("/d/x.sql", 7200.0, 900)}, "newest dump 2h00 old (older than it may be), 0.9 kB: /d/x.sql"),
        ({}, "no dump found"),
    ],
)
def test_the_newest_dump_is_told(dumps: dict[str, tuple[str, float, int]], told: str) -> None:
    facts = running("x:1")
    facts.dumps = dumps
    (found,) = planned("x:1", "x:1", StackSpec(fresh=(FRESH,)), facts).dumps
    assert found.told == told
    targets: dict[str, ImageTarget] = {}
    none = around(StackSpec(), bundle(), {"db"}, facts, targets, touched=False, rollback=False)
    assert none.dumps == (Dump("db", problem="no dump of it is declared"),)
