"""The corpus of what a hostile host may answer: safe text, or an error in words; never another exception."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from corpus_cases import NONE, Case, cases, is_safe, names
from vpai_tui.backend import sections
from vpai_tui.deploy.apply import as_event
from vpai_tui.deploy.bundle import bundle_on_host
from vpai_tui.deploy.compare import Wanted, compare
from vpai_tui.deploy.facts import HostFacts, RunningContainer, parse
from vpai_tui.deploy.plan import _notes
from vpai_tui.deploy.release import locked_targets, releases_of
from vpai_tui.errors import OperatorError, PreflightRefused
from vpai_tui.fleet.containers import after_event, from_event, from_inspect, from_list
from vpai_tui.fleet.describe import container_facts, image_facts, masked
from vpai_tui.fleet.history import History
from vpai_tui.fleet.metrics import MetricsParser
from vpai_tui.fleet.stacks import Stack, load_stack
from vpai_tui.remote.hostkeys import HostKeys
from vpai_tui.remote.job import parse_line
from vpai_tui.verbs.say_stacks import EventPrinter

NOW = datetime(2026, 2, 26, 23, 4, tzinfo=UTC)
ENGINE, LINES, RELEASE = cases("engine"), cases("lines"), cases("release")
SOUND: dict[str, Any] = {
    "Id": "6e386e6e386e",
    "Name": "/javisi_n8n",
    "Created": "2026-02-26T23:04:00Z",
    "RestartCount": 0,
    "State": {"Status": "running", "ExitCode": 0, "StartedAt": "2026-02-26T23:04:00.5Z", "Health": {"Log": []}},
    "Config": {"Image": "n8n:2", "Labels": {"com.docker.compose.project": "apps"}, "Env": ["A=1"], "Cmd": ["n8n"]},
    "HostConfig": {"Memory": 1, "NanoCpus": 10**9, "RestartPolicy": {"Name": "no"}},
    "NetworkSettings": {"Networks": {}, "Ports": {}},
    "Mounts": [],
}


def answer(case: Case) -> Any:
    """The engine's answer: the case's value, in its place."""
    more = case.more
    if "event_digits" in more:
        nanos = "9" * more["event_digits"]
        return json.loads(f'{{"Type": "container", "Action": "die", "Actor": {{"ID": "x"}}, "timeNano": {nanos}}}')
    if "nested" in more:
        value: Any = "\x1b[31m"
        for _ in range(more["nested"]):
            value = [value]
    elif "many" in more:
        value = {f"\x1b[31m{number}": "\x9b" for number in range(more["many"])}
    elif "digits" in more:
        value = json.loads("9" * more["digits"])
    else:
        value = "/" + "\x1b" * more["long"] if "long" in more else json.loads(more["json"])
    whole = json.loads(json.dumps(SOUND))
    place = more.get("at")
    if not place:
        return value
    inner = whole
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return whole


def texts(value: object) -> list[str]:
    """Every text within plain data, keys too."""
    if isinstance(value, dict):
        return [text for pair in value.items() for item in pair for text in texts(item)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("case", ENGINE, ids=names(ENGINE))
def test_an_engines_answer_is_safe_text(case: Case) -> None:
    told, mapping = answer(case), answer(case)
    mapping = mapping if isinstance(mapping, dict) else {}
    facts = {"inspect": container_facts, "list": container_facts, "event": container_facts, "image": image_facts}
    shown = texts(facts[case.more["kind"]](mapping))
    found = from_inspect(told) or from_list(told)
    assert all(is_safe(text) for text in texts(json.loads(json.dumps(found and repr(found)))))
    listed, event = from_list(told), from_event(told)
    sound = from_inspect(SOUND)
    assert sound is not None
    if event is not None:
        shown += [event.name, event.action, event.detail, event.container, repr(after_event(sound, event))]
    if listed is not None:
        shown += [listed.name, listed.state, listed.image, *listed.labels, *listed.labels.values()]
        shown += [str(port) for port in listed.ports]
    shown += [yaml.safe_dump(masked(told), allow_unicode=True)]
    shown += [text for section in sections(container_facts(mapping)) for pair in section.items for text in pair]
    assert all(is_safe(text) for text in shown)


def stack_of(folder: Path) -> Stack:
    home = folder / "a" / "web"
    home.mkdir(parents=True)
    (home / "stack.yaml").write_text("files: [{path: conf}]\n")
    (home / "conf").mkdir()
    (home / "conf" / "a").write_text("x")
    (home / "compose.yaml").write_text("services: {web: {image: x}, db: {image: y}}\n")
    return load_stack(folder, "a/web")


LISTS = {
    "bundle.json": b'{"files": [{"path": "conf/a", "mode": "644", "on_change": "recreate", "sha256": "c"}]}',
    "files.sha256": b"c 644 conf/a\n",
    "images.lock": b"web\tx\tsha256:1\t-\t0\n",
    "manifest": b"by=me\n",
    "services": b"web\n",
    "structure.json": b'{"services": {}}',
}


@pytest.mark.parametrize("case", RELEASE, ids=[f"{case.more['file']}: {case.name}" for case in RELEASE])
def test_a_release_of_a_hostile_host_is_refused_or_safe(case: Case, tmp_path: Path) -> None:
    lists = {**LISTS, case.more["file"]: case.raw}
    stack = stack_of(tmp_path)
    if case.error != NONE:
        with pytest.raises(PreflightRefused) as caught:
            bundle_on_host(stack, "r1", lists, {})
        assert caught.value.exit_code == case.exit
        assert case.says in caught.value.message
        assert is_safe(str(caught.value))
        return
    bundle = bundle_on_host(stack, "r1", lists, {})
    targets = locked_targets(lists["images.lock"])
    facts = HostFacts(
        releases=[("r1", "ok 0", lists["manifest"], lists["images.lock"])],
        blobs={f"base.{name}": content for name, content in lists.items()},
        containers=[RunningContainer("1", "web", "running", "web", "h", "sha256:2", "2", "")],
    )
    changes = compare(Wanted(bundle, targets, frozenset(bundle.data), frozenset()), facts).changes
    shown = [*bundle.services, *bundle.data, *(item.path for item in bundle.files), repr(changes), *_notes(facts)]
    shown += [text for item in releases_of(facts) for text in (item.id, item.at, item.by, item.reason, repr(item))]
    assert all(is_safe(text) for text in shown)


def of_kind(kind: str) -> list[Case]:
    return [case for case in LINES if case.more["kind"] == kind]


def probe_answer(case: Case) -> bytes:
    if "structure_nested" in case.more:
        content = (
            b'{"services": {"web": '
            + b"[" * case.more["structure_nested"]
            + b"]" * case.more["structure_nested"]
            + b"}}"
        )
    elif "structure" in case.more:
        content = str(case.more["structure"]).encode()
    else:
        return case.raw
    return b"structure\t" + base64.b64encode(content) + b"\nend\n"


@pytest.mark.parametrize("case", of_kind("probe"), ids=names(of_kind("probe")))
def test_a_probes_answer_is_understood_or_refused(case: Case, tmp_path: Path) -> None:
    if case.error != NONE:
        with pytest.raises(OperatorError) as caught:
            parse(probe_answer(case), "sese")
        assert caught.value.exit_code == case.exit
        assert case.says in caught.value.message
        assert is_safe(str(caught.value) + caught.value.output)
        return
    facts = parse(probe_answer(case), "sese")
    facts.blobs["base.structure.json"] = json.dumps(facts.structure).encode() or b"{}"
    facts.containers.append(RunningContainer("1", "web", "running", "web", "h", "sha256:2", "2", ""))
    facts.hashes["web"] = "other"
    bundle = bundle_on_host(stack_of(tmp_path), "r1", LISTS, {})
    changes = compare(Wanted(bundle, {}, frozenset(), frozenset()), facts).changes
    shown = [facts.current or "", facts.pending or "", facts.owner, facts.compose, *facts.hashes, *facts.errors]
    shown += [*facts.errors.values(), repr(changes), *_notes(facts), *map(repr, releases_of(facts))]
    assert all(is_safe(text) for text in shown)


@pytest.mark.parametrize("case", of_kind("metrics"), ids=names(of_kind("metrics")))
def test_metrics_are_figures_or_nothing(case: Case) -> None:
    parser, shown = MetricsParser("sese"), []
    for line in case.raw.split(b"\n"):
        sample = parser.feed(line, at_boot_s=1.0, now=NOW, rtt_s=0.1)
        shown.append(repr(sample))
        assert sample is None or len(sample.deploys) <= 512
    assert all(is_safe(text) for text in shown)


@pytest.mark.parametrize("case", of_kind("journal"), ids=names(of_kind("journal")))
def test_a_journal_line_is_a_safe_event_or_none(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    line = parse_line(case.raw)
    if line is None:
        return
    for as_json in (False, True):
        EventPrinter(as_json=as_json).event(as_event(line))
    shown = capsys.readouterr().out
    assert is_safe(shown)
    assert "hunter2" not in shown


@pytest.mark.parametrize("case", of_kind("history"), ids=names(of_kind("history")))
def test_the_journal_of_the_laptop_is_read_around_what_is_broken(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(case.raw)
    entries, bad = History(path).read()
    assert bad == case.more["bad"]
    assert all(is_safe(repr(entry)) for entry in entries)
    assert path.read_bytes() == case.raw


@pytest.mark.parametrize("case", of_kind("known_hosts"), ids=names(of_kind("known_hosts")))
def test_a_broken_known_hosts_vouches_for_nobody(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_bytes(case.raw)
    keys = HostKeys.read(str(path), ["example.org", "203.0.113.7"], 22)
    assert [entry for entry in keys.known if entry.path == path] == []
    assert path.read_bytes() == case.raw


def test_the_sound_answer_is_told() -> None:
    """What the cases break is otherwise understood."""
    found = from_inspect(SOUND)
    assert found is not None
    assert replace(found, labels={}).name == "javisi_n8n"
    assert container_facts(SOUND)["limits"] == {"memory_bytes": 1, "cpus": 1.0}
