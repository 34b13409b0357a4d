"""One table's operations."""

import datetime
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import errors, values
from .conditions import Parameters, order_by, quoted, where

if TYPE_CHECKING:
    from .client import Prisma


class Schema:
    """A table's columns with their types, and those that get a value by themselves."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.columns: dict[str, str] = {}
        self.ids: list[str] = []  # text keys without a default: Prisma's engine makes a UUID


class Table:
    """`client.litellm_something`."""

    def __init__(self, client: "Prisma", schema: Schema) -> None:
        self._client, self._schema = client, schema
        self._name, self._columns = quoted(schema.name), schema.columns

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def find_many(
        self,
        where: Mapping[str, Any] | None = None,
        take: int | None = None,
        skip: int | None = None,
        order: Any = None,
        **_ignored: Any,
    ) -> list[values.Row]:
        found = Parameters()
        sql = f"SELECT * FROM {self._name} WHERE {self._where(where, found)}{order_by(order, self._columns)}"
        return await self._rows(sql + _page(take, skip), found)

    async def find_first(self, **wanted: Any) -> values.Row | None:
        rows = await self.find_many(**{**wanted, "take": 1})
        return rows[0] if rows else None

    async def find_unique(self, where: Mapping[str, Any], **_ignored: Any) -> values.Row | None:
        return await self.find_first(where=where)

    async def find_unique_or_raise(self, where: Mapping[str, Any], **_ignored: Any) -> values.Row:
        row = await self.find_first(where=where)
        if row is None:
            raise errors.RecordNotFoundError(self._schema.name)
        return row

    async def count(self, where: Mapping[str, Any] | None = None, **_ignored: Any) -> int:
        found = Parameters()
        sql = f"SELECT count(*) AS rows FROM {self._name} WHERE {self._where(where, found)}"
        return int((await self._client.fetch(sql, found.values))[0]["rows"])

    async def group_by(
        self,
        by: Sequence[str] | str,
        where: Mapping[str, Any] | None = None,
        sum: Mapping[str, Any] | None = None,
        count: Any = None,
        order: Any = None,
        take: int | None = None,
        skip: int | None = None,
        **_ignored: Any,
    ) -> list[dict[str, Any]]:
        names = [by] if isinstance(by, str) else list(by)
        sums = list(sum or {})
        chosen = [quoted(name) for name in names]
        chosen += [f"sum({quoted(name)}) AS {quoted(f'_sum {name}')}" for name in sums]
        chosen += ["count(*) AS _rows"]
        found = Parameters()
        sql = f"SELECT {', '.join(chosen)} FROM {self._name} WHERE {self._where(where, found)}"
        sql += f" GROUP BY {', '.join(map(quoted, names))}{order_by(order, dict.fromkeys(names, ''))}"
        groups = []
        for record in await self._client.fetch(sql + _page(take, skip), found.values):
            group = {name: values.group(record[name], self._columns[name]) for name in names}
            if sums:
                group["_sum"] = {name: values.of_row(record[f"_sum {name}"], "") for name in sums}
            if count is not None:
                counted = list(count) if isinstance(count, dict) else []
                group["_count"] = dict.fromkeys(["_all", *counted], record["_rows"])
            groups.append(group)
        return groups

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def create(self, data: Mapping[str, Any], **_ignored: Any) -> values.Row:
        row = self._completed(data, new=True)
        found = Parameters()
        names = ", ".join(map(quoted, row))
        sql = f"INSERT INTO {self._name} ({names}) VALUES ({', '.join(found.add(value) for value in row.values())})"
        return (await self._rows(f"{sql} RETURNING *", found))[0]

    async def create_many(
        self, data: Sequence[Mapping[str, Any]], skip_duplicates: bool = False, **_ignored: Any
    ) -> int:
        made = 0
        for item in data:
            try:
                await self.create(item)
                made += 1
            except errors.UniqueViolationError:
                if not skip_duplicates:
                    raise
        return made

    async def update_many(self, data: Mapping[str, Any], where: Mapping[str, Any], **_ignored: Any) -> int:
        return len(await self._updated(data, where))

    async def update(self, data: Mapping[str, Any], where: Mapping[str, Any], **_ignored: Any) -> values.Row | None:
        return next(iter(await self._updated(data, where)), None)

    async def upsert(self, where: Mapping[str, Any], data: Mapping[str, Any], **_ignored: Any) -> values.Row | None:
        if await self.find_first(where=where) is None:
            try:
                return await self.create(data["create"])
            except errors.UniqueViolationError:
                pass  # somebody else was quicker
        if data.get("update"):
            return await self.update(data=data["update"], where=where)
        return await self.find_first(where=where)

    async def delete_many(self, where: Mapping[str, Any] | None = None, **_ignored: Any) -> int:
        return len(await self._deleted(where))

    async def delete(self, where: Mapping[str, Any], **_ignored: Any) -> values.Row | None:
        return next(iter(await self._deleted(where)), None)

    async def query_raw(self, query: str, *arguments: Any, **_ignored: Any) -> list[dict[str, Any]]:
        return await self._client.query_raw(query, *arguments)

    async def query_first(self, query: str, *arguments: Any, **_ignored: Any) -> dict[str, Any] | None:
        return await self._client.query_first(query, *arguments)

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _where(self, wanted: Mapping[str, Any] | None, found: Parameters) -> str:
        return where(wanted, self._columns, found)

    async def _rows(self, sql: str, found: Parameters) -> list[values.Row]:
        records = await self._client.fetch(sql, found.values)
        return [
            values.Row(**{name: values.of_row(value, self._columns[name]) for name, value in record.items()})
            for record in records
        ]

    def _completed(self, data: Mapping[str, Any], *, new: bool) -> dict[str, Any]:
        """The columns of `data`; a relation that is connected becomes the columns it is connected by."""
        row: dict[str, Any] = {}
        for name, value in data.items():
            if name in self._columns:
                row[name] = value
            elif isinstance(value, dict) and "connect" in value:
                row |= {key: its for key, its in value["connect"].items() if key in self._columns}
        if new:
            row |= {name: str(uuid.uuid4()) for name in self._schema.ids if name not in row}
        if "updated_at" in self._columns:
            row.setdefault("updated_at", datetime.datetime.now(values.UTC))
        return row

    async def _updated(self, data: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[values.Row]:
        found = Parameters()
        parts = [
            f"{quoted(name)} = {self._assigned(name, value, found)}"
            for name, value in self._completed(data, new=False).items()
        ]
        condition = self._where(wanted, found)
        return await self._rows(f"UPDATE {self._name} SET {', '.join(parts)} WHERE {condition} RETURNING *", found)

    def _assigned(self, name: str, value: Any, found: Parameters) -> str:
        column, kind = quoted(name), self._columns[name]
        if not isinstance(value, dict) or kind in ("json", "jsonb") or len(value) != 1:
            return found.add(value)
        operator, amount = next(iter(value.items()))
        if operator == "increment":
            return f"COALESCE({column}, 0) + {found.add(amount)}"
        if operator == "decrement":
            return f"COALESCE({column}, 0) - {found.add(amount)}"
        if operator == "push":
            return f"{column} || {found.add(amount if isinstance(amount, list) else [amount])}"
        return found.add(amount)  # set

    async def _deleted(self, wanted: Mapping[str, Any] | None) -> list[values.Row]:
        found = Parameters()
        return await self._rows(f"DELETE FROM {self._name} WHERE {self._where(wanted, found)} RETURNING *", found)


def _page(take: int | None, skip: int | None) -> str:
    return (f" LIMIT {int(take)}" if take is not None else "") + (f" OFFSET {int(skip)}" if skip else "")
