"""The way back: the same bits, wherever the tag points and whether or not the host still has them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from deploy_kit import (
    WEB,
    causes,
    change_of,
    compose,
    container_id,
    current,
    effects,
    environment,
    home,
    image_id,
    laptop,
    push,
    running,
    service,
    until,
)
from lab_host import LabHost
from lab_registry import Registry

from vpai_tui.errors import PreflightRefused, UsageError
from vpai_tui.fleet.operation import BuildLine, Effect, ImageBuilt, ImagePulled, LayerPulled, Outcome, Verified

pytestmark = pytest.mark.lab

MOVING = "ghcr.io/lab/deploy-moving:stable"
FRESH = "docker.io/lab/deploy-fresh:1"


@pytest.fixture(autouse=True)
def images(registry: Registry) -> None:
    push(registry, WEB)


def version(number: str, **keys: object) -> dict[str, object]:
    return compose({"web": service(environment={"V": number}, **keys)})


async def test_rollback_by_default_and_to_a_named_release(seko: LabHost, tmp_path: Path) -> None:
    async with laptop(seko, tmp_path) as me:
        ids = []
        for number in "123":
            me.write("seko/web", version(number))
            ids.append(await me.committed())
        end = await me.rollback()
        assert end.outcome is Outcome.COMMITTED
        assert environment(seko, "web-web-1")["V"] == "2"
        plan = await me.world.deployer().plan_rollback("web", ids[0])
        assert (plan.kind, plan.rollback_to, effects(plan)) == ("rollback", ids[0], {"web": Effect.RECREATE})
        assert causes(plan) == {"config": "environment"}
        await me.rollback(ids[0])
        assert environment(seko, "web-web-1")["V"] == "1"
        newest = (await me.world.deployer().releases("web"))[0]
        assert (newest.current, newest.rollback_of) == (True, ids[0])
        with pytest.raises(UsageError):
            await me.rollback("20000101T000000-none")


async def test_a_moved_tag_is_a_change_and_rollback_brings_the_old_bits(
    seko: LabHost, registry: Registry, tmp_path: Path
) -> None:
    registry.push(MOVING, "1", megabytes=(1,))
    async with laptop(seko, tmp_path) as me:
        me.write("seko/web", compose({"web": service(MOVING)}))
        await me.committed()
        old = image_id(seko, "web-web-1")
        digest = registry.push(MOVING, "2", megabytes=(1,))
        plan = await me.plan()
        assert effects(plan) == {"web": Effect.RECREATE}
        assert list(causes(plan)) == ["image"]
        assert digest.removeprefix("sha256:")[:12] in change_of(plan).causes[0].detail
        seko.lab.forget_images("seko", "lab/deploy-moving")
        await me.committed()
        assert [event.image for event in me.told(ImagePulled)] == [MOVING]
        new = image_id(seko, "web-web-1")
        assert new != old
        assert (await me.plan()).empty
        await me.rollback()
        assert not me.told(ImagePulled)  # a keeper held it
        assert image_id(seko, "web-web-1") == old
        tag = seko.sh(f"docker image inspect -f '{{{{.Id}}}}' {MOVING}").strip()
        assert tag == old


async def test_pulling_tells_the_layers(seko: LabHost, registry: Registry, tmp_path: Path) -> None:
    registry.push(FRESH, "1", megabytes=(2, 3))
    seko.lab.forget_images("seko", "*/deploy-fresh")
    async with laptop(seko, tmp_path) as me:
        me.write("seko/web", compose({"web": service(FRESH)}))
        await me.committed()
        layers = me.told(LayerPulled)
        assert len({event.layer for event in layers if event.done}) >= 4
        assert any(event.total_bytes and event.total_bytes > 1_000_000 for event in layers)


async def test_an_image_that_cannot_be_had_changes_nothing(seko: LabHost, registry: Registry, tmp_path: Path) -> None:
    async with laptop(seko, tmp_path) as me:
        good = await me.committed()
        before = container_id(seko, "web-web-1")
        me.write("seko/web", compose({"web": service("ghcr.io/lab/never-pushed:1", environment={"V": "2"})}))
        with pytest.raises(PreflightRefused, match=r"image ghcr\.io/lab/never-pushed:1 cannot be had") as caught:
            await me.deploy()
        assert caught.value.exit_code == 78
        assert (current(seko), container_id(seko, "web-web-1")) == (good, before)
        assert seko.sh(f"ls {home(seko)}/releases").split() == [good]


async def test_rollback_pulls_again_what_was_deleted_on_the_host(
    seko: LabHost, registry: Registry, tmp_path: Path
) -> None:
    registry.push(MOVING, "1", megabytes=(1,))
    async with laptop(seko, tmp_path) as me:
        me.write("seko/web", compose({"web": service(MOVING)}))
        first = await me.committed()
        old = image_id(seko, "web-web-1")
        registry.push(MOVING, "2", megabytes=(1,))
        await me.committed()
        seko.sh("docker ps -aq --filter label=vpai.keep=1 | xargs docker rm >/dev/null")
        seko.sh(f"docker rmi -f {old} >/dev/null")
        (known,) = [item for item in await me.world.deployer().releases("web") if item.id == first]
        assert known.restorable
        await me.rollback()
        assert me.told(ImagePulled)
        assert image_id(seko, "web-web-1") == old


async def test_an_image_built_here_and_gone_makes_a_release_not_restorable(seko: LabHost, tmp_path: Path) -> None:
    async with laptop(seko, tmp_path) as me:
        seko.sh(f"docker pull -q {WEB}")
        for word in ("one", "two"):
            seko.sh(f"printf 'FROM {WEB}\\nRUN echo {word} >/word\\n' | docker build -q -t deploy-local:1 - >/dev/null")
            me.write("seko/web", compose({"web": service("deploy-local:1")}))
            await me.committed()
        plan = await me.plan()
        assert any("deploy-local:1" in note and "the host's own copy counts" in note for note in plan.notes)
        first = (await me.world.deployer().releases("web"))[1]
        assert first.restorable
        old = seko.sh(f"cut -f 3 {home(seko)}/releases/{first.id}/images.lock").strip()
        seko.sh("docker ps -aq --filter label=vpai.keep=1 | xargs docker rm >/dev/null")
        seko.sh(f"docker rmi -f {old} >/dev/null")
        known = (await me.world.deployer().releases("web"))[1]
        assert (known.id, known.restorable) == (first.id, False)
        assert known.reason == "the image of web was built here and is gone"
        with pytest.raises(PreflightRefused, match="built here and is gone"):
            await me.rollback(first.id)


async def test_a_build_happens_on_the_host_once_per_content(seko: LabHost, tmp_path: Path) -> None:
    async with laptop(seko, tmp_path) as me:
        seko.lab.forget_images("seko", "vpai.build/*")
        seko.sh(f"docker pull -q {WEB}")
        stack = compose({"web": {**service(), "build": {"context": "./build", "args": {"WORD": "w"}}}})
        del stack["services"]["web"]["image"]
        dockerfile = f"FROM {WEB}\nARG WORD\nCOPY f /f\nRUN echo $WORD >/word\n"
        me.write("seko/web", stack, None, {"build/Dockerfile": dockerfile, "build/f": "one\n"})
        plan = await me.plan()
        assert effects(plan) == {"web": Effect.CREATE}
        await me.committed()
        assert me.told(ImageBuilt)
        assert any("COPY f /f" in event.line for event in me.told(BuildLine))
        assert seko.sh("docker exec web-web-1 cat /f /word").split() == ["one", "w"]
        assert (await me.plan()).empty
        old = image_id(seko, "web-web-1")
        me.write("seko/web", stack, None, {"build/f": "two\n"})
        assert list(causes(await me.plan())) == ["build"]
        await me.committed()
        assert seko.sh("docker exec web-web-1 cat /f") == "two\n"
        await me.rollback()
        assert image_id(seko, "web-web-1") == old
        me.write("seko/web", stack, None, {"build/Dockerfile": "FROM nothing-like-this\nCOPY nope /\n"})
        with pytest.raises(PreflightRefused, match="the image of web cannot be built"):
            await me.deploy()
        stack["services"]["web"]["build"] = "https://git.example/web.git#v1"  # the lab's hosts have no git
        me.write("seko/web", stack)
        with pytest.raises(PreflightRefused, match=r"the image of web cannot be built: .*git") as told:
            await me.deploy()
        assert "install git on the host" in told.value.remedy
        assert image_id(seko, "web-web-1") == old


async def test_values_edited_on_the_host_survive_deploy_revert_and_rollback(seko: LabHost, tmp_path: Path) -> None:
    path = f"{seko.root}/configs/litellm/config.yaml"
    text = "# budgets\nlitellm:\n  max_budget: 10 # per month\n  model: {model}\n"
    spec = {
        "files": [{"path": "configs/litellm"}],
        "live": [{"file": "configs/litellm/config.yaml", "keys": ["litellm.max_budget"]}],
    }
    volumes = ["./configs/litellm:/etc/litellm:ro"]

    def write(model: str, **keys: object) -> None:
        me.write(
            "seko/web",
            compose({"web": service(volumes=volumes, **keys)}),
            spec,
            {"configs/litellm/config.yaml": text.format(model=model)},
        )

    def present() -> dict[str, object]:
        raw = seko.sh(f"cat {path}")
        assert raw.startswith("# budgets\n")
        return dict(yaml.safe_load(raw)["litellm"])

    async with laptop(seko, tmp_path) as me:
        write("small")
        await me.committed()
        seko.sh(f"sed -i 's/max_budget: 10/max_budget: 42/' {path}")
        assert (await me.plan()).empty  # an edit is not drift
        write("large")
        plan = await me.plan()
        assert effects(plan) == {"web": Effect.RECREATE}
        assert plan.kept == ("configs/litellm/config.yaml: litellm.max_budget",)
        await me.committed()
        assert present() == {"max_budget": 42, "model": "large"}
        seko.sh(f"sed -i 's/max_budget: 42/max_budget: 43/' {path}")
        write("broken", entrypoint=["false"], healthcheck=None)
        assert (await me.deploy()).outcome is Outcome.REVERTED
        assert present() == {"max_budget": 43, "model": "large"}
        write("large")
        assert (await me.plan()).empty
        seko.sh(f"sed -i 's/max_budget: 43/max_budget: 44/' {path}")
        await me.rollback()
        assert present() == {"max_budget": 44, "model": "small"}


async def test_a_key_that_became_live_later_survives_a_rollback_too(seko: LabHost, tmp_path: Path) -> None:
    path, files = "configs/web.yaml", {"configs/web.yaml": "budget: 10\n"}
    stack = {"web": service(volumes=[f"./{path}:/etc/web.yaml:ro"])}
    live = {"files": [{"path": path}], "live": [{"file": path, "keys": ["budget", "limits.day"]}]}
    async with laptop(seko, tmp_path) as me:
        me.write("seko/web", compose(stack), {"files": [{"path": path}]}, files)
        first = await me.committed()
        files = {path: "budget: 10\nlimits:\n  day: 3\n"}
        me.write("seko/web", compose({"web": service(environment={"V": "2"}, **stack["web"])}), live, files)
        await me.committed()
        seko.sh(f"printf 'budget: 42\\nlimits:\\n  day: 7\\n' >{seko.root}/{path}")
        assert (await me.plan()).empty
        end = await me.rollback(first)
        assert end.outcome is Outcome.COMMITTED
        assert [event.detail for event in me.told(Verified)] == [""]
        assert yaml.safe_load(seko.sh(f"cat {seko.root}/{path}")) == {"budget": 42, "limits": {"day": 7}}


async def test_five_releases_are_kept_besides_the_current_and_keepers_hold_their_images(
    seko: LabHost, registry: Registry, tmp_path: Path
) -> None:
    registry.push(MOVING, "1", megabytes=(1,))
    async with laptop(seko, tmp_path) as me:
        me.write("seko/web", compose({"web": service(MOVING)}))
        first = await me.committed()
        older = [f"20250101T00000{n}-aaaa" for n in range(1, 7)]  # six more, and one reverted long ago
        seko.sh(
            f"cd {home(seko)}/releases; for id in {' '.join(older)} 20250101T000009-dead; do cp -R {first} $id; done;"
            "echo 'reverted 2 x' >20250101T000009-dead/status; touch -d '30 days ago' 20250101T000009-dead"
        )
        me.write("seko/web", version("2"))
        second = await me.committed()
        await until(seko, f"flock -n {seko.root}/deploy/lock true")  # it tidies up after it has told its end
        assert seko.sh(f"ls {home(seko)}/releases").split() == [*older[2:], first, second]
        assert sum(item.restorable for item in await me.world.deployer().releases("web")) == 5
        held = seko.sh("docker ps -a --filter label=vpai.keep=1 --format '{{.Names}} {{.State}}'").splitlines()
        assert len(held) == 2
        assert all(line.startswith("vpai-keep-web-web-") and line.endswith(" created") for line in held)
        # nothing needs the old image any more: its keeper goes with the last release of it
        seko.sh(f"cd {home(seko)}/releases; rm -r {' '.join(older[2:])} {first}")
        me.write("seko/web", version("3"))
        await me.committed()
        await until(seko, f"flock -n {seko.root}/deploy/lock true")
        names = seko.sh("docker ps -a --filter label=vpai.keep=1 --format '{{.Names}}'").split()
        assert names == [f"vpai-keep-web-web-{image_id(seko, 'web-web-1').removeprefix('sha256:')[:12]}"]
        assert list(running(seko)) == ["web-web-1"]
