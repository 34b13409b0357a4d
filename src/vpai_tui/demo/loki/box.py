"""The server in its simulated container: found by its image, reached at the container's address."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vpai_tui.demo.engine.life import life
from vpai_tui.demo.engine.store import Doc, Engine
from vpai_tui.demo.loki.chorus import Chorus
from vpai_tui.demo.loki.complaints import Complaints
from vpai_tui.demo.loki.faults import Switches
from vpai_tui.demo.loki.model import S
from vpai_tui.demo.loki.net import PORT, Handler, handler
from vpai_tui.demo.loki.server import Loki
from vpai_tui.demo.loki.store import Pushed, Together

FOLDER = "loki"  # in the demo's folder: what was pushed, and the switches


def is_loki(container: Doc) -> bool:
    return str(container["image"]).partition("@")[0].rpartition(":")[0].rpartition("/")[2] == "loki"


class Box:
    """The demo's Loki, for all hosts; one for each process that serves the demo."""

    def __init__(self, folder: Path, hosts: Sequence[str], seed: int) -> None:
        self.switches = Switches(folder / FOLDER / "faults.json", Engine(folder / hosts[0]).now)
        self._pushed = Pushed(folder / FOLDER / "pushed.jsonl")
        self._chorus = Chorus(folder, hosts, seed)
        self._complaints = Complaints(folder, Engine(folder / hosts[0]).now)
        self._servers: dict[str, Loki] = {}  # by container and start: a restart ends all tails

    def listener(self, engine: Engine, host: str, port: int) -> Handler | None:
        """Who answers at this address of an engine's network; None: nobody."""
        found = _running(engine)
        if port != PORT or found is None or host not in {it.get("ip") for it in found["networks"].values()}:
            return None
        now = int(engine.now() * S)
        return None if self.switches.read().gone(now) else handler(self._server(engine, found))

    def _server(self, engine: Engine, container: Doc) -> Loki:
        stamp = _stamp(container)
        if stamp not in self._servers:
            server = Loki(
                Together(self._chorus, self._complaints, self._pushed),
                self._pushed,
                lambda: int(engine.now() * S),
                self.switches.read,
                lambda: (seen := _running(engine)) is not None and _stamp(seen) == stamp,
            )
            self._servers = {stamp: server}
        return self._servers[stamp]


def _stamp(container: Doc) -> str:
    return f"{container['id']} {container['started']}"


def _running(engine: Engine) -> Doc | None:
    everyone: dict[str, Doc] = engine.read()["containers"]
    now = engine.now()
    return next((it for it in everyone.values() if is_loki(it) and life(it, now).status == "running"), None)
