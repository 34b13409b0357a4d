"""Both JSON shapes of every recorded version into one model; and what no version ever said."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.vpn import reading, words
from vpai_tui.vpn.versions import Can, parse_version

RECORDED = Path(__file__).parents[1] / "recordings" / "headscale"
VERSIONS = ("0.26.1", "0.27.1", "0.28.0", "0.29.2")


def recorded(version: str, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((RECORDED / f"{version}.json").read_text())[kind]
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_every_recorded_list_is_read(version: str) -> None:
    count = 0
    for it in recorded(version, "rest"):
        body = it["answer"]
        if it["status"] != 200 or not isinstance(body, dict):
            continue
        for key, one in (("nodes", reading.node), ("users", reading.user), ("preAuthKeys", reading.pre_auth_key)):
            if key in body:
                rows = reading.rows(body, key, one)
                assert len(rows) == len(body[key])
                count += len(rows)
    assert count > 50


@pytest.mark.parametrize("version", VERSIONS)
def test_the_command_line_says_the_same_as_rest(version: str) -> None:
    """Of real clients and of made ones: ids, names, addresses, times, routes."""
    lists = [it for it in recorded(version, "cli") if it["name"] == "nodes-list-json"]
    nodes = reading.rows(reading.load(lists[0]["stdout"], "nodes"), "nodes", reading.node)
    assert [node.id for node in nodes] == list(range(1, len(nodes) + 1))
    assert nodes[0].name == "n1"
    assert nodes[0].addresses[0].startswith("100.64.")
    assert nodes[0].expires_at is None
    assert nodes[0].register_method == "cli"
    assert nodes[0].user is not None and nodes[0].user.name == "alice"
    assert all(route.advertised for route in nodes[0].routes)
    assert bool(nodes[0].routes) == (version != "0.29.2")  # routes of nodes that are made there are only echoed
    keys = [it for it in recorded(version, "cli") if it["name"] == "apikeys-create-json"]
    assert isinstance(reading.load(keys[0]["stdout"], "key"), str)


def test_real_clients_expiry_logout_and_routes() -> None:
    by_name = {it["name"]: it["answer"] for it in recorded("0.26.1", "rest")}
    now = datetime(2026, 11, 24, tzinfo=UTC)
    expired = reading.rows(by_name["real-client-node-list-after-expire"], "nodes", reading.node)
    assert any(node.expired(now) and node.online for node in expired), "online stays true after expiry"
    out = reading.rows(by_name["node-list-after-logout"], "nodes", reading.node)
    assert any(node.logged_out and node.expired(now) for node in out)
    served = reading.rows(by_name["node-list-after-approve-exit"], "nodes", reading.node)
    exits = [route for node in served for route in node.routes if route.exit and route.served]
    assert {route.prefix for route in exits} == {"0.0.0.0/0", "::/0"}


def test_a_key_is_masked_everywhere_but_in_secret() -> None:
    for version in VERSIONS:
        listed = next(it["answer"] for it in recorded(version, "rest") if it["name"] == "preauthkey-list")
        for raw, key in zip(
            listed["preAuthKeys"], reading.rows(listed, "preAuthKeys", reading.pre_auth_key), strict=True
        ):
            assert raw["key"] not in repr(key)
            assert raw["key"] not in key.shown
            assert bool(key.secret) == (version < "0.28")


def test_no_list_is_an_empty_one_and_log_lines_are_passed_over() -> None:
    assert reading.rows(reading.load("null\n", "x"), "nodes", reading.node) == ()
    noisy = '2026-11-23T07:35:52Z INF something\n{"level":"info","time":1}\n'
    assert reading.load(f"{noisy[:39]}\n[]\n", "x") == []


@pytest.mark.parametrize(
    "raw",
    [
        {"id": "-1"},
        {"id": True},
        {"id": "1" * 30},
        {"id": "1", "name": 3},
        {"id": "1", "ipAddresses": ["100.64.0.1\x1b[2J"]},
        {"id": "1", "ipAddresses": "100.64.0.1"},
        {"id": "1", "expiry": "tomorrow"},
        {"id": "1", "expiry": {"seconds": 10**30}},
        {"id": "1", "online": "yes"},
        {"id": "1", "user": []},
        {"id": "1", "tags": [1]},
    ],
)
def test_what_no_version_says_is_an_error_with_its_place(raw: dict[str, Any]) -> None:
    with pytest.raises(OperatorError, match="Headscale's answer"):
        reading.node(raw)


def test_hostile_names_are_made_harmless() -> None:
    node = reading.node({"id": "1", "givenName": "a\x1b]52;c;x\x07\u202eb", "name": "n" * 9000})
    assert node.name == "a]52;c;xb"
    assert len(node.hostname) <= 500


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "name", "expiry", "user", "tags"]), inner)
    ),
    max_leaves=10,
)


@given(JSON)
def test_any_json_is_read_or_refused(found: Any) -> None:
    for one in (reading.node, reading.user, reading.pre_auth_key):
        try:
            reading.rows(found, "nodes", one)
        except OperatorError:
            continue


def test_versions() -> None:
    assert parse_version("0.26.0\n") == parse_version("v0.26.0")
    assert parse_version("dev") is None
    for text, can in (
        ("0.26.0", {Can.MOVE}),
        ("0.27.1", {Can.MOVE, Can.SET_EXPIRY}),
        ("v0.29.2", {Can.NEVER_EXPIRE, Can.DELETE_KEY}),
    ):
        version = parse_version(f"headscale version {text}\ncommit: 1.2")
        assert version is not None
        assert {what for what in can if version.why_not(what)} == set()
    known = {text: parse_version(text) for text in ("0.26.0", "0.27.0", "0.28.0", "0.30.0", "0.25.1")}
    assert known["0.26.0"].why_not(Can.SET_EXPIRY)
    assert known["0.27.0"].why_not(Can.SET_EXPIRY)
    assert known["0.28.0"].why_not(Can.DELETE_USER)
    assert "read-only" in known["0.30.0"].why_not(Can.WRITE)
    assert "read-only" in known["0.25.1"].why_not(Can.MOVE)


@pytest.mark.parametrize("name", ["a", "Web", "a.b", "-ab", "ab-", "a_b", "a b", "", "x" * 64, "ab\n"])
def test_names_that_headscale_would_swallow_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        words.node_name(name)


@pytest.mark.parametrize("name", ["", "a", "1bob", "a/b", "two words", "a@b@c"])
def test_user_names_are_checked_as_0_26_does(name: str) -> None:
    with pytest.raises(UsageError):
        words.user_name(name)


def test_prefixes_tags_spans_and_registration_ids() -> None:
    assert words.prefix("exit") == "0.0.0.0/0"
    assert words.tag("web") == "tag:web"
    assert words.span("90d").days == 90
    old, new = parse_version("0.26.0"), parse_version("0.29.2")
    assert old is not None and new is not None
    short, long = "A" * 24, "hskey-authreq-" + "A" * 24
    assert words.registration_id(f" https://h/register/{short}\n", old) == short
    assert words.registration_id(f"https://h/register/{long}", new) == long
    for call in (
        lambda: words.prefix("10.2.0.5/24"),
        lambda: words.tag("tag:Web"),
        lambda: words.span("0d"),
        lambda: words.registration_id(f"https://h/register/{long}", old),
        lambda: words.registration_id(f"https://h/other/{short}", old),
        lambda: words.registration_id("../../etc/passwd", old),
    ):
        with pytest.raises(UsageError):
            call()
