"""The story of `docker_cases`, told to a real engine; tests/remote tells it to the demo's."""

from __future__ import annotations

import re

import pytest

from .conftest import BOTH
from .docker_cases import CASES, FILES, LIFE_CASES, Case, filled
from .hosts import WEB, ContractHost

pytestmark = pytest.mark.asyncio(loop_scope="package")

ONE, TWO = "contract/shell:1", "contract/shell:2"  # images that do what a `command:` says


async def publish_shells(host: ContractHost) -> None:
    """Make the two images from one that is there, and have them in the registry only."""
    for ref in (ONE, TWO):
        recipe = f"FROM {WEB}\\nENTRYPOINT []\\nCMD sleep 600\\nLABEL shell={ref}\\n"
        script = f"printf '{recipe}' | docker build -q -t {ref} - && docker push -q {ref} && docker rmi {ref}"
        await host.run("sh", "-c", script)


@pytest.mark.parametrize("host", BOTH[1:], indirect=True)
async def test_docker_cases(host: ContractHost) -> None:
    await publish_shells(host)
    project = host.project("")
    words = {"image": ONE, "other": TWO, "gone": "contract/missing:1", "dir": project.place.root}
    await project.write({name: filled(text, words) for name, text in FILES.items()})
    seen: dict[str, str] = {}
    bad = []
    for case in (*CASES, *LIFE_CASES):
        done = await host.run("sh", "-c", filled(case.command, words), status=None)
        out, err = done.stdout.decode(), done.stderr.decode()
        if not as_told(case, done.exit_status, out, err, seen):
            bad.append(f"{case.name}: {case.command}\n{done.exit_status}\n{out}\n{err}")
        seen[case.name] = out
    assert not bad, "\n".join(bad)


def as_told(case: Case, status: int, out: str, err: str, seen: dict[str, str]) -> bool:
    """Whether what came of a command is what its case says."""
    return (
        (status != 0 if case.status is None else status == case.status)
        and (case.out is None or re.search(case.out, out.strip("\n")) is not None)
        and (case.err is None or re.search(case.err, err) is not None)
        and (not case.same_as or out == seen[case.same_as])
        and (not case.differs_from or out != seen[case.differs_from])
    )
