"""The cockpit's words into LogQL and times, labels into the fleet's words, and lines that belong together."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui import config
from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.containers import ContainerEvent
from vpai_tui.fleet.history import Entry
from vpai_tui.fleet.stacks import Stack, load_stacks
from vpai_tui.logs import query
from vpai_tui.logs.fields import folded
from vpai_tui.logs.find import Directory, Target, base_name, places, target_of
from vpai_tui.logs.fold import groups
from vpai_tui.logs.happenings import of_containers, of_journal, timeline
from vpai_tui.logs.levels import level_of
from vpai_tui.logs.model import LATEST_NS, SECOND_NS, Labels, Level, Line, Mark, Source
from vpai_tui.logs.save import Taken, as_json, as_text, capped, document, save

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 28, 12, 0, 0, 500_000, UTC)
NOW_NS = 1_795_867_200 * SECOND_NS + 500_000_000


class Clock:
    def now(self) -> datetime:
        return NOW

    def boot_s(self) -> float:
        return 0.0


@pytest.fixture(scope="module")
def fleet() -> config.Fleet:
    return config.load_fleet(ROOT / "config" / "fleet.yaml")


@pytest.fixture(scope="module")
def stacks(fleet: config.Fleet) -> tuple[Stack, ...]:
    return load_stacks(ROOT / "stacks", fleet)


# ── LogQL ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.text(max_size=40))
def test_any_text_is_one_string(text: str) -> None:
    told = query.quoted(text)
    if told[0] == "`":
        assert told[1:-1] == text and "`" not in text
    else:
        inside = told[1:-1]
        assert not re.search(r'(?<!\\)(?:\\\\)*"', inside) and "\n" not in inside


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_literal_fits_only_itself(text: str, other: str) -> None:
    found = re.compile(query.literal(text))
    assert found.fullmatch(text)
    assert (found.fullmatch(other) is not None) is (text == other)


def test_queries() -> None:
    assert query.selector({"container": ["caddy"]}) == '{container="caddy"}'
    assert query.selector({"container": ["a.b", "c"]}) == "{container=~`a\\.b|c`}"
    assert query.everything("container") == '{container=~".+"}'
    assert query.containing('{a="b"}', "x|y") == '{a="b"} |~ "x|y"'
    assert query.containing('{a="b"}', "x", inverted=True, plain=True) == '{a="b"} != "x"'
    assert query.containing('{a="b"} # why', "x") == '{a="b"} # why\n|~ "x"'
    assert query.with_label('{a="b"}', "level", "error", excluded=True) == '{a="b"} | level!="error"'
    assert query.with_label('{a="b"} # why', "level", "error") == '{a="b"} # why\n| level="error"'
    assert query.selector_of('{a="}", b=~`}`} |= "{"') == '{a="}", b=~`}`}'
    assert query.selector_of(r'sum(rate({a="b\\", c="\"}"} | json [1m]))') == r'{a="b\\", c="\"}"}'
    assert query.selector_of('{a="b') == '{a="b'
    for wrong in ('a="', "a-b", "", "a\n"):
        with pytest.raises(UsageError):
            query.matcher(wrong, ["x"])


@pytest.mark.parametrize(
    ("text", "ago_s"),
    [
        ("1h", 3600),
        ("-15m", 900),
        ("1h30m", 5400),
        ("now", 0),
        ("2026-11-28T11:00:00.5Z", 3600),
        ("1795867200", 0.5),
        ("1795867200500", 0),  # milliseconds, which Loki itself would take for 1970
        ("1795867200500000", 0),
        ("1795867200500000000", 0),
        ("11:00", 3600.5),
        ("23:00", 13 * 3600 + 0.5),  # yesterday's
    ],
)
def test_times(text: str, ago_s: float) -> None:
    assert query.time_ns(text, Clock()) == NOW_NS - int(ago_s * SECOND_NS)


@pytest.mark.parametrize("text", ["", "soon", "1x", "25:00", "99999999999999999999", "-5", "1h x"])
def test_no_times(text: str) -> None:
    with pytest.raises(UsageError):
        query.time_ns(text, Clock())


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_a_usage_error(text: str) -> None:
    with suppress(UsageError):
        assert 0 <= query.time_ns(text, Clock()) <= LATEST_NS


# ── who is who ───────────────────────────────────────────────────────────────────────────────────────────────────────


def labels(**values: str) -> Labels:
    return tuple(sorted(values.items()))


def test_labels_mean_services(fleet: config.Fleet, stacks: tuple[Stack, ...]) -> None:
    directory = Directory(fleet, stacks, "sese")
    expected = Source("caddy", "sese", "sese/edge", "caddy")
    for known in (
        labels(container="vpai-caddy-1", job="docker"),
        labels(container="javisi_caddy", job="docker", project="javisi"),  # by its end
        labels(host="sese", service="caddy", stack="edge"),
        labels(compose_project="vpai", compose_service="caddy"),
        labels(service_name="caddy"),
    ):
        assert directory.source(known) == expected, known
    assert directory.source(labels(container="stranger", host="pi")) == Source("stranger", "pi")
    assert directory.source(labels(filename="/var/log/x")).name == "filename=/var/log/x"
    assert directory.source(labels(container="x\x1b[2J")).name == "x[2J"


def test_targets(fleet: config.Fleet, stacks: tuple[Stack, ...]) -> None:
    assert target_of("caddy", fleet, stacks) == Target("sese", "sese/edge", "caddy")
    assert target_of("sese/apps", fleet, stacks) == Target("sese", "sese/apps")
    assert target_of("pi", fleet, stacks) == Target("pi")
    assert target_of("all", fleet, stacks) == Target()
    assert target_of('{a="b"}', fleet, stacks).query == '{a="b"}'
    with pytest.raises(UsageError, match='no service "cady"'):
        target_of("cady", fleet, stacks)


def test_a_selector_fits_its_own_streams_and_no_others(fleet: config.Fleet, stacks: tuple[Stack, ...]) -> None:
    directory = Directory(fleet, stacks, "sese")
    series = [
        {"container": "javisi_caddy", "job": "docker", "level": "info"},
        {"container": "javisi_caddy", "job": "docker", "level": "error"},
        {"container": "javisi_n8n", "job": "docker"},
        {"container": "javisi_litellm", "job": "docker"},
    ]
    of = lambda text: directory.selector(target_of(text, fleet, stacks), series)  # noqa: E731
    assert of("caddy") == '{container="javisi_caddy"}'
    assert of("sese/apps") == '{container=~"javisi_litellm|javisi_n8n"}'
    assert of("all") == '{container=~".+"}'
    assert of("redis") is None
    twice = [
        {"container": "app", "host": "pi", "service": "opencut"},
        {"container": "app", "host": "sese", "service": "n8n"},
    ]
    assert directory.selector(target_of("n8n", fleet, stacks), twice) == '{host="sese", container="app"}'


def test_loki_is_where_a_stack_has_its_image(fleet: config.Fleet, stacks: tuple[Stack, ...]) -> None:
    (place,) = places(fleet, stacks)
    assert (place.host, place.service, place.port) == ("sese", "loki", 3100)
    without = tuple(stack for stack in stacks if "loki" not in stack.services)
    assert [it.host for it in places(fleet, without)] == ["sese", "seko", "pi"]
    assert base_name("docker.io/grafana/loki:3.6.5@sha256:00") == "loki"


# ── folding ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_TRACE = """\
INFO:     started
ERROR: request failed
Traceback (most recent call last):
  File "x.py", line 1, in <module>
    y()
