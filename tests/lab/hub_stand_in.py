"""Headscale for the lab: a container under its real reference whose answers are those of the demo's simulated server,
which `tests/contract` holds to the real one. The server itself runs in the test, at the lab's gateway.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lab_machines import Lab
from lab_registry import Registry

from vpai_tui.demo.headscale import cli, config, rest, things
from vpai_tui.demo.headscale.state import S, World, fresh

IMAGE = "headscale/headscale:0.26.0"
CONFIG = "/etc/headscale/config.yaml"
# What the container's program is asked goes to the test, with the configuration it has.
HEADSCALE = f"""#!/bin/sh
hub=$(cat /etc/hub)
config={CONFIG} previous=
for word; do case $previous in -c | --config) config=$word ;; esac; previous=$word; done
ask() {{
    wget -q -T 8 -O - --header "X-Words: $*" --post-file "$config" "http://$hub/words" |
        {{ read -r status; [ "$status" = 0 ] || {{ cat >&2; exit "${{status:-1}}"; }}; cat; }}
}}
[ "$1" = serve ] || {{ ask "$@"; exit; }}
trap 'exit 0' TERM INT
ask serve || exit 1
nc -ll -p 8080 -e /bin/pass &
while :; do sleep 1 & wait $!; done
"""
PASS = '#!/bin/sh\nIFS=: read -r host port </etc/hub\nexec nc "$host" "$port"\n'


class HubStandIn:
    """One server, empty at first."""

    def __init__(self) -> None:
        self._doc = fresh("0.26.0")
        self._lock = threading.Lock()

    @contextmanager
    def world(self) -> Iterator[World]:
        with self._lock:
            yield World(self._doc, time.time_ns())

    def words(self, argv: list[str], content: bytes) -> cli.Said:
        """`headscale ARGV` in a container with this configuration; `serve` loads it."""
        with self.world() as world:
            if argv != ["serve"]:
                return cli.run(world, argv, lambda _path: content)
            try:
                loaded = config.start(content, lambda _path: None)
            except config.Bad as error:
                return cli.Said(1, "", str(error))
            world.restart(str(time.monotonic_ns()), loaded, loaded["policy_mode"])
            return cli.Said(0)

    def join(self, line: str, name: str) -> str:
        """What `tailscale up … --auth-key KEY` on a machine of this name does here; the address it gets.

        LookupError: this server gave out no such key, or it is spent.
        """
        words = line.split()
        secret = words[words.index("--auth-key") + 1]
        with self.world() as world:
            keys = (it for it in world.doc["keys"] if it["key"] == secret and it["expiration"] > world.now)
            key = next((it for it in keys if not it["used"] or it["reusable"]), None)
            if key is None:
                raise LookupError("authkey not found, expired or used")
            waiting = world.random(24)
            things.wait_for(world, waiting, name, [])
            node = things.register(world, world.user(key["user"])["name"], waiting)
            node |= {"online": True, "lastSeen": world.now, "preAuthKey": key["id"]}
            node["registerMethod"] = "REGISTER_METHOD_AUTH_KEY"
            node["expiry"] = world.now + 180 * 86400 * S
            key["used"] = True
            return str(node["ipAddresses"][0])

    @contextmanager
    def served(self, lab: Lab, registry: Registry) -> Iterator[HubStandIn]:
        """Listening, with its image in the registry."""
        server = ThreadingHTTPServer((lab.gateway, 0), _handler(self))
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        files = {"bin/headscale": HEADSCALE, "bin/pass": PASS, "etc/hub": f"{lab.gateway}:{server.server_port}\n"}
        settings: dict[str, object] = {"Env": ["PATH=/bin"], "Entrypoint": ["/bin/headscale"]}
        registry.push_files(IMAGE, files, settings)
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _handler(hub: HubStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if self.path == "/words":
                status, out, err = hub.words(self.headers["X-Words"].split(), body)
                return self._say(200, "text/plain", f"{status}\n{out if status == 0 else err}".encode())
            headers = {name.lower(): value for name, value in self.headers.items()}
            with hub.world() as world:
                found = rest.answer(world, self.command, self.path, headers, body)
            return self._say(found.status, found.kind, found.body)

        do_POST = do_DELETE = do_PUT = do_GET  # noqa: N815

        def _say(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    return Handler
