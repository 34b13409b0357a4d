"""A `docker` for the fleet's tests: an Engine API over dial-stdio with containers from a JSON file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

SOURCE = """
import json, os, sys, time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

HERE = Path(__file__).parent
with (HERE / "calls").open("a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
if (HERE / "down").exists():
    sys.stderr.write("Cannot connect to the Docker daemon. Is the docker daemon running?\\n")
    sys.exit(1)
if sys.argv[1:2] == ["compose"]:
    print("2.30.1")
    sys.exit(0)
if sys.argv[1:2] == ["version"]:
    print("26.1.5")
    sys.exit(0)


def containers():
    return json.loads((HERE / "containers.json").read_text())


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

    def events(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        with (HERE / "events").open() as source:
            while not (HERE / "down").exists():
                line = source.readline()
                if line:
                    self.wfile.write(b"%x\\r\\n%s\\r\\n" % (len(line), line.encode()))
                    self.wfile.flush()
                else:
                    time.sleep(0.05)
        os._exit(1)

    def do_GET(self):
        with (HERE / "calls").open("a") as log:
            log.write(f"{self.path}\\n")
        path = self.path.split("?")[0].removeprefix("/v1.43")
        if path == "/_ping":
            self.answer(200, "OK", Api_Version="1.43")
        elif path == "/info":
            now = time.strftime("%Y-%m-%dT%H:%M:%S.000000000Z", time.gmtime())
            self.answer(200, {"ServerVersion": "26.1.5", "SystemTime": now})
        elif path == "/containers/json":
            self.answer(200, [{"Id": key, "Names": [it["Name"]], "Image": it["Config"]["Image"], "ImageID": it["Image"],
                "Labels": it["Config"]["Labels"], "State": it["State"]["Status"], "Status": "Up"}
                for key, it in containers().items()])
        elif path == "/events":
            self.events()
        elif path.split("/")[2] in containers():
            self.answer(200, containers()[path.split("/")[2]])
        else:
            self.answer(404, {"message": "No such container"})


engine = Engine()
while not engine.close_connection:
    engine.close_connection = True
    engine.handle_one_request()
"""


class FleetEngine:
    """The files of one fake engine; `path` goes in front of the host's PATH."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        folder.mkdir()
        (folder / "events").touch()
        (folder / "calls").touch()
        (folder / "containers.json").write_text("{}")
        script = folder / "docker"
        script.write_text(f"#!{sys.executable} -I\n{SOURCE}")
        script.chmod(0o755)

    def put(self, name: str, service: str, status: str = "running", **state: Any) -> None:
        """A container of project `apps`, as it is from now on."""
        everything = json.loads((self.path / "containers.json").read_text())
        everything[name] = {
            "Id": name,
            "Name": f"/apps-{service}-1",
            "Image": "sha256:1",
            "RestartCount": 0,
            "State": {"Status": status, "ExitCode": 0, **state},
            "Config": {
                "Image": f"lab/{service}:1",
                "Labels": {"com.docker.compose.project": "apps", "com.docker.compose.service": service},
            },
            "HostConfig": {"RestartPolicy": {"Name": "no"}},
        }
        fresh = self.path / "containers.new"
        fresh.write_text(json.dumps(everything))
        fresh.replace(self.path / "containers.json")

    def say(self, action: str, name: str, at: float, **attributes: str) -> None:
        """Put an event on the stream."""
        event = {"Type": "container", "Action": action, "Actor": {"ID": name, "Attributes": attributes}}
        with (self.path / "events").open("a") as stream:
            stream.write(json.dumps(event | {"time": int(at), "timeNano": int(at * 1e9)}) + "\n")

    def down(self, yes: bool) -> None:
        """Stop the engine, or start it again."""
        (self.path / "down").touch() if yes else (self.path / "down").unlink()

    @property
    def calls(self) -> list[str]:
        return (self.path / "calls").read_text().splitlines()
