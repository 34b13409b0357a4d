"""The images of an engine: find, pull, tag, remove, build."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from vpai_tui.demo.engine.store import Doc, Engine, EngineError, emit, hex_of
from vpai_tui.demo.registry import Manifest, Ref, Registry, behaviour_of, parse

_HEX = re.compile(r"[0-9a-f]{4,64}")
_STEPS = 4  # progress reports per layer and phase
PULL_STEP_S = 0.03  # how long one takes: an image of five layers comes in about a second


def find(state: Doc, text: str) -> Doc | None:
    """The local image `text` names by id, short id, tag or digest."""
    images: dict[str, Doc] = state["images"]
    if text in images:
        return images[text]
    short = text.removeprefix("sha256:")
    if _HEX.fullmatch(short):
        hits = [image for id_, image in images.items() if id_.startswith("sha256:" + short)]
        if len(hits) == 1 or (hits and text.startswith("sha256:")):
            return hits[0]
    if text.startswith("sha256:"):
        return None
    ref = parse(text)
    for image in images.values():
        if ref.digest and f"{ref.repo}@{ref.digest}" in image["digests"]:
            return image
        if not ref.digest and ref.tagged in image["tags"]:
            return image
    return None


def need(state: Doc, text: str) -> Doc:
    """As `find`; EngineError(404) in Docker's words when it is not there."""
    image = find(state, text)
    if image is None:
        shown = text if text.startswith("sha256:") or "@" in text else parse(text).tagged
        raise EngineError(404, f"No such image: {shown}")
    return image


def store(state: Doc, ref: Ref, manifest: Manifest, now: float) -> Doc:
    """Enter a pulled image; its tag (if `ref` has one and no digest) moves to it."""
    record = {
        "id": manifest.image_id,
        "tags": [],
        "digests": [],
        "size": manifest.size_bytes,
        "created": now - 86400.0 * (2 + int(manifest.image_id[7:9], 16) % 60),
        "layers": [layer.id for layer in manifest.layers],
        "behaviour": manifest.behaviour,
        "built": False,
    }
    image: Doc = state["images"].setdefault(manifest.image_id, record)
    named = f"{ref.repo}@{manifest.digest}"
    if named not in image["digests"]:
        image["digests"].append(named)
    if not ref.digest:
        _move_tag(state, ref.tagged, image)
    return image


def _move_tag(state: Doc, tagged: str, image: Doc) -> None:
    for other in state["images"].values():
        if tagged in other["tags"]:
            other["tags"].remove(tagged)
    image["tags"].append(tagged)


def tag(state: Doc, now: float, source: str, target: str) -> None:
    """Let `target` name the image `source`."""
    image = need(state, source)
    tagged = parse(target).tagged
    _move_tag(state, tagged, image)
    emit(state, now, "image", "tag", image["id"], {"name": tagged})


def remove(state: Doc, now: float, text: str, *, force: bool = False) -> list[str]:
    """`docker rmi`: what it untagged and deleted, as its output lines."""
    image = need(state, text)
    users = [c for c in state["containers"].values() if c["image_id"] == image["id"]]
    by_tag = "@" not in text and not image["id"].startswith("sha256:" + text.removeprefix("sha256:"))
    if by_tag:
        tagged = parse(text).tagged
        if len(image["tags"]) > 1:
            image["tags"].remove(tagged)
            emit(state, now, "image", "untag", image["id"], {"name": tagged})
            return [f"Untagged: {tagged}"]
    if users and not force:
        _refuse(text, users[0], image, by_tag=by_tag)
    lines = [f"Untagged: {name}" for name in (*image["tags"], *image["digests"])]
    if users:
        image["tags"] = []
        return lines
    del state["images"][image["id"]]
    emit(state, now, "image", "delete", image["id"], {"name": image["id"]})
    return [*lines, f"Deleted: {image['id']}"]


