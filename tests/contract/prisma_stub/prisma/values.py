"""Values on their way to PostgreSQL and back; which type a parameter or column has, the server says."""

import datetime
import decimal
import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from .fields import Base64, Json

UTC = datetime.UTC


class Row(BaseModel):
    """A row of a table. Relations, which are not loaded, are None."""

    model_config = ConfigDict(extra="allow", protected_namespaces=(), arbitrary_types_allowed=True)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)  # type: ignore[misc]
        except AttributeError:
            if name.startswith("_") or name in ("keys", "items", "values"):
                raise
            return None

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def get(self, name: str, default: Any = None) -> Any:
        return self.model_dump().get(name, default)


def parameter(value: Any, kind: str) -> Any:
    """`value` as asyncpg wants it for a parameter of PostgreSQL's type `kind`."""
    if isinstance(value, Json | Base64):
        value = value.data
    if value is None:
        return None
    if kind.endswith("[]") or kind.startswith("_"):
        items = value["set"] if isinstance(value, dict) and "set" in value else value
        return [parameter(item, kind.removesuffix("[]").removeprefix("_")) for item in items]
    convert = _TO.get(kind)
    return convert(value) if convert else value


def _json(value: Any) -> str:
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            pass
        else:
            return value
    return json.dumps(value, default=str)


def _moment(value: Any) -> Any:
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _date(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return value.date()
    return datetime.date.fromisoformat(value[:10]) if isinstance(value, str) else value


_TO: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("json", "jsonb"), _json),
    **dict.fromkeys(("text", "varchar", "bpchar", "name"), _text),
    **dict.fromkeys(("float4", "float8"), float),
    **dict.fromkeys(("int2", "int4", "int8"), int),
    "bool": bool,
    "numeric": lambda value: decimal.Decimal(str(value)),
    "date": _date,
    "timestamptz": _moment,
    "timestamp": lambda value: _moment(value).astimezone(UTC).replace(tzinfo=None),  # UTC without a zone
}


def of_row(value: Any, kind: str) -> Any:
    """A column of a row of a table."""
    if kind in ("json", "jsonb") and isinstance(value, str):
        return json.loads(value)
    if isinstance(value, datetime.datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return float(value) if isinstance(value, decimal.Decimal) else value


def of_query(value: Any, kind: str) -> Any:
    """A column of a raw query: times come as text."""
    value = of_row(value, kind)
    return value.isoformat() if isinstance(value, datetime.date) else value


def group(value: Any, kind: str) -> Any:
    """A column that was grouped by: times as Prisma's engine writes them."""
    if isinstance(value, datetime.datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}Z"
    return of_row(value, kind)
