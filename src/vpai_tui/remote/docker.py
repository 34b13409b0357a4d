"""The Docker engine of a host through its SSH connection: the docker SDK in threads, the bytes on the loop."""

from __future__ import annotations

import asyncio
import shlex
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import CancelledError
from contextlib import aclosing, suppress
from typing import Any

import docker
import docker.auth
import docker.constants
import docker.errors
import requests
import requests.adapters
import urllib3
import urllib3.connection
import urllib3.exceptions
from docker.utils.proxy import ProxyConfig

from vpai_tui.errors import OperatorError
from vpai_tui.redact import redact
from vpai_tui.remote.channel import Completed
from vpai_tui.remote.connection import OPEN_TIMEOUT_S, Connection
from vpai_tui.remote.dial import Dial
from vpai_tui.remote.failures import NoAnswer, link_lost, reason
from vpai_tui.remote.threads import Threads
from vpai_tui.text import clean_line, last_lines

CALLS_AT_ONCE = 2  # each HTTP connection is an SSH session
ANSWER_WITHIN_S = 60.0
_END_WITHIN_S = 5.0  # a stream's thread that was hung up on
_BACKLOG = 1024  # items of a stream the reader may lag behind before its thread waits
_BASE = "http://docker:2375"  # never resolved: every connection is a dial


class EngineError(OperatorError):
    """The engine refused or cannot be reached; `status_code` is its HTTP status, None when it gave none."""

    def __init__(self, message: str, *, host: str, remedy: str = "", output: str = "", status_code: int | None = None):
        super().__init__(message, host=host, step="docker", output=output, remedy=remedy)
        self.status_code = status_code


class _DialConnection(urllib3.connection.HTTPConnection):
    """HTTP over a fresh dial."""

    dial: Callable[[], Any]

    def connect(self) -> None:
        self.sock = self.dial()
        self.sock.settimeout(ANSWER_WITHIN_S)


class _Adapter(requests.adapters.HTTPAdapter):
    """Sends every request through one pool of dials, whatever its URL says."""

    def __init__(self, dial: Callable[[], Any], size: int) -> None:
        super().__init__()
        connection_class = type("DialConnection", (_DialConnection,), {"dial": staticmethod(dial)})
        self._pool = urllib3.HTTPConnectionPool("docker", 2375, maxsize=size)
        self._pool.ConnectionCls = connection_class

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> Any:
        return self._pool

    def close(self) -> None:
        super().close()
        self._pool.close()


class _Api(docker.APIClient):
    """The SDK's client without anything of this machine: no registry logins, no proxies, no network."""

    def __init__(self, version: str, dial: Callable[[], Any], size: int) -> None:
        super().__init__(base_url=_BASE, version=version, timeout=int(ANSWER_WITHIN_S))
        self.trust_env = False
        self.proxies = {}
        self._proxy_configs = ProxyConfig()
        self._auth_configs = docker.auth.AuthConfig({})
        adapter = _Adapter(dial, size)
        self.adapters.clear()
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def pin(self, version: str) -> None:
        """Speaks `version` from now on."""
        self._version = version

    def server_version(self) -> str:
        """The API version the engine offers, at most the one this SDK knows; one small request."""
        response = self.get(f"{_BASE}/_ping", timeout=ANSWER_WITHIN_S)
        response.raise_for_status()
        theirs = response.headers.get("Api-Version", docker.constants.DEFAULT_DOCKER_API_VERSION)
        return min(theirs, docker.constants.DEFAULT_DOCKER_API_VERSION, key=_numbers)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


