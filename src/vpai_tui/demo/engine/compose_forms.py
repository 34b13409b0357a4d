"""The short forms of a Compose service brought to the long ones, and the merge of several files."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

from vpai_tui.demo.engine.compose_env import ComposeError, Lookup
from vpai_tui.demo.engine.store import Doc

_LISTS = ("tmpfs", "dns", "dns_search", "cap_add", "cap_drop", "security_opt", "expose", "profiles", "devices")
_REPLACED = ("command", "entrypoint")
# The keys that the Compose specification knows; any other is refused, as a slip of the pen would be.
_KEYS = frozenset(
    """
    annotations attach blkio_config build cap_add cap_drop cgroup cgroup_parent command configs container_name
    cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus cpuset credential_spec
    depends_on deploy develop device_cgroup_rules devices dns dns_opt dns_search domainname entrypoint env_file
    environment expose extends external_links extra_hosts gpus group_add healthcheck hostname image init ipc
    isolation label_file labels links logging mac_address mem_limit mem_reservation mem_swappiness memswap_limit
    models network_mode networks oom_kill_disable oom_score_adj pid pids_limit platform ports post_start pre_stop
    privileged profiles provider pull_policy pull_refresh_after read_only restart runtime scale secrets security_opt
    shm_size stdin_open stop_grace_period stop_signal storage_opt sysctls tmpfs tty ulimits use_api_socket user
    userns_mode uts volumes volumes_from working_dir
    """.split()  # noqa: SIM905 (a list of ninety lines is no help)
)


def service(name: str, raw: Any, lookup: Lookup) -> Doc:
    """One service of one file, in long form."""
    if not isinstance(raw, dict):
        raise ComposeError(f"services.{name} must be a mapping")
    for key in raw:
        if key not in _KEYS and not str(key).startswith("x-"):
            raise ComposeError(f"services.{name} additional properties '{key}' not allowed")
    if "extends" in raw:
        raise ComposeError(f"services.{name}.extends: not supported by the simulated Compose")
    shaped: Doc = {str(key): value for key, value in raw.items() if value is not None}
    changes: dict[str, Callable[[Any], Any]] = {
        "environment": lambda value: _environment(value, lookup),
        "ports": lambda value: [port for entry in value for port in _ports(name, entry)],
        "volumes": lambda value: [_volume(name, entry) for entry in value],
        **_CHANGES,
    }
    for key, change in changes.items():
        if key in shaped:
            shaped[key] = change(shaped[key])
    return shaped


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _environment(value: Any, lookup: Lookup) -> dict[str, str | None]:
    if isinstance(value, dict):
        return {str(key): lookup(str(key)) if item is None else _text(item) for key, item in value.items()}
    found: dict[str, str | None] = {}
    for entry in value:
        key, equals, rest = str(entry).partition("=")
        found[key] = rest if equals else lookup(key)
    return found


def _labels(value: Any) -> dict[str, str]:
    if isinstance(value, dict):
        return {str(key): _text(item) for key, item in value.items()}
    return {key: rest for key, _, rest in (str(entry).partition("=") for entry in value)}


def _pairs(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _text(item) for key, item in value.items()}
    return [str(entry) for entry in value]


def _env_files(value: Any) -> list[Doc]:
    entries = [value] if isinstance(value, str | dict) else list(value)
    return [
        {"path": entry, "required": True} if isinstance(entry, str) else {"required": True, **entry}
        for entry in entries
    ]


def _depends_on(value: Any) -> Doc:
    entries = value if isinstance(value, dict) else dict.fromkeys(value)
    return {
        str(key): {"condition": "service_started", "required": True, **(item or {})} for key, item in entries.items()
    }


def _named(value: Any) -> Doc:
    return dict(value) if isinstance(value, dict) else dict.fromkeys(str(entry) for entry in value)


def _words(value: Any) -> list[str]:
    return shlex.split(value) if isinstance(value, str) else [_text(entry) for entry in value]


def _strings(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [_text(entry) for entry in value]


def _healthcheck(value: Any) -> Doc:
    check = dict(value)
    if isinstance(check.get("test"), str):
        check["test"] = ["CMD-SHELL", check["test"]]
    return check


def _ports(name: str, entry: Any) -> list[Doc]:
    if isinstance(entry, dict):
        long = {"mode": "ingress", "protocol": "tcp", **entry, "target": int(entry["target"])}
        if "published" in long:
            long["published"] = str(long["published"])
        return [long]
    text, _, protocol = str(entry).partition("/")
    head, _, target = text.rpartition(":")
    ip, _, published = head.rpartition(":") if head.count(":") else ("", "", head)
    try:
        targets, sources = _range(target), _range(published) if published else [0] * len(_range(target))
    except ValueError:
        raise ComposeError(f"services.{name}.ports: invalid containerPort: {entry}") from None
    found = []
    for one, other in zip(targets, sources, strict=False):
        port: Doc = {"mode": "ingress", "target": one, "protocol": protocol or "tcp"}
        port |= {"published": str(other)} if other else {}
        port |= {"host_ip": ip.strip("[]")} if ip else {}
        found.append(port)
    return found


def _range(text: str) -> list[int]:
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def _volume(name: str, entry: Any) -> Doc:
    if isinstance(entry, dict):
        return dict(entry)
    parts = str(entry).split(":")
    if len(parts) == 1:
        return {"type": "volume", "target": parts[0], "volume": {}}
    if len(parts) > 3:
        raise ComposeError(f"services.{name}.volumes: invalid spec: {entry}: too many colons")
    source, target = parts[0], parts[1]
    modes = parts[2].split(",") if len(parts) == 3 else []
    bind = source.startswith((".", "/", "~"))
    long: Doc = {"type": "bind" if bind else "volume", "source": source, "target": target}
    long |= {"read_only": True} if "ro" in modes else {}
    return long | ({"bind": {"create_host_path": True}} if bind else {"volume": {}})


def _build(value: Any) -> Doc:
    return {"context": value} if isinstance(value, str) else dict(value)


_CHANGES: dict[str, Callable[[Any], Any]] = {
    "labels": _labels,
    "env_file": _env_files,
    "depends_on": _depends_on,
    "networks": _named,
    "command": _words,
    "entrypoint": _words,
    "healthcheck": _healthcheck,
    "build": _build,
    "extra_hosts": _pairs,
    "sysctls": _pairs,
    **dict.fromkeys(_LISTS, _strings),
}


def merge(base: Any, over: Any, path: tuple[str, ...] = ()) -> Any:
    """`over` laid on `base`: mappings deeply, ports and volumes by target, commands replaced, other lists appended."""
    if isinstance(base, dict) and isinstance(over, dict):
        merged = dict(base)
        for key, value in over.items():
            merged[key] = merge(base[key], value, (*path, key)) if base.get(key) is not None else value
        return merged
    if isinstance(base, list) and isinstance(over, list):
        last = path[-1] if path else ""
        if last in _REPLACED or path[-2:] == ("healthcheck", "test"):
            return over
        if last == "volumes":
            new = {entry.get("target"): entry for entry in over}
            return [new.pop(entry.get("target"), entry) for entry in base] + list(new.values())
        return base + [entry for entry in over if entry not in base]
    return over


RESET = "!reset"  # stands where a file takes back what an earlier one said


def without_resets(tree: Any) -> Any:
    """The merged `tree` without the keys that were taken back."""
    if isinstance(tree, dict):
        return {key: without_resets(value) for key, value in tree.items() if value is not RESET}
    return tree
