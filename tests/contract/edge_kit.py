"""Caddy of sese/edge in a network namespace of the test's own, and its visitors in another one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from .eco.proxy import until

CONFIGS = Path(__file__).parents[2] / "stacks/sese/edge/configs/caddy"
TOKEN = "contract-push"
SESE, SESE_PUBLIC = "100.64.0.14", "203.0.113.14"
VISITOR, STRANGER, GATEWAY = "100.64.0.9", "203.0.113.9", "172.20.1.1"
COUCHDB = "100.64.0.5"
# Isolated (-I): the guard of the tests refuses every address but loopback, and these are on a cable of the test's own.
PYTHON = (sys.executable, "-I", "-c")
# Who Caddy asks, each with an address of its own.
SERVICES = {
    "n8n": 5678,
    "litellm": 4000,
    "qdrant": 6333,
    "openclaw": 18789,
    "palais": 3300,
    "sure-web": 3000,
    "kaneo-api": 1337,
    "kaneo-web": 5173,
    "grafana": 3000,
}
_ALLOY = {"alloy-lines": 3500, "alloy-figures": 9009}
_UPSTREAMS = r"""
import http.server, json, sys, threading
def handler(name):
    class It(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"service": name, "path": self.path, "headers": dict(self.headers)}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.do_GET()
        def log_message(self, *words):
            pass
    return It
for name, host, port in json.loads(sys.argv[1]):
    server = http.server.ThreadingHTTPServer((host, port), handler(name))
    threading.Thread(target=server.serve_forever).start()
print("ready", flush=True)
"""
_VISITS = r"""
import http.client, json, socket, ssl, sys
context = ssl._create_unverified_context()
class Connection(http.client.HTTPSConnection):
    def connect(self):
        plain = socket.create_connection((self.target, 443), 5, (self.source, 0))
        self.sock = context.wrap_socket(plain, server_hostname=self.greeted)
answers = []
for it in json.load(sys.stdin):
    connection = Connection(it["host"], timeout=10)
    connection.source, connection.target = it["source"], it["target"]
    connection.greeted = it.get("greeted") or it["host"]
    connection.putrequest(it["method"], it["path"], skip_host=True)
    for name, value in {"Host": it["host"], "Content-Length": "0", **it["headers"]}.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    answers.append([answer.status, answer.read().decode()])
print(json.dumps(answers))
"""


def demand(reason: str) -> None:
    """Skips the test, or fails it where what the stacks are tried with must be there."""
    if os.environ.get("VPAI_STACKS") == "require":
        pytest.fail(f"VPAI_STACKS=require, but {reason}", pytrace=False)
    pytest.skip(reason)


def lacking() -> str:
    """Why the test cannot run here; empty when it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program in ("caddy", "ip"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    done = subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False)
    return "" if done.returncode == 0 else "network namespaces cannot be made here"


@dataclass(frozen=True)
class Visit:
    """One request; `greeted` is the name in the TLS greeting where it is another one than in the request."""

    host: str
    path: str = "/"
    source: str = VISITOR
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    greeted: str = ""


@dataclass(frozen=True)
class Edge:
    """What runs: the visitors' namespace is `outside`."""

    outside: str

    def ask(self, *visits: Visit) -> list[tuple[int, dict[str, Any]]]:
        """Status and what the service behind said of the request; {} where Caddy itself answered."""
        asked = [
            {
                **it.__dict__,
                "headers": dict(it.headers),
                "target": SESE if it.source == VISITOR else SESE_PUBLIC,
            }
            for it in visits
        ]
        argv = ["ip", "netns", "exec", self.outside, *PYTHON, _VISITS]
        done = subprocess.run(argv, input=json.dumps(asked), capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return [(status, _document(body)) for status, body in json.loads(done.stdout)]

    def statuses(self, *visits: Visit) -> list[int]:
        return [status for status, _ in self.ask(*visits)]


def _document(body: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def prepare(folder: Path) -> Path:
    """The files as shipped, in `folder` in the place of /etc/caddy; certificates are Caddy's own."""
    for path in CONFIGS.iterdir():
        if path.suffix != ".example":
            text = path.read_text().replace("/etc/caddy/", f"{folder}/")
            (folder / path.name).write_text(text)
    (folder / "tls.caddy").write_text("(site_tls) {\n\ttls internal\n}\n")
    return folder / "Caddyfile"


def environment(folder: Path) -> dict[str, str]:
    """Of Caddy."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "PUSH_TOKEN": TOKEN,
        "COUCHDB_UPSTREAM": f"{COUCHDB}:5984",
    }


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def _spaces(name: str) -> Iterator[tuple[str, str]]:
    """Two namespaces with a cable between them: addresses of the VPN, of the world and of Docker's bridge in each."""
    inside, outside = f"{name}-in", f"{name}-out"
    mine = {inside: (SESE, SESE_PUBLIC, "172.20.1.2"), outside: (VISITOR, STRANGER, GATEWAY)}
    try:
        for space in mine:
            _ip("netns", "add", space)
            _ip("-n", space, "link", "set", "lo", "up")
        _ip("-n", inside, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", outside)
        for space, addresses in mine.items():
            for address in addresses:
                _ip("-n", space, "addr", "add", f"{address}/24", "dev", "cable")
            _ip("-n", space, "link", "set", "cable", "up")
        _ip("-n", inside, "addr", "add", f"{COUCHDB}/32", "dev", "lo")
        yield inside, outside
    finally:
        for space in mine:
            subprocess.run(["ip", "netns", "delete", space], capture_output=True, check=False)


@contextmanager
def running(folder: Path) -> Iterator[Edge]:
    """Caddy with the stack's file, and something that answers for every service it leads to."""
    name = f"vpai{os.getpid()}"
    caddyfile, hosts = prepare(folder), Path("/etc/netns") / f"{name}-in"
    places = {service: f"127.0.1.{at}" for at, service in enumerate(SERVICES, 1)}
    listeners = [(service, places[service], port) for service, port in SERVICES.items()]
    listeners += [(service, "127.0.1.99", port) for service, port in _ALLOY.items()]
    listeners.append(("couchdb", COUCHDB, 5984))
    with ExitStack() as stack:
        hosts.mkdir(parents=True)
        stack.callback(shutil.rmtree, hosts, ignore_errors=True)
        lines = [f"{place} {service}" for service, place in places.items()] + [
            "127.0.1.99 alloy",
            "127.0.0.1 localhost",
        ]
        (hosts / "hosts").write_text("\n".join(lines) + "\n")
        inside, outside = stack.enter_context(_spaces(name))
        enter = ["ip", "netns", "exec", inside]
        _start(stack, [*enter, *PYTHON, _UPSTREAMS, json.dumps(listeners)], folder / "upstreams.log")
        until(lambda: "ready" in (folder / "upstreams.log").read_text(), "the services answer", 20)
        words = ["caddy", "run", "--adapter", "caddyfile", "--config", str(caddyfile)]
        process = _start(stack, [*enter, *words], folder / "caddy.log", environment(folder))
        edge = Edge(outside)
        until(lambda: process.poll() is not None or _answers(edge), "Caddy answers", 60)
        assert process.poll() is None, (folder / "caddy.log").read_text()[-3000:]
        yield edge


def _answers(edge: Edge) -> bool:
    with suppress(AssertionError):
        return edge.statuses(Visit("ewutelo.cloud", "/health")) == [200]
    return False


def _start(
    stack: ExitStack, words: Sequence[str], log: Path, environ: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out, env=dict(environ) if environ else None)
    stack.callback(process.wait, 20)
    stack.callback(process.terminate)
    return process
