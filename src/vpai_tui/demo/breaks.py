"""What can be broken on the demo, by the check that is to show it: `demo break ID`, `demo mend ID`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vpai_tui.demo import machine
from vpai_tui.demo.broken import set_broken
from vpai_tui.demo.engine.containers import attributes, remove
from vpai_tui.demo.engine.store import emit, hex_of
from vpai_tui.demo.headscale import box as headscale
from vpai_tui.demo.headscale import config
from vpai_tui.demo.headscale.state import S
from vpai_tui.demo.hosts import PROFILES
from vpai_tui.demo.litellm import box as litellm
from vpai_tui.demo.litellm import scenes
from vpai_tui.demo.litellm.traffic import Row
from vpai_tui.demo.litellm.world import PREFIX

if TYPE_CHECKING:
    from pathlib import Path

    from vpai_tui.demo.engine.store import Engine
    from vpai_tui.demo.fleet import DemoFleet
    from vpai_tui.demo.headscale.state import Doc


@dataclass(frozen=True, slots=True)
class Break:
    """One thing that fails in silence. `told`: what happens, in a few words; both may be done again."""

    told: str
    do: Callable[[DemoFleet], None]
    mend: Callable[[DemoFleet], None]


def _marked(check: str, told: str) -> Break:
    """What the simulated services themselves look for."""
    return Break(
        told,
        lambda demo: set_broken(demo.folder, check, on=True),
        lambda demo: set_broken(demo.folder, check, on=False),
    )


def _backups(scene: str, told: str) -> Break:
    return Break(told, lambda demo: demo.backups(scene), lambda demo: demo.backups("usual"))


def _proxy(demo: DemoFleet) -> Engine:
    return next(engine for host in demo.hosts if scenes.has_proxy(engine := demo.engine(host)))


# ── LiteLLM ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _spends(demo: DemoFleet) -> None:
    engine = _proxy(demo)
    litellm.boot(engine)
    with litellm.change(engine) as world:
        hour = int(world.now // 3600) * 3600
        paid = next(it for it in world.doc["loaded"]["models"] if any(it["price"]))
        alias, model, provider, vendor = (paid[it] for it in ("alias", "model", "provider", "vendor"))
        key = "litellm-internal-health-check"
        world.add(Row(hour, alias, model, provider, vendor, key, 48, 0, 960, 480, 0, 0.4375))


def _cap(demo: DemoFleet) -> None:
    engine = _proxy(demo)
    litellm.boot(engine)
    with litellm.change(engine) as world:
        world.doc["keys"][PREFIX + "cap"] = ["10.00", None]


def _no_callback(demo: DemoFleet) -> None:
    demo.budget("no-callback")


def _usual(demo: DemoFleet) -> None:
    demo.budget("usual")


# ── Headscale ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _hub(demo: DemoFleet) -> Engine:
    return demo.engine(next(name for name, host in demo.fleet.hosts.items() if host.hub))


def _without_pi(demo: DemoFleet) -> None:
    with headscale.store_of(_hub(demo)).change() as world:
        loaded = world.doc["loaded"]
        loaded["records"] = [it for it in loaded["records"] if it[2] != "100.64.0.1"]


def _as_configured(demo: DemoFleet) -> None:
    engine = _hub(demo)
    container = next(it for it in engine.read()["containers"].values() if headscale.is_headscale(it))
    read = headscale.reader(container)
    with headscale.store_of(engine).change() as world:
        world.doc["loaded"] = config.start(read(headscale.CONFIG) or b"", read)


def _online(*, on: bool) -> Callable[[DemoFleet], None]:
    def do(demo: DemoFleet) -> None:
        with headscale.store_of(_hub(demo)).change() as world:
            nodes: list[Doc] = world.doc["nodes"]
            for node in nodes:
                if node["givenName"] == "workstation-pi":
                    node.update(online=on, lastSeen=world.now - (0 if on else int(6.5 * 3600) * S))

    return do


# ── the machines ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _machine(host: str, word: str, told: str) -> Break:
    def do(demo: DemoFleet) -> None:
        machine.break_(demo.home(host), PROFILES[host], word)
        if word == "disk-unaccounted":  # else what was measured a while ago is still good enough
            (demo.laptop_dir / "disk-measured.json").unlink(missing_ok=True)

    def mend(demo: DemoFleet) -> None:
        engine = demo.engine(host)
        machine.mend(demo.home(host), PROFILES[host], engine.read(), engine.now())

    return Break(told, do, mend)


def _both(one: Break, other: Break) -> Break:
    def do(demo: DemoFleet) -> None:
        one.do(demo)
        other.do(demo)

    def mend(demo: DemoFleet) -> None:
        one.mend(demo)
        other.mend(demo)

    return Break(f"{one.told}; {other.told}", do, mend)


_CHANGED = b"\n# changed by hand\n"


def _env(demo: DemoFleet) -> Path:
    return next(path for path in sorted(demo.root("sese").rglob("n8n.env")))


def _change_env(demo: DemoFleet) -> None:
    path = _env(demo)
    path.write_bytes(path.read_bytes().removesuffix(_CHANGED) + _CHANGED)


def _as_deployed(demo: DemoFleet) -> None:
    path = _env(demo)
    path.write_bytes(path.read_bytes().removesuffix(_CHANGED))


_TAKEN = "taken-container"  # what was removed, as it was


def _remove_container(demo: DemoFleet) -> None:
    engine = demo.engine("sese")
    with engine.change() as state:
        for it in state["containers"].values():
            if it["labels"].get("com.docker.compose.service") == "kaneo-web":
                (demo.folder / _TAKEN).write_text(json.dumps(it))
                remove(state, engine.now(), it, force=True)
                return


def _bring_container_back(demo: DemoFleet) -> None:
    engine, taken = demo.engine("sese"), demo.folder / _TAKEN
    if not taken.exists():
        return
    it = json.loads(taken.read_bytes())
    it["id"] = hex_of(it["id"])  # as a new one: whoever watches has seen the other go
    with engine.change() as state:
        state["containers"][it["id"]] = it
        emit(state, engine.now(), "container", "create", it["id"], attributes(it))
        emit(state, engine.now(), "container", "start", it["id"], attributes(it))
    taken.unlink()


BREAKS: Mapping[str, Break] = {
    "containers": Break(
        "a tag was gone and a failure ignored: kaneo-web has no container", _remove_container, _bring_container_back
    ),
    "pg-dump": _backups("empty", "the newest dump of n8n is empty"),
    "pg-coverage": _backups("uncovered", "somebody made a database, and no dump of it is there yet"),
    "backup-steps": _backups("failed", "Redis could not be copied last night"),
    "backup-growth": _backups("grown", "archives that nobody could remove"),
    "restore-test": _backups("unrestored", "the last restore test of n8n failed"),
    "heartbeat": _backups("silent", "the backup has no address to send its heartbeat to"),
    "open-ports": _machine("sese", "open-ports", "Redis listens to the whole Internet"),
    "sshd-listen": _machine("seko", "sshd-listen", "sshd is bound to an address that no interface has"),
    "disk-unaccounted": _machine("pi", "disk-unaccounted", "containerd holds 22 GiB that no lease frees"),
    "units": _machine("pi", "units", "node_exporter has failed"),
    "guard": _machine("sese", "guard", "UFW is inactive"),
    "stale-code": Break("n8n's env file was changed, and its container goes on", _change_env, _as_deployed),
    "watcher": _marked("watcher", "Grafana answers 502"),
    "container-series": _marked("container-series", "cAdvisor sees one control group and no names"),
    "alert-rules": _marked("alert-rules", "one rule finds no data, another no data source"),
    "health-check-spend": Break("LiteLLM's health checks call a paid model", _spends, _usual),
    "effective-cap": Break("a key in Redis says ten dollars where the files say five", _cap, _usual),
    "eco-acts": Break("LiteLLM runs without the callback", _no_callback, _usual),
    "provider-credit": _marked("provider-credit", "OpenRouter answers 402"),
    "telegram-channel": _marked("telegram-channel", "an upgrade turned the plugin off"),
    "api-probes": _marked("api-probes", "OpenClaw shows its page and takes no WebSocket"),
    "vpn-names": Break("the Pi's records are gone", _without_pi, _as_configured),
    "node-seen": _both(
        Break("the Pi left the VPN six and a half hours ago", _online(on=False), _online(on=True)),
        _machine("pi", "memory", "its kernel had killed a process for want of memory"),
    ),
    "control-plane": _marked("control-plane", "Headscale's public name answers 502"),
    "certificates": _marked("certificates", "nothing renews the certificates: two days are left"),
}
