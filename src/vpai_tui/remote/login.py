"""One login at one address: TCP, host key, authentication, each with a deadline and a name when it fails."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field

import asyncssh

from vpai_tui.config import Host
from vpai_tui.errors import HostUnreachable
from vpai_tui.remote import hostkeys
from vpai_tui.remote.failures import HostKeyProblem, HostRefused, reason
from vpai_tui.remote.hostkeys import HostKeys
from vpai_tui.remote.keys import key_options
from vpai_tui.remote.prompts import Prompts

TCP_TIMEOUT_S = 3.0
LOGIN_TIMEOUT_S = 12.0
KEEPALIVE_INTERVAL_S = 2
KEEPALIVE_COUNT = 3  # a dead link is noticed after interval x (count + 1) = 8 s

OnStep = Callable[[str, str], None]


class NotOurHost(HostUnreachable):
    """Somebody else lives at this address: it shows a key that is not the host's."""


@dataclass
class Login:
    """One attempt: how far it came, and the key it was shown."""

    name: str
    host: Host
    address: str
    keys: HostKeys
    on_step: OnStep
    deadline: asyncio.Timeout | None = None
    step: str = "tcp"
    shown: asyncssh.SSHKey | None = None
    algorithms: list[str] = field(default_factory=lambda: hostkeys.algorithms([], False))

    def reach(self, step: str) -> None:
        """The attempt has come to `step`; after TCP the login has its own, longer deadline."""
        if step == "host key" and self.deadline is not None and not self.deadline.expired():
            self.deadline.reschedule(asyncio.get_running_loop().time() + LOGIN_TIMEOUT_S)
        self.step = step
        self.on_step(step, self.address)

    def lookup(self, host: str, address: str, port: int) -> tuple[list[asyncssh.SSHKey], ...]:
        """Called by asyncssh as soon as TCP stands."""
        self.reach("host key")
        found = self.keys.lookup(host, address, port)
        # asyncssh reads the list after this call, when ~/.ssh/config has said which host the address stands for.
        self.algorithms[:] = hostkeys.algorithms(found[0], bool(found[1]))
        return found

    @property
    def primary(self) -> bool:
        return self.address == self.host.addresses[0]

    async def run(self, options: Mapping[str, object]) -> asyncssh.SSHClientConnection:
        """The open connection, or the error that names the step."""
        self.reach("tcp")
        try:
            async with asyncio.timeout(TCP_TIMEOUT_S) as self.deadline:
                return await asyncssh.connect(
                    self.address,
                    self.host.ssh.port,
                    client_factory=lambda: _Client(self),
                    username=self.host.ssh.user,
                    known_hosts=self.lookup,
                    server_host_key_algs=self.algorithms,
                    preferred_auth="publickey",
                    gss_host=None,
                    keepalive_interval=KEEPALIVE_INTERVAL_S,
                    keepalive_count_max=KEEPALIVE_COUNT,
                    connect_timeout=None,
                    login_timeout=LOGIN_TIMEOUT_S,
                    **options,
                )
        except TimeoutError as error:
            raise self._timed_out() from error
        except (asyncssh.Error, OSError, ValueError) as error:
            raise self._failure(error) from error

    def _timed_out(self) -> HostUnreachable:
        limit = TCP_TIMEOUT_S if self.step == "tcp" else LOGIN_TIMEOUT_S
        return self._unreachable(f"{self.address} did not answer within {limit:.0f} s", "is the host up, and the VPN?")

    def _failure(self, error: Exception) -> HostUnreachable:
        """`error` as ours, with the step it happened at."""
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            return self._host_key(error)
        if isinstance(error, asyncssh.PermissionDenied) or (
            isinstance(error, asyncssh.DisconnectError)
            and self.step == "auth"
            and "authentication" in str(error).lower()
        ):
            return self._denied(error)
        if isinstance(error, socket.gaierror):
            self.step = "resolve"
            return self._unreachable(f"the name {self.address} does not resolve", "correct the address in fleet.yaml")
        if isinstance(error, (asyncssh.ConfigParseError, asyncssh.KeyImportError)):
            return HostRefused(reason(error), host=self.name, step="ssh config", remedy="correct ~/.ssh/config")
        if isinstance(error, (asyncssh.ProtocolError, asyncssh.ProtocolNotSupported)) and self.step == "host key":
            return self._no_sshd(error)
        if isinstance(error, (asyncssh.Error, ConnectionError)) and self.step != "tcp":
            return self._hung_up(error)
        return self._unreachable(f"{self.address}: {reason(error)}", "is sshd running there, and on this port?")

    def _no_sshd(self, error: Exception) -> HostUnreachable:
        return self._unreachable(
            f"what answers at {self.address} does not speak SSH: {reason(error)}",
            f"is something else listening on port {self.host.ssh.port}? correct hosts.{self.name}.ssh.port",
        )

    def _hung_up(self, error: Exception) -> HostUnreachable:
        return self._unreachable(
            f"{self.address} ended the login: {reason(error)}",
            "sshd may be shutting out this address for a while (PerSourcePenalties): wait a minute; or read its log",
        )

    def _denied(self, error: Exception) -> HostRefused:
        key = f"the key {self.host.ssh.key}" if self.host.ssh.key else "the keys of the agent and of ~/.ssh"
        return HostRefused(
            f"{self.address} refuses user {self.host.ssh.user} with {key}: {reason(error)}",
            host=self.name,
            step="auth",
            remedy=f"check hosts.{self.name}.ssh.user and .key, and ~/.ssh/authorized_keys on the host",
        )

    def _host_key(self, error: Exception) -> HostUnreachable:
        if "revoked" in str(error):
            text = f"the key that {self.address} shows is marked @revoked in known_hosts"
            return HostKeyProblem(text, host=self.name, step="host key", remedy="give the host a new key")
        known = bool(self.keys.trusted() or self.keys.trusted("@cert-authority"))
        if not known and self.shown is None:
            text = f"the host key of {self.address} cannot be checked: {reason(error)}"
            remedy = "log in once with ssh (also to a jump host) so that known_hosts knows it"
            return HostKeyProblem(text, host=self.name, step="host key", remedy=remedy)
        if not known and self.shown is not None:
            return UnknownKey(self.name, self.address, self.shown)
        if self.primary:
            return hostkeys.changed(self.name, self.address, self.keys, self.shown)
        self.step = "host key"
        message = f"{self.address} is not our host: it shows another key than {self.name}'s"
        return NotOurHost(message, host=self.name, step="host key", remedy="")

    def _unreachable(self, message: str, remedy: str) -> HostUnreachable:
        return HostUnreachable(message, host=self.name, step=self.step, remedy=remedy)


