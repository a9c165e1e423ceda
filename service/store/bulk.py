"""Many rows at once, by the driver's own quickest way.

One INSERT through SQLAlchemy costs more time than everything else that is done for a score, so what group commit writes
goes to the driver as columns or tuples: one statement over `unnest` on PostgreSQL, `executemany` on SQLite. The column
order is the table's own, and the table stays the one place that knows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Dialect, Table
from sqlalchemy.dialects import postgresql

from .arrays import packed
from .engine import WriteConnection

POSTGRESQL: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]


def insert_many(connection: WriteConnection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows, each with a value for every column of `table` in its order."""
    if not rows:
        return
    if connection.embedded:
        connection.run_many(_insert(table) + _values(table), rows)
    else:
        connection.run(_insert(table) + _unnested(table), _columns(table, rows))


def insert_unless(
    connection: WriteConnection,
    table: Table,
    rows: Sequence[Sequence[Any]],
    conflict: str,
    parameters: Sequence[Any] = (),
) -> Callable[[], int]:
    """As `insert_many`, with an ON CONFLICT clause and its parameters; what to ask for how many rows were inserted or
    updated, which waits for the answer."""
    if connection.embedded:
        statement = _insert(table) + _values(table) + conflict
        changed: int = connection.run_many(statement, [(*row, *parameters) for row in rows]).rowcount
        return lambda: changed
    statement = _insert(table) + _unnested(table) + conflict + " RETURNING 1"
    answer = connection.run(statement, [*_columns(table, rows), *parameters])
    return lambda: len(answer.fetchall())


def _columns(table: Table, rows: Sequence[Sequence[Any]]) -> list[Any]:
    return [packed(kind, column) for kind, column in zip(_types(table), zip(*rows, strict=True), strict=True)]


@cache
def _insert(table: Table) -> str:
    return f"INSERT INTO {table.name} ({', '.join(column.name for column in table.columns)}) "


@cache
def _values(table: Table) -> str:
    return f"VALUES ({', '.join('?' * len(table.columns))})"


@cache
def _unnested(table: Table) -> str:
    arrays = ", ".join(f"?::{kind}[]" for kind in _types(table))
    return f"SELECT * FROM unnest({arrays})"  # noqa: S608


@cache
def _types(table: Table) -> tuple[str, ...]:
    return tuple(column.type.compile(POSTGRESQL).lower() for column in table.columns)
