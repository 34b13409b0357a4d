"""What the deploy and the fleet rely on in `docker` and `docker compose`, the same on simulated and real hosts."""

from __future__ import annotations

import re

import pytest

from .hosts import BROKEN, GONE, OTHER, SHA, UNHEALTHY, WEB, ContractHost, two

pytestmark = pytest.mark.asyncio(loop_scope="package")

GATE = (
    "{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}} "
    "{{.RestartCount}} {{.State.ExitCode}}"
)
MARKED = 'services: {web: {labels: {vpai.files: "one"}}}\n'


async def test_versions(host: ContractHost) -> None:
    project = await host.project(f"services: {{a: {{image: {WEB}}}}}").prepare()
    told = await project.facts(
        "say engine \"$($DOCKER version --format '{{.Server.Version}}')\"; "
        'say compose "$($DOCKER compose version --short)"; say valid "$(dc config -q 2>&1)"'
    )
    assert re.match(r"\d+\.\d+", told["engine"])
    assert re.match(r"v?\d+\.\d+\.\d+", told["compose"])
    assert told["valid"] == ""


async def test_a_container_says_what_it_was_made_from(host: ContractHost) -> None:
    project = await two(host, marked=MARKED)
    listed = await project.sh("containers; $DOCKER compose version --short; $DOCKER image inspect -f '{{.Id}}' " + WEB)
    *rows, version, image = listed.stdout.decode().splitlines()
    by_service = {row.split("\t")[3]: row.split("\t") for row in rows}
    assert set(by_service) == {"web", "base"}
    id_, name, state, service, hash_, image_id, made_by, marked, config_files, directory, ref = by_service["web"]
    assert SHA.fullmatch(id_) and SHA.fullmatch(hash_)
    assert (name, state, service, marked, ref) == (project.container("web"), "running", "web", "one", WEB)
    assert image_id == image
    assert made_by.lstrip("v").split("-")[0] == version.lstrip("v").split("-")[0]
    root = project.place.root
    assert config_files == f"{root}/compose/00-compose.yaml,{root}/compose/01-marked.yaml"
    assert directory == root
    assert by_service["base"][7] == ""
    seen = await project.inspect("web")
    assert {"GREETING=hello $x", "SECRET=one$two"} <= set(seen["Config"]["Env"])
    assert seen["Image"] == image
    assert seen["Config"]["Labels"]["com.docker.compose.oneoff"] == "False"
    told = await project.facts(
        'say hashes "$(piped | sort | tr "\\n" " ")"; say one "$(piped web)";'
        f'say missing "$(field {"0" * 64} x 2>&1 | tail -n 1)"'
    )
    assert told["hashes"].split() == ["base", by_service["base"][4], "web", hash_]
    assert told["one"] == f"web {hash_}"
    assert "No such object" in told["missing"]


async def test_up_recreates_what_differs_and_nothing_else(host: ContractHost) -> None:
    project = await two(host)
    told = await project.facts(
        r"""
        look() { say "$1" "$(id_of web) $(id_of base) $(field "$(id_of base)" '{{.State.StartedAt}}')"; }
        look first; up web; look again
        echo second >page; up web; look page
        echo SECRET=three >web.env; up web; look env-file
        echo 'services: {web: {labels: {vpai.files: "1"}}}' >compose/01-more.yaml
        up web; look label; up web; look label-again
        say marked "$(containers | awk -F "$TAB" '$4 == "web" { print $8 }')"
        """
    )
    web = {name: row.split()[0] for name, row in told.items()}
    assert web["first"] == web["again"] == web["page"]
    assert len({web["first"], web["env-file"], web["label"]}) == 3
    assert web["label"] == web["label-again"]
    assert told["marked"] == "1"
    assert len({row.split(" ", 1)[1] for name, row in told.items() if name != "marked"}) == 1  # base runs on


async def test_what_the_files_do_not_name_is_left_alone(host: ContractHost) -> None:
    project = await two(host)
    told = await project.facts(
        rf"""
        web=$(id_of web)
        say before "$(field "$web" '{{{{.Id}}}} {{{{.State.StartedAt}}}}')"
        printf 'services: {{base: {{image: {OTHER}}}}}' >compose/00-compose.yaml
        up base 2>"$ROOT/said"; say status $?
        say after "$(field "$web" '{{{{.Id}}}} {{{{.State.StartedAt}}}}')"
        say image "$(field "$(id_of base)" '{{{{.Config.Image}}}}')"
        say warned "$(grep -c -i orphan said)"
        """
    )
    assert told["status"] == "0" and told["before"] == told["after"] and told["image"] == OTHER
    assert told["warned"] == "0"  # COMPOSE_IGNORE_ORPHANS


