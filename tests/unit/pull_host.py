"""A host that keeps a release to be pulled."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

from vpai_tui.deploy.pull import Kept, pull_script, read_kept

ID = "20260227T080000-9a2b"
COMPOSE = "services:\n  web:\n    image: web:1\n    volumes: [./configs/web:/etc/web:ro]\n"
SPEC = "project: old\ntitle: Web\nfiles: [{path: configs/web, on_change: restart}]\n"


class Now:
    def boot_s(self) -> float:
        return 0.0

    def now(self) -> datetime:
        return datetime(2026, 2, 27, 8, tzinfo=UTC)


class HostFolder:
    """A host that keeps one release of the stack `web`; `made` are the projects of what it made."""

    def __init__(self, root: Path, made: str = "") -> None:
        self.root = root
        self.release = root / "deploy/stacks/web/releases" / ID
        (self.release / "compose").mkdir(parents=True)
        (self.release.parents[1] / "current").symlink_to(f"releases/{ID}")
        self.write("compose/00-compose.yaml", COMPOSE)
        self.write("compose/10-files.yaml", "services: {web: {labels: {vpai.files: x}}}\n")
        self.write("manifest", f"id={ID}\nkind=deploy\nproject=old\n")
        self.docker = root / "docker"
        self.docker.write_text(f"#!/bin/sh\nprintf '{made}'\n")
        self.docker.chmod(0o755)

    def write(self, path: str, content: str) -> None:
        (self.release / path).parent.mkdir(parents=True, exist_ok=True)
        (self.release / path).write_text(content)

    def file(self, path: str, content: str, mode: str = "644") -> None:
        self.write(f"files/{path}", content)
        with (self.release / "files.sha256").open("a") as listing:
            listing.write(f"{'0' * 64} {mode} {path}\n")

    def read(self, stack: str = "web") -> Kept:
        argv = ["sh", "-s", "--", str(self.root), str(self.docker), stack]
        done = subprocess.run(argv, input=pull_script(), capture_output=True, check=True)
        assert done.stderr == b""
        return read_kept(done.stdout, "sese", stack, str(self.root))
