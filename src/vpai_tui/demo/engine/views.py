"""The documents the engine shows of its facts: `inspect`, the lists of the API, the rows of `docker ps`."""

from __future__ import annotations

import time
from typing import Any

from vpai_tui.demo.engine.life import Life, life, pid_of
from vpai_tui.demo.engine.store import Doc
from vpai_tui.demo.engine.templates import Method

API_VERSION = "1.51"
MIN_API_VERSION = "1.24"
SERVER_VERSION = "28.5.1"
COMPOSE_VERSION = "2.40.3"
_ZERO_TIME = "0001-01-01T00:00:00Z"


def stamp(seconds: float) -> str:
    """RFC 3339 with nanoseconds, or Docker's zero time."""
    if not seconds:
        return _ZERO_TIME
    whole = int(seconds)
    nanos = int((seconds - whole) * 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{nanos:09d}Z"


def state_of(container: Doc, now: float) -> Doc:
    """`.State` of an inspected container; `Health` is None where there is no healthcheck."""
    seen = life(container, now)
    running = seen.status == "running"
    health = None
    if container["healthcheck"]:
        word = seen.health or ("unhealthy" if seen.status != "created" else "starting")
        failing = 0 if word != "unhealthy" else 3
        health = {"Status": word, "FailingStreak": failing, "Log": _health_log(container, seen, word, now)}
    return {
        "Status": seen.status,
        "Running": seen.running,
        "Paused": False,
        "Restarting": seen.status == "restarting",
        "OOMKilled": False,
        "Dead": False,
        "Pid": pid_of(container) if running else 0,
        "ExitCode": seen.exit_code,
        "Error": "",
        "StartedAt": stamp(seen.started_at),
        "FinishedAt": stamp(seen.finished_at),
        "Health": health,
    }


def _health_log(container: Doc, seen: Life, word: str, now: float) -> list[Doc]:
    if word == "starting" or not seen.started_at:
        return []
    bad = word == "unhealthy"
    at = max(seen.started_at + 1, now - now % 5)
    said = "connect: connection refused" if bad else "ok"
    return [{"Start": stamp(at), "End": stamp(at + 0.05), "ExitCode": int(bad), "Output": said + "\n"}]


def ports_map(container: Doc, *, running: bool) -> Doc:
    """`.NetworkSettings.Ports`."""
    shown: Doc = {}
    for port in container["ports"]:
        key = f"{port['container_port']}/{port['protocol']}"
        shown.setdefault(key, None)
        if port["host_port"] and running:
            binding = {"HostIp": port["host_ip"] or "0.0.0.0", "HostPort": str(port["host_port"])}  # noqa: S104
            shown[key] = [*(shown[key] or []), binding]
    return shown


def networks_of(state: Doc, container: Doc, *, running: bool) -> Doc:
    """`.NetworkSettings.Networks`."""
    shown: Doc = {}
    for name, endpoint in container["networks"].items():
        known = state["networks"].get(name, {})
        ip = endpoint.get("ip", "") if running else ""
        shown[name] = {
            "IPAMConfig": None,
            "Links": None,
            "Aliases": endpoint.get("aliases", []),
            "MacAddress": "02:42:ac:" + ":".join(container["id"][i : i + 2] for i in (0, 2, 4)) if ip else "",
            "NetworkID": known.get("id", ""),
            "EndpointID": container["id"][::-1] if ip else "",
            "Gateway": known["subnet"].rsplit(".", 1)[0] + ".1" if ip else "",
            "IPAddress": ip,
            "IPPrefixLen": 24 if ip else 0,
        }
    return shown


def inspect(state: Doc, container: Doc, now: float) -> Doc:
    """`docker inspect` of a container."""
    seen = life(container, now)
    name, _, most = str(container["restart"]).partition(":")
    return {
        "Id": container["id"],
        "Created": stamp(container["created"]),
        "Path": (container["entrypoint"] or container["cmd"] or [""])[0],
        "Args": [*container["entrypoint"], *container["cmd"]][1:],
        "State": state_of(container, now),
        "Image": container["image_id"],
        "Name": "/" + container["name"],
        "RestartCount": seen.restarts,
        "Driver": "overlay2",
        "Platform": "linux",
        "LogPath": f"/var/lib/docker/containers/{container['id']}/{container['id']}-json.log",
        "HostConfig": {
            "NetworkMode": container["network_mode"],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
            "RestartPolicy": {"Name": name or "no", "MaximumRetryCount": int(most or 0)},
            "Memory": container["limits"].get("memory", 0),
            "NanoCpus": container["limits"].get("nano_cpus", 0),
            "Binds": [f"{m['source']}:{m['target']}:rw" for m in container["mounts"] if m["type"] == "bind"],
            "PortBindings": ports_map(container, running=True),
        },
        "Mounts": [mount(entry) for entry in container["mounts"]],
        "Config": {
            "Hostname": container["id"][:12],
            "User": "",
            "Tty": False,
            "OpenStdin": False,
            "Env": container["env"],
            "Cmd": container["cmd"] or None,
            "Entrypoint": container["entrypoint"] or None,
            "Image": container["image"],
            "Labels": container["labels"],
            "WorkingDir": "",
            "ExposedPorts": {f"{port['container_port']}/{port['protocol']}": {} for port in container["ports"]},
            **({"Healthcheck": container["healthcheck"]} if container["healthcheck"] else {}),
        },
        "NetworkSettings": {
            "Ports": ports_map(container, running=seen.running),
            "Networks": networks_of(state, container, running=seen.running),
        },
    }


def mount(entry: Doc) -> Doc:
    """One entry of `.Mounts`."""
    writable = not entry.get("read_only")
    shown = {
        "Type": entry["type"],
        "Source": entry["source"],
        "Destination": entry["target"],
        "Mode": "rw" if writable else "ro",
        "RW": writable,
        "Propagation": "rprivate" if entry["type"] == "bind" else "",
    }
    return {"Name": entry["source"], "Driver": "local", **shown} if entry["type"] == "volume" else shown


def for_json(document: Doc) -> Doc:
    """An inspected container as JSON: an absent `Health` is left out, as the real one does."""
    state = {key: value for key, value in document["State"].items() if key != "Health" or value is not None}
    return {**document, "State": state}


def listed(state: Doc, container: Doc, now: float) -> Doc:
    """One entry of `GET /containers/json`."""
    seen = life(container, now)
    ports = [
        {"PrivatePort": port["container_port"], "Type": port["protocol"]}
        | ({"IP": port["host_ip"] or "0.0.0.0", "PublicPort": port["host_port"]} if port["host_port"] else {})  # noqa: S104
        for port in container["ports"]
        if seen.running
    ]
    return {
        "Id": container["id"],
        "Names": ["/" + container["name"]],
        "Image": container["image"],
        "ImageID": container["image_id"],
        "Command": " ".join([*container["entrypoint"], *container["cmd"]]) or "docker-entrypoint.sh",
        "Created": int(container["created"]),
        "Ports": ports,
        "Labels": container["labels"],
        "State": seen.status,
        "Status": status_line(seen, now),
        "HostConfig": {"NetworkMode": container["network_mode"]},
        "NetworkSettings": {"Networks": networks_of(state, container, running=seen.running)},
        "Mounts": [mount(entry) for entry in container["mounts"]],
    }


def status_line(seen: Life, now: float) -> str:
    """`Up 3 minutes (healthy)`, as `docker ps` says it."""
    if seen.status == "created":
        return "Created"
    if seen.status == "exited":
        return f"Exited ({seen.exit_code}) {ago(now - seen.finished_at)} ago"
    if seen.status == "restarting":
        return f"Restarting ({seen.exit_code}) {ago(now - seen.finished_at)} ago"
    health = {None: "", "starting": " (health: starting)"}.get(seen.health, f" ({seen.health})")
    return f"Up {ago(now - seen.started_at)}{health}"


def ago(seconds: float) -> str:
    """A span in Docker's words."""
    whole = max(0, int(seconds))
    for limit, unit, text in (
        (1, 1, "Less than a second"),
        (2, 1, "1 second"),
        (60, 1, "{} seconds"),
        (120, 60, "About a minute"),
        (3600, 60, "{} minutes"),
        (7200, 3600, "About an hour"),
        (172800, 3600, "{} hours"),
        (1209600, 86400, "{} days"),
        (5184000, 604800, "{} weeks"),
        (63072000, 2592000, "{} months"),
    ):
        if whole < limit:
            return text.format(whole // unit)
    return f"{whole // 31536000} years"


def ps_row(state: Doc, container: Doc, now: float, *, truncate: bool) -> Doc:
    """The fields of `docker ps --format`."""
    shown = listed(state, container, now)
    labels = container["labels"]
    ports = ", ".join(
        f"{p['IP']}:{p['PublicPort']}->{p['PrivatePort']}/{p['Type']}"
        if "PublicPort" in p
        else f"{p['PrivatePort']}/{p['Type']}"
        for p in shown["Ports"]
    )
    command = shown["Command"] if not truncate or len(shown["Command"]) <= 20 else shown["Command"][:19] + "…"
    created = time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime(container["created"]))
    return {
        "ID": container["id"][:12] if truncate else container["id"],
        "Names": container["name"],
        "Image": container["image"],
        "Command": f'"{command}"',
        "CreatedAt": created,
        "RunningFor": ago(now - container["created"]) + " ago",
        "State": shown["State"],
        "Status": shown["Status"],
        "Ports": ports,
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        "Networks": ",".join(container["networks"]),
        "Mounts": ",".join(str(entry["source"]) for entry in container["mounts"]),
        "LocalVolumes": str(sum(entry["type"] == "volume" for entry in container["mounts"])),
        "Size": "0B",
        "Label": Method(lambda key: labels.get(key, "")),
    }


def inspect_image(state: Doc, image: Doc) -> Doc:
    """`docker image inspect`."""
    return {
        "Id": image["id"],
        "RepoTags": image["tags"],
        "RepoDigests": image["digests"],
        "Parent": "",
        "Created": stamp(image["created"]),
        "Architecture": image.get("arch") or state["arch"],
        "Os": "linux",
        "Size": image["size"],
        "Config": {"Env": [], "Cmd": None, "Entrypoint": None, "Labels": None},
        "RootFS": {"Type": "layers", "Layers": [f"sha256:{layer:0<64}" for layer in image["layers"]]},
        "Metadata": {"LastTagTime": stamp(image["tagged"]) if "tagged" in image else _ZERO_TIME},
    }


def listed_image(state: Doc, image: Doc) -> Doc:
    """One entry of `GET /images/json`."""
    users = sum(container["image_id"] == image["id"] for container in state["containers"].values())
    return {
        "Id": image["id"],
        "ParentId": "",
        "RepoTags": image["tags"],
        "RepoDigests": image["digests"],
        "Created": int(image["created"]),
        "Size": image["size"],
        "SharedSize": -1,
        "Labels": None,
        "Containers": users,
    }


def inspect_network(state: Doc, network: Doc) -> Doc:
    """`docker network inspect`."""
    joined: Doc = {}
    for container in state["containers"].values():
        endpoint = container["networks"].get(network["name"])
        if endpoint is not None and container["started"] is not None and container["stopped"] is None:
            address = f"{endpoint['ip']}/24" if endpoint.get("ip") else ""
            joined[container["id"]] = {"Name": container["name"], "IPv4Address": address}
    subnet = network["subnet"]
    config = [{"Subnet": subnet, "Gateway": subnet.rsplit(".", 1)[0] + ".1"}] if subnet else []
    return {
        "Name": network["name"],
        "Id": network["id"],
        "Created": stamp(network["created"]),
        "Scope": "local",
        "Driver": network["driver"],
        "IPAM": {"Driver": "default", "Options": None, "Config": config},
        "Internal": network["internal"],
        "Attachable": False,
        "Containers": joined,
        "Options": {},
        "Labels": network["labels"],
    }


def inspect_volume(name: str, volume: Doc) -> Doc:
    """`docker volume inspect`."""
    return {
        "CreatedAt": stamp(volume["created"]),
        "Driver": "local",
        "Labels": volume["labels"],
        "Mountpoint": f"/var/lib/docker/volumes/{name}/_data",
        "Name": name,
        "Options": None,
        "Scope": "local",
    }


def version(arch: str) -> Doc:
    """`GET /version`."""
    return {
        "Platform": {"Name": "Docker Engine - Community"},
        "Version": SERVER_VERSION,
        "ApiVersion": API_VERSION,
        "MinAPIVersion": MIN_API_VERSION,
        "GitCommit": "f8215cc",
        "GoVersion": "go1.24.8",
        "Os": "linux",
        "Arch": arch,
        "KernelVersion": "6.12.48",
        "BuildTime": "2025-10-08T12:17:26.000000000+00:00",
        "Components": [],
    }


def matches(container: Doc, seen: Life, filters: dict[str, list[str]]) -> bool:
    """Whether a container passes the filters of `ps` and of the API: all kinds, any value of a kind (labels: all)."""
    checks: dict[str, Any] = {
        "name": lambda want: want.lstrip("/^").rstrip("$") in container["name"],
        "id": lambda want: container["id"].startswith(want),
        "status": lambda want: seen.status == want,
        "ancestor": lambda want: want in (container["image"], container["image_id"]),
        "health": lambda want: (seen.health or "none") == want,
        "network": lambda want: want in container["networks"],
        "volume": lambda want: any(want in (m["source"], m["target"]) for m in container["mounts"]),
    }
    for kind, wanted in filters.items():
        if kind == "label":
            if not _labelled(container["labels"], wanted):
                return False
        elif kind in checks and not any(checks[kind](want) for want in wanted):
            return False
    return True


def matches_network(network: Doc, filters: dict[str, list[str]]) -> bool:
    """As `matches`, for a network."""
    checks: dict[str, Any] = {
        "name": lambda want: want in network["name"],
        "id": lambda want: network["id"].startswith(want),
        "driver": lambda want: want == network["driver"],
    }
    kinds = [kind for kind in filters if kind in checks]
    named = all(any(checks[kind](want) for want in filters[kind]) for kind in kinds)
    return named and _labelled(network["labels"], filters.get("label", []))


def _labelled(labels: dict[str, str], wanted: list[str]) -> bool:
    pairs = (want.partition("=") for want in wanted)
    return all(key in labels and (not equals or labels[key] == value) for key, equals, value in pairs)
