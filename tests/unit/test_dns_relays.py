"""The relay map that a restart of Headscale needs: which sources count, by version, and what is refused."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from vpai_tui.errors import PreflightRefused
from vpai_tui.vpn.dns.lint import Surroundings, lint
from vpai_tui.vpn.dns.proof import answered
from vpai_tui.vpn.dns.relays import Relays, relays_of
from vpai_tui.vpn.dns.settings import Derp, settings_of
from vpai_tui.vpn.hub import Hub, Mount
from vpai_tui.vpn.model import Record
from vpai_tui.vpn.versions import parse_version

CONFIG = (Path(__file__).parents[2] / "stacks/seko/headscale/headscale/config/config.yaml").read_bytes()
MAP = "https://relays.example/map"
FILE = "regions: {900: {regionid: 900, nodes: [{name: 900a, hostname: Relay.Example}]}}\n"


class Done:
    def __init__(self, status: int, stdout: bytes) -> None:
        self.exit_status, self.stdout = status, stdout

    @property
    def text(self) -> str:
        return self.stdout.decode()


class Here:
    """A connection whose commands run here."""

    name = "seko"

    async def run(self, argv: Sequence[str], **_: object) -> Done:
        done = subprocess.run(argv, capture_output=True, timeout=30)
        return Done(done.returncode, done.stdout)


async def needed(root: Path, version: str, derp: str, *env: str) -> Relays:
    """Of a config.yaml with this `derp`, its directory mounted."""
    settings, _ = settings_of(f"derp: {derp}\n".encode())
    mount = Mount(str(root), "/etc/headscale")
    hub = Hub("seko", None, "c", "headscale", True, None, "/etc/headscale/config.yaml", (mount,), env)
    return await relays_of(Here(), hub, settings, parse_version(version))  # type: ignore[arg-type]


def test_the_documents_own_relay_needs_nothing() -> None:
    assert settings_of(CONFIG)[0].derp == Derp(embedded=True)
    off = settings_of(b"derp: {server: {enabled: true, automatically_add_embedded_derp_region: false}}")[0]
    assert off.derp == Derp(embedded=False)
    assert settings_of(b"derp: none")[0].derp == settings_of(b"a: 1")[0].derp == Derp()


async def test_from_0_27_on_every_url_is_needed_and_before_one_where_nothing_else_is(tmp_path: Path) -> None:
    own, two = f"{{server: {{enabled: true}}, urls: [{MAP}, {MAP}2]}}", f"{{urls: [{MAP}, {MAP}2]}}"
    assert (await needed(tmp_path, "0.26.0", own)).urls == ()
    assert (await needed(tmp_path, "0.26.0", two)).urls == (MAP,)
    for version in ("headscale version v0.27.1", "v0.29.2", "dev", ""):
        assert (await needed(tmp_path, version, own)).urls == (MAP, f"{MAP}2"), version


async def test_a_url_with_a_blank_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(PreflightRefused, match="is no URL"):
        await needed(tmp_path, "0.28.0", f"{{server: {{enabled: true}}, urls: ['{MAP} x']}}")


@pytest.mark.parametrize("version", ["0.26.0", "0.28.0"])
async def test_a_start_that_would_find_no_relay_is_refused(tmp_path: Path, version: str) -> None:
    (tmp_path / "empty.yaml").write_text("regions: {}\n")
    for derp in ("{urls: []}", "{server: {enabled: false}}", "{paths: [/etc/headscale/empty.yaml]}"):
        with pytest.raises(PreflightRefused, match="neither an embedded relay nor"):
            await needed(tmp_path, version, derp)


async def test_a_map_file_counts_when_it_has_a_region(tmp_path: Path) -> None:
    (tmp_path / "derp.yaml").write_text(FILE)
    for version in ("0.26.0", "0.28.0"):
        found = await needed(tmp_path, version, "{paths: [/etc/headscale/derp.yaml]}")
        assert found == Relays((), ("relay.example",))
    assert (await needed(tmp_path, "0.26.0", "{paths: [/in/the/image.yaml]}")) == Relays()


@pytest.mark.parametrize("content", [None, "regions: [", "regions: {1: {nodes: [1, {hostname: 2}]}}\n\0"])
async def test_a_map_file_that_cannot_be_read_is_fatal_from_0_27_on(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "derp.yaml").write_text(content)
    derp = f"{{server: {{enabled: true}}, paths: [/etc/headscale/derp.yaml], urls: [{MAP}]}}"
    assert await needed(tmp_path, "0.26.0", derp) == Relays()
    with pytest.raises(PreflightRefused, match=r"derp\.paths"):
        await needed(tmp_path, "0.27.1", derp)
    alone = "{paths: [/etc/headscale/derp.yaml]}"
    with pytest.raises(PreflightRefused, match="would not start again"):
        await needed(tmp_path, "0.26.0", alone)


async def test_what_the_environment_sets_is_not_guessed(tmp_path: Path) -> None:
    assert await needed(tmp_path, "0.28.0", "{}", "HEADSCALE_DERP_URLS") == Relays()


def test_a_record_for_a_relay_or_for_their_list_is_refused() -> None:
    settings, _ = settings_of(f"derp: {{server: {{hostname: Derp.example}}, urls: [{MAP}]}}".encode())
    assert settings.derp_hosts == ("derp.example", "relays.example")
    around = Surroundings(settings, None, {"seko": ("87.106.30.160",)}, "seko", "", datetime(2026, 11, 25, tzinfo=UTC))
    records = [Record(name, "A", "100.64.0.14") for name in settings.derp_hosts]
    assert all("must keep its address" in problems[0].message for problems in lint(records, around))


async def test_the_proof_asks_until_the_resolver_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [Record("a.b", "A", "100.64.0.1"), Record("c.d", "AAAA", "fd7a::1")]
    given: list[dict[tuple[str, str], tuple[str, ...]]] = [
        {("a.b", "A"): (), ("c.d", "AAAA"): ("fd7a::2",)},
        {("a.b", "A"): ("100.64.0.1",), ("c.d", "AAAA"): ("fd7a::1",)},
    ]

    async def later() -> dict[tuple[str, str], tuple[str, ...]]:
        return given.pop(0)

    assert await answered(later, records) == "; a.b and c.d resolve"
    assert given == []

    async def never() -> dict[tuple[str, str], tuple[str, ...]]:
        return {("a.b", "A"): ()}

    monkeypatch.setattr("vpai_tui.vpn.dns.proof.ANSWERED_WITHIN_S", 0.1)
    assert await answered(never, records[:1]) == "; not answered yet: a.b"

    async def nobody() -> dict[tuple[str, str], tuple[str, ...]]:
        return {}

    assert "no resolver" in await answered(nobody, records)
    assert await answered(nobody, []) == ""
