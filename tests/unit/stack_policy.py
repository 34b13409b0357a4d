"""The policy of the shipped stacks, as rules over what Compose makes of them, and the table of all services.

`python tests/unit/stack_policy.py` writes the table into stacks/README.md and prints it; a test compares them.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import stack_tables as tables
import yaml

from vpai_tui.demo.engine.compose_load import Source, load
from vpai_tui.fleet.stackspec import StackSpec
from vpai_tui.strict import build, read_yaml

ROOT = Path(__file__).parents[2]
README = ROOT / "stacks" / "README.md"
_BEGIN, _END = "<!-- services: made by tests/unit/stack_policy.py -->\n", "<!-- services end -->\n"
_VERSION = re.compile(r"\d+\.\d+")
_LIES = re.compile(r"^(?:true|exit 0|kill -0 .*|caddy version)$")
_SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY$|CREDENTIAL")
_AROUND_THE_SOCKET = ("/", "/var/run", "/run", "/var/run/docker.sock", "/run/docker.sock")
_SIZES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


@dataclass(frozen=True)
class Rendered:
    """One stack as Compose resolves it, beside what stands in its files."""

    id: str
    services: Mapping[str, Any]
    networks: Mapping[str, Any]
    raw: Mapping[str, Any]
    spec: StackSpec

    @property
    def host(self) -> str:
        return self.id.partition("/")[0]

    def joins(self, service: str) -> frozenset[str]:
        """Networks by the names they have on the host; `host` for the host's own."""
        body = self.services[service]
        if body.get("network_mode"):
            return frozenset({str(body["network_mode"])})
        return frozenset(str(self.networks[key]["name"]) for key in body.get("networks") or {"default": None})


@functools.cache
def compose_command() -> tuple[str, ...]:
    """The Compose of this machine: the plugin, or the program of that name; empty without one of version 2."""
    for command in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(command[0]):
            done = subprocess.run([*command, "version", "--short"], capture_output=True, text=True, check=False)
            if done.returncode == 0 and done.stdout.strip().lstrip("v")[:1] in "2345":
                return command
    return ()


def rendered(stack_id: str) -> Rendered:
    """A stack of this repository with every service that it may have, operator's own ones included."""
    folder = ROOT / "stacks" / stack_id
    spec, problems = build(StackSpec, read_yaml(folder / "stack.yaml")[0])
    assert spec is not None, problems
    raw = yaml.safe_load((folder / "compose.yaml").read_text(encoding="utf-8"))
    project = spec.project or stack_id.partition("/")[2]
    tree = _by_compose(folder, project) if compose_command() else _by_own_loader(folder, project)
    return Rendered(stack_id, tree["services"], tree.get("networks") or {}, raw, spec)


