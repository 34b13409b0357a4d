"""The client: a pool of connections, the tables by name, and LiteLLM's own queries."""

import asyncio
import os
from collections.abc import Sequence
from typing import Any

import asyncpg

from . import errors, values
from .tables import Schema, Table

_COLUMNS = """
SELECT c.table_name, c.column_name, c.udt_name, c.column_default IS NULL AND c.udt_name = 'text' AND EXISTS (
  SELECT 1 FROM information_schema.table_constraints t
  JOIN information_schema.key_column_usage k USING (constraint_schema, constraint_name)
  WHERE t.constraint_type = 'PRIMARY KEY' AND k.table_name = c.table_name AND k.column_name = c.column_name
) AS made
FROM information_schema.columns c WHERE c.table_schema = 'public'
"""
_ERRORS = (
    (asyncpg.UniqueViolationError, errors.UniqueViolationError),
    (asyncpg.ForeignKeyViolationError, errors.ForeignKeyViolationError),
    (asyncpg.NotNullViolationError, errors.MissingRequiredValueError),
    (asyncpg.UndefinedTableError, errors.TableNotFoundError),
    (asyncpg.UndefinedColumnError, errors.FieldNotFoundError),
    (asyncpg.PostgresError, errors.DataError),
)


class Prisma:
    """`connection` is that of a transaction; without one each statement takes one from the pool."""

    def __init__(self, **_ignored: Any) -> None:
        self._pool: Any = None
        self._connection: Any = None
        self._tables: dict[str, Schema] = {}
        self._connecting = asyncio.Lock()

    async def connect(self, *_ignored: Any, **_named: Any) -> None:
        async with self._connecting:
            if self._pool is not None:
                return
            address = os.environ["DATABASE_URL"].partition("?")[0]
            pool = await asyncpg.create_pool(
                address, min_size=1, max_size=5, server_settings={"TimeZone": "UTC"}, statement_cache_size=0
            )
            for row in await pool.fetch(_COLUMNS):
                schema = self._tables.setdefault(row["table_name"].lower(), Schema(row["table_name"]))
                schema.columns[row["column_name"]] = row["udt_name"]
                if row["made"]:
                    schema.ids.append(row["column_name"])
            self._pool = pool

    async def disconnect(self, *_ignored: Any, **_named: Any) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    def is_connected(self) -> bool:
        return self._pool is not None

    async def fetch(self, sql: str, arguments: Sequence[Any]) -> list[dict[str, Any]]:
        """Runs one statement; rows with values as asyncpg has them."""
        return [dict(record) for record in (await self._run(sql, arguments))[1]]

    async def query_raw(self, query: str, *arguments: Any, **_ignored: Any) -> list[dict[str, Any]]:
        kinds, records = await self._run(query, arguments)
        return [{name: values.of_query(value, kinds[name]) for name, value in record.items()} for record in records]

    async def query_first(self, query: str, *arguments: Any, **_ignored: Any) -> dict[str, Any] | None:
        return next(iter(await self.query_raw(query, *arguments)), None)

    async def execute_raw(self, query: str, *arguments: Any, **_ignored: Any) -> int:
        """How many rows it changed; without arguments it may be several statements."""
        if arguments:
            return len((await self._run(query, arguments))[1])
        await self._with(lambda connection: connection.execute(query))
        return 0

    async def _run(self, sql: str, arguments: Sequence[Any]) -> tuple[dict[str, str], list[Any]]:
        async def go(connection: Any) -> tuple[dict[str, str], list[Any]]:
            statement = await connection.prepare(sql)
            kinds = {attribute.name: attribute.type.name for attribute in statement.get_attributes()}
            given = zip(arguments, statement.get_parameters(), strict=False)
            return kinds, await statement.fetch(*(values.parameter(value, kind.name) for value, kind in given))

        found: tuple[dict[str, str], list[Any]] = await self._with(go)
        return found

    async def _with(self, do: Any) -> Any:
        await self.connect()
        try:
            if self._connection is not None:
                return await do(self._connection)
            async with self._pool.acquire() as connection:
                return await do(connection)
        except asyncpg.PostgresError as error:
            raise next(ours for theirs, ours in _ERRORS if isinstance(error, theirs))(str(error)) from error

    def tx(self, *_ignored: Any, **_named: Any) -> "Transaction":
        return Transaction(self)

    def batch_(self) -> "Batch":
        return Batch(self)

    def of(self, connection: Any) -> "Prisma":
        """The client of a transaction."""
        client = Prisma()
        client._pool, client._tables, client._connection = self._pool, self._tables, connection
        return client

    def __getattr__(self, name: str) -> Table:
        tables: dict[str, Schema] = self.__dict__.get("_tables", {})
        if name not in tables:
            raise AttributeError(name)
        return Table(self, tables[name])


Client = Prisma


class Transaction:
    """`async with client.tx() as inside`: all of it, or nothing."""

    def __init__(self, client: Prisma) -> None:
        self._client = client
        self._connection: Any = None
        self._transaction: Any = None

    async def __aenter__(self) -> Prisma:
        return await self.start()

    async def start(self) -> Prisma:
        await self._client.connect()
        self._connection = await self._client._pool.acquire()
        self._transaction = self._connection.transaction()
        await self._transaction.start()
        return self._client.of(self._connection)

    async def commit(self, *_ignored: Any) -> None:
        await self._transaction.commit()
        await self._client._pool.release(self._connection)

    async def rollback(self, *_ignored: Any) -> None:
        await self._transaction.rollback()
        await self._client._pool.release(self._connection)

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> None:
        await (self.commit() if kind is None else self.rollback())


class Batch:
    """`async with client.batch_() as batch`: what was called is done at the end, in one transaction."""

    def __init__(self, client: Prisma) -> None:
        self._client = client
        self.calls: list[tuple[str, str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> "_BatchTable":
        return _BatchTable(self, name)

    async def commit(self) -> None:
        calls, self.calls = self.calls, []
        async with self._client.tx() as client:
            for table, operation, arguments, named in calls:
                await getattr(getattr(client, table), operation)(*arguments, **named)

    async def __aenter__(self) -> "Batch":
        return self

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is None:
            await self.commit()


class _BatchTable:
    def __init__(self, batch: Batch, name: str) -> None:
        self._batch, self._name = batch, name

    def __getattr__(self, operation: str) -> Any:
        def later(*arguments: Any, **named: Any) -> None:
            self._batch.calls.append((self._name, operation, arguments, named))

        return later
