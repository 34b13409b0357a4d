"""Finding LiteLLM, Redis and the database by what Docker says; and how each is asked."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from budget_things import ANY_JSON, LITELLM, PLACES, POSTGRES, REDIS, SEEN, Link, apps, listed
from fleet_things import stack
from hypothesis import given
from hypothesis import strategies as st

from corpus_cases import is_safe
from vpai_tui.budget import counters
from vpai_tui.budget.places import Place, base_name, find_places, host_of, places_from_rows, with_seen, zone_of
from vpai_tui.budget.transport import OverSsh, Request, ask_program
from vpai_tui.config import Fleet, Host, Ssh
from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.stacks import Stack
from vpai_tui.remote.channel import Completed


async def found_of(*rows: Sequence[str], seen: Any = SEEN, of: Stack | None = None) -> Any:
    link = Link({"ps": listed(*rows), "container": json.dumps(seen)})
    return await find_places(link, of or apps())  # type: ignore[arg-type]


async def test_what_the_stack_says_is_found_by_labels() -> None:
    found = await found_of(POSTGRES, ("old-litellm", *LITELLM[1:3], "other", "litellm"), LITELLM, REDIS)
    assert found.litellm.name == "vpai-litellm-1"
    assert (found.redis.name, found.database.name) == ("vpai-redis-1", "vpai-postgresql-1")
    assert (found.host, found.stack, found.service) == ("sese", "sese/apps", "sese/apps/litellm")
    assert (found.inside, found.config) == ("/app/config.yaml", "/opt/vpai/configs/litellm/litellm_config.yaml")
    assert (found.single_file, found.port, found.timezone, found.cap_usd) == (True, 4000, None, None)
    assert found.free == ("qwen3-coder", "deepseek-v3-free")


async def test_of_other_names_the_image_tells() -> None:
    proxy = ("ai_proxy", "docker.io/litellm/litellm-database:main-latest@sha256:ab", "running", "ai", "gateway")
    cache = ("ai_cache", "valkey/valkey:8", "running", "ai", "cache")
    other = ("shop_cache", "redis:7", "running", "shop", "redis")
    seen = {
        **SEEN,
        "command": ["--config=/etc/litellm/c.yaml", "--port=4444"],
        "mounts": [{"Type": "bind", "Source": "/srv/ai/", "Destination": "/etc/litellm"}],
        "env": ["REDIS_HOST=cache", "ECO_TZ=Europe/Paris", "ECO_DAILY_CAP=2.5"],
    }
    found = await found_of(other, proxy, cache, ("db", "pgvector/pgvector:pg16", "running", "ai", "store"), seen=seen)
    assert (found.litellm.name, found.redis.name, found.database.name) == ("ai_proxy", "ai_cache", "db")
    assert (found.config, found.single_file, found.port) == ("/srv/ai/c.yaml", False, 4444)
    assert (found.timezone, found.cap_usd, found.free) == ("Europe/Paris", 2.5, None)


async def test_of_an_image_without_a_name_the_service_tells() -> None:
    found = await found_of(("x", "sha256:0123abcd", "exited", "y", "litellm"), REDIS)
    assert (found.litellm.name, found.litellm.running, found.database) == ("x", False, None)


async def test_redis_is_the_one_that_runs_not_a_helper_of_its_image() -> None:
    helper = ("vpai-networks-1", "redis:8.0-bookworm", "exited", "vpai", "networks")
    found = await found_of(helper, LITELLM, REDIS)
    assert found.redis.name == "vpai-redis-1"
    stopped = await found_of(helper, LITELLM, (REDIS[0], REDIS[1], "exited", *REDIS[3:]))
    assert stopped.redis.name == "vpai-redis-1"


async def test_without_a_container_there_is_nobody_to_ask() -> None:
    found = await found_of(REDIS)
    assert (found.litellm, found.config, found.redis.name) == (None, None, "vpai-redis-1")
    with pytest.raises(OperatorError, match="no container of LiteLLM"):
        await OverSsh(Link({}), litellm=None).litellm([Request("GET", "/x")])  # type: ignore[arg-type]


async def test_only_named_variables_leave_the_host() -> None:
    link = Link({"ps": listed(LITELLM), "container": json.dumps(SEEN)})
    await find_places(link, apps())  # type: ignore[arg-type]
    template = link.ran[1][link.ran[1].index("-f") + 1]
    assert "json .Config.Env" not in template
    assert "LITELLM_MASTER_KEY" not in template
    assert "DATABASE_URL" not in template


@pytest.mark.parametrize(
    "seen", [[], "x", {"mounts": 3}, {"command": [3]}, {"env": [7]}, {"mounts": [{"Source": "/x"}]}]
)
async def test_a_strange_answer_of_docker_is_an_error(seen: Any) -> None:
    with pytest.raises(OperatorError, match="strange"):
        await found_of(LITELLM, seen=seen)


@given(ANY_JSON.filter(lambda it: isinstance(it, dict)), st.text(max_size=80))
def test_any_answer_of_docker(seen: dict[str, Any], rows: str) -> None:
    found = places_from_rows(rows)
    assert all(is_safe(it.name) for it in found)
    seen = {**seen, **{key: value for key, value in SEEN.items() if key not in seen}}
    try:
        places = with_seen(PLACES, seen, (*found, Place("i", "n", "redis", "running", "p", "s")))
    except OperatorError:
        return
    assert 0 < places.port < 65536


def test_the_host_is_that_of_the_stack() -> None:
    fleet = Fleet(hosts={"sese": Host(addresses=("127.0.0.1",), ssh=Ssh(user="me"))})
    infra = stack("infra", "redis")
    assert host_of(fleet, [infra, apps()])[0::2] == ("sese", "litellm")
    other = replace(stack("ai", "gateway"), compose={"services": {"gateway": {"image": "litellm/litellm-database:v1"}}})
    assert host_of(fleet, [infra, other])[2] == "gateway"
    with pytest.raises(UsageError, match="no stack of the fleet has LiteLLM"):
        host_of(fleet, [infra])
    with pytest.raises(UsageError):
        host_of(fleet, [replace(apps(), host="elsewhere")])


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("ghcr.io/berriai/litellm:v1.81.3-stable@sha256:00", "litellm"),
        ("127.0.0.1:5000/vpai/litellm", "litellm"),
        ("redis", "redis"),
        ("", ""),
    ],
)
def test_the_name_of_an_image(image: str, name: str) -> None:
    assert base_name(image) == name


@given(st.text(max_size=20))
def test_a_zone_is_one_or_none(word: str) -> None:
    zone = zone_of(word)
    assert zone is None or zone.key == word


@pytest.mark.parametrize(
    "word", ["../../etc/passwd", "/etc/localtime", "Mars/Olympus", "Europe", "", None, "\0", "x" * 5000]
)
def test_what_is_no_zone(word: str | None) -> None:
    assert zone_of(word) is None


# ── what is asked how ────────────────────────────────────────────────────────────────────────────────────────────────


def over(answer: str | Completed) -> tuple[OverSsh, Link]:
    link = Link({"exec": answer})
    return OverSsh(link, litellm="c1", redis="c2", database="c3", port=4000), link  # type: ignore[arg-type]


async def test_litellm_is_asked_by_the_program_in_its_container() -> None:
    inside, link = over('[{"status": 200, "headers": {"x-eco-mode": "eco"}, "body": [1]}]\n')
    answers = await inside.litellm([Request("GET", "/model/info?secret=no")])
    assert [(it.status, it.body, dict(it.headers)) for it in answers] == [(200, [1], {"x-eco-mode": "eco"})]
    argv = link.ran[0]
    assert argv[:5] == ["podman", "exec", "c1", "python3", "-c"]
    assert argv[5] == ask_program()
    assert json.loads(argv[6]) == {"port": 4000, "timeout_s": 5.0, "requests": [["GET", "/model/info?secret=no", None]]}
    assert link.labels == ["litellm: GET /model/info"]
    assert await inside.litellm([]) == []


async def test_redis_and_the_database_are_asked_with_their_own_tools() -> None:
    inside, link = over('{"done":true}\n')
    assert await inside.redis(counters.SET_LUA, "k", "", "5") == {"done": True}
    assert link.ran[0][:5] == ["podman", "exec", "c2", "sh", "-c"]
    assert link.ran[0][6:] == ["sh", "EVAL", counters.SET_LUA, "0", "k", "", "5"]
    assert "REDIS_PASSWORD" in link.ran[0][5]  # its value is not on any command line
    inside, link = over('SET\n{"a": 1}\n')
    assert await inside.sql("SELECT 1") == {"a": 1}
    assert link.ran[0][:5] == ["podman", "exec", "c3", "sh", "-c"]
    assert link.ran[0][7].endswith("; SELECT 1")
    assert shlex.split(link.labels[0]) == ["psql:", "SELECT"]


@pytest.mark.parametrize(
    ("status", "out", "error", "told"),
    [
        (1, "", "Error response from daemon: container abc is not running", "container abc is not running"),
        (127, "", 'exec: "redis-cli": executable file not found', "executable file not found"),
        (0, "NOAUTH Authentication required.\n\n", "", "NOAUTH Authentication required"),
        (0, "Could not connect to Redis at 127.0.0.1:6379: Connection refused\n", "", "Connection refused"),
        (0, "LOADING Redis is loading the dataset in memory\n", "", "LOADING"),
        (0, "", "", "says: nothing"),
        (137, "", "", "status 137"),
    ],
)
async def test_whoever_cannot_be_asked_is_told_with_its_words(status: int, out: str, error: str, told: str) -> None:
    inside, _ = over(Completed(status, out.encode(), error.encode(), 0.0))
    with pytest.raises(OperatorError, match="Redis") as refused:
        await inside.redis("return 1")
    assert told in str(refused.value)
    assert refused.value.remedy


async def test_the_words_of_others_are_clean_and_hold_no_secret() -> None:
    said = b"FATAL: \x1b[2Jpassword=hunter22 is wrong for postgresql://u:hunter22@db/litellm"
    inside, _ = over(Completed(2, b"", said, 0.0))
    with pytest.raises(OperatorError) as refused:
        await inside.sql("SELECT 1")
    assert is_safe(str(refused.value))
    assert "hunter22" not in str(refused.value)
