"""`adopted/<host>.yaml`: read with every mistake told, laid over compose files, rendered and read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.config import Fleet, Host, Ssh
from vpai_tui.deploy.adopt import render
from vpai_tui.deploy.bundle import read_bundle
from vpai_tui.fleet.adopted import Adopted, AdoptedStack, effective, load_adopted, override, with_roots
from vpai_tui.fleet.stacks import Stack, load_stacks
from vpai_tui.strict import ConfigError

FLEET = Fleet(hosts={"sese": Host(addresses=("198.18.0.1",), ssh=Ssh(user="u"))}, stacks=("sese/infra",))
COMPOSE = """\
services:
  db:
    image: postgres:18.1
    volumes: ["db:/var/lib/postgresql", "./conf:/etc/postgresql:ro"]
    networks: [backend]
  cache: {image: redis:8, volumes: ["cache:/data"], networks: [backend]}
networks:
  backend: {name: vpai_backend, internal: true, ipam: {config: [{subnet: 172.20.2.0/24}]}}
volumes: {db: {name: vpai_db}, cache: {name: vpai_cache, labels: {a: b}}}
"""
STACK = AdoptedStack(
    project="javisi",
    containers={"db": "javisi_db", "cache": "javisi-cache-1"},
    networks={"backend": "javisi_backend"},
    volumes={"cache": "javisi_cache"},
    mounts={"db": {"/var/lib/postgresql": "/opt/javisi/data/pg"}},
)


class Loader(yaml.SafeLoader):
    """Reads what only Compose knows."""


Loader.add_constructor("!reset", lambda _loader, _node: "reset")


def laptop(folder: Path, adopted: str | None = None) -> Path:
    home = folder / "stacks/sese/infra"
    home.mkdir(parents=True)
    (home / "compose.yaml").write_text(COMPOSE)
    (home / "stack.yaml").write_text("project: vpai\n")
    if adopted is not None:
        (folder / "adopted").mkdir()
        (folder / "adopted/sese.yaml").write_text(adopted)
    return folder


def loaded(folder: Path) -> Stack:
    files = load_adopted(folder / "adopted", FLEET)
    return load_stacks(folder / "stacks", with_roots(FLEET, files), files)[0]


def test_without_a_file_nothing_is_adopted(tmp_path: Path) -> None:
    stack = loaded(laptop(tmp_path))
    assert (stack.adopted, stack.override, stack.project) == (None, b"", "vpai")


def test_a_stack_takes_project_root_and_places_from_the_file(tmp_path: Path) -> None:
    folder = laptop(tmp_path, render("sese", Adopted(root="/opt/javisi", stacks={"infra": STACK})))
    stack = loaded(folder)
    assert stack.project == "javisi"
    assert with_roots(FLEET, load_adopted(folder / "adopted", FLEET)).hosts["sese"].root == "/opt/javisi"
    bundle = read_bundle(stack, "/opt/javisi")
    assert list(bundle.compose) == ["00-compose.yaml", "05-adopted.yaml"]
    assert bundle.compose["00-compose.yaml"] == COMPOSE.encode()
    assert (bundle.project, bundle.networks) == ("javisi", ("javisi_backend",))
    assert bundle.binds == ("/opt/javisi/conf", "/opt/javisi/data/pg")


def test_the_override_names_what_is_there_and_takes_definitions_back() -> None:
    body = yaml.load(override(yaml.safe_load(COMPOSE), STACK), Loader)
    assert body == {
        # the name that Compose gives by itself is not written: it would change the configuration
        "services": {"db": {"container_name": "javisi_db", "volumes": ["/opt/javisi/data/pg:/var/lib/postgresql"]}},
        "networks": {
            "backend": {"name": "javisi_backend", "external": True, "internal": "reset", "ipam": "reset"},
        },
        "volumes": {"cache": {"name": "javisi_cache", "external": True, "labels": "reset"}},
    }


def test_a_volume_mounted_by_its_own_name_is_declared() -> None:
    stack = AdoptedStack(project="p", mounts={"db": {"/etc/postgresql": "old_conf"}})
    body = yaml.load(override(yaml.safe_load(COMPOSE), stack), Loader)
    assert body["services"]["db"]["volumes"] == ["old_conf:/etc/postgresql:ro"]
    assert body["volumes"] == {"old_conf": {"name": "old_conf", "external": True}}


def test_what_is_effective_is_what_compose_would_merge() -> None:
    merged = effective(yaml.safe_load(COMPOSE), STACK)
    assert merged["networks"] == {"backend": {"name": "javisi_backend", "external": True}}
    assert sorted(merged["services"]["db"]["volumes"]) == [
        "./conf:/etc/postgresql:ro",
        "/opt/javisi/data/pg:/var/lib/postgresql",
    ]
    assert merged["services"]["cache"] == yaml.safe_load(COMPOSE)["services"]["cache"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("root: opt\n", "sese.yaml:1: root: expected an absolute path"),
        ("root: /opt/../x\n", 'sese.yaml:1: root: expected an absolute path without ".."'),
        ("root: /o\nstacks: {apps: {project: p}}\n", "sese.yaml:2: stacks.apps: expected a stack of sese (infra)"),
        ("root: /o\nstacks:\n  infra: {containers: {}}\n", "sese.yaml:3: stacks.infra.project: missing"),
        (
            "root: /o\nstacks:\n  infra:\n    project: p\n    containers: {web: x}\n",
            "sese.yaml:5: stacks.infra.containers.web: expected one of db, cache",
        ),
        (
            "root: /o\nstacks:\n  infra:\n    project: p\n    mounts:\n      db: {/data: /x}\n",
            "sese.yaml:6: stacks.infra.mounts.db./data: db mounts nothing at /data",
        ),
        ("root: /o\nstacks:\n  infra: {project: p, mounts: {db: {/d: '/a:b'}}}\n", "an absolute path on the host"),
        ("root: /o\nroots: 1\n", 'unknown key; did you mean "root"?'),
    ],
)
def test_mistakes_name_file_line_and_path(tmp_path: Path, text: str, said: str) -> None:
    folder = laptop(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        loaded(folder)
    assert said in str(error.value).replace('."/data"', "./data")


def test_a_file_of_no_host_is_told(tmp_path: Path) -> None:
    folder = laptop(tmp_path, "root: /o\n")
    (folder / "adopted/sese.yaml").rename(folder / "adopted/seze.yaml")
    with pytest.raises(ConfigError, match="expected the name of a host"):
        loaded(folder)


_NAMES = st.from_regex(r"\A[a-z][a-z0-9_.-]{0,12}\Z")
_PATHS = st.from_regex(r"\A/[a-zA-Z0-9 _.é'\"#-]{1,20}\Z")
_STACKS = st.builds(
    AdoptedStack,
    project=st.from_regex(r"\A[a-z0-9][a-z0-9_-]{0,12}\Z"),
    containers=st.dictionaries(st.sampled_from(["db", "cache"]), _NAMES),
    networks=st.dictionaries(st.just("backend"), _NAMES),
    volumes=st.dictionaries(st.sampled_from(["db", "cache"]), _NAMES),
    mounts=st.dictionaries(
        st.just("db"), st.dictionaries(st.just("/var/lib/postgresql"), st.one_of(_PATHS, _NAMES), min_size=1)
    ),
)


@given(stack=_STACKS)
def test_what_is_written_is_read_back(stack: AdoptedStack, tmp_path_factory: pytest.TempPathFactory) -> None:
    adopted = Adopted(root="/opt/javisi", stacks={"infra": stack})
    folder = tmp_path_factory.mktemp("adopted")
    (folder / "sese.yaml").write_text(render("sese", adopted))
    assert load_adopted(folder, FLEET)["sese"].spec == adopted
    body: dict[str, Any] = yaml.load(override(yaml.safe_load(COMPOSE), stack), Loader) or {}
    for part in ("networks", "volumes"):
        assert all(entry["external"] for entry in body.get(part, {}).values())
