"""The scripts that look at a disk and free it, as they are shipped, beside an engine that a test holds in files."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from vpai_tui.upkeep.disk.read import read_look
from vpai_tui.upkeep.disk.read import script as look_script
from vpai_tui.upkeep.disk.run import script

# images/ID: its names, a line each; containers: the ids of the images they are made of
DOCKER = """
I=$ENGINE/images
find_id() {
  [ -e "$I/$1" ] && { echo "$1"; return; }
  grep -lxF -- "$1" "$I"/* 2>/dev/null | head -n 1 | sed 's|.*/||'
}
case "$1 ${2-}" in
  "info "*) case $3 in *Driver*) printf '%s\\toverlay2\\n' "$ENGINE" ;;
    *) echo "$ENGINE" ;; esac ;;
  "ps "*) [ ! -e "$ENGINE/broken" ] || exit 1; cat "$ENGINE/containers" | nl -w 1 | cut -f 1 | sed 's/^/c/' ;;
  "inspect "*) cat "$ENGINE/containers" ;;
  "image inspect")
    id=$(find_id "$5"); [ -n "$id" ] || exit 1
    case $4 in *RepoTags*) cat "$I/$id" ;; *Parent*) cat "$ENGINE/parents/$id" 2>/dev/null ;; *) echo "$id" ;; esac ;;
  "image ls") ls "$I" ;;
  "rmi --no-prune")
    id=$(find_id "$3"); echo "rmi $3" >>"$ENGINE/done"
    if grep -qxF "$id" "$ENGINE/containers"; then echo "conflict: image is being used" >&2; exit 1; fi
    if [ "$3" = "$id" ]; then rm "$I/$id"; exit; fi
    grep -vxF -- "$3" "$I/$id" >"$I/.new"; mv "$I/.new" "$I/$id"; [ -s "$I/$id" ] || rm "$I/$id" ;;
  "builder prune") echo "$*" >>"$ENGINE/done"; echo "Total: 12MB" ;;
  *) echo "not known: $*" >&2; exit 1 ;;
