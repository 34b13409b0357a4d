"""What the signals make of what they learnt: when a thing is an error, a warning, well, or cannot be known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from fleet_things import NOW, StillClock, container, host

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.fleet.endpoints import Endpoint, Look
from vpai_tui.fleet.model import FleetSnapshot, Health, HostSnapshot, HostState, Service, StackStatus, Sync
from vpai_tui.fleet.stackspec import Access
from vpai_tui.logs.checks import judged as judged_log
from vpai_tui.logs.model import Level, Line
from vpai_tui.upkeep import certificates, probes, series, watcher
from vpai_tui.upkeep.asking import Reply
from vpai_tui.upkeep.seen import containers
from vpai_tui.vpn import checks as vpn
from vpai_tui.vpn.model import Node

OLD = NOW - timedelta(hours=1)


def service(name: str, at: str = "sese", image: str = "", *, state: str = "running", **facts: Any) -> Service:
    known = container(name, state, started_at=OLD, **facts)
    return Service(at, "apps", name, Sync.IN_SYNC, Health.HEALTHY, image or f"x/{name}:1", known)


def fleet(*services: Service, hosts: Sequence[Any] = ()) -> FleetSnapshot:
    return FleetSnapshot(1000.0, tuple(hosts), (), services, ())


def endpoint(name: str, at: str = "sese", reach: Any = "vpn", of: str = "web") -> Endpoint:
    access = Access(service=of, port=80, reach=reach, subdomain=name)
    return Endpoint(at, f"{at}/apps", access, f"{name}.example.org")


# ── containers ───────────────────────────────────────────────────────────────────────────────────────────────────────


def stack(name: str = "apps", sync: Sync = Sync.IN_SYNC, **facts: Any) -> StackStatus:
    return StackStatus(
        "sese", name, name, sync, Health.HEALTHY, 1, 1, "r1", None, **{"busy": False, "on_demand": False, **facts}
    )


def test_a_service_without_a_container_and_one_that_is_down() -> None:
    gone = replace(service("web"), container=None, health=Health.DOWN)
    ended = replace(service("n8n", state="exited"), health=Health.DOWN)
    resting = replace(service("palais", state="exited"), health=Health.STOPPED)

    def told(*services: Service, of: StackStatus | None = None, at: HostSnapshot | None = None) -> list[str]:
        snapshot = replace(fleet(*services, hosts=(at or host(),)), stacks=(of or stack(),))
        return [f"{it.standing.value} {it.subject}: {it.detail}" for it in containers(snapshot)]

    assert told(service("redis")) == ["ok : all 1 services have a container"]
    assert told(gone, ended) == ["error web: has no container", "error n8n: does not run: its container is exited"]
    assert told(resting) == ["ok : all 1 services have a container, 1 stopped on purpose"]
    assert told(gone, of=stack(sync=Sync.NOT_DEPLOYED)) == ["ok : all 0 services have a container"]
    assert told(gone, of=stack(on_demand=True)) == ["ok : all 0 services have a container"]
    assert told(gone, at=host(state=HostState.BACKOFF)) == ["unknown : the host is gone"]
    assert told(gone, at=replace(host(), containers=None)) == ["unknown : its containers are not known"]


# ── api-probes ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_only_the_answer_of_the_program_itself_is_well() -> None:
    claw, probe = service("openclaw"), probes.PROBES[0]
    assert probes.judged(claw, probe, Reply(101)).standing is Standing.OK
    page = probes.judged(claw, probe, Reply(200, b"<html>"))
    assert (page.standing, page.detail) == (Standing.ERROR, "a WebSocket at port 18789 answers 200, not 101")
    gone = probes.judged(claw, probe, OperatorError("connection refused"))
    assert gone.standing is Standing.ERROR and "connection refused" in gone.detail and claw.id in gone.remedy


def test_who_is_asked() -> None:
    own_name = service("chat", image="ghcr.io/openclaw/openclaw:2026.2.22")
    off = replace(service("n8n"), off=True)
    absent = replace(service("litellm"), container=None)
    found = probes.wanted_of(fleet(own_name, off, absent, service("redis"), service("qdrant", "pi")), "sese")
    assert [(it.service, probe.kind) for it, probe in found] == [("chat", "openclaw")]


# ── watcher ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def places(*where: tuple[str, str]) -> list[tuple[watcher.Watcher, Service]]:
    kinds = dict(zip(("grafana", "victoriametrics", "uptime-kuma"), watcher.WATCHERS, strict=True))
    return [(kinds[kind], service(kind, at)) for kind, at in where]


def test_watchers_that_are_apart_together_or_not_there() -> None:
    both = places(("grafana", "sese"), ("victoriametrics", "sese"), ("uptime-kuma", "sese"))
    (found,) = watcher.apart(both)
    assert (found.standing, found.host) == (Standing.ERROR, "sese") and "both watchers" in found.detail
    assert watcher.apart(places(("grafana", "sese"), ("uptime-kuma", "seko"))) == []
    assert [it.subject for it in watcher.missing(places(("grafana", "sese")))] == ["VictoriaMetrics", "Uptime Kuma"]


@pytest.mark.parametrize(
    ("reply", "standing", "says"),
    [
        (Reply(200, b'{"database": "ok"}'), Standing.OK, "answers 200"),
        (Reply(200, b'{"database": "failing"}'), Standing.ERROR, "its database is not well"),
        (Reply(200, b"<html>"), Standing.ERROR, "its database is not told"),
        (Reply(502), Standing.ERROR, "/api/health answers 502"),
        (OperatorError("refused"), Standing.ERROR, "does not watch: refused"),
        (None, Standing.ERROR, "its container is running"),
    ],
)
def test_what_grafana_says_of_itself(reply: Any, standing: Standing, says: str) -> None:
    ((it, of),) = places(("grafana", "sese"))
    found = watcher.judged(it, of, reply)
    assert found.standing is standing and says in found.detail


# ── container-series ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_measured_containers() -> None:
    running = [container(f"s{at}", started_at=OLD) for at in range(10)]
    young = container("young", started_at=NOW - timedelta(seconds=20))
    names = frozenset(it.name for it in running)

    def judge(seen: series.Seen, *, measured: bool = True) -> Finding:
        return series.judged("sese", [*running, young, container("x", "exited")], seen, NOW, measured=measured)

    assert judge(series.Seen(names)).detail == "10 of 10 running containers are measured by name"
    assert judge(series.Seen(names - {"apps-s1-1"})).standing is Standing.OK
    some = judge(series.Seen(names - {"apps-s1-1", "apps-s2-1"}))
    assert (some.standing, some.detail[-24:]) == (Standing.WARN, "; not apps-s1-1, apps-s2-1"[-24:])
    none = judge(series.Seen(nameless=36))
    assert (none.standing, none.detail) == (
        Standing.ERROR,
        "0 of 10 running containers are measured by name; 36 series have no name",
    )
    assert judge(series.Seen()).standing is Standing.ERROR
    assert judge(series.Seen(), measured=False).standing is Standing.UNKNOWN


def test_a_host_that_is_gone_is_not_known() -> None:
    hosts = [host("sese", HostState.OFFLINE), host("pi", HostState.READY)]
    found = list(series.findings(fleet(hosts=hosts), {}, NOW))
    assert [(it.host, it.standing) for it in found] == [("sese", Standing.UNKNOWN), ("pi", Standing.UNKNOWN)]
    assert found[0].detail == "the host is gone"


# ── provider-credit ──────────────────────────────────────────────────────────────────────────────────────────────────


def line(text: str) -> Line:
    return Line(1, (), text.encode(), Level.ERROR)


@pytest.mark.parametrize(
    "text",
    [
        'litellm.APIError: OpenrouterException - {"error":{"message":"…","code":402}}',
        "AnthropicException - Your credit balance is too low to access the Anthropic API",
        'OpenAIException - "type": "insufficient_quota"',
        "HTTP/1.1 402 Payment Required",
        "status_code: 402",
    ],
)
def test_words_of_used_up_credit(text: str) -> None:
    found = judged_log("sese/apps/litellm", [line("all is well"), line(text)], "Loki", whole=True)
    assert found.standing is Standing.ERROR and found.detail.startswith("1 line of used-up credit")
    assert found.target == "sese/apps/litellm"


@pytest.mark.parametrize(
    "text", ["POST /v1/chat/completions 200 402 tokens", "took 402 ms", "quota reset", "402", "request 4021 error"]
)
def test_a_number_alone_is_no_answer_of_a_provider(text: str) -> None:
    assert judged_log("sese/apps/litellm", [line(text)], "Loki", whole=True).standing is Standing.OK


def test_a_long_line_with_a_key_is_cut_and_masked() -> None:
    text = f"{'x' * 900} Authorization: Bearer sk-or-v1-{'a' * 40} requires more credits {'y' * 900}"
    found = judged_log("sese/apps/litellm", [line(text)] * 3, "Loki", whole=False)
    assert "sk-or-v1-aaaa" not in found.detail and len(found.detail) < 260
    assert found.detail.startswith("3 or more lines")


# ── the VPN ──────────────────────────────────────────────────────────────────────────────────────────────────────────

ADDRESSES = {"sese": ("100.64.0.14", "203.0.113.5"), "seko": ("203.0.113.9",), "pi": ("100.64.0.1",)}


def names(**answers: tuple[str, ...]) -> list[tuple[str, str, Standing, str]]:
    wanted = {f"{name}.example.org": endpoint(name, "seko" if name == "hub" else "sese") for name in answers}
    told = {f"{name}.example.org": found for name, found in answers.items()}
    return [(it.host, it.subject, it.standing, it.detail) for it in vpn.judged_names(wanted, told, ADDRESSES, "pi")]


def test_names_that_lead_where_they_should() -> None:
    assert names(a=("100.64.0.14",), b=("100.64.0.14",)) == [
        ("sese", "", Standing.OK, "2 names lead here by 100.100.100.100 of pi")
    ]


def test_names_that_lead_elsewhere_or_nowhere() -> None:
    found = names(a=(), b=("203.0.113.9",), c=("203.0.113.5",), hub=("100.64.0.5",), ok=("100.64.0.14",))
    assert found[0][2:] == (Standing.ERROR, "the VPN knows no such name")
    # By public DNS's wildcard; and by the host's own public address, which the proxy does not let in.
    assert found[1][2:] == (Standing.ERROR, "leads to 203.0.113.9 (seko), not to 100.64.0.14 (sese)")
    assert found[2][2] is Standing.ERROR
    assert found[3][2] is Standing.UNKNOWN and "no VPN address of seko" in found[3][3]
    assert found[4][3].startswith("1 name leads here")


def node(**facts: Any) -> Node:
    base = Node(1, "workstation-pi", "pi", None, ("100.64.0.1",), True, None, None, None, (), ())
    return replace(base, **facts)


def test_a_host_as_headscale_sees_it() -> None:
    def judge(*nodes: Node) -> Finding:
        return vpn.judged_node("pi", nodes, ADDRESSES["pi"], NOW)

    assert judge(node()).standing is Standing.OK
    gone = judge(node(online=False, last_seen=NOW - timedelta(hours=6.5)))
    assert (gone.standing, gone.detail) == (Standing.ERROR, "Headscale has it offline; last seen 6h30 ago")
    assert "last seen never" in judge(node(online=False)).detail
    # `online` stays true after the key has expired.
    assert judge(node(expires_at=NOW - timedelta(days=1))).standing is Standing.ERROR
    for deleted in (judge(node(addresses=("100.64.0.77",))), judge()):
        assert deleted.standing is Standing.ERROR
        assert "Headscale has no node with its address 100.64.0." in deleted.detail
    unnamed = vpn.judged_node("pi", (node(),), ("192.168.1.8",), NOW)
    assert unnamed.standing is Standing.UNKNOWN


@pytest.mark.parametrize(
    ("seen", "standing", "says"),
    [
        (Look("sese", True, "", 200, NOW), Standing.OK, "answers 200 to sese"),
        (Look("seko", True, "", 200, NOW), Standing.UNKNOWN, "no other host is connected"),
        (Look("sese", True, "", 502, NOW), Standing.ERROR, "answers 502"),
        (Look("sese", False, "the certificate does not hold: expired", 200, NOW), Standing.ERROR, "does not hold"),
        (Look("sese", None, "no connection in time"), Standing.ERROR, "no connection in time"),
    ],
)
def test_the_control_plane(seen: Look, standing: Standing, says: str) -> None:
    found = vpn.judged_control(endpoint("singa", "seko", "public", "headscale"), seen)
    assert found.standing is standing and says in found.detail


# ── certificates ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("days", "standing"), [(60, Standing.OK), (14, Standing.OK), (13, Standing.WARN), (3, Standing.WARN)]
)
def test_days_that_are_left(days: int, standing: Standing) -> None:
    until = NOW + timedelta(days=days, hours=1)
    found = certificates.judged(endpoint("a"), "a.example.org", Look("pi", True, "", 403, until), NOW)
    assert (found.standing, found.detail[15:]) == (standing, f", in {days} days, asked from pi")


def test_a_certificate_that_ends_does_not_hold_or_was_not_shown() -> None:
    def judge(seen: Look) -> tuple[Standing, str]:
        found = certificates.judged(endpoint("a"), "a.example.org", seen, NOW)
        return found.standing, found.detail

    assert judge(Look("pi", True, "", 200, NOW + timedelta(days=2)))[0] is Standing.ERROR
    assert judge(Look("pi", False, "the certificate does not hold: expired", 200, NOW - timedelta(days=1))) == (
        Standing.ERROR,
        "the certificate does not hold: expired; ends 2026-02-25, asked from pi",
    )
    assert judge(Look("pi", None, "refused")) == (Standing.UNKNOWN, "asked from pi: refused")
    assert judge(Look("pi", True, "", 200, None))[0] is Standing.UNKNOWN


class Asked:
    """A questioner that counts what it is asked, and answers with what is left at that moment."""

    def __init__(self, clock: StillClock, days: float) -> None:
        self.clock, self.days = clock, days
        self.endpoints = [endpoint("singa", "seko", "public"), endpoint("hook", "seko", "public")]
        self.asked: list[str] = []

    async def asking(self) -> Any:
        return None

    async def look(self, wanted: Endpoint, target: str | None) -> Look:
        assert target is None, "a public name is asked by public DNS"
        self.asked.append(str(wanted.name))
        return Look("sese", True, "", 200, self.clock.now() + timedelta(days=self.days))


async def test_once_an_hour_and_at_every_look_where_it_is_not_well() -> None:
    clock = StillClock()
    asked = Asked(clock, 60)
    surface: Any = SimpleNamespace(clock=clock, questioner=lambda: asked, snapshot=fleet)
    source = certificates.Certificates(surface)
    (found,) = await source.ask()
    assert (found.host, found.subject) == ("seko", "2 names from outside") and found.detail.endswith(": singa, hook")
    clock.boot += certificates.EVERY_S - 1
    (kept,) = await source.ask()
    assert len(asked.asked) == 2
    assert "asked from sese 59m ago: singa, hook" in kept.detail
    clock.boot += 1
    asked.days = 5
    assert [it.standing for it in await source.ask()] == [Standing.WARN]
    clock.boot += 10
    await source.ask()
    assert len(asked.asked) == 6
    clock.boot -= 5000  # a clock that jumps back
    asked.days = 60
    assert [it.standing for it in await source.ask()] == [Standing.OK]


def test_a_name_is_asked_once_and_not_before_it_is_deployed() -> None:
    found = certificates.names_of([endpoint("hq", of="web"), endpoint("hq", of="api"), endpoint("x")], fleet())
    assert [it.name for it in found] == ["hq.example.org", "x.example.org"]
