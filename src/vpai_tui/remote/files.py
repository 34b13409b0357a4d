"""One file of a host, read or replaced whole, through commands: no sftp subsystem needed."""

from __future__ import annotations

from vpai_tui.errors import OperatorError
from vpai_tui.remote.connection import Connection

FILE_LIMIT = 8 * 1024 * 1024  # bytes; what the cockpit reads and writes are configuration files
_ABSENT = 44
_READ = f'[ -e "$0" ] || exit {_ABSENT}; exec head -c {FILE_LIMIT + 1} -- "$0"'
# The size is checked before the rename: a connection that dies in the middle ends the input like a short file would.
_WRITE = """set -eu
path=$0 size=$1 mode=$2
tmp=$(mktemp -- "$path.XXXXXX")
trap 'rm -f -- "$tmp"' EXIT
cat > "$tmp"
[ "$(wc -c < "$tmp")" -eq "$size" ] || { echo "only part of the file arrived" >&2; exit 1; }
if [ -n "$mode" ]; then chmod -- "$mode" "$tmp"
elif [ -e "$path" ]; then chmod --reference="$path" -- "$tmp"
else chmod 0644 -- "$tmp"; fi
if [ -e "$path" ]; then chown --reference="$path" -- "$tmp"; fi
sync -- "$tmp"
mv -T -- "$tmp" "$path"
"""


async def read_file(connection: Connection, path: str, *, root: bool = False) -> bytes | None:
    """The content of `path`; None when there is no such file. Other failures are CommandFailed."""
    done = await connection.run(["sh", "-c", _READ, path], root=root, check=False, label=f"read {path}")
    if done.exit_status == _ABSENT:
        return None
    if done.exit_status != 0:
        raise connection.failed(f"read {path}", done)
    if len(done.stdout) > FILE_LIMIT:
        raise OperatorError(f"{path} is larger than {FILE_LIMIT >> 20} MiB", host=connection.name)
    return done.stdout


async def write_file(
    connection: Connection, path: str, data: bytes, *, root: bool = False, mode: int | None = None
) -> None:
    """Replaces `path` by `data` in one step: readers see the old or the new content, never a part.

    The folder must exist. Owner and (without `mode`) permissions of an existing file are kept; a new one gets 0644.
    """
    permissions = "" if mode is None else f"{mode:o}"
    command = ["sh", "-c", _WRITE, path, str(len(data)), permissions]
    await connection.run(command, root=root, stdin=data, label=f"write {path}")
