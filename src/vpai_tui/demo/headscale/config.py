"""The server's reading of config.yaml: what it refuses to start with, and the records it takes from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import yaml

from vpai_tui.demo.headscale.state import Doc

Read = Callable[[str], "bytes | None"]  # a file of the container, by its path there; None: there is none


class Bad(Exception):
    """Why it does not start, in Headscale's words."""


def load(text: bytes) -> Doc:
    """The configuration, with the checks that `configtest` makes too."""
    try:
        _no_double(yaml.compose(text.decode(), Loader=yaml.SafeLoader))
        found = yaml.safe_load(text.decode()) or {}
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        why = str(getattr(error, "problem", error))
        raise Bad(
            f"loading configuration: fatal error reading config file: While parsing config: yaml: {why}"
        ) from None
    if not isinstance(found, dict):
        raise Bad("loading configuration: fatal error reading config file: While parsing config: yaml: no mapping")
    _check(found)
    return found


def _no_double(node: Any) -> None:
    if isinstance(node, yaml.MappingNode):
        names = [key.value for key, _ in node.value]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f'key "{name}" already set in map')
        for _, value in node.value:
            _no_double(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _no_double(value)


def _check(found: Doc) -> None:
    wrong = []
    dns = found.get("dns") or {}
    noise = found.get("noise") or {}
    if not (isinstance(noise, dict) and noise.get("private_key_path")):
        wrong.append(
            "headscale now requires a new `noise.private_key_path` field in the config file for the Tailscale v2 "
            "protocol"
        )
    if not str(found.get("server_url", "")).startswith(("http://", "https://")):
        wrong.append("server_url must start with https:// or http://")
    servers = (dns.get("nameservers") or {}).get("global") if isinstance(dns, dict) else None
    if dns.get("override_local_dns", True) is True and not servers:
        wrong.append("dns.nameservers.global must be set when dns.override_local_dns is true")
    if dns.get("extra_records") is not None and dns.get("extra_records_path"):
        wrong.append(
            "dns.extra_records and dns.extra_records_path are mutually exclusive. Please remove one of them from "
            "your config file"
        )
    if wrong:
        raise Bad("loading configuration: " + "\\n".join(f"Fatal config error: {it}" for it in wrong))
    records = dns.get("extra_records")
    if records is not None and not isinstance(records, dict | list):
        raise Bad('loading configuration: unmarshalling dns extra records: expected a map or struct, got "string"')
    if isinstance(records, list) and not all(isinstance(it, dict) for it in records):
        raise Bad('loading configuration: unmarshalling dns extra records: expected a map or struct, got "string"')


def start(text: bytes, read: Read, *, lenient: bool = True) -> Doc:
    """What `serve` begins with. `configtest` looks neither at the records' file nor for relays; this does."""
    found = load(text)
    _relays(found.get("derp") or {}, read, lenient=lenient)
    dns = found.get("dns") or {}
    records = dns.get("extra_records") or []
    path = dns.get("extra_records_path")
    if path:
        records = file_records(read(path), path)
    records = [records] if isinstance(records, dict) else records
    return {
        "records": [[str(it.get(name, "")) for name in ("name", "type", "value")] for it in records],
        "base_domain": str(dns.get("base_domain", "")),
        "path": path or "",
        "policy_mode": str((found.get("policy") or {}).get("mode") or "file"),
    }


def _relays(derp: Doc, read: Read, *, lenient: bool) -> None:
    """A start makes its relay map, `configtest` does not. No URL can be fetched: there is no network here.

    0.26 (`lenient`) goes on without a file or URL that it cannot read, as long as one region is left.
    """
    found = 0
    for path in derp.get("paths") or []:
        content = read(path)
        if content is None and not lenient:
            raise Bad(f"failed to get DERPMap: open {path}: no such file or directory")
        if content is None:
            break
        found += len((yaml.safe_load(content) or {}).get("regions") or {})
    if derp.get("urls") and not lenient:
        raise Bad(f'failed to get DERPMap: Get "{derp["urls"][0]}": dial tcp: lookup: no such host')
    server = derp.get("server") or {}
    if not found and not (server.get("enabled") and server.get("automatically_add_embedded_derp_region", True)):
        raise Bad("initial DERPMap is empty, Headscale requires at least one entry")


def file_records(content: bytes | None, path: str) -> list[Doc]:
    """The records of an extra_records_path file at the start."""
    if content is None:
        raise Bad(f"setting up extrarecord manager: stat {path}: no such file or directory")
    try:
        found = json.loads(content) if content.strip() else []
    except ValueError:
        raise Bad("setting up extrarecord manager: unmarshalling records, invalid character") from None
    return [{str(key).lower(): value for key, value in it.items()} for it in found or []]
