"""Which key is a host's: `known_hosts`, with trust bound to the host and not to one of its addresses."""

from __future__ import annotations

import base64
import hmac
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from vpai_tui.remote.failures import HostKeyProblem
from vpai_tui.text import clean_line

SYSTEM_FILE = Path("/etc/ssh/ssh_known_hosts")
_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
_MARKERS = ("@cert-authority", "@revoked")


def entry_name(address: str, port: int) -> str:
    """An address as `known_hosts` writes it: `[address]:port` unless the port is 22."""
    return address if port == 22 else f"[{address}]:{port}"


@dataclass(frozen=True)
class Known:
    """One line of a `known_hosts` file that speaks of the host."""

    path: Path
    line: int  # counted from 1
    key: asyncssh.SSHKey
    marker: str = ""  # "", "@cert-authority", "@revoked"


@dataclass
class HostKeys:
    """What the `known_hosts` files say of one host: under the addresses of the fleet's file and, once TCP stands,
    under what they resolved to."""

    path: Path  # the file new keys are written to
    addresses: Sequence[str]
    port: int
    known: list[Known] = field(default_factory=list)

    @classmethod
    def read(cls, file: str | None, addresses: Sequence[str], port: int) -> HostKeys:
        """Reads `file` (None: `~/.ssh/known_hosts`) and the system's file; missing files know nothing."""
        path = Path(file or "~/.ssh/known_hosts").expanduser()
        keys = cls(path, tuple(addresses), port)
        keys.learn(addresses)
        return keys

    def learn(self, names: Sequence[str]) -> None:
        """Adds what the files say of `names`."""
        seen = {(entry.path, entry.line) for entry in self.known}
        for file in (self.path, SYSTEM_FILE):
            for entry in _entries(file, names, self.port):
                if (entry.path, entry.line) not in seen:
                    self.known.append(entry)

    def trusted(self, marker: str = "") -> list[asyncssh.SSHKey]:
        """The keys known with `marker`."""
        return [entry.key for entry in self.known if entry.marker == marker]

    def lookup(self, host: str, address: str, port: int) -> tuple[list[asyncssh.SSHKey], ...]:
        """For asyncssh's `known_hosts=`: trusted keys, trusted authorities, revoked keys, and no X.509."""
        self.learn([name for name in (host, address) if name])
        return self.trusted(), self.trusted("@cert-authority"), self.trusted("@revoked"), [], [], [], []

    def where(self, key_type: str) -> str:
        """The lines to remove, as `file:line, …`: those of the shown key's type, else all of them."""
        plain = [entry for entry in self.known if not entry.marker]
        same = [entry for entry in plain if entry.key.get_algorithm() == key_type] or plain
        return ", ".join(f"{entry.path}:{entry.line}" for entry in same)

    def accept(self, key: asyncssh.SSHKey) -> None:
        """Appends `key` for all addresses of the host, in one write; the file is made 0600 if there is none."""
        names = ",".join(entry_name(address, self.port) for address in self.addresses)
        line = f"{names} {key.export_public_key('openssh').decode().split(' #')[0].strip()}\n"
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                size = os.fstat(handle).st_size
                torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
                os.write(handle, (("\n" if torn else "") + line).encode())
            finally:
                os.close(handle)
        except OSError as error:
            raise HostKeyProblem(
                f"the accepted key could not be written to {self.path}: {error.strerror}",
                step="host key",
                remedy=f"make {self.path} writable",
            ) from error
        self.learn(self.addresses)


def fingerprint(key: asyncssh.SSHKey) -> str:
    """`SHA256:…`, as `ssh-keygen -l` prints it."""
    return key.get_fingerprint("sha256")


def _entries(path: Path, names: Sequence[str], port: int) -> list[Known]:
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return []  # absent or unreadable: it vouches for nobody
    found = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        entry = _entry(path, number, line, names, port)
        if entry is not None:
            found.append(entry)
    return found


def _entry(path: Path, number: int, line: str, names: Sequence[str], port: int) -> Known | None:
    """The line as `Known` if it speaks of one of `names`."""
    words = line.split(None, 1)
    marker = words[0] if words[0] in _MARKERS else ""
    if marker:
        line = line.removeprefix(marker).lstrip()
    hosts, _, key = line.partition(" ")
    # As OpenSSH does, a line that names no port speaks of the host at any port.
    forms = {form for name in names for form in (entry_name(name, port), name)}
    if not any(_speaks_of(hosts, form) for form in forms):
        return None
    try:
        return Known(path, number, asyncssh.import_public_key(key), marker)
    except asyncssh.KeyImportError:
        return None  # a line OpenSSH would skip with a warning, too


def _speaks_of(hosts: str, name: str) -> bool:
    """Whether the first field of a line, hashed or a list of patterns, covers `name`."""
    if hosts.startswith("|1|"):
        try:
            salt, digest = (base64.b64decode(part) for part in hosts.split("|")[2:4])
        except ValueError:
            return False
        return hmac.compare_digest(hmac.digest(salt, name.encode(), "sha1"), digest)
    patterns = hosts.split(",")
    if any(_matches(pattern[1:], name) for pattern in patterns if pattern.startswith("!")):
        return False
    return any(_matches(pattern, name) for pattern in patterns)


def _matches(pattern: str, name: str) -> bool:
    """`*` and `?` as ssh has them; brackets are literal (`[host]:port`)."""
    wild = re.escape(pattern.lower()).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(wild, name.lower()) is not None


def algorithms(keys: Sequence[asyncssh.SSHKey], authorities: bool) -> list[str]:
    """What to ask the host to prove itself with: the types known of it first, the others after.

    The others are asked for so that a host whose key type changed is seen as changed, not as mute.
    """
    certified = [f"{name}-cert-v01@openssh.com" for name in _TYPES] if authorities else []
    known = [name.decode() for key in keys for name in key.sig_algorithms]
    return list(dict.fromkeys([*certified, *(name for name in known if name in _TYPES), *_TYPES]))


def changed(host: str, address: str, keys: HostKeys, shown: asyncssh.SSHKey | None) -> HostKeyProblem:
    """The primary address shows another key than the one known: the only remedy is the operator's own check."""
    kind = shown.get_algorithm() if shown else ""
    what = f"{kind} {fingerprint(shown)}" if shown else "a key of another type"
    return HostKeyProblem(
        f"the host key of {address} has changed: it shows {what}, known is another ({keys.where(kind)})",
        host=host,
        step="host key",
        remedy=f"if the host was really reinstalled, remove {keys.where(kind)} and connect again",
    )


def unknown(host: str, address: str, port: int, key: asyncssh.SSHKey, *, declined: bool) -> HostKeyProblem:
    """Nobody vouched for the key that `address` shows."""
    said = "was not accepted" if declined else "is not known"
    return HostKeyProblem(
        clean_line(f"the host key of {address} {said}: {key.get_algorithm()} {fingerprint(key)}"),
        host=host,
        step="host key",
        remedy=f"run `vpai-tui doctor`, which shows it and asks; or `ssh -p {port} {address}` once",
    )
