"""What has happened since the last look; what is kept of a look; what a notification tells once; this laptop."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fleet_things import NOW, StillClock, container, host, metrics
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui import morning
from vpai_tui.clock import rfc3339
from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.fleet.containers import ContainerEvent
from vpai_tui.fleet.history import Entry
from vpai_tui.fleet.model import Alert, FleetSnapshot, Health, Service, Severity, StackStatus, Sync
from vpai_tui.upkeep.laptop import finding, read_status, word_of
from vpai_tui.upkeep.lastlook import LastLook, LookFile, look_at
from vpai_tui.upkeep.news import News, Now, headline, news
from vpai_tui.upkeep.told import Told

THEN = NOW - timedelta(hours=15)


def service(name: str = "web", **facts: Any) -> Service:
    made = container(name, started_at=THEN, restarts=0, oom_killed=False, **facts)
    return Service("sese", "apps", name, Sync.IN_SYNC, Health.HEALTHY, made.image, made)


def status(release: str = "r1", sync: Sync = Sync.IN_SYNC) -> StackStatus:
    return StackStatus("sese", "apps", "Apps", sync, Health.HEALTHY, 1, 1, release, None, busy=False)


def fleet(*services: Service, stack: StackStatus | None = None, up_s: float = 90_000.0) -> FleetSnapshot:
    box = host(metrics=metrics(uptime_s=up_s))
    return FleetSnapshot(1000.0, (box,), (stack or status(),), services, ())


def then(snapshot: FleetSnapshot, **facts: Any) -> LastLook:
    return look_at(snapshot, THEN, None, **facts)


def told(before: FleetSnapshot, after: FleetSnapshot, **facts: Any) -> list[tuple[str, str, str]]:
    found = news(then(before), Now(NOW, after, told=facts.pop("told", ()), me="me@lap", **facts))
    return [(it.kind, it.target, it.text) for it in found]


def test_nothing_happened_is_no_news() -> None:
    assert told(fleet(service()), fleet(service(), up_s=90_000.0 + 15 * 3600)) == []
    assert headline(()) == ""


def test_restarts_are_counted_and_a_kill_for_memory_comes_first() -> None:
    web, db = service("web"), service("db")
    assert web.container and db.container
    again = replace(web, container=replace(web.container, restarts=3, started_at=NOW))
    killed = replace(db, container=replace(db.container, oom_killed=True, restarts=1))
    assert told(fleet(web, db), fleet(again, killed, up_s=90_000.0 + 15 * 3600)) == [
        ("killed", "sese/apps/db", "was killed for want of memory"),
        ("restart", "sese/apps/web", "restarted 3 times"),
        ("restart", "sese/apps/db", "restarted once"),
    ]


def test_a_process_that_died_inside_for_want_of_memory_is_told_by_the_engines_events() -> None:
    web = service()
    assert web.container
    old = ContainerEvent(THEN - timedelta(minutes=5), web.container.id, "apps-web-1", "oom")
    other = ContainerEvent(NOW, "f" * 64, "apps-db-1", "oom")
    later = fleet(web, up_s=90_000.0 + 15 * 3600)
    assert told(fleet(web), later, events=(old, other)) == []
    new = ContainerEvent(NOW - timedelta(minutes=5), web.container.id, "apps-web-1", "oom")
    (found,) = told(fleet(web), later, events=(old, new))
    assert found[2] == f"a process in it was killed for want of memory at {rfc3339(NOW - timedelta(minutes=5))}"


def test_a_restart_by_hand_and_a_reboot_are_told() -> None:
    web = service()
    assert web.container
    by_hand = replace(web, container=replace(web.container, started_at=NOW - timedelta(hours=1)))
    found = told(fleet(web), fleet(by_hand, up_s=600.0))
    assert [it[0] for it in found] == ["reboot", "restart"]
    assert found[0][2] == f"was started anew at {rfc3339(NOW - timedelta(seconds=600))}"


def test_another_container_is_news_unless_a_deploy_made_it() -> None:
    web = service()
    assert web.container
    new = replace(web, container=replace(web.container, id="f" * 64, image="lab/web:2"))
    later = 90_000.0 + 15 * 3600
    (found,) = told(fleet(web), fleet(new, up_s=later))
    assert found[2] == "has another container, by no deploy of its stack, lab/web:1 → lab/web:2"
    assert told(fleet(web), fleet(new, stack=status("r2"), up_s=later)) == []
    found = news(then(fleet(web)), Now(NOW, fleet(new, up_s=later), told=None))
    assert found == ()  # the journals could not be read: nothing is claimed


def test_only_what_others_did_since_is_told() -> None:
    at = rfc3339(NOW - timedelta(hours=2))
    lines = [
        Entry(at, "ann@desk", "sese", "deploy", "sese/apps", "committed"),
        Entry(at, "me@lap", "sese", "deploy", "sese/infra", "committed"),
        Entry(rfc3339(THEN - timedelta(hours=1)), "ann@desk", "sese", "deploy", "sese/edge", "committed"),
        Entry(at, "bob@tower", "seko", "rollback", "seko/services", "revert_failed: disk full"),
    ]
    found = told(fleet(service()), fleet(service(), up_s=90_000.0 + 15 * 3600), told=lines)
    assert [it[1] for it in found] == ["seko/services", "sese/apps"]  # what failed comes first
    assert found[0][2].endswith("revert failed")


def test_drift_updates_spend_and_backups_are_told_once() -> None:
    before, after = fleet(service()), fleet(service(), stack=status(sync=Sync.DRIFTED), up_s=90_000.0 + 15 * 3600)
    bad = Finding("heartbeat", "sese", "", Standing.ERROR, "not sent", target="sese/backups")
    old = then(before, spend_usd={"2026-02-26": 1.0}, moved={"redis:8"}, findings=())
    now = Now(
        NOW,
        after,
        told=(),
        findings=(bad,),
        moved={"sese/apps/web": "lab/web:1", "sese/infra/redis": "redis:8"},
        spend_usd={"2026-02-26": 2.5, "2026-02-27": 0.75},
    )
    found = news(old, now)
    assert [(it.kind, it.text) for it in found] == [
        ("backup", "not sent"),
        ("drift", "has drifted from its files"),
        ("update", "lab/web:1 stands for a newer image upstream"),
        ("spend", "$2.25 spent"),
    ]
    assert headline(found) == "1 failed backup · 1 drift · 1 image update · $2.25 spent"
    after_that = look_at(
        after, NOW, old, findings=now.findings, moved=set((now.moved or {}).values()), spend_usd=now.spend_usd
    )
    assert news(after_that, now) == ()


def test_a_host_that_is_gone_keeps_what_was_known_of_it() -> None:
    before = then(fleet(service()))
    gone = fleet()
    link = replace(gone.hosts[0].link, state=type(gone.hosts[0].link.state).OFFLINE)
    look = look_at(replace(gone, hosts=(replace(gone.hosts[0], link=link),)), NOW, before)
    assert look.services == before.services
    assert look.stacks == before.stacks


def test_a_look_is_kept_whole_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    file = LookFile(tmp_path / "state")
    assert file.load() == (None, "")
    look = then(fleet(service()), spend_usd={"2026-02-26": 1.0})
    assert file.save(look) == ""
    assert file.load() == (look, "")
    file.path.write_bytes(file.path.read_bytes()[:40])
    found, why = file.load()
    assert found is None
    assert "cannot be read, so nothing is compared" in why


def test_what_no_registry_was_asked_of_yet_is_not_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cockpit that was open for a moment: else each image whose tag has moved would be news again tomorrow."""
    monkeypatch.setattr(morning, "examiner", lambda _surface: None)
    surface: Any = SimpleNamespace(folder=tmp_path, snapshot=lambda: fleet(service()), clock=StillClock())
    LookFile(tmp_path).save(LastLook(rfc3339(THEN), moved=("redis:8", "web:1")))
    never: Any = None
    sources = morning.Sources(never, never, moved=dict, unasked=lambda: {"redis:8"})
    assert morning.MorningLook(surface, sources).keep() == ""
    kept, _ = LookFile(tmp_path).load()
    assert kept is not None and kept.moved == ("redis:8",), "of the other a registry said that its tag still stands"


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    assert "could not be written" in LookFile(tmp_path / "state").save(LastLook(rfc3339(NOW)))
    assert "could not be written" in Told(tmp_path / "state").changes((), NOW).problem


