"""The Pi as it stands: two compose files of two projects, one of them on demand; taken over in one go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy_kit import WEB, container_id, current, effects, environment, laptop, push, running, service
from lab_host import LabHost
from lab_registry import Registry

from vpai_tui.fleet.operation import Effect, Outcome

pytestmark = pytest.mark.lab

R0 = "00000000T000000-r0"
CREATIVE = {
    "services": {
        "comfyui": service(container_name="workstation_comfyui", volumes=["./comfyui/models:/models"]),
        "remotion": service(container_name="workstation_remotion", environment={"MODE": "a"}),
    },
    "networks": {"default": {"name": "workstation_creative"}},
}
OPENCUT = {
    "services": {
        "opencut": service(container_name="opencut", ports=["127.0.0.1:3100:3000"]),
        "opencut-db": service(container_name="opencut-db", volumes=["./opencut/db:/var/lib/postgresql/data"]),
    }
}


def ours(old: dict[str, Any], **environment_of_remotion: str) -> dict[str, Any]:
    """The laptop's own: no container names, otherwise the same."""
    services = {
        name: {k: v for k, v in body.items() if k != "container_name"} for name, body in old["services"].items()
    }
    if environment_of_remotion:
        services["remotion"]["environment"] = environment_of_remotion
    return {**old, "services": services}


@pytest.fixture
def lived_in(pi: LabHost, registry: Registry) -> LabHost:
    """Each file brought up as the host's own notes do it, with data in both."""
    push(registry, WEB)
    pi.sh(f"mkdir -p {pi.root}/comfyui/models {pi.root}/opencut/db")
    for project, path, content in (
        ("comfyui", "comfyui/docker-compose-creative.yml", CREATIVE),
        ("workstation", "docker-compose-opencut.yml", OPENCUT),
    ):
        pi.sh(f"cat >{pi.root}/{path}", stdin=yaml.safe_dump(content, sort_keys=False).encode())
        pi.sh(f"cd {pi.root} && docker compose -p {project} --project-directory {pi.root} -f {path} up -d 2>&1")
    pi.sh(f"echo kept >{pi.root}/comfyui/models/marker; echo kept >{pi.root}/opencut/db/marker")
    return pi


async def test_two_files_of_two_projects_are_taken_over_and_only_what_changed_is_recreated(
    lived_in: LabHost, tmp_path: Path
) -> None:
    pi = lived_in
    before = {name: container_id(pi, name) for name in running(pi)}
    async with laptop(pi, tmp_path, ["pi/creative", "pi/opencut"]) as me:
        me.write("pi/creative", ours(CREATIVE, MODE="a"))
        me.write("pi/opencut", ours(OPENCUT), {"on_demand": True, "data": ["opencut-db"]})
        code, out, err = await me.run_cli("adopt", "pi", "--yes", "--json")
        assert code == 0, out + err
        told = json.loads(out)
        assert {row["service"]: row["container"] for row in told["services"]} == {
            "comfyui": "workstation_comfyui",
            "remotion": "workstation_remotion",
            "opencut": "opencut",
            "opencut-db": "opencut-db",
        }
        assert (told["root"], told["unclaimed"], told["outcome"]) == (pi.root, [], "committed")
        me.world.reread()
        assert [current(pi, name) for name in ("creative", "opencut")] == [R0, R0]
        for stack in ("creative", "opencut"):
            assert set(effects(await me.plan(stack)).values()) == {Effect.NONE}
        me.write("pi/creative", ours(CREATIVE, MODE="b"))
        assert effects(await me.plan("creative")) == {"comfyui": Effect.NONE, "remotion": Effect.RECREATE}
        assert await me.committed("creative")
        after = {name: container_id(pi, name) for name in running(pi)}
        assert {name for name in before if before[name] != after.get(name)} == {"workstation_remotion"}
        assert after.keys() == before.keys()
        assert environment(pi, "workstation_remotion")["MODE"] == "b"
        assert (await me.rollback(R0, "creative")).outcome is Outcome.COMMITTED
        assert environment(pi, "workstation_remotion")["MODE"] == "a"
        assert pi.sh(f"cat {pi.root}/comfyui/models/marker {pi.root}/opencut/db/marker").split() == ["kept", "kept"]
