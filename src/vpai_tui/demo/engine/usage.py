"""What an engine accounts for (`/system/df`), and its build cache."""

from __future__ import annotations

import sys

from vpai_tui.demo.engine import views
from vpai_tui.demo.engine.arguments import parse
from vpai_tui.demo.engine.cli_common import filters_of
from vpai_tui.demo.engine.store import Doc, Engine, fraction, hex_of

_DAY_S = 86400.0


def seed(state: Doc, now: float) -> None:
    """What weeks of work leave: two images without a name, one that was tried once, and build cache."""
    for title, days, size, tags in (
        ("an old build", 11, 412_000_000, []),
        ("a pull that moved on", 5, 188_000_000, []),
        ("a trial", 21, 640_000_000, ["ghcr.io/demo/tried-once:1"]),
    ):
        key = f"sha256:{hex_of(state['host'] + title)}"
        digests = [] if title == "an old build" else [f"ghcr.io/demo/tried-once@sha256:{hex_of(title)}"]
        state["images"][key] = {
            "id": key, "tags": list(tags), "digests": digests, "size": size, "created": now - days * _DAY_S,
            "layers": [hex_of(f"{key} {number}")[:12] for number in range(3)], "behaviour": "run", "built": not digests,
            "tagged": now - days * _DAY_S,
        }  # fmt: skip
    state["cache"] = [
        {"id": hex_of(f"{state['host']} cache {number}")[:25], "size": int(4e6 + 9e7 * fraction(f"cache {number}")),
         "used": now - _DAY_S * (1 + 4 * number), "shared": number % 5 == 0}
        for number in range(9)
    ]  # fmt: skip


def volumes_bytes(state: Doc) -> int:
    return sum(_volume_bytes(name) for name in state["volumes"])


def _volume_bytes(name: str) -> int:
    return 1000 * (1 + len(name)) ** 4


def cache_bytes(state: Doc) -> int:
    return sum(entry["size"] for entry in state.get("cache", ()))


def account(state: Doc, now: float) -> Doc:
    """`GET /system/df`."""
    images = list(state["images"].values())
    holders: dict[str, int] = {}
    for image in images:
        for layer in image["layers"]:
            holders[layer] = holders.get(layer, 0) + 1
    named = state["volumes"].items()
    mounted = [
        mount["source"] for c in state["containers"].values() for mount in c["mounts"] if mount["type"] == "volume"
    ]
    return {
        "LayersSize": sum(image["size"] for image in images),
        "Images": [{**views.listed_image(state, image), "SharedSize": _shared(image, holders)} for image in images],
        "Containers": [
            {**views.listed(state, container, now), "SizeRw": _written(container)}
            for container in state["containers"].values()
        ],
        "Volumes": [
            {**views.inspect_volume(key, it), "UsageData": {"RefCount": mounted.count(key), "Size": _volume_bytes(key)}}
            for key, it in named
        ],
        "BuildCache": [
            {
                "ID": entry["id"], "Type": "regular", "InUse": False, "Shared": entry["shared"], "Size": entry["size"],
                "CreatedAt": views.stamp(entry["used"]), "LastUsedAt": views.stamp(entry["used"]),
            }
            for entry in state.get("cache", ())
        ],
    }  # fmt: skip


def _written(container: Doc) -> int:
    return int(4e7 * fraction("written " + container["id"]) ** 3) if container["started"] else 0


def _shared(image: Doc, holders: dict[str, int]) -> int:
    """Bytes of the layers that other images have too; all layers are taken as equally large."""
    layers = image["layers"]
    return int(image["size"] * sum(holders[layer] > 1 for layer in layers) / max(1, len(layers)))


def prune_cache(engine: Engine, argv: list[str]) -> int:
    """`docker builder prune`."""
    names = {"-a": "all", "--all": "all", "-f": "force", "--force": "force", "--filter": "filter="}
    until = next(iter(filters_of(parse(argv, names)).get("until", ())), "0h")
    with engine.change() as state:
        limit = engine.now() - 3600.0 * float(until.removesuffix("h"))
        gone = [entry for entry in state.get("cache", ()) if entry["used"] <= limit]
        state["cache"] = [entry for entry in state.get("cache", ()) if entry["used"] > limit]
    from vpai_tui.demo.proc import renew_disks

    renew_disks(engine)
    for entry in gone:
        print(entry["id"])
    sys.stdout.write(f"Total:\t{sum(entry['size'] for entry in gone) / 1e6:.1f}MB\n")
    return 0
