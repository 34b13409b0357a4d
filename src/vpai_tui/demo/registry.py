"""The simulated registry: what a reference stands for, its digest, layers and sizes; all derived from the reference.

Any well-formed reference exists, but one that contains `missing`. `DIR/registry.json` holds what differs from that:
`{"generations": {ref: n}}`, a tag that moved n times, and `{"behaviours": {digest: behaviour}}`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

from vpai_tui.demo.engine.store import Doc, EngineError, fraction, hex_of

_REPO = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?::[0-9]+)?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Ref(NamedTuple):
    """A reference in its familiar form: `postgres`, `ghcr.io/berriai/litellm`; at most one of tag and digest is ""."""

    repo: str
    tag: str
    digest: str

    @property
    def tagged(self) -> str:
        return f"{self.repo}:{self.tag}"


class Layer(NamedTuple):
    """One layer of an image, as a pull shows it."""

    id: str  # 12 hex digits
    size_bytes: int


class Manifest(NamedTuple):
    """What the registry answers for a reference."""

    digest: str
    image_id: str
    layers: tuple[Layer, ...]
    behaviour: str  # "", crash, unhealthy

    @property
    def size_bytes(self) -> int:
        return sum(layer.size_bytes for layer in self.layers)


def parse(text: str) -> Ref:
    """The familiar form of `text`; without tag and digest the tag is `latest`. EngineError(400) when malformed."""
    rest, _, digest = text.partition("@")
    head, colon, tail = rest.rpartition(":")
    repo, tag = (head, tail) if colon and "/" not in tail else (rest, "")
    for prefix in ("docker.io/", "index.docker.io/", "library/"):
        repo = repo.removeprefix(prefix)
    wrong = not _REPO.fullmatch(repo) or (tag and not _TAG.fullmatch(tag)) or (digest and not _DIGEST.fullmatch(digest))
    if wrong or ("@" in text and not digest):
        raise EngineError(400, "invalid reference format")
    return Ref(repo, tag or ("" if digest else "latest"), digest)


class Registry:
    """The registry of one demo folder."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._path = folder / "registry.json"
        self._seed = seed

    def resolve(self, ref: Ref) -> Manifest:
        """The manifest behind `ref`. EngineError(404) when the registry does not have it."""
        if "missing" in ref.repo or "missing" in ref.tag:
            what = f"{ref.tagged}" if ref.tag else f"{ref.repo}@{ref.digest}"
            raise EngineError(404, f"manifest for {what} not found: manifest unknown: manifest unknown")
        known = self._read()
        digest = ref.digest
        if not digest:
            generation = known["generations"].get(ref.tagged, 0)
            digest = "sha256:" + hex_of(f"manifest {self._seed} {ref.tagged} {generation}")
        behaviour = known["behaviours"].get(digest) or behaviour_of(ref.tag)
        return Manifest(digest, image_id_of(digest), layers_of(ref.repo, digest), behaviour)

    def move(self, text: str, behaviour: str = "") -> str:
        """Let the tag stand for other bits from now on (which crash or stay unhealthy if so asked); the new digest."""
        ref = parse(text)
        known = self._read()
        known["generations"][ref.tagged] = known["generations"].get(ref.tagged, 0) + 1
        self._path.write_text(json.dumps(known))
        digest = self.resolve(ref).digest
        if behaviour:
            known["behaviours"][digest] = behaviour
            self._path.write_text(json.dumps(known))
        return digest

    def _read(self) -> Doc:
        try:
            known: Doc = json.loads(self._path.read_text())
        except FileNotFoundError:
            known = {"generations": {}, "behaviours": {}}
        return known


def behaviour_of(tag: str) -> str:
    """What the bits of an image with this tag do: `…broken…` crash-loops, `…unhealthy…` never becomes healthy."""
    if "broken" in tag:
        return "crash"
    return "unhealthy" if "unhealthy" in tag else ""


def image_id_of(digest: str) -> str:
    """The image id that belongs to a manifest digest."""
    return "sha256:" + hex_of(f"config of {digest}")


def layers_of(repo: str, digest: str) -> tuple[Layer, ...]:
    """Three to seven layers; the first is shared by every version of a repository."""
    count = 3 + int(5 * fraction(f"{digest} layers"))
    names = [f"base of {repo}"] + [f"{digest} layer {number}" for number in range(1, count)]
    return tuple(Layer(hex_of(name)[:12], int(1_500_000 + 48_000_000 * fraction(name) ** 2)) for name in names)
