"""What Grafana, VictoriaMetrics, OpenClaw and an engine say, read; and what none of them would ever say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.checks import Standing
from vpai_tui.fleet.model import Health, Service, Sync
from vpai_tui.upkeep import channels, rules, series
from vpai_tui.upkeep.asking import addresses_of, image_name

NOW = datetime(2026, 2, 26, 23, 4, tzinfo=UTC)
CLAW = Service("sese", "apps", "openclaw", Sync.IN_SYNC, Health.HEALTHY, "ghcr.io/openclaw/openclaw:2026.2.22")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


# ── addresses ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_addresses_of_containers() -> None:
    networks = {"NetworkSettings": {"Networks": {"a": {"IPAddress": ""}, "b": {"IPAddress": "172.20.1.7"}}}}
    answer = [
        {"Id": "one", **networks},
        {"Id": "two", "HostConfig": {"NetworkMode": "host"}},
        {"Id": "none", "NetworkSettings": {"Networks": {}}},
        {"Id": "odd", "NetworkSettings": {"Networks": {"a": {"IPAddress": "$(reboot)"}}}},
        "nonsense",
    ]
    assert addresses_of(answer) == {"one": "172.20.1.7", "two": "127.0.0.1"}
    assert image_name("docker.io/grafana/Grafana:12.3.2@sha256:ab") == "grafana"


@given(JSON)
def test_any_list_of_containers(answer: object) -> None:
    assert all(":" in it or it.count(".") == 3 for it in addresses_of(answer).values())


# ── Grafana's rules ──────────────────────────────────────────────────────────────────────────────────────────────────


def rule(**changed: Any) -> dict[str, Any]:
    base = {
        "name": "Disk filling",
        "health": "ok",
        "state": "inactive",
        "lastEvaluation": "2026-02-26T23:03:50.123456789Z",
        "alerts": [{"state": "Normal"}],
    }
    return base | changed


def printed(*found: dict[str, Any], status: str = "200 OK") -> bytes:
    body = json.dumps({"status": "success", "data": {"groups": [{"name": "hosts", "rules": list(found)}]}})
    return f"HTTP/1.0 {status}\r\nContent-Type: application/json\r\n\r\n{body}".encode()


def judged(*found: dict[str, Any]) -> list[tuple[str, Standing, str]]:
    read = rules.rules_of(printed(*found), "sese")
    return [(it.subject, it.standing, it.detail) for it in rules.findings(read, "sese", "sese/monitoring/grafana", NOW)]


def test_rules_that_are_well_are_one_line() -> None:
    quiet = rule(name="Provider errors", alerts=[{"state": "Normal (NoData)"}], health="nodata")
    ((subject, standing, detail),) = judged(rule(), quiet, rule(name="CPU", state="firing", isPaused=True))
    assert (subject, standing) == ("", Standing.OK)
    assert detail == "3 rules evaluated, none firing, 1 find no series and call that fine, 1 paused"


def test_a_rule_that_fires_needs_somebody() -> None:
    assert judged(rule(), rule(name="CPU", state="firing")) == [("CPU", Standing.WARN, "is firing")]


@pytest.mark.parametrize(
    ("changed", "standing", "says"),
    [
        (
            {"health": "error", "lastError": "no such \x1b[2Jhost"},
            Standing.ERROR,
            "cannot be evaluated: no such [2Jhost",
        ),
        ({"alerts": [{"state": "Error"}]}, Standing.ERROR, "cannot be evaluated: no reason told"),
        ({"health": "nodata", "alerts": []}, Standing.WARN, "its query finds no data"),
        ({"alerts": [{"state": "NoData"}]}, Standing.WARN, "its query finds no data"),
        ({"lastEvaluation": "2026-02-26T22:44:00Z"}, Standing.WARN, "was not evaluated for 20 minutes"),
        ({"lastEvaluation": "0001-01-01T00:00:00Z"}, Standing.WARN, "was never evaluated"),
        ({"lastEvaluation": {"a": 1}}, Standing.WARN, "was never evaluated"),
    ],
)
def test_a_rule_that_is_not_well(changed: dict[str, Any], standing: Standing, says: str) -> None:
    assert judged(rule(), rule(**changed)) == [("Disk filling", standing, says)]


def test_no_rule_at_all_and_too_many_bad_ones() -> None:
    assert judged() == [("", Standing.WARN, "Grafana has no alert rule at all")]
    found = judged(*(rule(name=f"R{at}", health="error" if at == 19 else "nodata", alerts=[]) for at in range(20)))
    assert found[0][:2] == ("R19", Standing.ERROR)
    assert found[-1] == ("", Standing.WARN, "12 more rules are bad")
    assert len(found) == 9


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"", "Grafana does not answer"),
        (b"vpai: no password\n", "has no GF_SECURITY_ADMIN_PASSWORD"),
        (b"vpai: no client\n", "neither curl nor nc"),
        (printed(status="401 Unauthorized"), "does not take the password"),
        (printed(status="502 Bad Gateway"), "answers 502"),
        (printed(rule())[:-9], "is no list of rules"),
        (b"HTTP/1.0 200 OK\r\n\r\n" + b"[" * 100_000, "is no list of rules"),
        (b'HTTP/1.0 200 OK\r\n\r\n{"data": {"groups": 3}}', "is no list of rules"),
        (printed(*[rule()] * 2001), "2001 rules"),
    ],
)
def test_answers_that_are_no_rules(answer: bytes, says: str) -> None:
    with pytest.raises(OperatorError, match=says):
        rules.rules_of(answer, "sese")


@given(JSON)
def test_any_answer_of_grafana(groups: object) -> None:
    try:
        body = json.dumps({"data": {"groups": groups}}).encode()
        read = rules.rules_of(b"HTTP/1.0 200 OK\r\n\r\n" + body, "sese")
    except OperatorError:
        return
    assert list(rules.findings(read, "sese", "", NOW))


class _Grafana(BaseHTTPRequestHandler):
    """Takes one login alone."""

    login = b64encode(b"admin:s3cret %q\\n 'it'").decode()
    seen: list[str]

    def do_GET(self) -> None:
        good = self.headers["Authorization"] == f"Basic {self.login}"
        body = json.dumps({"data": {"groups": [{"name": "hosts", "rules": [rule()]}]}}).encode() if good else b"{}"
        self.seen.append(self.path)
        self.wfile.write(f"HTTP/1.0 {200 if good else 401} X\r\n\r\n".encode() + body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def grafana() -> Iterator[ThreadingHTTPServer]:
    _Grafana.seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Grafana)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("client", ["curl", "nc"])
@pytest.mark.parametrize(("password", "taken"), [("s3cret %q\\n 'it'", True), ("another", False)])
def test_the_script_asks_with_the_password_in_no_argument(
    tmp_path: Path, grafana: ThreadingHTTPServer, client: str, password: str, taken: bool
) -> None:
    """As in Alpine's image: the shell and its tools are busybox."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    busybox = Path("/usr/bin/busybox" if Path("/usr/bin/busybox").exists() else "/bin/busybox")
    for name in ("sh", "base64", "tr", "head", "sleep", "cat"):
        (bin_ / name).symlink_to(busybox if busybox.exists() else str(shutil.which(name)))
    noted, real = tmp_path / "argv", busybox if client == "nc" else Path(shutil.which("curl") or "/usr/bin/curl")
    if not real.exists():
        pytest.skip(f"{real} is not installed")
    words = "nc" if client == "nc" else ""
    (bin_ / client).write_text(f'#!{bin_}/sh\nprintf "%s\\n" "$@" >>{noted}\nexec {real} {words} "$@"\n')
    (bin_ / client).chmod(0o755)
    script = rules.SCRIPT.replace(":3000/", f":{grafana.server_port}/").replace(" 3000", f" {grafana.server_port}")
    script = script.replace("sleep 4", "sleep 0.5")
    environ = {"PATH": str(bin_), "GF_SECURITY_ADMIN_PASSWORD": password}
    done = subprocess.run(["sh", "-c", script], env=environ, executable=bin_ / "sh", capture_output=True, check=True)
    assert _Grafana.seen == [rules.PATH]
    if taken:
        assert [it.name for it in rules.rules_of(done.stdout, "sese")] == ["Disk filling"]
    else:
        with pytest.raises(OperatorError, match="does not take the password"):
            rules.rules_of(done.stdout, "sese")
    given_ = noted.read_text()
    assert password not in given_ and b64encode(f"admin:{password}".encode()).decode() not in given_


