"""Where the services answer, and whether they do: name as the VPN answers it, certificate, HTTP status.

Asked from a host of the fleet, which is where a user of the VPN stands; the certificate is judged on the laptop.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from vpai_tui.clock import Clock
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.dependents import dependents
from vpai_tui.fleet.doctor import CheckResult
from vpai_tui.text import clean_line

if TYPE_CHECKING:
    import httpx

    from vpai_tui.fleet.stacks import Stack
    from vpai_tui.fleet.stackspec import Access
    from vpai_tui.remote.connection import Connection

TIMEOUT_S = 8.0
WARN_DAYS = 14
_PORT = 443


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One entry of `access` in a stack.yaml. `name` is None where the service has no subdomain."""

    host: str
    stack: str  # host/stack
    access: Access
    name: str | None
    on_demand: bool = False  # stopped is its normal state

    @property
    def service(self) -> str:
        return f"{self.stack}/{self.access.service}"

    @property
    def url(self) -> str | None:
        return f"https://{self.name}" if self.name else None


@dataclass(frozen=True, slots=True)
class Look:
    """What a name showed to one host. `holds`: its certificate does; None: it never got so far, `problem` says why."""

    asker: str
    holds: bool | None
    problem: str = ""
    status: int | None = None
    until: datetime | None = None  # the end of its certificate


def endpoints(stacks: Iterable[Stack], domain: str | None) -> list[Endpoint]:
    """All of them, in the order of the stacks."""
    return [
        Endpoint(
            stack.host,
            stack.id,
            access,
            f"{access.subdomain}.{domain}" if access.subdomain and domain and access.reach != "internal" else None,
            stack.spec.on_demand,
        )
        for stack in stacks
        for access in stack.spec.access
        if access.service in stack.services
    ]


def asker(hosts: Sequence[str], endpoint: Endpoint) -> str | None:
    """Which of the connected `hosts` asks: the first that is not the service's own; None where none is connected."""
    others = [host for host in hosts if host != endpoint.host]
    return next(iter(others or hosts), None)


def place(stacks: Sequence[Stack], domain: str | None, service_id: str) -> dict[str, Any]:
    """Where a service answers, to whom, and what a restart of it disturbs, as plain data."""
    return {
        "access": [
            {
                "url": it.url,
                "port": it.access.port,
                "reach": it.access.reach,
                "needs": list(it.access.needs),
            }
            for it in endpoints(stacks, domain)
            if it.service == service_id
        ],
        "dependents": [{"service": it.service, "why": it.why} for it in dependents(stacks, service_id)],
    }


class Questioner:
    """Checks endpoints over the connections that there are.

    `connection` hands out one to a host, or raises OperatorError; `hosts` may ask, the hub's before the others'.
    """

    def __init__(
        self,
        stacks: Sequence[Stack],
        domain: str | None,
        hosts: Callable[[], Sequence[str]],
        connection: Callable[[str], Awaitable[Connection]],
        addresses: Mapping[str, tuple[str, ...]],
        tls: Callable[[], ssl.SSLContext],
        clock: Clock,
    ) -> None:
        self._all = endpoints(stacks, domain)
        self._hosts = hosts
        self._connection = connection
        self._addresses = addresses
        self._tls = tls
        self._clock = clock

    async def of(self, services: Container[str]) -> AsyncIterator[CheckResult]:
        """The checks of these services' endpoints, each name once; one that nobody can ask says so."""
        asked: set[str] = set()
        for endpoint in self._all:
            if endpoint.name is not None and endpoint.name not in asked and endpoint.service in services:
                asked.add(endpoint.name)
                async for result in self._one(endpoint):
                    yield result

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        return self._all

    @property
    def addresses(self) -> Mapping[str, tuple[str, ...]]:
        """The fleet's hosts and theirs, as the operator wrote them."""
        return self._addresses

    async def asking(self, endpoint: Endpoint | None = None) -> Connection:
        """The connection that asks for an endpoint, of another host than its own where there is one.

        Raises:
            OperatorError: no host is connected.
        """
        hosts = self._hosts()
        host = next(iter(hosts), None) if endpoint is None else asker(hosts, endpoint)
        if host is None:
            raise OperatorError("no host is connected that could ask")
        return await self._connection(host)

    async def look(self, endpoint: Endpoint, target: str | None = None, path: str = "/") -> Look:
        """What the endpoint's name shows from another host than its own; `target` in place of where the name leads.

        Raises:
            OperatorError: no host is connected.
        """
        name = endpoint.name or endpoint.host
        return await look(name, target or name, await self.asking(endpoint), self._tls(), path)

    async def _one(self, endpoint: Endpoint) -> AsyncIterator[CheckResult]:
        host = asker(self._hosts(), endpoint)
        if host is None:
            yield CheckResult(endpoint.host, "dns", None, f"{endpoint.name}: no host is connected that could ask")
            return
        try:
            connection = await self._connection(host)
            now, tls = self._clock.now(), self._tls()
            async for result in check(endpoint, connection, addresses=self._addresses, tls=tls, now=now):
                yield result
        except OperatorError as error:
            yield CheckResult(endpoint.host, "dns", None, f"{endpoint.name}: {host} cannot ask: {error.message}")


