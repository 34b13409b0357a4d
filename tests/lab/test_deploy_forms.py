"""Ways to write a Compose file that Compose itself takes and some of its parts do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from deploy_kit import WEB, causes, compose, image_id, laptop, push, service
from lab_host import LabHost
from lab_registry import Registry

from vpai_tui.fleet.operation import Outcome

pytestmark = pytest.mark.lab

PINNED = "ghcr.io/lab/deploy-pinned"


async def test_images_named_by_digest_are_deployed_and_rolled_back(
    sese: LabHost, registry: Registry, tmp_path: Path
) -> None:
    digests = [registry.push(f"{PINNED}:1", version) for version in ("1", "2")]
    async with laptop(sese, tmp_path) as me:
        releases, seen = [], []
        for digest in digests:
            me.write("sese/web", compose({"web": service(f"{PINNED}:1@{digest}")}))
            releases.append(await me.committed())
            seen.append(image_id(sese, "web-web-1"))
            assert digest in sese.sh(f"docker image inspect -f '{{{{.RepoDigests}}}}' {seen[-1]}")
        assert seen[0] != seen[1]
        sese.sh(f"docker ps -aq --filter label=vpai.keep=1 | xargs docker rm; docker rmi -f {seen[0]}")
        done = await me.rollback(releases[0])  # has to pull
        assert done.outcome is Outcome.COMMITTED, done
        assert image_id(sese, "web-web-1") == seen[0]


async def test_a_default_with_a_colon_in_a_short_volume(sese: LabHost, registry: Registry, tmp_path: Path) -> None:
    """`config --no-interpolate` takes `${DIR:-./x}` for too many colons, though the file is good."""
    push(registry, WEB)
    sese.sh(f"mkdir -p {sese.root}/pages")
    async with laptop(sese, tmp_path) as me:
        web = service(volumes=["${PAGES:-./pages}:/pages:ro"])
        me.write("sese/web", compose({"web": web}))
        plan = await me.plan()
        assert any("too many colons" in note for note in plan.notes)
        await me.committed()
        assert (await me.plan()).empty
        me.write("sese/web", compose({"web": {**web, "environment": {"A": "1"}}}))
        assert causes(await me.plan()) == {"config": "its configuration differs from what runs"}
        await me.committed()
