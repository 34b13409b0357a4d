"""Images for another kind of machine: refused before anything changes, all of them named."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from vpai_tui.deploy import arch
from vpai_tui.deploy.compare import ImageTarget
from vpai_tui.errors import PreflightRefused
from vpai_tui.fleet.operation import Change, Effect


class Engine:
    """What the engine answers; `asked` are the images it was asked about."""

    def __init__(self, host: Any, images: dict[str, Any]) -> None:
        self.host, self.images, self.asked = host, images, list[str]()

    async def call(self, name: str, *args: str) -> Any:
        if name == "version":
            return self.host
        assert name == "inspect_image"
        self.asked.append(args[0])
        return self.images[args[0]]


def prepared(effects: dict[str, Effect], structure: Any = None) -> Any:
    plan = SimpleNamespace(stack="pi/opencut", changes=tuple(Change(name, effect) for name, effect in effects.items()))
    return SimpleNamespace(plan=plan, structure=structure or {})


async def look(
    images: dict[str, Any], host: Any = None, structure: Any = None, effects: dict[str, Effect] | None = None
) -> Engine:
    engine = Engine({"Arch": "arm64"} if host is None else host, {f"sha256:{name}": it for name, it in images.items()})
    targets = {name: ImageTarget(name, f"{name}:1", f"sha256:{name}", None) for name in images}
    found = prepared(effects or dict.fromkeys(images, Effect.CREATE), structure)
    await arch.check(engine, found, targets)  # type: ignore[arg-type]
    return engine


async def test_all_that_are_wrong_are_named_at_once() -> None:
    images = {"web": {"Architecture": "amd64"}, "db": {"Architecture": "arm64"}, "srh": {"Architecture": "s390x"}}
    with pytest.raises(PreflightRefused) as told:
        await look(images)
    assert told.value.message == "the host is arm64, and web:1 of web is made for amd64 (and 1 more)"
    assert told.value.output.splitlines() == ["web:1 of web is made for amd64", "srh:1 of srh is made for s390x"]
    assert (told.value.exit_code, told.value.host) == (78, "pi")


@pytest.mark.parametrize(("host", "made"), [("arm64", "arm64"), ("arm64", "arm"), ("amd64", "386"), ("amd64", "amd64")])
async def test_what_the_machine_runs_is_fine(host: str, made: str) -> None:
    engine = await look({"web": {"Architecture": made}}, {"Arch": host})
    assert engine.asked == ["sha256:web"]


@pytest.mark.parametrize("answer", [None, [], {}, {"Architecture": None}, {"Architecture": 7}, {"Architecture": ""}])
async def test_an_image_of_which_the_engine_tells_nothing_is_let_be(answer: Any) -> None:
    await look({"web": answer})


@pytest.mark.parametrize("host", [[], {}, {"Arch": None}, {"Arch": ["arm64"]}])
async def test_an_engine_that_does_not_tell_what_it_is_refuses_nothing(host: Any) -> None:
    await look({"web": {"Architecture": "amd64"}}, host)


async def test_a_platform_of_its_own_is_the_operators_word() -> None:
    images = {"web": {"Architecture": "amd64"}}
    await look(images, structure={"services": {"web": {"platform": "linux/amd64"}}})
    for structure in ({"services": {"web": {"platform": ""}}}, {"services": {"web": None}}, {"services": []}):
        with pytest.raises(PreflightRefused):
            await look(images, structure=structure)


async def test_only_what_starts_is_looked_at() -> None:
    images = {"web": {"Architecture": "amd64"}, "db": {"Architecture": "amd64"}, "srh": {"Architecture": "arm64"}}
    effects = {"web": Effect.NONE, "db": Effect.REMOVE, "srh": Effect.RESTART, "new": Effect.CREATE}
    engine = await look(images, effects=effects)
    assert engine.asked == ["sha256:srh"]


async def test_hostile_words_are_cleaned() -> None:
    with pytest.raises(PreflightRefused) as told:
        await look({"web": {"Architecture": "x\x1b[31m\ny"}})
    assert "\x1b" not in told.value.message and "\n" not in told.value.message
