"""What the fleet and the deploy rely on in the Engine API, asked through `dial-stdio`, and in the metrics channel."""

from __future__ import annotations

import asyncio
import io
import re
import tarfile
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from vpai_tui.fleet.containers import from_event, from_inspect, from_list, moment
from vpai_tui.fleet.describe import container_facts, image_facts
from vpai_tui.fleet.metrics import MetricsParser, Sample, script
from vpai_tui.remote.docker import EngineError

from .hosts import BROKEN, GONE, UNHEALTHY, WEB, ContractHost, Project

pytestmark = pytest.mark.asyncio(loop_scope="package")

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


async def one(host: ContractHost, keys: str = "", image: str = WEB) -> Project:
    """A project of one service `web`, up; `keys` are more of its keys."""
    project = await host.project(f"services: {{web: {{image: '{image}', {keys}}}}}").prepare()
    await project.sh("up web")
    return project


@asynccontextmanager
async def events_of(host: ContractHost, name: str) -> AsyncIterator[list[dict[str, Any]]]:
    """The events of a container as they come, from now on."""
    seen: list[dict[str, Any]] = []

    async def follow() -> None:
        options = {"decode": True, "filters": {"type": ["container"], "container": [name]}}
        async for event in host.docker.iterate("events", **options):
            seen.append(event)

    following = asyncio.create_task(follow())
    await asyncio.sleep(0.5)  # the stream says nothing when it begins
    try:
        yield seen
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def told(seen: list[dict[str, Any]], action: str, timeout_s: float = 15) -> dict[str, Any]:
    """Waits for an event."""
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                for event in seen:
                    if event["Action"] == action:
                        return event
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"no {action} among {[event['Action'] for event in seen]}") from None


async def test_engine_says_what_it_is_and_what_time_it_has(host: ContractHost) -> None:
    info = await host.docker.call("info")
    assert re.match(r"\d+\.\d+", info["ServerVersion"])
    now = moment(info["SystemTime"])
    assert now is not None and abs((now - datetime.now(UTC)).total_seconds()) < 5
    assert (await host.docker.call("version"))["ApiVersion"]


async def test_list_and_inspect_tell_the_same_container(host: ContractHost) -> None:
    project = await one(host, "ports: ['127.0.0.1:18200:8080'], restart: unless-stopped, environment: {A: b}")
    name = project.container("web")
    answers = await host.docker.call("containers", all=True)
    (sparse,) = [answer for answer in answers if answer["Names"] == ["/" + name]]
    full = await host.docker.call("inspect_container", sparse["Id"])
    listed, inspected = from_list(sparse), from_inspect(full)
    assert listed is not None and inspected is not None
    for fact in ("id", "name", "project", "service", "labels", "image", "image_id", "state", "health", "ports"):
        assert getattr(listed, fact) == getattr(inspected, fact), fact
    assert (inspected.service, inspected.state, inspected.health) == ("web", "running", None)
    assert listed.restarts is None and listed.exit_code is None  # a list does not say them
    assert (inspected.restarts, inspected.restart_policy, inspected.oom_killed) == (0, "unless-stopped", False)
    assert [(port.host_ip, port.host_port, port.container_port) for port in inspected.ports] == [
        ("127.0.0.1", 18200, 8080)
    ]
    assert inspected.created_at is not None and inspected.started_at is not None
    assert abs((inspected.created_at - listed.created_at).total_seconds()) < 2 if listed.created_at else False
    assert inspected.finished_at is None  # the engine's year 1
    filtered = await host.docker.call("containers", filters={"label": [f"com.docker.compose.project={project.name}"]})
    assert [answer["Id"] for answer in filtered] == [sparse["Id"]]


