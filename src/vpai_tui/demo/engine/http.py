"""A small HTTP/1.1 server on standard input and output: the far end of `docker system dial-stdio`."""

from __future__ import annotations

import json
import os
import select
import sys
import time
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from vpai_tui.demo.engine.store import Doc, Engine, EngineError

_READ = 65536
_REASONS = {
    101: "UPGRADED",
    200: "OK",
    201: "Created",
    204: "No Content",
    304: "Not Modified",
    400: "Bad Request",
    404: "Not Found",
    409: "Conflict",
    500: "Internal Server Error",
}


class Request(NamedTuple):
    """One request; `path` without the API version."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def flag(self, name: str) -> bool:
        return self.query.get(name, "").lower() in ("1", "true", "yes")

    def json(self) -> Doc:
        try:
            found: Doc = json.loads(self.body) if self.body else {}
        except ValueError:
            raise EngineError(400, "invalid JSON") from None
        return found

    def filters(self) -> dict[str, list[str]]:
        """The `filters` parameter in either of its forms."""
        try:
            raw: dict[str, Any] = json.loads(self.query.get("filters") or "{}")
        except ValueError:
            raise EngineError(400, "invalid filter") from None
        return {kind: list(values) for kind, values in raw.items()}


class Wire:
    """The two descriptors, and what was read too early."""

    def __init__(self, reading: int = 0, writing: int = 1) -> None:
        self._in, self._out = reading, writing
        self._buffer = b""
        self.ended = False

    def _more(self) -> bool:
        data = os.read(self._in, _READ)
        self.ended = self.ended or not data
        self._buffer += data
        return bool(data)

    def until(self, mark: bytes) -> bytes | None:
        """Bytes up to and without `mark`; None at the end of input."""
        while mark not in self._buffer:
            if not self._more():
                return None
        head, _, self._buffer = self._buffer.partition(mark)
        return head

    def exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            if not self._more():
                raise EOFError
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._out, view) :]

    def pause(self, seconds: float) -> bool:
        """Wait; false as soon as the other side hangs up."""
        if self.ended:
            return False
        ready, _, _ = select.select([self._in], [], [], seconds)
        return self._more() if ready else True


class Answer:
    """The response to one request."""

    def __init__(self, wire: Wire, request: Request) -> None:
        self._wire, self._request = wire, request
        self.hijacked = False
        self.pause = wire.pause

    def _head(self, status: int, headers: dict[str, str]) -> None:
        from vpai_tui.demo.engine.views import API_VERSION, SERVER_VERSION

        known = {"Api-Version": API_VERSION, "Docker-Experimental": "false", "Ostype": "linux"}
        known["Server"] = f"Docker/{SERVER_VERSION} (linux)"
        lines = [f"HTTP/1.1 {status} {_REASONS[status]}", *(f"{k}: {v}" for k, v in {**known, **headers}.items())]
        self._wire.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    def send(self, status: int, body: bytes, kind: str) -> None:
        headers = {"Content-Type": kind, "Content-Length": str(len(body))}
        if status in (204, 304):
            headers = {}
        self._head(status, headers)
        if self._request.method != "HEAD" and body:
            self._wire.write(body)

    def document(self, value: Any, status: int = 200) -> None:
        self.send(status, json.dumps(value, separators=(",", ":")).encode() + b"\n", "application/json")

    def empty(self, status: int = 204) -> None:
        self.send(status, b"", "")

    def begin(self, kind: str = "application/json") -> None:
        """Start a body that comes in pieces."""
        self._head(200, {"Content-Type": kind, "Transfer-Encoding": "chunked"})

    def piece(self, data: bytes) -> None:
        self._wire.write(b"%x\r\n%s\r\n" % (len(data), data))

    def line(self, value: Any) -> None:
        """One JSON document of a streamed body."""
        self.piece(json.dumps(value, separators=(",", ":")).encode() + b"\r\n")

    def end(self) -> None:
        self._wire.write(b"0\r\n\r\n")

    def hijack(self) -> None:
        """Turn the connection into a raw stream, which ends with it."""
        self.hijacked = True
        kind = {"Content-Type": "application/vnd.docker.multiplexed-stream"}
        if self._request.headers.get("upgrade"):
            self._head(101, {**kind, "Connection": "Upgrade", "Upgrade": "tcp"})
        else:
            self._head(200, {**kind, "Connection": "close"})
        # Clients read the head through a buffer and the rest past it: what came too early would be lost, as it
        # would be with the real engine, whose processes only never answer that fast.
        time.sleep(0.05)

    def raw(self, data: bytes) -> None:
        self._wire.write(data)


def frame(stream: str, text: str) -> bytes:
    """A piece of a multiplexed log or exec stream."""
    data = text.encode()
    return bytes((2 if stream == "stderr" else 1, 0, 0, 0)) + len(data).to_bytes(4, "big") + data


def read_request(wire: Wire) -> Request | None:
    """The next request, None when the other side has no more."""
    head = wire.until(b"\r\n\r\n")
    if not head:
        return None
    first, *rest = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in rest)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int((wire.until(b"\r\n") or b"0").split(b";")[0], 16):
            body += wire.exactly(size)
            wire.exactly(2)
        wire.until(b"\r\n")
    else:
        body = wire.exactly(int(headers.get("content-length", "0")))
    parts = urlsplit(target)
    path = unquote(parts.path)
    pieces = path.split("/", 2)
    if len(pieces) == 3 and pieces[1][:1] == "v" and pieces[1][1:2].isdigit():
        path = "/" + pieces[2]
    return Request(method, path, dict(parse_qsl(parts.query, keep_blank_values=True)), headers, body)


def serve(engine: Engine, wire: Wire | None = None) -> None:
    """Answer requests until the other side hangs up."""
    from vpai_tui.demo.engine.api import route

    wire = wire or Wire()
    try:
        while (request := read_request(wire)) is not None:
            answer = Answer(wire, request)
            try:
                route(engine, request, answer)
            except EngineError as error:
                answer.document({"message": error.message}, error.status)
            if answer.hijacked:
                return
    except EOFError:
        sys.stderr.write("connection closed in the middle of a request\n")
