"""One suite for the demo's LiteLLM and for real ones: with Redis alone, and with a PostgreSQL too.

The client runs unchanged, over SSH and `docker exec`, up to the sums it shows and the knobs it turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from vpai_tui.budget import sql
from vpai_tui.budget.cap import NATIVE, NATIVE_SPAN, value_of
from vpai_tui.budget.change import Change
from vpai_tui.budget.counters import CAP_KEY, MODE_KEY
from vpai_tui.budget.model import TARGETS, BudgetSnapshot, Enforcement, Mode, Source, Spend
from vpai_tui.budget.native import native_of
from vpai_tui.budget.persist import read_config
from vpai_tui.budget.session import Budget
from vpai_tui.errors import OperatorError, PreflightRefused, StalePlan, UsageError
from vpai_tui.fleet.operation import Finished, Outcome

from .eco.proxy import VERSIONS, demand, missing
from .litellm_kit import CAP, HOST, Site, demo_site, real_host, real_site
from .postgres_kit import postgres_server, programs

pytestmark = pytest.mark.asyncio(loop_scope="module")
# With a database everything is asked that is asked without one: of the version in the middle that suffices.
REAL = [(version, database) for version in VERSIONS for database in (False, True) if database or version != "1.83.3"]
SOAK = [("1.83.3", True), ("1.106.2", False)]  # the others of each kind are in CI


def _real(version: str, database: bool) -> Any:
    marks = [pytest.mark.xdist_group(f"budget-{version}-{database}")]
    marks += [pytest.mark.soak] if (version, database) in SOAK else []
    return pytest.param((version, database), id=f"{version}-{'postgres' if database else 'redis'}", marks=marks)


SITES = [
    pytest.param(("demo", False), id="demo", marks=pytest.mark.xdist_group("budget-demo")),
    *(_real(version, database) for version, database in REAL),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=SITES)
async def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    version, database = request.param
    async with AsyncExitStack() as stack:
        folder: Path = tmp_path_factory.mktemp("site")
        if version == "demo":
            yield await stack.enter_async_context(demo_site(folder))
            return
        if reason := missing(version) or ("" if not database or programs() else "PostgreSQL is not installed"):
            demand(reason)
        postgres = stack.enter_context(postgres_server()) if database else None
        host = real_host(version, folder, postgres)
        real = await asyncio.to_thread(host.__enter__)
        stack.push(host.__exit__)
        yield await stack.enter_async_context(real_site(real))


@pytest_asyncio.fixture(loop_scope="module")
async def site(whole: Site) -> Site:
    """The host on a day on which nothing was set by hand and little spent."""
    await asyncio.to_thread(whole.reset)
    return whole


@pytest.fixture
def budget(site: Site) -> Budget:
    return site.budget()


async def turn(budget: Budget, change: Change, typed: str = "") -> Finished:
    events = [event async for event in budget.apply(change, typed=typed)]
    assert isinstance(events[-1], Finished)
    return events[-1]


async def turned(budget: Budget, change: Change) -> None:
    end = await turn(budget, change)
    assert end.outcome is Outcome.COMMITTED, end


def money(found: BudgetSnapshot) -> Spend:
    assert found.spend is not None, found
    return found.spend


async def spending(site: Site, at_least: float) -> BudgetSnapshot:
    """Once so much is known to be spent, by the source that is told first and by the heartbeat."""

    def known(found: BudgetSnapshot) -> bool:
        there = found.spend is not None and found.spend.spend_usd >= at_least - 1e-6
        return there and found.beat is not None and found.beat.spend_usd >= at_least - 1e-5

    found: BudgetSnapshot = await site.until(site.budget().snapshot, known)
    assert known(found), found
    return found


async def paid_call(site: Site) -> float:
    """What it cost."""
    proof = await site.budget().prove("claude-sonnet")
    assert (proof.answered, proof.status) == ("claude-sonnet", 200), proof
    assert proof.cost_usd is not None
    assert proof.cost_usd > 0
    return proof.cost_usd


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_is_known_on_a_usual_day(site: Site, budget: Budget) -> None:
    before = money(await budget.snapshot()).spend_usd
    found = await spending(site, before + await paid_call(site))
    assert (found.enforcement, found.mode, found.manual) == (Enforcement.ENFORCED, Mode.NORMAL, Mode.NORMAL), found.why
    assert (found.cap_usd, found.cap_source, found.configured_cap_usd) == (CAP, "general_settings", CAP)
    assert (found.version, found.error, found.timezone) == (site.version, "", "UTC")
    assert found.beat is not None
    assert found.beat.free[0] == "qwen3-coder"
    assert found.beat_age_s is not None
    assert found.beat_age_s < 10
    assert found.prices["claude-sonnet"].known
    assert not found.prices["claude-sonnet"].free
    assert found.prices["qwen3-coder"].free
    assert not found.prices["kimi-k2"].known
    assert found.alerts == ()


async def test_every_part_of_the_spend_is_the_whole(site: Site, budget: Budget) -> None:
    before = money(await budget.snapshot()).spend_usd
    spent = money(await spending(site, before + await paid_call(site)))
    assert spent.total.source is (Source.ACTIVITY if site.database else Source.COUNTERS)
    assert spent.keys is not None
    assert spent.hours is not None
    # Sources that are read at the same time are of moments that differ by a little where traffic goes on.
    near = 0.02 if site.demo else 1e-6
    whole = pytest.approx(spent.spend_usd, abs=1e-6)
    assert sum(it.billed_usd for it in spent.providers) == whole
    assert sum(it.vendor_usd for it in spent.providers) == whole
    assert sum(it.spend_usd for it in spent.models) == whole
    assert sum(it.spend_usd for it in spent.keys) == whole
    assert sum(it.spend_usd for it in spent.hours) == pytest.approx(spent.spend_usd, abs=near)
    assert (spent.days is not None) == site.database  # the callback's counters begin today there
    if spent.days is not None:
        assert spent.days[-1].spend_usd == pytest.approx(spent.spend_usd, abs=near)
    assert set(TARGETS) <= {it.provider for it in spent.providers}
    assert sum(it.share or 0 for it in spent.providers) == pytest.approx(1)
    sonnet = next(it for it in spent.models if it.model == "claude-sonnet")
    assert sonnet.requests >= 1
    assert sonnet.tokens > 0
    assert sonnet.priced is True


async def test_a_call_of_each_provider_is_billed_to_it(site: Site, budget: Budget) -> None:
    before = {it.provider: it.billed_usd for it in money(await budget.snapshot()).providers}
    total = sum(before.values())
    for alias in ("claude-sonnet", "gpt-4o", "glm-5"):
        proof = await budget.prove(alias)
        assert proof.answered == alias, proof
        total += proof.cost_usd or 0.0
    found = money(await spending(site, total))
    after = {it.provider: it.billed_usd for it in found.providers}
    for provider in ("anthropic", "openai", "openrouter"):
        assert after[provider] > before[provider], provider
    by_vendor = {it.provider: it.vendor_usd for it in found.providers}
    assert by_vendor["zai"] > 0  # glm-5 is theirs, whoever bills it


async def test_the_tables_say_the_same(site: Site, budget: Budget) -> None:
    inside = (await site.reader().ground()).inside
    if not site.database:
        with pytest.raises(OperatorError):
            await inside.sql(sql.query("UTC"))
        return
    before = money(await budget.snapshot()).spend_usd
    await spending(site, before + await paid_call(site))
    tables = sql.tables_of(await inside.sql(sql.query("Europe/Paris")))
    utc = sql.tables_of(await inside.sql(sql.query("UTC")))
    spent = money(await budget.snapshot())
    near = 0.02 if site.demo else 1e-6
    assert utc.today.spend_usd == pytest.approx(spent.spend_usd, abs=near)
    assert sum(utc.today.providers.values()) == pytest.approx(utc.today.spend_usd)
    assert utc.today.models["claude-sonnet"].requests >= 1
    assert utc.settings == ()
    assert tables.today.spend_usd > 0 or tables.day != utc.day


async def test_the_fleet_s_list_is_told_by_redis_alone(site: Site, budget: Budget) -> None:
    assert await budget.alerts() == ()
    before = money(await budget.snapshot()).spend_usd
    spent = (await spending(site, before + await paid_call(site))).beat
    assert spent is not None
    await site.redis("SET", CAP_KEY, f"{spent.spend_usd / 0.95:.6f}")
    found = await site.until(budget.alerts, bool)
    assert len(found) == 1
    assert "90 %" in found[0].subject


# ── the mode ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_eco_mode_acts_and_is_proved_by_a_call(site: Site, budget: Budget) -> None:
    await turned(budget, await budget.plan_mode("on"))
    found = await budget.snapshot()
    assert (found.mode, found.manual) == (Mode.ECO, Mode.ECO)
    spent = found.beat.spend_usd if found.beat else -1.0
    proof = await budget.prove("claude-sonnet")
    assert (proof.answered, proof.refused, proof.cost_usd or 0.0) == ("qwen3-coder", False, 0.0)
    later = (await budget.snapshot()).beat
    assert later is not None
    assert later.spend_usd == pytest.approx(spent, abs=1e-3)
    await turned(budget, await budget.plan_mode("off"))
    assert (await budget.snapshot()).mode is Mode.NORMAL
    await paid_call(site)


async def test_blocked_refuses_what_costs_money(site: Site, budget: Budget) -> None:
    await turned(budget, await budget.plan_mode("block"))
    assert (await budget.snapshot()).mode is Mode.BLOCKED
    proof = await budget.prove("claude-sonnet")
    assert (proof.answered, proof.refused, proof.status) == (None, True, 429), proof
    assert (await budget.prove("qwen3-coder")).answered == "qwen3-coder"
    change = await budget.plan_undo()
    assert change is not None
    await turned(budget, change)
    assert (await budget.snapshot()).manual is Mode.NORMAL


# ── the cap ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_cap_acts_at_once_and_is_kept_in_the_file(site: Site, budget: Budget) -> None:
    path = (await budget.snapshot()).file
    assert path is not None
    old = await asyncio.to_thread(Path(path).read_text)
    await turned(budget, await budget.plan_cap("7.25"))
    found = await budget.snapshot()
    assert (found.cap_usd, found.cap_source, found.configured_cap_usd) == (7.25, "redis", 7.25)
    new = await asyncio.to_thread(Path(path).read_text)
    pairs = [pair for pair in zip(old.splitlines(), new.splitlines(), strict=True) if pair[0] != pair[1]]
    assert len(pairs) == 1
    assert pairs[0][0].replace("5.00", "7.25") == pairs[0][1]
    change = await budget.plan_undo()
    assert change is not None
    await turned(budget, change)
    assert await asyncio.to_thread(Path(path).read_text) == old
    assert (await budget.snapshot()).cap_source == "general_settings"


async def test_a_cap_below_what_was_spent_turns_eco_on(site: Site, budget: Budget) -> None:
    before = money(await budget.snapshot()).spend_usd
    await spending(site, before + await paid_call(site))
    change = await site.until(lambda: budget.plan_cap("0.02"), lambda it: "eco comes on now" in " ".join(it.effects))
    assert "eco comes on now" in " ".join(change.effects), change
    await turned(budget, change)
    found = await site.until(budget.snapshot, lambda it: it.mode is Mode.ECO and it.reached is not None)
    assert (found.mode, found.manual, found.enforcement) == (Mode.ECO, Mode.NORMAL, Enforcement.ENFORCED)
    assert found.reached.cap_usd == 0.02
    assert (await budget.prove("claude-sonnet")).answered == "qwen3-coder"
    with pytest.raises(PreflightRefused, match="raise the cap first"):
        await budget.plan_mode("off")
    await turned(budget, await budget.plan_cap("50"))
    found = await site.until(budget.snapshot, lambda it: it.mode is Mode.NORMAL and it.reached is None)
    assert (found.mode, found.reached) == (Mode.NORMAL, None)
    await paid_call(site)


async def test_nonsense_is_no_cap(budget: Budget) -> None:
    for text in ("-1", "much", "inf", "1e9", "0", ""):
        with pytest.raises(UsageError):
            await budget.plan_cap(text)


async def test_of_two_operators_one_is_told(site: Site, budget: Budget) -> None:
    other = site.budget()
    plans = [await budget.plan_cap("6"), await other.plan_cap("8")]
    await turned(budget, plans[0])
    with pytest.raises(StalePlan):
        await turn(other, plans[1])
    assert await site.redis("GET", CAP_KEY) == "6.00"
    mode = await budget.plan_mode("on")
    await site.redis("SET", MODE_KEY, "blocked")
    with pytest.raises(StalePlan):
        await turn(budget, mode)
    assert await site.redis("GET", MODE_KEY) == "blocked"


# ── what fails: last, since things are started anew ──────────────────────────────────────────────────────────────────


async def test_without_redis_nothing_is_promised(site: Site, budget: Budget) -> None:
    await site.stop("redis")
    try:
        found = await budget.snapshot()
        assert found.enforcement is Enforcement.UNKNOWN
        assert found.mode is None
        assert (found.spend is not None) == site.database
        assert found.version == site.version
        with pytest.raises(PreflightRefused, match="Redis does not answer"):
            await budget.plan_mode("on")
    finally:
        await site.start("redis")


async def test_without_the_proxy_and_then_without_the_callback(site: Site, budget: Budget) -> None:
    """One after the other, since each start of a proxy takes its time."""
    before = money(await budget.snapshot()).spend_usd
    spent = money(await spending(site, before + await paid_call(site))).spend_usd
    await site.stop("litellm")
    await site.outlive_heartbeat()
    await without_the_proxy(site, budget, spent)
    await site.lose_callback()
    await without_the_callback(site, budget)


async def without_the_proxy(site: Site, budget: Budget, spent: float) -> None:
    """What was spent is known all the same; whether a cap holds is not."""
    found = await budget.snapshot()
    assert found.error
    assert found.enforcement is Enforcement.UNKNOWN
    told = money(found)
    assert told.total.source is (Source.SQL if site.database else Source.COUNTERS)
    assert told.spend_usd == pytest.approx(spent, abs=0.02 if site.demo else 1e-6)
    with pytest.raises(PreflightRefused, match="cannot be known"):
        await budget.plan_cap("3")


async def without_the_callback(site: Site, budget: Budget) -> None:
    """A mode that is set is declared only: the key says eco, and the paid model answers."""
    await site.redis("SET", MODE_KEY, "eco")
    found = await site.until(budget.snapshot, lambda it: it.enforcement is Enforcement.DECLARED)
    assert found.enforcement is Enforcement.DECLARED, found.why
    assert (found.manual, found.beat) == (Mode.ECO, None)
    assert any("not enforced" in it.subject for it in found.alerts), found.alerts
    assert (await budget.prove("claude-sonnet")).answered == "claude-sonnet"
    end = await turn(budget, await budget.plan_mode("block"))
    assert end.outcome is Outcome.FAILED
    assert "nothing acts on it" in end.reason
    if not site.database:
        with pytest.raises(PreflightRefused, match="no callback holds a cap"):
            await budget.plan_cap("3")
        return
    change = await budget.plan_cap("3")
    assert (change.word is not None) == (site.version != "1.106.2"), "before 1.95 its day has thirty days"
    end = await turn(budget, change, change.word or "")
    assert end.outcome is Outcome.COMMITTED, end
    kept = await read_config(await site.connection(HOST), site.config)
    assert (value_of(kept, NATIVE), value_of(kept, NATIVE_SPAN)) == ("3.00", "1d")
    native = await native_of((await site.reader().ground()).inside)
    assert native is not None
    assert native.cap_usd == 3