def _refuse(text: str, user: Doc, image: Doc, *, by_tag: bool) -> None:
    short = user["id"][:12]
    if by_tag:
        what = f'unable to remove repository reference "{text}" (must force)'
        raise EngineError(
            409, f"conflict: {what} - container {short} is using its referenced image {image['id'][7:19]}"
        )
    state = "running" if user["started"] is not None and user["stopped"] is None else "stopped"
    force = "cannot be forced" if state == "running" else "must be forced"
    what = f"unable to delete {image['id'][7:19]} ({force})"
    raise EngineError(409, f"conflict: {what} - image is being used by {state} container {short}")


def pull(engine: Engine, text: str) -> Iterator[tuple[Doc, float]]:
    """Pull `text`: the messages of the Engine API, each with how long to wait before the next one.

    EngineError(404) before the first message when the registry does not have it.
    """
    ref = parse(text)
    state = engine.read()
    manifest = Registry(engine.home.parent, state["seed"]).resolve(ref)
    what = ref.digest or ref.tag
    yield {"status": f"Pulling from {_long(ref.repo)}", "id": what}, PULL_STEP_S
    have = {layer for image in state["images"].values() for layer in image["layers"]}
    for layer in manifest.layers:
        status = "Already exists" if layer.id in have else "Pulling fs layer"
        yield {"status": status, "progressDetail": {}, "id": layer.id}, 0.0
    for layer in manifest.layers:
        if layer.id not in have:
            yield from _layer(layer.id, layer.size_bytes)
    yield {"status": f"Digest: {manifest.digest}"}, 0.0
    present = manifest.image_id in state["images"]
    with engine.change() as fresh:
        store(fresh, ref, manifest, engine.now())
        shown = f"{ref.repo}@{ref.digest}" if ref.digest else ref.tagged
        emit(fresh, engine.now(), "image", "pull", shown, {"name": ref.repo})
    word = "Image is up to date for" if present else "Downloaded newer image for"
    yield {"status": f"Status: {word} {shown}"}, 0.0


def _layer(layer: str, size: int) -> Iterator[tuple[Doc, float]]:
    for phase, end in (("Downloading", "Download complete"), ("Extracting", "Pull complete")):
        for step in range(1, _STEPS + 1):
            detail = {"current": size * step // _STEPS, "total": size}
            bar = "=" * (step * 50 // _STEPS - 1) + ">"
            progress = f"[{bar:<50}]  {detail['current'] / 1e6:.2f}MB/{size / 1e6:.2f}MB"
            yield {"status": phase, "progressDetail": detail, "progress": progress, "id": layer}, PULL_STEP_S
        yield {"status": end, "progressDetail": {}, "id": layer}, 0.0


def _long(repo: str) -> str:
    return repo if "/" in repo else f"library/{repo}"


def build(engine: Engine, context: Path, dockerfile: Path, tagged: str, args: list[str]) -> str:
    """`docker build`: the image id depends on the context's content and the build arguments only."""
    try:
        recipe = dockerfile.read_text(errors="replace")
    except OSError:
        raise EngineError(
            400, f"failed to read dockerfile: open {dockerfile.name}: no such file or directory"
        ) from None
    parts = ["\0".join(args), recipe]
    for path in sorted(context.rglob("*")):
        if path.is_file():
            parts.append(f"{path.relative_to(context)} {hex_of(path.read_bytes().hex())}")
    image_id = "sha256:" + hex_of("build " + "\0".join(parts))
    ref = parse(tagged)
    with engine.change() as state:
        record = {
            "id": image_id,
            "tags": [],
            "digests": [],
            "size": 40_000_000 + int(image_id[7:13], 16) * 10,
            "created": engine.now(),
            "layers": [hex_of(f"{image_id} {number}")[:12] for number in range(4)],
            "behaviour": behaviour_of(ref.tag),
            "built": True,
        }
        image = state["images"].setdefault(image_id, record)
        _move_tag(state, ref.tagged, image)
        emit(state, engine.now(), "image", "build", image_id, {"name": ref.tagged})
    return image_id
