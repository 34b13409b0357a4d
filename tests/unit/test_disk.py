"""What fills a disk: the answers read strictly, who needs which image, what may go, and when it will be full."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fleet_things import host, metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.model import Disk, FleetSnapshot
from vpai_tui.fleet.stacks import load_stacks
from vpai_tui.upkeep.disk.model import CacheEntry, Image, Need, Usage, Volume, size
from vpai_tui.upkeep.disk.need import judged, normal
from vpai_tui.upkeep.disk.plan import ARRIVING_S, plan_prune, told
from vpai_tui.upkeep.disk.read import Lock, Seen, Told, read_account, read_look, seconds
from vpai_tui.upkeep.disk.run import records
from vpai_tui.upkeep.disk.sums import parts
from vpai_tui.upkeep.disk.trend import DAY_S, SampleFile, forecast
from vpai_tui.verbs.say_disk import usage_json

NOW = 1_700_000_000.0
GIB = 1 << 30


def image(number: int, **keys: object) -> Image:
    name, digest = f"web:{number}", f"web@sha256:{number}"
    made = Image(f"sha256:{number:064x}", (name,), (digest,), GIB, GIB, NOW - 40 * DAY_S, None)
    return replace(made, **keys)  # type: ignore[arg-type]


def usage(*images: Image, **keys: object) -> Usage:
    made = Usage("sese", NOW, (), images=images, complete=True)
    return replace(made, **keys)  # type: ignore[arg-type]


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


LOOK = b"""fs\t/dev/sda1\t1000\t600\t400\t/
fs\ttmpfs\t10\t1\t9\t/run
fs\t/dev/sda1\t1000\t600\t400\t/var/lib/docker/x
engine\t/var/lib/docker\toverlay2
container\tc1\t/web-1\tsha256:aa\texited\tnull\tjson-file\t{}\t/x.log
container\tc2\t/vpai-keep\tsha256:bb\tcreated\t"1"\tjson-file\t{"max-size":"10m"}\t/x.log
listed\tcontainers
image\tsha256:aa\t"2026-01-02T03:04:05.678901234Z"
came\tsha256:aa\t1700000000
log\tc1\t12
log\tc1\t3
on\tdocker\t/var/lib/docker\t/dev/sda1\t1000\t600\t400\t/
lock\tweb\tr1\tok\tcurrent\tweb\tweb:1\tsha256:cc
lock\tweb\tr0\treverted\t-\tweb\tweb:0\tsha256:dd
listed\treleases
own\tstacks/web\t40\t2
place\t/var/log/journal\t900
end
"""


def test_a_look_is_read() -> None:
    found = read_look(LOOK, "sese")
    assert [(it.mount, it.used_bytes) for it in found.disks] == [("/", 600 << 10)]
    assert [(it.name, it.keeper, it.rotates) for it in found.containers] == [
        ("web-1", False, False),
        ("vpai-keep", True, True),
    ]
    assert (found.logs, found.listed) == ({"c1": 15 << 10}, {"containers", "releases"})
    assert [(it.image_id, it.binding) for it in found.locks] == [("sha256:cc", True), ("sha256:dd", False)]
    assert found.on["docker"].used_bytes == 600 << 10
    assert found.tagged_s["sha256:aa"] == pytest.approx(1767323045.678901)


def test_a_cut_answer_is_an_error() -> None:
    with pytest.raises(OperatorError, match="cut"):
        read_look(LOOK[:-5], "sese")


_cell = st.binary(max_size=20).map(lambda it: it.replace(b"\n", b"").replace(b"\t", b""))
_kinds = (
    "fs",
    "engine",
    "container",
    "image",
    "came",
    "log",
    "on",
    "lock",
    "own",
    "place",
    "wanted",
    "listed",
    "error",
)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(_kinds), st.lists(_cell, max_size=9)), max_size=12))
def test_any_answer_of_a_host_is_read(rows: list[tuple[str, list[bytes]]]) -> None:
    raw = b"".join(b"\t".join([kind.encode(), *cells]) + b"\n" for kind, cells in rows)
    found = read_look(raw + b"end\n", "sese")
    shown = [found.docker_root, *found.errors, *(it.name for it in found.containers), *(it.mount for it in found.disks)]
    assert all(it.isprintable() or not set(it) & set("\x1b\x07\n\t") for it in shown)
    parts(usage(*judged((image(1),), found, ())))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
_keys = st.sampled_from(["Images", "BuildCache", "Volumes", "Containers", "LayersSize"])
_names = "Id ID Size SharedSize Name UsageData RepoTags RepoDigests Created SizeRw LastUsedAt"
_fields = st.sampled_from(_names.split(" "))
_things = st.lists(st.dictionaries(_fields, _json, max_size=6), max_size=3)


@settings(max_examples=40)
@given(st.dictionaries(_keys, _things | _json))
def test_any_answer_of_an_engine_is_read(raw: dict[str, object]) -> None:
    account = read_account(raw)
    found = usage(*account.images, cache=account.cache, volumes=account.volumes)
    plan_prune(found)
    json.dumps(usage_json(found, {}))


def test_times() -> None:
    assert seconds("0001-01-01T00:00:00Z") is None
    assert seconds("2026-01-02T03:04:05.1234567890+02:00") == pytest.approx(1767315845.123456)
    assert seconds("yesterday") is None
    assert seconds(7) is None


# ── who needs what ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("ref", "listed"),
    [
        ("redis", "redis:latest"),
        ("docker.io/library/redis:8", "redis:8"),
        ("docker.io/lab/web:1", "lab/web:1"),
        ("localhost:5000/web", "localhost:5000/web:latest"),
        ("ghcr.io/a/b:1@sha256:aa", "ghcr.io/a/b@sha256:aa"),
    ],
)
def test_references_as_docker_lists_them(ref: str, listed: str) -> None:
    assert normal(ref) == listed


def test_who_needs_an_image(tmp_path: Path) -> None:
    for stack, text in {
        "sese/studio": "services: {cut: {image: 'docker.io/lab/cut:1'}, own: {build: ., image: '${OWN:-own:1}'}}",
        "sese/web": "services: {web: {image: web:6}, made: {build: .}}",
    }.items():
        (tmp_path / stack).mkdir(parents=True)
        (tmp_path / stack / "compose.yaml").write_text(text)
        (tmp_path / stack / "stack.yaml").write_text("on_demand: true" if "studio" in stack else "project: site")
    from vpai_tui.config import Fleet, Host, Ssh

    known = Host(addresses=("127.0.0.1",), ssh=Ssh(user="u"))
    stacks = load_stacks(tmp_path, Fleet(hosts={"sese": known}, stacks=("sese/studio", "sese/web")))
    seen = Told(
        containers=[
            Seen("c1", "web-1", image(1).id, "exited", keeper=False, log_driver="json-file", rotates=True),
            Seen("c2", "vpai-keep-x", image(2).id, "created", keeper=True, log_driver="json-file", rotates=True),
        ],
        locks=[
            Lock("web", "r1", "ok", "", "web", image(3).id),
            Lock("web", "r2", "reverted", "", "web", image(9).id),
            Lock("web", "r3", "", "pending", "web", image(4).id),
            Lock("web", "r4", "", "", "web", image(10).id),
        ],
    )
    found = {
        it.id: (it.need, it.by)
        for it in judged(
            [
                *(image(number) for number in (1, 2, 3, 4, 9, 10)),
                image(5, tags=("vpai.keep/web-web:5",)),
                image(6, tags=("web:6",)),
                image(7, tags=("lab/cut:1",)),
                image(8, tags=("site-made:latest",)),
                image(11, tags=("own:99",), digests=()),
                image(12, tags=("other:1",)),
            ],
            seen,
            stacks,
        )
    }
    assert {number: found[image(number).id][0] for number in range(1, 13)} == {
        1: Need.CONTAINER, 2: Need.RELEASE, 3: Need.RELEASE, 4: Need.RELEASE, 5: Need.KEEPER, 6: Need.STACK,
        7: Need.ON_DEMAND, 8: Need.STACK, 9: Need.NOBODY, 10: Need.RELEASE, 11: Need.ON_DEMAND, 12: Need.NOBODY,
    }  # fmt: skip
    assert found[image(7).id][1] == ("sese/studio",)


# ── the plan ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.tuples(st.sampled_from(list(Need)), st.integers(0, 60), st.booleans()), max_size=12))
def test_a_plan_never_touches_what_somebody_needs(rows: list[tuple[Need, int, bool]]) -> None:
    images = [
        image(at, need=need, tags=("a:1",) if named else (), here_s=NOW - days * DAY_S, by=("x",))
        for at, (need, days, named) in enumerate(rows)
    ]
    prune = plan_prune(usage(*images, volumes=(Volume("data", GIB, 0), Volume("db", GIB, 1))))
    assert all(it.need is Need.NOBODY for it in prune.images)
    assert {it.id for it in images if it.need is not Need.NOBODY}.isdisjoint(it.id for it in prune.images)
    assert {it.kind for it in prune.items} <= {"image"}
    assert b"data" not in records(prune)
    assert any("volumes" in it.subject for it in prune.kept)


def test_what_has_just_come_stays_a_while() -> None:
    young, named = image(1, tags=(), here_s=NOW - ARRIVING_S + 1), image(2, here_s=NOW - 6 * DAY_S)
    assert plan_prune(usage(young, named)).empty
    assert [it.id for it in plan_prune(usage(young, named), older_than_s=DAY_S).images] == [named.id]
    assert plan_prune(usage(replace(young, here_s=NOW - ARRIVING_S), named), older_than_s=0).items[0].image is not None


def test_nothing_goes_where_not_everything_is_known() -> None:
    prune = plan_prune(usage(image(1), complete=False, cache=(CacheEntry("c", "regular", 9, 1.0, False, False),)))
    assert prune.empty
    assert "no image is touched" in prune.notes[-1]


def test_what_it_frees_is_said_honestly() -> None:
    shared = image(1, unique_bytes=GIB // 4)
    built = image(2, digests=())
    old = CacheEntry("a", "regular", 100 << 20, NOW - 9 * DAY_S, in_use=False, shared=True)
    kept = [replace(old, id="b", in_use=True), replace(old, id="c", used_s=NOW), replace(old, id="d", used_s=None)]
    prune = plan_prune(usage(shared, built, cache=(old, *kept), apt_bytes=300 << 20))
    assert [it.frees for it in prune.items] == ["256 MiB, up to 1.0 GiB", "1.0 GiB", "up to 100 MiB", "300 MiB"]
    assert told(prune) == "1.5 GiB, up to 2.4 GiB, from 2 images, the build cache and apt's packages"
    assert prune.word == "sese"  # what was built here cannot be fetched again
    assert plan_prune(usage(shared)).word is None
    assert records(prune).decode().splitlines() == [
        f"image\t{shared.id}\tweb:1", f"image\t{built.id}\tweb:2", "cache\t168", "apt",
    ]  # fmt: skip


def test_layers_of_what_stays_are_not_counted() -> None:
    stays, goes = image(1, need=Need.CONTAINER), image(2, unique_bytes=200)
    prune = plan_prune(usage(stays, goes, layers_bytes=GIB + (4 << 20)))
    assert (prune.items[0].frees, prune.least_bytes, prune.most_bytes) == ("200 B, up to 4 MiB", 200, 4 << 20)


def test_sizes() -> None:
    assert [size(it) for it in (None, 0, 4 << 10, 3 << 20, 12.4 * GIB, 300 * GIB)] == [
        "–", "0 B", "4 KiB", "3 MiB", "12.4 GiB", "300 GiB",
    ]  # fmt: skip


# ── the trend ────────────────────────────────────────────────────────────────────────────────────────────────────────


def line(per_day: float, days: float = 10, left: float = 20 * GIB) -> list[tuple[float, float]]:
    return [(NOW - at * 7200, left + per_day * at / 12) for at in range(int(days * 12))]


def test_a_disk_that_fills_has_a_date() -> None:
    found = forecast(line(2 * GIB), 100 * GIB, NOW)
    assert found.full_at_s == pytest.approx(NOW + 10 * DAY_S, rel=1e-6)
    assert found.day == "2023-11-24"
    assert found.per_day_bytes == pytest.approx(2 * GIB)


def test_one_clean_up_does_not_turn_it() -> None:
    cleaned = [(at, room - (15 * GIB if at < NOW - 9 * DAY_S else 0)) for at, room in line(2 * GIB)]
    found = forecast(cleaned, 100 * GIB, NOW)
    assert found.full_at_s is not None
    assert NOW + 8 * DAY_S < found.full_at_s < NOW + 14 * DAY_S


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        ([], "too short: 0 samples over 0 h"),
        (line(2 * GIB)[:11], "too short"),
        (line(2 * GIB, days=0.9), "too short"),
        (line(0), "does not fill"),
        (line(-GIB), "gets emptier"),
        (line(0.06 * GIB, left=90 * GIB), "not within a year"),
    ],
)
def test_no_date_is_made_up(samples: list[tuple[float, float]], why: str) -> None:
    found = forecast(samples, 100 * GIB, NOW)
    assert found.full_at_s is None
    assert why in found.why


@given(st.lists(st.tuples(st.floats(0, 2e9), st.floats(-1e12, 1e14)), max_size=60))
def test_any_samples_have_an_answer(samples: list[tuple[float, float]]) -> None:
    found = forecast(samples, 100 * GIB, NOW)
    assert (found.full_at_s is None) == bool(found.why)
    assert found.full_at_s is None or found.full_at_s > 0


def test_the_laptop_notes_one_sample_an_hour(tmp_path: Path) -> None:
    file = SampleFile(tmp_path)
    seen = host("sese", metrics=metrics(disks=(Disk("/", 100, 60, 30),)))
    snapshot = FleetSnapshot(0.0, (seen,), (), (), ())
    for minutes in range(0, 150, 10):
        file.note(snapshot, NOW + 60 * minutes)
    assert file.read() == {"sese /": [(NOW, 30.0), (NOW + 3600, 30.0), (NOW + 7200, 30.0)]}
    file.note(snapshot, NOW - 10)  # the clock jumped back: what lies ahead of it is forgotten
    assert file.read() == {"sese /": [(NOW - 10, 30.0)]}
    file.path.write_text('{"samples": {"a /": [[1, true], "x", [1, 2]], "b": 3}}')
    assert file.read() == {"a /": [(1.0, 2.0)], "b": []}
    file.path.write_bytes(b"\xff\x00")
    assert file.read() == {}
