"""`adopt` on a host, as its script is shipped: what r0 keeps, and that a half of it never becomes the way back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from runner_host import Host

R0 = "00000000T000000-r0"
LISTED = "\\t".join(
    ("{id}", "web-{id}", "running", "{service}", "hash", "image", "v", "", "{file}", "{folder}", "web:1")
)


class Before(Host):
    """A host that runs two services of a Compose file of its own, and that has no release of ours."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        (self.home / "current").unlink()
        shutil.rmtree(self.home / "releases/20260101T000000-0001")
        self.own = root / "own"
        self.own.mkdir()
        (self.own / "docker-compose.yml").write_text("services: {}\n")
        (self.own / ".env").write_text("OWN_PASSWORD=ownsecretvalue\n")
        (root / "web.env").write_text("DB_PASSWORD=hunter2secret\n")
        (self.release / "envs").write_text(f"{root}/web.env\n")
        (self.release / "services").write_text("web\ndb\n")
        (self.release / "bundle.json").write_text("{}")
        self.docker()

    def docker(self, inspect: str = "printf '%s\\tweb:1\\tsha256:aa\\n' \"$1\"", disk: str = "") -> None:
        rows = "".join(
            LISTED.format(id=name, service=name, file=self.own / "docker-compose.yml", folder=self.own) + "\\n"
            for name in ("web", "db")
        )
        self.say(
            f"{disk}\ncase $1 in\n  ps) printf '{rows}' ;;\n"
            f'  inspect) set -- "$(printf %s "$3" | cut -f 1)" "$4"; {inspect} ;;\nesac'
        )

    @property
    def r0(self) -> Path:
        return self.home / "releases" / R0


@pytest.fixture
def host(tmp_path: Path) -> Before:
    return Before(tmp_path)


def test_what_runs_becomes_r0_with_the_names_of_its_env_files(host: Before) -> None:
    assert host.run("adopt") == 0, host.journal
    assert (host.home / "current").readlink() == Path(f"releases/{R0}")
    assert (host.r0 / "images.lock").read_text().splitlines() == [
        "web\tweb:1\tsha256:aa\t-\t1",
        "db\tweb:1\tsha256:aa\t-\t1",
    ]
    assert (host.r0 / "envs.optional").read_text() == f"{host.root}/web.env\n"
    (host.r0 / "out.log").write_text("hunter2secret ownsecretvalue\n")
    told = host.sh(_common() + b'mask "$HOME_OF/current" <"$HOME_OF/current/out.log"\n').stdout.decode()
    assert told == "••• •••\n"


def _common() -> bytes:
    from vpai_tui.deploy.host import script

    return script("common.sh")


def test_an_image_that_cannot_be_told_is_no_way_back(host: Before) -> None:
    host.docker(inspect='[ "$2" != db ] || exit 1; printf \'%s\\tweb:1\\tsha256:aa\\n\' "$1"')
    assert host.run("adopt") == 78
    assert host.status.startswith("refused 78 the images that run now could not all be told")
    assert not (host.home / "current").is_symlink()
    assert not host.r0.exists()


@pytest.mark.parametrize("name", ["project", "project_dir", "services", "manifest", "status", "compose"])
def test_what_cannot_be_written_is_no_way_back(host: Before, name: str) -> None:
    stale = host.home / "releases" / f"{R0}.part"
    target = f"{stale}/compose/00-adopted.yaml/docker-compose.yml" if name == "compose" else f"{stale}/{name}"
    # the file cannot be written: a folder is in its place as soon as the copy has begun
    host.around = ["env", f"PATH={_with_mkdir(host.root, target)}"]
    assert host.run("adopt") == 78
    assert "no way back" in host.status
    assert not (host.home / "current").is_symlink()


def _with_mkdir(root: Path, target: str) -> str:
    """A PATH whose `mkdir` leaves a folder where a file of r0 belongs."""
    folder = root / "bin"
    folder.mkdir()
    real = shutil.which("mkdir")
    (folder / "mkdir").write_text(
        f'#!/bin/sh\n{real} "$@" || exit 1\ncase "$*" in *r0.part*) {real} -p {target} ;; esac\n'
    )
    (folder / "mkdir").chmod(0o755)
    return f"{folder}:{Path(real or '').parent}:/usr/bin:/bin"


def test_a_full_disk_is_told_before_anything_is_recorded(host: Before) -> None:
    folder = host.root / "bin"
    folder.mkdir()
    (folder / "df").write_text("#!/bin/sh\necho head; echo x 1 1 100 1 /\n")
    (folder / "df").chmod(0o755)
    host.around = ["env", f"PATH={folder}:/usr/bin:/bin"]
    assert host.run("adopt") == 78
    assert host.status.startswith("refused 78 only 100 KiB are free")
    assert not (host.home / "current").is_symlink()
