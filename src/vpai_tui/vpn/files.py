"""One configuration file of the hub, with the moment it was written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from vpai_tui.errors import OperatorError
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.files import FILE_LIMIT

_ABSENT = 44
_READ = f'[ -e "$0" ] || exit {_ABSENT}; stat -L -c %.3Y -- "$0" && exec head -c {FILE_LIMIT + 1} -- "$0"'


@dataclass(frozen=True, slots=True)
class HostFile:
    """`written_at` is the file's mtime, by the host's clock."""

    path: str
    content: bytes
    written_at: datetime | None


async def read_host_file(connection: Connection, path: str) -> HostFile:
    """The file. OperatorError when there is none, or one larger than `FILE_LIMIT`: a part of it is never handed out."""
    done = await connection.run(["sh", "-c", _READ, path], root=True, check=False, label=f"read {path}")
    if done.exit_status == _ABSENT:
        raise OperatorError(f"there is no {path}", host=connection.name, remedy="deploy Headscale's stack")
    if done.exit_status != 0:
        raise connection.failed(f"read {path}", done)
    stamp, _, content = done.stdout.partition(b"\n")
    if len(content) > FILE_LIMIT:
        raise OperatorError(f"{path} is larger than {FILE_LIMIT >> 20} MiB", host=connection.name)
    try:
        written = datetime.fromtimestamp(float(stamp.replace(b",", b".")), UTC)
    except (ValueError, OverflowError, OSError):
        written = None
    return HostFile(path, content, written)
