"""Whatever bytes stand where a file or an answer should: an OperatorError or a value, and all text clean."""

from __future__ import annotations

import base64
import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus_cases import is_safe
from vpai_tui.clock import duration
from vpai_tui.commands import load_keymap
from vpai_tui.config import load_fleet
from vpai_tui.deploy import chronicle, facts, live, pull, told
from vpai_tui.deploy.envexample import read_example
from vpai_tui.deploy.plan import _notes
from vpai_tui.deploy.release import locked_targets, releases_of
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.adopted import load_adopted
from vpai_tui.fleet.containers import from_event, from_inspect, from_list
from vpai_tui.fleet.describe import container_facts, image_facts, masked
from vpai_tui.fleet.history import History
from vpai_tui.fleet.metrics import MetricsParser
from vpai_tui.fleet.stacks import load_stack
from vpai_tui.remote.hostkeys import HostKeys
from vpai_tui.remote.job import parse_line

FOLDER = tempfile.TemporaryDirectory(prefix="vpai-any-")
ROOT = Path(FOLDER.name)
NOW = datetime(2026, 2, 26, 23, 4, tzinfo=UTC)
FLEET = b"hosts: {a: {addresses: [203.0.113.7], ssh: {user: op}}}\nstacks: [a/web]\n"


def texts(value: object) -> Iterator[str]:
    """Every text within a value; raw bytes are nobody's text yet."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for pair in value.items():
            yield from texts(pair)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from texts(item)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from texts(getattr(value, field.name))
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from texts(getattr(value, name))


# ── files of the operator: what is wrong with them is told, what is right is theirs ──────────────────────────────────


def lay(name: str, content: bytes) -> Path:
    path = ROOT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def fleet(raw: bytes) -> None:
    load_fleet(lay("fleet.yaml", raw))


def stack(raw: bytes) -> None:
    lay("s/a/web/compose.yaml", b"services: {web: {image: x}}\n")
    lay("s/a/web/stack.yaml", raw)
    load_stack(ROOT / "s", "a/web")


def compose(raw: bytes) -> None:
    lay("c/a/web/stack.yaml", b"")
    lay("c/a/web/compose.yaml", raw)
    load_stack(ROOT / "c", "a/web")


def keymap(raw: bytes) -> None:
    load_keymap(lay("keymap.yaml", raw))


def adopted(raw: bytes) -> None:
    lay("adopted/a.yaml", raw)
    load_adopted(ROOT / "adopted", load_fleet(lay("adopted-fleet.yaml", FLEET)))


def example(raw: bytes) -> object:
    return read_example(lay("x.env.example", raw))


def live_keys(raw: bytes) -> None:
    live.carry_over(b"a: {b: 1}\nc: [1]\n", raw, ("a.b", "c", "d.e"), "conf")
    live.carry_over(raw, b"a: {b: 2}\nc: [2]\n", ("a.b", "c", "d.e"), "conf")
    live.without_live_keys(raw, ("a.b", "c"))


# ── answers of a host ────────────────────────────────────────────────────────────────────────────────────────────────


def dump_words(found: facts.HostFacts) -> list[str]:
    return [duration(age_s) for _, age_s, _ in found.dumps.values()]


def probe(raw: bytes) -> object:
    found = facts.parse(raw + b"\nend\n", "sese")
    return found, _notes(found), dump_words(found), releases_of(found)


def metrics(raw: bytes) -> object:
    parser = MetricsParser("sese")
    return [parser.feed(line, at_boot_s=1.0, now=NOW, rtt_s=0.1) for line in raw.split(b"\n")]


def history(raw: bytes) -> object:
    return History(lay("history.jsonl", raw)).read()


def known_hosts(raw: bytes) -> object:
    return HostKeys.read(str(lay("known_hosts", raw)), ["203.0.113.7"], 22).known and ""


def hosts_history(raw: bytes) -> object:
    return chronicle.merged((), chronicle.read_lines(raw + b"\nend\n", "sese"))


def pulled(raw: bytes) -> object:
    kept = pull.read_kept(b"release\tr1\n" + raw + b"\nend\n", "sese", "web", "/opt/vpai")
    return kept.release, kept.files, kept.notes


READERS: tuple[Callable[[bytes], object], ...] = (
    fleet,
    stack,
    compose,
    keymap,
    adopted,
    example,
    live_keys,
    probe,
    metrics,
    history,
    known_hosts,
    hosts_history,
    pulled,
    told.told_of,
    told.digests_of,
    locked_targets,
    facts.manifest,
    parse_line,
)
B64 = base64.b64encode(b"kind=adopted\nby=\x1b[31me\n")
PIECES: dict[str, tuple[bytes, ...]] = {
    "yaml": (
        b"hosts:", b"stacks:", b"services:", b"web:", b"a:", b"- ", b"{", b"}", b"[", b"]", b"&a ", b"*a",
        b"<<: *a", b"  ", b"image: x", b"project: web", b"files:", b"path: conf", b"live:", b"keys: [a]",
        b"before:", b"run: x", b"go.fleet: x", b"logs: L", b"root: /opt", b"containers: {web: b}",
        b"2020-99-99", b"0x_", b"1e999", b"!!int x", b"!!binary x", b'"\\e[31m"', b"depends_on: [web]",
        b"volumes:", b"env_file: .env", b"ports: [80]", b"---", b"? ",
    ),
    "records": (
        b"\noccupant\ti\tn\trunning\t" + b"\t".join([b"[" * 60_000] * 6),
        b"\ndump\tweb\tnan\t3\tp\n", b"\ndump\tweb\t1e999\t3\tp\n",
        b"container", b"local", b"hold", b"current", b"pending", b"lock", b"held", b"occupant", b"dump",
        b"error", b"out", b"release", b"structure", b"mount", b"port", b"live", b"base.manifest", b"hash",
        b"-1", b"9" * 30, b"nan", b"inf", b"1e999", b"[" * 1500, b"{}", b"[]", b"null", b'"\\u001b"',
        b'{"80/tcp": [{"HostPort": 3}]}', B64, b"web", b"r1", b"file", b"644", b"../x", b"compose",
        b"00-compose.yaml", b"bundle.json", b"manifest", b"stack", b"line", b"busy", b"2026-02-26T23:04:00Z",
        b"begin", b"finished", b"ok 0", b"resume", b"cpu", b"mem", b"disk", b"uptime", b"ps", b"\xd9\xa3",
        b"sha256:1", b"secret", b"large", b"made",
    ),
    "json": (

        b'{"at": "2026-02-26T23:04:00Z", "by": "x", "host": "a", "what": "deploy", "subject": "s", "result": "r"}',
        b'{"files": [{"path": "conf/a"}]}', b'{"files": [{"path": "../a"}]}', b"[", b"{", b'"files":', b"]",
        b"}", b",", b'"path"', b":", b"null", b"1e999", b'"\\u001b[31m"', b'"\\ud800"', b"[" * 1500,
    ),
    "lines": (
        b"KEY=value", b"# generate 48 hex", b"# same as a.env KEY in x{}", b"# optional", b"export A='b'",
        b"=", b"by=", b"203.0.113.7", b"ssh-ed25519", b"AAAAC3NzaC1lZDI1NTE5AAAAIA==", b"@cert-authority",
        b"|1|x|y", b"*", b"c 644 conf/a", b"c 644 ../a", b"c 999 a", b"web\tx\tsha256:1\t-\t0", b"[a]:22",
    ),
}  # fmt: skip
GLUE = st.sampled_from((b"", b" ", b"\n", b"\t", b"\n  ", b": ", b"\n\t", b", "))
EVIL = st.sampled_from((b"\x1b]52;c;eA==\x07", b"\x9b31m", "\u202e\x9b31m\u2028".encode(), b"\x00", b"\r", b"\xff\xfe"))


@st.composite
def inputs(draw: st.DrawFn) -> bytes:
    """Pieces of one kind of file, glued at random, with hostile bytes and noise in between."""
    pieces = st.sampled_from(PIECES[draw(st.sampled_from(sorted(PIECES)))])
    parts = draw(st.lists(st.one_of(pieces, pieces, pieces, EVIL, st.binary(max_size=6)), max_size=14))
    return b"".join(part + draw(GLUE) for part in parts)


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
@given(raw=inputs())
def test_any_bytes_are_a_value_or_an_error_in_words(read: Callable[[bytes], object], raw: bytes) -> None:
    try:
        found = read(raw)
    except OperatorError as error:
        said = (str(error), error.message, error.output, error.remedy)
        assert all(is_safe(text) for text in said), said
        return
    assert all(is_safe(text) for text in texts(found))


KEYS = st.sampled_from(
    (
        "Id", "Name", "Names", "State", "Status", "Health", "Log", "Config", "Labels", "Env", "Cmd", "Image",
        "Ports", "HostConfig", "NetworkSettings", "Networks", "Mounts", "Created", "RestartCount", "Actor",
        "Attributes", "Action", "time", "timeNano", "Type", "StartedAt", "Memory", "NanoCpus",
    )
)  # fmt: skip
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(("\x1b]52;c;eA==\x07", "\u202e", "2026-02-26T23:04:00Z", "9999999999", "running")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(answer=st.dictionaries(KEYS, JSON, max_size=6) | JSON)
def test_any_answer_of_an_engine_is_safe_text_or_nothing(answer: Any) -> None:
    mapping = answer if isinstance(answer, dict) else {}
    found = [from_inspect(answer), from_list(answer), from_event(answer)]
    found += [container_facts(mapping), image_facts(mapping), masked(answer)]
    assert all(is_safe(text) for text in texts(found))
    json.dumps(container_facts(mapping))
