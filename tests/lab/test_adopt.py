"""A host that ran before us, set up as VPAI's real ones are, taken over: nothing but what changed is ever touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy_kit import WEB, Laptop, container_id, current, effects, environment, laptop, push, running, service
from lab_host import LabHost
from lab_registry import Registry

from vpai_tui.errors import PreflightRefused
from vpai_tui.fleet.operation import Effect, Outcome

pytestmark = pytest.mark.lab

ROOT = "/opt/javisi"
R0 = "00000000T000000-r0"
MARKERS = (f"{ROOT}/data/postgresql", f"{ROOT}/data/n8n", "volume:javisi_redisdata")


def javisi(**keys: Any) -> dict[str, Any]:
    return {"networks": ["backend"], **keys}


def old_infra() -> dict[str, Any]:
    """`docker-compose-infra.yml`: defines the networks, names every container."""
    postgresql = javisi(container_name="javisi_postgresql", volumes=["./data/postgresql:/var/lib/postgresql"])
    redis = javisi(container_name="javisi_redis", volumes=["redisdata:/data"])
    return {
        "services": {"postgresql": service(**postgresql), "redis": service(**redis)},
        "networks": {"backend": {"name": "javisi_backend", "internal": True}},
        "volumes": {"redisdata": {"name": "javisi_redisdata"}},
    }


def old_apps() -> dict[str, Any]:
    """`docker-compose.yml`, the same project: the networks are external."""
    n8n = javisi(container_name="javisi_n8n", volumes=["./data/n8n:/home/node/.n8n"], ports=["127.0.0.1:5678:5678"])
    litellm = javisi(container_name="javisi_litellm", environment={"MODE": "a"})
    return {
        "services": {"n8n": service(**n8n), "litellm": service(**litellm)},
        "networks": {"backend": {"name": "javisi_backend", "external": True}},
    }


def our_infra() -> dict[str, Any]:
    """The laptop's own: other names of project, networks and volumes, data in named volumes."""
    return {
        "services": {
            "postgresql": service(**javisi(volumes=["postgresql:/var/lib/postgresql"])),
            "redis": service(**javisi(volumes=["redisdata:/data"])),
        },
        "networks": {"backend": {"name": "vpai_backend", "internal": True}},
        "volumes": {"postgresql": {"name": "vpai_postgresql"}, "redisdata": {"name": "vpai_redis"}},
    }


def our_apps(**litellm: Any) -> dict[str, Any]:
    n8n = javisi(volumes=["./data/n8n:/home/node/.n8n"], ports=["127.0.0.1:5678:5678"])
    return {
        "services": {"n8n": service(**n8n), "litellm": service(**javisi(**litellm))},
        "networks": {"backend": {"name": "vpai_backend", "external": True}},
    }


@pytest.fixture
def lived_in(sese: LabHost, registry: Registry) -> LabHost:
    """sese as the real one is, with data in every mount and one container that nobody claims."""
    push(registry, WEB)
    sese.sh(f"rm -rf {ROOT}; mkdir -p {ROOT}/data/postgresql {ROOT}/data/n8n")
    for name, content in (("docker-compose-infra.yml", old_infra()), ("docker-compose.yml", old_apps())):
        sese.sh(f"cat >{ROOT}/{name}", stdin=yaml.safe_dump(content, sort_keys=False).encode())
        sese.sh(f"cd {ROOT} && docker compose -p javisi -f {name} up -d 2>&1")
    sese.sh(f"docker run -d --name stray {WEB}")
    for place in MARKERS:
        sese.sh(f"echo kept >{path_of(sese, place)}/marker")
    return sese


def path_of(host: LabHost, place: str) -> str:
    if not place.startswith("volume:"):
        return place
    return host.sh(f"docker volume inspect -f '{{{{.Mountpoint}}}}' {place.removeprefix('volume:')}").strip()


def ids(host: LabHost) -> dict[str, str]:
    return {name: container_id(host, name) for name in running(host)}


def touched(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in {*before, *after} if before.get(name) != after.get(name)}


