"""A `docker` command for tests: a small Engine API on its standard streams, as `docker system dial-stdio` gives."""

from __future__ import annotations

import sys
from pathlib import Path

SOURCE = """
import json, os, sys, time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

HERE = Path(__file__).parent
with (HERE / "dials").open("a") as log:
    log.write(f"{os.getpid()}\\n")
if sys.argv[1:] != ["system", "dial-stdio"]:
    print(" ".join(sys.argv[1:]))
    sys.exit(5)
if (HERE / "refuse").exists():
    sys.stderr.write((HERE / "refuse").read_text())
    sys.exit(1)


class Engine(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    rfile, wfile = sys.stdin.buffer, sys.stdout.buffer
    client_address, close_connection = ("stdio", 0), False

    def __init__(self):
        pass

    def log_message(self, *args):
        pass

    def answer(self, status, value, **headers):
        body = json.dumps(value).encode()
        self.send_response(status)
        for key, text in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(key.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def chunk(self, value):
        data = json.dumps(value).encode() + b"\\n" if value is not None else b""
        self.wfile.write(b"%x\\r\\n%s\\r\\n" % (len(data), data))
        self.wfile.flush()

    def chunked(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def do(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with (HERE / "requests").open("a") as log:
            log.write(f"{self.command} {self.path}\\n")
        path = self.path.split("?")[0].removeprefix("/v1.43")
        if path == "/_ping":
            self.answer(200, "OK", Api_Version="1.43")
        elif path == "/containers/json":
            self.answer(200, [{"Id": "abc", "Names": ["/web"]}])
        elif path == "/containers/slow/json":
            time.sleep(60)
        elif path == "/containers/dies/json":
            sys.exit(0)
        elif path == "/containers/abc/restart":
            self.answer(204, None)
        elif path == "/events":
            self.chunked()
            number = 0
            while True:
                self.chunk({"n": number})
                number += 1
                time.sleep(0.1)
        elif path == "/images/create":
            self.chunked()
            for percent in (50, 100):
                self.chunk({"id": "layer", "progressDetail": {"current": percent}})
            if "broken" in self.path:
                sys.exit(0)
            self.chunk(None)
        else:
            self.answer(404, {"message": "No such container: \\x1b[31mx token=abcdef"})

    do_GET = do_POST = do


engine = Engine()
while not engine.close_connection:
    engine.close_connection = True
    engine.handle_one_request()
"""


def install(folder: Path) -> Path:
    """Puts `docker` into `folder`; it logs its dials and requests beside itself."""
    folder.mkdir(exist_ok=True)
    script = folder / "docker"
    script.write_text(f"#!{sys.executable}\n{SOURCE}")
    script.chmod(0o755)
    return folder


def lines(folder: Path, name: str) -> list[str]:
    """What `docker` logged under `name` (`dials`: one process id each; `requests`)."""
    path = folder / name
    return path.read_text().splitlines() if path.exists() else []
