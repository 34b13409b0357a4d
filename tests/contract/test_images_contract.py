"""What the deploy relies on in local images: names, digests, tags that move, what holds them."""

from __future__ import annotations

import re

import pytest

from .conftest import BOTH
from .hosts import GONE, OTHER, SHA, WEB, ContractHost

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_moved_tag_recreates_and_a_running_container_keeps_its_bits(host: ContractHost) -> None:
    ref = "contract/moving:1"
    await host.bits.publish(ref, "1")
    await host.run("docker", "pull", "-q", ref)
    project = await host.project(f"services: {{web: {{image: {ref}}}, base: {{image: {WEB}}}}}").prepare()
    told = await project.facts(
        rf"""
        up web base; before=$(id_of web); other=$(id_of base)
        image() {{ field "$1" '{{{{.Image}}}} {{{{index .Config.Labels "com.docker.compose.image"}}}}'; }}
        say before "$(image "$before")"; say hash "$(piped web)"
        $DOCKER tag {OTHER} {ref}
        say ran-on "$(image "$before")"; say asked-for "$(field "$before" '{{{{.Config.Image}}}}')"
        say wanted "$($DOCKER image inspect -f '{{{{.Id}}}}' {ref})"; say hash-after "$(piped web)"
        up web; after=$(id_of web)
        say after "$(image "$after")"; say ids "$before $after"; say others "$other $(id_of base)"
        """
    )
    old, label = told["before"].split()
    new, label_after = told["after"].split()
    assert old == label and new == label_after == told["wanted"] != old
    assert told["ran-on"] == told["before"] and told["asked-for"] == ref
    assert told["hash"] == told["hash-after"]
    assert len(set(told["ids"].split())) == 2 and len(set(told["others"].split())) == 1


async def test_images_are_found_by_every_name(host: ContractHost) -> None:
    project = await host.project(f"services: {{a: {{image: {WEB}}}}}").prepare()
    told = await project.facts(
        rf"""
        line="local$TAB{{{{.Id}}}}$TAB{{{{.Os}}}}/{{{{.Architecture}}}}$TAB"
        line="$line{{{{range .RepoTags}}}}{{{{.}}}} {{{{end}}}}$TAB{{{{range .RepoDigests}}}}{{{{.}}}} {{{{end}}}}"
        $DOCKER image inspect -f "$line" {GONE} {WEB} sha256:{"0" * 64} {OTHER} {WEB} 2>said; say some-missing $?
        say said "$(grep -ci 'no such image' said)"
        id=$($DOCKER image inspect -f '{{{{.Id}}}}' {WEB}); say id "$id"
        $DOCKER image inspect "$id" >/dev/null; say by-id $?
        digest=$($DOCKER image inspect -f '{{{{range .RepoDigests}}}}{{{{println .}}}}{{{{end}}}}' "$id" | head -n 1)
        say digest "$digest"; say by-digest "$($DOCKER image inspect -f '{{{{.Id}}}}' "$digest")"
        say by-both "$($DOCKER image inspect -f '{{{{.Id}}}}' "contract/web:any@${{digest#*@}}")"
        $DOCKER tag "$id" "$digest" 2>/dev/null; say tag-a-digest $?
        say all "$($DOCKER images -a -q --no-trunc | sort -u | grep -cx "$id")"
        """
    )
    assert told["some-missing"] == "1" and told["said"] == "2"
    assert re.fullmatch(rf"{told['id']}\tlinux/\w+\t(\S+ )*\t(\S+ )*", told["local"])
    assert told["digest"].startswith("contract/web@sha256:")
    assert told["by-digest"] == told["by-both"] == told["id"] and told["by-id"] == "0"
    assert told["tag-a-digest"] != "0" and told["all"] == "1"


