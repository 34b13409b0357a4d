"""`fleet.yaml` into a typed `Fleet`; every error names file, path, what was expected and what stood there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from vpai_tui.errors import UsageError
from vpai_tui.strict import ConfigError, Document, KeyPath, Problem, build, read_yaml

APP = "vpai-tui"
CONFIG_VARIABLE = "VPAI_TUI_CONFIG"

T = TypeVar("T")

# No pattern may let a name begin with `-`: names become arguments of ssh and docker.
# The description of a type is what an error says was expected, and what an editor shows.
HostName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,30}$", description="a name of a-z, 0-9 and -")]
Address = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9_:][A-Za-z0-9_.:%-]*$", description="an IP address, a host name or a Host of ssh_config"),
]
UserName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$", description="a user name")]
StackId = Annotated[
    str,
    Meta(pattern=r"^[a-z][a-z0-9-]{0,30}/[a-z0-9][a-z0-9_-]{0,40}$", description="a stack as host/stack"),
]
DomainName = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*(\.[A-Za-z0-9-]+)+$", description="a domain such as example.org")
]
CommandName = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_/][A-Za-z0-9_./-]*$", description="a command's name or path, without arguments")
]
AbsolutePath = Annotated[
    str, Meta(pattern=r"^/[A-Za-z0-9_./-]+$", description="an absolute path of letters, digits and _ . -, not / itself")
]
Listener = Annotated[
    str,
    Meta(
        pattern=r"^[1-9][0-9]{0,4}(?:-[1-9][0-9]{0,4})?/(?:tcp|udp)$",
        description="a port or a range and its protocol, such as 80/tcp or 60000-60010/udp",
    ),
]
PortNumber = Annotated[int, Meta(ge=1, le=65535)]
FilePath = Annotated[str, Meta(min_length=1)]
# What `text.clean` takes out may not be written either: these texts are shown, and become lines of the host's lists.
ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*$"
Title = Annotated[str, Meta(pattern=ONE_LINE, description="one line of text")]


class Ssh(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How to log in. Whatever `~/.ssh/config` says of the address (ProxyJump, identities) is honoured too."""

    user: UserName
    port: PortNumber = 22
    key: FilePath | None = None  # path of the private key; None: agent and ssh defaults
    known_hosts: FilePath | None = None  # default ~/.ssh/known_hosts


