"""JSON of Headscale into the model; whatever is not as expected is an error with its place, never a crash."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from vpai_tui.errors import OperatorError
from vpai_tui.text import clean_line
from vpai_tui.vpn.model import Node, PreAuthKey, Route, User

T = TypeVar("T")

MANY = 100_000  # of a list; more is no Headscale
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOGGED_OUT = _EPOCH + timedelta(seconds=123)  # what `tailscale logout` sets
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")
_METHODS = {1: "auth_key", 2: "cli", 3: "oidc"}
_ALL_TAGGED = "tagged-devices"


class Strange(OperatorError):
    """An answer that no known version of Headscale gives."""


def load(raw: str | bytes, what: str) -> Any:
    """The JSON in `raw`; the CLI prints `null` for an empty list, and log lines before it with `log.format: json`."""
    text = raw.decode("utf-8", errors="replace") if isinstance(raw, bytes) else raw
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    for start in (
        index for index in range(len(text)) if text[index] in '[{"n' and text[index - 1 : index] in ("", "\n")
    ):
        try:
            return json.loads(text[start:])
        except (ValueError, RecursionError):
            continue
    raise Strange(f"{what}: the answer is no JSON", output=clean_line(text, 300), remedy="look at its log")


def rows(found: Any, key: str, one: Callable[[Mapping[str, Any]], T]) -> tuple[T, ...]:
    """The list under `key` (REST) or the bare list or null (CLI), each through `one`."""
    if isinstance(found, dict):
        found = found.get(key)
    if found is None:
        return ()
    if not isinstance(found, list) or len(found) > MANY:
        raise _strange(key, "a list", found)
    return tuple(one(_mapping(item, f"{key}[{index}]")) for index, item in enumerate(found))


def node(raw: Mapping[str, Any]) -> Node:
    """One node; `tags` are the effective ones of every version."""
    expires, seen = _time(raw, "expiry"), _time(raw, "lastSeen")
    return Node(
        id=_id(raw, "id"),
        name=_text(raw, "givenName") or _text(raw, "name"),
        hostname=_text(raw, "name"),
        user=_user_of(raw),
        addresses=tuple(_addresses(raw)),
        online=_flag(raw, "online"),
        expires_at=expires,
        last_seen=seen,
        created_at=_time(raw, "createdAt"),
        tags=_tags(raw),
        routes=_routes(raw),
        register_method=_method(_get(raw, "registerMethod")),
        logged_out=expires is not None and expires == _LOGGED_OUT,
    )


def user(raw: Mapping[str, Any]) -> User:
    return User(
        id=_id(raw, "id"),
        name=_text(raw, "name"),
        display_name=_text(raw, "displayName"),
        email=_text(raw, "email"),
        provider=_text(raw, "provider"),
        created_at=_time(raw, "createdAt"),
    )


def pre_auth_key(raw: Mapping[str, Any]) -> PreAuthKey:
    """One key. Up to 0.27 the list holds the whole key: it is kept in memory for `expire` and shown nowhere."""
    secret = _text(raw, "key")
    return PreAuthKey(
        id=_id(raw, "id"),
        user=_user_of(raw),
        reusable=_flag(raw, "reusable"),
        ephemeral=_flag(raw, "ephemeral"),
        used=_flag(raw, "used"),
        expires_at=_time(raw, "expiration"),
        created_at=_time(raw, "createdAt"),
        tags=_texts(raw, "aclTags"),
        shown=_masked(secret),
        secret="" if "*" in secret else secret,
    )


def _masked(secret: str) -> str:
    """What may be shown of a key: enough to tell two apart, of the new style its public part."""
    parts = secret.split("-")
    if secret.startswith("hskey-auth-") and len(parts) > 3:
        return "-".join(parts[:3]) + "-•••"
    return f"{secret[:4]}•••" if len(secret) >= 24 else "•••"


def _get(raw: Mapping[str, Any], camel: str) -> Any:
    """A field in either spelling; absent is None, as `omitempty` leaves out what is zero."""
    if camel in raw:
        return raw[camel]
    return raw.get(re.sub(r"(?<!^)([A-Z])", lambda found: "_" + found[1].lower(), camel))


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _strange(what, "an object", value)
    return value


def _strange(what: str, wanted: str, value: Any) -> Strange:
    return Strange(
        f"Headscale's answer has no {wanted} at {what}, but {clean_line(repr(value), 80)}",
        remedy="this client knows 0.26 to 0.29: compare `headscale version`",
    )


def _id(raw: Mapping[str, Any], name: str) -> int:
    value = _get(raw, name)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | str) or not re.fullmatch(r"\d{1,19}", str(value)):
        raise _strange(name, "number", value)
    return int(value)


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = _get(raw, name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _strange(name, "text", value)
    return clean_line(value, 500)


def _texts(raw: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = _get(raw, name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _strange(name, "list of texts", value)
    return tuple(clean_line(item, 200) for item in value)


def _flag(raw: Mapping[str, Any], name: str) -> bool:
    value = _get(raw, name)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise _strange(name, "true or false", value)


def _time(raw: Mapping[str, Any], name: str) -> datetime | None:
    """A moment; None for null and for the year 1, both of which mean never."""
    value = _get(raw, name)
    if value is None:
        return None
    found = _seconds(value) if isinstance(value, dict) else _stamp(value)
    if found is None:
        raise _strange(name, "time", value)
    return None if found.year <= 1 else found


def _seconds(value: Mapping[str, Any]) -> datetime | None:
    seconds, nanos = value.get("seconds", 0), value.get("nanos", 0)
    if not isinstance(seconds, int) or not isinstance(nanos, int):
        return None
    try:
        return _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
    except OverflowError:
        return None


def _stamp(value: Any) -> datetime | None:
    found = _STAMP.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    fraction = ((found[2] or "") + "000000")[:6]
    zone = "+00:00" if found[3] == "Z" else found[3]
    try:
        return datetime.fromisoformat(f"{found[1]}.{fraction}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def moment(text: Any) -> datetime | None:
    """A moment as Go prints it; None for what is none, and for the year 1."""
    found = _stamp(text)
    return None if found is None or found.year <= 1 else found


def _user_of(raw: Mapping[str, Any]) -> User | None:
    """Whose it is; None for a tagged node of 0.28 and later, which belongs to nobody."""
    value = _get(raw, "user")
    if value is None:
        return None
    found = user(_mapping(value, "user"))
    return None if found.name == _ALL_TAGGED else found


def _addresses(raw: Mapping[str, Any]) -> list[str]:
    found = []
    for text in _texts(raw, "ipAddresses"):
        try:
            found.append(str(ipaddress.ip_address(text)))
        except ValueError:
            raise _strange("ipAddresses", "IP address", text) from None
    return found


def _tags(raw: Mapping[str, Any]) -> tuple[str, ...]:
    if "tags" in raw:
        return _texts(raw, "tags")
    return tuple(sorted({*_texts(raw, "forcedTags"), *_texts(raw, "validTags")}))


def _routes(raw: Mapping[str, Any]) -> tuple[Route, ...]:
    advertised, approved = _texts(raw, "availableRoutes"), _texts(raw, "approvedRoutes")
    served = _texts(raw, "subnetRoutes")
    prefixes = dict.fromkeys([*advertised, *approved, *served])
    return tuple(
        Route(prefix, prefix in advertised, prefix in approved, prefix in served)
        for prefix in sorted(prefixes, key=lambda prefix: (prefix in ("0.0.0.0/0", "::/0"), prefix))
    )


def _method(value: Any) -> str:
    if isinstance(value, int):
        return _METHODS.get(value, "")
    return clean_line(value, 60).removeprefix("REGISTER_METHOD_").lower() if isinstance(value, str) else ""
