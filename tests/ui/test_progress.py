"""Events folded into what a screen draws."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from vpai_tui.errors import LinkLost, OperatorError
from vpai_tui.fleet.operation import (
    ConfirmAwaited,
    Confirmed,
    Event,
    Finished,
    ImagePulled,
    LayerPulled,
    Outcome,
    RevertStarted,
    RunnerStarted,
    ServiceHealthy,
    StepFailed,
    StepStarted,
    Verified,
)
from vpai_tui.widgets.operations import Operations
from vpai_tui.widgets.progress import JOURNAL_LINES, Progress

from .fake_answers import make_plan
from .fake_fleet import FixedClock

AT = "2026-02-26T23:04:00Z"


def test_a_layer_never_goes_back() -> None:
    progress = Progress()
    progress.add(LayerPulled(AT, "redis:8", "a", "Downloading", 50, 100))
    progress.add(LayerPulled(AT, "redis:8", "a", "Extracting", 10, None))
    assert progress.pulls["redis:8"].layers["a"] == (50, 100)
    progress.add(LayerPulled(AT, "redis:8", "a", "Pull complete", done=True))
    assert progress.pulls["redis:8"].layers["a"] == (100, 100)


def test_an_image_is_full_only_when_it_is_there() -> None:
    progress = Progress()
    progress.add(LayerPulled(AT, "redis:8", "a", "Pull complete", 100, 100, True))
    assert progress.pulls["redis:8"].percent == 99.0
    progress.add(ImagePulled(AT, "redis:8", "sha256:1"))
    assert progress.pulls["redis:8"].percent == 100.0


def test_unknown_sizes_are_not_invented() -> None:
    progress = Progress()
    progress.add(LayerPulled(AT, "redis:8", "a", "Waiting"))
    assert progress.pulls["redis:8"].percent is None
    assert progress.pulls["redis:8"].total_bytes is None


def test_a_revert_takes_back_what_was_done() -> None:
    progress = Progress(make_plan())
    for event in (StepStarted(AT, "n8n", "recreate"), ServiceHealthy(AT, "n8n"), StepStarted(AT, "litellm", "restart")):
        progress.add(event)
    progress.add(StepFailed(AT, "litellm", "crash loop"))
    progress.add(RevertStarted(AT, "r12", "gate"))
    assert {name: step.state for name, step in progress.services.items()} == {"n8n": "reverted", "litellm": "failed"}


def test_only_touched_services_are_steps() -> None:
    assert list(Progress(make_plan()).services) == ["n8n", "litellm"]


def test_the_fresh_connection_is_awaited_until_it_comes() -> None:
    progress = Progress()
    progress.add(ConfirmAwaited(AT, 60))
    assert progress.confirm_s == 60
    progress.add(Confirmed(AT))
    assert progress.confirm_s is None


def test_the_journal_is_bounded() -> None:
    progress = Progress()
    for _ in range(JOURNAL_LINES + 50):
        progress.add(StepStarted(AT, "n8n", "recreate"))
    assert len(progress.journal) == JOURNAL_LINES


async def test_an_operation_outlives_its_watchers_and_tells_its_end() -> None:
    async def events() -> AsyncIterator[Event]:
        yield RunnerStarted(AT, "r13")
        yield Finished(AT, Outcome.COMMITTED, "r13")

    operations = Operations(FixedClock())
    heard: list[bool] = []
    stop = operations.listen(lambda operation: heard.append(operation.running))
    operation = operations.start("deploy", "sese/apps", events(), make_plan())
    assert operations.on_host("sese") is operation
    assert operation.task is not None
    await operation.task
    stop()
    assert heard == [True, True, True, False]
    assert operation.outcome is Outcome.COMMITTED
    assert operations.running == ()
    assert operations.of("sese/apps") is operation


async def test_a_lost_link_leaves_the_outcome_unknown() -> None:
    async def events() -> AsyncIterator[Event]:
        yield RunnerStarted(AT, "r13")
        raise LinkLost("gone", host="sese")

    operations = Operations(FixedClock())
    operation = operations.start("deploy", "sese/apps", events())
    assert operation.task is not None
    await operation.task
    assert operation.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("on_host", [False, True])
@pytest.mark.parametrize("how", ["defect", "refusal", "silence"])
async def test_every_operation_ends_with_an_outcome(how: str, on_host: bool) -> None:
    async def events() -> AsyncIterator[Event]:
        if on_host:
            yield RunnerStarted(AT, "r13")
        if how == "defect":
            raise KeyError("PASSWORD=hunter2hunter2")
        if how == "refusal":
            raise OperatorError("no")

    operations = Operations(FixedClock())
    operation = operations.start("deploy", "sese/apps", events())
    assert operation.task is not None
    await operation.task
    assert not operation.running
    assert operation.error is not None
    assert operation.outcome is (Outcome.UNKNOWN if on_host else Outcome.FAILED)
    assert operation.progress.reason
    assert "hunter2" not in operation.progress.reason


@pytest.mark.parametrize(
    ("detail", "text", "role"),
    [("", "verified: this is what runs", "ok"), ("web (recreate)", "but still differs: web (recreate)", "warn")],
)
def test_what_the_host_runs_after_a_commit_is_in_the_journal(detail: str, text: str, role: str) -> None:
    progress = Progress()
    progress.add(Verified(AT, detail))
    assert progress.journal == [("23:04:00", text, role)]
    assert progress.outcome is None  # the end is yet to come


async def test_stopping_cancels_what_is_still_watched() -> None:
    async def events() -> AsyncIterator[Event]:
        yield RunnerStarted(AT, "r13")
        await asyncio.Event().wait()

    operations = Operations(FixedClock())
    operation = operations.start("deploy", "sese/apps", events())
    await asyncio.sleep(0)
    await operations.stop()
    assert not operation.running
    assert operation.outcome is None