async def test_a_container_that_ended_says_so_in_both(host: ContractHost) -> None:
    project = await one(host, image=BROKEN)
    name = project.container("web")
    await host.until(name, "{{.State.Status}}", "exited")
    answers = await host.docker.call("containers", all=True, filters={"name": [name]})
    listed, inspected = from_list(answers[0]), from_inspect(await host.docker.call("inspect_container", name))
    assert listed is not None and inspected is not None
    assert listed.state == inspected.state == "exited"
    assert listed.exit_code == inspected.exit_code and inspected.exit_code
    assert inspected.finished_at is not None and listed.ports == inspected.ports == ()
    running = await host.docker.call("containers", filters={"name": [name]})
    assert running == []


async def test_health_is_told_by_list_inspect_and_log(host: ContractHost) -> None:
    bad = "healthcheck: {test: ['CMD-SHELL', 'exit 1'], interval: 1s, retries: 1}"
    project = await one(host, bad, image=UNHEALTHY)
    name = project.container("web")
    await host.until(name, "{{.State.Health.Status}}", "unhealthy")
    answers = await host.docker.call("containers", filters={"name": [name]})
    listed = from_list(answers[0])
    answer = await host.docker.call("inspect_container", name)
    inspected = from_inspect(answer)
    assert listed is not None and inspected is not None
    assert listed.health == inspected.health == "unhealthy"
    last = answer["State"]["Health"]["Log"][-1]
    assert last["ExitCode"] != 0 and moment(last["End"]) is not None and isinstance(last["Output"], str)
    facts = container_facts(answer)
    assert facts["healthcheck"] == "CMD-SHELL 'exit 1'"
    assert facts["health_log"][-1]["exit_code"] != 0


async def test_every_fact_of_a_container_and_its_image_can_be_told(host: ContractHost) -> None:
    keys = "command: ['serve', '--level', 'info'], environment: {TOKEN: abc}, volumes: ['./page:/www/page:ro']"
    project = host.project(
        f"services: {{web: {{image: '{WEB}', {keys}, deploy: {{resources: {{limits: {{memory: 64M}}}}}}}}}}"
    )
    await project.prepare(page="x")
    await project.sh("up web")
    answer = await host.docker.call("inspect_container", project.container("web"))
    facts = container_facts(answer)
    assert facts["command"] == "serve --level info" and "TOKEN" in facts["env_keys"]
    mount = {"type": "bind", "source": f"{project.place.root}/page", "target": "/www/page", "read_only": True}
    assert facts["mounts"] == [mount]
    (network,) = facts["networks"]
    assert network["name"] == f"{project.name}_default" and network["address"] and "web" in network["aliases"]
    assert facts["limits"]["memory_bytes"] == 64 << 20
    assert facts["state"]["started_at"] and facts["state"]["finished_at"] is None
    image = image_facts(await host.docker.call("inspect_image", answer["Image"]))
    assert image["id"] == answer["Image"] and WEB in image["tags"] and image["size_bytes"] > 0
    assert image["platform"].startswith("linux/") and image["created_at"]
    assert image["digests"][0].startswith("contract/web@sha256:")


async def test_what_is_not_there_is_404(host: ContractHost) -> None:
    for call, name, said in (
        ("inspect_container", "nobody", "No such container: nobody"),
        ("restart", "nobody", "No such container: nobody"),
        ("inspect_image", GONE, f"No such image: {GONE}"),
    ):
        with pytest.raises(EngineError, match=f"(?i){said}") as caught:
            await host.docker.call(call, name)
        assert caught.value.status_code == 404


