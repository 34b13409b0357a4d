"""The scripts of sese/backups run for real: a `docker` that runs a container's commands here, against this machine's
PostgreSQL and Redis. Where busybox is installed they run in its shell with its tools, as in the image."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from vpai_tui.upkeep.backups.record import Run, read_run

from .eco.proxy import free_port, until

SCRIPTS = Path(__file__).parents[2] / "stacks/sese/backups/configs/backups/scripts"
USUAL = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# A container is a folder: `id`, `state`, `env` (shell assignments), and `bin` before the machine's own programs.
DOCKER = """#!/bin/bash
printf '%s\\n' "$*" >>"$SHIM/calls"
[ ! -e "$SHIM/dead" ] || { echo "Cannot connect to the Docker daemon" >&2; exit 1; }
case $1 in
  version) echo 28.5.2 ;;
  ps)
    all=; service=
    for word; do case $word in -a) all=1 ;; label=*.service=*) service=${word##*=} ;; esac; done
    [ -e "$SHIM/$service/id" ] || exit 0
    [ -n "$all" ] || grep -q running "$SHIM/$service/state" || exit 0
    cat "$SHIM/$service/id" ;;
  exec)
    shift
    more=()
    while :; do case $1 in
      -i) shift ;;
      -e) more+=("$2"); shift 2 ;;
      *) break ;;
    esac; done
    place=$SHIM/${1#id-}; shift
    set -a; . "$place/env"; set +a
    exec 9>&-
    exec env "${more[@]}" PATH="$place/bin:$POSTGRES_BIN:$USUAL" "$@" ;;
  *) echo "docker $1: not here" >&2; exit 1 ;;
esac
"""


@dataclass
class Machine:
    """A host with containers: `shim` is what `docker` answers from, `backups` where copies go."""

    place: Path
    postgres_bin: Path | None = None
    more: dict[str, str] = field(default_factory=dict)

    @property
    def backups(self) -> Path:
        return self.place / "backups"

    @property
    def shim(self) -> Path:
        return self.place / "shim"

    @property
    def bin(self) -> Path:
        return self.place / "bin"

    def set_up(self) -> None:
        for folder in (self.backups, self.shim, self.bin, self.place / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)
        if busybox := shutil.which("busybox"):
            subprocess.run([busybox, "--install", "-s", str(self.bin)], check=True)
        for name in (
            "flock",
            "bash",
            "env",
        ):  # Alpine's busybox has the first, Debian's has not; the others are the shim's
            (self.bin / name).unlink(missing_ok=True)
            (self.bin / name).symlink_to(str(shutil.which(name)))
        self.program(self.bin / "docker", DOCKER)

    def program(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def container(
        self, service: str, *, running: bool = True, programs: dict[str, str] | None = None, **env: str
    ) -> Path:
        """One container more, or the same one anew."""
        folder = self.shim / service
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        (folder / "id").write_text(f"id-{service}\n")
        (folder / "state").write_text("running\n" if running else "exited\n")
        (folder / "env").write_text("".join(f"{key}='{value}'\n" for key, value in env.items()))
        for name, text in (programs or {}).items():
            self.program(folder / "bin" / name, text)
        return folder

    def only(self, *services: str) -> None:
        """Nothing else is deployed: a run is quick."""
        for folder in self.shim.iterdir():
            if folder.is_dir() and folder.name not in services:
                shutil.rmtree(folder)

    def run(
        self, script: str, *words: str, under: tuple[str, ...] = (), **env: str
    ) -> subprocess.CompletedProcess[str]:
        """One of the scripts, as its container runs it."""
        shell = str(self.bin / "ash") if (self.bin / "ash").exists() else "/bin/sh"
        path = str(self.bin) if (self.bin / "ash").exists() else f"{self.bin}:{USUAL}"
        environ = {"PATH": path, "BACKUPS": str(self.backups), "SHIM": str(self.shim), "USUAL": USUAL}
        environ |= {"POSTGRES_BIN": str(self.postgres_bin or "/nowhere"), "TMPDIR": str(self.place / "tmp")}
        environ |= {"HEARTBEAT_OPEN_S": "0.2", "ALIVE": str(self.place / "alive"), **self.more, **env}
        argv = [*under, shell, str(SCRIPTS / script), *words]
        return subprocess.run(argv, env=environ, capture_output=True, text=True, check=False, timeout=120)

    def backup(self, **env: str) -> Run:
        """One run of the night's script; what it left to be read."""
        done = self.run("pre-backup.sh", "tester", **env)
        run = self.last_run()
        assert (done.returncode == 0) == run.ok, (done.returncode, done.stdout, done.stderr)
        return run

    def last_run(self) -> Run:
        run = read_run((self.backups / "status" / "last-run").read_bytes())
        assert run is not None
        return run

    def calls(self) -> str:
        return (self.shim / "calls").read_text() if (self.shim / "calls").exists() else ""


def step(run: Run, kind: str, subject: str) -> tuple[str, str]:
    """Result and reason of one step."""
    found = [it for it in run.steps if (it.kind, it.subject) == (kind, subject)]
    assert len(found) == 1, (kind, subject, run.steps)
    return found[0].result, found[0].reason


