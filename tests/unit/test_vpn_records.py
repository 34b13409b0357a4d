"""Lint, guards and staged changes of the VPN: what is refused, what is typed, what is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from vpai_tui.errors import UsageError
from vpai_tui.fleet.model import Severity
from vpai_tui.remote.resolve import answers_in, query_of
from vpai_tui.vpn.dns.changes import Edit, Staged, Store, compare, merge
from vpai_tui.vpn.dns.lint import Surroundings, lint, new_record, of_settings
from vpai_tui.vpn.dns.settings import path_is_watched, read_list, settings_of, write_list
from vpai_tui.vpn.guard import Action, Estate, alerts, judge, judge_routes
from vpai_tui.vpn.model import Mark, Node, Record, Route, Whereabouts

NOW = datetime(2026, 11, 25, tzinfo=UTC)
CONFIG = (Path(__file__).parents[2] / "stacks/seko/headscale/headscale/config/config.yaml").read_bytes()
HOSTS = {"sese": ("100.64.0.14", "137.74.114.167"), "seko": ("87.106.30.160",), "pi": ("100.64.0.1", "192.168.1.8")}


def node(id_: int, name: str, address: str, **facts: object) -> Node:
    made = Node(id_, name, name, None, (address,), True, None, None, None, (), ())
    return replace(made, **facts)  # type: ignore[arg-type]


NODES = (
    node(1, "pi", "100.64.0.1", routes=(Route("192.168.1.0/24", True, True, True),)),
    node(2, "me", "100.64.0.2"),
    node(3, "hub", "100.64.0.5", routes=(Route("0.0.0.0/0", True, False, False), Route("::/0", True, False, False))),
    node(4, "old", "100.64.0.9", expires_at=NOW - timedelta(days=1)),
    node(5, "sese", "100.64.0.14", expires_at=NOW + timedelta(days=9)),
)
RECORDS = (Record("llm.ewutelo.cloud", "A", "100.64.0.14"), Record("cut.ewutelo.cloud", "A", "100.64.0.1"))
ESTATE = Estate(
    NODES, RECORDS, HOSTS, {"sese": ("sese/apps",)}, Whereabouts("100.64.0.2", frozenset({"100.64.0.5"})), NOW
)


def around(config: bytes = CONFIG) -> Surroundings:
    return Surroundings(settings_of(config)[0], NODES, HOSTS, "seko", "ewutelo.cloud", NOW)


def errors(record: Record, *others: Record) -> list[str]:
    found = lint([record, *others], around())[0]
    return [it.message for it in found if it.severity is Severity.ERROR]


def warnings(record: Record, *others: Record) -> list[str]:
    return [it.message for it in lint([record, *others], around())[0] if it.severity is Severity.WARN]


def test_the_records_of_the_document_are_all_right() -> None:
    """A public address of a fleet host is no orphan; singa and couch keep theirs."""
    settings, document = settings_of(CONFIG)
    found = lint(document.records, around())
    assert [problems for problems in found if any(it.severity is not Severity.INFO for it in problems)] == []
    assert of_settings(settings) == []


def test_the_control_planes_own_name_may_only_have_its_hosts_public_address() -> None:
    assert errors(Record("singa.ewutelo.cloud", "A", "87.106.30.160")) == []
    assert "control plane" in errors(Record("singa.ewutelo.cloud", "A", "100.64.0.5"))[0]
    assert "control plane" in errors(Record("singa.ewutelo.cloud", "A", "137.74.114.167"))[0]


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (Record("Llm.ewutelo.cloud", "A", "100.64.0.14"), "upper case"),
        (Record("*.ewutelo.cloud", "A", "100.64.0.14"), "no name that resolves"),
        (Record(".a.b", "A", "100.64.0.14"), "no name that resolves"),
        (Record("a.b", "CNAME", "100.64.0.14"), "ignore records of type CNAME"),
        (Record("a.b", "A", "x.y"), "no IP address"),
        (Record("a.b", "AAAA", "100.64.0.14"), "family A"),
        (Record("a.b", "A", "fd7a::1"), "family AAAA"),
    ],
)
def test_dead_records(record: Record, why: str) -> None:
    assert any(why in message for message in errors(record))
    with pytest.raises(UsageError):
        new_record(record.name if record.name.strip().islower() else "*.x", record.type, record.value)


def test_orphans_duplicates_and_expired_nodes_are_warnings() -> None:
    good = Record("a.b", "A", "100.64.0.14")
    assert "no node has this address" in warnings(Record("a.b", "A", "100.64.0.77"))[0]
    assert "the key of old has expired" in warnings(Record("a.b", "A", "100.64.0.9"))[0]
    assert "twice" in warnings(good, Record("a.b", "A", "100.64.0.14"))[0]
    assert "only the first" in warnings(good, Record("A.b", "A", "100.64.0.1"))[0]
    assert warnings(good, Record("a.b", "AAAA", "fd7a::1")) == []


def test_without_known_nodes_a_record_is_judged_by_itself() -> None:
    unknown = replace(around(), nodes=None)
    orphan, dead = Record("a.b", "A", "100.64.0.77"), Record("A.b", "A", "100.64.0.78")
    found = lint([orphan, dead], unknown)
    assert [it.message.partition(";")[0] for it in found[0]] == ["this name has several addresses of one family"]
    assert "upper case" in found[1][0].message


def test_settings_that_spoil_every_record() -> None:
    def told(text: str) -> str:
        return " ".join(it.message for it in of_settings(settings_of(text.encode())[0]))

    assert "its own" not in told("dns: {override_local_dns: true, nameservers: {global: [9.9.9.9]}}")
    assert "ask their own resolver" in told("dns: {override_local_dns: false}")
    assert "neither true nor false" in told("dns: {override_local_dns: yes}")
    assert "needs nameservers.global" in told("dns: {magic_dns: true}")
    assert "is gone" in told("dns: {nameservers: {global: [1.1.1.1], split: {a.b: []}}}")
    assert "no DNS while the VPN is down" in told(
        "prefixes: {v4: 100.64.0.0/10}\ndns: {nameservers: {global: [100.64.0.1]}}"
    )
    both = "dns: {extra_records: [], extra_records_path: /x.json, nameservers: {global: [1.1.1.1]}}"
    assert "will not start" in told(both)
    assert "base_domain" in told("server_url: https://a.b:443\ndns: {base_domain: b, nameservers: {global: [1.1.1.1]}}")


def test_a_records_file() -> None:
    assert read_list(b"") == read_list(b"null") == ()
    assert read_list(b'[{"Name":"a","TYPE":"A","value":"1.2.3.4","more":1}]') == (Record("a", "A", "1.2.3.4"),)
    assert read_list(write_list(RECORDS)) == RECORDS
    assert path_is_watched("/etc/headscale/x.json")
    assert not path_is_watched("./x.json")


def test_self_and_hub_are_refused_and_force_has_their_names_typed() -> None:
    assert ESTATE.marks(NODES[1]) == (Mark.SELF,)
    assert ESTATE.marks(NODES[2]) == (Mark.HUB,)
    for action in (Action.DELETE, Action.EXPIRE):
        assert "connected through" in judge(action, [NODES[1]], ESTATE).refused
        assert "hub itself" in judge(action, [NODES[2]], ESTATE).refused
        assert judge(action, [NODES[2]], ESTATE, force=True).words == ("hub",)
    assert judge(Action.RENAME, [NODES[2]], ESTATE).refused == ""


def test_dependants_are_listed_and_names_typed() -> None:
    found = judge(Action.DELETE, [NODES[4]], ESTATE)
    assert found.words == ("sese",)
    told = " ".join(found.dependants)
    assert "llm.ewutelo.cloud" in told and "host sese" in told and "stack sese/apps" in told
    assert judge(Action.EXPIRE, NODES[3:4] * 4, ESTATE).words == ("4 nodes",)


def test_routes_that_fall_away_or_cover_a_host_are_typed() -> None:
    lost = judge_routes(NODES[0], (), ESTATE)
    assert lost.words == ("pi",) and "192.168.1.0/24 is not approved any more" in lost.warnings
    covering = judge_routes(NODES[1], ("87.106.30.0/24",), ESTATE)
    assert covering.words == ("me",) and any("seko is reached" in it for it in covering.warnings)
    assert judge_routes(NODES[1], ("10.9.0.0/24",), ESTATE).words == ()


def test_a_key_that_ends_is_told_14_days_before() -> None:
    found = {it.subject: it for it in alerts(NODES, ESTATE, "seko")}
    assert "expires in 9 days" in found["sese"].message and found["sese"].severity is Severity.WARN
    assert found["old"].severity is Severity.INFO  # nothing needs it
    soon = [replace(NODES[4], expires_at=NOW + timedelta(days=days)) for days in (2, 13, 15)]
    assert [it.severity for it in alerts(soon, ESTATE, "seko")] == [Severity.ERROR, Severity.WARN]


def test_staged_edits_are_kept_undone_and_discarded(tmp_path: Path) -> None:
    store = Store(tmp_path, "seko")
    assert store.load() == Staged()
    new = Record("n.b", "A", "100.64.0.1")
    staged = Staged().plus("hash", [Edit(None, new)]).plus("later", [Edit(RECORDS[0], None), Edit(RECORDS[1], None)])
    store.save(staged)
    assert store.load() == staged and staged.base == "hash"
    assert merge(RECORDS, staged.edits).records == (new,)
    assert merge(RECORDS, staged.undone().edits).records == (*RECORDS, new)
    store.save(staged.undone().undone())
    assert not store.path.exists()
    store.path.write_text('{"format": 9}')
    with pytest.raises(UsageError, match="cannot be read"):
        store.load()


def test_an_edit_that_does_not_fit_any_more_is_a_conflict() -> None:
    gone = merge(RECORDS[:1], [Edit(RECORDS[1], None)])
    assert gone.records == RECORDS[:1] and "not there any more" in gone.conflicts[0]
    new = Record("cut.ewutelo.cloud", "A", "100.64.0.9")
    done = merge([RECORDS[0], new], [Edit(RECORDS[1], new)])
    assert done.conflicts == ()  # somebody else has done the same


def test_a_diff_pairs_what_changed() -> None:
    new = Record("cut.ewutelo.cloud", "A", "100.64.0.9")
    found = compare(RECORDS, [RECORDS[0], new, Record("x.y", "A", "1.1.1.1")], (b"a\n", b"b\n"), restart=True)
    assert found.changed == ((RECORDS[1], new),) and found.restart_needed
    assert found.added == (Record("x.y", "A", "1.1.1.1"),) and found.removed == ()
    assert "-a" in found.yaml and "+b" in found.yaml


def test_dns_packets() -> None:
    query = query_of(7, "a.b", "A")
    assert query[12:] == b"\x01a\x01b\x00\x00\x01\x00\x01"
    answer = query[:2] + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + query[12:]
    answer += b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x02\x58\x00\x04\x64\x40\x00\x0e"
    assert answers_in(answer, 7) == ("100.64.0.14",)
    with pytest.raises(ValueError, match="another"):
        answers_in(answer, 8)
    with pytest.raises(UnicodeEncodeError):
        query_of(1, "ä.b", "A")
