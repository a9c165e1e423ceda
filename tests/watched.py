"""What each committed transaction of real processes writes, told by the database and not by the service.

On PostgreSQL a trigger on every table notes each row with its transaction. SQLite names no transactions, so there the
processes run under this module, which listens to every connection they open: each tells the statements that it runs,
BEGIN and COMMIT among them.

    python -m tests.watched FOLDER COMMAND...     runs one `exoscore` command
    python -m tests.watched FOLDER                runs one for each line of JSON on standard input: arguments, and what
                                                  is typed; answers with a line: status and standard output
"""

from __future__ import annotations

import io
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg import sql

ROOT = Path(__file__).parents[1]

APART = frozenset({"idempotency", "shadow_score", "artifact_part", "alembic_version"})
"""Tables that may change without an entry of the log: what is in them is either bound by digests or by scores that were
recorded, or is not about anybody."""

ENTRY = "INSERT audit_entry"

Writes = frozenset[str]
"""What one transaction did, each as `INSERT table`, `UPDATE table` or `DELETE table`."""


def unrecorded(transactions: Sequence[Writes]) -> list[Writes]:
    """The transactions that wrote something and left no entry."""
    return [one for one in transactions if ENTRY not in one and not tables_of([one]) <= APART]


def tables_of(transactions: Sequence[Writes]) -> set[str]:
    """The tables that were written."""
    return {written.partition(" ")[2] for one in transactions for written in one}


class Watch(Protocol):
    """Watches one migrated database from its making on."""

    @property
    def command(self) -> list[str]:
        """How a process that is watched is started."""
        ...

    def transactions(self) -> list[Writes]:
        """All transactions that were committed so far."""
        ...

    def write(self, statement: str) -> None:
        """Run a statement past the service, in a transaction of its own."""
        ...


WATCH_POSTGRESQL = """
    CREATE TABLE watched (transaction bigint NOT NULL, operation text NOT NULL, name text NOT NULL, content text);
    CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO watched
        VALUES (txid_current(), TG_OP, TG_TABLE_NAME, md5(CASE TG_OP WHEN 'DELETE' THEN OLD::text ELSE NEW::text END));
        RETURN NULL;
    END $$
"""


class PostgresqlWatch:
    """Triggers on every table there is."""

    def __init__(self, url: str) -> None:
        self._url = url
        with psycopg.connect(url) as connection:
            found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            connection.execute(WATCH_POSTGRESQL)
            for (table,) in found:
                for when, each in (("INSERT OR UPDATE OR DELETE", "ROW"), ("TRUNCATE", "STATEMENT")):
                    trigger = "CREATE TRIGGER {} AFTER {} ON {} FOR EACH {} EXECUTE FUNCTION watch()"
                    names = (sql.Identifier(f"watch_{each}"), sql.SQL(when), sql.Identifier(table), sql.SQL(each))
                    connection.execute(sql.SQL(trigger).format(*names))

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.watched", ""]

    def transactions(self) -> list[Writes]:
        with psycopg.connect(self._url) as connection:
            found = connection.execute("SELECT * FROM watched").fetchall()
        done: dict[int, Counter[tuple[str, str, str]]] = defaultdict(Counter)
        for transaction, *row in found:
            done[transaction][*row] += 1
        return [frozenset(_net(rows)) for rows in done.values()]

    def write(self, statement: str) -> None:
        with psycopg.connect(self._url) as connection:
            connection.execute(statement.encode())


def _net(rows: Counter[tuple[str, str, str]]) -> Iterator[str]:
    """What a transaction did, without the rows that it made and took back itself."""
    for (operation, table, content), times in rows.items():
        opposite = {"INSERT": "DELETE", "DELETE": "INSERT"}.get(operation, "")
        if times > rows.get((opposite, table, content), 0):
            yield f"{operation} {table}"


class SqliteWatch:
    """Files with the statements of every connection."""

    def __init__(self, url: str, folder: Path) -> None:
        self._path, self._folder = url.removeprefix("sqlite:///"), folder

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.watched", str(self._folder)]

    def transactions(self) -> list[Writes]:
        files = self._folder.glob("*.statements")
        return [one for file in files for one in _transactions(map(json.loads, file.read_text().splitlines()))]

    def write(self, statement: str) -> None:
        program = (
            "import sqlite3, sys, tests.watched as w\n"
            "w.listen(sys.argv[1])\n"
            "with sqlite3.connect(sys.argv[2]) as connection: connection.execute(sys.argv[3])"
        )
        arguments = [sys.executable, "-c", program, str(self._folder), self._path, statement]
        subprocess.run(arguments, cwd=ROOT, check=True)


_WRITES = re.compile(r"(INSERT|UPDATE|DELETE|REPLACE)\b(?: OR \w+)?(?: INTO| FROM)? +\"?(\w+)")
_READS = re.compile(r"SELECT|PRAGMA|VACUUM|EXPLAIN")


def _transactions(statements: Iterator[str]) -> Iterator[Writes]:
    """The writes of each transaction that one connection committed."""
    written: set[str] = set()
    inside = False
    for statement in statements:
        match statement.split(maxsplit=1)[0].upper():
            case "BEGIN":
                inside, written = True, set()
            case "ROLLBACK":
                inside = False
            case "COMMIT":
                inside = False
                yield frozenset(written)
            case _ if found := _WRITES.match(statement):
                written.add(f"{found[1]} {found[2]}")
                if not inside:
                    yield frozenset({f"{found[1]} {found[2]}"})
            case _:
                assert _READS.match(statement), f"unknown: {statement[:60]}"


def listen(folder: str) -> None:
    """Have every SQLite connection that this process opens write its statements into a file of its own. To be called
    before anything that opens one is imported."""
    numbers, connect = count(), sqlite3.connect

    def listened(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        if "exoscore.db" not in str(arguments[0]):
            return connection  # what measures the tests keeps notes of its own in SQLite
        path = Path(folder) / f"{os.getpid()}-{next(numbers)}.statements"
        file = path.open("w", buffering=1)
        connection.set_trace_callback(lambda statement: _tell(file, statement))
        return connection

    sqlite3.connect = listened  # type: ignore[assignment]


def _tell(file: io.TextIOBase, statement: str) -> None:
    if not statement.startswith("--"):  # what a trigger does is part of the statement that fired it
        file.write(json.dumps(" ".join(statement[:200].split())) + "\n")


class Commands:
    """A process that runs one command after the other."""

    def __init__(self, watch: Watch, environment: dict[str, str]) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(watch.command, env=environment, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)

    def run(self, *arguments: str, typed: str = "", status: int = 0) -> str:
        """Run a command that ends with `status`; its standard output."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([arguments, typed]) + "\n")
        self._process.stdin.flush()
        ended, said = json.loads(self._process.stdout.readline())
        assert ended == status, (arguments, said)
        return str(said)

    def close(self) -> None:
        """End the process."""
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()


@contextmanager
def commands(watch: Watch, environment: dict[str, str]) -> Iterator[Commands]:
    """Commands, for as long as the block lasts."""
    process = Commands(watch, environment)
    try:
        yield process
    finally:
        process.close()


def _serve_commands() -> None:
    from tests.conftest import command_here

    for line in sys.stdin:
        arguments, typed = json.loads(line)
        done = command_here(*arguments, environment=dict(os.environ), stdin=typed)
        print(json.dumps([done.returncode, done.stdout + done.stderr]), flush=True)


if __name__ == "__main__":
    if sys.argv[1]:
        listen(sys.argv[1])
    if sys.argv[2:]:
        from service import cli

        sys.exit(cli.main(sys.argv[2:]))
    _serve_commands()
