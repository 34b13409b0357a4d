"""`vpai-tui edit` on the demo's copy of the stacks: the file, then the plan; a broken one is told by its line."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from .terminals import screen

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the demo's hosts need Linux")


async def test_a_stack_is_edited_and_its_plan_shown(tmp_path: Path) -> None:
    own = (ROOT / "stacks/sese/infra/compose.yaml").read_bytes()
    folder, program = tmp_path / "demo", tmp_path / "editor"

    async def edit(script: str, *words: str, answers: tuple[bytes, ...] = ()) -> tuple[int, str]:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        with screen(110, 40) as terminal:
            process = await asyncio.create_subprocess_exec(
                *[sys.executable, "-m", "vpai_tui", "--demo-dir", str(folder), *words],
                stdin=terminal.far,
                stdout=terminal.far,
                stderr=terminal.far,
                env={**os.environ, "VISUAL": str(program), "TERM": "xterm-256color"},
            )
            for answer in answers:
                await terminal.until(b"open it again? type yes:")
                terminal.type(answer)
            reading = asyncio.create_task(terminal.until(b"never"))
            status = await asyncio.wait_for(process.wait(), 60)
            await asyncio.sleep(0.2)
            reading.cancel()
            return status, terminal.rest().decode()

    status, told = await edit("true", "edit", "infra")
    assert (status, "sese/infra: nothing was changed" in told) == (0, True), told
    status, told = await edit("sed -i 's/memory: 1536M/memory: 1400M/' \"$1\"", "edit", "infra")
    assert status == 0, told
    assert "recreate" in told
    status, told = await edit("echo 'nonsense: [' >>\"$1\"", "edit", "infra", answers=(b"no\r",))
    assert (status, "sese/infra does not hold any more" in told) == (2, True), told
    assert any(f"compose.yaml:{line}: not valid YAML" in told for line in range(150, 250)), told
    status, told = await edit("sed -i '$ s/nonsense/x-other/' \"$1\"", "edit", "infra", answers=(b"no\r",))
    assert status == 2, told  # it opens although the stacks do not hold
    mend = 'grep -q "once again" "$1" && sed -i \'/x-other/d\' "$1" || echo \'# once again\' >>"$1"'
    status, told = await edit(mend, "edit", "infra", answers=(b"yes\r",))
    assert (status, "recreate" in told) == (0, True), told
    (folder / "laptop/stacks/sese/infra/compose.yaml").write_bytes(own)
    status, told = await edit("true", "--read-only", "edit", "infra")
    assert (status, "--read-only: edit would change something" in told) == (2, True)
    assert (ROOT / "stacks/sese/infra/compose.yaml").read_bytes() == own
