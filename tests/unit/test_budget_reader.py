"""A snapshot and the alerts over a connection, by the commands that are really run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from budget_things import (
    CONFIG,
    NOW,
    PLACES,
    SILENT,
    found,
    has_note,
    healthy,
    hook,
    redis,
    sums_up,
    table,
    told,
)
from test_budget_places import LITELLM, POSTGRES, REDIS, SEEN, Link, apps, listed

from vpai_tui.budget import counters
from vpai_tui.budget.findings import gather
from vpai_tui.budget.fold import fold
from vpai_tui.budget.model import Enforcement
from vpai_tui.budget.reading import Reader
from vpai_tui.budget.settings import Settings
from vpai_tui.config import Fleet, Host, Ssh
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.model import Severity
from vpai_tui.remote.channel import Completed

SETTINGS = CONFIG.decode()


def host(of_redis: str, *, state: str = "running", config: Completed | str = SETTINGS, listens: bool = True) -> Link:
    """A host with all three containers, answering what each is asked; not `listens`: LiteLLM is not up yet."""

    def inside(argv: Sequence[str]) -> str:
        kind = argv[3]
        if kind == "python3":
            asked = json.loads(argv[6])["requests"]
            known = healthy() if listens else {}
            answers = [known.get(path.partition("?")[0], SILENT) for _, path, _ in asked]
            return json.dumps([{"status": it.status, "body": it.body, "headers": {}} for it in answers])
        return of_redis if "EVAL" in argv else "SET\n" + json.dumps(table())

    litellm = (*LITELLM[:2], state, *LITELLM[3:])
    rows = listed(litellm, REDIS, POSTGRES)
    return Link({"ps": rows, "container": json.dumps(SEEN), "exec": inside, "-c": config})


class Still:
    def boot_s(self) -> float:
        return 0.0

    def now(self) -> datetime:
        return NOW


def reader(link: Link) -> Reader:
    async def connection(name: str) -> Any:
        assert name == "sese"
        return link

    return Reader(
        Fleet(hosts={"sese": Host(addresses=("127.0.0.1",), ssh=Ssh(user="me"))}), [apps()], connection, Still()
    )


async def test_a_snapshot_over_a_connection() -> None:
    link = host(json.dumps(redis()))
    one = reader(link)
    snap = await one.snapshot()
    assert (snap.enforcement, snap.configured_cap_usd, snap.error) == (Enforcement.ENFORCED, 5.0, "")
    assert one.service_id == "sese/apps/litellm"
    assert sums_up(snap)
    commands = " ".join(word for argv in link.ran for word in argv if word != counters.READ_LUA)
    assert "config/update" not in commands
    assert "sk-" not in commands


@pytest.mark.parametrize(
    ("config", "note"),
    [
        (Completed(44, b"", b"", 0.0), "there is no /opt/vpai/configs/litellm/litellm_config.yaml"),
        ("a: [", "is no YAML that can be read"),
    ],
)
async def test_a_configuration_that_is_not_to_be_had(config: Completed | str, note: str) -> None:
    assert has_note(await reader(host(json.dumps(redis()), config=config)).snapshot(), note)


async def test_alerts_cost_one_command_while_the_callback_beats() -> None:
    link = host(json.dumps(redis(hook(spend=4.6))))
    one = reader(link)
    assert [it.severity for it in await one.alerts()] == [Severity.WARN]
    link.ran.clear()
    assert [it.message for it in await one.alerts()] == ["$4.60 of $5.00 are spent today; paid models still answer"]
    assert len(link.ran) == 1
    assert "EVAL" in link.ran[0]


async def test_alerts_without_a_heartbeat() -> None:
    silent = json.dumps(redis(None))
    assert [it.subject for it in await reader(host(silent)).alerts()] == ["AI budget: not enforced"]
    assert await reader(host(silent, state="exited")).alerts() == ()  # that has an alert of its own
    assert await reader(host(silent, listens=False)).alerts() == ()  # it starts: nothing is known of a callback yet
    with pytest.raises(OperatorError, match="Redis says"):
        await reader(host("LOADING Redis is loading")).alerts()


async def test_findings_are_as_of_redis_s_answer() -> None:
    """Others may take seconds more, in which the heartbeat grows no older."""
    ticks = iter(range(100))

    async def settings() -> Settings:
        return Settings()

    slow = await gather(told(), PLACES, settings, lambda: NOW + timedelta(seconds=5 * next(ticks)))
    assert slow.counters is not None
    snap = fold(slow)
    assert snap.beat_age_s == pytest.approx(1.0)
    assert (await found(told())).at == NOW
