"""The databases of sese/infra: a real PostgreSQL and a real Redis with the files that the stack ships."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .eco.proxy import free_port, until
from .edge_kit import demand
from .postgres_kit import USER, programs

pytestmark = pytest.mark.xdist_group("sese-databases")  # one PostgreSQL for all
STACKS = Path(__file__).parents[2] / "stacks/sese"
SHIPPED = STACKS / "infra/configs"
NAMES = ("n8n", "litellm", "sure", "palais", "kaneo")
# What a test's server must have otherwise; the rest is the stack's.
_OTHERWISE = ("listen_addresses=127.0.0.1", "fsync=off", "shared_buffers=16MB")


@dataclass
class Server:
    """PostgreSQL below `place`: its socket is there, its port `port`."""

    place: Path
    port: int

    def psql(self, *words: str, host: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        where = ["-h", host or str(self.place), "-p", str(self.port)]
        argv = ["psql", "-X", "-q", "-At", *where, *words]
        return subprocess.run(argv, env={**os.environ, **environ}, capture_output=True, text=True, check=False)

    def query(self, sql: str) -> list[str]:
        done = self.psql("-U", USER, "-d", "postgres", "-c", sql)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    def provision(self, passwords: dict[str, str]) -> None:
        """As the image and the stack's `after` run it."""
        environ = {f"{name.upper()}_DB_PASSWORD": value for name, value in passwords.items()}
        environ |= {"PGHOST": str(self.place), "PGPORT": str(self.port), "PATH": os.environ["PATH"]}
        script = SHIPPED / "postgresql/init/10-databases.sh"
        done = subprocess.run(["bash", str(script)], env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert not [value for value in passwords.values() if value in done.stdout + done.stderr]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    folder = programs()
    if folder is None:
        demand("PostgreSQL is not installed")
    assert folder is not None
    place = Path(tempfile.mkdtemp(prefix="vpai-sese-pg-"))
    for name in ("postgresql.conf", "pg_hba.conf"):
        shutil.copy(SHIPPED / "postgresql/conf" / name, place / name)
    who: dict[str, object] = {}
    if os.geteuid() == 0:
        who = {"user": USER, "group": USER, "extra_groups": []}
        shutil.chown(place, USER, USER)
        for path in place.iterdir():
            shutil.chown(path, USER, USER)
    argv = [str(folder / "initdb"), "-D", str(place / "data"), "-U", USER, "--no-sync", "-A", "trust"]
    argv += ["--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=fr-FR"]
    subprocess.run(argv, cwd=place, check=True, capture_output=True, **who)  # type: ignore[call-overload]
    port = free_port()
    words = [str(folder / "postgres"), "-D", str(place / "data"), "-p", str(port)]
    files = [f"config_file={place}/postgresql.conf", f"hba_file={place}/pg_hba.conf"]
    files += [f"unix_socket_directories={place}", *_OTHERWISE]
    words += [word for it in files for word in ("-c", it)]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(words, cwd=place, stdout=log, stderr=log, **who)  # type: ignore[call-overload]
    found = Server(place, port)
    try:
        until(lambda: found.psql("-U", USER, "-d", "postgres", "-c", "SELECT 1").returncode == 0, "it answers", 60)
        yield found
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(place, ignore_errors=True)


def test_databases_are_made_once_and_passwords_follow(server: Server) -> None:
    owners = "SELECT datname || '=' || pg_get_userbyid(datdba) FROM pg_database WHERE datname = ANY('{%s}') ORDER BY 1"
    mine = owners % ",".join(NAMES)
    server.query("CREATE ROLE n8n LOGIN")  # what an older volume has already
    server.query("CREATE DATABASE n8n OWNER n8n")
    server.provision({name: f"first-{name}-secret" for name in NAMES})
    assert server.query(mine) == [f"{name}={name}" for name in sorted(NAMES)]
    before = server.query("SELECT rolname, rolpassword FROM pg_authid WHERE rolname = 'sure'")
    server.provision({name: f"other-{name}-secret" for name in NAMES})
    assert server.query("SELECT rolname, rolpassword FROM pg_authid WHERE rolname = 'sure'") != before
    assert "secret" not in (server.place / "log").read_text()
    allowed = server.query("SELECT has_database_privilege('kaneo', 'sure', 'CONNECT')")
    assert allowed == ["f"]
    made = server.psql("-U", "sure", "-d", "sure", "-c", "CREATE EXTENSION pgcrypto; CREATE TABLE t (id uuid)")
    assert made.returncode == 0, made.stderr


def test_from_outside_only_the_network_of_the_applications_gets_in(server: Server) -> None:
    for user in (USER, "n8n"):
        done = server.psql("-U", user, "-d", "postgres", "-c", "SELECT 1", host="127.0.0.1", PGPASSWORD="x")
        assert done.returncode != 0
        assert "pg_hba.conf" in done.stderr
    rules = server.query("SELECT address || '/' || auth_method FROM pg_hba_file_rules WHERE address LIKE '172%'")
    assert rules == ["172.20.2.0/scram-sha-256"]
    assert server.query("SELECT error FROM pg_hba_file_rules WHERE error IS NOT NULL") == []


# ── Redis ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def redis_port(tmp_path: Path) -> Iterator[int]:
    if shutil.which("redis-server") is None:
        demand("redis-server is not installed")
    port = free_port()
    file = tmp_path / "redis.conf"
    file.write_text((SHIPPED / "redis/conf/redis.conf").read_text().replace("dir /data", f"dir {tmp_path}"))
    words = [str(file), "--port", str(port), "--requirepass", "p w", "--bind", "127.0.0.1"]
    process = subprocess.Popen(["redis-server", *words], stdout=subprocess.DEVNULL)
    try:
        until(lambda: redis(port, "PING") == "PONG", "Redis answers", 20)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def redis(port: int, *words: str) -> str:
    argv = ["redis-cli", "-p", str(port), *words]
    environ = {**os.environ, "REDISCLI_AUTH": "p w"}
    return subprocess.run(argv, env=environ, capture_output=True, text=True, check=False).stdout.strip()


def test_redis_starts_with_its_file_and_evicts_only_what_ends_by_itself(redis_port: int) -> None:
    assert redis(redis_port, "CONFIG", "GET", "maxmemory-policy").split() == ["maxmemory-policy", "volatile-lru"]
    assert redis(redis_port, "CONFIG", "GET", "maxmemory").split() == ["maxmemory", str(384 * 2**20)]
    assert redis(redis_port, "CONFIG", "GET", "appendonly").split() == ["appendonly", "yes"]


def test_the_worker_of_sure_is_healthy_while_its_sidekiq_shows_itself(redis_port: int) -> None:
    if shutil.which("ruby") is None:
        demand("ruby is not installed")
    host = subprocess.run(["hostname"], capture_output=True, text=True, check=True).stdout.strip()

    def healthy() -> bool:
        environ = {**os.environ, "REDIS_URL": f"redis://:p%20w@127.0.0.1:{redis_port}/1"}
        script = STACKS / "apps/configs/sure/worker_health.rb"
        return subprocess.run(["ruby", str(script)], env=environ, capture_output=True, check=False).returncode == 0

    assert not healthy()
    redis(redis_port, "-n", "1", "SADD", "processes", "elsewhere:1:ab", f"{host}:1:ab")
    redis(redis_port, "-n", "1", "HSET", "elsewhere:1:ab", "beat", "1")
    assert not healthy()  # its key has run out
    redis(redis_port, "-n", "1", "HSET", f"{host}:1:ab", "beat", "1")
    assert healthy()
