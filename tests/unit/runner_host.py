"""A host below a folder, for tests that run the deploy runner as it is shipped, with a stand-in for the engine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from vpai_tui.deploy.host import runner_script, script

ID, BASE = "20260101T000000-0002", "20260101T000000-0001"
LISTS = ("services", "lives", "envs", "envs.optional", "networks", "images.lock", "steps", "steps.revert")


class Host:
    """A stack `web` of no service below a folder, with an engine that says yes to everything (or what `say` prints)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "deploy/stacks/web"
        self.release = self.home / "releases" / ID
        self.engine = "true"
        self.around: list[str] = []  # words before the runner's
        self.lay(BASE)
        (self.home / "current").symlink_to(f"releases/{BASE}")
        self.lay(ID)

    def lay(self, release: str) -> None:
        folder = self.home / "releases" / release
        (folder / "files").mkdir(parents=True)
        (folder / "compose").mkdir()
        (folder / "compose/00-compose.yaml").write_text("services: {}\n")
        for name in (*LISTS, "files.sha256"):
            (folder / name).touch()
        (folder / "status").write_text("ok 0 \n")

    def ship(self, path: str, content: str, *, live: bool = False) -> None:
        file = self.release / "files" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        with (self.release / "files.sha256").open("a") as out:
            out.write(f"sum 644 {path}\n")
        if live:
            (self.release / "lives").write_text(f"{path}\n")

    def say(self, body: str) -> None:
        """The engine is a sh script of this body from now on."""
        engine = self.root / "engine"
        engine.write_text(f"#!/bin/sh\n{body}\n")
        engine.chmod(0o755)
        self.engine = str(engine)

    def sh(self, body: bytes, *args: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(self._argv(body, *args), capture_output=True, env=self._environment(), timeout=30)

    def _argv(self, body: bytes, *args: str) -> list[str]:
        program = self.root / "program.sh"
        program.write_bytes(body)
        return ["sh", str(program), *args]

    def _environment(self) -> dict[str, str]:
        told = {"ROOT": str(self.root), "STACK": "web", "PROJECT": "web", "DOCKER": self.engine, "WHO": "me"}
        return {"PATH": os.environ["PATH"], "LC_ALL": "C", **told}

    def hook(self, when: str, command: str, *, service: str = "-", container: str = "-", timeout_s: int = 10) -> None:
        """One more `before` or `after` command of the release."""
        with (self.release / "hooks").open("a+") as out:
            out.seek(0)
            number = sum(line.startswith(when) for line in out) + 1
            out.write("\t".join((when, str(number), service, container, str(timeout_s), command)) + "\n")

    def prepare(self) -> None:
        """The release as it was uploaded, with the fingerprint of the host as it is."""
        (self.release / "status").unlink(missing_ok=True)
        listing = f"LISTING='{self.root}/listing'; containers >\"$LISTING\"; "
        lists = f"'{self.release}/services' '{self.release}/lives'"
        found = self.sh(script("common.sh") + f"{listing} fingerprint {lists}\n".encode()).stdout.decode().strip()
        (self.release / "manifest").write_text(f"id={ID}\nfingerprint={found}\nconfirm_timeout_s=0\n")

    def run(self, verb: str = "apply") -> int:
        self.prepare()
        argv = [*self.around, *self._argv(runner_script(), verb, ID)]
        return subprocess.run(argv, capture_output=True, env=self._environment(), timeout=30).returncode

    def start(self) -> subprocess.Popen[bytes]:
        """The runner by itself: in a session of its own, as on a host."""
        argv, nothing = self._argv(runner_script(), "apply", ID), subprocess.DEVNULL
        return subprocess.Popen(argv, env=self._environment(), stdout=nothing, stderr=nothing, start_new_session=True)

    @property
    def status(self) -> str:
        return (self.release / "status").read_text().strip()

    @property
    def journal(self) -> list[str]:
        lines = (self.release / "journal").read_text().splitlines()
        return ["\t".join(line.split("\t")[1:]) for line in lines]
