"""`where` and `order`, as SQL."""

from collections.abc import Callable, Mapping
from typing import Any

_COMPARE = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_LIKE: Mapping[str, Callable[[str], str]] = {
    "contains": lambda value: f"'%' || {value} || '%'",
    "startswith": lambda value: f"{value} || '%'",
    "endswith": lambda value: f"'%' || {value}",
}


class Parameters:
    """The values of a statement, in order."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def add(self, value: Any) -> str:
        self.values.append(value)
        return f"${len(self.values)}"


def quoted(name: str) -> str:
    return '"' + name.replace('"', "") + '"'


def where(wanted: Mapping[str, Any] | None, columns: Mapping[str, str], values: Parameters) -> str:
    """The condition that a row is wanted. What is no column is a group of columns, or ignored: a relation."""
    parts = []
    for name, value in (wanted or {}).items():
        if name in ("AND", "OR", "NOT"):
            parts.append(_several(name, value if isinstance(value, list) else [value], columns, values))
        elif name in columns:
            parts.append(_of_column(name, value, columns[name], values))
        elif isinstance(value, dict) and value and all(key in columns for key in value):
            parts.append(where(value, columns, values))  # of a key with several columns
    return " AND ".join(f"({part})" for part in parts) or "TRUE"


def _several(word: str, items: list[Any], columns: Mapping[str, str], values: Parameters) -> str:
    parts = [f"({where(item, columns, values)})" for item in items]
    if word == "OR":
        return " OR ".join(parts) or "FALSE"
    joined = " AND ".join(parts) or "TRUE"
    return f"NOT ({joined})" if word == "NOT" and parts else joined


def _of_column(name: str, wanted: Any, kind: str, values: Parameters) -> str:
    column = quoted(name)
    if not isinstance(wanted, dict) or (kind == "jsonb" and not {"equals", "not", "path"} & set(wanted)):
        return f"{column} IS NULL" if wanted is None else f"{column} = {values.add(wanted)}"
    caseless = wanted.get("mode") == "insensitive"
    path = wanted.get("path")
    place = f"{column} #>> {values.add(list(path))}::text[]" if path else column
    parts = (
        _operation(name, place, operator, value, kind, values, caseless)
        for operator, value in wanted.items()
        if operator not in ("mode", "path")
    )
    return " AND ".join(parts) or "TRUE"


def _operation(name: str, place: str, operator: str, value: Any, kind: str, values: Parameters, caseless: bool) -> str:
    if operator == "equals":
        return f"{place} IS NULL" if value is None else f"{place} = {values.add(value)}"
    if operator == "not":
        if isinstance(value, dict):
            return f"NOT ({_of_column(name, value, kind, values)})"
        return f"{place} IS NOT NULL" if value is None else f"{place} <> {values.add(value)}"
    if operator in _COMPARE:
        return f"{place} {_COMPARE[operator]} {values.add(value)}"
    if operator.rstrip("_") in ("in", "not_in", "notIn"):
        found = f"{place} = ANY({values.add(list(value))})"
        return f"NOT ({found})" if operator.startswith("not") else found
    if operator.lower() in _LIKE:
        return f"{place} {'ILIKE' if caseless else 'LIKE'} {_LIKE[operator.lower()](values.add(value))}"
    if operator == "has":
        return f"{values.add(value)} = ANY({place})"
    if operator in ("has_some", "hasSome"):
        return f"{place} && {values.add(list(value))}"
    raise NotImplementedError(f"the driver stub does not know {operator} of {name}")


def order_by(wanted: Any, columns: Mapping[str, str]) -> str:
    """` ORDER BY …`, or nothing."""
    items = wanted if isinstance(wanted, list | tuple) else [wanted] if wanted else []
    parts = []
    for item in items:
        for name, way in item.items():
            word = way.get("sort") if isinstance(way, dict) else way
            if name in columns:
                parts.append(f"{quoted(name)} {'DESC' if str(word).lower() == 'desc' else 'ASC'}")
    return f" ORDER BY {', '.join(parts)}" if parts else ""