esac
"""


class Machine:
    """A root with releases, and an engine."""

    def __init__(self, folder: Path) -> None:
        self.root, self.engine = folder / "root", folder / "engine"
        for part in ("images", "parents"):
            (self.engine / part).mkdir(parents=True)
        (self.engine / "containers").touch()
        (folder / "docker").write_text(f"#!/bin/sh\n{DOCKER}")
        (folder / "docker").chmod(0o755)
        self.folder = folder

    def image(self, name: str, *tags: str, parent: str = "") -> str:
        (self.engine / "images" / f"sha256:{name}").write_text("".join(f"{tag}\n" for tag in tags))
        if parent:
            (self.engine / "parents" / f"sha256:{name}").write_text(parent)
        return f"sha256:{name}"

    def release(self, stack: str, name: str, image: str, status: str, link: str = "") -> None:
        folder = self.root / "deploy/stacks" / stack / "releases" / name
        folder.mkdir(parents=True)
        (folder / "images.lock").write_text(f"web\tweb:1\t{image}\t-\t0\n")
        if status:
            (folder / "status").write_text(f"{status} 0 \n")
        if link:
            (folder.parents[1] / link).symlink_to(f"releases/{name}")

    def prune(self, *plan: str) -> tuple[int, list[list[str]]]:
        run = self.root / "deploy/upkeep/one"
        run.mkdir(parents=True)
        (run / "plan").write_text("".join(f"{row}\n" for row in plan))
        (self.folder / "prune.sh").write_bytes(script())
        env = {
            "PATH": os.environ["PATH"],
            "ROOT": str(self.root),
            "DOCKER": str(self.folder / "docker"),
            "WHO": "ann@lap",
            "ENGINE": str(self.engine),
        }
        done = subprocess.run(["sh", str(self.folder / "prune.sh"), "one"], env=env, capture_output=True, timeout=30)
        rows = [line.split("\t")[1:] for line in (run / "journal").read_text().splitlines()]
        return done.returncode, [row for row in rows if row[0] not in ("begin", "measured")]

    @property
    def images(self) -> set[str]:
        return {path.name.removeprefix("sha256:") for path in (self.engine / "images").iterdir()}

    @property
    def done(self) -> list[str]:
        path = self.engine / "done"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_what_the_plan_names_goes_by_its_names_and_without_force(machine: Machine) -> None:
    free = machine.image("aa", "web:1", "web:old")
    bare = machine.image("bb")
    code, told = machine.prune(f"image\t{free}\tweb:1 web:old", f"image\t{bare}\t-", "cache\t168")
    assert (code, machine.images) == (0, set())
    assert machine.done == [
        "rmi web:1", "rmi web:old", f"rmi {bare}", "builder prune -a -f --filter until=168h",
    ]  # fmt: skip
    assert told == [
        ["removed", free, "web:1 web:old"],
        ["removed", bare, "<none>"],
        ["removed", "cache", "Total: 12MB"],
        ["finished", "-", "committed 0 "],
    ]


def test_each_image_is_looked_at_again_under_the_lock(machine: Machine) -> None:
    used, moved, kept, gone = (machine.image(name) for name in ("aa", "bb", "cc", "dd"))
    (machine.engine / "containers").write_text(f"{used}\n")
    machine.image("bb", "web:2")
    machine.image("cc", "vpai.keep/web-web:cc")
    (machine.engine / "images" / gone).unlink()
    locked, base, tried, pending = (machine.image(name) for name in ("e1", "e2", "e3", "e4"))
    machine.release("web", "r1", locked, "ok", "current")
    machine.release("web", "r0", base, "adopted")
    machine.release("web", "r2", tried, "reverted")
    machine.release("db", "r3", pending, "revert_failed", "pending")
    fresh = machine.image("e5")
    machine.release("web", "r4.part", fresh, "")
    names = {moved: "web:1", kept: "vpai.keep/web-web:cc"}
    everything = (used, moved, kept, gone, locked, base, tried, pending, fresh)
    code, told = machine.prune(*(f"image\t{it}\t{names.get(it, '-')}" for it in everything))
    assert code == 0
    assert [row[1] for row in told if row[0] == "removed"] == [tried]
    reasons = {row[1]: row[2] for row in told if row[0] == "skipped"}
    needed = "a container or a release needs it by now"
    assert reasons == {
        used: needed, locked: needed, base: needed, pending: needed, fresh: needed,
        moved: "its names have changed: web:2", kept: "it is kept for a release", gone: "it is gone already",
    }  # fmt: skip
    assert machine.done == [f"rmi {tried}"]


def test_what_a_classic_build_left_between_goes_with_it_unless_something_stands_on_it(machine: Machine) -> None:
    between, shared = machine.image("b1"), machine.image("b2", parent="")
    top = machine.image("t1", "web:1", parent=between)
    machine.image("b1", parent=shared)
    machine.image("t2", "other:1", parent=shared)
    code, told = machine.prune(f"image\t{top}\tweb:1")
    assert (code, [row[1] for row in told if row[0] == "removed"]) == (0, [top, between])
    assert machine.images == {"b2", "t2"}


def test_an_engine_that_lists_nothing_is_no_licence(machine: Machine) -> None:
    free = machine.image("aa")
    (machine.engine / "broken").touch()
    code, told = machine.prune(f"image\t{free}\t-")
    assert (code, told) == (78, [["finished", "-", "refused 78 containers and releases cannot be listed"]])
    assert machine.done == []


def test_it_never_runs_beside_a_deploy(machine: Machine) -> None:
    free = machine.image("aa")
    (machine.root / "deploy").mkdir(parents=True)
    (machine.root / "deploy/owner").write_text("pid=1 apply web by ben since then\n")
    command = ["flock", str(machine.root / "deploy/lock"), "sh", "-c", "echo locked; exec sleep 20"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as deploy:
        assert deploy.stdout is not None
        deploy.stdout.readline()
        code, told = machine.prune(f"image\t{free}\t-")
        deploy.terminate()
    assert (code, told) == (75, [["finished", "-", "refused 75 pid=1 apply web by ben since then"]])
    assert machine.done == []


def test_a_look_finds_releases_and_measures_the_rest(machine: Machine, tmp_path: Path) -> None:
    machine.release("web", "r1", "sha256:aa", "ok", "current")
    machine.release("web", "r0", "sha256:bb", "reverted")
    fs = tmp_path / "fs"
    for path, size in {"usr/a": 300, "var/lib/containerd/content": 500, "var/lib/apt/b": 100, "var/log/x": 50}.items():
        (fs / path).parent.mkdir(parents=True, exist_ok=True)
        (fs / path).write_bytes(bytes(size << 10))
    argv = ["sh", "-s", "--", str(machine.root), str(machine.folder / "docker"), "10", "deep"]
    env = {"PATH": os.environ["PATH"], "ENGINE": str(machine.engine), "VPAI_FS": str(fs)}
    done = subprocess.run(argv, input=look_script(), env=env, capture_output=True, timeout=60)
    assert done.stderr == b""
    found = read_look(done.stdout, "sese")
    assert [(it.release, it.binding) for it in found.locks] == [("r0", False), ("r1", True)]
    assert [(it.name, it.releases) for it in found.own] == [("stacks/web", 2)]
    assert found.sizes["containerd"]["/var/lib/containerd"] >= 500 << 10
    assert set(found.sizes["other"]) == {"/usr", "/var/log", "/var/lib/apt"}
    assert found.wanted == 3 + found.elsewhere


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("content", [script(), look_script()], ids=["prune", "look"])
def test_shellcheck_has_nothing_to_say(content: bytes) -> None:
    done = subprocess.run(["shellcheck", "-s", "sh", "-"], input=content, capture_output=True)
    assert done.stdout == b""