async def test_actions_and_their_events(host: ContractHost) -> None:
    project = await one(host)
    name = project.container("web")
    async with events_of(host, name) as seen:
        before = from_inspect(await host.docker.call("inspect_container", name))
        await host.docker.call("restart", name)
        after = from_inspect(await host.docker.call("inspect_container", name))
        assert before is not None and after is not None and before.started_at != after.started_at
        assert after.state == "running" and after.restarts == 0 and after.finished_at is not None
        await host.docker.call("stop", name)
        await host.docker.call("stop", name)  # already so: no error
        stopped = from_inspect(await host.docker.call("inspect_container", name))
        assert stopped is not None and stopped.state == "exited" and stopped.exit_code == 0
        await host.docker.call("start", name)
        await host.docker.call("start", name)
        await project.sh("$DOCKER rm -f $(id_of web) >/dev/null")
        event = from_event(await told(seen, "destroy"))
        assert event is not None and (event.name, event.container) == (name, after.id)
    actions = [event["Action"] for event in seen if event["Action"] != "restart"]
    ordered = [action for action in actions if action in ("die", "start", "destroy")]
    assert ordered == ["die", "start", "die", "start", "die", "destroy"]
    died = from_event(await told(seen, "die"))
    assert died is not None and died.detail == "exit 0" and died.at is not None
    assert abs(died.at.timestamp() - time.time()) < 30
    assert {"kill", "stop", "restart"} <= {event["Action"] for event in seen}


async def test_a_first_life_is_told_by_events(host: ContractHost) -> None:
    project = host.project(
        f"services: {{web: {{image: '{WEB}', healthcheck: {{test: ['CMD', 'true'], interval: 1s}}}}}}"
    )
    await project.prepare()
    async with events_of(host, project.container("web")) as seen:
        await project.sh("up web")
        healthy = await told(seen, "health_status: healthy")
        assert healthy["Actor"]["Attributes"]["com.docker.compose.service"] == "web"
        assert [event["Action"] for event in seen if event["Action"] in ("create", "start")] == ["create", "start"]
        listed = await host.docker.call("containers", filters={"name": [project.container("web")]})
        container = from_list(listed[0])
        assert container is not None and container.health == "healthy"


async def test_events_of_the_past_are_told_first(host: ContractHost) -> None:
    since = int(time.time()) - 1
    project = await one(host)
    filters = {"type": ["container"], "event": ["start", "die", "health_status"]}
    async with (
        asyncio.timeout(10),
        aclosing(host.docker.iterate("events", decode=True, since=since, filters=filters)) as events,
    ):
        async for event in events:
            if event["Actor"]["Attributes"]["name"] == project.container("web"):
                break
    assert event["Action"] == "start" and event["Type"] == "container"
    assert event["timeNano"] // 1_000_000_000 == event["time"] >= since


async def test_a_crash_loop_is_told_by_events_and_count(host: ContractHost) -> None:
    project = host.project(f"services: {{web: {{image: '{BROKEN}', restart: always}}}}")
    await project.prepare()
    name = project.container("web")
    async with events_of(host, name) as seen:
        await project.sh("up web")
        await host.until(name, "{{ge .RestartCount 2}}", "true")
        died = from_event(await told(seen, "die"))
        assert died is not None and re.fullmatch(r"exit [1-9]\d*", died.detail)
    answers = await host.docker.call("containers", filters={"name": [name]})  # not only the running ones
    assert [answer["State"] in ("restarting", "running") for answer in answers] == [True]
    assert sum(event["Action"] == "start" for event in seen) >= 2
    await host.run("docker", "rm", "-f", name)


async def test_acting_on_a_crash_loop(host: ContractHost) -> None:
    project = host.project(f"services: {{web: {{image: '{BROKEN}', restart: always}}}}")
    await project.prepare()
    name = project.container("web")
    await project.sh("up web")
    await host.until(name, "{{ge .RestartCount 4}}", "true")
    await host.docker.call("restart", name)
    again = from_inspect(await host.docker.call("inspect_container", name))
    assert again is not None and again.restarts is not None and again.restarts < 4  # it counts anew
    assert again.state in ("running", "restarting")
    await host.docker.call("stop", name)
    stopped = from_inspect(await host.docker.call("inspect_container", name))
    assert stopped is not None and stopped.state == "exited"
    await asyncio.sleep(0.5)
    assert (await host.docker.call("inspect_container", name))["State"]["Status"] == "exited"
    await host.docker.call("start", name)
    started = from_inspect(await host.docker.call("inspect_container", name))
    assert started is not None and started.restarts is not None and started.restarts < 4
    await host.run("docker", "rm", "-f", name)


