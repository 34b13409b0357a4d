"""What is known of the records' file and of each record in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vpai_tui.errors import OperatorError
from vpai_tui.remote.resolve import Question
from vpai_tui.vpn.dns import document
from vpai_tui.vpn.dns.apply import sha256
from vpai_tui.vpn.dns.changes import Staged
from vpai_tui.vpn.dns.lint import Surroundings
from vpai_tui.vpn.dns.settings import Settings, path_is_watched, read_list, write_list
from vpai_tui.vpn.files import HostFile
from vpai_tui.vpn.hub import Hub
from vpai_tui.vpn.model import Record, same_address


@dataclass(frozen=True)
class Read:
    """The records' file as it stands on the host. `inside` is its path in the container."""

    hub: Hub
    settings: Settings
    file: HostFile
    inside: str
    records: tuple[Record, ...]

    @property
    def hash(self) -> str:
        return sha256(self.file.content)

    def edited(self, wanted: Sequence[Record]) -> bytes:
        """The file with these records. PreflightRefused when it cannot be edited."""
        if self.settings.both:
            raise document.refused(
                "extra_records and extra_records_path are both set", "take one of the two out by hand"
            )
        if self.settings.records_path:
            return self.file.content if self.records == tuple(wanted) else write_list(wanted)
        return document.edit(self.file.content, wanted)


def loaded(read: Read, notes: list[str]) -> bool | None:
    """Whether Headscale runs with the file as it is. It has no way to tell: times are compared."""
    if not read.hub.running:
        notes.append("loaded: Headscale does not run")
        return False
    if read.settings.records_path:
        if path_is_watched(read.settings.records_path) and not read.hub.single_file(read.inside):
            return True
        notes.append("loaded: this extra_records_path may not be watched")
        return None
    written, started = read.file.written_at, read.hub.started_at
    if written is None or started is None:
        notes.append("loaded: the time of the file or of the start is not known")
        return None
    if written <= started:
        return True
    notes.append(
        "loaded: the file was written after Headscale started, so what runs may differ: `dns apply` or restart it"
    )
    return None


def resolves(record: Record, answers: dict[Question, tuple[str, ...]]) -> bool | None:
    """Whether the resolver answers it; None: it was not asked."""
    found = answers.get((record.name, "AAAA" if ":" in record.value else "A"))
    return None if found is None else any(same_address(it, record.value) for it in found)


def behind(record: Record, around: Surroundings) -> str | None:
    """The node behind a record, else the fleet's host."""
    node = around.node_of(record.value)
    return node.name if node is not None else around.host_of(record.value)


def gone(record: Record, staged: Staged) -> str:
    """How a record that will not be there any more goes."""
    return "change" if any(edit.old == record and edit.new is not None for edit in staged.edits) else "remove"


def drift(read: Read, staged: Staged, applied: Path) -> str:
    """Whether somebody else (Ansible, an editor) changed the records: since staging, or since the last apply.

    `applied` is the file in which this laptop keeps what it applied last.
    """
    if not staged.empty and staged.base != read.hash:
        return f"{read.file.path} was changed by another writer since you began to stage"
    try:
        last = read_list(applied.read_bytes())
    except (OperatorError, OSError):
        return ""  # nothing was applied from this laptop yet
    there, ours = set(read.records), set(last)
    if there == ours:
        return ""
    what = f"{len(there - ours)} new, {len(ours - there)} gone"
    return f"another writer changed the records since your last apply: {what}"
