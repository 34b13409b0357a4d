"""Bytes to a TCP port the host can reach, with no port opened anywhere: direct-tcpip, or a command that bridges."""

from __future__ import annotations

import asyncio
import ipaddress
import shlex
import time
from collections.abc import Callable
from typing import Protocol

import asyncssh

from vpai_tui.errors import CommandFailed, OperatorError
from vpai_tui.remote.channel import ByteStream
from vpai_tui.remote.connection import OPEN_TIMEOUT_S, Connection
from vpai_tui.remote.failures import link_lost, losing_link, reason
from vpai_tui.text import clean_line, last_lines

DIRECT = "direct-tcpip"
_FACT = "http_bridge"
_ADDRESS_FOR_S = 60.0  # a container's address is asked again after that, and after a failed connection
# A port nobody listens on: refused by the host when sshd may forward, by sshd itself when it may not.
_PROBE = ("127.0.0.1", 1)
_TOOLS = """
if bash -c ':' 2>/dev/null; then
  bash -c '(exec 3<>/dev/tcp/127.0.0.1/1) 2>&1 | grep -q "No such file"' || { echo bash; exit; }
fi
for tool in nc socat; do command -v "$tool" >/dev/null 2>&1 && { echo "$tool"; exit; }; done
"""
# Whichever side ends first ends the other, so that no process stays behind on the host.
_BASH = 'exec 3<>"/dev/tcp/$0/$1" || exit 111; exec 4<&0; cat <&3 & cat <&4 >&3 & wait -n; kill $(jobs -p) 2>/dev/null'
_INSPECT = "{{.State.Running}} {{.HostConfig.NetworkMode}}{{range .NetworkSettings.Networks}} {{.IPAddress}}{{end}}"


class Bytes(Protocol):
    """What both kinds of bridge give."""

    @property
    def at_eof(self) -> bool: ...

    async def read(self, limit: int = ...) -> bytes: ...

    async def write(self, data: bytes) -> None: ...

    def write_eof(self) -> None: ...

    async def close(self) -> None: ...


class TcpBytes:
    """A direct-tcpip channel. It is no session, so it takes none of the connection's slots."""

    def __init__(
        self, host: str, reader: asyncssh.SSHReader[bytes], writer: asyncssh.SSHWriter[bytes], end: Callable[[], None]
    ) -> None:
        self._host = host
        self._reader = reader
        self._writer = writer
        self._end = end

    @property
    def at_eof(self) -> bool:
        return self._reader.at_eof() or self._writer.is_closing()

    async def read(self, limit: int = 65536) -> bytes:
        with losing_link(self._host):
            return await self._reader.read(limit)

    async def write(self, data: bytes) -> None:
        with losing_link(self._host):
            self._writer.write(data)
            await self._writer.drain()

    def write_eof(self) -> None:
        """Ends this direction; the other goes on."""
        with losing_link(self._host):
            self._writer.write_eof()

    async def close(self) -> None:
        self._writer.close()
        self._end()


async def http_bridge(connection: Connection) -> str | None:
    """How bytes reach a port on the host: `direct-tcpip`, `bash`, `nc` or `socat`; None when there is no way.

    Found out at the first call, then kept with the connection.
    """
    if _FACT not in connection.facts:
        connection.facts[_FACT] = DIRECT if await _may_forward(connection) else await _tool(connection)
    return connection.facts[_FACT]


async def open_port(connection: Connection, host: str, port: int) -> Bytes:
    """Bytes to `host:port` as the machine behind `connection` sees it. OperatorError when that fails at once.

    A bridging command cannot say that it is connected; `refusal` tells why such a stream ended without a byte.
    """
    bridge = await http_bridge(connection)
    if bridge is None:
        raise OperatorError(
            "sshd forbids forwarding and the host has neither bash, nc nor socat",
            host=connection.name,
            remedy="install bash or nc there, or set AllowTcpForwarding yes in its sshd_config",
        )
    if bridge == DIRECT:
        return await _direct(connection, host, port)
    command = {
        "bash": ["bash", "-c", _BASH, host, str(port)],
        "nc": ["nc", host, str(port)],
        "socat": ["socat", "-", f"TCP:{_bracketed(host)}:{port}"],
    }[bridge]
    return await connection.open_bytes(command, label=f"{bridge} to {host}:{port}")


def refusal(stream: Bytes) -> str:
    """What a bridging command complained of; empty when it did not, or when there is no such command."""
    return clean_line(last_lines(stream.stderr, 2)) if isinstance(stream, ByteStream) else ""


class ContainerAddress:
    """Where a container can be reached from its host: any of its networks, internal ones too."""

    def __init__(self, connection: Connection, container: str) -> None:
        self._connection = connection
        self._container = container
        self._address: str | None = None
        self._asked = 0.0

    def forget(self) -> None:
        """The address did not answer: the container may have been replaced."""
        self._address = None

    async def get(self) -> str:
        """The address; OperatorError when there is no such container or it does not run."""
        if self._address is None or time.monotonic() - self._asked > _ADDRESS_FOR_S:
            self._address = await self._ask()
            self._asked = time.monotonic()
        return self._address

    async def _ask(self) -> str:
        docker = shlex.split(self._connection.host.docker)
        name = self._connection.name
        try:
            done = await self._connection.run(
                [*docker, "container", "inspect", "-f", _INSPECT, self._container], root=True
            )
        except CommandFailed as error:
            raise OperatorError(
                f"container {self._container} cannot be looked up", host=name, output=error.output
            ) from error
        words = done.text.split()
        if words[:1] != ["true"]:
            raise OperatorError(
                f"container {self._container} is not running", host=name, remedy=f"start {self._container} first"
            )
        if words[1:2] == ["host"]:
            return "127.0.0.1"
        address = next((word for word in words[2:] if _is_address(word)), None)
        if address is None:
            raise OperatorError(f"container {self._container} has no address on any network", host=name)
        return address


async def _may_forward(connection: Connection) -> bool:
    try:
        stream = await _direct(connection, *_PROBE)
    except OperatorError as error:
        cause = error.__cause__
        if isinstance(cause, asyncssh.ChannelOpenError):
            return cause.code == asyncssh.OPEN_CONNECT_FAILED
        raise
    await stream.close()
    return True


async def _tool(connection: Connection) -> str | None:
    done = await connection.run(["sh", "-c", _TOOLS], check=False, label="look for bash, nc, socat")
    words = done.text.split()
    return words[0] if words and words[0] in ("bash", "nc", "socat") else None


async def _direct(connection: Connection, host: str, port: int) -> TcpBytes:
    where = f"{host}:{port}"
    record = connection.log.begin(connection.name, f"direct-tcpip to {where}")
    try:
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            with losing_link(connection.name):
                reader, writer = await connection.ssh.open_connection(host, port, encoding=None)
    except asyncssh.ChannelOpenError as error:
        connection.log.end(record, 1)
        if connection.closed:
            raise link_lost(connection.name) from error
        raise OperatorError(f"{where} cannot be reached: {reason(error)}", host=connection.name) from error
    except TimeoutError as error:
        connection.log.end(record, None)
        raise OperatorError(f"{where} did not answer within {OPEN_TIMEOUT_S:.0f} s", host=connection.name) from error
    except BaseException:
        connection.log.end(record, None)
        raise
    return TcpBytes(connection.name, reader, writer, lambda: connection.log.end(record, 0))


def _is_address(word: str) -> bool:
    try:
        ipaddress.ip_address(word)
    except ValueError:
        return False
    return True


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
