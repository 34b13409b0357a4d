"""The Caddyfiles of Pi and seko in a real Caddy, in a network namespace of the test's own: who passes, who does not.

As they are shipped, but for where certificates come from. `$VPAI_CADDY` names another Caddy than the one on the PATH.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

STACKS = Path(__file__).parents[2] / "stacks"
CADDY = os.environ.get("VPAI_CADDY") or shutil.which("caddy")
needs_caddy = pytest.mark.skipif(
    CADDY is None or os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root, unshare and Caddy"
)
VPN, OUTSIDE = "100.64.0.2", "203.0.113.9"
# Runs inside the namespace (-I: the guard of the tests' network has nothing to say there): what answers behind Caddy,
# Caddy itself, then each request of the list from its address.
INSIDE = """
import http.client, http.server, json, socket, ssl, subprocess, sys, threading, time
caddy, config, ports, asked = json.load(sys.stdin)
subprocess.run("ip link set lo up; ip addr add 100.64.0.2/32 dev lo; ip addr add 203.0.113.9/32 dev lo", shell=True)
class Behind(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{self.server.server_port} {self.path}".encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *_): pass
for port in ports:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Behind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
log = open(config + ".log", "wb")
run = subprocess.Popen([caddy, "run", "--config", config, "--adapter", "caddyfile"], stdout=log, stderr=log)
def ask(source, name, path):
    context = ssl._create_unverified_context()
    raw = socket.create_connection((source, 443), timeout=5, source_address=(source, 0))
    with context.wrap_socket(raw, server_hostname=name) as link:
        lines = (f"GET {path} HTTP/1.1", f"Host: {name}", "X-Forwarded-For: 100.64.0.2", "Connection: close", "", "")
        link.sendall("\\r\\n".join(lines).encode())
        answer = http.client.HTTPResponse(link); answer.begin()
        return answer.status, answer.read().decode()
def patient(*one):
    for _ in range(60):
        try:
            return ask(*one)
        except (OSError, http.client.HTTPException) as error:
            said = repr(error)
            time.sleep(0.25)
    return 0, said + open(config + ".log").read()[-2000:]
try:
    found = [patient(*one) for one in asked]
finally:
    run.terminate(); run.wait()
print(json.dumps(found))
"""


def answers(folder: Path, source: str, ports: list[int], asked: list[tuple[str, str, str]]) -> list[tuple[int, str]]:
    config = folder / "caddy"
    shutil.copytree(STACKS / source, config)
    text = (config / "Caddyfile").read_text(encoding="utf-8").replace("import /etc/caddy/", f"import {config}/")
    (config / "Caddyfile").write_text(text.replace("{\n\tadmin", "{\n\tlocal_certs\n\tadmin", 1))
    if (config / "tls.caddy").exists():
        (config / "tls.caddy").write_text("(site_tls) {\n\ttls internal\n}\n")
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-I", "-c", INSIDE],
        input=json.dumps([CADDY, str(config / "Caddyfile"), ports, asked]),
        env={
            **os.environ,
            "XDG_DATA_HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "SESE_VPN_ADDRESS": "100.64.0.14",
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return [(status, body) for status, body in json.loads(done.stdout)]


@needs_caddy
def test_the_pi_lets_the_vpn_in_and_nobody_else(tmp_path: Path) -> None:
    names = {"studio": 8188, "re": 3200, "oc": 3456}
    asked = [(VPN, f"{name}.ewutelo.cloud", "/x") for name in names]
    asked += [(OUTSIDE, f"{name}.ewutelo.cloud", "/x") for name in (*names, "cut")]
    asked += [(VPN, "cut.ewutelo.cloud", "/")]
    found = answers(tmp_path, "pi/edge/configs/caddy", list(names.values()), asked)
    assert found[:3] == [(200, f"{port} /x") for port in names.values()]
    assert [status for status, _ in found[3:7]] == [403] * 4  # whatever X-Forwarded-For says
    assert found[7] == (503, "cut.ewutelo.cloud does not run at the moment; start it from the cockpit.")


@needs_caddy
def test_seko_passes_on_what_is_listed_and_nothing_else(tmp_path: Path) -> None:
    hook, singa = "hook.ewutelo.cloud", "singa.ewutelo.cloud"
    paths = (
        "/health",
        "/",
        "/webhook/other",
        "/webhook/ig-dm/more",
        "/rest/login",
        "/webhook/ig-comment",
        "/webhook/ig-dm",
    )
    found = answers(
        tmp_path,
        "seko/services/configs/relay",
        [8080],
        [(OUTSIDE, singa, "/key?v=88"), *((OUTSIDE, hook, path) for path in paths)],
    )
    assert found[0] == (200, "8080 /key?v=88")
    assert found[1] == (200, "relay-ok")
    assert [status for status, _ in found[2:6]] == [404] * 4
    assert [status for status, _ in found[6:]] == [502, 502]  # it went to Sese-AI, which is not in this namespace
