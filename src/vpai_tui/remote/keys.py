"""The private key a host is reached with: from the agent if it holds it, else from its file, decrypted once."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path

import asyncssh

from vpai_tui.remote.failures import HostRefused, reason
from vpai_tui.remote.prompts import Prompts

_ATTEMPTS = 3


class KeyRing:
    """Private keys already decrypted, in memory only and for the life of the process."""

    def __init__(self) -> None:
        self._keys: dict[Path, asyncssh.SSHKey] = {}
        self._locks: dict[Path, asyncio.Lock] = {}

    async def load(self, host: str, path: Path, prompts: Prompts | None) -> asyncssh.SSHKey:
        """The key in `path`; a passphrase is asked for at most once even if several hosts use the key."""
        lock = self._locks.setdefault(path, asyncio.Lock())
        async with lock:
            if path not in self._keys:
                self._keys[path] = await self._read(host, path, prompts)
            return self._keys[path]

    async def _read(self, host: str, path: Path, prompts: Prompts | None) -> asyncssh.SSHKey:
        try:
            return await asyncio.to_thread(asyncssh.read_private_key, path)
        except asyncssh.KeyImportError as error:
            if "passphrase" not in str(error).lower():
                raise _refused(host, f"the key {path} cannot be read: {reason(error)}", "give another key") from error
        except OSError as error:
            raise _refused(
                host,
                f"the key {path} cannot be read: {error.strerror}",
                f"make it readable, or set hosts.{host}.ssh.key",
            ) from error
        return await self._decrypt(host, path, prompts)

    async def _decrypt(self, host: str, path: Path, prompts: Prompts | None) -> asyncssh.SSHKey:
        key_path = str(path)
        remedy = f"run `ssh-add {key_path}` first"
        if prompts is None:
            raise _refused(host, f"the key {path} is encrypted and nobody can be asked for its passphrase", remedy)
        for _ in range(_ATTEMPTS):
            phrase = await prompts.passphrase(key_path)
            if phrase is None:
                raise _refused(host, f"no passphrase was given for the key {path}", remedy)
            try:
                return await asyncio.to_thread(asyncssh.read_private_key, path, phrase)
            except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
                if "bcrypt" in str(error):
                    raise _refused(host, f"the key {path} cannot be decrypted: {reason(error)}", remedy) from error
                # Else a wrong passphrase: asked again.
        raise _refused(host, f"the passphrase of the key {path} was wrong {_ATTEMPTS} times", remedy)


RING = KeyRing()


async def key_options(
    host: str, configured: str | None, prompts: Prompts | None, stack: AsyncExitStack
) -> dict[str, object]:
    """asyncssh's options for the login of `host`. What the agent lends stays open as long as `stack`.

    Without a configured key all is left to the agent, `~/.ssh/config` and the default keys. With one, only that
    key is offered: a host with a low `MaxAuthTries` would hang up before its turn came.
    """
    if configured is None:
        return {}
    path = _expanded(configured)
    lent = await _from_agent(path, stack)
    if lent is not None:
        return {"client_keys": [lent], "agent_path": None, "agent_identities": None}
    if not path.is_file():
        raise _refused(
            host, f"the key {path} does not exist", f"put it there, or name another one in hosts.{host}.ssh.key"
        )
    key = await RING.load(host, path, prompts)
    certificate = path.with_name(path.name + "-cert.pub")
    pair: object = (key, str(certificate)) if certificate.is_file() else key
    return {"client_keys": [pair], "agent_path": None, "agent_identities": None}


def _expanded(path: str) -> Path:
    return Path(path).expanduser()


async def _from_agent(path: Path, stack: AsyncExitStack) -> asyncssh.SSHKeyPair | None:
    socket = os.environ.get("SSH_AUTH_SOCK")
    public = _public_half(path)
    if not socket or public is None:
        return None
    try:
        agent = await stack.enter_async_context(asyncssh.connect_agent(socket))
        held = await agent.get_keys()
    except (OSError, ValueError, asyncssh.Error):
        return None  # no agent behind the socket: the file is next
    return next((pair for pair in held if pair.public_data == public.public_data), None)


def _public_half(path: Path) -> asyncssh.SSHKey | None:
    for candidate in (path.with_name(path.name + ".pub"), path):
        try:
            return asyncssh.read_public_key(candidate)
        except (OSError, asyncssh.KeyImportError):
            continue
    return None


def _refused(host: str, message: str, remedy: str) -> HostRefused:
    return HostRefused(message, host=host, step="auth", remedy=remedy)