async def test_an_image_named_by_digest_is_used(host: ContractHost) -> None:
    digest = (await host.run("docker", "image", "inspect", "-f", "{{index .RepoDigests 0}}", WEB)).text.strip()
    project = await host.project(f"services: {{a: {{image: '{WEB}@{digest.partition('@')[2]}'}}}}").prepare()
    await project.sh("up a")
    seen = await project.inspect("a")
    assert seen["State"]["Status"] == "running" and seen["Config"]["Image"].startswith(f"{WEB}@sha256:")
    assert seen["Image"] == seen["Config"]["Labels"]["com.docker.compose.image"]
    listed = (await project.sh("containers")).stdout.decode().split("\t")
    assert listed[5] == seen["Image"]


async def test_a_keeper_holds_its_image(host: ContractHost) -> None:
    project = await host.project(f"services: {{a: {{image: {WEB}}}}}").prepare()
    told = await project.facts(
        rf"""
        keep=vpai.keep/web-a:0123456789ab; name=$PROJECT-keep
        create() {{
          $DOCKER create --name "$name" --network none --label vpai.keep=1 --label "vpai.stack=$PROJECT" "$keep" true
        }}
        id=$($DOCKER image inspect -f '{{{{.Id}}}}' {WEB}); say id "$id"; $DOCKER tag "$id" "$keep"
        say created "$(create)"; create >/dev/null 2>&1; say name-taken $?
        say keeper "$(field "$name" '{{{{.State.Status}}}} {{{{.Config.Image}}}} {{{{.Image}}}}')"
        keepers="--filter label=vpai.keep=1 --filter label=vpai.stack=$PROJECT --format {{{{.Names}}}}"
        say keepers "$($DOCKER ps -a $keepers)"; say running "$($DOCKER ps $keepers)"
        $DOCKER rmi "$id" >/dev/null 2>&1; say in-use $?
        say label "$($DOCKER ps -a $keepers | while read -r one; do field "$one" '{{{{.Config.Image}}}}'; done)"
        $DOCKER rm "$name" >/dev/null && $DOCKER rmi "$keep" >/dev/null; say given-up $?
        say still "$($DOCKER image inspect -f '{{{{.Id}}}}' {WEB})"
        $DOCKER image inspect "$keep" >/dev/null 2>&1; say keep-gone $?
        """
    )
    assert SHA.fullmatch(told["created"]) and told["name-taken"] != "0"
    assert told["keeper"] == f"created vpai.keep/web-a:0123456789ab {told['id']}"
    assert told["keepers"] == f"{project.name}-keep" and told["running"] == ""
    assert told["label"] == "vpai.keep/web-a:0123456789ab" and told["in-use"] != "0"
    assert told["given-up"] == "0" and told["still"] == told["id"] and told["keep-gone"] != "0"


@pytest.mark.parametrize("host", BOTH[1:], indirect=True)
async def test_a_prune_leaves_a_kept_image(host: ContractHost) -> None:
    """Only on a real host: the simulated docker has no prune."""
    ref, version = "contract/pruned:1", "pruned-1"
    await host.bits.publish(ref, version)
    project = await host.project(f"services: {{a: {{image: {WEB}}}}}").prepare()
    told = await project.facts(
        rf"""
        $DOCKER pull -q {ref} >/dev/null; id=$($DOCKER image inspect -f '{{{{.Id}}}}' {ref})
        prune() {{ $DOCKER image prune -af --filter label=org.opencontainers.image.version={version} >/dev/null; }}
        there() {{ $DOCKER image inspect "$id" >/dev/null 2>&1; }}
        $DOCKER tag "$id" "vpai.keep/web-a:$PROJECT"; $DOCKER rmi {ref} >/dev/null
        $DOCKER create --name "$PROJECT-keep" --network none "vpai.keep/web-a:$PROJECT" true >/dev/null
        prune; there; say kept $?
        $DOCKER rm "$PROJECT-keep" >/dev/null; prune; there; say without $?
        """
    )
    assert told["kept"] == "0" and told["without"] != "0"
