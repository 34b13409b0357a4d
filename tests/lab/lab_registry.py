"""Small images made on the spot and a client of the lab's registry: push, move a tag, delete."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import random
import ssl
import tarfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from http.client import HTTPResponse

from lab_machines import Lab, LabError

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"

# A service that says its version over HTTP on :8080 and obeys SIGTERM at once. `serve` ignores its arguments, so that a
# stack's own `command:` (redis-server …) does no harm to a stand-in.
SERVE = """#!/bin/sh
trap 'exit 0' TERM INT
echo "version $(cat /etc/version) starts"
httpd -p 8080 -h /www
while :; do sleep 1 & wait $!; done
"""
CRASH = """#!/bin/sh
echo "version $(cat /etc/version) starts"
echo "cannot open the database: no such table" >&2
exit 3
"""
# What the healthchecks of ordinary stacks call in their real images.
PROBES = {
    "bin/pg_isready": "#!/bin/sh\nexit 0\n",
    "bin/redis-cli": "#!/bin/sh\necho PONG\n",
    "bin/curl": "#!/bin/sh\nexit 0\n",
}
KINDS = ("web", "crash", "unhealthy")


@dataclass(frozen=True)
class Image:
    """A manifest with its blobs (digest → bytes); `digest` is what `name@digest` and `docker pull` use."""

    manifest: bytes
    blobs: Mapping[str, bytes]

    @property
    def digest(self) -> str:
        return _digest(self.manifest)


class Registry:
    """The registry container of a lab, spoken to from this machine. References are written as in a stack."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def push(self, reference: str, version: str = "1", *, kind: str = "web", megabytes: Sequence[int] = (2, 3)) -> str:
        """Build and push an image; returns its digest.

        `kind` is `web` (serves its version on :8080), `crash` (exits 3 at once) or `unhealthy` (its own healthcheck
        fails). Each of `megabytes` is a layer that cannot be compressed. Same arguments, same digest.
        """
        return self._push(reference, self.build(reference, version, kind=kind, megabytes=megabytes))

    def push_files(self, reference: str, files: Mapping[str, str], settings: Mapping[str, object]) -> str:
        """Push an image of busybox and executable `files` (path → text); `settings` are its configuration's."""
        layer = _layer({path: text.encode() for path, text in files.items()})
        return self._push(reference, _assemble([self._base, layer], settings))

    def _push(self, reference: str, image: Image) -> str:
        repository, tag = split(reference)
        for digest, blob in image.blobs.items():
            self._upload(repository, digest, blob)
        self._call("PUT", f"/{repository}/manifests/{tag}", image.manifest, {"Content-Type": MANIFEST})
        return image.digest

    def build(self, reference: str, version: str, *, kind: str = "web", megabytes: Sequence[int] = (2, 3)) -> Image:
        """The image `push` would push."""
        if kind not in KINDS:
            raise ValueError(f"kind is one of {', '.join(KINDS)}, not {kind}")
        files = {"bin/serve": CRASH if kind == "crash" else SERVE, "etc/version": version, "www/index.html": version}
        layers = [self._base]
        layers += [_layer({f"srv/data-{n}": _noise(reference, n, size)}) for n, size in enumerate(megabytes)]
        layers.append(_layer({path: text.encode() for path, text in (files | PROBES).items()}))
        return _assemble(layers, _settings(version, kind))

    def digest(self, reference: str) -> str | None:
        """The digest a tag points at, None where there is none."""
        repository, tag = split(reference)
        try:
            with self._call("HEAD", f"/{repository}/manifests/{tag}", headers={"Accept": MANIFEST}) as answer:
                return answer.headers["Docker-Content-Digest"]
        except FileNotFoundError:
            return None

    def move_tag(self, reference: str, digest: str) -> None:
        """Let a tag point at another image of the same repository."""
        repository, tag = split(reference)
        with self._call("GET", f"/{repository}/manifests/{digest}", headers={"Accept": MANIFEST}) as answer:
            manifest = answer.read()
        self._call("PUT", f"/{repository}/manifests/{tag}", manifest, {"Content-Type": MANIFEST})

    def delete(self, reference: str, digest: str | None = None) -> None:
        """Remove an image: neither its digest nor any tag that points at it can be pulled any more."""
        repository, _ = split(reference)
        target = digest or self.digest(reference)
        if target is None:
            raise LabError(f"the registry has no {reference}")
        self._call("DELETE", f"/{repository}/manifests/{target}")

    @cached_property
    def _base(self) -> bytes:
        """A root folder of busybox alone."""
        argv = self._lab.root_shell("registry", "busybox --list").split()
        binary = self._lab.root_bytes("registry", "cat /bin/busybox")
        return _layer({"bin/busybox": binary}, links=[f"bin/{name}" for name in argv if name != "busybox"])

    @cached_property
    def _opener(self) -> urllib.request.OpenerDirector:
        context = ssl.create_default_context(cafile=str(self._lab.state / "tls" / "ca.crt"))
        # no proxy of the environment: the lab is never behind one
        return urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def _call(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> HTTPResponse:
        url = path if path.startswith("https:") else f"https://{self._lab.registry}/v2{path}"
        request = urllib.request.Request(url, data=body, headers=dict(headers or {}), method=method)
        try:
            answer: HTTPResponse = self._opener.open(request, timeout=30)
        except urllib.error.HTTPError as error:
            with error:
                text = error.read(500).decode(errors="replace")
            if error.code == 404:
                raise FileNotFoundError(f"{method} {path}: not in the registry") from None
            raise LabError(f"registry: {method} {path}: {error.code} {text}") from None
        if method not in ("GET", "HEAD"):
            answer.close()
        return answer

    def _upload(self, repository: str, digest: str, blob: bytes) -> None:
        try:
            self._call("HEAD", f"/{repository}/blobs/{digest}").close()
        except FileNotFoundError:
            place = self._call("POST", f"/{repository}/blobs/uploads/", b"").headers["Location"]
            joint = "&" if "?" in place else "?"
            self._call("PUT", f"{place}{joint}digest={digest}", blob, {"Content-Type": "application/octet-stream"})


def split(reference: str) -> tuple[str, str]:
    """Repository and tag as the registry has them: `redis:8.0` → (`library/redis`, `8.0`); a host's name is dropped."""
    name, _, tag = reference.rpartition(":")
    if not name or "/" in tag:
        name, tag = reference, "latest"
    first, _, rest = name.partition("/")
    if rest and ("." in first or ":" in first or first == "localhost"):
        return (f"library/{rest}" if first == "docker.io" and "/" not in rest else rest), tag
    return (name if rest else f"library/{name}"), tag


def _settings(version: str, kind: str) -> dict[str, object]:
    settings: dict[str, object] = {
        "Env": ["PATH=/bin"],
        "Entrypoint": ["/bin/serve"],
        "Labels": {"org.opencontainers.image.version": version},
        "ExposedPorts": {"8080/tcp": {}},
    }
    if kind == "unhealthy":
        second = 1_000_000_000
        probe = ["CMD-SHELL", "echo 'probe: connection refused'; exit 1"]
        settings["Healthcheck"] = {"Test": probe, "Interval": second, "Timeout": second, "Retries": 2}
    return settings


def _assemble(layers: Sequence[bytes], settings: Mapping[str, object]) -> Image:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    config = json.dumps(
        {
            "architecture": machine,
            "os": "linux",
            "created": "2026-01-01T00:00:00Z",
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [_digest(gzip.decompress(layer)) for layer in layers]},
            "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "vpai lab"} for _ in layers],
        }
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "size": len(config), "digest": _digest(config)},
        "layers": [{"mediaType": LAYER, "size": len(layer), "digest": _digest(layer)} for layer in layers],
    }
    blobs = {_digest(blob): blob for blob in (config, *layers)}
    return Image(json.dumps(manifest).encode(), blobs)


def _layer(files: Mapping[str, bytes], links: Sequence[str] = ()) -> bytes:
    """A gzipped tar of executable files and of links to busybox, the same bytes each time."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
        for path in links:
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return gzip.compress(out.getvalue(), compresslevel=1, mtime=0)


@cache
def _noise(reference: str, number: int, megabytes: int) -> bytes:
    return random.Random(f"{split(reference)[0]} {number}").randbytes(megabytes << 20)


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()
