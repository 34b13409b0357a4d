from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vpai_tui.remote.connection import Connection, connect

from .hosts import Keys, SshHost, make_keys, serve


@pytest.fixture(scope="session")
def keys() -> Keys:
    return make_keys()


@pytest.fixture
async def server(tmp_path: Path, keys: Keys) -> AsyncIterator[SshHost]:
    async with serve(tmp_path / "host", keys) as running:
        yield running


@pytest.fixture
async def conn(server: SshHost) -> AsyncIterator[Connection]:
    connection = await connect("box", server.host())
    yield connection
    await connection.close()


@pytest.fixture(autouse=True)
def no_agent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The tester's own agent, keys and ssh configuration have no part in these tests."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
