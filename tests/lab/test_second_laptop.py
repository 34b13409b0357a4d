"""Two operators, two checkouts, one host: who is behind is told, who is late refused; both know of each other."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from deploy_kit import WEB, Laptop, compose, environment, home, laptop, push, service
from lab_host import LabHost
from lab_registry import Registry

from vpai_tui.deploy.chronicle import chronicle
from vpai_tui.errors import PreflightRefused
from vpai_tui.fleet.operation import Outcome
from vpai_tui.fleet.stacks import load_stacks

pytestmark = pytest.mark.lab


@pytest.fixture(autouse=True)
def images(registry: Registry) -> None:
    push(registry, WEB)


def git(folder: Path, *words: str) -> str:
    identity = {f"GIT_{who}_{what}": "x@y.z" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environ = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    done = subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, env=environ)
    return done.stdout.decode().strip()


def commit(me: Laptop, number: str) -> None:
    """Another version of the stack, committed."""
    me.write("sese/web", compose({"web": service(environment={"V": number})}))
    git(me.folder, "add", "stacks", "config")
    git(me.folder, "commit", "-q", "-m", number)


def is_user(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("LOGNAME", name)


async def test_an_older_checkout_a_late_plan_a_hold_and_what_both_know(
    sese: LabHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with laptop(sese, tmp_path / "ann") as ann:
        git(ann.folder, "init", "-q", "-b", "main")
        is_user(monkeypatch, "ann")
        commit(ann, "1")
        await ann.committed()
        git(tmp_path, "clone", "-q", "ann", "bob")
        async with laptop(sese, tmp_path / "bob") as bob:
            commit(bob, "bob's")
            is_user(monkeypatch, "bob")
            late = bob.world.deployer()
            too_late = await late.plan("web")
            assert (too_late.dangers, too_late.hold) == ((), None)

            is_user(monkeypatch, "ann")
            commit(ann, "2")
            newest = await ann.committed()
            is_user(monkeypatch, "bob")
            end = await bob.follow(late.apply(too_late))
            assert (end.outcome, end.code) == (Outcome.REFUSED, 77)
            await _older(bob, ann)
            await _held(sese, ann, bob, monkeypatch)
            assert environment(sese, "web-web-1")["V"] == "2"
            assert sese.sh(f"readlink {home(sese)}/current").strip().endswith(newest)
            await _told(ann, bob)
        await _pulled(sese, tmp_path / "third", newest)


async def _older(bob: Laptop, ann: Laptop) -> None:
    """Not fetched, then fetched and diverged; without the name nothing is deployed."""
    commit_of_ann = git(ann.folder, "rev-parse", "HEAD")
    (danger,) = (await bob.plan()).dangers
    assert danger.detail.startswith(f"what runs ({commit_of_ann[:7]} by ann@")
    assert danger.detail.endswith("is not in this checkout: fetch first")
    git(bob.folder, "fetch", "-q")
    code, out, err = await bob.run_cli("deploy", "web", "--yes")
    assert code == 2, err
    assert "have diverged: 1 commit of it is not here" in out
    assert "--confirm sese/web" in err
    release = next(item for item in await bob.world.deployer().releases("web") if item.current)
    assert (release.commit, release.dirty) == (commit_of_ann, False)
    assert release.checkout == git(bob.folder, "rev-list", "--max-parents=0", "HEAD")


async def _held(sese: LabHost, ann: Laptop, bob: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan made before the hold is refused by the host, one made after it by the laptop."""
    before = bob.world.deployer()
    planned = await before.plan("web")
    is_user(monkeypatch, "ann")
    hold = await ann.world.deployer().hold("sese", "disk swap")
    assert sese.sh(f"stat -c '%a %U' {sese.root}/deploy/hold") == "600 root\n"
    is_user(monkeypatch, "bob")
    end = await bob.follow(before.apply(planned))
    assert (end.outcome, end.code) == (Outcome.REFUSED, 78)
    assert end.reason == f"held {hold.told}"
    with pytest.raises(PreflightRefused, match="disk swap"):
        await bob.deploy()
    code, out, _ = await bob.run_cli("hold", "sese", "--off", "--yes", "--json")
    assert (code, json.loads(out)["lifted"]["by"]) == (0, hold.by)
    assert (await bob.plan()).hold is None


async def _told(ann: Laptop, bob: Laptop) -> None:
    """Each laptop tells what both did: ann's deploys are known to bob, who never saw them."""
    code, out, err = await bob.run_cli("history", "--host", "sese", "--json")
    assert code == 0, err
    rows = [row for row in json.loads(out)["entries"] if row["source"] == "host"]
    found = await chronicle(ann.world.connection, ["sese"], ann.world.history)
    assert [row["at"] for row in rows] == [line.at for line in found.lines if line.source == "host"]
    ran = [(row["by"].split("@")[0], row["what"], row["result"]) for row in rows]
    assert ran.count(("ann", "deploy", "committed")) == 2
    assert ran.count(("bob", "deploy", "refused")) == 2
    assert {("ann", "hold", "done"), ("bob", "release hold", "done")} <= set(ran)


async def _pulled(sese: LabHost, folder: Path, newest: str) -> None:
    """A third laptop without any files has those of what runs, and nothing to deploy."""
    async with laptop(sese, folder) as third:
        for path in (folder / "stacks/sese/web").iterdir():
            path.unlink()
        code, out, err = await third.run_cli("pull", "web", "--json")
        assert (code, json.loads(out)["release"]) == (0, newest), err
        third.world.stacks = load_stacks(folder / "stacks", third.world.fleet)
        assert (await third.plan()).empty
