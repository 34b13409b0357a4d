"""`l` where a deploy failed: the log of the service that failed, at that moment, with the deploy's mark in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from vpai_tui.fleet.operation import Event, Finished, Outcome, RevertStarted, StepFailed
from vpai_tui.logs.model import Entry
from vpai_tui.screens.logs import LogsScreen

from . import fake_answers as answers
from . import fake_fleet as fake
from .conftest import Cockpit, OpenCockpit
from .fake_backend import Chronicle, FakeBackend
from .fake_logs import FakeLogs, entries, entry
from .test_deploy import ON_HOST, REVERTED, apply, at_second, scripted
from .test_history import opened
from .test_logs import log_of
from .vpn_kit import BOTH, Picture, Size


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is the same wherever the tests run."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class Knows(FakeLogs):
    """LiteLLM is a service of it too."""

    def target(self, text: str):  # type: ignore[no-untyped-def]
        found = super().target("sese/apps/n8n" if text == "sese/apps/litellm" else text)
        return replace(found, service="litellm") if text == "sese/apps/litellm" else found


def around(ago_s: float) -> list[Entry]:
    """What a service says around its end, `ago_s` before now."""
    before = [entry(ago_s + 60 - number, "sese/apps/n8n", f"level=info msg=serving n={number}") for number in range(55)]
    end = [entry(ago_s + 0.2, "sese/apps/n8n", 'level=error msg="unknown key num_retriez" file=config.yaml')]
    after = [entry(ago_s - 5 - number, "sese/apps/n8n", f"level=info msg=back n={number}") for number in range(20)]
    return [*before, *end, *after]


def failing(found: FakeLogs, script: list[Event] = REVERTED) -> FakeBackend:
    backend = scripted(script, ends=True)
    backend.fake_logs = found
    return backend


async def moment(at: Cockpit) -> None:
    """Wait until the log was opened and the moment is shown."""
    for _ in range(200):
        if isinstance(screen := at.app.cockpit, LogsScreen) and screen.side.now is not None:
            break
        await at.pilot.pause(0.05)
    await at.settle()


@BOTH
async def test_l_on_a_failed_deploy_shows_the_moment(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = Knows(entries())
    found.past = around(1760)
    half_an_hour_ago = [replace(it, at=it.at.replace("T23:04", "T22:34")) for it in REVERTED]
    async with cockpit(size=size, backend=failing(found, half_an_hour_ago)) as at:
        await apply(at)
        assert "l shows the log of litellm at the moment it failed" in at.text()
        await at.press("l")
        await moment(at)
        assert at.screen == "LogsScreen"
        assert ("follow", '{service="litellm"}') in found.asked
        text = at.text()
        assert " failed 22:34:40 " in text
        assert "✔ all 76 lines" in text
        rows = text.splitlines()
        mark = next(at for at, row in enumerate(rows) if "deploy failed: restarted 3 times in 10 s" in row)
        assert "unknown key num_retriez" in rows[mark - 1]
        assert "back" in rows[mark + 1]
        assert b"num_retriez" in log_of(at).cursor.raw  # type: ignore[union-attr]
        picture(at, "deploy-failed")
        await at.press("escape")
        assert "✔ live" in at.text()
        await at.press("l")  # it is not shown again
        assert "esc goes back" not in at.text()


async def test_where_no_service_failed_alone_it_is_the_stack(cockpit: OpenCockpit) -> None:
    found = Knows(entries())
    found.past = around(-50)
    ended: list[Event] = [
        *ON_HOST,
        RevertStarted(at_second(45), "r12", "after 1 failed"),
        Finished(at_second(50), Outcome.REVERTED, "r12", "after 1: exited 3"),
    ]
    async with cockpit(backend=failing(found, ended)) as at:
        await apply(at)
        assert "l shows the log of sese/apps at the moment it failed" in at.text()
        await at.press("l")
        await moment(at)
        assert " failed 23:04:50 " in at.text()
        assert "deploy failed: after 1: exited 3" in at.text()


async def test_a_service_that_is_gone_by_now_is_looked_for_in_its_stack(cockpit: OpenCockpit) -> None:
    found = Knows(entries())
    found.past = around(-40)
    gone: list[Event] = [
        StepFailed(at_second(40), "ghost", "exited 1") if isinstance(it, StepFailed) else it for it in REVERTED
    ]
    async with cockpit(backend=failing(found, gone)) as at:
        await apply(at)
        await at.press("l")
        await moment(at)
        assert ("choose", "sese/apps") in found.asked
        assert "deploy failed: exited 1" in at.text()


async def test_without_loki_its_own_log_is_followed_and_that_is_said(cockpit: OpenCockpit) -> None:
    found = Knows(entries())
    found.reason = "Loki is away"
    async with cockpit(backend=failing(found)) as at:
        await apply(at)
        await at.press("l")
        await at.settle()
        await at.settle()
        assert any("past lines are Loki's to give" in it for it in at.toasts())
        assert "not counted: the container's own log" in at.text()


def told(*, failed: str = "", failed_at: str = "") -> Chronicle:
    lines = tuple(
        replace(line, at="2026-02-26T22:04:02Z", failed=failed, failed_at=failed_at)
        if line.result == "reverted" and line.what == "deploy"
        else line
        for line in answers.CHRONICLE.lines
    )
    return replace(answers.CHRONICLE, lines=lines)


async def to_the_failed(at: Cockpit) -> None:
    await opened(at)
    await at.press("slash")
    await at.type("reverted deploy")
    await at.press("enter")


@BOTH
async def test_l_on_its_line_of_the_history(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = Knows(entries())
    found.past = around(3611)
    backend = FakeBackend(fake.calm())
    backend.fake_logs = found
    backend.chronicle = told(failed="litellm", failed_at="2026-02-26T22:03:49Z")
    async with cockpit(size=size, backend=backend) as at:
        await to_the_failed(at)
        assert "l  the log of litellm at the moment it failed" in at.text()
        picture(at, "history-failed")
        await at.press("l")
        await moment(at)
        text = at.text()
        assert " failed 22:03:49 " in text
        assert "deploy by mobuone@lap failed" in text
        assert b"num_retriez" in log_of(at).cursor.raw  # type: ignore[union-attr]


async def test_a_line_that_did_not_fail_opens_the_live_log_of_its_stack(cockpit: OpenCockpit) -> None:
    found = Knows(entries())
    backend = FakeBackend(fake.calm())
    backend.fake_logs = found
    async with cockpit(backend=backend) as at:
        await opened(at)
        await at.press("slash")
        await at.type("committed r12")
        await at.press("enter")
        assert "at the moment it failed" not in at.text()
        await at.press("l")
        await at.settle()
        assert ("choose", "sese/apps") in found.asked
        assert "esc goes back" not in at.text()


async def test_from_a_history_that_was_opened_on_the_logs_the_log_is_seen(cockpit: OpenCockpit) -> None:
    found = Knows(entries())
    found.past = around(3611)
    backend = FakeBackend(fake.calm())
    backend.fake_logs = found
    backend.chronicle = told()
    async with cockpit(backend=backend) as at:
        await at.press("3")
        await to_the_failed(at)
        assert "l  the log of sese/apps at the moment it failed" in at.text()
        await at.press("l")
        await moment(at)
        assert at.screen == "LogsScreen"
        assert " failed 22:04:02 " in at.text()