class UnknownKey(HostUnreachable):
    """Nobody vouched for the key yet; the operator may."""

    def __init__(self, host: str, address: str, key: asyncssh.SSHKey) -> None:
        super().__init__("unknown host key", host=host, step="host key")
        self.address = address
        self.key = key


class _Client(asyncssh.SSHClient):
    """Hears how far a login has come."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._socket: socket.socket | None = None

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self._socket = conn.get_extra_info("socket")

    def connection_lost(self, exc: Exception | None) -> None:
        """What a dead link still held is dropped: the kernel would send it when the link is back, and a command whose
        upload was given up would run after all. asyncssh closes the socket after this call."""
        if exc is not None and self._socket is not None:
            with suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        del host, addr, port  # `lookup` has heard them
        self._login.shown = key
        return False  # asyncssh asks only about keys `lookup` did not name

    def begin_auth(self, username: str) -> None:
        del username
        self._login.reach("auth")


async def login(
    name: str, host: Host, address: str, keys: HostKeys, prompts: Prompts | None, on_step: OnStep
) -> asyncssh.SSHClientConnection:
    """Logs in at `address`; an unknown key is put before the operator, then the login is made anew."""
    async with AsyncExitStack() as stack:
        options = await key_options(name, host.ssh.key, prompts, stack)
        try:
            return await Login(name, host, address, keys, on_step).run(options)
        except UnknownKey as unknown:
            await _ask(name, host, keys, unknown, prompts)
        return await Login(name, host, address, keys, on_step).run(options)


async def _ask(name: str, host: Host, keys: HostKeys, unknown: UnknownKey, prompts: Prompts | None) -> None:
    print_ = hostkeys.fingerprint(unknown.key)
    kind = unknown.key.get_algorithm()
    if prompts is None:
        raise hostkeys.unknown(name, unknown.address, host.ssh.port, unknown.key, declined=False)
    if not await prompts.accept_host_key(name, unknown.address, print_, kind):
        raise hostkeys.unknown(name, unknown.address, host.ssh.port, unknown.key, declined=True)
    keys.accept(unknown.key)