@given(st.binary(max_size=400))
def test_any_file_in_its_place_is_survived(content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        LookFile(Path(folder)).path.write_bytes(content)
        found, why = LookFile(Path(folder)).load()
        assert found is None or isinstance(found, LastLook)
        if found is not None:
            news(found, Now(NOW, fleet(service()), told=()))
        Told(Path(folder)).path.write_bytes(content)
        assert Told(Path(folder)).changes((), NOW).problem == ""
        assert why == "" or "cannot be read" in why


# ── each change once ─────────────────────────────────────────────────────────────────────────────────────────────────

DISK = Alert(Severity.WARN, "sese", "disk /", "/ is 86 % full", "vpai-tui disk sese", "sese")


def test_an_alert_is_told_when_it_comes_and_when_it_is_gone_for_a_while(tmp_path: Path) -> None:
    book = Told(tmp_path)
    assert book.changes((DISK,), NOW).came == (DISK,)
    assert book.changes((DISK,), NOW + timedelta(minutes=5)).came == ()
    away = book.changes((), NOW + timedelta(minutes=10))
    assert (away.came, away.went) == ((), ())
    assert book.changes((DISK,), NOW + timedelta(minutes=15)).came == ()  # it came and went around its threshold
    gone = book.changes((), NOW + timedelta(minutes=31))
    assert gone.went == ("sese disk /: / is 86 % full",)
    assert book.changes((), NOW + timedelta(minutes=40)).went == ()
    assert book.changes((DISK,), NOW + timedelta(minutes=50)).came == (DISK,)


def test_what_nobody_could_ask_has_not_gone(tmp_path: Path) -> None:
    """A host that is gone, or a source that hangs, tells of nothing: no `gone` of what it told before."""
    book, later = Told(tmp_path), NOW + timedelta(hours=2)
    dump = Alert(Severity.ERROR, "sese", "n8n", "PostgreSQL dumps: 0 bytes", "", "sese")
    beat = Alert(Severity.ERROR, "sese", "Backup heartbeat", "not configured", "", "sese")
    book.changes((DISK, dump, beat), NOW)
    assert book.changes((), later, gone={"sese"}).went == ()
    later += timedelta(hours=2)
    unknown = [
        Finding(check, host, "", Standing.UNKNOWN, "hangs") for check, host in (("pg-dump", ""), ("heartbeat", "sese"))
    ]
    assert book.changes((), later, unknown=unknown).went == (f"sese disk /: {DISK.message}",)
    later += timedelta(hours=2)
    assert book.changes((dump, beat), later).came == (), "it was told"
    other = [Finding("pg-dump", "pi", "", Standing.UNKNOWN, "hangs")]
    assert len(book.changes((), later + timedelta(hours=1), unknown=other).went) == 2


def test_worse_is_told_again(tmp_path: Path) -> None:
    book = Told(tmp_path)
    book.changes((DISK,), NOW)
    worse = replace(DISK, severity=Severity.ERROR)
    assert book.changes((worse,), NOW + timedelta(minutes=5)).came == (worse,)


def test_an_alert_that_never_rests_is_a_finding_of_its_own(tmp_path: Path) -> None:
    book, at = Told(tmp_path), NOW
    assert [it.standing for it in book.findings(at)] == [Standing.UNKNOWN]
    for _ in range(7):
        book.changes((DISK,), at)
        book.changes((), at + timedelta(minutes=20))
        at += timedelta(minutes=40)
    (found,) = book.findings(at)
    assert (found.standing, found.detail) == (Standing.WARN, "came 7 times within a day")
    book.changes((), at + timedelta(days=2))
    (later,) = book.findings(at + timedelta(days=2))
    assert later.standing is Standing.OK


def test_a_timer_that_stopped_cannot_tell_that_all_is_quiet(tmp_path: Path) -> None:
    book = Told(tmp_path)
    book.changes((), NOW)
    assert [it.standing for it in book.findings(NOW + timedelta(hours=23))] == [Standing.OK]
    for later in (timedelta(hours=25), timedelta(days=-400)):
        (found,) = book.findings(NOW + later)
        assert found.standing is Standing.UNKNOWN
        assert "nothing has asked for notifications since" in found.detail


def test_a_clock_that_went_back_tells_nothing_twice(tmp_path: Path) -> None:
    book = Told(tmp_path)
    book.changes((DISK,), NOW + timedelta(days=400))
    assert book.changes((DISK,), NOW).came == ()
    assert book.changes((), NOW + timedelta(minutes=20)).went == (f"sese disk /: {DISK.message}",)


# ── this laptop ──────────────────────────────────────────────────────────────────────────────────────────────────────


def said(state: str = "Running", *, online: bool = True, expiry: str | None = "2026-07-20T00:00:00.5Z") -> bytes:
    me = {"Online": online, "DNSName": "lap.mesh.example.org.", "KeyExpiry": expiry, "Tags": None}
    return json.dumps({"Version": "1.80", "BackendState": state, "Self": me, "Peer": {}}).encode()


def test_tailscales_own_words_are_read() -> None:
    laptop, name = read_status(said())
    assert (laptop.vpn, name) == (True, "lap.mesh.example.org")
    assert laptop.key_expires_at is not None
    assert laptop.key_expires_at.date().isoformat() == "2026-07-20"
    assert read_status(said(online=False))[0].state == "offline"
    assert read_status(said("NeedsLogin"))[0] == read_status(said("NeedsLogin", online=False))[0]
    assert read_status(said("NeedsLogin"))[0].vpn is False
    assert read_status(said(expiry=None))[0].key_expires_at is None


@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(lambda text: said(text))))
def test_any_answer_of_a_laptop_is_survived(content: bytes) -> None:
    laptop, _ = read_status(content)
    found = finding(laptop, NOW)
    assert found.standing in tuple(Standing)
    assert "\n" not in found.detail


