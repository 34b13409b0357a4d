"""The images of an engine: find, pull, tag, remove, build."""

from __future__ import annotations

import hashlib
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
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
    """Let `target` name the image `source`. EngineError(400) when `target` has a digest, which names bits itself."""
    if "@" in target:
        raise EngineError(400, "refusing to create a tag with a digest reference")
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


def build(
    engine: Engine, files: Mapping[str, bytes], dockerfile: str, tagged: str, args: Iterable[str]
) -> Iterator[tuple[Doc, float]]:
    """Build an image from a context: the messages of the Engine API, each with how long to wait before the next one.

    The image id depends on the context's content and the arguments only. A `RUN` of `false` or `exit N` fails.
    EngineError(400) before the first message without a Dockerfile.
    """
    if dockerfile not in files:
        raise EngineError(400, f"failed to read dockerfile: open {dockerfile}: no such file or directory")
    steps = _steps(files[dockerfile].decode(errors="replace"))
    content = [f"{name} {hashlib.sha256(files[name]).hexdigest()}" for name in sorted(files)]
    image_id = "sha256:" + hex_of("build " + "\0".join([*args, dockerfile, *content]))
    for number, step in enumerate(steps, 1):
        yield {"stream": f"Step {number}/{len(steps)} : {step}\n"}, 0.15
        said = _failure(engine, step)
        if said:
            yield {"errorDetail": {"message": said}, "error": said}, 0.0
            return
        yield {"stream": f" ---> {hex_of(f'{image_id} {number}')[:12]}\n"}, 0.0
    with engine.change() as state:
        _built(state, engine.now(), image_id, parse(tagged))
    yield {"aux": {"ID": image_id}}, 0.0
    yield {"stream": f"Successfully built {image_id[7:19]}\n"}, 0.0
    yield {"stream": f"Successfully tagged {parse(tagged).tagged}\n"}, 0.0


def _steps(recipe: str) -> list[str]:
    joined = recipe.replace("\\\n", " ")
    lines = (" ".join(line.split()) for line in joined.splitlines())
    return [line for line in lines if line and not line.startswith("#") and line[:1].isalpha()]


def _failure(engine: Engine, step: str) -> str:
    word, _, rest = step.partition(" ")
    if word.upper() == "FROM":
        ref = parse(rest.split()[0]) if "$" not in rest and rest.split()[0] != "scratch" else None
        try:
            if ref is not None:
                Registry(engine.home.parent, engine.read()["seed"]).resolve(ref)
        except EngineError as error:
            return error.message
    if word.upper() == "RUN" and (rest == "false" or re.fullmatch(r"exit [1-9]\d*", rest)):
        code = rest.removeprefix("exit ") if rest != "false" else "1"
        return f"The command '/bin/sh -c {rest}' returned a non-zero code: {code}"
    return ""


def _built(state: Doc, now: float, image_id: str, ref: Ref) -> None:
    record = {
        "id": image_id,
        "tags": [],
        "digests": [],
        "size": 40_000_000 + int(image_id[7:13], 16) * 10,
        "created": now,
        "layers": [hex_of(f"{image_id} {number}")[:12] for number in range(4)],
        "behaviour": behaviour_of(ref.tag),
        "built": True,
    }
    image = state["images"].setdefault(image_id, record)
    _move_tag(state, ref.tagged, image)
    emit(state, now, "image", "build", image_id, {"name": ref.tagged})


def context_of(folder: Path) -> dict[str, bytes]:
    """The files of a build context that lies on the host."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def build_to_end(engine: Engine, folder: Path, dockerfile: str, tagged: str, args: Iterable[str]) -> str:
    """Build as the commands do; the image id. EngineError when it fails."""
    for message, pause_s in build(engine, context_of(folder), dockerfile, tagged, args):
        if "error" in message:
            raise EngineError(400, message["error"])
        if "stream" in message:
            sys.stderr.write(message["stream"])
        time.sleep(pause_s)
    return str(need(engine.read(), tagged)["id"])
