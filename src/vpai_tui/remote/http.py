"""httpx over a host's SSH connection: no local port, WebSockets included. TLS, where asked for, ends on the laptop."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import anyio.abc
import httpcore
import httpx
from anyio.streams.tls import TLSAttribute, TLSStream

from vpai_tui.errors import LinkLost, OperatorError
from vpai_tui.remote.bridge import Bytes, ContainerAddress, http_bridge, open_port, refusal
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.failures import NoAnswer, link_lost, reason

__all__ = ["as_operator_error", "http_bridge", "http_client"]

CONNECTIONS = 3  # per client; over an exec bridge each is an SSH session
KEPT = 1  # of them, idle: httpcore drops the expired ones only when it is asked the next time
KEPT_FOR_S = 20.0
_ONLY_HTTP = "only http://, https:// and ws:// are carried over SSH"
_MEANING: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (httpcore.ConnectTimeout, httpx.ConnectTimeout),
    (httpcore.ReadTimeout, httpx.ReadTimeout),
    (httpcore.WriteTimeout, httpx.WriteTimeout),
    (httpcore.PoolTimeout, httpx.PoolTimeout),
    (httpcore.ConnectError, httpx.ConnectError),
    (httpcore.ReadError, httpx.ReadError),
    (httpcore.WriteError, httpx.WriteError),
    (httpcore.RemoteProtocolError, httpx.RemoteProtocolError),
    (httpcore.LocalProtocolError, httpx.LocalProtocolError),
    (httpcore.UnsupportedProtocol, httpx.UnsupportedProtocol),
    (httpcore.NetworkError, httpx.NetworkError),
    (httpcore.TimeoutException, httpx.TimeoutException),
)


def http_client(
    connection: Connection,
    *,
    container: str | None = None,
    base_url: str = "",
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 30.0,
    tls: ssl.SSLContext | None = None,
) -> httpx.AsyncClient:
    """An HTTP client that speaks from the host behind `connection`; close it with `aclose`.

    With `container`, every request goes to that container's address (asked of Docker) at the port in the URL;
    without, to the host and port in the URL as the remote machine resolves them. `https://` is verified here, by `tls`
    (httpx's own roots when None). Failures are httpx's; `as_operator_error` turns them into ours.
    """
    return httpx.AsyncClient(
        transport=_Transport(_Backend(connection, container), tls),
        base_url=base_url or (f"http://{container}" if container else ""),
        headers=dict(headers or {}),
        timeout=timeout_s,
        trust_env=False,
    )


def as_operator_error(error: httpx.HTTPError, connection: Connection, what: str = "") -> OperatorError:
    """What `error` means for the operator; `what` names the service that was asked."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OperatorError):
            return cause
        cause = cause.__cause__
    if connection.closed:
        return link_lost(connection.name)
    name = what or "the service"
    if isinstance(error, httpx.TimeoutException):
        return NoAnswer(f"{name} gave no answer in time", host=connection.name)
    return OperatorError(f"{name}: {reason(error)}", host=connection.name)


class _Stream(httpcore.AsyncNetworkStream):
    """A bridge as httpcore wants it."""

    def __init__(self, stream: Bytes, address: ContainerAddress | None) -> None:
        self._stream = stream
        self._address = address
        self._heard = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's
        try:
            async with asyncio.timeout(timeout):
                data = await self._stream.read(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout("no answer in time") from error
        except OperatorError as error:
            raise httpcore.ReadError(error.message) from error
        if not data and not self._heard:
            await self._never_spoke()
        self._heard = True
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's
        if not buffer:
            return
        try:
            async with asyncio.timeout(timeout):
                await self._stream.write(buffer)
        except TimeoutError as error:
            raise httpcore.WriteTimeout("not taken in time") from error
        except OperatorError as error:
            raise httpcore.WriteError(error.message) from error

    async def aclose(self) -> None:
        await self._stream.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                wrapped = await TLSStream.wrap(_Raw(self), hostname=server_hostname, ssl_context=ssl_context)
                return _TlsStream(wrapped, self)
        except TimeoutError as error:
            await self.aclose()  # httpcore forgets a stream whose TLS fails
            raise httpcore.ConnectTimeout("no TLS in time") from error
        except (ssl.SSLError, anyio.EndOfStream, anyio.BrokenResourceError, httpcore.NetworkError) as error:
            await self.aclose()
            raise httpcore.ConnectError(_tls_failure(error)) from error

    def get_extra_info(self, info: str) -> Any:
        # httpcore asks this of an idle connection: readable means that the other side has closed it.
        return self._stream.at_eof if info == "is_readable" else None

    async def _never_spoke(self) -> None:
        """A bridging command that ended without a byte did not connect; the next try asks for the address anew."""
        if self._address is not None:
            self._address.forget()
        complaint = refusal(self._stream)
        if complaint:
            raise httpcore.ConnectError(complaint)


class _Raw(anyio.abc.ByteStream):
    """The same stream as anyio's TLS wants it."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream

    async def receive(self, max_bytes: int = 65536) -> bytes:
        data = await self._stream.read(max_bytes)
        if not data:
            raise anyio.EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        await self._stream.write(item)

    async def send_eof(self) -> None:
        """Never asked for: TLS says by itself that it ends."""

    async def aclose(self) -> None:
        await self._stream.aclose()


class _TlsStream(httpcore.AsyncNetworkStream):
    """TLS over a bridge."""

    def __init__(self, stream: TLSStream, below: _Stream) -> None:
        self._stream = stream
        self._below = below

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's
        try:
            async with asyncio.timeout(timeout):
                return await self._stream.receive(max_bytes)
        except anyio.EndOfStream:
            return b""
        except TimeoutError as error:
            raise httpcore.ReadTimeout("no answer in time") from error
        except (ssl.SSLError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise httpcore.ReadError(_tls_failure(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's
        try:
            async with asyncio.timeout(timeout):
                await self._stream.send(buffer)
        except TimeoutError as error:
            raise httpcore.WriteTimeout("not taken in time") from error
        except (ssl.SSLError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise httpcore.WriteError(_tls_failure(error)) from error

    async def aclose(self) -> None:
        with anyio.move_on_after(1, shield=True):  # the other side may never answer the goodbye
            await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object":
            return self._stream.extra(TLSAttribute.ssl_object)  # noqa: S610 - not Django's
        return self._below.get_extra_info(info)


def _tls_failure(error: Exception) -> str:
    """`certificate verify failed: unable to get local issuer certificate`, without OpenSSL's own numbers."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate does not hold: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or 'no reason told').lower().replace('_', ' ')}"
    return f"TLS failed: {error}" if str(error) else "TLS failed: the other side hung up"


class _Backend(httpcore.AsyncNetworkBackend):
    """Opens bridges instead of sockets."""

    def __init__(self, connection: Connection, container: str | None) -> None:
        self._connection = connection
        self._address = ContainerAddress(connection, container) if container else None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        del local_address, socket_options  # there is no local socket
        try:
            async with asyncio.timeout(timeout):
                target = await self._address.get() if self._address else host
                stream = await open_port(self._connection, target, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("no connection in time") from error
        except OperatorError as error:
            if self._address is not None and not isinstance(error, LinkLost):
                self._address.forget()
            raise httpcore.ConnectError(error.message) from error
        return _Stream(stream, self._address)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Body(httpx.AsyncByteStream):
    """A response's body with httpx's errors."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async for part in self._response.aiter_stream():
                yield part

    async def aclose(self) -> None:
        with _as_httpx():
            await self._response.aclose()


class _Transport(httpx.AsyncBaseTransport):
    """httpx's transport on httpcore's pool, which is on our bridges."""

    def __init__(self, backend: httpcore.AsyncNetworkBackend, tls: ssl.SSLContext | None) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=CONNECTIONS,
            max_keepalive_connections=KEPT,
            keepalive_expiry=KEPT_FOR_S,
            network_backend=backend,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.scheme not in ("http", "https", "ws"):
            raise httpx.UnsupportedProtocol(_ONLY_HTTP, request=request)
        wanted = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _as_httpx():
            response = await self._pool.handle_async_request(wanted)
        return httpx.Response(
            response.status, headers=response.headers, stream=_Body(response), extensions=response.extensions
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


@contextmanager
def _as_httpx() -> Iterator[None]:
    try:
        yield
    except tuple(theirs for theirs, _ in _MEANING) as error:
        meaning = next(ours for theirs, ours in _MEANING if isinstance(error, theirs))
        raise meaning(str(error)) from error