@pytest.mark.parametrize(
    ("laptop", "standing", "detail"),
    [
        (said("Stopped"), Standing.ERROR, "this laptop is not in the VPN: Stopped"),
        (said(expiry="2026-02-28T00:00:00Z"), Standing.WARN, "this laptop's key ends 2026-02-28 00:00 UTC"),
        (said(expiry="2026-02-26T23:30:00Z"), Standing.ERROR, "this laptop's key ends 2026-02-26 23:30 UTC"),
        (b"{", Standing.UNKNOWN, "tailscale's answer cannot be read"),
        (said(expiry=None), Standing.OK, "in the VPN, names by its DNS, its key does not end"),
    ],
)
def test_how_a_laptop_stands(laptop: bytes, standing: Standing, detail: str) -> None:
    found = finding(read_status(laptop)[0], NOW)
    assert (found.standing, found.detail) == (standing, detail)
    assert bool(found.remedy) == (standing in (Standing.WARN, Standing.ERROR))


def test_names_that_do_not_lead_into_the_vpn_are_named() -> None:
    laptop = replace(read_status(said())[0], names=(("lap.mesh.example.org", True), ("llm.example.org", False)))
    assert word_of(laptop, NOW) == (Standing.ERROR, "no dns")
    assert "lead llm.example.org into the VPN" in finding(laptop, NOW).detail


def test_news_of_no_host_have_a_place_too() -> None:
    one = News("spend", Severity.INFO, "", "AI budget", "$1.00 spent", "budget:")
    assert headline((one,)) == "$1.00 spent"