class Host(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One machine of the fleet."""

    title: Title = ""
    addresses: Annotated[tuple[Address, ...], Meta(min_length=1)]  # as they are tried; the first is the primary
    ssh: Ssh
    sudo: bool = True  # docker and the release directory need `sudo -n`
    root: AbsolutePath = "/opt/vpai"  # files of stacks install below it; releases live in <root>/deploy
    docker: CommandName = "docker"
    hub: bool = False  # carries the VPN: deploys there are confirmed over a fresh connection and typed
    listens: tuple[Listener, ...] = ()  # ports that may be open to all though no `access` of a stack names them


class Fleet(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The fleet: hosts by name, and the stacks in their start-up order as `host/stack`."""

    hosts: Annotated[dict[HostName, Host], Meta(min_length=1)]
    stacks: tuple[StackId, ...] = ()
    domain: DomainName | None = None


def find_config(explicit: Path | None, env: Mapping[str, str]) -> Path:
    """The fleet.yaml to use: `--config`, `$VPAI_TUI_CONFIG`, `./config/fleet.yaml`, the user's config directory.

    What is named explicitly must be a file; otherwise the first that exists is taken. Raises UsageError.
    """
    named = [("--config", explicit), (f"${CONFIG_VARIABLE}", _path(env.get(CONFIG_VARIABLE)))]
    for origin, path in named:
        if path is not None:
            if os.path.isfile(path):  # noqa: PTH113  # pathlib's own raises where a name is too long
                return path
            what = _no_file(path)
            raise UsageError(f"{path}: {what}", step=origin, remedy="Name the fleet.yaml itself.")
    import platformdirs

    candidates = (Path("config") / "fleet.yaml", platformdirs.user_config_path(APP) / "fleet.yaml")
    for path in candidates:
        if path.is_file():
            return path
    tried = ", ".join(str(path) for path in candidates)
    raise UsageError(
        f"no fleet.yaml found (looked at {tried})",
        step="configuration",
        remedy="`vpai-tui init` writes a starter here; `vpai-tui --demo` needs none; --config names another.",
    )


def _no_file(path: Path) -> str:
    if os.path.isdir(path):  # noqa: PTH112  # as above
        return "is a directory, not a file"
    return "is not a plain file" if os.path.lexists(path) else "no such file"


def _path(text: str | None) -> Path | None:
    return Path(os.path.expanduser(text)) if text else None  # noqa: PTH111  # pathlib's raises for an unknown user


def find_stacks_dir(config: Path) -> Path:
    """The `stacks/` that belongs to a fleet.yaml: beside it, else beside its directory (`config/fleet.yaml`)."""
    beside = config.parent / "stacks"
    return beside if beside.is_dir() else config.absolute().parent.parent / "stacks"


def load_fleet(path: Path) -> Fleet:
    """The fleet of one file. Raises ConfigError (a UsageError) with everything that is wrong, at once."""
    document, problems = read_yaml(path)
    if document.value is None and problems:
        raise ConfigError(problems)
    fleet, misshapen = build(Fleet, document)
    problems += misshapen
    problems += check_meaning(document)
    if fleet is None or problems:
        raise ConfigError(sorted(problems, key=lambda problem: problem.line or 0))
    return fleet


def check_meaning(document: Document) -> list[Problem]:
    """What the types cannot say: stacks of unknown hosts, doubles, roots that are no clean path.

    Works on the raw document, so that these are told together with errors of shape; what has another shape than
    expected is passed over, the types have already said so.
    """
    raw = _mapping(document.value)
    hosts = _mapping(raw.get("hosts"))
    problems = [problem for name, host in hosts.items() for problem in _check_host(str(name), host, document)]
    problems += _check_places(hosts, document)
    seen: dict[str, int] = {}
    for index, stack in enumerate(_list(raw.get("stacks"))):
        if not isinstance(stack, str):
            continue
        host = stack.partition("/")[0]
        if "/" in stack and host not in hosts:
            known = ", ".join(str(name) for name in hosts)
            problems.append(document.problem(("stacks", index), f'expected a host of {known}, found "{host}"'))
        if stack in seen:
            problems.append(document.problem(("stacks", index), f"{stack} stands here twice"))
        seen[stack] = index
    return problems


def _check_host(name: str, host: object, document: Document) -> list[Problem]:
    problems: list[Problem] = []
    raw = _mapping(host)
    addresses = _list(raw.get("addresses"))
    for index, address in enumerate(addresses):
        if address in addresses[:index]:
            problems.append(document.problem(("hosts", name, "addresses", index), f"{address} stands here twice"))
    root = raw.get("root")
    if isinstance(root, str) and len(root) > 1 and root.startswith("/") and unclean_root(root):
        message = f'expected an absolute path without "..", "//" or a slash at the end, found "{root}"'
        problems.append(document.problem(("hosts", name, "root"), message))
    return problems


def unclean_root(root: str) -> bool:
    """Whether an absolute path has `..`, `//` or a slash at its end."""
    path = PurePosixPath(root)
    return str(path) != root or ".." in path.parts


def _check_places(hosts: Mapping[Any, Any], document: Document) -> list[Problem]:
    """Two hosts behind one address and port are a copy that was not edited."""
    problems: list[Problem] = []
    owner: dict[tuple[object, object], str] = {}
    for name, host in hosts.items():
        raw = _mapping(host)
        port = _mapping(raw.get("ssh")).get("port", 22)
        for index, address in enumerate(_list(raw.get("addresses"))):
            if not isinstance(address, str) or not isinstance(port, int):
                continue
            other = owner.setdefault((address, port), str(name))
            if other != str(name):
                where: KeyPath = ("hosts", str(name), "addresses", index)
                problems.append(document.problem(where, f"{address} port {port} is already host {other}"))
    return problems


def _mapping(value: object) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def json_schema(kind: type[msgspec.Struct], title: str) -> str:
    """The JSON Schema of a configuration type, for editors, as the text of a file."""
    import json

    (schema,), components = msgspec.json.schema_components((kind,), ref_template="#/$defs/{name}")
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **schema,
        "$defs": components,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
