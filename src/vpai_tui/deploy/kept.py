"""A release that its host keeps, compared with what runs: to go back to it, or to verify that it took effect."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from vpai_tui.clock import Clock, rfc3339
from vpai_tui.deploy.bundle import bundle_on_host
from vpai_tui.deploy.checkout import checkout_of
from vpai_tui.deploy.facts import manifest
from vpai_tui.deploy.holdings import guarded
from vpai_tui.deploy.host import Place, probe
from vpai_tui.deploy.plan import Prepared, assemble, check, ordered, with_live_values
from vpai_tui.deploy.release import locked_targets
from vpai_tui.errors import OperatorError, PreflightRefused
from vpai_tui.fleet.operation import Effect, Event, Journaled, Plan, Verified
from vpai_tui.fleet.stacks import Stack
from vpai_tui.remote.connection import Connection

_VERIFY_WITHIN_S = 20.0


async def plan_of_release(
    connection: Connection, place: Place, stack: Stack, release: str, clock: Clock, beside: Sequence[Stack] = ()
) -> Prepared:
    """What it would take for `release` to run: its files, its configuration, its bits. No registry is asked.

    `beside`: the stacks of the laptop, this one among them.

    Raises:
        PreflightRefused: it is gone, or the host is not fit for it.
        Interrupted: an earlier deploy must be settled first.
    """
    facts = await probe(connection, place, "plan", release, *(item.file for item in stack.spec.live))
    if facts.errors.get("release") is not None:
        raise PreflightRefused(f"release {release} has no files on the host any more", host=stack.host)
    lists = {name.removeprefix("bundle."): blob for name, blob in facts.blobs.items() if name.startswith("bundle.")}
    bundle = bundle_on_host(stack, release, lists, facts.bundle_lives)
    check(facts, bundle, connection.name)
    targets = locked_targets(lists.get("images.lock", b""))
    bundle, kept = with_live_values(bundle, facts)
    here = {image.id for image in facts.images}
    targets = {name: item if item.id in here else replace(item, id=None) for name, item in targets.items()}
    prepared = assemble(connection, stack, bundle, place, facts, targets, clock, kept=kept, rollback_to=release)
    plan = await guarded(connection, place, prepared.plan, facts, bundle.services, beside)
    return replace(ordered(prepared, plan, facts), git=checkout_of(manifest(lists.get("manifest", b""))))


async def verified(
    connection: Connection, place: Place, stack: Stack, release: str, clock: Clock, beside: Sequence[Stack] = ()
) -> Event:
    """Whether `release`, committed a moment ago, is what runs. That it cannot be told is a note and no failure."""
    try:
        async with asyncio.timeout(_VERIFY_WITHIN_S):
            prepared = await plan_of_release(connection, place, stack, release, clock, beside)
    except (OperatorError, TimeoutError) as error:
        why = error.message if isinstance(error, OperatorError) else f"no answer in {_VERIFY_WITHIN_S:.0f} s"
        return Journaled(rfc3339(clock.now()), "not_verified", why)
    return Verified(rfc3339(clock.now()), differing(prepared.plan))


def differing(plan: Plan) -> str:
    """What a plan would still do, in one line; empty when nothing."""
    parts = [f"{item.service} ({item.effect.value})" for item in plan.changes if item.effect is not Effect.NONE]
    return ", ".join([*parts, *plan.installs])