def test_the_script_without_a_password(tmp_path: Path) -> None:
    done = subprocess.run(["sh", "-c", rules.SCRIPT], env={"PATH": os.environ["PATH"]}, capture_output=True, check=True)
    assert done.stdout == b"vpai: no password\n"


# ── VictoriaMetrics ──────────────────────────────────────────────────────────────────────────────────────────────────


def rows(*found: dict[str, str], status: str = "success") -> bytes:
    result = [{"metric": it, "value": [1, "3"]} for it in found]
    return json.dumps({"status": status, "data": {"resultType": "vector", "result": result}}).encode()


def test_names_of_series_by_host() -> None:
    seen = series.seen_of(
        rows(
            {"host": "sese", "container": "vpai-n8n-1"},
            {"name": "/javisi_redis"},  # no label of ours: the store's own host
            {"host": "pi"},
            {"host": "pi", "container": "\x1b[2Jbad"},
        ),
        "sese",
    )
    assert seen["sese"].names == {"vpai-n8n-1", "javisi_redis"}
    assert seen["pi"] == series.Seen(frozenset({"[2Jbad"}), 3)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"[" * 99_999, rows(status="error"), b'{"status":"success"}'])
def test_what_is_no_answer_to_the_query(body: bytes) -> None:
    with pytest.raises(OperatorError, match="no answer to the query"):
        series.seen_of(body, "sese")