def files(machine: Machine, kind: str) -> list[str]:
    return sorted(path.name for path in (machine.backups / kind).iterdir())


# ── programs of containers that this machine has not ─────────────────────────────────────────────────────────────────

N8N = """#!/bin/sh
for word; do case $word in --output=*) out=${word#--output=} ;; esac; done
echo 'Exporting workflows' >&2
printf '[{"id":"1","name":"a"}]' >"$out"
"""
N8N_EMPTY = "#!/bin/sh\necho 'No workflows found with specified filters' >&2; exit 1\n"
# Notes its arguments, reads its settings from the descriptor, answers what Grafana would.
CURL = """#!/bin/bash
printf '%s\\n' "$*" >>"$SHIM/curl.arguments"
told=$(cat /dev/fd/3)
grep -qF 'user = "admin:gr4f4na"' <<<"$told" || { echo "curl: (22) 401" >&2; exit 22; }
case $told in
  *'/api/search'*) cat "$SHIM/grafana/search" ;;
  */api/dashboards/uid/gone*) echo "curl: (22) The requested URL returned error: 404" >&2; exit 22 ;;
  */api/dashboards/uid/*) printf '{"dashboard":{}}' ;;
esac
"""


def grafana(machine: Machine, uids: tuple[str, ...] = ("fleet", "llm-spend"), password: str = "gr4f4na") -> None:
    folder = machine.container(
        "grafana", programs={"curl": CURL}, GF_SECURITY_ADMIN_USER="admin", GF_SECURITY_ADMIN_PASSWORD=password
    )
    found = [{"id": 1, "uid": uid, "folderUid": "none", "type": "dash-db"} for uid in uids]
    (folder / "search").write_text(json.dumps(found, separators=(",", ":")))


def openclaw(machine: Machine) -> Path:
    state = machine.place / "openclaw"
    (state / "workspace").mkdir(parents=True, exist_ok=True)
    (state / "workspace" / "SOUL.md").write_text("kind\n")
    (state / "agents" / "main" / "agent").mkdir(parents=True, exist_ok=True)
    (state / "agents" / "main" / "agent" / "auth-profiles.json").write_text('{"key":"sk-secret"}')
    machine.container("openclaw", OPENCLAW_STATE_DIR=str(state), HOME=str(machine.place))
    return state


def redis_cli(port: int) -> dict[str, str]:
    """`redis-cli` that finds the test's server, as the one in the container finds its own."""
    real = shutil.which("redis-cli") or "redis-cli"
    return {"redis-cli": f'#!/bin/sh\nexec {real} -p {port} "$@"\n'}


def is_root() -> bool:
    return os.geteuid() == 0


# ── servers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

PASSWORD = "r3dis"


class Redis:
    def __init__(self, folder: Path) -> None:
        self.port, self.folder = free_port(), folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        argv = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        argv += ["--requirepass", PASSWORD, "--save", ""]
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        until(lambda: self.ask("PING") == "PONG", "Redis answers", 20)

    def ask(self, *words: str) -> str:
        env = {**os.environ, "REDISCLI_AUTH": PASSWORD}
        argv = ["redis-cli", "-p", str(self.port), *words]
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=False).stdout.strip()

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class Qdrant(ThreadingHTTPServer):
    """Collections and their snapshots, as Qdrant answers; `cut` sends less than it says it has."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Qdrant)
        self.collections = ["content_index", "palais_memory"]
        self.snapshots: dict[str, bytes] = {}
        self.cut = False
        self.damaged = False


class _Qdrant(BaseHTTPRequestHandler):
    server: Qdrant

    def answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _parts(self) -> list[str] | None:
        if self.headers["api-key"] != "qd-key":
            self.answer(b"{}", 401)
            return None
        return self.path.partition("?")[0].strip("/").split("/")

    def do_GET(self) -> None:
        if (parts := self._parts()) is None:
            return
        if len(parts) == 1:
            names = ",".join(f'{{"name":"{name}"}}' for name in self.server.collections)
            self.answer(f'{{"result":{{"collections":[{names}]}},"status":"ok","time":0.1}}'.encode())
            return
        body = self.server.snapshots.get(parts[3], b"")
        body = body[:100] if self.server.cut else bytes(len(body)) if self.server.damaged else body
        self.answer(body, 200 if body else 404)

    def do_POST(self) -> None:
        if (parts := self._parts()) is None:
            return
        body = os.urandom(4000) + b"\n\0tail"
        name = f"{parts[1]}-8273-2026-02-26-01-55-03.snapshot"
        self.server.snapshots[name] = body
        proof = hashlib.sha256(body).hexdigest()
        told = f'"name":"{name}","creation_time":"2026-02-26T01:55:03","size":{len(body)},"checksum":"{proof}"'
        self.answer(f'{{"result":{{{told}}},"status":"ok","time":0.4}}'.encode())

    def do_DELETE(self) -> None:
        if (parts := self._parts()) is not None:
            self.server.snapshots.pop(parts[3], None)
            self.answer(b'{"result":true}')

    def log_message(self, *_: object) -> None: ...
