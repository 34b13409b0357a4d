"""Secrets a container knows, by the values of its environment, out of what it says without their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from vpai_tui.redact import MASK

# As `mask` of deploy/common.sh judges env files: by the key's name, or long and with nothing of an address or a text.
_NAME = re.compile(r"PASS|SECRET|TOKEN|KEY|CREDENTIAL|DSN|AUTH|URL|URI|SALT|PWD|HMAC|PRIVATE|COOKIE", re.IGNORECASE)
_TOKEN = re.compile(r"[^\s/.:]{16,}\Z")
_IN_URL = re.compile(r":([^:@/\s]+)@")
_LEAST = 4


def own_secrets(inspected: Mapping[str, Any]) -> tuple[str, ...]:
    """Of the engine's answer about a container: what must not be seen, the longest first."""
    config = inspected.get("Config")
    environment = config.get("Env") if isinstance(config, Mapping) else None
    found: set[str] = set()
    for pair in environment if isinstance(environment, list) else ():
        name, _, value = str(pair).partition("=")
        if _NAME.search(name) or _TOKEN.match(value) or "\n" in value:
            found.update(line.strip() for line in value.splitlines())
            found.update(_IN_URL.findall(value))
    return tuple(sorted((it for it in found if len(it) >= _LEAST), key=len, reverse=True))


def without(value: Any, secrets: Iterable[str]) -> Any:
    """`value` (plain data) with each of `secrets` in its texts replaced by `•••`; keys of mappings stay."""
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, MASK)
        return value
    if isinstance(value, dict):
        return {key: without(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [without(item, secrets) for item in value]
    return value
