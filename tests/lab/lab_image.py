"""The image every lab machine runs from: Debian made with debootstrap (no registry is asked), then one Docker build."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

CONTEXT = Path(__file__).parent / "image"
SUITE = "trixie"


def debian_mirror(etc_apt: Path = Path("/etc/apt")) -> str:
    """The Debian mirror this machine itself installs from, so that no address stands in the project.

    Raises LookupError where apt names none.
    """
    sources = sorted((etc_apt / "sources.list.d").glob("*.sources"))
    lists = [etc_apt / "sources.list", *sorted((etc_apt / "sources.list.d").glob("*.list"))]
    found: list[str] = []
    for path in sources:
        for line in path.read_text().splitlines():
            if line.startswith("URIs:"):
                found += line.removeprefix("URIs:").split()
    for path in lists:
        if path.exists():
            found += re.findall(r"^deb\s+(?:\[[^]]*]\s*)?(\S+)\s+", path.read_text(), re.MULTILINE)
    for url in found:
        if url.rstrip("/").endswith("/debian"):
            return url
    raise LookupError(f"no Debian mirror in {etc_apt}: the lab is built with debootstrap from the machine's own mirror")


def image_tag() -> str:
    """`vpai-lab-host:<hash of the build context>`, so that a changed context is another image."""
    digest = hashlib.sha256(SUITE.encode())
    for path in sorted(CONTEXT.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return f"vpai-lab-host:{digest.hexdigest()[:12]}"


def ensure_image() -> str:
    """Build the host image unless this engine has it; returns its tag. A minute or two when nothing is cached."""
    tag = image_tag()
    if not _have(tag):
        base = f"vpai-lab-base:{SUITE}"
        if not _have(base):
            _import_base(base)
        print(f"lab: building {tag}", file=sys.stderr)
        proxies = [f"--build-arg={name}" for name in ("http_proxy", "https_proxy") if os.environ.get(name)]
        argv = ["docker", "build", "-q", "--network", "host", "--build-arg", f"BASE={base}", *proxies]
        # the classic builder: Debian ships no buildx
        subprocess.run([*argv, "-t", tag, str(CONTEXT)], check=True, env={**os.environ, "DOCKER_BUILDKIT": "0"})
    return tag


def _have(tag: str) -> bool:
    return subprocess.run(["docker", "image", "inspect", tag], capture_output=True).returncode == 0


def _import_base(base: str) -> None:
    if shutil.which("debootstrap") is None:
        raise LookupError("debootstrap is missing: apt-get install debootstrap")
    mirror = debian_mirror()
    print(f"lab: making {base} with debootstrap", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="vpai-lab-", dir="/var/tmp") as work:
        root, log = Path(work, "root"), Path(work, "debootstrap.log")
        argv = ["debootstrap", "--variant=minbase", "--include=ca-certificates", SUITE, str(root), mirror]
        with log.open("wb") as out:
            done = subprocess.run(argv, stdout=out, stderr=subprocess.STDOUT)
        if done.returncode:
            raise RuntimeError("debootstrap failed:\n" + "\n".join(log.read_text().splitlines()[-15:]))
        for waste in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
            shutil.rmtree(root / waste, ignore_errors=True)
        _import(root, base)


def _import(root: Path, base: str) -> None:
    importer = subprocess.Popen(["docker", "import", "-", base], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert importer.stdin is not None
    with importer.stdin, tarfile.open(fileobj=importer.stdin, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for entry in sorted(root.iterdir()):
            tar.add(entry, arcname=entry.name)
    if importer.wait():
        raise RuntimeError("docker import failed")
