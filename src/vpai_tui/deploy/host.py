"""A stack's place on its host, and the scripts that read it there."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files as package_files

from vpai_tui.deploy.builds import tar_of
from vpai_tui.deploy.bundle import LABELS_FILE, Bundle
from vpai_tui.deploy.facts import HostFacts, parse
from vpai_tui.errors import UsageError
from vpai_tui.remote.connection import Connection

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one stack lives on one host."""

    root: str
    stack: str  # the short name
    project: str
    docker: str

    @property
    def deploy(self) -> str:
        return f"{self.root}/deploy"

    @property
    def home(self) -> str:
        return f"{self.deploy}/stacks/{self.stack}"

    def environment(self) -> str:
        """The words of an `env -i` that the scripts run under: fixed, so that Compose's hashes are."""
        pairs = {"ROOT": self.root, "STACK": self.stack, "PROJECT": self.project, "DOCKER": self.docker}
        fixed = f'env -i PATH={PATH} HOME="$HOME" LC_ALL=C'
        return " ".join([fixed, *(f"{key}={shlex.quote(value)}" for key, value in pairs.items())])


def place_of(connection: Connection, stack: str, project: str) -> Place:
    """`stack` is the short name."""
    host = connection.host
    return Place(host.root.rstrip("/"), stack, project, host.docker)


def script(name: str) -> bytes:
    """One of the shipped sh scripts."""
    return package_files("vpai_tui.deploy").joinpath(name).read_bytes()


RUNNER_PARTS = ("common.sh", "journal.sh", "adopt.sh", "hooks.sh", "life.sh", "runner.sh")


def runner_script() -> bytes:
    """The runner as it is put on the host: one file."""
    return b"".join(script(name) for name in RUNNER_PARTS)


async def probe(connection: Connection, place: Place, verb: str, *args: str, bundle: Bundle | None = None) -> HostFacts:
    """Run `probe.sh VERB` in a temporary directory of the host, gone afterwards: one round of input and output."""
    entries = [("common.sh", script("common.sh"), "600"), ("probe.sh", script("probe.sh"), "600")]
    if bundle is not None:
        entries += _lists(bundle)
    argv = in_folder(f"{place.environment()} sh probe.sh {shlex.join((verb, *args))}")
    done = await connection.run(
        argv, root=True, stdin=tar_of(entries), timeout_s=180, label=f"probe {verb} {place.stack}"
    )
    return parse(done.stdout, connection.name)


def in_folder(command: str) -> list[str]:
    """`command`, run in a temporary folder of the host that holds the tar of its input, gone afterwards."""
    unpacked = 'umask 077; d=$(mktemp -d) || exit 1; trap \'rm -rf "$d"\' EXIT; tar -xf - -C "$d" && cd "$d"'
    return ["sh", "-c", f"{unpacked} && {command} </dev/null"]


def _lists(bundle: Bundle) -> list[tuple[str, bytes, str]]:
    entries = [(f"bundle/compose/{name}", content, "600") for name, content in bundle.compose.items()]
    if LABELS_FILE in bundle.compose:
        plain = {name: content for name, content in bundle.compose.items() if name != LABELS_FILE}
        entries += [(f"bundle/compose.plain/{name}", content, "600") for name, content in plain.items()]
    lists = {
        "services": bundle.services,
        "paths": [item.path for item in bundle.files],
        "envs": bundle.envs,
        "envs.optional": bundle.optional_envs,
        "envs.keys": [f"{key} {path}" for key, path in bundle.env_keys],
        "lives": bundle.lives,
        "networks": bundle.networks,
        "binds": bundle.binds,
        "dumps": bundle.dumps,
        "refs": [build.tag for build in bundle.builds],
    }
    return entries + [(f"bundle/{name}", lines(values), "600") for name, values in lists.items()]


def lines(values: Iterable[str]) -> bytes:
    """One value a line, as the scripts read them.

    Raises:
        UsageError: a value holds a line break, which the lists could not carry.
    """
    found = list(values)
    bad = next((value for value in found if "\n" in value or "\t" in value), None)
    if bad is not None:
        raise UsageError(f"a name holds a line break or a tab: {bad!r}", remedy="rename it")
    return "".join(f"{value}\n" for value in found).encode()
