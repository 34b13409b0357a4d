"""`docker compose up`, `rm`, `stop`, `start`, `restart`: what a project wants against what the engine holds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vpai_tui.demo.engine import containers, images
from vpai_tui.demo.engine.compose_env import ComposeError
from vpai_tui.demo.engine.compose_load import Project, config_hash
from vpai_tui.demo.engine.life import life
from vpai_tui.demo.engine.store import Doc, Engine, EngineError, hex_of
from vpai_tui.demo.engine.views import COMPOSE_VERSION

LABEL = "com.docker.compose."
_STOP_S, _START_S = 0.15, 0.1  # how long the engine takes
_POLL_S = 0.2
_UNITS = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def say(kind: str, name: str, what: str) -> None:
    """One line of plain progress, on stderr as Compose writes it."""
    sys.stderr.write(f" {kind} {name}  {what}\n")
    sys.stderr.flush()


def of_service(state: Doc, project: str, service: str) -> list[Doc]:
    """The containers of a service, one-off ones left out."""
    wanted = {LABEL + "project": project, LABEL + "service": service, LABEL + "oneoff": "False"}
    return [c for c in state["containers"].values() if wanted.items() <= c["labels"].items()]


def selection(project: Project, names: Iterable[str], *, dependencies: bool) -> list[str]:
    """The services `names` stand for (all when empty), with what they depend on, dependencies first."""
    known = {**project.services, **project.inactive}
    wanted = list(names) or list(project.services)
    for name in wanted:
        if name not in known:
            raise ComposeError(f"no such service: {name}")
    order: list[str] = []

    def visit(name: str, trail: tuple[str, ...]) -> None:
        if name in trail:
            raise ComposeError(f"dependency cycle detected: {' -> '.join((*trail, name))}")
        if name in order:
            return
        for needed in known[name].get("depends_on", {}):
            if dependencies or needed in wanted:
                visit(needed, (*trail, name))
        order.append(name)

    for name in wanted:
        visit(name, ())
    return order


class Up:
    """One run of `up -d`."""

    def __init__(self, engine: Engine, project: Project, *, pull: str, build: bool, force: bool, deps: bool) -> None:
        self.engine, self.project = engine, project
        self.pull, self.build, self.force, self.deps = pull, build, force, deps
        self.known = {**project.services, **project.inactive}

    def run(self, names: Iterable[str], *, start: bool = True) -> None:
        """Bring the services up. ComposeError or EngineError say what stopped it."""
        order = selection(self.project, names, dependencies=self.deps)
        self._images(order)
        self._networks(order)
        self._volumes(order)
        touched = [(name, self._converge(name)) for name in order]
        for name, container_id in touched if start else []:
            if self.deps:
                self._wait(name)
            self._start(container_id)

    def _images(self, order: list[str]) -> None:
        for name in order:
            ref = self.known[name]["image"]
            present = images.find(self.engine.read(), ref) is not None
            if self.pull == "never" or (present and self.pull != "always"):
                continue
            if "build" in self.known[name] and not present and self.build:
                build = self.known[name]["build"]
                where = Path(build["context"])
                images.build_to_end(self.engine, where, build.get("dockerfile", "Dockerfile"), ref, ())
                continue
            sys.stderr.write(f" {name} Pulling \n")
            for _, pause_s in images.pull(self.engine, ref):
                time.sleep(pause_s)
            sys.stderr.write(f" {name} Pulled \n")

    def _networks(self, order: list[str]) -> None:
        used = {network for name in order for network in self.known[name].get("networks") or {}}
        for key in sorted(used):
            spec = self.project.networks[key]
            name = spec["name"]
            if name in self.engine.read()["networks"]:
                continue
            if spec.get("external"):
                raise ComposeError(f"network {name} declared as external, but could not be found")
            say("Network", name, "Creating")
            with self.engine.change() as state:
                pools = (spec.get("ipam") or {}).get("config") or [{}]
                labels = {LABEL + "project": self.project.name, LABEL + "network": key}
                wanted = {**spec, "labels": {**labels, **(spec.get("labels") or {})}, "subnet": pools[0].get("subnet")}
                containers.add_network(state, self.engine.now(), name, wanted)
            say("Network", name, "Created")

    def _volumes(self, order: list[str]) -> None:
        used = {entry.get("source") for name in order for entry in self.known[name].get("volumes") or []}
        for key, spec in self.project.volumes.items():
            name = spec["name"]
            if key not in used or name in self.engine.read()["volumes"]:
                continue
            if spec.get("external"):
                raise ComposeError(f'external volume "{name}" not found')
            say("Volume", f'"{name}"', "Creating")
            labels = {LABEL + "project": self.project.name, LABEL + "volume": key}
            with self.engine.change() as state:
                state["volumes"][name] = {"created": self.engine.now(), "labels": labels}
            say("Volume", f'"{name}"', "Created")

    def _converge(self, name: str) -> str:
        service = self.known[name]
        state = self.engine.read()
        existing = of_service(state, self.project.name, name)
        service = self._joined(state, service)
        title = service.get("container_name") or f"{self.project.name}-{name}-1"
        if not existing:
            say("Container", title, "Creating")
            with self.engine.change() as state:
                made = create(state, self.engine.now(), self.project, name, service, title)
            say("Container", title, "Created")
            return str(made["id"])
        old = existing[0]
        image = images.find(state, service["image"])
        same = old["labels"].get(LABEL + "config-hash") == config_hash(service)
        same = same and image is not None and old["labels"].get(LABEL + "image") == image["id"]
        if same and not self.force:
            if life(old, self.engine.now()).running:
                say("Container", old["name"], "Running")
            return str(old["id"])
        return self._recreate(name, service, old, title)

    def _joined(self, state: Doc, service: Doc) -> Doc:
        """`network_mode: service:x` as the engine needs it: the container of `x`."""
        mode = str(service.get("network_mode", ""))
        if not mode.startswith("service:"):
            return service
        parents = of_service(state, self.project.name, mode.removeprefix("service:"))
        if not parents:
            raise ComposeError(f"cannot share network namespace with service {mode[8:]} and container is not running")
        return {**service, "network_mode": f"container:{parents[0]['id']}"}

    def _recreate(self, name: str, service: Doc, old: Doc, title: str) -> str:
        say("Container", old["name"], "Recreate")
        temporary = f"{hex_of(old['id'] + str(self.engine.now()))[:12]}_{title}"
        with self.engine.change() as state:
            made = create(state, self.engine.now(), self.project, name, service, temporary)
        if life(old, self.engine.now()).running:
            time.sleep(_STOP_S)
        with self.engine.change() as state:
            gone = containers.find(state, old["id"])
            if gone is not None:
                containers.remove(state, self.engine.now(), gone, force=True)
            containers.rename(state, self.engine.now(), containers.need(state, made["id"]), title)
        say("Container", title, "Recreated")
        return str(made["id"])

    def _wait(self, name: str) -> None:
        for needed, how in self.known[name].get("depends_on", {}).items():
            condition = how.get("condition", "service_started")
            if condition != "service_started":
                self._wait_for(needed, condition)

    def _wait_for(self, needed: str, condition: str) -> None:
        while True:
            state = self.engine.read()
            found = of_service(state, self.project.name, needed)
            if not found:
                return
            seen = life(found[0], self.engine.now())
            title = found[0]["name"]
            if condition == "service_completed_successfully":
                if seen.status == "exited" and seen.exit_code:
                    raise ComposeError(f'service "{needed}" didn\'t complete successfully: exit {seen.exit_code}')
                if seen.status == "exited":
                    say("Container", title, "Exited")
                    return
            elif seen.health == "healthy":
                say("Container", title, "Healthy")
                return
            elif seen.health == "unhealthy" or not seen.running:
                why = "is unhealthy" if seen.health else f"exited ({seen.exit_code})"
                raise ComposeError(f"dependency failed to start: container {title} {why}")
            time.sleep(_POLL_S)

    def _start(self, container_id: str) -> None:
        container = containers.need(self.engine.read(), container_id)
        if life(container, self.engine.now()).running:
            return
        say("Container", container["name"], "Starting")
        time.sleep(_START_S)
        with self.engine.change() as state:
            containers.start(state, self.engine.now(), containers.need(state, container_id))
        say("Container", container["name"], "Started")


def create(state: Doc, now: float, project: Project, name: str, service: Doc, title: str) -> Doc:
    """The container of a service, as Compose creates it (not started)."""
    image = images.need(state, service["image"])
    source = project.source
    labels = {
        **(service.get("labels") or {}),
        LABEL + "project": project.name,
        LABEL + "service": name,
        LABEL + "config-hash": config_hash(service),
        LABEL + "image": image["id"],
        LABEL + "version": COMPOSE_VERSION,
        LABEL + "oneoff": "False",
        LABEL + "container-number": "1",
        LABEL + "project.working_dir": str(source.directory),
        LABEL + "project.config_files": ",".join(str(source.directory / file) for file in source.files),
        LABEL + "depends_on": ",".join(
            f"{needed}:{how['condition']}:false" for needed, how in (service.get("depends_on") or {}).items()
        ),
    }
    joined = {
        project.networks[key]["name"]: {"ip": (how or {}).get("ipv4_address", ""), "aliases": [name, title]}
        for key, how in (service.get("networks") or {}).items()
    }
    check = service.get("healthcheck")
    behaviour, code = _behaviour(project, name, service)
    return containers.create(
        state,
        now,
        title,
        service["image"],
        labels=labels,
        env=[f"{key}={value}" for key, value in (service.get("environment") or {}).items()],
        cmd=service.get("command") or [],
        entrypoint=service.get("entrypoint") or [],
        restart=service.get("restart") or "no",
        healthcheck=_check(check),
        networks=joined,
        network_mode=service.get("network_mode") or next(iter(joined), "none"),
        ports=_ports(service),
        mounts=_mounts(project, service),
        limits={"memory": memory_bytes(service), "nano_cpus": nano_cpus(service)},
        behaviour=image["behaviour"] or behaviour,
        crash_code=code,
    )


def _check(check: Doc | None) -> Doc | None:
    if not check or check.get("disable") or check.get("test") in (["NONE"], None):
        return None
    return {"Test": check["test"]}


def _ports(service: Doc) -> list[Doc]:
    return [
        {
            "host_ip": port.get("host_ip", ""),
            "host_port": int(port.get("published") or 0),
            "container_port": port["target"],
            "protocol": port.get("protocol", "tcp"),
        }
        for port in service.get("ports") or []
    ]


def _mounts(project: Project, service: Doc) -> list[Doc]:
    found = []
    for entry in service.get("volumes") or []:
        named = project.volumes.get(entry.get("source"), {}).get("name", entry.get("source", ""))
        source = named if entry["type"] == "volume" else entry.get("source", "")
        found.append({**entry, "source": source, "read_only": bool(entry.get("read_only"))})
    return found


def memory_bytes(service: Doc) -> int:
    """The memory limit of a service, 0 without one."""
    limits = ((service.get("deploy") or {}).get("resources") or {}).get("limits") or {}
    text = str(limits.get("memory") or service.get("mem_limit") or 0).lower().rstrip("ib") or "0"
    unit = _UNITS.get(text[-1], 0)
    return int(float(text[:-1]) * unit) if unit else int(text)


def nano_cpus(service: Doc) -> int:
    """The CPU limit of a service in billionths of a core, 0 without one."""
    limits = ((service.get("deploy") or {}).get("resources") or {}).get("limits") or {}
    return int(float(limits.get("cpus") or service.get("cpus") or 0) * 1_000_000_000)


def _behaviour(project: Project, name: str, service: Doc) -> tuple[str, int]:
    """What the process of a service does, and the status it ends with where it ends."""
    from vpai_tui.demo.registry import behaviour_of, parse

    known = behaviour_of(parse(service["image"]).tag)
    if known:
        return known, 1
    policy = str(service.get("restart") or "no").split(":")[0]
    ends = _ends_with([*(service.get("entrypoint") or []), *(service.get("command") or [])])
    if ends is not None:
        again = policy in ("always", "unless-stopped") or (policy == "on-failure" and ends)
        return ("crash" if again or ends else "oneshot"), ends
    check = service.get("healthcheck") or {}
    if check.get("test") in (["CMD", "false"], ["CMD-SHELL", "false"]):
        return "unhealthy", 1
    awaited = any(
        how.get("condition") == "service_completed_successfully"
        for other in {**project.services, **project.inactive}.values()
        for needed, how in (other.get("depends_on") or {}).items()
        if needed == name
    )
    once = policy in ("no", "on-failure") and not check
    return ("oneshot" if once and (awaited or any(word in name for word in _ONE_SHOTS)) else ""), 1


_ONE_SHOTS = ("init", "migrat", "setup")


def _ends_with(argv: list[str]) -> int | None:
    """The exit status of a command that does nothing but end; None for every other."""
    if argv in (["true"], ["false"]):
        return int(argv == ["false"])
    if len(argv) == 3 and argv[1] == "-c" and argv[0].rsplit("/", 1)[-1] in ("sh", "bash"):
        word, _, code = argv[2].strip().partition(" ")
        if word == "exit" and code.isdigit():
            return int(code)
    return None


def each(engine: Engine, project: str, services: Iterable[str], action: str, **how: Any) -> None:
    """`stop`, `start`, `restart` or `rm` the containers of `services`."""
    before = {"stop": "Stopping", "start": "Starting", "restart": "Restarting", "rm": "Removing"}
    after = {"stop": "Stopped", "start": "Started", "restart": "Started", "rm": "Removed"}
    for service in services:
        for container in of_service(engine.read(), project, service):
            steps = [action]
            if action == "rm" and life(container, engine.now()).running:
                steps = ["stop", "rm"] if how.get("stop") else []
            for step in steps:
                say("Container", container["name"], before[step])
                time.sleep(_START_S if step == "start" else _STOP_S)
                with engine.change() as state:
                    act(state, engine.now(), containers.need(state, container["id"]), step)
                say("Container", container["name"], after[step])


def act(state: Doc, now: float, container: Doc, action: str) -> None:
    """One of `stop`, `start`, `restart`, `rm` on one container."""
    if action == "rm":
        containers.remove(state, now, container, force=True)
        return
    if action in ("stop", "restart"):
        containers.stop(state, now, container)
    if action in ("start", "restart"):
        containers.start(state, now, container)


__all__ = ["LABEL", "EngineError", "Up", "act", "create", "each", "memory_bytes", "of_service", "say", "selection"]
