"""What is sent: the same input gives the same bytes, and nothing of the laptop's secrets or clock."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from vpai_tui.deploy.builds import Build, builds_of, tar_of
from vpai_tui.deploy.bundle import Bundle, bundle_on_host, describe, read_bundle
from vpai_tui.deploy.host import lines
from vpai_tui.deploy.live import without_live_keys
from vpai_tui.errors import UsageError
from vpai_tui.fleet.stacks import load_stack

COMPOSE: dict[str, Any] = {
    "services": {
        "db": {"image": "postgres:18.1", "env_file": ["./configs/db.env"], "volumes": ["data:/var/lib/postgresql"]},
        "web": {
            "build": {"context": "./build", "args": {"WORD": "w"}},
            "depends_on": ["db"],
            "env_file": [{"path": "/etc/web.env", "required": False}],
            "volumes": ["./configs/web:/etc/web:ro", "/srv/files:/srv:ro", "${ELSEWHERE}:/x"],
            "networks": ["outer"],
        },
    },
    "volumes": {"data": {}},
    "networks": {"outer": {"external": True, "name": "backbone"}},
}
SPEC: dict[str, Any] = {
    "project": "vpai",
    "files": [
        {"path": "configs/web"},
        {"path": "configs/web/live.yaml"},
        {"path": "configs/web/r", "on_change": "none"},
    ],
    "live": [{"file": "configs/web/live.yaml", "keys": ["a.b"]}],
    "data": ["db"],
}
FILES = {
    "configs/web/app.conf": "x\n",
    "configs/web/live.yaml": "a:\n  b: 1\n  c: 2\n",
    "configs/web/r": "r\n",
    "build/Dockerfile": "FROM x\n",
    "build/run.sh": "#!/bin/sh\n",
}


def write(folder: Path, files: dict[str, str] | None = None, spec: dict[str, Any] | None = None) -> Path:
    home = folder / "sese/apps"
    for path, content in {**FILES, **(files or {})}.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(content)
    (home / "build/run.sh").chmod(0o755)
    (home / "compose.yaml").write_text(yaml.safe_dump(COMPOSE, sort_keys=False))
    (home / "stack.yaml").write_text(yaml.safe_dump(spec or SPEC))
    return home


def read(folder: Path) -> Bundle:
    return read_bundle(load_stack(folder, "sese/apps"), "/opt/vpai")


def test_a_stack_becomes_lists_of_what_the_host_must_have(tmp_path: Path) -> None:
    write(tmp_path)
    bundle = read(tmp_path)
    assert (bundle.stack, bundle.name, bundle.project, bundle.services) == ("sese/apps", "apps", "vpai", ("db", "web"))
    assert (bundle.envs, bundle.optional_envs) == (("/opt/vpai/configs/db.env",), ("/etc/web.env",))
    assert bundle.binds == ("/srv/files",)  # shipped ones come with us, those with variables only the host knows
    assert bundle.networks == ("backbone",)
    assert bundle.lives == ("configs/web/live.yaml",)
    assert bundle.files_of == {"web": ("configs/web/app.conf", "configs/web/live.yaml", "configs/web/r")}
    assert list(bundle.labels) == ["web"]
    override = yaml.safe_load(bundle.compose["10-files.yaml"])
    assert override == {"services": {"web": {"labels": {"vpai.files": bundle.labels["web"]}}}}


def test_the_same_folder_gives_the_same_bundle_whenever_and_wherever(tmp_path: Path) -> None:
    home = write(tmp_path / "a")
    write(tmp_path / "b")
    for path in home.rglob("*"):
        os.utime(path, (1, 1))
    one, other = read(tmp_path / "a"), read(tmp_path / "b")
    assert one == other
    assert describe(one) == describe(other)
    assert one.builds[0].tag == other.builds[0].tag


@pytest.mark.parametrize(
    ("changed", "label_moves", "tag_moves"),
    [
        ({"configs/web/app.conf": "y\n"}, True, False),
        ({"configs/web/live.yaml": "a:\n  b: 1\n  c: 3\n"}, True, False),
        ({"configs/web/live.yaml": "a:\n  b: 99\n  c: 2\n"}, False, False),  # a live key
        ({"configs/web/r": "s\n"}, False, False),  # on_change: none
        ({"build/run.sh": "#!/bin/sh\nexit\n"}, False, True),
    ],
)
def test_what_moves_the_label_and_what_the_build_tag(
    tmp_path: Path, changed: dict[str, str], label_moves: bool, tag_moves: bool
) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b", changed)
    one, other = read(tmp_path / "a"), read(tmp_path / "b")
    assert (one.labels != other.labels) is label_moves
    assert (one.builds[0].tag != other.builds[0].tag) is tag_moves


def build(folder: Path, spec: Any, files: dict[str, str] | None = None) -> Build:
    home = write(folder, files)
    services = {"web": {"build": spec}}
    (home / "compose.yaml").write_text(yaml.safe_dump({"services": services}))
    (home / "stack.yaml").write_text("project: vpai\n")
    (found,) = builds_of(load_stack(folder, "sese/apps"))
    return found


@pytest.mark.parametrize(
    ("args", "given"),
    [
        (
            {"A": True, "B": False, "C": None, "D": 1, "E": "", "F": "x"},
            (("A", "true"), ("B", "false"), ("D", "1"), ("E", ""), ("F", "x")),
        ),
        (["A=1=2", "B", "C="], (("A", "1=2"), ("C", ""))),
        ({}, ()),
    ],
)
def test_build_args_are_what_compose_makes_of_them(tmp_path: Path, args: Any, given: tuple[Any, ...]) -> None:
    assert build(tmp_path, {"context": "./build", "args": args}).args == given


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"context": "./build", "args": {"A": "${VERSION}"}}, "a variable cannot be used"),
        ({"context": "./build", "dockerfile": "$FILE"}, "a variable cannot be used"),
        ({"context": "${WHERE}"}, "a variable cannot be used"),
        ({"context": "./build", "secrets": ["x"], "ssh": ["default"]}, "secrets, ssh is not supported"),
    ],
)
def test_a_build_that_only_compose_could_make_is_refused(tmp_path: Path, spec: Any, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        build(tmp_path, spec)


def test_what_dockerignore_names_is_not_sent_and_moves_no_tag(tmp_path: Path) -> None:
    files = {"build/.dockerignore": "# no\nnode_modules\n*.md\n!keep.md\n", "build/keep.md": "k", "build/sub/a": "a"}
    one = build(tmp_path / "a", "./build", files)
    other = build(tmp_path / "b", "./build", {**files, "build/node_modules/x/y": "y", "build/no.md": "n"})
    with tarfile.open(fileobj=io.BytesIO(other.context)) as tar:
        assert tar.getnames() == [".dockerignore", "Dockerfile", "keep.md", "run.sh", "sub/a"]
    assert one.tag == other.tag


def test_a_tar_holds_no_time_and_no_user(tmp_path: Path) -> None:
    entries = [("a/b", b"1", "755"), ("c", b"", "600")]
    raw = tar_of(entries)
    assert raw == tar_of(entries)
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        assert [(m.name, m.mode, m.mtime, m.uid, m.uname) for m in tar] == [
            ("a/b", 0o755, 0, 0, ""),
            ("c", 0o600, 0, 0, ""),
        ]


def test_a_release_read_back_from_its_host_is_the_bundle_that_was_sent(tmp_path: Path) -> None:
    write(tmp_path)
    stack, sent = load_stack(tmp_path, "sese/apps"), read(tmp_path)
    lists = {
        "bundle.json": describe(sent),
        "services": lines(sent.services),
        "envs": lines(sent.envs),
        "envs.optional": lines(sent.optional_envs),
        "networks": lines(sent.networks),
        "files.sha256": lines(f"{item.sha256} {item.mode} {item.path}" for item in sent.files),
        "manifest": b"kind=deploy\n",
    }
    back = bundle_on_host(stack, "r1", lists, {"configs/web/live.yaml": FILES["configs/web/live.yaml"].encode()})
    for name in (
        "services",
        "envs",
        "optional_envs",
        "env_of",
        "networks",
        "files_of",
        "labels",
        "lives",
        "one_shots",
        "data",
    ):
        assert getattr(back, name) == getattr(sent, name), name
    assert [(f.path, f.mode, f.sha256, f.identity) for f in back.files] == [
        (f.path, f.mode, f.sha256, f.identity) for f in sent.files
    ]
    assert back.source == "r1"


def test_a_release_keeps_what_it_said_of_its_services_and_the_laptops_live_keys_join_its_own(tmp_path: Path) -> None:
    home = write(tmp_path)
    sent = read(tmp_path)
    now = {**SPEC, "data": [], "one_shots": ["web"], "live": [{"file": "configs/web/live.yaml", "keys": ["a.c"]}]}
    (home / "stack.yaml").write_text(yaml.safe_dump(now))
    lists = {
        "bundle.json": describe(sent),
        "files.sha256": lines(f"{item.sha256} {item.mode} {item.path}" for item in sent.files),
    }
    content = FILES["configs/web/live.yaml"].encode()
    back = bundle_on_host(load_stack(tmp_path, "sese/apps"), "r1", lists, {"configs/web/live.yaml": content})
    (live,) = (item for item in back.files if item.live_keys)
    assert live.live_keys == ("a.b", "a.c")
    assert live.identity == hashlib.sha256(without_live_keys(content, ("a.b", "a.c"))).hexdigest()
    assert (back.data, back.one_shots) == (("db",), ())


def test_an_adopted_release_has_the_hosts_files_and_no_label(tmp_path: Path) -> None:
    write(tmp_path)
    stack, sent = load_stack(tmp_path, "sese/apps"), read(tmp_path)
    lists = {
        "bundle.json": describe(sent),
        "services": b"web\n",
        "files.sha256": b"abc 600 configs/web/app.conf\n",
        "manifest": b"id=r0\nkind=adopted\n",
    }
    back = bundle_on_host(stack, "r0", lists, {})
    assert [(f.path, f.mode, f.sha256, f.identity) for f in back.files] == [
        ("configs/web/app.conf", "600", "abc", "abc")
    ]
    assert back.labels == {}


@pytest.mark.parametrize("bad", ["a\nb", "a\tb"])
def test_a_name_that_the_lists_cannot_carry_is_refused(bad: str) -> None:
    with pytest.raises(UsageError, match="line break or a tab"):
        lines([bad])