async def test_logs_are_lines_of_both_streams(host: ContractHost) -> None:
    project = await one(host, image=BROKEN)
    name = project.container("web")
    await host.until(name, "{{.State.Status}}", "exited")
    everything = (await host.docker.call("logs", name, stdout=True, stderr=True)).decode().splitlines()
    assert len(everything) >= 2
    last = (await host.docker.call("logs", name, tail=1, stdout=True, stderr=True)).decode().splitlines()
    assert last == everything[-1:]
    out = (await host.docker.call("logs", name, stdout=True, stderr=False)).decode().splitlines()
    assert 0 < len(out) < len(everything)
    stamped = (await host.docker.call("logs", name, tail=1, timestamps=True)).decode()
    assert moment(stamped.split(" ", 1)[0]) is not None


async def test_exec_inside(host: ContractHost) -> None:
    project = await one(host)
    name = project.container("web")
    done = await host.docker.exec(name, ["echo", "one  two"])
    assert (done.exit_status, done.stdout) == (0, b"one  two\n")
    assert (await host.docker.exec(name, ["false"])).exit_status == 1
    created = await host.docker.call("exec_create", name, ["echo", "hi"])
    assert await host.docker.call("exec_start", created["Id"]) == b"hi\n"
    assert (await host.docker.call("exec_inspect", created["Id"]))["ExitCode"] == 0


async def pull(host: ContractHost, ref: str) -> list[dict[str, Any]]:
    return [row async for row in host.docker.iterate("pull", ref, stream=True, decode=True)]


async def test_a_pull_tells_its_layers(host: ContractHost) -> None:
    ref = "contract/pulled:1"
    await host.bits.publish(ref)
    await host.run("docker", "rmi", "-f", ref, status=None)
    rows = await pull(host, ref)
    assert rows[0]["status"].startswith("Pulling from") and rows[0]["id"] == "1"
    layers = {row["id"] for row in rows[1:] if "id" in row}
    assert layers and all(re.fullmatch(r"[0-9a-f]{12}", layer) for layer in layers)
    done = {row["id"] for row in rows if row["status"] in ("Pull complete", "Already exists")}
    assert done == layers
    bars = [row["progressDetail"] for row in rows if row.get("status") == "Downloading"]
    assert all(0 < bar["current"] <= bar["total"] for bar in bars if "total" in bar)
    assert any("total" in bar for bar in bars)
    digest = next(row["status"].removeprefix("Digest: ") for row in rows if row["status"].startswith("Digest: "))
    assert DIGEST.fullmatch(digest)
    assert rows[-1]["status"].startswith("Status: Downloaded newer image")
    assert (await pull(host, ref))[-1]["status"].startswith("Status: Image is up to date")


async def test_the_registry_s_digest_is_the_one_an_image_has_after_its_pull(host: ContractHost) -> None:
    ref = "contract/digest:1"
    await host.bits.publish(ref, "1")
    first = (await host.docker.call("inspect_distribution", ref))["Descriptor"]["digest"]
    assert DIGEST.fullmatch(first)
    await pull(host, ref)
    old = await host.docker.call("inspect_image", ref)
    assert f"contract/digest@{first}" in old["RepoDigests"]
    await host.bits.publish(ref, "2")
    second = (await host.docker.call("inspect_distribution", ref))["Descriptor"]["digest"]
    assert second != first
    await pull(host, f"contract/digest@{second}")
    assert (await host.docker.call("inspect_image", ref))["Id"] == old["Id"]  # the tag is where it was
    new = await host.docker.call("inspect_image", f"contract/digest@{second}")
    assert new["Id"] != old["Id"] and new["RepoDigests"] == [f"contract/digest@{second}"]
    assert not new["RepoTags"]
    await host.run("docker", "tag", new["Id"], ref)
    assert (await host.docker.call("inspect_image", ref))["Id"] == new["Id"]
    assert ref not in ((await host.docker.call("inspect_image", old["Id"]))["RepoTags"] or [])


