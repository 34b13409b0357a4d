"""Facts of a service without its secrets; actions that are verified; doctor's judgement."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fleet_things import StillClock, container

from vpai_tui import config
from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.actions import Action, ActionStarted, ActionVerified, act
from vpai_tui.fleet.containers import ContainerEvent
from vpai_tui.fleet.describe import container_facts, describe, inspect_yaml, last_log_lines, masked, safe_command
from vpai_tui.fleet.doctor import CheckResult, check_laptop, compose_version, judge
from vpai_tui.fleet.model import Container, Health, Service, Sync

SECRET = "hunter2hunter2"
INSPECT: dict[str, Any] = {
    "Id": "abc",
    "Name": "/apps-web-1",
    "Image": "sha256:1",
    "Created": "2026-02-26T23:04:00Z",
    "RestartCount": 1,
    "Path": "sh",
    "Args": ["--requirepass", SECRET],
    "State": {
        "Status": "running",
        "ExitCode": 0,
        "StartedAt": "2026-02-26T23:05:00Z",
        "Error": "",
        "Health": {
            "Status": "healthy",
            "Log": [{"End": f"2026-02-26T23:05:0{n}Z", "ExitCode": 0, "Output": f"\x1b[1mok {n}"} for n in range(5)],
        },
    },
    "Config": {
        "Image": "lab/web:1",
        "Env": [f"DB_PASSWORD={SECRET}", f"HARMLESS={SECRET}", "EMPTY="],
        "Cmd": ["redis-server", "--requirepass", SECRET, "--port", "6379"],
        "Entrypoint": ["sh", "-c", f"exec run --api-key '{SECRET}' --token={SECRET}"],
        "Healthcheck": {"Test": ["CMD", "redis-cli", "--pass", SECRET, "ping"]},
        "Labels": {
            "traefik.http.middlewares.a.basicauth.users": f"admin:{SECRET}",
            "org.opencontainers.image.authors": "someone",
            "url": f"https://user:{SECRET}@example.invalid/",
        },
    },
    "HostConfig": {"Memory": 1024, "NanoCpus": 500_000_000, "RestartPolicy": {"Name": "always"}},
    "Mounts": [{"Type": "volume", "Name": "data", "Source": "/var/x", "Destination": "/data", "RW": False}],
    "NetworkSettings": {
        "Networks": {"apps_default": {"IPAddress": "172.18.0.2", "Aliases": ["web"]}},
        "Ports": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "81/tcp": None},
    },
}


def service(seen: Container | None = None, **facts: Any) -> Service:
    return Service("sese", "apps", "web", Sync.IN_SYNC, Health.RUNNING, "lab/web:1", seen, **facts)


class FakeEngine:
    """Answers inspect in turn (the last one for ever) and notes what it is asked to do."""

    def __init__(self, *answers: dict[str, Any], image: dict[str, Any] | None = None) -> None:
        self.answers = list(answers) or [INSPECT]
        self.image = image
        self.done: list[str] = []

    async def call(self, fn_name: str, /, *args: Any, **kw: Any) -> Any:
        if fn_name == "inspect_container":
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if fn_name == "inspect_image":
            if self.image is None:
                raise OperatorError("no such image")
            return self.image
        if fn_name == "logs":
            return f"one\npassword={SECRET}\n\x1b]0;title\x07three\n".encode()
        self.done.append(" ".join([fn_name, *args]))
        return None

    async def iterate(self, fn_name: str, /, *args: Any, **kw: Any) -> AsyncIterator[Any]:
        raise AssertionError(fn_name)
        yield


async def test_describe_tells_everything_but_secrets() -> None:
    image = {"Id": "sha256:1", "RepoDigests": ["lab/web@sha256:d"], "Os": "linux", "Architecture": "arm64", "Size": 5}
    other = ContainerEvent(None, "other", "x", "die")
    mine = ContainerEvent(None, "abc", "apps-web-1", "start")
    facts = await describe(FakeEngine(image=image), service(container(id="abc")), [mine, other], tail=2)
    text = json.dumps(facts)
    assert SECRET not in text and "\\u001b" not in text
    assert facts["env_keys"] == ["DB_PASSWORD", "EMPTY", "HARMLESS"]
    assert facts["image"]["digests"] == ["lab/web@sha256:d"] and facts["image"]["platform"] == "linux/arm64"
    assert facts["command"] == "redis-server --requirepass ••• --port 6379"
    assert [entry["output"] for entry in facts["health_log"]] == ["[1mok 2", "[1mok 3", "[1mok 4"]
    assert facts["mounts"] == [{"type": "volume", "source": "data", "target": "/data", "read_only": True}]
    assert facts["networks"] == [{"name": "apps_default", "address": "172.18.0.2", "aliases": ["web"]}]
    assert facts["ports"] == [
        {"container": "80/tcp", "published": ["127.0.0.1:8080"]},
        {"container": "81/tcp", "published": []},
    ]
    assert facts["limits"] == {"memory_bytes": 1024, "cpus": 0.5}
    assert facts["labels"]["org.opencontainers.image.authors"] == "someone"
    assert [entry["action"] for entry in facts["events"]] == ["start"]
    assert facts["last_lines"] == ["password=•••", "]0;titlethree"]


async def test_describe_without_container_or_image() -> None:
    assert (await describe(FakeEngine(), service()))["image"] == {"reference": "lab/web:1"}
    facts = await describe(FakeEngine(), service(container(id="abc")))
    assert facts["image"] == {"reference": "lab/web:1", "error": "no such image"}
    assert facts["state"]["restarts"] == 1


async def test_the_yaml_is_whole_and_masked() -> None:
    text = await inspect_yaml(FakeEngine(), "abc")
    assert SECRET not in text
    again = yaml.safe_load(text)
    assert again.keys() == INSPECT.keys()
    assert again["Config"]["Env"] == ["DB_PASSWORD=•••", "HARMLESS=•••", "EMPTY=•••"]
    assert again["HostConfig"] == INSPECT["HostConfig"]


async def test_log_lines_are_the_last_ones() -> None:
    assert await last_log_lines(FakeEngine(), "abc", 1) == ["]0;titlethree"]


@pytest.mark.parametrize(
    "broken", [{}, {"Config": None, "State": [], "Mounts": "x"}, {"NetworkSettings": {"Ports": 1}}]
)
def test_odd_answers_are_described_too(broken: dict[str, Any]) -> None:
    assert container_facts(broken)["env_keys"] == []
    assert isinstance(masked(broken), dict)


def test_commands() -> None:
    assert safe_command(None) is None
    assert safe_command(["a b", "-p", "8080"]) == "'a b' -p 8080"
    assert safe_command(["sh", "-c", f"login --password {SECRET} -v"]) == "sh -c 'login --password ••• -v'"


# ── actions ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def state(status: str, started: int = 0, restarts: int = 0, code: int = 0) -> dict[str, Any]:
    now = {"Status": status, "ExitCode": code, "StartedAt": f"2026-02-26T23:05:0{started}Z"}
    return INSPECT | {"State": now, "RestartCount": restarts}


async def do(engine: FakeEngine, action: Action) -> list[ActionStarted | ActionVerified]:
    wanted = service(container(id="abc"))
    return [event async for event in act(engine, wanted, action, clock=StillClock(), settle_s=0)]


@pytest.mark.parametrize(
    ("action", "before", "after", "health"),
    [
        ("restart", state("running", 0, 4), state("running", 1), Health.RUNNING),
        ("start", state("exited"), state("running", 1), Health.RUNNING),
        ("start", state("running", 0, 4), state("running", 0, 4), Health.RUNNING),
        ("stop", state("running"), state("exited", code=143), Health.STOPPED),
    ],
)
async def test_an_action_is_done_and_verified(
    action: Action, before: dict[str, Any], after: dict[str, Any], health: Health
) -> None:
    engine = FakeEngine(before, after)
    started, verified = await do(engine, action)
    assert engine.done == [f"{action} abc"]
    assert started.name == "action_started"
    assert isinstance(verified, ActionVerified)
    assert (verified.service, verified.action, verified.health) == ("sese/apps/web", action, health)


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("start", state("exited"), state("exited", 1, code=1)),
        ("restart", state("running"), state("running", 0)),
        ("restart", state("running"), state("running", 1, restarts=1)),
        ("restart", state("running"), state("restarting", 1)),
        ("stop", state("running"), state("running")),
    ],
)
async def test_an_action_without_its_effect_is_an_error(
    action: Action, before: dict[str, Any], after: dict[str, Any]
) -> None:
    with pytest.raises(OperatorError) as caught:
        await do(FakeEngine(before, after), action)
    assert caught.value.host == "sese" and caught.value.remedy


async def test_no_container_no_action() -> None:
    engine = FakeEngine()
    with pytest.raises(UsageError, match="has no container"):
        _ = [event async for event in act(engine, service(), "stop", clock=StillClock())]
    assert engine.done == []


# ── doctor ───────────────────────────────────────────────────────────────────────────────────────────────────────────

HOST = config.Host(addresses=("198.18.0.1",), ssh=config.Ssh(user="op"))
FINE = {
    "sudo": ["ok"],
    "tool": ["sh", "flock", "setsid", "timeout", "sha256sum", "readlink", "awk", "sed", "tar"],
    "docker": ["26.1.5"],
    "compose": ["2.30.1"],
    "root": ["writable"],
    "df": ["/dev/sda1 1000 100 900 10% /"],
}


def judged(**answers: list[str]) -> dict[str, CheckResult]:
    return {result.check: result for result in judge("sese", HOST, {**FINE, **answers}, 0.1)}


def test_a_fit_host() -> None:
    results = judged()
    assert list(results) == ["sudo", "docker", "compose", "tools", "root", "disk", "clock"]
    assert all(result.ok for result in results.values())


@pytest.mark.parametrize(
    ("check", "answers", "ok", "words"),
    [
        ("sudo", {"sudo": ["failed sudo: a password is required"]}, False, "password is required"),
        ("docker", {"docker": [], "docker-error": ["Cannot connect"]}, False, "Cannot connect"),
        ("compose", {"compose": ["2.20.3"]}, False, "older than 2.21"),
        ("compose", {"compose": ["v2.26.1-4"]}, None, "before 2.29.3"),
        ("compose", {"compose": ["5.2.1"]}, None, "recreates services"),
        ("compose", {"compose": [], "compose-error": ["unknown command"]}, False, "unknown command"),
        ("tools", {"tool": ["sh"]}, False, "missing: flock, setsid"),
        ("root", {"root": ["missing"]}, None, "does not exist"),
        ("root", {"root": ["read-only"]}, False, "cannot be written"),
        ("disk", {"df": ["/dev/sda1 1000 900 100 90% /"]}, None, "90 % full"),
        ("disk", {"df": ["/dev/sda1 1000 980 20 98% /"]}, False, "98 % full"),
        ("disk", {"df": []}, None, "not known"),
    ],
)
def test_an_unfit_host(check: str, answers: dict[str, list[str]], ok: bool | None, words: str) -> None:
    results = judged(**answers)
    assert (results[check].ok, bool(results[check].remedy)) == (ok, True)
    assert words in results[check].detail
    assert all(result.ok for name, result in results.items() if name != check), "one fault, one finding"


def test_compose_versions() -> None:
    assert compose_version("v2.26.1-4") == (2, 26, 1)
    assert compose_version("5.3") == (5, 3, 0)
    assert compose_version("Docker Compose") is None


def test_the_laptops_keys(tmp_path: Path) -> None:
    key, loose = tmp_path / "key", tmp_path / "loose"
    for path, mode in ((key, 0o600), (loose, 0o644)):
        path.write_text("x")
        path.chmod(mode)
    keys = (str(key), str(key), str(loose), str(tmp_path / "none"), None)
    hosts = {
        f"h{n}": config.Host(addresses=("198.18.0.1",), ssh=config.Ssh(user="op", key=path))
        for n, path in enumerate(keys)
    }
    found = check_laptop(config.Fleet(hosts=hosts), tmp_path / "fleet.yaml")
    assert [(result.check, result.ok) for result in found] == [
        ("config", True),
        ("key", True),
        ("key", None),
        ("key", False),
    ]
    assert found[2].remedy == f"chmod 600 {loose}"
