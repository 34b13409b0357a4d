"""The night's backup for real, against PostgreSQL and Redis: each way in which the earlier one failed is tried."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from vpai_tui.upkeep.backups.record import read_restore

from . import backups_kit as kit
from .backups_kit import PASSWORD, Machine, Qdrant, Redis, files, step
from .eco.proxy import free_port, until
from .edge_kit import demand
from .postgres_kit import Postgres, postgres_server, programs

pytestmark = pytest.mark.xdist_group("backup-scripts")  # one PostgreSQL and one Redis for all


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    if programs() is None:
        demand("PostgreSQL is not installed")
    with postgres_server() as server:
        server.run("-d", "postgres", "-c", "CREATE DATABASE n8n", "-c", "CREATE DATABASE litellm")
        make = "CREATE TABLE workflow AS SELECT g AS id, 'w' || g AS name FROM generate_series(1, 500) g"
        server.run("-d", "n8n", "-c", make, "-c", "CREATE TABLE empty_one (id int)")
        yield server


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    if shutil.which("redis-server") is None:
        demand("redis-server is not installed")
    server = Redis(tmp_path_factory.mktemp("redis"))
    server.start()
    server.ask("SET", "litellm:budget:mode", "eco")
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def qdrant() -> Iterator[Qdrant]:
    server = Qdrant()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def machine(tmp_path: Path, postgres: Postgres, redis: Redis, qdrant: Qdrant) -> Machine:
    found = Machine(tmp_path, programs())
    found.set_up()
    found.container("postgresql", PGHOST="127.0.0.1", PGPORT=str(postgres.port))
    found.container("redis", programs=kit.redis_cli(redis.port), REDIS_PASSWORD=PASSWORD)
    key = {"QDRANT__SERVICE__API_KEY": "qd-key"}
    found.container("qdrant", QDRANT__SERVICE__HTTP_PORT=str(qdrant.server_port), **key)
    found.container("n8n", programs={"n8n": kit.N8N}, N8N_ENCRYPTION_KEY="never-shown-key")
    kit.grafana(found)
    kit.openclaw(found)
    return found


def test_a_night_in_which_all_goes_well(machine: Machine, postgres: Postgres, qdrant: Qdrant) -> None:
    run = machine.backup()
    assert run.ok
    assert run.by == "tester"
    saved = {(it.kind, it.subject): it for it in run.steps}
    assert set(saved) == {
        *(("pg_dump", name) for name in ("litellm", "n8n", "postgres")),
        ("redis", "redis"),
        ("qdrant", "content_index"),
        ("qdrant", "palais_memory"),
        ("n8n", "workflows"),
        ("n8n", "encryption key"),
        ("grafana", "dashboards"),
        ("openclaw", "workspace"),
    }
    for it in run.steps:
        assert it.result == "ok", it
        if it.artefact:
            path = machine.backups / it.kind / it.artefact
            assert path.stat().st_size == it.size_bytes > 0
            assert not path.stat().st_mode & 0o007, "others may not read it"
    assert [it for it in machine.backups.rglob("*") if ".part" in it.name] == []
    # they hold: an archive of each is read back
    dump = machine.backups / "pg_dump" / saved["pg_dump", "n8n"].artefact
    said = subprocess.run(
        [str(programs() / "pg_restore"), "--list", str(dump)], capture_output=True, text=True, check=True
    )  # type: ignore[operator]
    assert "TABLE DATA public workflow" in said.stdout
    rdb = machine.backups / "redis" / saved["redis", "redis"].artefact
    assert b"litellm:budget:mode" in rdb.read_bytes()
    assert qdrant.snapshots == {}, "what was made in Qdrant is taken away again"
    tar = machine.backups / "grafana" / saved["grafana", "dashboards"].artefact
    names = subprocess.run(["tar", "-tzf", str(tar)], capture_output=True, text=True, check=True).stdout.split()
    assert {"./fleet.json", "./llm-spend.json"} <= set(names)
    tar = machine.backups / "openclaw" / saved["openclaw", "workspace"].artefact
    names = subprocess.run(["tar", "-tzf", str(tar)], capture_output=True, text=True, check=True).stdout.split()
    assert "workspace/SOUL.md" in names
    assert not any("auth-profiles" in name for name in names)
    # no secret is an argument, nor in what is left behind
    told = machine.calls() + (machine.shim / "curl.arguments").read_text()
    told += "".join(it.read_text() for it in (machine.backups / "status").iterdir() if it.is_file())
    for secret in ("gr4f4na", PASSWORD, "qd-key", "never-shown-key"):
        assert secret not in told


def test_a_database_that_is_added_later_is_dumped(machine: Machine, postgres: Postgres) -> None:
    machine.only("postgresql")
    odd = 'Zurück/";x=1 \t'
    for name in ("later", odd):
        postgres.run("-d", "postgres", "-c", f'CREATE DATABASE "{name.replace(chr(34), chr(34) * 2)}"')
    try:
        run = machine.backup()
        assert run.ok
        assert step(run, "pg_dump", "later")[0] == "ok"
        assert any(it.subject.startswith("Zurück/") and it.artefact.startswith("Zur_ck___x_1__") for it in run.steps)
    finally:
        for name in ("later", odd):
            postgres.run("-d", "postgres", "-c", f'DROP DATABASE "{name.replace(chr(34), chr(34) * 2)}"')


def test_a_database_that_cannot_be_dumped_costs_nobody_else(machine: Machine, postgres: Postgres) -> None:
    machine.only("postgresql")
    postgres.run("-d", "postgres", "-c", "CREATE DATABASE shut", "-c", "ALTER DATABASE shut ALLOW_CONNECTIONS false")
    try:
        run = machine.backup(HEARTBEAT_URL="http://127.0.0.1:9/x")
    finally:
        postgres.run("-d", "postgres", "-c", "DROP DATABASE shut")
    result, reason = step(run, "pg_dump", "shut")
    assert result == "failed"
    assert "not currently accepting connections" in reason
    assert [it.subject for it in run.steps if it.failed] == ["shut"]
    assert run.heartbeat is not None
    assert run.heartbeat.state == "withheld"
    assert not any(name.startswith("shut") for name in files(machine, "pg_dump"))


def test_redis_down_and_engine_slow_of_mind(machine: Machine) -> None:
    machine.container("redis", programs=kit.redis_cli(free_port()), REDIS_PASSWORD=PASSWORD)
    machine.container("n8n", running=False)
    run = machine.backup()
    assert step(run, "redis", "redis")[0] == "failed"
    assert "Connection refused" in step(run, "redis", "redis")[1]
    assert step(run, "n8n", "workflows") == ("failed", "n8n does not run")
    assert step(run, "qdrant", "content_index")[0] == "ok"
    assert step(run, "openclaw", "workspace")[0] == "ok"
    assert files(machine, "redis") == []


def test_a_wrong_password_of_redis_is_no_copy(machine: Machine, redis: Redis) -> None:
    machine.only("redis")
    machine.container("redis", programs=kit.redis_cli(redis.port), REDIS_PASSWORD="another")
    assert step(machine.backup(), "redis", "redis")[0] == "failed"
    assert files(machine, "redis") == []


def test_without_docker_everything_fails_and_says_so(machine: Machine) -> None:
    (machine.shim / "dead").touch()
    run = machine.backup()
    assert {it.result for it in run.steps} == {"failed"}
    assert {it.kind for it in run.steps} == {"pg_dump", "redis", "qdrant", "n8n", "grafana", "openclaw"}
    assert step(run, "pg_dump", "postgresql")[1] == "Docker does not answer"


def test_what_is_not_deployed_is_no_failure_but_postgresql_is(machine: Machine) -> None:
    machine.only("postgresql")
    run = machine.backup()
    assert run.ok
    assert step(run, "redis", "redis") == ("none", "redis is not deployed")
    machine.only()
    assert step(machine.backup(), "pg_dump", "postgresql") == ("failed", "postgresql is not deployed")


@pytest.mark.parametrize("how", ["empty", "cut", "succeeds-with-nothing"])
def test_an_empty_or_cut_dump_never_gets_its_name(machine: Machine, how: str) -> None:
    """For three months the earlier dumps were empty files."""
    machine.only("postgresql")
    folder = programs()
    body = {
        "empty": "exit 0",
        "succeeds-with-nothing": "printf ''",
        "cut": f'{folder}/pg_dump "$@" | head -c 400',
    }[how]
    machine.program(machine.shim / "postgresql/bin/pg_dump", f"#!/bin/bash\n{body}\n")
    run = machine.backup()
    assert {it.result for it in run.steps if it.kind == "pg_dump"} == {"failed"}
    assert files(machine, "pg_dump") == []
    assert "pg_restore cannot" in step(run, "pg_dump", "n8n")[1]


def test_a_damaged_copy_of_a_collection_is_told(machine: Machine, qdrant: Qdrant) -> None:
    machine.only("qdrant")
    qdrant.cut = True
    run = machine.backup()
    assert "100 bytes came of the 4006" in step(run, "qdrant", "content_index")[1]
    qdrant.cut, qdrant.damaged = False, True
    assert step(machine.backup(), "qdrant", "content_index") == ("failed", "the checksum is another")
    assert files(machine, "qdrant") == []
    assert qdrant.snapshots == {}
    qdrant.damaged = False
    qdrant.collections = []
    assert step(machine.backup(), "qdrant", "qdrant") == ("none", "no collections")
    machine.container("qdrant", QDRANT__SERVICE__HTTP_PORT=str(qdrant.server_port), QDRANT__SERVICE__API_KEY="other")
    assert step(machine.backup(), "qdrant", "qdrant") == ("failed", "Qdrant answers 401 to GET /collections")


def test_the_wrong_user_of_grafana_is_a_failure_and_no_warning(machine: Machine) -> None:
    machine.only("grafana")
    kit.grafana(machine, password="drifted")
    result, reason = step(machine.backup(), "grafana", "dashboards")
    assert result == "failed"
    assert "401" in reason
    kit.grafana(machine, ("fleet", "gone"))
    assert "gone was not told" in step(machine.backup(), "grafana", "dashboards")[1]
    kit.grafana(machine, ())
    assert step(machine.backup(), "grafana", "dashboards") == ("failed", "Grafana names no dashboard")
    assert files(machine, "grafana") == []


def test_n8n_without_workflows_or_without_its_key(machine: Machine) -> None:
    machine.only("n8n")
    machine.container("n8n", programs={"n8n": kit.N8N_EMPTY})
    run = machine.backup()
    assert step(run, "n8n", "workflows") == ("none", "no workflows")
    assert "cannot be read" in step(run, "n8n", "encryption key")[1]
    machine.container(
        "n8n", programs={"n8n": "#!/bin/sh\necho 'database is down' >&2; exit 1\n"}, N8N_ENCRYPTION_KEY="k"
    )
    assert step(machine.backup(), "n8n", "workflows") == ("failed", "database is down")


def test_a_full_disk_is_told_and_leaves_the_older_copies(machine: Machine) -> None:
    machine.only("postgresql", "qdrant")
    if not kit.is_root() or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        demand("mounting a small disk needs root")
    assert machine.backup().ok
    before = files(machine, "pg_dump")
    where = machine.backups / "pg_dump"
    script = f'mount -t tmpfs -o size=4k none {where} && exec "$@"'
    env = {"PATH": f"{machine.bin}:{kit.USUAL}"}
    done = machine.run("pre-backup.sh", "full", under=("unshare", "-m", "bash", "-c", script, "-"), **env)
    assert done.returncode == 1, done.stderr
    run = machine.last_run()
    assert step(run, "pg_dump", "n8n")[0] == "failed"
    assert "the disk is full" in step(run, "pg_dump", "n8n")[1]  # pg_dump itself ends with 0 where the last write fails
    assert step(run, "qdrant", "content_index")[0] == "ok"
    assert files(machine, "pg_dump") == before


def test_a_folder_that_cannot_be_made_is_that_kinds_failure(machine: Machine) -> None:
    machine.only("postgresql", "redis")
    (machine.backups / "redis").write_text("in the way")
    run = machine.backup()
    assert step(run, "redis", "redis")[0] == "failed"
    assert [it.kind for it in run.steps if it.failed] == ["redis"]


def test_one_run_at_a_time(machine: Machine) -> None:
    (machine.backups / "status").mkdir()
    with subprocess.Popen(["flock", str(machine.backups / "status/lock"), "sleep", "30"]) as holder:
        try:
            until(lambda: _held(machine), "the lock is held", 5)
            done = machine.run("pre-backup.sh", "second")
            assert done.returncode == 75
            assert not (machine.backups / "status/last-run").exists()
        finally:
            subprocess.run(["pkill", "-P", str(holder.pid)], check=False)
            holder.terminate()


def _held(machine: Machine) -> bool:
    return subprocess.run(["flock", "-n", str(machine.backups / "status/lock"), "true"], check=False).returncode == 1


# ── restore tests ────────────────────────────────────────────────────────────────────────────────────────────────────


def restored(machine: Machine, database: str, code: int = 0) -> object:
    done = machine.run("restore-test.sh", database, "tester")
    assert done.returncode == code, done.stdout + done.stderr
    name = next((it for it in (machine.backups / "status/restore").iterdir() if it.name == database), None)
    assert name is not None
    found = read_restore(name.read_bytes())
    assert found is not None
    return found


def thrown_away(postgres: Postgres) -> str:
    return postgres.run("-d", "postgres", "-c", "SELECT datname FROM pg_database WHERE datname LIKE 'vpai_restore%'")


def test_a_restore_test_counts_and_leaves_nothing(machine: Machine, postgres: Postgres) -> None:
    machine.only("postgresql")
    stale = "vpai_restore_test_20260101T000000Z_0badcafe"
    postgres.run("-d", "postgres", "-c", f'CREATE DATABASE "{stale}"')  # one that was killed left it
    run = machine.backup()
    assert not any(it.subject == stale for it in run.steps)
    before = postgres.run("-d", "n8n", "-c", "SELECT count(*) FROM workflow")
    found = restored(machine, "n8n")
    assert (found.result, found.tables, found.rows) == ("ok", 2, 500)  # type: ignore[attr-defined]
    assert found.dump.startswith("n8n-")  # type: ignore[attr-defined]
    assert thrown_away(postgres) == ""
    assert postgres.run("-d", "n8n", "-c", "SELECT count(*) FROM workflow") == before


def test_a_restore_test_of_a_damaged_dump_touches_nothing(machine: Machine, postgres: Postgres) -> None:
    machine.only("postgresql")
    machine.backup()
    newest = machine.backups / "pg_dump" / files(machine, "pg_dump")[1]
    assert newest.name.startswith("n8n-")
    whole = newest.read_bytes()
    made = "SELECT count(*) FROM pg_database"
    before = postgres.run("-d", "postgres", "-c", made)
    for damaged in (whole[: len(whole) - 60], b"", b"PGDMP" + bytes(900)):
        newest.write_bytes(damaged)
        found = restored(machine, "n8n", 1)
        assert found.result == "failed"  # type: ignore[attr-defined]
        assert "damaged" in found.reason  # type: ignore[attr-defined]
    assert postgres.run("-d", "postgres", "-c", made) == before
    assert "CREATE DATABASE" not in machine.calls()
    assert "there is no dump of it" in restored(machine, "neverseen", 1).reason  # type: ignore[attr-defined]


def test_a_restore_that_fails_half_way_is_dropped(machine: Machine, postgres: Postgres) -> None:
    machine.only("postgresql")
    machine.backup()
    real = programs()
    body = f'case " $* " in *" -d "*) {real}/pg_restore "$@"; echo "pg_restore: error: lost" >&2; exit 1 ;; esac\n'
    machine.program(machine.shim / "postgresql/bin/pg_restore", f'#!/bin/bash\n{body}exec {real}/pg_restore "$@"\n')
    assert "does not restore" in restored(machine, "n8n", 1).reason  # type: ignore[attr-defined]
    assert thrown_away(postgres) == ""
    machine.program(machine.shim / "postgresql/bin/df", "#!/bin/sh\necho head; echo none 9 9 1 9% /\n")
    assert "there is no room" in restored(machine, "n8n", 1).reason  # type: ignore[attr-defined]


def test_a_database_that_cannot_be_dropped_again_is_told(machine: Machine, postgres: Postgres) -> None:
    machine.only("postgresql")
    machine.backup()
    body = 'case " $* " in *"DROP DATABASE"*) echo "ERROR: it is in use" >&2; exit 1 ;; esac\n'
    psql = machine.shim / "postgresql/bin/psql"
    machine.program(psql, f'#!/bin/bash\n{body}exec {programs()}/psql "$@"\n')
    reason = restored(machine, "n8n", 1).reason  # type: ignore[attr-defined]
    assert "could not be dropped: ERROR: it is in use" in reason
    assert thrown_away(postgres) != "", "so it was no lie"
    psql.unlink()
    restored(machine, "n8n")
    assert thrown_away(postgres) == "", "the next test tidies up"


async def test_a_restore_test_that_is_ended_drops_its_database(machine: Machine, postgres: Postgres) -> None:
    machine.only("postgresql")
    machine.backup()
    real = programs()
    body = f'case " $* " in *" -d "*) touch "$SHIM/restoring"; sleep 5 ;; esac\nexec {real}/pg_restore "$@"\n'
    machine.program(machine.shim / "postgresql/bin/pg_restore", f"#!/bin/bash\n{body}")
    running = asyncio.create_task(
        asyncio.to_thread(machine.run, "restore-test.sh", "n8n", "tester", under=("timeout", "2"))
    )
    done = await running
    assert done.returncode == 143
    assert (machine.shim / "restoring").exists()
    await asyncio.to_thread(until, lambda: thrown_away(postgres) == "", "it is dropped", 10)
