"""`vpai-tui env` on the demo's hosts: check, init, and editing on a pty from end to end."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from .terminals import screen

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the demo's hosts need Linux")


async def cli(folder: Path, *words: str) -> tuple[int, str, str]:
    argv = [sys.executable, "-m", "vpai_tui", "--demo-dir", str(folder), *words]
    process = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.DEVNULL, stdout=-1, stderr=-1)
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_what_is_missing_is_written_on_the_host_and_a_deploy_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    code, out, err = await cli(folder, "env", "opencut", "check")
    assert (code, err) == (0, ""), out
    configs = folder / "pi/opt/workstation/configs"
    secret = configs / "opencut-db/opencut-db.env"
    secret.unlink()
    (configs / "opencut-srh/opencut-srh.env").write_text("SRH_TOKEN=\n")

    code, out, err = await cli(folder, "plan", "opencut")
    assert code == 78
    assert f"env file {secret} is missing; `vpai-tui env pi/opencut init` writes it" in err
    assert f"SRH_TOKEN in {configs}/opencut-srh/opencut-srh.env is empty" in err

    code, out, _ = await cli(folder, "env", "opencut", "check", "--json")
    report = json.loads(out)
    assert (code, report["ok"], report["ran"]) == (1, False, "containers")
    assert list(report) == ["schema", "stack", "ok", "files", "ran", "notes"]
    assert list(report["files"][0]) == [
        "path", "state", "required", "mode", "owner", "example", "services", "keys", "problems",
    ]  # fmt: skip
    assert list(report["files"][0]["keys"][0]) == ["name", "state", "required", "known", "comes_from"]
    assert report["files"][0]["problems"] == [
        {"severity": "error", "key": None, "line": None, "message": "the file is missing"}
    ]

    code, _, err = await cli(folder, "env", "opencut", "init", "--yes")
    assert (code, "--confirm pi/opencut" in err) == (2, True)  # its data may know the old password
    assert (await cli(folder, "--read-only", "env", "opencut", "init", "--confirm", "opencut"))[0] == 2
    assert not secret.exists()
    code, out, err = await cli(folder, "env", "opencut", "init", "--confirm", "opencut", "--json")
    done = json.loads(out)
    assert (code, err, done["outcome"], done["fill_in"]) == (0, "", "done", [])
    assert done["files"][0] == {
        "path": str(secret), "created": True, "generated": ["POSTGRES_PASSWORD"], "copied": [], "defaults": [],
    }  # fmt: skip
    assert secret.stat().st_mode & 0o777 == 0o600
    value = secret.read_text().rpartition("POSTGRES_PASSWORD=")[2].strip()
    assert len(value) == 32

    assert (await cli(folder, "env", "opencut", "check"))[0] == 0
    code, out, _ = await cli(folder, "env", "opencut", "init", "--json")
    assert json.loads(out)["outcome"] == "unchanged"
    assert secret.read_text().endswith(f"{value}\n")
    assert (await cli(folder, "plan", "opencut"))[0] == 0
    journal = (folder / "laptop/history.jsonl").read_text()
    assert "generated POSTGRES_PASSWORD" in journal
    assert value not in journal


_EDITOR = """#!/bin/sh
stty size; echo "é $1" | sed 's/tmp.*//'; read -r line
stty size; echo "EXTRA_NAME=$line" >>"$1"
"""


@pytest.mark.parametrize("editor", ["good", "fails", "none"])
async def test_a_file_is_edited_on_the_operators_terminal(tmp_path: Path, editor: str) -> None:
    folder = tmp_path / "demo"
    assert (await cli(folder, "env", "infra", "check"))[0] == 0
    for name in ("editor", "nano", "vim", "vi"):
        (folder / "sese/bin" / name).unlink(missing_ok=True)
    if editor != "none":
        (folder / "sese/bin/editor").write_text(_EDITOR if editor == "good" else "#!/bin/sh\nexit 5\n")
        (folder / "sese/bin/editor").chmod(0o755)
    file = folder / "sese/opt/vpai/configs/redis/redis.env"
    old = file.read_text()
    with screen(90, 25) as terminal:
        before = terminal.settings()
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "vpai_tui", "--demo-dir", str(folder), "env", "infra", "edit", "redis.env"],
            stdin=terminal.far,
            stdout=terminal.far,
            stderr=terminal.far,
            env={**os.environ, "TERM": "xterm-256color"},
        )
        if editor == "good":
            await terminal.until("é".encode())
            assert b"25 90" in terminal.seen
            terminal.resize(111, 33)
            process.send_signal(28)  # SIGWINCH: this pty is nobody's controlling terminal
            await asyncio.sleep(0.3)  # a signal and a read keep no order
            terminal.type(b"added\r")
            await terminal.until(b"a deploy would now")
            assert b"33 111" in terminal.seen
            assert b"redis.env  2 of 2 keys set" in terminal.seen
        ended = await process.wait()
        assert terminal.settings() == before
        told = terminal.rest().decode()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text() == (old + "EXTRA_NAME=added\n" if editor == "good" else old)
    if editor == "good":
        assert ended == 0, told
    elif editor == "fails":
        assert (ended, "the editor ended with status 5" in told) == (1, True), told
    else:
        assert (ended, "no editor is on the host" in told) == (78, True), told