async def test_without_its_image_nothing_is_touched(host: ContractHost) -> None:
    project = await two(host)
    told = await project.facts(
        rf"""
        look() {{ field "$(id_of web)" '{{{{.Id}}}} {{{{.State.StartedAt}}}} {{{{.State.Status}}}}'; }}
        say before "$(look)"
        echo 'services: {{web: {{image: "{GONE}"}}}}' >compose/01-more.yaml
        up web >"$ROOT/said" 2>&1; say status $?; say after "$(look)"; say said "$(tail -n 1 said)"
        say all "$($DOCKER ps -aq --filter "label=$LABEL.project=$PROJECT" | wc -l | tr -d ' ')"
        """
    )
    assert told["status"] != "0" and told["before"] == told["after"] and told["all"] == "2"
    assert re.search(rf"(?i)no such image: {GONE}", told["said"])


@pytest.mark.parametrize(
    ("compose", "command", "said"),
    [
        ("{image: 'X', environment: {A: '${NEEDED:?tell me}'}}", "config -q", "NEEDED.*tell me"),
        ("{image: 'X', environment: {A: '${NEEDED:?tell me}'}}", "config --format json", "NEEDED.*tell me"),
        ("{image: 'X', env_file: nowhere.env}", "config -q", r"nowhere\.env"),
        ("{image: 'X', env_file: nowhere.env}", "config --format json", r"nowhere\.env"),
        ("{image: 'X', networks: [n]}", "up -d", "n declared as external, but could not be found"),
        ("{image: 'X', nonsense: 1}", "config -q", "(?i)nonsense"),
        ("{image: 'X', depends_on: [b]}", "config -q", "undefined service"),
    ],
)
async def test_compose_refuses(host: ContractHost, compose: str, command: str, said: str) -> None:
    text = f"services: {{a: {compose.replace('X', WEB)}}}\n" + (
        "networks: {n: {external: true}}" if "networks" in compose else ""
    )
    project = await host.project(text).prepare()
    done = await project.sh(f"dc {command}", status=None)
    assert done.exit_status != 0
    assert re.search(said, done.stderr.decode()), done.stderr
    rest = await project.sh('$DOCKER ps -aq --filter "label=$LABEL.project=$PROJECT"')
    assert command == "up -d" or rest.stdout == b""


async def test_optional_env_files_and_external_networks(host: ContractHost) -> None:
    compose = f"""
services:
  a: {{image: {WEB}, env_file: [{{path: maybe.env, required: false}}], networks: [n]}}
networks: {{n: {{external: true, name: contract-shared}}}}
"""
    project = await host.project(compose).prepare()
    told = await project.facts(
        r"""
        say missing "$($DOCKER network inspect contract-shared >/dev/null 2>&1 || echo yes)"
        say before "$(piped a)"
        $DOCKER network create contract-shared >/dev/null
        say there "$($DOCKER network inspect contract-shared >/dev/null 2>&1 && echo yes)"
        say listed "$($DOCKER network ls --format '{{.Name}}' | grep -cx contract-shared)"
        up a; say joined "$(field "$(id_of a)" '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}')"
        echo LATER=1 >maybe.env; say after "$(piped a)"
        """
    )
    assert (told["missing"], told["there"], told["listed"]) == ("yes", "yes", "1")
    assert told["joined"] == "contract-shared"
    assert told["before"] != told["after"]


async def test_networks_of_a_project_can_be_told_and_removed(host: ContractHost) -> None:
    project = await host.project(f"services: {{a: {{image: {WEB}}}}}").prepare()
    told = await project.facts(
        r"""
        say none "$(networks)"
        up a; say one "$(networks)"
        say name "$($DOCKER network inspect -f '{{.Name}} {{.Id}}' "$(networks)")"
        $DOCKER network rm "$(networks)" >/dev/null 2>&1; say in-use $?
        $DOCKER rm -f "$(id_of a)" >/dev/null; $DOCKER network rm "$(networks)" >/dev/null; say removed $?
        say left "$(networks)"
        """
    )
    assert told["none"] == told["left"] == "" and SHA.fullmatch(told["one"])
    assert told["name"] == f"{project.name}_default {told['one']}"
    assert told["in-use"] != "0" and told["removed"] == "0"


