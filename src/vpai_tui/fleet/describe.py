"""All facts of one service for people, without one secret: env values, passwords in commands and labels stay out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from vpai_tui.clock import rfc3339
from vpai_tui.errors import LinkLost, OperatorError
from vpai_tui.fleet.containers import ContainerEvent, Engine, moment, whole
from vpai_tui.fleet.model import Service
from vpai_tui.fleet.own_secrets import own_secrets, without
from vpai_tui.redact import MASK, redact
from vpai_tui.text import clean, clean_line

HEALTH_LOG_KEPT = 3
EVENTS_KEPT = 10
_DEEPEST = 32
_SECRET_NAME = re.compile(
    r"(?i)pass(?:word|wd|phrase)?|secret|token|api[_-]?key|private[_-]?key|credential|auth(?!or)|dsn"
)
_SECRET_OPTION = re.compile(
    r"(?i)(--?[\w.-]*(?:pass|secret|token|api[_-]?key|credential|auth(?!or))[\w.-]*)(\s+)(\"[^\"]*\"|'[^']*'|\S+)"
)

_AS_THEY_ARE = frozenset({"container", "env_keys", "networks", "ports", "limits", "user", "working_dir"})


async def describe(
    engine: Engine, service: Service, events: Sequence[ContainerEvent] = (), *, tail: int = 0
) -> dict[str, Any]:
    """Every fact of a service that may be shown, as plain data for the screen and for `--json`.

    Two questions to the engine (container, image), one more for the last `tail` log lines. Raises the engine's
    OperatorErrors; a service without a container has only what the snapshot knows.
    """
    facts: dict[str, Any] = {
        "id": service.id,
        "host": service.host,
        "stack": service.stack,
        "service": service.service,
        "sync": service.sync.value,
        "health": service.health.value,
        "stale": service.stale,
        "one_shot": service.one_shot,
        "image": {"reference": service.image},
    }
    if service.container is None:
        return facts
    answer = _mapping(await engine.call("inspect_container", service.container.id))
    secrets = own_secrets(answer)
    told = container_facts(answer)
    facts |= {key: value if key in _AS_THEY_ARE else without(value, secrets) for key, value in told.items()}
    facts["image"] = {"reference": _text(_mapping(answer.get("Config")).get("Image"))}
    try:
        image = await engine.call("inspect_image", answer.get("Image") or service.container.image_id)
        facts["image"] |= image_facts(_mapping(image))
    except LinkLost:
        raise
    except OperatorError as error:  # removed under a container that still runs
        facts["image"]["error"] = error.message
    facts["usage"] = (
        {"memory_bytes": service.usage.memory_bytes, "cpu_percent": service.usage.cpu_percent}
        if service.usage
        else None
    )
    facts["events"] = [
        {"at": rfc3339(event.at) if event.at else None, "action": event.action, "detail": event.detail}
        for event in [event for event in events if event.container == service.container.id][-EVENTS_KEPT:]
    ]
    if tail:
        facts["last_lines"] = await last_log_lines(engine, service.container.id, tail, secrets)
    return facts


async def inspect_yaml(engine: Engine, container: str) -> str:
    """The engine's whole answer about a container as YAML; env values, secret-looking keys and options masked."""
    answer = await engine.call("inspect_container", container)
    return yaml.safe_dump(masked(answer), sort_keys=False, allow_unicode=True, width=120)


async def secrets_of(engine: Engine, container: str) -> tuple[str, ...]:
    """What must not be seen in what a container says."""
    return own_secrets(_mapping(await engine.call("inspect_container", container)))


async def last_log_lines(engine: Engine, container: str, count: int = 100, secrets: Sequence[str] = ()) -> list[str]:
    """The last `count` lines of a container's log, oldest first, cleaned, redacted and without `secrets`."""
    answer = await engine.call("logs", container, tail=count, stdout=True, stderr=True)
    text = redact(clean(answer if isinstance(answer, bytes | str) else b""))
    return [clean_line(without(line, secrets)) for line in text.splitlines()][-count:]


