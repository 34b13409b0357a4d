"""What a plan says: nothing where nothing differs, and a cause for every difference."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.deploy.bundle import Bundle, ShippedFile, files_override
from vpai_tui.deploy.compare import ImageTarget, Wanted, compare, inexact, seconds
from vpai_tui.deploy.facts import HostFacts, RunningContainer
from vpai_tui.fleet.operation import Change, Effect

NAMES = ("web", "db", "worker", "cache")
IMAGE = "sha256:" + "a" * 64
NEW_IMAGE = "sha256:" + "b" * 64


def shipped(path: str, on_change: str = "recreate", content: str = "x", **keys: object) -> ShippedFile:
    digest = hashlib.sha256(content.encode()).hexdigest()
    return ShippedFile(path, "644", on_change, digest, digest, content.encode(), **keys)  # type: ignore[arg-type]


def bundle_of(services: tuple[str, ...], files: dict[str, str]) -> Bundle:
    """`files`: service → policy; each service of it mounts one file of its own."""
    labels = {name: f"label-{name}" for name, policy in files.items() if policy == "recreate"}
    return Bundle(
        stack="sese/apps",
        name="apps",
        project="apps",
        services=services,
        compose={"00-compose.yaml": b"", "10-files.yaml": files_override(labels)},
        files=tuple(
            shipped(f"configs/{name}", policy, reload="reload it" if policy == "reload" else "")
            for name, policy in files.items()
        ),
        envs=("/opt/vpai/app.env",),
        optional_envs=(),
        env_of=dict.fromkeys(services, ("/opt/vpai/app.env",)),
        binds=(),
        networks=(),
        files_of={name: (f"configs/{name}",) for name in files},
        labels=labels,
    )


def structure(services: tuple[str, ...]) -> dict[str, object]:
    return {"services": {name: {"image": f"lab/{name}:1", "labels": {"a": "1"}} for name in services}}


def facts_of(bundle: Bundle) -> HostFacts:
    """A host that runs exactly the bundle."""
    return HostFacts(
        current="r1",
        compose="2.40.3",
        containers=[
            RunningContainer(
                f"id-{n}", f"apps-{n}-1", "running", n, f"hash-{n}", IMAGE, "2.40.3", bundle.labels.get(n, "")
            )
            for n in bundle.services
        ],
        hashes={name: f"hash-{name}" for name in bundle.services},
        refs={name: f"lab/{name}:1" for name in bundle.services},
        files={item.path: item.sha256 for item in bundle.files},
        structure=structure(bundle.services),
        blobs={
            "base.structure.json": json.dumps(structure(bundle.services)).encode(),
            "base.services": "".join(f"{name}\n" for name in bundle.services).encode(),
        },
    )


def wanted_of(bundle: Bundle, **keys: object) -> Wanted:
    targets = {
        name: ImageTarget(name, f"lab/{name}:1", IMAGE, f"lab/{name}@sha256:{'c' * 64}") for name in bundle.services
    }
    return Wanted(bundle, targets, frozenset({"db"}), frozenset(), **keys)  # type: ignore[arg-type]


services_lists = st.lists(st.sampled_from(NAMES), min_size=1, unique=True).map(tuple)


@st.composite
def bundles(draw: st.DrawFn) -> Bundle:
    services = draw(services_lists)
    policies = st.sampled_from(["recreate", "restart", "reload", "none"])
    return bundle_of(services, draw(st.dictionaries(st.sampled_from(services), policies)))


@given(bundles())
def test_a_host_that_runs_the_bundle_needs_nothing(bundle: Bundle) -> None:
    result = compare(wanted_of(bundle), facts_of(bundle))
    assert [(change.service, change.effect, change.causes) for change in result.changes] == [
        (name, Effect.NONE, ()) for name in bundle.services
    ]


def _container(facts: HostFacts, service: str, **values: str) -> None:
    facts.containers = [replace(item, **values) if item.service == service else item for item in facts.containers]


def _gone(facts: HostFacts, service: str) -> None:
    facts.containers = [item for item in facts.containers if item.service != service]


DIFFERENCES: dict[str, Callable[[HostFacts, str], object]] = {
    "new": _gone,
    "config": lambda facts, name: _container(facts, name, config_hash="another"),
    "image": lambda facts, name: _container(facts, name, image_id=NEW_IMAGE),
    "state": lambda facts, name: _container(facts, name, state="exited"),
}


@given(bundles(), st.sampled_from(sorted(DIFFERENCES)), st.data())
def test_every_difference_has_one_cause_and_touches_one_service(bundle: Bundle, kind: str, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(bundle.services))
    facts = facts_of(bundle)
    DIFFERENCES[kind](facts, name)
    changes = {change.service: change for change in compare(wanted_of(bundle), facts).changes}
    assert [cause.kind for cause in changes[name].causes] == [kind]
    assert all(cause.detail for cause in changes[name].causes)
    assert {service for service, change in changes.items() if change.effect is not Effect.NONE} == {name}


@given(bundles(), st.data())
def test_a_file_changed_on_the_host_has_the_effect_its_policy_says(bundle: Bundle, data: st.DataObject) -> None:
    if not bundle.files:
        return
    item = data.draw(st.sampled_from(bundle.files))
    facts = facts_of(bundle)
    facts.files[item.path] = "missing"
    change = next(c for c in compare(wanted_of(bundle), facts).changes if item.path.endswith(f"/{c.service}"))
    expected = {"reload": Effect.RELOAD, "none": Effect.NONE}.get(item.on_change, Effect.RESTART)
    assert change.effect is expected
    assert [cause.detail for cause in change.causes] == ([] if expected is Effect.NONE else [item.path])


def one(bundle: Bundle, facts: HostFacts, service: str = "web", wanted: Wanted | None = None) -> Change:
    return next(c for c in compare(wanted or wanted_of(bundle), facts).changes if c.service == service)


WEB = bundle_of(("web",), {"web": "recreate"})


def test_changed_keys_of_the_configuration_are_named_and_their_secrets_masked() -> None:
    facts = facts_of(WEB)
    _container(facts, "web", config_hash="old")
    facts.structure = {"services": {"web": {"image": "lab/web:1", "environment": {"API_KEY": "new-value"}}}}
    before = {"services": {"web": {"image": "lab/web:1", "environment": {"API_KEY": "old-value"}, "ports": ["1"]}}}
    facts.blobs["base.structure.json"] = json.dumps(before).encode()
    (cause,) = one(WEB, facts).causes
    assert cause.detail == "environment, ports"
    assert "API_KEY" in cause.before
    assert "value" not in cause.before + cause.after


def test_labels_may_be_written_as_a_list_and_ours_is_none_of_the_configuration() -> None:
    bundle = bundle_of(("web",), {})
    facts = facts_of(bundle)
    facts.hashes["web"] = "other"
    facts.blobs["base.structure.json"] = b'{"services": {"web": {"image": "x", "labels": {"a": "1"}}}}'
    for labels, same in ((["a=1", "vpai.files=x"], True), (["a=2"], False), (["a"], False)):
        facts.structure = {"services": {"web": {"image": "x", "labels": labels}}}
        (change,) = compare(wanted_of(bundle), facts).changes
        told = "its configuration differs from what runs" if same else "labels"
        assert [cause.detail for cause in change.causes] == [told]


@pytest.mark.parametrize(
    ("was", "version", "notes"),
    [({}, "2.40.3", 0), ({"web": "hash-web"}, "2.40.3", 0), ({"web": "z"}, "2.40.3-1", 1), ({"web": "z"}, "5.0.0", 0)],
)
def test_a_compose_file_changed_since_it_was_brought_up_is_told(was: dict[str, str], version: str, notes: int) -> None:
    facts = replace(facts_of(bundle_of(("web",), {})), was_hashes=was, compose=version)
    assert len(inexact(facts)) == notes


def test_env_keys_are_named_when_they_made_the_hash_another() -> None:
    facts = facts_of(WEB)
    facts.env_keys = {"/opt/vpai/app.env": [("~", "TOKEN"), ("+", "NEW")]}
    assert one(WEB, facts).effect is Effect.NONE  # the container was made since
    _container(facts, "web", config_hash="old")
    assert [cause.detail for cause in one(WEB, facts).causes] == [
        "~ TOKEN in /opt/vpai/app.env",
        "+ NEW in /opt/vpai/app.env",
    ]


def test_another_compose_is_the_cause_of_last_resort() -> None:
    facts = facts_of(WEB)
    _container(facts, "web", config_hash="old", compose_version="2.26.1")
    assert [(c.kind, c.detail) for c in one(WEB, facts).causes] == [
        ("compose_upgrade", "compose 2.26.1 → 2.40.3 reads it differently")
    ]


def test_a_label_that_differs_names_its_files() -> None:
    facts = facts_of(WEB)
    _container(facts, "web", config_hash="old", files_label="old")
    facts.files["configs/web"] = "0" * 64
    change = one(WEB, facts)
    assert (change.effect, [(c.kind, c.detail) for c in change.causes]) == (
        Effect.RECREATE,
        [("files", "configs/web")],
    )


def test_what_runs_since_before_us_is_left_alone_while_its_files_are_the_same() -> None:
    facts = facts_of(WEB)
    _container(facts, "web", config_hash="plain", files_label="")
    facts.plain_hashes = {"web": "plain"}
    result = compare(wanted_of(WEB), facts)
    assert (result.changes[0].effect, result.unlabelled) == (Effect.NONE, {"web"})
    facts.files["configs/web"] = "0" * 64
    result = compare(wanted_of(WEB), facts)
    assert (result.changes[0].effect, result.unlabelled) == (Effect.RECREATE, set())


def test_removed_services_come_first_and_only_while_they_run() -> None:
    facts = facts_of(bundle_of(("db", "web"), {}))
    bundle = bundle_of(("web",), {})
    changes = compare(wanted_of(bundle), facts).changes
    assert [(c.service, c.effect, c.has_data) for c in changes] == [
        ("db", Effect.REMOVE, True),
        ("web", Effect.NONE, False),
    ]
    _gone(facts, "db")
    assert [c.service for c in compare(wanted_of(bundle), facts).changes] == ["web"]


def test_a_replaced_parent_takes_along_who_shares_its_network() -> None:
    bundle = bundle_of(("web", "worker"), {})
    facts = facts_of(bundle)
    facts.netns = {"worker": "web"}
    _container(facts, "web", config_hash="old")
    change = one(bundle, facts, "worker")
    assert (change.effect, change.causes[0].kind) == (Effect.RECREATE, "network")


def test_a_leftover_of_a_dead_compose_is_not_the_service() -> None:
    facts = facts_of(WEB)
    facts.containers.append(replace(facts.containers[0], name="0123456789ab_apps-web-1", config_hash="half"))
    assert one(WEB, facts).effect is Effect.NONE


@pytest.mark.parametrize(
    ("target", "kind", "text"),
    [
        (ImageTarget("web", "lab/web:1", NEW_IMAGE, None), "image", "lab/web:1: aaaaaaaaaaaa → bbbbbbbbbbbb"),
        (
            ImageTarget("web", "lab/web:1", None, "lab/web@sha256:" + "d" * 64),
            "image",
            "lab/web:1: aaaaaaaaaaaa → digest dddddddddddd, to be pulled",
        ),
        (
            ImageTarget("web", "vpai.build/apps-web:1", None, None, built=True),
            "build",
            "built on the host as vpai.build/apps-web:1",
        ),
    ],
)
def test_image_causes_name_both_sides(target: ImageTarget, kind: str, text: str) -> None:
    facts = facts_of(WEB)
    wanted = replace(wanted_of(WEB), targets={"web": target})
    assert [(c.kind, c.detail) for c in one(WEB, facts, wanted=wanted).causes] == [(kind, text)]


def test_interruption_is_the_grace_and_one_check() -> None:
    facts = facts_of(WEB)
    service = {"stop_grace_period": "1m", "healthcheck": {"interval": "10s"}}
    facts.structure = {"services": {"web": service}}
    _container(facts, "web", config_hash="old")
    assert one(WEB, facts).interruption_s == 70
    _gone(facts, "web")
    assert one(WEB, facts).interruption_s is None


@pytest.mark.parametrize(
    ("text", "expected"), [("1m30s", 90), ("500ms", 0.5), ("2h", 7200), ("1.5s", 1.5), ("", None), (None, None)]
)
def test_durations_of_compose(text: str | None, expected: float | None) -> None:
    assert seconds(text) == expected
