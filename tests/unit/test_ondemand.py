"""Stacks on demand without a host: what the files say, states, memory, what hosts and APIs answer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui import config
from vpai_tui.errors import OperatorError, PreflightRefused, UsageError
from vpai_tui.fleet.stacks import load_stacks
from vpai_tui.ondemand import beside, files, idle
from vpai_tui.ondemand.kinds import Kind, kind_of
from vpai_tui.ondemand.model import IdleState, OnDemandStack, Room
from vpai_tui.ondemand.room import gib, refuse_full

MIB, GIB = 1 << 20, 1 << 30
COMPOSE = {
    "services": {
        "db": {"image": "postgres:17", "deploy": {"resources": {"limits": {"memory": "256M"}}}},
        "web": {"image": "web:1", "mem_limit": "1.5g", "depends_on": ["db"]},
        "job": {"image": "job:1", "deploy": {"resources": {"limits": {"memory": "${JOB_MEMORY:-1g}"}}}},
    }
}
SPEC = {
    "title": "Editor",
    "on_demand": True,
    "data": ["db"],
    "access": [{"service": "web", "port": 3000, "subdomain": "cut", "reach": "vpn"}],
}


def stacks(tmp_path: Path, spec: dict[str, Any] = SPEC, compose: dict[str, Any] = COMPOSE) -> Any:
    home = tmp_path / "stacks/pi/editor"
    home.mkdir(parents=True)
    (home / "compose.yaml").write_text(yaml.safe_dump(compose, sort_keys=False))
    (home / "stack.yaml").write_text(yaml.safe_dump(spec))
    host = config.Host(addresses=("127.0.0.1",), ssh=config.Ssh(user="me"))
    return load_stacks(tmp_path / "stacks", config.Fleet(hosts={"pi": host}, stacks=("pi/editor",)))


# -- files ----------------------------------------------------------------------------------------------------------


def test_what_the_files_say(tmp_path: Path) -> None:
    found = files.find(stacks(tmp_path), "example.org", "editor")
    assert (found.id, found.title, found.project, found.url) == (
        "pi/editor", "Editor", "editor", "https://cut.example.org",
    )  # fmt: skip
    assert found.services == ("db", "web", "job")
    assert (found.front, found.data) == (("web",), ("db",))
    assert dict(found.limits) == {"db": 256 * MIB, "web": 1536 * MIB, "job": None}


def test_without_a_way_in_all_services_are_watched_and_there_is_no_url(tmp_path: Path) -> None:
    found = files.find(stacks(tmp_path, {"on_demand": True}), None, "pi/editor")
    assert (found.front, found.url) == (("db", "web", "job"), None)


def test_what_is_not_on_demand_is_refused_with_those_that_are(tmp_path: Path) -> None:
    known = stacks(tmp_path, {"title": "x"})
    assert files.on_demand(known, None) == ()
    with pytest.raises(UsageError, match="pi/editor is not on demand") as told:
        files.find(known, None, "editor")
    assert "on demand: none" in told.value.remedy


def test_a_service_on_the_hosts_network_has_no_bytes_of_its_own(tmp_path: Path) -> None:
    compose = {"services": {"web": {"image": "web:1", "network_mode": "host"}}}
    found = files.find(stacks(tmp_path, {"on_demand": True}, compose), None, "editor")
    assert found.on_host_network == ("web",)


@pytest.mark.parametrize(
    ("told", "size"),
    [
        ("1024M", GIB), ("1g", GIB), ("1.5GiB", 1536 * MIB), ("512mb", 512 * MIB), (1048576, MIB), ("2k", 2048),
        ("0", None), (0, None), ("-1", None), ("${MEM}", None), ("lots", None), (None, None), (True, None), ([], None),
        ("1e9", None), ("9" * 400, None), ("", None),
    ],
)  # fmt: skip
def test_memory_limits(told: object, size: int | None) -> None:
    assert files.size_of(told) == size


@given(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(), st.lists(st.text()), st.dictionaries(st.text(), st.text())
    )
)
def test_a_limit_of_any_shape_is_a_size_or_none(told: object) -> None:
    found = files.limit_of({"deploy": {"resources": {"limits": {"memory": told}}}, "mem_limit": told})
    assert found is None or found > 0
    assert files.limit_of({"deploy": told}) is None


# -- memory ---------------------------------------------------------------------------------------------------------


def stack() -> OnDemandStack:
    return OnDemandStack("pi/editor", "pi", "editor", "Editor", "editor", ("db",), limits=MappingProxyType({"db": MIB}))


def test_a_start_without_the_memory_names_who_has_it() -> None:
    held = (("pi/creative/comfyui", 12 * GIB), ("pi/edge/caddy", None))
    room = Room(1536 * MIB, 1700 * MIB, 16 * GIB, 256 * MIB, holders=held)
    assert room.enough is False, "what the host keeps counts"
    with pytest.raises(PreflightRefused, match=r"may take 1.5G, and pi has 1.7G left") as told:
        refuse_full(stack(), room)
    assert told.value.exit_code == 78
    assert told.value.output.splitlines() == [
        "pi/creative/comfyui holds 12.0G",
        "pi/edge/caddy holds an unknown amount",
    ]
    assert "vpai-tui stop pi/creative/comfyui" in told.value.remedy


@pytest.mark.parametrize(("available", "enough"), [(1792 * MIB, True), (1792 * MIB - 1, False), (None, None)])
def test_what_is_not_known_refuses_nothing(available: int | None, enough: bool | None) -> None:
    room = Room(1536 * MIB, available, None, 256 * MIB)
    assert room.enough is enough
    if enough is not False:
        refuse_full(stack(), room)


def test_sizes_for_people() -> None:
    assert [gib(count) for count in (0, 512 * MIB, GIB, 1536 * MIB)] == ["0M", "512M", "1.0G", "1.5G"]


# -- the idle stop --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "minutes"), [("30", 30), (" 45m ", 45), ("off", None), ("OFF", None), ("10080", 10080)]
)
def test_minutes(text: str, minutes: int | None) -> None:
    assert idle.minutes_of(text) == minutes


@pytest.mark.parametrize("text", ["", "0", "-5", "1.5", "10081", "soon", "30 30", "٣٠", "9" * 30, "\x1b[31m"])
def test_minutes_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="an idle stop after"):
        idle.minutes_of(text)


RECORD = (
    "token=t pid=7 boot=b by=ann@lap at=2026-02-26T23:04:00Z minutes=30 quiet_s=480 state=watching why= "
    "told=2026-02-26T23:12:00Z"
)


def record(alive: str = "alive", **changed: str) -> bytes:
    pairs = dict(cell.split("=", 1) for cell in RECORD.split(" ")) | changed
    return ("\t".join(["idle", "opencut", alive, *(f"{key}={value}" for key, value in pairs.items())]) + "\n").encode()


def look(*rows: bytes, lock: bytes = b"lock\tfree\t\n") -> tuple[str, dict[str, Any]]:
    owner, found = idle.read_look(lock + b"".join(rows) + b"end\n", "pi")
    return owner, dict(found)


def test_an_idle_stop_that_watches() -> None:
    owner, found = look(record())
    told = found["opencut"]
    assert owner == ""
    assert (told.state, told.minutes, told.by, told.left_s) == (IdleState.WATCHING, 30, "ann@lap", 1320.0)
    assert told.watching


@pytest.mark.parametrize(
    ("alive", "state", "found"),
    [
        ("dead", "watching", IdleState.GONE),
        ("rebooted", "watching", IdleState.REBOOTED),
        ("dead", "stopped", IdleState.STOPPED),
        ("rebooted", "ended", IdleState.ENDED),
    ],
)
def test_one_that_is_over_says_how(alive: str, state: str, found: IdleState) -> None:
    told = look(record(alive, state=state))[1]["opencut"]
    assert told.state is found
    assert told.left_s is None
    assert not told.watching


def test_who_holds_the_lock() -> None:
    lock = b"lock\theld\tpid=9 apply creative by ben@desk since 2026-02-26T23:03:41Z\n"
    assert look(lock=lock)[0] == "pid=9 apply creative by ben@desk since 2026-02-26T23:03:41Z"
    assert look(lock=b"lock\theld\t\n")[0] == "somebody who is not named"
    assert look(lock=b"lock\theld\n")[0] == "somebody who is not named"


@pytest.mark.parametrize(
    "row",
    [
        b"idle\n", b"idle\topencut\n", b"idle\topencut\talive\n", record(minutes="0"), record(minutes="x"),
        record(quiet_s="-1"), record(state="odd"), b"odd\tthing\n", b"\xff\xfe\t\x00\n",
    ],
)  # fmt: skip
def test_a_record_that_is_none_is_passed_over(row: bytes) -> None:
    assert look(row) == ("", {})


def test_what_a_record_says_is_cleaned_and_masked() -> None:
    told = look(record(by="\x1b]0;x\x07ann", at="soon", why="PASSWORD=hunter2"))[1]["opencut"]
    assert (told.by, told.at) == ("]0;xann", "")
    assert "hunter2" not in told.why


@pytest.mark.parametrize("raw", [b"", b"lock\tfree\t\n", b"end", b"end\nlock\tfree\n"])
def test_an_answer_that_is_cut_is_an_error(raw: bytes) -> None:
    if raw == b"end":
        assert idle.read_look(raw, "pi") == ("", {})
        return
    with pytest.raises(OperatorError, match="cut"):
        idle.read_look(raw, "pi")


@given(st.binary(max_size=400))
def test_any_answer_is_read_or_refused(raw: bytes) -> None:
    try:
        owner, found = idle.read_look(raw + b"\nend\n", "pi")
    except OperatorError:
        return
    assert all(it.left_s is None or it.left_s >= 0 for it in found.values())
    assert owner.isprintable()


# -- queues ---------------------------------------------------------------------------------------------------------

JOB = "3f2c9a1b-7c1d-4d6a-9a55-0b6a6f1f2e11"


def test_comfyuis_queue() -> None:
    body = {
        "queue_running": [[4, JOB, {"1": {}}, {}, ["9"]]],
        "queue_pending": [[5, "b", {}, {}, []], [6, "c", {}, {}, []]],
    }
    found = beside.read_comfyui(json.dumps(body).encode())
    assert (found.running, found.pending, found.job, found.error, found.active) == (1, 2, JOB, "", True)
    idle_ = beside.read_comfyui(b'{"queue_running": [], "queue_pending": []}')
    assert (idle_.running, idle_.pending, idle_.active) == (0, 0, False)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"{}", b'"x"', b"<html>", b'{"queue_running": 1, "queue_pending": []}',
        b'{"queue_running": {}, "queue_pending": {}}', b"[" * 100_000, b"\xff\xfe", b'{"queue_running": []}',
    ],
)  # fmt: skip
def test_what_is_no_queue_says_so(body: bytes) -> None:
    found = beside.read_comfyui(body)
    assert found.error == "/queue has another shape than ComfyUI's"
    assert (found.running, found.active) == (None, False)


@pytest.mark.parametrize("row", [1, None, [], [1], [1, 2], "x", {"prompt_id": JOB}, [4, "\x1b[31m" + "x" * 500]])
def test_a_running_job_of_any_shape_counts(row: object) -> None:
    found = beside.read_comfyui(json.dumps({"queue_running": [row], "queue_pending": []}).encode())
    assert found.running == 1
    assert found.job.isprintable()
    assert len(found.job) <= 60


@given(st.binary(max_size=300))
def test_any_body_is_a_queue_or_an_error(body: bytes) -> None:
    for found in (beside.read_comfyui(body), beside.read_render(body, JOB, 0.5)):
        assert found.error or found.running is not None or found.note


@pytest.mark.parametrize(
    ("body", "running", "progress"),
    [
        ({"status": "in-progress", "progress": 0.42}, 1, 0.42),
        ({"status": "queued"}, 1, 0.1),
        ({"status": "in-progress", "progress": "much"}, 1, 0.1),
        ({"status": "in-progress", "progress": 7}, 1, 0.1),
        ({"status": "in-progress", "progress": True}, 1, 0.1),
        ({"status": "completed", "videoUrl": "x"}, 0, None),
        ({"status": "failed", "error": "x"}, 0, None),
        ({"status": "\x1b[31mcancelled"}, 0, None),
    ],
)
def test_a_render(body: dict[str, object], running: int, progress: float | None) -> None:
    found = beside.read_render(json.dumps(body).encode(), JOB, 0.1)
    assert (found.running, found.progress, found.error) == (running, progress, "")
    assert found.note.isprintable()


def test_the_last_job_is_found_in_the_log() -> None:
    lines = [f"{JOB.replace('3f', '00')} progress: 100%", f"{JOB} progress: 41%", f"{JOB} progress: 42%", "listening"]
    assert beside.last_job(lines) == (JOB, 0.42)
    assert beside.last_job([f"{JOB} progress: 999%"]) == (JOB, 1.0)
    assert beside.last_job(["progress: 42%", "", "x" * 10_000]) is None


@pytest.mark.parametrize(
    ("name", "image", "kind"),
    [
        ("comfyui", "comfyui-local:v0.3.27", Kind.COMFYUI),
        ("renders", "ghcr.io/me/remotion-local:4.0.259@sha256:abc", Kind.REMOTION),
        ("remotion", None, Kind.REMOTION),
        ("comfyui-exporter", "exporter:1", None),
        ("web", "registry/comfyui/web:1", None),
    ],
)
def test_who_has_a_queue_is_known_by_name_or_image(name: str, image: str | None, kind: Kind | None) -> None:
    from vpai_tui.fleet.model import Health, Service, Sync

    service = Service("pi", "creative", name, Sync.UNKNOWN, Health.RUNNING, image)
    assert kind_of(service) is kind
    assert kind_of(replace(service, image="")) is (kind if name in ("comfyui", "remotion") else None)