class _Dials:
    """The dials of one client, opened by its threads and closed together."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[Any]] = set()
        self._closed = False
        self.all: list[Dial] = []

    def open(self) -> Any:
        """Called in a thread: a socket that leads to the engine."""
        future = asyncio.run_coroutine_threadsafe(self._open(), self._loop)
        try:
            return future.result(2 * OPEN_TIMEOUT_S)
        except TimeoutError as error:
            future.cancel()
            raise NoAnswer("no channel became free for the engine", host=self._connection.name) from error
        except CancelledError as error:
            raise ConnectionError("hung up") from error

    async def _open(self) -> Any:
        task = asyncio.current_task()
        if self._closed or task is None:
            raise ConnectionError("hung up")
        self._opening.add(task)
        try:
            dial = await Dial.open(self._connection)
        finally:
            self._opening.discard(task)
        self.all = [known for known in self.all if not known.ended]
        self.all.append(dial)
        return dial.near

    def renew(self) -> None:
        """Of a stream each item is an answer of its own."""
        for dial in self.all:
            dial.renew()

    async def close(self) -> None:
        """Hangs up; threads that wait for an answer, or for a channel, get an error at once."""
        self._closed = True
        opening = list(self._opening)
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        await asyncio.gather(*(dial.close() for dial in self.all))

    def explain(self, error: Exception) -> OperatorError:
        """`error` of the SDK or the transport, as ours."""
        if isinstance(error, OperatorError):
            return error
        name = self._connection.name
        if isinstance(error, docker.errors.APIError):
            text = clean_line(redact(str(error.explanation or error)))
            return EngineError(text, host=name, status_code=error.status_code)
        if isinstance(error, (requests.exceptions.Timeout, TimeoutError)):
            return NoAnswer(f"the engine gave no answer within {ANSWER_WITHIN_S:.0f} s", host=name)
        lost = next((dial.error for dial in self.all if dial.error is not None), None)
        if lost is not None:
            return lost
        if self._connection.closed:
            return link_lost(name)
        said = next((dial for dial in reversed(self.all) if dial.complaint), None)
        if said is not None:
            return complaint(self._connection, said.complaint, said.exit_status)
        text = f"the engine cannot be spoken to: {reason(error)}"
        return EngineError(text, host=name, remedy="see its log on the host")


class Docker:
    """One host's engine. Make it on the event loop; `close` it before the connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dials = _Dials(connection)
        self._streams: set[_Dials] = set()
        self._version: str | None = None
        self._negotiation = asyncio.Lock()
        self._threads = Threads(f"docker {connection.name}")
        self._turns = asyncio.Semaphore(CALLS_AT_ONCE)
        self._api = _Api(docker.constants.DEFAULT_DOCKER_API_VERSION, self._dials.open, CALLS_AT_ONCE)
        self.api: docker.APIClient = self._api

    async def negotiate(self) -> str:
        """The API version both sides speak; asked once, then known."""
        async with self._negotiation:
            if self._version is None:
                version = await self._in_thread(self._api.server_version)
                self._api.pin(version)
                self._version = version
        return self._version

    async def call(self, fn_name: str, /, *args: Any, **kwargs: Any) -> Any:
        """`api.<fn_name>(*args, **kwargs)` in a thread; EngineError, NoAnswer or LinkLost when it fails."""
        await self.negotiate()
        record = self._connection.log.begin(self._connection.name, _shown(fn_name, args, kwargs))
        status: int | None = None
        try:
            result = await self._in_thread(lambda: getattr(self.api, fn_name)(*args, **kwargs))
            status = 0
        except EngineError:
            status = 1
            raise
        finally:
            self._connection.log.end(record, status)
        return result

    async def iterate(self, fn_name: str, /, *args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        """The items of a streaming call (`events`, `stats`, `logs`, `pull` with `stream=True`), as they come.

        Has a channel of its own, given back as soon as the iteration ends or is left. Ends normally only when the
        engine ended the stream; LinkLost or EngineError otherwise.
        """
        version = await self.negotiate()
        dials = _Dials(self._connection)
        self._streams.add(dials)
        record = self._connection.log.begin(self._connection.name, _shown(fn_name, args, kwargs))
        api = _Api(version, dials.open, 1)
        status: int | None = None
        try:
            async with aclosing(_items(api, lambda: getattr(api, fn_name)(*args, **kwargs), dials)) as items:
                async for item in items:
                    yield item
            status = 0
        except EngineError:
            status = 1
            raise
        finally:
            self._streams.discard(dials)
            self._connection.log.end(record, status)

    async def exec(self, container: str, argv: Sequence[str], *, timeout_s: float = 30.0) -> Completed:
        """Runs `argv` inside `container`; its status (any) and outputs."""
        command = [*shlex.split(self._connection.host.docker), "exec", container, *argv]
        return await self._connection.run(command, root=True, check=False, timeout_s=timeout_s)

    async def close(self) -> None:
        """Hangs up everything; pending calls and streams end with an error."""
        await asyncio.gather(self._dials.close(), *(dials.close() for dials in self._streams))
        await asyncio.get_running_loop().run_in_executor(self._threads, self.api.close)

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        await self._turns.acquire()
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        running.add_done_callback(self._ended)
        try:
            return await asyncio.shield(running)  # who stops waiting does not stop the thread, which keeps its turn
        except (
            docker.errors.DockerException,
            requests.exceptions.RequestException,
            urllib3.exceptions.HTTPError,
            OSError,
            ValueError,
            TypeError,  # an answer of another shape than the SDK takes for granted
            LookupError,
            AttributeError,
            RecursionError,
        ) as error:
            raise self._dials.explain(error) from error

    def _ended(self, running: asyncio.Future[Any]) -> None:
        self._turns.release()
        if not running.cancelled():
            running.exception()  # looked at, also when nobody waits for it any more


async def _items(api: _Api, start: Callable[[], Any], dials: _Dials) -> AsyncGenerator[Any, None]:
    """Runs `start()` and iterates its value in a thread of its own; bounded, and stopped when left."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
    room = threading.Semaphore(_BACKLOG)
    stopped, ended = threading.Event(), asyncio.Event()

    def put(kind: str, value: Any) -> None:
        with suppress(RuntimeError):  # the loop is gone, and with it whoever would read this
            loop.call_soon_threadsafe(dials.renew)
            loop.call_soon_threadsafe(queue.put_nowait, (kind, value))

    def work() -> None:
        try:
            for item in start():
                room.acquire()
                if stopped.is_set():
                    return
                put("item", item)
            put("end", None)
        except Exception as error:  # carried over to the loop, where it is explained and raised
            put("error", error)
        finally:
            api.close()
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=work, name="docker stream", daemon=True).start()
    try:
        while True:
            kind, value = await queue.get()
            if kind == "item":
                room.release()
                yield value
                continue
            if kind == "error":
                raise dials.explain(value) from value
            if any(dial.ended for dial in dials.all):
                raise dials.explain(ConnectionError("the stream broke off"))
            return
    finally:
        stopped.set()
        room.release()
        await dials.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_WITHIN_S):
                await ended.wait()


def complaint(connection: Connection, stderr: bytes, status: int | None) -> EngineError:
    """What dial-stdio said when it could not reach the engine, with what to do about it."""
    text = last_lines(stderr, 5)
    low = text.lower()
    name, user = connection.name, connection.host.ssh.user
    message, remedy = "the engine cannot be reached", "run `docker version` on the host"
    if "permission denied" in low:
        message = f"user {user} may not use Docker"
        remedy = f"set hosts.{name}.sudo to true, or add {user} to the group docker"
    elif "sudo" in low and ("password" in low or "not in the sudoers" in low or "not allowed" in low):
        message = f"user {user} may not run `sudo -n`"
        remedy = f"give {user} NOPASSWD in /etc/sudoers.d, or set hosts.{name}.sudo to false"
    elif "cannot connect" in low or "daemon running" in low or "no such file" in low or "connection refused" in low:
        message, remedy = "the Docker daemon is not running", "start it: `systemctl start docker`"
    elif status == 127 or "not found" in low:
        message = f"there is no `{connection.host.docker}` on the host"
        remedy = f"install Docker there, or name its command in hosts.{name}.docker"
    elif "dial-stdio" in low:
        message, remedy = "the host's docker does not know `dial-stdio`", "install Docker 18.09 or newer there"
    return EngineError(message, host=name, remedy=remedy, output=redact(text))


def _shown(fn_name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> str:
    """A call as the command log shows it."""
    words = [str(value) for value in args] + [f"{key}={value}" for key, value in kwargs.items()]
    return clean_line(" ".join(["docker-api", fn_name, *words]), 300)
