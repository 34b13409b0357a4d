"""One TCP connection of the laptop carried to a port that a host can reach: both directions, each ended by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from vpai_tui.errors import LinkLost, OperatorError
from vpai_tui.remote.bridge import DIRECT, Bytes, http_bridge, open_port
from vpai_tui.remote.connection import Connection

_FACT = "pipe"
_CHUNK = 64 * 1024
SILENT_S = 600.0  # a side that has ended leaves the other that long without a byte
BASH_SILENT_S = 30.0  # the same where the end could not be passed on
_IN_TIME_S = 5.0
# The tools that can end one direction alone; nc is one of several programs of this name, told apart by its options.
_TOOLS = """
command -v perl >/dev/null 2>&1 && perl -MIO::Socket::INET -MIO::Select -e 1 2>/dev/null && { echo perl; exit; }
command -v socat >/dev/null 2>&1 && { echo socat; exit; }
nc -h 2>&1 | grep -q -e '-N' && { echo nc; exit; }
bash -c ':' 2>/dev/null && { echo bash; exit; }
"""
_PERL = """
use IO::Socket::INET; use IO::Select;
my $s = IO::Socket::INET->new(PeerHost => $ARGV[0], PeerPort => $ARGV[1], Proto => "tcp")
  or do { print STDERR "$!\\n"; exit 111 };
binmode STDIN; binmode STDOUT; $SIG{PIPE} = "IGNORE";
my $all = IO::Select->new($s, \\*STDIN);
sub put { my ($to, $at) = ($_[0], 0);
  while ($at < length $_[1]) { $at += syswrite($to, $_[1], length($_[1]) - $at, $at) // exit 0 } }
for (;;) { for my $from ($all->can_read) {
  my $n = sysread($from, my $data, 65536);
  if ($n) { put($from == $s ? \\*STDOUT : $s, $data); next }
  exit 0 if $from == $s;
  shutdown($s, 1); $all->remove(\\*STDIN) } }
"""
# Bash cannot end one direction of its socket: the answer still comes whole.
_BASH = 'exec 3<>"/dev/tcp/$0/$1" || exit 111; exec 4<&0; cat <&4 >&3 & cat <&3; kill $! 2>/dev/null'


async def pipe_tool(connection: Connection) -> str:
    """How the laptop's connections reach ports of this host: `direct-tcpip`, `perl`, `socat`, `nc` or `bash`.

    OperatorError when there is no way.
    """
    if connection.facts.get(_FACT) is None:
        way = await http_bridge(connection)
        if way != DIRECT:
            done = await connection.run(["sh", "-c", _TOOLS], check=False, label="look for perl, socat, nc, bash")
            way = done.text.strip()
        if way not in (DIRECT, "perl", "socat", "nc", "bash"):
            raise OperatorError(
                "sshd forbids forwarding and the host has neither perl, socat, nc -N nor bash",
                host=connection.name,
                remedy="install one of them there, or set AllowTcpForwarding yes in its sshd_config",
            )
        connection.facts[_FACT] = way
    return str(connection.facts[_FACT])


async def open_pipe(connection: Connection, host: str, port: int) -> Bytes:
    """A connection to `host:port` as the machine behind `connection` sees it. OperatorError when that fails at once."""
    tool = await pipe_tool(connection)
    if tool == DIRECT:
        return await open_port(connection, host, port)
    command = {
        "perl": ["perl", "-e", _PERL, host, str(port)],
        "socat": ["socat", "-t", f"{SILENT_S:.0f}", "-", f"TCP:{f'[{host}]' if ':' in host else host}:{port}"],
        "nc": ["nc", "-N", host, str(port)],
        "bash": ["bash", "-c", _BASH, host, str(port)],
    }[tool]
    return await connection.open_bytes(command, label=f"{tool} to {host}:{port}")


async def carry(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    pipe: Bytes,
    *,
    silent_s: float = SILENT_S,
    moved: Callable[[int, int], None],
) -> None:
    """Carries bytes both ways until the far side has ended, or either is gone; `moved(up, down)` hears of each piece.

    No faster than the slower side takes it. Whoever ends one direction still hears the other to its end, unless that is
    silent for `silent_s`. The pipe is the caller's to close.

    Raises:
        LinkLost: the connection to the host ended.
    """
    heard = asyncio.get_running_loop().time()

    def spoke(up: int, down: int) -> None:
        nonlocal heard
        heard = asyncio.get_running_loop().time()
        moved(up, down)

    up = asyncio.create_task(_up(reader, pipe, spoke))
    down = asyncio.create_task(_down(pipe, writer, spoke))
    try:
        await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
        while not down.done() and _error(up) is None:
            left = heard + silent_s - asyncio.get_running_loop().time()
            if left <= 0:
                break
            await asyncio.wait((down,), timeout=left)
        for task in (up, down):
            if task.done() and (error := _error(task)) is not None and not isinstance(error, ConnectionError):
                raise error
    finally:
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)


def _error(task: asyncio.Task[None]) -> BaseException | None:
    return task.exception() if task.done() and not task.cancelled() else None


async def _up(reader: asyncio.StreamReader, pipe: Bytes, moved: Callable[[int, int], None]) -> None:
    while data := await reader.read(_CHUNK):
        await pipe.write(data)
        moved(len(data), 0)
    pipe.write_eof()


async def _down(pipe: Bytes, writer: asyncio.StreamWriter, moved: Callable[[int, int], None]) -> None:
    try:
        while data := await pipe.read(_CHUNK):
            writer.write(data)
            await writer.drain()
            moved(0, len(data))
    except LinkLost:
        writer.transport.abort()  # cut off is not ended
        raise
    if writer.can_write_eof():
        writer.write_eof()


async def shut(writer: asyncio.StreamWriter) -> None:
    """Closes the laptop's side; what is still on its way is given a moment."""
    writer.close()
    try:
        async with asyncio.timeout(_IN_TIME_S):
            await writer.wait_closed()
    except (TimeoutError, OSError):
        writer.transport.abort()
