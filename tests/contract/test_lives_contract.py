"""The story of `life_cases`, told to both hosts."""

from __future__ import annotations

import re

import pytest

from .hosts import WEB, ContractHost
from .life_cases import CASES, FILE, Case, filled

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_lives_under_compose(host: ContractHost) -> None:
    project = host.project("")
    words = {"image": WEB, "dir": project.place.root}
    await project.write({"lives.yaml": filled(FILE, words)})
    seen: dict[str, str] = {}
    for case in CASES:
        done = await host.run("sh", "-c", filled(case.command, words), status=None)
        out, err = done.stdout.decode(), done.stderr.decode()
        assert as_told(case, done.exit_status, out, err, seen), f"{case.name}: {done.exit_status}\n{out}\n{err}"
        seen[case.name] = out


def as_told(case: Case, status: int, out: str, err: str, seen: dict[str, str]) -> bool:
    """Whether what came of a command is what its case says."""
    return (
        (status != 0 if case.status is None else status == case.status)
        and (case.out is None or re.search(case.out, out.strip("\n")) is not None)
        and (case.err is None or re.search(case.err, err) is not None)
        and (not case.same_as or out == seen[case.same_as])
        and (not case.differs_from or out != seen[case.differs_from])
    )