def _by_compose(folder: Path, project: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as root:
        for example in folder.rglob("*.env.example"):
            target = Path(root) / example.relative_to(folder).with_suffix("")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(re.sub(r"(?m)^(\w+)=$", r"\1=x", example.read_text(encoding="utf-8")))
        argv = [*compose_command(), "-p", project, "--project-directory", root, "-f", str(folder / "compose.yaml")]
        env = {"PATH": os.environ["PATH"], "HOME": root}
        done = subprocess.run(
            [*argv, "config", "--format", "json"], capture_output=True, text=True, env=env, check=False
        )
    assert done.returncode == 0, f"{folder}: {done.stderr}"
    tree: dict[str, Any] = json.loads(done.stdout)
    return tree


def _by_own_loader(folder: Path, project: str) -> dict[str, Any]:
    found = load(Source([str(folder / "compose.yaml")], Path("/opt/x"), project), environment=False)
    return found.document(escape=False)


def stack_ids() -> list[str]:
    """Every stack that has files, in fleet.yaml or not."""
    return sorted(
        path.parent.relative_to(ROOT / "stacks").as_posix() for path in (ROOT / "stacks").glob("*/*/compose.yaml")
    )


def size(value: object) -> int:
    """Bytes of `512M` or `536870912`."""
    match = re.fullmatch(r"(\d+)([bkmg]?)b?", str(value).lower())
    assert match, value
    return int(match[1]) * _SIZES[match[2]]


def limits(body: Mapping[str, Any]) -> tuple[int, float, int]:
    """Memory limit in bytes, CPUs, reserved memory in bytes; 0 where none is given."""
    resources = (body.get("deploy") or {}).get("resources") or {}
    most, least = resources.get("limits") or {}, resources.get("reservations") or {}
    return size(most.get("memory", 0)), float(most.get("cpus", 0)), size(least.get("memory", 0))


def published(body: Mapping[str, Any]) -> frozenset[tuple[str, int, str]]:
    """(address, port, protocol) of what a service publishes on its host."""
    return frozenset(
        (str(port.get("host_ip") or tables.ANY), int(port["published"]), str(port.get("protocol", "tcp")))
        for port in body.get("ports") or ()
    )


def repository(image: str) -> str:
    head, colon, tail = image.partition("@")[0].rpartition(":")
    return head if colon and "/" not in tail else image


# ── rules: each yields what is wrong of one service ──────────────────────────────────────────────────────────────────


def complaints(stack: Rendered) -> list[str]:
    """Everything in a stack that the policy does not allow, as `host/service: what`."""
    found = []
    for service, body in stack.services.items():
        name = f"{stack.host}/{service}"
        one_shot = service in stack.spec.one_shots
        rules = [
            _networks(stack, service),
            _ports(name, body),
            _image(stack, service, body),
            _hardened(stack, name, body),
            _mounts(name, body),
            _environment(stack, service),
        ]
        if not one_shot:
            rules += [_healthcheck(name, body), _resources(name, body), _access(stack, service)]
        found += [f"{name}: {text}" for rule in rules for text in rule]
    return found


def _networks(stack: Rendered, service: str) -> Iterator[str]:
    name = f"{stack.host}/{service}"
    allowed = tables.NETWORKS.get(name, frozenset()) | tables.NETWORK_EXCEPTIONS.get(name, (frozenset(), ""))[0]
    for network in sorted(stack.joins(service) - allowed):
        yield f"joins {network}, which the table does not give it"


def _ports(name: str, body: Mapping[str, Any]) -> Iterator[str]:
    for address, port, protocol in sorted(published(body) - tables.PORTS.get(name, frozenset())):
        yield f"publishes {address}:{port}/{protocol}, which the document does not say"


def _image(stack: Rendered, service: str, body: Mapping[str, Any]) -> Iterator[str]:
    image = str(body.get("image", ""))
    tag = image.rpartition(":")[2] if ":" in image.rpartition("/")[2] else ""
    own = service in stack.spec.source
    if not own and "@sha256:" not in image and not _VERSION.search(tag):
        yield f"image {image} is not pinned to a version"
    if stack.host == "pi" and not own and "build" not in body and repository(image) not in tables.ARM64:
        yield f"image {image} is not known to exist for arm64"
    context = (body.get("build") or {}).get("context", "")
    if "://" in context and "#v" not in context:
        yield f"is built from {context}, which is no tag"


def _hardened(stack: Rendered, name: str, body: Mapping[str, Any]) -> Iterator[str]:
    if body.get("cap_drop") != ["ALL"]:
        yield "does not drop all capabilities"
    for added in sorted(set(body.get("cap_add") or ()) - tables.CAPABILITIES):
        yield f"adds the capability {added}"
    if "no-new-privileges:true" not in (body.get("security_opt") or ()):
        yield "may gain new privileges"
    if body.get("privileged"):
        yield "is privileged"
    rotated = (body.get("logging") or {}).get("options") or {}
    if not {"max-size", "max-file"} <= rotated.keys():
        yield "does not rotate its logs"
    once = name.partition("/")[2] in stack.spec.one_shots
    wanted = "no" if once else "on-failure:5" if stack.spec.on_demand else "unless-stopped"
    if body.get("restart") != wanted:
        yield f"restarts {body.get('restart')}, expected {wanted}"


def _mounts(name: str, body: Mapping[str, Any]) -> Iterator[str]:
    if name in tables.SOCKET:
        return
    for mount in body.get("volumes") or ():
        if mount.get("type") == "bind" and mount.get("source") in _AROUND_THE_SOCKET:
            yield f"mounts {mount['source']}"


def _environment(stack: Rendered, service: str) -> Iterator[str]:
    """Secrets come from env files alone; what Compose resolved holds both, so the file itself is looked at."""
    raw = stack.raw["services"].get(service, {}).get("environment") or {}
    pairs = raw.items() if isinstance(raw, dict) else (item.partition("=")[::2] for item in raw)
    for key, value in pairs:
        if _SECRET.search(key) and value not in ("", None):
            yield f"has a value for {key} in compose.yaml"


def _healthcheck(name: str, body: Mapping[str, Any]) -> Iterator[str]:
    check = body.get("healthcheck") or {}
    test = check.get("test")
    if not test or check.get("disable") or test == ["NONE"]:
        yield "has no healthcheck"
        return
    words = list(test) if isinstance(test, list) else ["CMD-SHELL", test]
    command = words[1:] if words[0] in ("CMD", "CMD-SHELL") else words
    if any(_LIES.match(text.strip()) for text in (" ".join(command), command[-1])):
        yield "has a healthcheck that asks nothing"
    known = tables.PROGRAMS.get(repository(str(body["image"])), frozenset())
    programs = (
        {command[0]} if words[0] == "CMD" else set(re.findall(r"(?:^|[|;&]\s*)(?:\w+=\S+\s+)*([\w./-]+)", command[0]))
    )
    for program in sorted(programs - known):
        yield f"its healthcheck calls {program}, which is not known to be in the image"


def _resources(name: str, body: Mapping[str, Any]) -> Iterator[str]:
    memory, cpus, reserved = limits(body)
    least_memory, least_cpus = tables.FLOORS.get(name, (0, 0))
    if not memory or not cpus:
        yield "has no limit of memory and CPU"
    if memory < least_memory * tables.MIB or cpus < least_cpus:
        yield f"is limited below {least_memory} MiB and {least_cpus} CPUs"
    if not reserved or reserved > memory:
        yield "reserves no memory, or more than its limit"


def _access(stack: Rendered, service: str) -> Iterator[str]:
    entries = [entry for entry in stack.spec.access if entry.service == service]
    if not entries and f"{stack.host}/{service}" not in tables.SILENT:
        yield "has no entry in access"
    if any(entry.reach == "internal" for entry in entries) and stack.services[service].get("ports"):
        yield "is internal and publishes a port"


def host_complaints(stacks: list[Rendered]) -> list[str]:
    """What is wrong of a host as a whole."""
    found = []
    for host, memory in tables.HOSTS.items():
        reserved = sum(limits(body)[2] for stack in stacks if stack.host == host for body in stack.services.values())
        if reserved >= tables.RESERVED_SHARE * memory:
            found.append(f"{host}: {reserved // tables.MIB} MiB of {memory // tables.MIB} are reserved")
    return found


# ── the table ────────────────────────────────────────────────────────────────────────────────────────────────────────


def table(stacks: list[Rendered]) -> str:
    """service × networks × ports × reservations × limits of every host as Markdown, with the overcommit of limits."""
    lines = []
    for host, memory in tables.HOSTS.items():
        own = [stack for stack in stacks if stack.host == host]
        rows = [
            _row(stack, service) for stack in own for service in stack.services if service not in stack.spec.one_shots
        ]
        total, cpus, reserved = (sum(part) for part in zip(*(numbers for _, numbers in rows), strict=True))
        lines += [
            f"**{host}**",
            "",
            "| service | networks | publishes | reserves | limit | CPUs |",
            "|---|---|---|---|---|---|",
        ]
        lines += [text for text, _ in rows]
        share, over = reserved / memory, total / memory
        lines += [
            f"| *all* | | | *{reserved // tables.MIB} MiB, {share:.0%} of {memory // tables.GIB} GiB* "
            f"| *{total // tables.MIB} MiB, {over:.0%}* | *{cpus:g}* |",
            "",
        ]
    return "\n".join(lines)


def _row(stack: Rendered, service: str) -> tuple[str, tuple[int, float, int]]:
    body = stack.services[service]
    memory, cpus, reserved = limits(body)
    ports = ", ".join(f"{address}:{port}/{protocol}" for address, port, protocol in sorted(published(body)))
    networks = ", ".join(sorted(stack.joins(service)))
    size_of = f"{reserved // tables.MIB}M | {memory // tables.MIB}M | {cpus:g}"
    return f"| {stack.id}/{service} | {networks} | {ports or '–'} | {size_of} |", (memory, cpus, reserved)


def in_readme() -> str:
    """The table that stands in stacks/README.md."""
    return README.read_text(encoding="utf-8").partition(_BEGIN)[2].partition(_END)[0]


if __name__ == "__main__":
    made = table([rendered(stack) for stack in stack_ids()])
    before, _, rest = README.read_text(encoding="utf-8").partition(_BEGIN)
    README.write_text(before + _BEGIN + made + _END + rest.partition(_END)[2], encoding="utf-8")
    print(made)
