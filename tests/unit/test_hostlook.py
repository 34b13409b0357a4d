"""The machine beside its engine: any answer is read, and each check judges what it should."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from fleet_things import container, stack
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.config import Host, Ssh
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.fleet.compose import EnvFile
from vpai_tui.fleet.model import Container, Port
from vpai_tui.fleet.stacks import Stack
from vpai_tui.fleet.stackspec import Access
from vpai_tui.upkeep import hostchecks
from vpai_tui.upkeep.hostlook import Ban, Guard, HostLook, read, script
from vpai_tui.upkeep.sockets import Open, open_ports, port_findings, sshd_findings

LOOK = b"""socket\ttcp\t0.0.0.0:804\tsshd
socket\ttcp\t[::]:80\tcaddy
socket\ttcp\t127.0.0.1:9100\tnode_exporter
socket\tudp\t127.0.0.53%lo:53\tsystemd-resolve
socket\ttcp\t[::ffff:100.64.0.14]:5000\tapp
socket\ttcp\t172.20.1.1:5353\tdnsmasq
listed\tsockets
address\tlo\t127.0.0.1
address\teth0\t137.74.114.167
address\tbr-1a2b\t172.20.1.1
address\ttailscale0\t100.64.0.14
sshd\tport\t804
sshd\tlistenaddress\t0.0.0.0:804
sshd\tlistenaddress\t[::]:804
listed\tsystemd
unit\tId=caddy.service
unit\tLoadState=loaded
unit\tActiveState=active
unit\tSubState=running
unit\tUnitFileState=enabled
unit\tActiveEnterTimestamp=@1700000000
unit\tMemoryCurrent=1234
unit\tNRestarts=2
unit-end
unit\tId=gone.service
unit\tLoadState=not-found
unit\tActiveState=inactive
unit\tMemoryCurrent=[not set]
unit-end
ufw\tStatus: active
ufw\tDefault: deny (incoming), allow (outgoing), disabled (routed)
ufw\t804/tcp                    LIMIT IN    Anywhere
up\tfail2ban
jail\tsshd\t203.0.113.7 2001:db8::1 not-one
crowdsec\t[{"decisions":[{"value":"198.51.100.7","scenario":"ssh-bf","duration":"3h"},{"value":"x\\u001b[2J"}]}]
oom\t3
uptime\t9000
env\tconfigs/app.env\t1700000000\tother
image\tsha256:aa\t["lab/web:1"]
program\topencode\t1.2.8
end
"""


def of(found: Sequence[Finding], standing: Standing) -> list[tuple[str, str]]:
    return [(it.subject, it.detail) for it in found if it.standing is standing]


def test_a_look_is_read() -> None:
    found = read(LOOK, "sese")
    assert [(it.protocol, str(it.address), it.port, it.process) for it in found.sockets[:2]] == [
        ("tcp", "None", 804, "sshd"),
        ("tcp", "None", 80, "caddy"),
    ]
    assert found.sockets[4].address == ip_address("100.64.0.14")
    assert [(it.name, it.runs, it.installed, it.memory_bytes, it.restarts) for it in found.units] == [
        ("caddy.service", True, True, 1234, 2),
        ("gone.service", False, False, None, 0),
    ]
    assert found.units[0].since_s == 1_700_000_000
    assert found.guards == [
        Guard("fail2ban", "up"),
        Guard("crowdsec", "up"),
        Guard("ufw", "up", "1 rules; deny (incoming), allow (outgoing), disabled (routed)"),
    ]
    assert found.bans == [
        Ban("203.0.113.7", "fail2ban sshd"),
        Ban("2001:db8::1", "fail2ban sshd"),
        Ban("198.51.100.7", "crowdsec", "ssh-bf", "3h"),
    ]
    assert (found.envs, found.images) == ({"configs/app.env": (1.7e9, "other")}, {"lab/web:1": "sha256:aa"})
    assert found.programs == {"opencode": "1.2.8"}


def test_a_cut_answer_is_an_error() -> None:
    with pytest.raises(OperatorError, match="cut"):
        read(LOOK[:-4], "sese")


_kinds = (
    "socket address sshd unit unit-end ufw up down none jail crowdsec oom uptime env image program kill listed error"
)
_cells = st.binary(max_size=24).map(lambda it: it.replace(b"\n", b"").replace(b"\t", b""))
_json = st.sampled_from(
    [b"null", b"[1]", b'[{"decisions":7}]', b'[{"decisions":[{"value":5}]}]', b"[" * 3000, b'["\\ud800"]']
)


@given(st.lists(st.tuples(st.sampled_from(_kinds.split(" ")), st.lists(_cells | _json, max_size=5)), max_size=12))
def test_any_answer_is_read_and_judged(rows: list[tuple[str, list[bytes]]]) -> None:
    raw = b"".join(b"\t".join([kind.encode(), *cells]) + b"\n" for kind, cells in rows)
    found = read(raw + b"end\n", "sese")
    stacks = [stack(units=("a.service",))]
    judged = [
        *port_findings("sese", open_ports(found, HOST, stacks, [container()])),
        *sshd_findings("sese", found),
        *hostchecks.stale("sese", stacks, [container()], found),
        *hostchecks.killed("sese", found),
        *hostchecks.unit_findings("sese", stacks, found),
        *hostchecks.guard_findings("sese", found),
    ]
    assert {it.check for it in judged} == set(hostchecks.CHECKS)
    assert not any(set(it.detail) & set("\x1b\x07\n\t\u202e") for it in judged)


# ── open ports ───────────────────────────────────────────────────────────────────────────────────────────────────────

HOST = Host(addresses=("100.64.0.14",), ssh=Ssh(user="u", port=804))


def publishing(*ports: Port, service: str = "web", project: str = "apps", state: str = "running") -> Container:
    return container(service, state, project=project, ports=ports)


def ports_of(
    look: HostLook, *containers: Container, host: Host = HOST, stacks: Sequence[Stack] = ()
) -> tuple[Open, ...]:
    return open_ports(look, host, stacks, containers)


def test_what_always_listens_and_what_is_allowed_is_left_out() -> None:
    look = read(LOOK, "sese")
    assert [(it.name, it.reach, it.declared) for it in ports_of(look)] == [
        ("80/tcp", "all", False),
        ("5000/tcp", "vpn", False),
    ]
    allowed = Host(addresses=("a",), ssh=Ssh(user="u"), listens=("80/tcp", "4990-5010/tcp"))
    assert ports_of(look, host=allowed) == ()
    (finding,) = port_findings("sese", ())
    assert finding.standing is Standing.OK


def test_a_port_that_nothing_declares_is_shown_by_how_far_it_reaches() -> None:
    found = list(port_findings("sese", ports_of(read(LOOK, "sese"))))
    assert of(found, Standing.ERROR) == [("80/tcp", "open to all by caddy, and nothing declares it")]
    assert of(found, Standing.WARN) == [("5000/tcp", "on the VPN's address by app, and nothing declares it")]
    assert "listens" in found[0].remedy


@pytest.mark.parametrize(
    ("ip", "reach", "standing"),
    [
        ("0.0.0.0", "public", Standing.OK),
        ("0.0.0.0", "vpn", Standing.ERROR),
        ("::", "internal", Standing.ERROR),
        ("100.64.0.14", "vpn", Standing.OK),
        ("100.64.0.14", "internal", Standing.WARN),
        ("192.168.1.8", "vpn", Standing.ERROR),
        ("127.0.0.1", "internal", Standing.OK),
        ("0.0.0.0", None, Standing.ERROR),  # the stack publishes it, and nothing says that it may be so
        ("100.64.0.14", None, Standing.OK),
    ],
)
def test_what_a_container_publishes_against_what_its_stack_says(ip: str, reach: str | None, standing: Standing) -> None:
    access = (Access(service="web", port=6379, reach=reach),) if reach else ()  # type: ignore[arg-type]
    known = stack(access=access)
    found = list(port_findings("sese", ports_of(HostLook(), publishing(Port(ip, 16379, 6379)), stacks=[known])))
    assert [it.standing for it in found] == [standing]


def test_a_container_of_nobody_is_a_stranger_and_a_stopped_one_publishes_nothing() -> None:
    port = Port("0.0.0.0", 5433, 5432)
    found = list(port_findings("sese", ports_of(HostLook(), publishing(port, project="other"), stacks=[stack()])))
    assert of(found, Standing.ERROR)[0][0] == "5433/tcp"
    assert ports_of(HostLook(), publishing(port, state="exited"), stacks=[stack()]) == ()


def test_a_service_in_the_hosts_network_is_known_by_its_access() -> None:
    body = {"services": {"web": {"image": "a", "network_mode": "host"}}}
    known = replace(stack("edge", "web", access=(Access(service="web", port=80, reach="public"),)), compose=body)
    found = {it.name: it for it in ports_of(read(LOOK, "sese"), stacks=[known])}
    assert (found["80/tcp"].declared, found["80/tcp"].meant) == (True, "public")


# ── sshd ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("bound", "standing", "said"),
    [
        ([None], Standing.OK, "every address, port 22"),
        (["137.74.114.167"], Standing.OK, "137.74.114.167, port 22"),
        (["100.64.0.14"], Standing.WARN, "with the VPN gone there is no way in"),
        (["100.64.0.9", "137.74.114.167"], Standing.ERROR, "on no interface"),
        ([], Standing.UNKNOWN, "sshd -T tells no address"),
    ],
)
def test_where_sshd_listens(bound: list[str | None], standing: Standing, said: str) -> None:
    look = read(LOOK, "sese")
    look.sshd = [(ip_address(it) if it else None, 22) for it in bound]
    (finding,) = sshd_findings("sese", look)
    assert (finding.standing, said in finding.detail) == (standing, True)


def test_a_configuration_that_sshd_refuses_is_an_error() -> None:
    look = read(b"error\tsshd\tline 3: Bad configuration option: Lisen\nend\n", "sese")
    assert [it.standing for it in sshd_findings("sese", look)] == [Standing.ERROR]


# ── old code, killed processes, units, guards ────────────────────────────────────────────────────────────────────────


def test_a_container_older_than_its_env_file_or_its_tag() -> None:
    made = datetime(2026, 1, 1, tzinfo=UTC)
    known = replace(stack(), env_uses=(EnvFile("web", "web.env"), EnvFile("db", "db.env")))
    it = container("web", created_at=made, image="docker.io/lab/web:1", image_id="sha256:aa")
    look = HostLook(images={"lab/web:1": "sha256:aa"})

    def stale() -> list[Finding]:
        return list(hostchecks.stale("sese", [known], [it], look))

    assert [one.standing for one in stale()] == [Standing.OK]
    for changed, same, standing in ((3600, "other", Standing.WARN), (3600, "unknown", Standing.WARN),
                                    (3600, "same", Standing.OK), (-60, "other", Standing.OK)):  # fmt: skip
        look.envs = {"web.env": (made.timestamp() + changed, same), "db.env": (made.timestamp() + 9e6, "other")}
        assert [one.standing for one in stale()] == [standing], (changed, same)
    look.envs = {}
    look.images = {"lab/web:1": "sha256:bb"}
    (finding,) = stale()
    assert (finding.standing, finding.target) == (Standing.WARN, "sese/apps/web")
    assert "stands for bb by now" in finding.detail
    look.images = {}  # the engine's command said nothing: no tag was compared
    (finding,) = stale()
    assert (finding.standing, finding.subject) == (Standing.UNKNOWN, "images")


@pytest.mark.parametrize(
    ("look", "standing"),
    [
        (HostLook(kills=["Out of memory: Killed process 1 (x)"], listed={"kernel"}), Standing.WARN),
        (HostLook(listed={"kernel"}), Standing.OK),
        (HostLook(oom_kills=0), Standing.OK),
        (HostLook(oom_kills=2, uptime_s=3600), Standing.WARN),
        (HostLook(oom_kills=2, uptime_s=864000), Standing.UNKNOWN),
        (HostLook(), Standing.UNKNOWN),
    ],
)
def test_kills_for_want_of_memory(look: HostLook, standing: Standing) -> None:
    assert [it.standing for it in hostchecks.killed("pi", look)] == [standing]


def test_units_and_guards() -> None:
    look = read(LOOK, "sese")
    stacks = [stack(units=("caddy.service", "gone.service", "other.service"))]
    found = list(hostchecks.unit_findings("sese", stacks, look))
    assert [(it.subject, it.standing) for it in found] == [
        ("gone.service", Standing.WARN),
        ("other.service", Standing.UNKNOWN),
    ]
    look.units[0] = replace(look.units[0], active="activating", sub="auto-restart")  # ends again and again
    assert "caddy.service" in [it.subject for it in hostchecks.unit_findings("sese", stacks, look)]
    look.units[0] = replace(look.units[0], active="failed", sub="failed")
    assert (
        next(iter(hostchecks.unit_findings("sese", stacks, look))).remedy == "vpai-tui units sese restart caddy.service"
    )
    none = read(b"none\tsystemd\nnone\tufw\nnone\tfail2ban\nend\n", "sese")
    assert [it.standing for it in hostchecks.unit_findings("sese", stacks, none)] == [Standing.UNKNOWN]
    assert [it.standing for it in hostchecks.guard_findings("sese", none)] == [Standing.UNKNOWN]
    assert [it.standing for it in hostchecks.guard_findings("sese", look)] == [Standing.OK]
    down = read(b"ufw\tStatus: inactive\ndown\tfail2ban\tno socket\nend\n", "sese")
    assert [(it.subject, it.standing) for it in hostchecks.guard_findings("sese", down)] == [
        ("Fail2ban", Standing.ERROR),
        ("UFW", Standing.ERROR),
    ]


# ── the script on this machine, with stand-ins for what it asks ──────────────────────────────────────────────────────


def test_the_script_asks_each_program_within_bounds(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, body in {
        "ss": "echo 'tcp LISTEN 0 128 *:22 *:* users:((\"a b\",pid=1,fd=3))'; echo 'udp UNCONN 0 0 *:53 *:*'",
        "sshd": "printf 'port 22\\nlistenaddress 0.0.0.0:22\\nbanner x\\n'",
        "ip": "printf '1: lo    inet 127.0.0.1/8 scope host lo\\n2: eth0    inet6 fe80::1/64 scope link\\n'",
        "ufw": "exit 127",
        "fail2ban-client": "echo broken >&2; exit 255",
        "cscli": "echo null",
        "journalctl": "echo 'oom-kill:constraint'; echo 'Out of memory: Killed process 9 (x)'",
    }.items():
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    root = tmp_path / "root"
    (root / "deploy/stacks/web/current").mkdir(parents=True)
    (root / "web.env").write_text("A=1\n")
    (root / "deploy/hmac.key").write_bytes(b"key")
    mark = subprocess.run(["sha256sum"], input=b"keyA=1\n", capture_output=True).stdout[:16].decode()
    (root / "deploy/stacks/web/current/env.marks").write_text(f"file {root}/web.env {mark}\n")
    env = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "VPAI_FS": str(tmp_path / "fs"),
        "VPAI_PROC": str(tmp_path / "proc"),
    }
    argv = ["sh", "-s", "--", str(root), "false", "unit:a.service", "env:web.env", "env:none.env", "ref:web:1"]
    done = subprocess.run(argv, input=script(), env=env, capture_output=True, timeout=60)
    found = read(done.stdout, "pi")
    assert [(it.port, it.process) for it in found.sockets] == [(22, "a b"), (53, "")]
    assert [(card, str(it)) for card, it in found.addresses] == [("lo", "127.0.0.1"), ("eth0", "fe80::1")]
    assert found.sshd == [(None, 22)]
    assert {it.name: it.state for it in found.guards} == {"ufw": "absent", "fail2ban": "down", "crowdsec": "up"}
    assert found.kills == ["Out of memory: Killed process 9 (x)"]
    assert {path: same for path, (_, same) in found.envs.items()} == {"web.env": "same"}
    assert "systemd" in found.missing