async def check(
    endpoint: Endpoint,
    connection: Connection,
    *,
    addresses: Mapping[str, tuple[str, ...]],
    tls: ssl.SSLContext,
    now: datetime,
) -> AsyncIterator[CheckResult]:
    """The checks of one endpoint, asked over `connection`; nothing where it has no name.

    `addresses`: the fleet's hosts and theirs, by which an answer of the resolver gets a host's name.
    """
    if endpoint.name is None:
        return
    found: tuple[str, ...] = ()
    result, found = await _name(endpoint, endpoint.name, connection, addresses)
    yield result
    if result.ok is False:
        return
    async for result in _https(endpoint, endpoint.name, next(iter(found), endpoint.name), connection, tls, now):
        yield result


async def _name(
    endpoint: Endpoint, name: str, connection: Connection, addresses: Mapping[str, tuple[str, ...]]
) -> tuple[CheckResult, tuple[str, ...]]:
    """What the VPN's resolver answers, and the addresses."""
    from vpai_tui.remote.resolve import ask

    host = endpoint.host
    try:
        answers = await ask(connection, [(name, "A"), (name, "AAAA")])
    except OperatorError as error:
        why = f"{name}: the VPN's resolver cannot be asked from {connection.name}: {error.message}"
        return CheckResult(host, "dns", None, why, "is Tailscale up there?"), ()
    found = tuple(address for each in answers.values() for address in each)
    if not found and endpoint.access.reach == "public":
        return CheckResult(host, "dns", None, f"{name}: not in the VPN; {connection.name} asks public DNS"), ()
    if not found:
        remedy = f"vpai-tui dns add {name} A ADDRESS"
        return CheckResult(host, "dns", False, f"{name}: the VPN knows no such name", remedy), ()
    owners = {address: owner for owner, theirs in addresses.items() for address in theirs}
    told = ", ".join(f"{address} ({owners[address]})" if address in owners else address for address in found)
    return CheckResult(host, "dns", True, f"{name} → {told}"), found


async def _https(
    endpoint: Endpoint, name: str, target: str, connection: Connection, tls: ssl.SSLContext, now: datetime
) -> AsyncIterator[CheckResult]:
    host, seen = endpoint.host, await look(name, target, connection, tls)
    if seen.holds is None:
        yield CheckResult(host, "https", False, seen.problem, _look(endpoint))
        return
    if seen.holds:
        yield _certificate(endpoint, name, seen.until, now)
    else:
        ends = f"; it ends {seen.until:%Y-%m-%d}" if seen.until else ""
        yield CheckResult(host, "tls", False, f"{seen.problem}{ends}", f"look at the log of the proxy of {host}")
    if seen.status is not None:
        yield _status(endpoint, name, seen.status)


async def look(name: str, target: str, connection: Connection, tls: ssl.SSLContext, path: str = "/") -> Look:
    """`GET path` of `name` at `target` (an address, or the name as the asking host resolves it). Nothing is raised."""
    import httpx

    from vpai_tui.remote.http import as_operator_error

    try:
        status, until = await _get(name, target, connection, tls, path)
    except httpx.HTTPError as error:
        said = as_operator_error(error, connection, name).message
        if "certificate does not hold" not in said:
            return Look(connection.name, None, said)
        try:
            status, until = await _get(name, target, connection, _anything(), path)
        except httpx.HTTPError:
            return Look(connection.name, False, said)
        return Look(connection.name, False, said, status, until)
    return Look(connection.name, True, "", status, until)


async def _get(
    name: str, target: str, connection: Connection, tls: ssl.SSLContext, path: str
) -> tuple[int, datetime | None]:
    """The status of `GET path` and the end of the certificate. httpx's errors."""
    from vpai_tui.remote.http import http_client

    where = f"[{target}]" if ":" in target else target
    async with (
        http_client(connection, timeout_s=TIMEOUT_S, tls=tls) as client,
        client.stream(
            "GET", f"https://{where}:{_PORT}{path}", headers={"Host": name}, extensions={"sni_hostname": name}
        ) as response,
    ):
        return response.status_code, _until(response)


def _until(response: httpx.Response) -> datetime | None:
    from cryptography import x509

    secured = response.extensions["network_stream"].get_extra_info("ssl_object")
    raw = secured.getpeercert(binary_form=True) if secured is not None else None
    return x509.load_der_x509_certificate(raw).not_valid_after_utc if raw else None


def _anything() -> ssl.SSLContext:
    """Takes every certificate: only to say what a wrong one is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _certificate(endpoint: Endpoint, name: str, until: datetime | None, now: datetime) -> CheckResult:
    if until is None:
        return CheckResult(endpoint.host, "tls", None, f"{name}: the end of its certificate is not known")
    days = (until - now.astimezone(UTC)).days
    detail = f"{name}: certificate until {until:%Y-%m-%d}, {days} days"
    if days < WARN_DAYS:
        return CheckResult(endpoint.host, "tls", None, detail, f"look at the log of the proxy of {endpoint.host}")
    return CheckResult(endpoint.host, "tls", True, detail)


def _status(endpoint: Endpoint, name: str, status: int) -> CheckResult:
    """What a status of `/` says about the way to the service: 404 is an answer of the service itself."""
    host, detail = endpoint.host, clean_line(f"{name} answers {status}")
    if status >= 500 and endpoint.on_demand:
        return CheckResult(host, "http", True, f"{detail}: started on demand, it is stopped")
    if status >= 500:
        return CheckResult(host, "http", False, f"{detail}: nothing answers behind the proxy", _look(endpoint))
    if status == 403 and endpoint.access.reach == "vpn":
        return CheckResult(host, "http", False, f"{detail}: the proxy takes the asker for one outside of the VPN")
    return CheckResult(host, "http", True, detail)


def _look(endpoint: Endpoint) -> str:
    return f"vpai-tui describe {endpoint.service}; vpai-tui logs {endpoint.service}"