def container_facts(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What `GET /containers/{id}/json` says, safe to show."""
    config, state, host = (_mapping(answer.get(key)) for key in ("Config", "State", "HostConfig"))
    cpus = whole(host.get("NanoCpus"))
    return {
        "container": {"id": _text(answer.get("Id")), "name": _text(answer.get("Name")).lstrip("/")},
        "state": {
            "status": _text(state.get("Status")),
            "exit_code": whole(state.get("ExitCode")),
            "oom_killed": bool(state.get("OOMKilled")),
            "error": redact(_text(state.get("Error"))),
            "restarts": whole(answer.get("RestartCount")),
            "restart_policy": _text(_mapping(host.get("RestartPolicy")).get("Name")) or "no",
            "created_at": _time(answer.get("Created")),
            "started_at": _time(state.get("StartedAt")),
            "finished_at": _time(state.get("FinishedAt")),
        },
        "entrypoint": safe_command(config.get("Entrypoint")),
        "command": safe_command(config.get("Cmd")),
        "user": _text(config.get("User")),
        "working_dir": _text(config.get("WorkingDir")),
        "env_keys": sorted(_text(item).partition("=")[0] for item in _sequence(config.get("Env"))),
        "mounts": [_mount(item) for item in map(_mapping, _sequence(answer.get("Mounts")))],
        "networks": _networks(_mapping(_mapping(answer.get("NetworkSettings")).get("Networks"))),
        "ports": _ports(_mapping(_mapping(answer.get("NetworkSettings")).get("Ports"))),
        "limits": {
            "memory_bytes": whole(host.get("Memory")) or None,
            "cpus": cpus / 1e9 if cpus else None,
        },
        "healthcheck": safe_command(_mapping(config.get("Healthcheck")).get("Test")),
        "health_log": [_check(item) for item in _sequence(_mapping(state.get("Health")).get("Log"))[-HEALTH_LOG_KEPT:]],
        "labels": {_text(key): safe_value(_text(key), value) for key, value in _labels(config).items()},
    }


def image_facts(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What `GET /images/{id}/json` says, safe to show."""
    platform = "/".join(filter(None, (_text(answer.get(key)) for key in ("Os", "Architecture", "Variant"))))
    return {
        "id": _text(answer.get("Id")),
        "digests": [_text(item) for item in _sequence(answer.get("RepoDigests"))],
        "tags": [_text(item) for item in _sequence(answer.get("RepoTags"))],
        "created_at": _time(answer.get("Created")),
        "size_bytes": whole(answer.get("Size")),
        "platform": platform,
    }


def safe_command(argv: object) -> str | None:
    """A command as one line, with the values of secret-looking options masked; None when there is none."""
    words = [str(word) for word in _masked_words([word for word in _sequence(argv) if isinstance(word, str)])]
    if not words:
        return None
    # masked before it is quoted: quotes inside quotes would hide where a secret ends
    return clean_line(" ".join(word if word == MASK else shlex.quote(word) for word in words))


def safe_value(name: str, value: object) -> str:
    """The value that stands behind `name`, masked when the name says that it is a secret."""
    text = clean_line(value) if isinstance(value, str) else clean_line(str(value))
    return MASK if text and _SECRET_NAME.search(name) else redact(text)


def masked(value: object, name: str = "", *, depth: int = 0) -> Any:
    """`value` (any answer of the engine) with every secret masked and every text cleaned; `…` where it is nested
    deeper than any engine does."""
    if depth > _DEEPEST and isinstance(value, Mapping | list | tuple):
        return "…"
    if isinstance(value, Mapping):
        return {_text(key): masked(item, _text(key), depth=depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        if name == "Env":
            return [f"{_text(item).partition('=')[0]}={MASK}" for item in value]
        if name in ("Cmd", "Entrypoint", "Args", "Test") and value:
            return _masked_words(value, depth=depth + 1)
        return [masked(item, name, depth=depth + 1) for item in value]
    if isinstance(value, str):
        text = redact(_SECRET_OPTION.sub(rf"\1\2{MASK}", clean(value)))
        return MASK if text and _is_secret(name) else text
    return value


def _masked_words(words: Sequence[object], *, depth: int = 0) -> list[Any]:
    """The words of a command, the one after a secret-looking option masked."""
    texts = [masked(word, depth=depth) for word in words]
    return [MASK if position and _asks_for_secret(texts[position - 1]) else text for position, text in enumerate(texts)]


def _asks_for_secret(word: object) -> bool:
    return isinstance(word, str) and word.startswith("-") and _is_secret(word)


def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None and "=" not in name


def _mount(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": _text(item.get("Type")),
        "source": _text(item.get("Name")) or _text(item.get("Source")),
        "target": _text(item.get("Destination")),
        "read_only": item.get("RW") is False,
    }


def _networks(networks: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": _text(name),
            "address": _text(_mapping(facts).get("IPAddress")) or None,
            "aliases": [_text(alias) for alias in _sequence(_mapping(facts).get("Aliases"))],
        }
        for name, facts in networks.items()
    ]


def _ports(ports: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "container": _text(inner),
            "published": [
                f"{_text(_mapping(item).get('HostIp'))}:{_text(_mapping(item).get('HostPort'))}"
                for item in _sequence(bindings)
            ],
        }
        for inner, bindings in ports.items()
    ]


def _check(item: object) -> dict[str, Any]:
    entry = _mapping(item)
    return {
        "at": _time(entry.get("End")),
        "exit_code": whole(entry.get("ExitCode")),
        "output": redact(clean_line(entry.get("Output") or "", 500)) if isinstance(entry.get("Output"), str) else "",
    }


def _labels(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping(config.get("Labels"))


def _time(value: object) -> str | None:
    at = moment(value)
    return rfc3339(at) if at else None


def _text(value: object) -> str:
    return clean_line(value) if isinstance(value, str) else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _sequence(value: object) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else []
