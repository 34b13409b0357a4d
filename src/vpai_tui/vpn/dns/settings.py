"""What Headscale's configuration says beside the records: what decides how they are resolved, and what may lock out."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import urlsplit

from vpai_tui.errors import PreflightRefused
from vpai_tui.text import clean_line
from vpai_tui.vpn.dns.document import Document, entry, parse, plain
from vpai_tui.vpn.model import Record

Source = Literal["config", "path"]
_FIELDS = ("name", "type", "value")


@dataclass(frozen=True, slots=True)
class Derp:
    """Where the relay map comes from: Headscale's own relay, files of the container, URLs."""

    embedded: bool = False
    paths: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """The parts of config.yaml that matter here. `override_local_dns` None: neither true nor false stands there."""

    server_url: str
    base_domain: str
    magic_dns: bool
    override_local_dns: bool | None
    nameservers: tuple[str, ...]
    split: tuple[tuple[str, tuple[str, ...]], ...]
    prefixes: tuple[str, ...]
    derp_hosts: tuple[str, ...]
    port: int
    tls: bool
    records_path: str  # extra_records_path; "" when the records are in config.yaml
    both: bool  # both keys are set: Headscale would not start
    derp: Derp = Derp()

    @property
    def server_host(self) -> str:
        """The control plane's own name."""
        return host_of(self.server_url)

    @property
    def source(self) -> Source:
        return "path" if self.records_path else "config"

    def in_vpn(self, address: str) -> bool:
        """Whether an address is one of the VPN's own."""
        try:
            found = ipaddress.ip_address(address)
            return any(found in ipaddress.ip_network(prefix) for prefix in self.prefixes)
        except ValueError:
            return False


def settings_of(content: bytes) -> tuple[Settings, Document]:
    """What config.yaml says. PreflightRefused when it cannot be read."""
    document = parse(content)
    root: dict[str, Any] = plain(document.root)
    dns = _mapping(root.get("dns"))
    servers = _mapping(dns.get("nameservers"))
    derp, prefixes = _mapping(root.get("derp")), _mapping(root.get("prefixes"))
    relay = _mapping(derp.get("server"))
    path, urls = _text(dns.get("extra_records_path")), _texts(derp.get("urls"))
    _, listed = entry(document.dns, "extra_records")
    found = Settings(
        server_url=_text(root.get("server_url")),
        base_domain=_text(dns.get("base_domain")),
        magic_dns=_bool(dns.get("magic_dns"), True) is not False,
        override_local_dns=_bool(dns.get("override_local_dns"), True),
        nameservers=_texts(servers.get("global")),
        split=tuple((clean_line(zone, 200), _texts(to)) for zone, to in _mapping(servers.get("split")).items()),
        prefixes=tuple(_networks([prefixes.get("v4"), prefixes.get("v6")])),
        derp_hosts=tuple(it for it in (_text(relay.get("hostname")).lower(), *map(host_of, urls)) if it),
        port=_port(_text(root.get("listen_addr"))),
        tls=bool(root.get("tls_cert_path") or root.get("tls_letsencrypt_hostname")),
        records_path=path,
        both=bool(path) and listed is not None and plain(listed) is not None,
        derp=Derp(
            _bool(relay.get("enabled"), False) is True
            and _bool(relay.get("automatically_add_embedded_derp_region"), True) is True,
            _texts(derp.get("paths")),
            urls,
        ),
    )
    return found, document


def host_of(url: str) -> str:
    """The name or address in a URL, in lower case; empty when there is none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def path_is_watched(path: str) -> bool:
    """Whether Headscale sees edits of this path: it must be spelt as it would itself (`./x` misses edits in place)."""
    return bool(path) and str(PurePosixPath(path)) == path and not path.startswith("./") and ".." not in path.split("/")


def read_list(content: bytes) -> tuple[Record, ...]:
    """The records of an extra_records_path file: JSON, keys in any case, an empty file and null are no records."""
    try:
        found = json.loads(content) if content.strip() else []
    except (ValueError, RecursionError) as error:
        raise PreflightRefused(
            f"the records file is no JSON: {clean_line(str(error), 100)}",
            remedy="mend it: at its next start Headscale fails",
        ) from None
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise PreflightRefused("the records file is no list of records", remedy="make it [{name, type, value}, …]")
    return tuple(Record(*(clean_line(str(_lower(item).get(name) or "")) for name in _FIELDS)) for item in found)


def write_list(records: Sequence[Record]) -> bytes:
    """An extra_records_path file, one record a line."""
    lines = [json.dumps({"name": it.name, "type": it.type, "value": it.value}) for it in records]
    return ("[\n" + ",\n".join(f"  {line}" for line in lines) + "\n]\n").encode() if lines else b"[]\n"


def inventory(records: Sequence[Record]) -> str:
    """The records as YAML for the inventory that writes config.yaml (`nodes_extra_records`)."""
    lines = [f"  - {json.dumps({'name': it.name, 'type': it.type, 'value': it.value})}" for it in records]
    return "\n".join(["nodes_extra_records:" if lines else "nodes_extra_records: []", *lines]) + "\n"


def _lower(item: dict[str, Any]) -> dict[str, Any]:
    return {str(key).lower(): value for key, value in item.items()}


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return clean_line(value, 300) if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(clean_line(item, 200) for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _bool(value: Any, default: bool) -> bool | None:
    """As Go reads it: `yes` and `on` are neither true nor false there."""
    if value is None:
        return default
    return {"true": True, "false": False}.get(str(value).lower())


def _networks(values: Sequence[Any]) -> list[str]:
    found = []
    for value in values:
        try:
            found.append(str(ipaddress.ip_network(str(value), strict=False)))
        except ValueError:
            continue  # absent, or no network: Headscale itself will say so
    return found


def _port(listen: str) -> int:
    last = listen.rpartition(":")[2]
    return int(last) if last.isdigit() and 0 < int(last) < 65536 else 8080