ValueError: bad
INFO:     went on"""


def lines(text: str, stream: Labels = (("container", "a"),), step_ns: int = 1000) -> list[Line]:
    return [
        Line(number * step_ns, stream, row.encode(), level_of(row.encode()))
        for number, row in enumerate(text.split("\n"))
    ]


def test_a_traceback_goes_with_the_line_before_it() -> None:
    found = groups(lines(_TRACE))
    assert [(group.head.text, len(group.lines), group.level) for group in found] == [
        ("INFO:     started", 1, Level.INFO),
        ("ERROR: request failed", 5, Level.ERROR),
        ("INFO:     went on", 1, Level.INFO),
    ]


def test_streams_that_are_mixed_keep_their_tracebacks_apart() -> None:
    one, two = lines(_TRACE), lines(_TRACE, (("container", "b"),))
    mixed = [line for pair in zip(one, two, strict=True) for line in pair]
    assert [len(group.lines) for group in groups(mixed)] == [1, 1, 5, 5, 1, 1]


def test_what_comes_much_later_stands_alone() -> None:
    assert len(groups(lines(_TRACE, step_ns=5 * SECOND_NS))) == 7


def test_postgresqls_details_go_with_their_error() -> None:
    text = (
        "2026-11-20 10:00:42 UTC [1] ERROR:  no such table\n2026-11-20 10:00:42 UTC [1] STATEMENT:  SELECT\n"
        "2026-11-20 10:00:43 UTC [1] LOG:  next"
    )
    assert [len(group.lines) for group in groups(lines(text))] == [2, 1]


# ── fields ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_json_and_logfmt_are_a_message_and_fields() -> None:
    found = folded(
        b'{"level":"info","msg":"handled","request":{"host":"a","n":[1,2]},"size":5,"x\x1b":null}'.replace(b"\x1b", b"")
    )
    assert (found.kind, found.message) == ("json", "handled")
    assert found.fields == {"level": "info", "request.host": "a", "request.n": "[1,2]", "size": "5", "x": "null"}
    found = folded(b'logger=x t=2026-11-20T10:00:00Z level=info msg="two \\"words\\"" n=5')
    assert (found.kind, found.message, found.fields["n"]) == ("logfmt", 'two "words"', "5")
    for text in (b"plain a=b text", b"GET /x?a=b&c=d HTTP/1.1", b'{"cut": ', b"[1,2]", b"", b"{}"):
        assert folded(text).message == text.decode()
    assert folded(b'{"msg":"a\\u001b[2Jb\\u202ec"}').message == "a[2Jbc"


@given(st.binary(max_size=300))
def test_any_line_folds(raw: bytes) -> None:
    found = folded(raw)
    assert found.kind in ("json", "logfmt", "text")
    assert "\x1b" not in found.message + "".join(found.fields.values())


# ── out ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_saved_line_has_its_nanoseconds_and_no_secret(tmp_path: Path) -> None:
    raw = b'{"msg":"login","password":"hunter2hunter2","user":"x","url":"https://u:geheim123@h/"}'
    line = Line(1_795_168_800_000_000_007, (("container", "a"),), raw, Level.INFO, Mark.LATE)
    path = tmp_path / "out.jsonl"
    assert save(path, [line], lambda _: Source("a", "sese", "sese/apps", "a")) == 1
    text = path.read_text()
    assert "hunter2" not in text and "geheim123" not in text
    assert path.stat().st_mode & 0o077 == 0
    told = document(line, Source("a", "sese", "sese/apps", "a"))
    assert set(told) == {
        "schema",
        "ts",
        "ts_ns",
        "host",
        "stack",
        "service",
        "level",
        "line",
        "labels",
        "fields",
        "mark",
    }
    assert (told["ts"], told["ts_ns"], told["mark"]) == (
        "2026-11-20T10:00:00.000000007Z",
        "1795168800000000007",
        "late",
    )
    assert told["fields"]["user"] == "x" and "hunter2" not in str(told)
    with pytest.raises(OperatorError, match="is there already"):
        save(path, [line], lambda _: Source("a"))


def test_what_is_copied_is_cut_at_whole_lines_and_redacted() -> None:
    line = Line(1, (), b"token=abcdefgh12345", Level.INFO)
    assert "abcdefgh" not in "".join(as_text([line]))
    one = next(as_text([line]))
    assert capped(as_text([line] * 100), 2 * len(one.encode()) + 1) == Taken(f"{one}\n{one}", 2, 98)
    assert capped([], 10) == Taken("", 0)
    assert capped(["x" * 11], 10) == Taken("", 0, 1)
    assert capped(["é"] * 30_000, 5) == Taken("é\né", 2, 20_000, True)


def test_a_private_key_over_several_lines_is_masked_whole_in_its_own_stream() -> None:
    key = [
        "-----BEGIN RSA PRIVATE KEY-----",
        "Proc-Type: 4,ENCRYPTED",
        "",
        "MIIEow" + "A" * 58,
        "  x " + "B" * 40,
        "Qw==",
    ]
    rows = [*key, "-----END RSA PRIVATE KEY-----", "after it"]
    lines = [Line(at, labels(c="a"), row.encode(), Level.INFO) for at, row in enumerate(rows)]
    other = Line(3, labels(c="b"), b"of another stream", Level.INFO)
    told = list(as_text([*lines[:4], other, *lines[4:]]))
    assert told == [
        "-----BEGIN RSA PRIVATE KEY-----•••",
        "•••",
        "•••",
        "•••",
        "of another stream",
        "•••",
        "•••",
        "•••",
        "after it",
    ]
    written = "".join(as_json(lines, lambda _: Source("a")))
    assert not any(row in written for row in key[1:] if row)
    cut = [
        Line(1, (), b"-----BEGIN PRIVATE KEY-----", Level.INFO),
        Line(2, (), b"no row of a key: said later", Level.INFO),
    ]
    assert list(as_text(cut))[1] == "no row of a key: said later"


def test_a_time_no_calendar_has_is_shown_all_the_same() -> None:
    assert Line(LATEST_NS, (), b"", Level.INFO).at > datetime(2200, 1, 1, tzinfo=UTC)
    assert Line(-(2**62), (), b"", Level.INFO).at < datetime.now(UTC) - timedelta(days=1)


# ── what else happened ───────────────────────────────────────────────────────────────────────────────────────────────


def test_events_and_deploys_are_marks_in_time() -> None:
    at = NOW.replace(microsecond=0)
    base = NOW_NS - 500_000_000
    events = [
        ContainerEvent(at, "c1", "vpai-n8n-1", "die", "exit 137"),
        ContainerEvent(at, "c1", "vpai-n8n-1", "die", "exit 0"),
        ContainerEvent(at + timedelta(seconds=1), "c1", "vpai-n8n-1", "oom"),
        ContainerEvent(at, "c2", "stranger", "start"),
        ContainerEvent(at, "c2", "stranger", "rename"),
        ContainerEvent(None, "c2", "stranger", "start"),
    ]
    containers = of_containers("sese", events, {"c1": "sese/apps/n8n"})
    assert [(it.subject, it.text, it.bad) for it in containers] == [
        ("sese/apps/n8n", "ended (exit 137)", True),
        ("sese/apps/n8n", "ended (exit 0)", False),
        ("sese/apps/n8n", "ran out of memory", True),
        ("stranger", "started", False),
    ]
    deploys = of_journal(
        [
            Entry("2026-11-28T12:00:02Z", "me@laptop", "sese", "deploy", "sese/apps", "reverted"),
            Entry("2026-11-28T12:00:03Z", "me@laptop", "sese", "deploy", "sese/apps", "committed"),
            Entry("", "me@laptop", "sese", "deploy", "sese/apps", "committed"),
        ]
    )
    assert [(it.ns - base, it.bad) for it in deploys] == [(2 * SECOND_NS, True), (3 * SECOND_NS, False)]
    found = timeline(containers, deploys, containers, from_ns=base, to_ns=base + 3 * SECOND_NS)
    assert [it.ns - base for it in found] == [0, 0, 0, SECOND_NS, 2 * SECOND_NS]