async def test_stop_start_restart_rename_remove(host: ContractHost) -> None:
    project = await two(host)
    name = project.container("web")
    told = await project.facts(
        rf"""
        look() {{ say "$1" "$(field "$id" '{{{{.State.Status}}}} {{{{.RestartCount}}}}')"; }}
        at() {{ field "$id" '{{{{.State.StartedAt}}}}'; }}
        id=$(id_of web); say id "$id"; say run "$(at)"
        say stopped "$($DOCKER stop {name})"; look stop; $DOCKER stop "$id" >/dev/null; say stop-again $?
        $DOCKER start "$id" >/dev/null; look start; say second-run "$(at)"
        $DOCKER restart "$id" >/dev/null; look restart; say third-run "$(at)"
        $DOCKER stop "$id" >/dev/null; up web; look up; say up-id "$(id_of web)"
        $DOCKER rename "$id" 0123456789ab_{name}; say renamed "$(field "$id" '{{{{.Name}}}}')"
        $DOCKER rename "$id" {project.container("base")} 2>/dev/null; say taken $?
        say listed "$(containers | awk -F "$TAB" '$4 == "web" {{ print $2 }}')"
        $DOCKER rename "$id" {name}
        $DOCKER rm "$id" >/dev/null 2>&1; say rm-running $?; look still
        $DOCKER rm -f "$id" >/dev/null; say rm-forced $?; say gone "$(id_of web)"
        $DOCKER rm -f "$id" >/dev/null 2>&1; say rm-nothing $?
        say base "$(field "$(id_of base)" '{{{{.State.Status}}}}')"
        """
    )
    assert told["stopped"] == name and told["stop"] == "exited 0" and told["stop-again"] == "0"
    assert told["start"] == told["restart"] == told["up"] == told["still"] == "running 0"
    assert len({told["run"], told["second-run"], told["third-run"]}) == 3
    assert told["up-id"] == told["id"]
    assert told["renamed"] == f"/0123456789ab_{name}" and told["listed"] == f"0123456789ab_{name}"
    assert told["taken"] != "0" and told["rm-running"] != "0"
    assert (told["rm-forced"], told["gone"], told["rm-nothing"]) == ("0", "", "0")
    assert told["base"] == "running"


LIVES = f"""
services:
  crash: {{image: {BROKEN}, restart: unless-stopped}}
  once: {{image: {WEB}, entrypoint: ["true"]}}
  ended: {{image: {BROKEN}}}
  plain: {{image: {WEB}}}
  good: {{image: {WEB}, healthcheck: {{test: ["CMD", "true"], interval: 2s, retries: 1}}}}
  bad: {{image: {UNHEALTHY}, healthcheck: {{test: ["CMD", "false"], interval: 1s, retries: 1}}}}
"""


async def test_the_gate_tells_lives_apart(host: ContractHost) -> None:
    project = await host.project(LIVES).prepare()
    told = await project.facts(
        r"""
        up
        for one in good plain; do say "$one-first" "$(field "$(id_of $one)" "$SEEN")"; done
        try() { gate "$1" "$2" "$3"; code=$?; [ $code = 0 ] && REASON=; say "$1" "$code $REASON"; }
        for one in crash ended plain good bad; do try $one service 15 & done
        try once oneshot 15
        wait
        try bad service 2; try ended oneshot 2
        for one in once ended plain good bad; do say "$one-last" "$(field "$(id_of $one)" "$SEEN")"; done
        say crash-state "$(containers | awk -F "$TAB" '$4 == "crash" { print $3 }')"
        say crash-log "$($DOCKER logs --tail 20 "$(id_of crash)" 2>&1 | grep -c .)"
        $DOCKER rm -f "$(id_of crash)" >/dev/null
        """.replace("$SEEN", GATE)
    )
    assert (told["good-first"], told["plain-first"]) == ("running starting 0 0", "running none 0 0")
    assert told["once"] == told["plain"] == told["good"] == "0 "
    assert re.fullmatch(r"1 restart(s again and again \(exit [1-9]\d*\)|ed [1-9]\d* times)", told["crash"])
    assert re.fullmatch(r"1 exited [1-9]\d*", told["ended"])
    assert told["bad"] == "1 unhealthy by its own check"
    assert told["once-last"] == "exited none 0 0" and told["plain-last"] == "running none 0 0"
    assert told["good-last"] == "running healthy 0 0" and told["bad-last"] == "running unhealthy 0 0"
    assert re.fullmatch(r"exited none 0 [1-9]\d*", told["ended-last"])
    assert told["crash-state"] in ("restarting", "running") and int(told["crash-log"]) > 0


async def test_exec_tells_what_the_command_said(host: ContractHost) -> None:
    project = await two(host)
    name = project.container("web")
    assert (await host.run("docker", "exec", name, "echo", "one  two")).stdout == b"one  two\n"
    await host.run("docker", "exec", name, "false", status=1)
    done = await host.run("docker", "exec", name, "not-a-command", status=None)
    assert done.exit_status in (126, 127) and b"not-a-command" in done.stdout + done.stderr
    await host.run("docker", "stop", name)
    done = await host.run("docker", "exec", name, "true", status=None)
    assert done.exit_status != 0 and b"is not running" in done.stderr


async def test_compose_removes_one_service(host: ContractHost) -> None:
    project = await two(host)
    await project.sh("dc rm -sf web")
    left = (await project.sh("containers")).stdout.decode().splitlines()
    assert [row.split("\t")[3] for row in left] == ["base"]
    done = await project.sh("up nothing", status=None)
    assert done.exit_status != 0 and b"no such service: nothing" in done.stderr
