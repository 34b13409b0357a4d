"""A PostgreSQL of the tests' own with LiteLLM's tables, made by LiteLLM's own migrations."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .eco.proxy import ENVIRONMENTS, free_port, until

USER = "postgres"
STUB = Path(__file__).with_name("prisma_stub")
# Nothing here outlives the test.
_HASTY = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=127.0.0.1")


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`: Debian keeps them out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda it: int(it.parts[-3]))
    path = found[-1] if found else shutil.which("initdb")
    return Path(path).parent if path else None


@dataclass(frozen=True)
class Postgres:
    """`environ` is for `psql`."""

    port: int
    environ: dict[str, str]

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/litellm"

    def run(self, *words: str) -> str:
        """What `psql` prints."""
        argv = ["psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-U", USER, *words]
        done = subprocess.run(argv, env={**os.environ, **self.environ}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout.strip()

    def query(self, sql: str) -> str:
        return self.run("-d", "litellm", "-c", sql)

    def create(self, version: str) -> None:
        """An empty database as LiteLLM `version` leaves it after its first start."""
        self.run("-d", "postgres", "-c", "DROP DATABASE IF EXISTS litellm", "-c", "CREATE DATABASE litellm")
        packages = next((ENVIRONMENTS / version / "lib").glob("python3*/site-packages"))
        scripts = sorted((packages / "litellm_proxy_extras/migrations").glob("*/migration.sql"))
        self.run("-d", "litellm", *(word for script in scripts for word in ("-f", str(script))))


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """It refuses to run as root, and may not look into root's folders: it has its own user and one of its own."""
    folder = programs()
    assert folder is not None
    as_root = os.geteuid() == 0
    who = {"user": USER, "group": USER, "extra_groups": []} if as_root else {}
    place = Path(tempfile.mkdtemp(prefix="vpai-postgres-"))
    if as_root:
        shutil.chown(place, USER, USER)
    argv = [str(folder / "initdb"), "-D", str(place / "data"), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run([*argv, "--locale=C.UTF-8"], cwd=place, check=True, capture_output=True, **who)  # type: ignore[call-overload]
    port = free_port()
    options = [word for it in (*_HASTY, f"unix_socket_directories={place}") for word in ("-c", it)]
    words = [str(folder / "postgres"), "-D", str(place / "data"), "-p", str(port), *options]
    process = subprocess.Popen(  # type: ignore[call-overload]
        words, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **who
    )
    found = Postgres(port, {"PGHOST": "127.0.0.1", "PGPORT": str(port), "POSTGRES_USER": USER})
    ready = [str(folder / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    try:
        until(lambda: subprocess.run(ready, check=False).returncode == 0, "PostgreSQL answers", 60)
        yield found
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(place, ignore_errors=True)