def kept(host: LabHost) -> bool:
    return all(host.sh(f"cat {path_of(host, place)}/marker").strip() == "kept" for place in MARKERS)


def write(me: Laptop, **litellm: Any) -> None:
    me.write("sese/infra", our_infra(), {"project": "vpai", "data": ["postgresql", "redis"]})
    me.write("sese/apps", our_apps(**(litellm or {"environment": {"MODE": "a"}})), {"project": "vpai"})


async def adopted(me: Laptop) -> dict[str, Any]:
    code, out, err = await me.run_cli("adopt", "sese", "--yes", "--json")
    assert code == 0, out + err
    me.world.reread()
    return dict(json.loads(out))


async def test_a_running_system_is_taken_over_and_only_what_changed_is_recreated(
    lived_in: LabHost, tmp_path: Path
) -> None:
    sese = lived_in
    async with laptop(sese, tmp_path, ["sese/infra", "sese/apps"]) as me:
        write(me)
        before = ids(sese)
        with pytest.raises(PreflightRefused) as refused:
            me.write("sese/apps", {**our_apps(), "networks": {"backend": {}}}, {"project": "vpai"})
            await me.plan("apps")
        assert (refused.value.exit_code, touched(before, ids(sese))) == (78, set())
        assert "port 127.0.0.1:5678 is one of the container javisi_n8n" in refused.value.output
        assert "vpai-tui adopt sese" in refused.value.remedy
        write(me)
        told = await adopted(me)
        mapped = {row["service"]: row["container"] for row in told["services"]}
        assert mapped == {name: f"javisi_{name}" for name in ("postgresql", "redis", "n8n", "litellm")}
        assert [row["container"] for row in told["unclaimed"]] == ["stray"]
        assert (told["root"], len(told["recorded"]), told["outcome"]) == (ROOT, 2, "committed")
        assert [current(sese, "infra", ROOT), current(sese, "apps", ROOT)] == [R0, R0]
        # nothing differs: what runs is what the laptop wants
        for stack in ("infra", "apps"):
            assert effects(await me.plan(stack)) == dict.fromkeys(effects(await me.plan(stack)), Effect.NONE)
        assert touched(before, ids(sese)) == set()
        write(me, environment={"MODE": "b"})
        me.world.reread()
        assert effects(await me.plan("apps")) == {"n8n": Effect.NONE, "litellm": Effect.RECREATE}
        assert await me.committed("apps")
        assert touched(before, ids(sese)) == {"javisi_litellm"}
        assert environment(sese, "javisi_litellm")["MODE"] == "b"
        assert kept(sese)
        assert (await me.rollback(R0, "apps")).outcome is Outcome.COMMITTED
        assert environment(sese, "javisi_litellm")["MODE"] == "a"
        assert touched(before, ids(sese)) == {"javisi_litellm"}
        assert kept(sese)
        again = await adopted(me)
        assert (again["changed"], again["outcome"]) == (False, "committed")
        await loses_no_data(me, sese)


async def loses_no_data(me: Laptop, sese: LabHost) -> None:
    """Where the data is named wrongly, no empty place takes its; a place that is not empty is asked about."""
    file = me.folder / "config/adopted/sese.yaml"
    written = file.read_text()
    file.write_text(written.replace(f"{ROOT}/data/postgresql", "/opt/javisi/elsewhere"))
    me.world.reread()
    sese.sh(f"mkdir {ROOT}/elsewhere")
    with pytest.raises(PreflightRefused, match="is empty on the host, and the old one has data"):
        await me.plan("infra")
    sese.sh(f"rmdir {ROOT}/elsewhere")
    with pytest.raises(PreflightRefused, match="is missing on the host"):
        await me.plan("infra")
    sese.sh(f"cp -r {ROOT}/data/postgresql {ROOT}/elsewhere")
    plan = await me.plan("infra")
    assert plan.confirm_word == "sese/infra"
    assert [danger.kind for danger in plan.dangers] == ["mount"]
    file.write_text(written)
