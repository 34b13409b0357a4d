"""What a restart disturbs: who waits for a service, and whose files name it."""

from __future__ import annotations

from pathlib import Path

import pytest

from vpai_tui import config
from vpai_tui.fleet.dependents import dependents
from vpai_tui.fleet.stacks import Stack, load_stacks


def stacks(tmp_path: Path, **apps: str) -> tuple[Stack, ...]:
    """`host/infra` with redis and db, `host/apps` of the given services, `other/infra` with a redis of its own."""
    redis = "redis: {image: redis:8}"
    files = {
        "host/infra/compose.yaml": f"services:\n  {redis}\n  db: {{image: postgres:18, depends_on: [redis]}}\n",
        "host/infra/stack.yaml": "title: Infra\n",
        "other/infra/compose.yaml": f"services:\n  {redis}\n  web: {{image: web:1, depends_on: [redis]}}\n",
        "other/infra/stack.yaml": "title: Infra\n",
        "host/apps/stack.yaml": "title: Apps\nfiles: [{path: configs/proxy}]\n",
        "host/apps/configs/proxy/proxy.conf": "# redis:6379 is not meant\nupstream redis:6379\n",
        "host/apps/configs/env/app.env.example": "# where it is\nREDIS_HOST=redis\nNAME=redis\n",
        "host/apps/compose.yaml": "services:\n" + "".join(f"  {name}: {body}\n" for name, body in apps.items()),
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    hosts = {
        name: config.Host(title=name, addresses=("127.0.0.1",), ssh=config.Ssh(user="u")) for name in ("host", "other")
    }
    return load_stacks(tmp_path, config.Fleet(hosts=hosts, stacks=("host/infra", "other/infra", "host/apps")))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("{image: a, environment: {REDIS_HOST: redis}}", "names it in compose.yaml"),
        ("{image: a, environment: [REDIS_HOST=redis]}", "names it in compose.yaml"),
        ("{image: a, environment: {URL: 'redis://redis:6379/0'}}", "names it in compose.yaml"),
        ("{image: a, environment: {URL: 'redis://:secret@redis/0'}}", "names it in compose.yaml"),
        ("{image: a, command: [--upstream, 'redis:6379']}", "names it in compose.yaml"),
        ("{image: a, volumes: ['./configs/proxy:/etc/proxy:ro']}", "names it in configs/proxy/proxy.conf"),
        ("{image: a, env_file: [./configs/env/app.env]}", "names it in configs/env/app.env.example"),
        ("{image: 'redis:8.0'}", ""),
        ("{image: a, environment: {NAME: redis, URL: 'http://my-redis:6379', PATH: /data/redis/x}}", ""),
        ("{image: a, networks: [redis]}", ""),
    ],
)
def test_a_service_that_names_another_is_disturbed_by_it(tmp_path: Path, body: str, why: str) -> None:
    found = dependents(stacks(tmp_path, app=body), "host/infra/redis")
    assert [(it.service, it.why) for it in found] == [
        ("host/infra/db", "waits for it"),
        *([("host/apps/app", why)] if why else []),
    ]


def test_another_hosts_service_of_that_name_is_not_meant(tmp_path: Path) -> None:
    found = dependents(stacks(tmp_path, app="{image: a}"), "other/infra/redis")
    assert [it.service for it in found] == ["other/infra/web"]
