"""The containers and networks of an engine: create, start, stop, remove, rename; all on facts held under the lock."""

from __future__ import annotations

import re
from typing import Any

from vpai_tui.demo.engine import images
from vpai_tui.demo.engine.life import life
from vpai_tui.demo.engine.store import Doc, EngineError, emit, fraction, hex_of

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


def find(state: Doc, text: str) -> Doc | None:
    """The container `text` names by name, id or a prefix of the id."""
    everyone: dict[str, Doc] = state["containers"]
    if text in everyone:
        return everyone[text]
    name = text.removeprefix("/")
    for container in everyone.values():
        if container["name"] == name:
            return container
    hits = [container for id_, container in everyone.items() if text and id_.startswith(text)]
    if len(hits) > 1:
        raise EngineError(400, f"multiple IDs found with provided prefix: {text}")
    return hits[0] if hits else None


def need(state: Doc, text: str) -> Doc:
    """As `find`; EngineError(404) in Docker's words when it is not there."""
    container = find(state, text)
    if container is None:
        raise EngineError(404, f"No such container: {text}")
    return container


def create(state: Doc, now: float, name: str, image_ref: str, **wanted: Any) -> Doc:
    """Create a container. `wanted` are fields of the record that differ from its defaults.

    EngineError 404 for a missing image, 409 for a name in use, 400 for a bad name.
    """
    if not _NAME.fullmatch(name):
        raise EngineError(400, f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    image = images.need(state, image_ref)
    other = find(state, name)
    if other is not None and other["name"] == name:
        raise EngineError(
            409,
            f'Conflict. The container name "/{name}" is already in use by container "{other["id"]}". '
            "You have to remove (or rename) that container to be able to reuse that name.",
        )
    state["seq"] += 1
    container: Doc = {
        "id": hex_of(f"{state['host']} {state['seed']} container {state['seq']} {now} {name}"),
        "name": name,
        "image": image_ref,
        "image_id": image["id"],
        "created": now,
        "started": None,
        "stopped": None,
        "finished": 0.0,
        "exit_code": 0,
        "restarts": 0,
        "restart": "no",
        "labels": {},
        "env": [],
        "cmd": [],
        "entrypoint": [],
        "healthcheck": None,
        "healthy_after": 0.8 + 1.2 * fraction(f"healthy {image['id']}"),
        "networks": {},
        "network_mode": "bridge",
        "ports": [],
        "mounts": [],
        "limits": {},
        "behaviour": image["behaviour"],  # "", crash, oneshot, unhealthy, flap
        "crash_code": 1,
    }
    container.update(wanted)
    state["containers"][container["id"]] = container
    emit(state, now, "container", "create", container["id"], attributes(container))
    return container


def attributes(container: Doc) -> dict[str, str]:
    """What an event says of a container: its labels, image and name."""
    return {**container["labels"], "image": container["image"], "name": container["name"]}


def start(state: Doc, now: float, container: Doc) -> None:
    """Start it; nothing when it runs. EngineError(500) when a port it publishes is taken."""
    if life(container, now).running:
        return
    _claim_ports(state, now, container)
    for name, endpoint in container["networks"].items():
        if not endpoint.get("ip"):
            endpoint["ip"] = _free_address(state, name)
    finished = life(container, now).finished_at
    container.update(started=now, stopped=None, finished=finished, restarts=0)
    emit(state, now, "container", "start", container["id"], attributes(container))


def _claim_ports(state: Doc, now: float, container: Doc) -> None:
    mine = {(port["host_port"], port["protocol"]) for port in container["ports"] if port["host_port"]}
    for other in state["containers"].values():
        if other["id"] == container["id"] or not life(other, now).running:
            continue
        for port in other["ports"]:
            if (port["host_port"], port["protocol"]) in mine:
                raise EngineError(
                    500,
                    "failed to set up container networking: driver failed programming external connectivity on "
                    f"endpoint {container['name']}: Bind for {port['host_ip'] or '0.0.0.0'}:{port['host_port']} "  # noqa: S104
                    "failed: port is already allocated",
                )


def _free_address(state: Doc, network: str) -> str:
    known = state["networks"].get(network)
    if known is None or not known["subnet"]:
        return ""
    stem = known["subnet"].rsplit(".", 1)[0]
    taken = {c["networks"][network].get("ip") for c in state["containers"].values() if network in c["networks"]}
    return next((f"{stem}.{last}" for last in range(2, 255) if f"{stem}.{last}" not in taken), "")


def stop(state: Doc, now: float, container: Doc) -> None:
    """Stop it; nothing when it does not run. It ends with the status a stopped process of its kind has."""
    seen = life(container, now)
    if not seen.running:
        return
    code = seen.exit_code if seen.status == "restarting" else 0
    container.update(stopped=now, exit_code=code, restarts=seen.restarts)
    named = attributes(container)
    emit(state, now, "container", "kill", container["id"], {**named, "signal": "15"})
    emit(state, now, "container", "stop", container["id"], named)
    emit(state, now, "container", "die", container["id"], {**named, "exitCode": str(code)})


def remove(state: Doc, now: float, container: Doc, *, force: bool = False) -> None:
    """Remove it. EngineError(409) when it runs and `force` is not given."""
    seen = life(container, now)
    if seen.running:
        if not force:
            raise EngineError(
                409,
                f'cannot remove container "{container["name"]}": container is {seen.status}: '
                "stop the container before removing or force remove",
            )
        stop(state, now, container)
    del state["containers"][container["id"]]
    emit(state, now, "container", "destroy", container["id"], attributes(container))


def rename(state: Doc, now: float, container: Doc, name: str) -> None:
    """Give it another name. EngineError(409) when that is taken."""
    other = find(state, name)
    if other is not None and other["name"] == name:
        raise EngineError(
            409,
            f'Conflict. The container name "/{name}" is already in use by container "{other["id"]}". '
            "You have to remove (or rename) that container to be able to reuse that name.",
        )
    old = container["name"]
    container["name"] = name
    emit(state, now, "container", "rename", container["id"], {**attributes(container), "oldName": "/" + old})


def add_network(state: Doc, now: float, name: str, spec: Doc) -> Doc:
    """Create a network with a /24 of its own."""
    used = {network["subnet"] for network in state["networks"].values()}
    subnet = spec.get("subnet") or next(
        s for s in (f"172.{20 + i // 250}.{i % 250}.0/24" for i in range(2000)) if s not in used
    )
    network: Doc = {
        "id": hex_of(f"{state['host']} network {name} {now}"),
        "name": name,
        "driver": spec.get("driver") or "bridge",
        "subnet": subnet,
        "internal": bool(spec.get("internal")),
        "labels": spec.get("labels") or {},
        "created": now,
    }
    state["networks"][name] = network
    emit(state, now, "network", "create", network["id"], {"name": name, "type": network["driver"]})
    return network


def need_network(state: Doc, text: str) -> Doc:
    """The network of that name, id or beginning of an id. EngineError(404) when there is none."""
    networks: dict[str, Doc] = state["networks"]
    if text in networks:
        return networks[text]
    hits = [network for network in networks.values() if text and network["id"].startswith(text)]
    if not hits:
        raise EngineError(404, f"network {text} not found")
    return hits[0]


def remove_network(state: Doc, now: float, text: str) -> None:
    """Remove it. EngineError(403) while a running container is on it."""
    network = need_network(state, text)
    name = network["name"]
    if any(
        name in container["networks"] and life(container, now).running for container in state["containers"].values()
    ):
        raise EngineError(403, f"error while removing network: network {name} id {network['id']} has active endpoints")
    del state["networks"][name]
    emit(state, now, "network", "destroy", network["id"], {"name": name, "type": network["driver"]})