async def test_what_no_registry_has_cannot_be_pulled(host: ContractHost) -> None:
    said = "(?i)not found|unknown|denied"
    with pytest.raises(EngineError, match=said):
        await host.docker.call("inspect_distribution", GONE)
    for wanted in (GONE, f"contract/missing@sha256:{'0' * 64}"):
        with pytest.raises(EngineError, match=said):
            await pull(host, wanted)
        done = await host.run("docker", "pull", "-q", wanted, status=None)
        assert done.exit_status != 0 and re.search(said, done.stderr.decode())


def context(dockerfile: str, **more: str) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in {"Dockerfile": dockerfile, **more}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    out.seek(0)
    return out


async def build(host: ContractHost, tag: str, dockerfile: str, **more: str) -> list[dict[str, Any]]:
    options = {"tag": tag, "custom_context": True, "rm": True, "forcerm": True, "decode": True, "buildargs": {"V": "1"}}
    source = context(dockerfile, **more)
    return [row async for row in host.docker.iterate("build", fileobj=source, **options)]


async def test_an_image_is_built_from_a_tar(host: ContractHost) -> None:
    recipe = f"FROM {WEB}\nARG V\nCOPY page /page\n"
    rows = await build(host, "contract/built:1", recipe, page="one")
    text = "".join(row.get("stream", "") for row in rows)
    assert "Step 1/3" in text and "Successfully tagged contract/built:1" in text
    first = await host.docker.call("inspect_image", "contract/built:1")
    assert not first["RepoDigests"]
    await build(host, "contract/built:1", recipe, page="one")
    assert (await host.docker.call("inspect_image", "contract/built:1"))["Id"] == first["Id"]
    await build(host, "contract/built:1", recipe, page="two")
    assert (await host.docker.call("inspect_image", "contract/built:1"))["Id"] != first["Id"]
    project = await one(host, image="contract/built:1")
    assert (await project.inspect("web"))["State"]["Status"] == "running"


async def test_a_build_that_fails_says_so_and_leaves_no_image(host: ContractHost) -> None:
    rows = await build(host, "contract/failed:1", f"FROM {WEB}\nRUN exit 3\n")
    assert "returned a non-zero code: 3" in rows[-1]["error"]
    with pytest.raises(EngineError, match=r"(?i)no such image"):
        await host.docker.call("inspect_image", "contract/failed:1")


async def test_the_metrics_channel_tells_machine_containers_and_deploys(host: ContractHost) -> None:
    project = await one(host)
    container = (await project.inspect("web"))["Id"]
    await project.sh("mkdir -p deploy/stacks/web/releases/r1; ln -sfn releases/r1 deploy/stacks/web/current")
    parser, samples = MetricsParser("sese"), list[Sample]()
    argv = ["sh", "-s", "1", project.place.root]
    async with asyncio.timeout(15), host.connection.stream(argv, root=True, stdin=script()) as lines:
        async for line in lines:
            sample = parser.feed(line, at_boot_s=time.monotonic(), now=datetime.now(UTC))
            if sample is not None:
                samples.append(sample)
                usage = sample.usage.get(container)
                if usage is not None and usage.cpu_percent is not None:
                    break  # a share is known from one figure to the next
    metrics, usage = samples[-1].metrics, samples[-1].usage[container]
    assert metrics is not None and metrics.cpus > 0 and metrics.memory_total_bytes > metrics.memory_available_bytes > 0
    assert metrics.uptime_s > 0 and metrics.cpu_percent is not None and metrics.disks[0].mount == "/"
    assert metrics.clock_skew_s is not None and abs(metrics.clock_skew_s) < 2
    assert usage.memory_bytes > 0
    assert [(state.stack, state.current, state.pending) for state in samples[-1].deploys] == [("sese/web", "r1", None)]
