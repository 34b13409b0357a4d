"""The table of checks, and the examiner: a source that hangs, fails or says nothing costs only its own checks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vpai_tui.clock import SystemClock
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.fleet.model import Severity
from vpai_tui.upkeep.examiner import Examiner, Report, Source, alerts_of, worst
from vpai_tui.upkeep.table import CHECKS, checks_page

DOCS = Path(__file__).parents[2] / "docs"


def look(*sources: Source) -> Report:
    return asyncio.run(Examiner(sources, SystemClock()).look())


def source(name: str, checks: tuple[str, ...], answer: object, within_s: float = 5.0) -> Source:
    async def ask() -> Sequence[Finding]:
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            await asyncio.Event().wait()
        assert isinstance(answer, list)
        return answer

    return Source(name, checks, "sese", ask, within_s)


def of(report: Report, check: str) -> list[Finding]:
    return [it for it in report.findings if it.check == check]


def test_the_page_is_made_from_the_table() -> None:
    assert (DOCS / "checks.md").read_text() == checks_page()


def test_every_incident_has_a_check_that_says_what_to_do() -> None:
    assert len({check.id for check in CHECKS}) == len(CHECKS)
    assert sum(1 for check in CHECKS if check.incident) == 24
    assert all(check.title and check.source and check.threshold and check.remedy for check in CHECKS)


def test_what_nobody_answers_cannot_be_known() -> None:
    report = look()
    assert [it.check for it in report.findings] == [check.id for check in CHECKS]
    assert {it.standing for it in report.findings} == {Standing.UNKNOWN}
    assert worst(report.findings) is Standing.UNKNOWN
    assert alerts_of(report.findings) == ()


def test_a_source_that_hangs_fails_or_is_silent_costs_only_its_own() -> None:
    good = Finding("heartbeat", "sese", "", Standing.OK, "sent 6 h ago")
    report = look(
        source("hangs", ("pg-dump", "pg-coverage"), None, within_s=0.05),
        source("gone", ("watcher",), OperatorError("no \x1b[2J route", host="sese", remedy="ctrl+r")),
        source("silent", ("restore-test",), []),
        source("well", ("heartbeat",), [good]),
    )
    assert [it.detail for it in of(report, "pg-dump")] == ["hangs: no answer within 0 s"]
    assert [(it.standing, it.detail, it.remedy) for it in of(report, "watcher")] == [
        (Standing.UNKNOWN, "gone: no [2J route", "ctrl+r")
    ]
    assert of(report, "restore-test")[0].detail == "silent tells nothing of it"
    assert of(report, "heartbeat") == [good]
    assert worst(report.findings) is Standing.OK


def test_an_answer_that_breaks_its_reader_costs_only_its_own_checks() -> None:
    good = Finding("heartbeat", "sese", "", Standing.OK, "sent 6 h ago")
    broken = source("lies", ("watcher",), KeyError("token sk-1234567890abcdefghijkl"))
    report = look(broken, source("well", ("heartbeat",), [good]))
    (found,) = of(report, "watcher")
    assert found.standing is Standing.UNKNOWN
    assert "the answer broke its reader: KeyError" in found.detail
    assert "sk-1234567890" not in found.detail
    assert of(report, "heartbeat") == [good]


def test_a_host_on_which_everything_hangs_does_not_hold_back_the_others() -> None:
    """Two are asked at a time: the third would begin when the first two have used up their limits."""
    good = Finding("heartbeat", "pi", "", Standing.OK, "sent 6 h ago")
    hung = [source(check, (check,), None, within_s=60.0) for check in ("pg-dump", "pg-coverage", "watcher")]
    well = replace(source("well", ("heartbeat",), [good]), host="pi")
    report = asyncio.run(Examiner([*hung, well], SystemClock(), within_s=0.1).look())
    assert of(report, "heartbeat") == [good]
    for check in ("pg-dump", "pg-coverage", "watcher"):
        (found,) = of(report, check)
        assert (found.standing, found.host) == (Standing.UNKNOWN, "sese")
        assert "the look ended after" in found.detail


def test_a_source_speaks_of_its_own_checks_alone() -> None:
    lie = Finding("pg-dump", "sese", "n8n", Standing.OK, "fine")
    report = look(source("lies", ("heartbeat",), [lie]))
    assert of(report, "pg-dump")[0].standing is Standing.UNKNOWN
    assert of(report, "heartbeat")[0].standing is Standing.UNKNOWN


def test_what_is_bad_is_an_alert_with_the_tables_remedy_unless_it_has_one_elsewhere() -> None:
    report = look(
        source(
            "one",
            ("heartbeat", "containers"),
            [
                Finding("heartbeat", "sese", "", Standing.ERROR, "not configured", target="sese/backups"),
                Finding("containers", "sese", "n8n", Standing.ERROR, "has no container"),
            ],
        )
    )
    (alert,) = alerts_of(report.findings)
    assert (alert.severity, alert.subject, alert.target) == (Severity.ERROR, "Backup heartbeat", "sese/backups")
    assert alert.remedy.startswith("put HEARTBEAT_URL")
    assert worst(report.findings) is Standing.ERROR
