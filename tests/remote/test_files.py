from __future__ import annotations

import pytest

from vpai_tui.errors import CommandFailed, OperatorError
from vpai_tui.remote import files
from vpai_tui.remote.connection import Connection

from .hosts import SshHost


async def test_round_trip_keeps_every_byte(server: SshHost, conn: Connection) -> None:
    data = bytes(range(256)) * 1000
    path = server.root / "it's a file"
    await files.write_file(conn, str(path), data)
    assert path.read_bytes() == data
    assert path.stat().st_mode & 0o777 == 0o644
    assert await files.read_file(conn, str(path)) == data
    assert [entry.name for entry in server.root.iterdir() if "it's" in entry.name] == ["it's a file"]


async def test_permissions_are_kept_or_set(server: SshHost, conn: Connection) -> None:
    path = server.root / "config"
    path.write_text("old")
    path.chmod(0o600)
    await files.write_file(conn, str(path), b"new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)
    await files.write_file(conn, str(path), b"newer", mode=0o640)
    assert path.stat().st_mode & 0o777 == 0o640


async def test_absent_file_and_absent_folder(server: SshHost, conn: Connection) -> None:
    assert await files.read_file(conn, str(server.root / "none")) is None
    with pytest.raises(CommandFailed):
        await files.read_file(conn, str(server.root))
    with pytest.raises(CommandFailed):
        await files.write_file(conn, str(server.root / "no" / "folder"), b"x")


async def test_part_of_a_file_never_replaces_the_whole(server: SshHost, conn: Connection) -> None:
    path = server.root / "config"
    path.write_text("old")
    command = ["sh", "-c", files._WRITE, str(path), "10", ""]
    with pytest.raises(CommandFailed, match="status 1"):
        await conn.run(command, stdin=b"half")
    assert path.read_text() == "old"
    assert len([entry for entry in server.root.iterdir() if entry.name.startswith("config")]) == 1


async def test_huge_file_is_refused(server: SshHost, conn: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    path = server.root / "big"
    path.write_bytes(b"x" * 1000)
    monkeypatch.setattr(files, "FILE_LIMIT", 999)
    with pytest.raises(OperatorError, match="larger"):
        await files.read_file(conn, str(path))
