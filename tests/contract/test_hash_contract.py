"""What the plan relies on in Compose's hashes: the one of the resolved form is the label of the container."""

from __future__ import annotations

import json
import re

import pytest

from .hosts import TWO, WEB, ContractHost

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_what_changes_the_hash_of_a_service(host: ContractHost) -> None:
    project = await host.project(TWO).prepare(web_env="SECRET=one\n", page="first\n")
    told = await project.facts(
        r"""
        yaml=$ROOT/compose/00-compose.yaml; cp "$yaml" "$ROOT/saved"
        try() { say "$1" "$(piped | sort | tr '\n' ' ')"; cp "$ROOT/saved" "$yaml"; rm -f "$ROOT"/compose/01-*; }
        try base
        try again
        echo second >page; try page; echo first >page
        echo SECRET=two >web.env; try env-file; echo SECRET=one >web.env
        sed -i 's/:-hello/:-bye/' "$yaml"; try default
        echo GREETING=bye >.env; try variable; rm .env
        sed -i 's/:1$/:2/' "$yaml"; try image
        echo 'services: {web: {labels: {vpai.files: "1"}}}' >compose/01-more.yaml; try label
        echo 'services: {web: {environment: {MORE: "1"}}}' >compose/01-more.yaml; try merged
        echo 'services: {web: {environment: {GREETING: "hello $$x"}}}' >compose/01-more.yaml; try same-merged
        echo 'services: {web: {x-note: one}}' >compose/01-more.yaml; try extension
        echo 'services: {web: {ports: ["127.0.0.1:18123:8080"]}}' >compose/01-more.yaml; try port
        echo 'services: {web: {deploy: {resources: {limits: {memory: 64M}}}}}' >compose/01-more.yaml; try limit
        """
    )
    web = {name: dict(zip(row.split()[::2], row.split()[1::2], strict=True))["web"] for name, row in told.items()}
    same = {name for name, hash_ in web.items() if hash_ == web["base"]}
    assert same == {"base", "again", "page", "same-merged", "extension"}
    assert web["default"] == web["variable"]  # what a variable resolves to counts, not how
    assert len({web[name] for name in web if name not in same}) == len(web) - len(same) - 1
    base = {row.split()[1] for name, row in told.items() if name != "image"}
    assert len(base) == 1  # the neighbour's hash is its own


MANY_FORMS = f"""
services:
  web:
    image: {WEB}
    command: serve "a b" $$HOME
    environment: {{EMPTY: "", UNSET: null, BOOL: "true", ONE: 1, LINES: "a\\nb"}}
    labels: ["price=5$$", "bare"]
    ports: ["18310-18311:8080-8081", "127.0.0.1:18312:9/udp"]
    expose: [90]
    volumes: ["data:/data", "./page:/www/page:ro", {{type: tmpfs, target: /t, tmpfs: {{size: 1000000}}}}]
    networks: {{inner: {{ipv4_address: 10.213.7.5, aliases: [other]}}}}
    healthcheck: {{test: "true", interval: 1m30s, start_period: 5s}}
    deploy: {{resources: {{limits: {{memory: 64M}}}}}}
    ulimits: {{nofile: {{soft: 100, hard: 200}}}}
    logging: {{driver: json-file, options: {{max-size: 10m}}}}
    extra_hosts: ["other:192.0.2.1"]
    tmpfs: [/scratch]
    shm_size: 64m
    init: true
    user: "0"
    stop_grace_period: 1m
    restart: "on-failure:3"
    pull_policy: always
    security_opt: ["no-new-privileges:true"]
    cap_drop: [ALL]
    x-note: {{a: b}}
networks: {{inner: {{ipam: {{config: [{{subnet: 10.213.7.0/24}}]}}}}}}
volumes: {{data: {{}}}}
"""


async def test_the_hash_is_the_label_whatever_the_form(host: ContractHost) -> None:
    project = await host.project(MANY_FORMS).prepare(page="x")
    told = await project.facts(
        r"""
        say hash "$(piped web)"; up web; id=$(id_of web)
        say label "$(field "$id" '{{index .Config.Labels "com.docker.compose.config-hash"}}')"
        up web; say same "$id $(id_of web)"
        """
    )
    assert told["hash"] == f"web {told['label']}"
    assert len(set(told["same"].split())) == 1
    seen = await project.inspect("web")
    assert seen["State"]["Status"] == "running" and seen["HostConfig"]["Memory"] == 64 << 20
    assert seen["Config"]["Labels"]["price"] == "5$" and seen["Config"]["Labels"]["bare"] == ""
    assert {"EMPTY=", "BOOL=true", "ONE=1", "LINES=a\nb"} <= set(seen["Config"]["Env"])
    assert {mount["Destination"]: mount["Type"] for mount in seen["Mounts"]}.items() >= {
        ("/data", "volume"),
        ("/www/page", "bind"),
    }
    assert seen["NetworkSettings"]["Networks"][f"{project.name}_inner"]["IPAddress"] == "10.213.7.5"
    ports = {
        inner: [one["HostPort"] for one in outer] for inner, outer in seen["NetworkSettings"]["Ports"].items() if outer
    }
    assert ports["8080/tcp"][0] == "18310" and ports["8081/tcp"][0] == "18311" and ports["9/udp"] == ["18312"]
    await host.run("docker", "rm", "-f", project.container("web"))


async def test_the_resolved_form_has_the_shape_the_probe_reads(host: ContractHost) -> None:
    child = f"services: {{child: {{image: {WEB}, network_mode: 'service:base'}}}}"
    project = await host.project(TWO, child=child).prepare(web_env="SECRET=one$$two\n", page="x")
    done = await project.sh("dc config --format json")
    lines = done.stdout.decode().splitlines()
    assert '  "services": {' in lines
    assert lines.count(f'      "image": "{WEB}",') + lines.count(f'      "image": "{WEB}"') == 3
    assert any(re.fullmatch(r'      "network_mode": "service:base",?', line) for line in lines)
    services = json.loads(done.stdout)["services"]
    assert services["web"]["environment"] == {"GREETING": "hello $$x", "SECRET": "one$$two"}
    assert services["web"]["volumes"][0]["source"] == f"{project.place.root}/page"
    raw = (await project.sh("dc config --no-interpolate --format json")).stdout.decode()
    assert "one$" not in raw and "${GREETING:-hello}" in raw  # no value of an env file


async def test_a_shared_network_is_hashed_with_the_container_that_holds_it(host: ContractHost) -> None:
    child = f"services: {{child: {{image: {WEB}, network_mode: 'service:base'}}}}"
    project = await host.project(f"services: {{base: {{image: {WEB}}}}}", child=child).prepare()
    told = await project.facts(
        r"""
        up base child
        id=$(id_of base)
        say label "$(field "$(id_of child)" '{{index .Config.Labels "com.docker.compose.config-hash"}}')"
        say plain "$(piped child)"
        dc config --format json | sed "s/\"service:base\"/\"container:$id\"/" >resolved.json
        say named "$($DOCKER compose -p "$PROJECT" --project-directory "$ROOT" -f - config --hash child <resolved.json)"
        say mode "$(field "$(id_of child)" '{{.HostConfig.NetworkMode}}')"
        say id "$id"
        """
    )
    assert told["mode"] == f"container:{told['id']}"
    assert told["named"] == f"child {told['label']}"
    assert told["plain"] != told["named"]
