"""Releases as they are listed, the way back that is chosen, and journal lines as past facts."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime

import pytest

from vpai_tui.clock import SystemClock
from vpai_tui.deploy.apply import as_event
from vpai_tui.deploy.deployer import _choose
from vpai_tui.deploy.facts import HostFacts, LocalImage
from vpai_tui.deploy.plan import _clock_notes, digest_in, find_image, new_release_id, repository
from vpai_tui.deploy.release import locked_targets, releases_of
from vpai_tui.errors import PreflightRefused, UsageError
from vpai_tui.fleet.operation import (
    ConfirmAwaited,
    Confirmed,
    Event,
    HookDone,
    HookFailed,
    HookStarted,
    Journaled,
    Release,
    RevertStarted,
    ServiceHealthy,
    ServiceRemoved,
    ServiceStarted,
    StepFailed,
    StepStarted,
)
from vpai_tui.remote.job import JournalLine, parse_line


class Noon(SystemClock):
    def now(self) -> datetime:
        return datetime(2026, 1, 1, 12, tzinfo=UTC)


HERE, GONE = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def lock(image: str, digest: str = "-", built: str = "0") -> bytes:
    return f"web\tlab/web:1\t{image}\t{digest}\t{built}\n".encode()


def row(release: str, status: str, images: bytes = lock(HERE)) -> tuple[str, str, bytes, bytes]:
    return release, status, f"id={release}\ncreated_at=2026-01-01T00:00:00Z\nby=me@laptop\n".encode(), images


def listed(*rows: tuple[str, str, bytes, bytes], current: str = "r9", pending: str | None = None) -> list[Release]:
    return releases_of(HostFacts(current=current, pending=pending, releases=list(rows), have={HERE}))


def test_releases_are_newest_first_and_refused_ones_are_none() -> None:
    found = listed(row("r1", "ok 0"), row("r9", "ok 0"), row("r5", "refused 77 stale"))
    assert [(item.id, item.current, item.restorable) for item in found] == [("r9", True, False), ("r1", False, True)]
    assert found[1].images == (("web", "lab/web:1@aaaaaaaaaaaa"),)


@pytest.mark.parametrize(
    ("status", "images", "restorable", "reason"),
    [
        ("ok 0", lock(HERE), True, ""),
        ("adopted 0", lock(HERE), True, ""),
        ("ok 0", lock(GONE, "lab/web@sha256:c"), True, ""),
        ("ok 0", lock(GONE), False, "the image of web was built here and is gone"),
        ("ok 0", lock(GONE, "lab/web@sha256:c", "1"), False, "the image of web was built here and is gone"),
        ("reverted 2 web: unhealthy", lock(HERE), False, "was reverted"),
        ("revert_failed 3 x", lock(HERE), False, "its revert failed"),
        ("", lock(HERE), False, "never took effect"),
    ],
)
def test_what_is_restorable_and_why_not(status: str, images: bytes, restorable: bool, reason: str) -> None:
    (item,) = listed(row("r1", status, images))
    assert (item.restorable, item.reason) == (restorable, reason)


def test_of_a_stack_with_data_what_does_not_run_any_more_is_older_than_the_data() -> None:
    rows = [row("r1", "adopted 0"), row("r2", "ok 0"), row("r3", "reverted 2"), row("r9", "ok 0")]
    facts = HostFacts(current="r9", releases=rows, have={HERE})
    facts.dumps_then = {"r2": b"db\t1700000000.5\t2000\t99\t/d/x.sql\n"}
    found = {item.id: item for item in releases_of(facts, ("db",))}
    assert [found[name].data_newer for name in ("r1", "r2", "r3", "r9")] == [True, True, False, False]
    assert found["r2"].data_told == "bits yes, data newer; dump of then: /d/x.sql"
    assert found["r1"].data_told == "bits yes, data newer; dump of then: none"
    assert not any(item.data_newer for item in releases_of(facts))


def test_a_running_deploy_is_pending_and_a_dead_upload_unfinished() -> None:
    found = listed(row("r2", ""), row("r3", ""), pending="r3")
    assert [(item.id, item.outcome) for item in found] == [("r3", "pending"), ("r2", "unfinished")]


def test_the_default_way_back_is_the_newest_restorable_before_the_current() -> None:
    found = listed(row("r1", "ok 0"), row("r2", "ok 0"), row("r3", "reverted 2"), row("r4", "ok 0"), current="r4")
    assert _choose(found, None, "web")[0].id == "r2"
    assert _choose(found, "r1", "web")[0].id == "r1"
    with pytest.raises(PreflightRefused, match="r3 cannot be restored: was reverted"):
        _choose(found, "r3", "web")
    with pytest.raises(UsageError, match="no release r7"):
        _choose(found, "r7", "web")
    with pytest.raises(UsageError, match="no release without a name"):
        _choose(found, "", "web")
    with pytest.raises(PreflightRefused, match="no restorable release"):
        _choose(listed(row("r9", "ok 0")), None, "web")


def back(release: str, base: str, to: str = "") -> tuple[str, str, bytes, bytes]:
    name, status, told, images = row(release, "ok 0")
    return name, status, told + f"base={base}\nrollback_of={to}\n".encode(), images


def test_a_second_rollback_goes_further_back_and_never_to_what_was_fled_from() -> None:
    rows = [back("r1", ""), back("r2", "r1"), back("r3", "r2"), back("r4", "r3", "r2")]
    assert _choose(listed(*rows, current="r4"), None, "web")[0].id == "r1"
    rows += [back("r5", "r4", "r1")]
    with pytest.raises(PreflightRefused, match="no restorable release before the current that was not rolled back"):
        _choose(listed(*rows, current="r5"), None, "web")
    rows += [back("r6", "r5")]  # a new deploy: what ran before it is a way back, the ones fled from are none
    assert _choose(listed(*rows, current="r6"), None, "web")[0].id == "r5"
    rows += [back("r7", "r6", "r5")]
    with pytest.raises(PreflightRefused, match="no restorable"):
        _choose(listed(*rows, current="r7"), None, "web")
    assert _choose(listed(*rows, current="r7"), "r3", "web")[0].id == "r3"


@pytest.mark.parametrize(
    ("base", "name"),
    [
        ("20260101T115959-ffff", "20260101T120000"),
        ("20260101T120000-ffff", "20260101T120001"),
        ("20270101T000000-0001", "20270101T000001"),
        ("00000000T000000-r0", "20260101T120000"),
        (None, "20260101T120000"),
    ],
)
def test_a_release_is_named_to_come_after_its_base(base: str | None, name: str) -> None:
    made = new_release_id(Noon(), base)
    assert made.startswith(f"{name}-")
    assert made > (base or "")
    late = base is not None and base.startswith("2027")
    assert [note.startswith("the clock of this laptop is behind") for note in _clock_notes(Noon(), base)] == [
        True
    ] * late


def test_a_release_is_named_in_full_or_by_a_beginning_that_only_it_has() -> None:
    found = listed(row("r1", "ok 0"), row("r11", "ok 0"), row("r12", "ok 0"), row("r2", "ok 0"))
    assert _choose(found, "r1", "web")[0].id == "r1"
    assert _choose(found, "r2", "web")[0].id == "r2"
    assert _choose(found, "r12", "web")[0].id == "r12"
    with pytest.raises(UsageError, match=r"several releases r…: r2, r12, r11, r1"):
        _choose(found, "r", "web")


def test_a_lock_file_with_a_cut_line_counts_the_whole_lines() -> None:
    assert list(locked_targets(lock(HERE) + b"db\tlab/db")) == ["web"]


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (("step_started", "web", "up"), StepStarted("t", "web", "up")),
        (("service_started", "web", ""), ServiceStarted("t", "web")),
        (("service_healthy", "web", ""), ServiceHealthy("t", "web")),
        (("service_removed", "web", ""), ServiceRemoved("t", "web")),
        (("step_failed", "web", "exited 1"), StepFailed("t", "web", "exited 1")),
        (("confirm_awaited", "", "90"), ConfirmAwaited("t", 90)),
        (("confirm_awaited", "", "soon"), ConfirmAwaited("t", 0)),
        (("confirmed", "", ""), Confirmed("t")),
        (("hook_started", "before 1", "on the host: x"), HookStarted("t", "before 1", "on the host: x")),
        (("hook_done", "before 1", "2 s"), HookDone("t", "before 1", "2 s")),
        (("hook_failed", "before 1", "exit 1"), HookFailed("t", "before 1", "exit 1")),
        (("hook_skipped", "before 1", "db has none"), Journaled("t", "hook_skipped", "before 1 db has none")),
        (("revert_started", "r1", "nobody confirmed"), RevertStarted("t", "r1", "nobody confirmed")),
        (("repaired", "", "removed x"), Journaled("t", "repaired", "removed x")),
        (
            ("step_failed", "web", "no login with password=hunter2"),
            StepFailed("t", "web", "no login with password=•••"),
        ),
    ],
)
def test_journal_lines_are_past_facts(line: tuple[str, str, str], event: Event) -> None:
    assert as_event(JournalLine("t", *line)) == event
    assert {item.name for item in fields(event)} <= set(event.to_json())


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"t\tservice_started\tweb\t-", JournalLine("t", "service_started", "web", "")),
        (b"t\tbegin\tnone\tme\tand\ttabs", JournalLine("t", "begin", "none", "me\tand\ttabs")),
        (b"t\t\x1b[31mred\tweb\tx", JournalLine("t", "[31mred", "web", "x")),
        (b"t\tcut", None),
        (b"", None),
    ],
)
def test_a_cut_journal_line_is_none(raw: bytes, expected: JournalLine | None) -> None:
    assert parse_line(raw) == expected


@pytest.mark.parametrize(
    ("ref", "name"),
    [
        ("redis:8.0", "redis"),
        ("localhost:5000/a/b:1", "localhost:5000/a/b"),
        ("localhost:5000/a", "localhost:5000/a"),
        ("ghcr.io/a/b:1@sha256:cd", "ghcr.io/a/b"),
    ],
)
def test_repository_of_a_reference(ref: str, name: str) -> None:
    assert repository(ref) == name


@pytest.mark.parametrize(
    ("ref", "digests", "found"),
    [
        ("lab/web:1", ("mirror/web@sha256:1", "lab/web@sha256:2"), "lab/web@sha256:2"),
        ("docker.io/library/redis:8.0", ("redis@sha256:1",), "docker.io/library/redis@sha256:1"),
        ("h:5000/web", ("web@sha256:1", "h:5000/web@sha256:2"), "h:5000/web@sha256:2"),
        ("lab/web:1", ("mirror/web@sha256:1",), None),
        ("lab/web:1", (), None),
    ],
)
def test_a_digest_is_that_of_the_references_own_repository(
    ref: str, digests: tuple[str, ...], found: str | None
) -> None:
    assert digest_in(ref, digests) == found


def test_an_image_is_found_by_any_spelling_of_its_name() -> None:
    image = LocalImage(HERE, "linux/amd64", ("redis:8.0",), ())
    assert find_image([image], "docker.io/library/redis:8.0") is image
    assert find_image([image], HERE) is image
    assert find_image([image], "redis") is None
    assert find_image([LocalImage(HERE, "", ("redis:latest",), ())], "redis") is not None