@given(JSON)
def test_any_result_of_a_query(result: object) -> None:
    body = json.dumps({"status": "success", "data": {"result": result}}).encode()
    try:
        seen = series.seen_of(body, "sese")
    except OperatorError:
        return
    assert all(it.nameless >= 0 for it in seen.values())


# ── OpenClaw ─────────────────────────────────────────────────────────────────────────────────────────────────────────

PLUGINS = (
    '{"workspaceDir": "/w", "plugins": [{"id": "discord", "status": "disabled"}, {"id": "telegram", "status": %s}]}'
)
CHANNELS = "Chat channels:\n- Telegram default: configured, token=env, enabled\n\nAuth providers (OAuth + API keys):\n"


def said(plugins: str, channel_list: str = CHANNELS) -> list[tuple[str, Standing, str]]:
    text = f"{plugins}\nvpai-tui: the channels\n{channel_list}".encode()
    return [(it.subject, it.standing, it.detail) for it in channels.findings(text, CLAW)]


def test_a_loaded_plugin_and_an_enabled_channel() -> None:
    warned = "[plugins] a warning before it {not json}\n"
    assert [it[1] for it in said(warned + PLUGINS % '"loaded"')] == [Standing.OK, Standing.OK]


@pytest.mark.parametrize(
    ("plugins", "standing", "says"),
    [
        (PLUGINS % '"disabled"', Standing.ERROR, "the plugin is disabled: nobody is answered on Telegram"),
        (PLUGINS % '"error"', Standing.ERROR, "the plugin is error: nobody is answered on Telegram"),
        (PLUGINS % '{"a": 1}', Standing.ERROR, "the plugin is in no state we know: nobody is answered on Telegram"),
        ('{"plugins": []}', Standing.ERROR, "there is no such plugin: nobody is answered on Telegram"),
        ("error: unknown command 'plugins'", Standing.UNKNOWN, "`plugins list` says: error: unknown command 'plugins'"),
        ('{"plugins": 7}', Standing.UNKNOWN, '`plugins list` says: {"plugins": 7}'),
        ("{" * 5000, Standing.UNKNOWN, "`plugins list` says: "),
        ("", Standing.UNKNOWN, "`plugins list` says: nothing"),
    ],
)
def test_what_the_plugin_list_says(plugins: str, standing: Standing, says: str) -> None:
    (subject, found, detail), *_ = said(plugins)
    assert (subject, found) == ("Telegram plugin", standing)
    assert detail.startswith(says)


@pytest.mark.parametrize(
    ("line", "standing", "says"),
    [
        ("- Telegram default: configured, token=env, disabled", Standing.ERROR, "the channel is disabled"),
        ("- Telegram default: not configured, token=none, enabled", Standing.ERROR, "not configured, token=none"),
        ("- Telegram main (Ops): installed, configured, enabled", Standing.OK, "configured and enabled"),
        ("- Telegram default: ready", Standing.UNKNOWN, "`channels list` says: ready"),
        ("- Discord default: configured, enabled", Standing.ERROR, "Telegram is no channel of it"),
        ("no configured chat channels", Standing.ERROR, "Telegram is no channel of it"),
    ],
)
def test_what_the_channel_list_says(line: str, standing: Standing, says: str) -> None:
    _, (subject, found, detail) = said(PLUGINS % '"loaded"', f"Chat channels:\n{line}\n")
    assert subject.startswith("Telegram channel") and found is standing and says in detail


def test_a_command_that_changed_its_words_or_is_not_there() -> None:
    _, (_, standing, detail) = said(PLUGINS % '"loaded"', "Kanäle\n- Telegram: an\n")
    assert (standing, detail) == (Standing.UNKNOWN, "`channels list` says: - Telegram: an")
    (only,) = channels.findings(b'OCI runtime exec failed: exec: "sh": executable file not found', CLAW)
    assert only.standing is Standing.UNKNOWN and "executable file not found" in only.detail


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_words_of_openclaw(plugins: str, channel_list: str) -> None:
    found = said(plugins, channel_list)
    assert found and all(it[1] is not Standing.OK for it in found)


def test_a_rule_evaluated_just_within_the_time_is_well() -> None:
    at = (NOW - timedelta(seconds=rules.LATE_S)).isoformat()
    assert judged(rule(lastEvaluation=at))[0][1] is Standing.OK
