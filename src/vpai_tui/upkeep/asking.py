"""Asks services over HTTP on their own host, through its connection: no published port, no password, bounded."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.model import FleetSnapshot, Service
from vpai_tui.text import clean

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from vpai_tui.remote.connection import Connection
    from vpai_tui.upkeep.surface import Surface

LARGEST_ANSWER = 4 << 20
_PLAIN = {"Accept-Encoding": "identity", "Connection": "close"}
_UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dnBhaS10dWktYXNrcy1paQ==",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What a service answered; `body` not cleaned yet."""

    status: int
    body: bytes = b""


def image_name(image: str | None) -> str:
    """`docker.io/grafana/loki:3.6.5@sha256:…` is loki."""
    return (image or "").partition("@")[0].rsplit("/", 1)[-1].partition(":")[0].lower()


def services_of(snapshot: FleetSnapshot, *kinds: str) -> list[Service]:
    """The services of deployed stacks that have one of these names, or an image of such a name."""
    return [it for it in snapshot.services if not it.off and (it.service in kinds or image_name(it.image) in kinds)]


def running(service: Service) -> bool:
    return service.container is not None and service.container.state == "running"


def addresses_of(answer: object) -> dict[str, str]:
    """Where each container can be reached from its host, by its id; of the engine's list of containers."""
    found = {}
    for entry in answer if isinstance(answer, list) else ():
        if isinstance(entry, dict) and (address := _address(entry)):
            found[clean(str(entry.get("Id")))] = address
    return found


def _address(entry: Mapping[str, Any]) -> str:
    if _mapping(entry.get("HostConfig")).get("NetworkMode") == "host":
        return "127.0.0.1"
    networks = _mapping(_mapping(entry.get("NetworkSettings")).get("Networks"))
    given = (_mapping(it).get("IPAddress") for it in networks.values())
    return next((it for it in given if isinstance(it, str) and _is_address(it)), "")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class Asker:
    """Asks the containers of one host. One question to the engine tells all their addresses."""

    def __init__(self, connection: Connection, addresses: Mapping[str, str], client: httpx.AsyncClient) -> None:
        self._connection = connection
        self._addresses = addresses
        self._client = client

    async def get(self, service: Service, port: int, path: str, *, upgrade: bool = False) -> Reply:
        """GET, or the request for a WebSocket. OperatorError: the container has no address, or nobody answers there."""
        import httpx

        from vpai_tui.remote.http import as_operator_error

        container = service.container
        address = self._addresses.get(container.id) if container is not None else None
        if address is None:
            raise OperatorError(f"{service.service} has no address on any network", host=service.host)
        where = f"[{address}]" if ":" in address else address
        url, headers = f"http://{where}:{port}{path}", _UPGRADE if upgrade else _PLAIN
        try:
            async with self._client.stream("GET", url, headers=headers) as response:
                return Reply(response.status_code, b"" if upgrade else await _bounded(response))
        except httpx.HTTPError as error:
            raise as_operator_error(error, self._connection, service.service) from error


async def _bounded(response: httpx.Response) -> bytes:
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > LARGEST_ANSWER:
            raise OperatorError(f"the answer is larger than {LARGEST_ANSWER >> 20} MiB")
    return bytes(body)


@asynccontextmanager
async def asker(surface: Surface, host: str, *, timeout_s: float = 6.0) -> AsyncIterator[Asker]:
    """Asks on `host`. OperatorError: it is not connected, or its engine does not answer."""
    from vpai_tui.remote.http import http_client

    connection = await surface.connection(host)
    addresses = addresses_of(await surface.docker(host).call("containers"))
    client = http_client(connection, timeout_s=timeout_s)
    try:
        yield Asker(connection, addresses, client)
    finally:
        await client.aclose()


def hosts_of(services: Iterable[Service]) -> list[str]:
    """Each once, in their order."""
    return list(dict.fromkeys(it.host for it in services))
