"""Many rows at once, by the driver's own quickest way.

One INSERT through SQLAlchemy costs more time than everything else that is done for a score, so what group commit writes
goes to the driver as tuples: `executemany` for a few rows and on SQLite, COPY in binary form for many on PostgreSQL.
The column order is the table's own, and the table stays the one place that knows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Dialect, Table
from sqlalchemy.dialects import postgresql

from .engine import WriteConnection

POSTGRESQL: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]

COPY_FROM = 8
"""Rows from which on COPY's two round trips cost less than one statement a row."""


def insert_many(connection: WriteConnection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows, each with a value for every column of `table` in its order."""
    if connection.embedded:
        connection.driver_cursor().executemany(_insert(table, "?"), rows)
    elif len(rows) < COPY_FROM:
        connection.driver_cursor().executemany(_insert(table, "%b"), rows)
    else:
        statement, types = _copy(table)
        with connection.driver_cursor().copy(statement) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)


def execute_many(connection: WriteConnection, statement: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Run one statement, written with `?` marks, for every row; the number of rows changed in all."""
    cursor = connection.driver_cursor()
    cursor.executemany(statement if connection.embedded else statement.replace("?", "%b"), rows)
    changed: int = cursor.rowcount
    return changed


@cache
def _insert(table: Table, mark: str) -> str:
    names = ", ".join(column.name for column in table.columns)
    return f"INSERT INTO {table.name} ({names}) VALUES ({', '.join([mark] * len(table.columns))})"  # noqa: S608


@cache
def _copy(table: Table) -> tuple[str, list[str]]:
    names = ", ".join(column.name for column in table.columns)
    types = [column.type.compile(POSTGRESQL).lower() for column in table.columns]
    return f"COPY {table.name} ({names}) FROM STDIN (FORMAT BINARY)", types
