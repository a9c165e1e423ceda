"""The two databases behind one `Database`: SQLite as the embedded default, PostgreSQL for everyone else.

Rules:
1. `write()` is one transaction: COMMIT when the block ends, ROLLBACK when it raises. On SQLite it begins IMMEDIATE,
   because a transaction that reads first and writes later can fail halfway; on PostgreSQL it is READ COMMITTED.
2. `read()` is one transaction that the database itself keeps from writing (`query_only`, READ ONLY).
3. Every error of the database becomes one of ours: `RowRefused` where a row was at fault, `CommitUnconfirmed` where
   COMMIT failed and its outcome is not known, else `StorageUnavailable`. The message names the kind of error and
   nothing more: the driver's text may quote a row, so it neither stands in the message nor in the printed cause.
4. What is particular to one of the two stands in `sqlite.py` and `postgresql.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, CursorResult, Select, Table, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.sql.base import Executable

from service.errors import CommitUnconfirmed, RowRefused, StorageUnavailable, SystemFault, UnsafeConfiguration

from . import postgresql as postgresql_server
from . import sqlite as sqlite_file

if TYPE_CHECKING:
    from .pipeline import Pipeline

Columns = tuple[Any, ...]
"""Columns of a statement whose types are not tracked."""


@dataclass(slots=True)
class ReadConnection:
    """A transaction that may only select."""

    sqlalchemy: Connection

    def select(self, statement: Select[*Columns]) -> CursorResult[*Columns]:
        """Run a SELECT."""
        return self.sqlalchemy.execute(statement)


@dataclass(slots=True)
class WriteConnection(ReadConnection):
    """A transaction that may write; it serves wherever a `ReadConnection` does.

    `run` and `run_many` go to the driver as they are, because building a statement costs more than executing it. On
    PostgreSQL they are sent in a pipeline: the server's answer is waited for only where a row is fetched, where
    SQLAlchemy takes over, and at COMMIT, which travels with the last of them.
    """

    _opened: Pipeline | None = None

    @property
    def embedded(self) -> bool:
        """Whether this is SQLite."""
        return self.sqlalchemy.dialect.name == "sqlite"

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """Run a statement written with `?` marks; something rows can be fetched from."""
        if self.embedded:
            return self._cursor().execute(statement, parameters)
        return self._pipeline().run(statement, parameters)

    def run_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> Any:
        """Run a statement written with `?` marks for every row, on SQLite; the driver's cursor."""
        return self._cursor().executemany(statement, rows)

    def select(self, statement: Select[*Columns]) -> CursorResult[*Columns]:
        """Run a SELECT."""
        self.leave_pipeline()
        return self.sqlalchemy.execute(statement)

    def execute(self, statement: Executable) -> CursorResult[*Columns]:
        """Run any statement."""
        self.leave_pipeline()
        return self.sqlalchemy.execute(statement)

    def insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """An INSERT in the dialect of this database, for statements with ON CONFLICT."""
        if self.embedded:
            return sqlite.insert(table)
        return postgresql.insert(table)

    def mark_for_scrub(self) -> None:
        """Note in this transaction that `Database.scrub` has something to do."""
        if self.embedded:
            sqlite_file.mark_for_scrub(self._cursor())

    def leave_pipeline(self) -> None:
        """Wait for what was sent; raises the first error that came of it."""
        if self._opened is not None:
            self._opened.leave()

    def commit_pipeline(self) -> None:
        """Send COMMIT with what is on its way, and wait for all of it."""
        if self._opened is not None:
            self._opened.commit()

    def _cursor(self) -> Any:
        return self.sqlalchemy.connection.cursor()

    def _pipeline(self) -> Pipeline:
        if self._opened is None:
            self._opened = postgresql_server.pipeline_of(self.sqlalchemy)
        return self._opened


class Database:
    """One database, named by its URL. Opens connections when they are needed; `close` gives them all back.

    Raises `UnsafeConfiguration` for a URL of another kind, `StorageUnavailable` where SQLite's file cannot be made or,
    without `create`, is not there.
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        parsed = _parse(url)
        self.embedded = parsed.get_backend_name() == "sqlite"
        self._file: sqlite_file.SqliteFile | None = None
        self._scrubbing = Lock()
        if self.embedded:
            self._file = sqlite_file.prepare_file(Path(str(parsed.database)), create=create)
            self._writer = sqlite_file.sqlite_engine(parsed, "BEGIN IMMEDIATE", query_only="OFF")
            self._reader = sqlite_file.sqlite_engine(parsed, "BEGIN", query_only="ON")
        else:
            self._writer = postgresql_server.postgresql_engine(parsed)
            self._reader = self._writer.execution_options(postgresql_readonly=True)

    @contextmanager
    def read(self) -> Iterator[ReadConnection]:
        """A read-only transaction."""
        self._require_file()
        with self._storage_errors(), self._reader.begin() as connection:
            yield ReadConnection(connection)

    @contextmanager
    def write(self) -> Iterator[WriteConnection]:
        """A writing transaction, committed when the block ends. Raises `RowRefused` where the database refused a row,
        `CommitUnconfirmed` where only COMMIT failed and may have succeeded, else `StorageUnavailable`."""
        with self._storage_errors(), self._writer.connect() as connection, connection.begin() as transaction:
            writing = WriteConnection(connection)
            with self._ended_pipeline(writing):
                yield writing
                # Last thing before COMMIT: what is committed into a deleted file is gone when the process ends.
                self._require_file()
                with self._storage_errors(CommitUnconfirmed):
                    writing.commit_pipeline()
                    transaction.commit()

    def shares_folder(self, path: Path) -> bool:
        """Whether SQLite's file lies in the same folder as `path`, so that whoever copies the one copies the other."""
        return self._file is not None and self._file.path.parent == path.absolute().parent

    def durability_problems(self) -> tuple[str, ...]:
        """Why a COMMIT that returned could still be lost: one sentence per setting, none where all is well."""
        with self.write() as connection:
            if self.embedded:
                return sqlite_file.durability_problems(connection.sqlalchemy)
            return postgresql_server.durability_problems(connection.sqlalchemy)

    def scrub(self, tables: Sequence[Table]) -> bool:
        """Let go of the bytes of what was erased before; PostgreSQL vacuums `tables`. False where somebody
        still reads an earlier state of SQLite's file; that takes `SCRUB_SECONDS` to find out."""
        self._require_file()
        with self._storage_errors():
            if self._file is not None:
                with self._scrubbing:
                    return sqlite_file.scrub(self._file.path)
            with self._writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql(f"VACUUM {', '.join(table.name for table in tables)}")
            return True

    @contextmanager
    def _ended_pipeline(self, connection: WriteConnection) -> Iterator[None]:
        """Where a transaction fails, end its pipeline and roll it back in the driver, because SQLAlchemy does not do so
        after a COMMIT that failed; a connection that cannot even do this is not used again."""
        try:
            yield
        except BaseException:
            try:
                with suppress(self._writer.dialect.loaded_dbapi.Error):
                    connection.leave_pipeline()
                connection.sqlalchemy.connection.rollback()
            except (SQLAlchemyError, self._writer.dialect.loaded_dbapi.Error):
                connection.sqlalchemy.invalidate()
            raise

    @contextmanager
    def _storage_errors(self, otherwise: type[StorageUnavailable] = StorageUnavailable) -> Iterator[None]:
        """Turn the driver's errors, wrapped or bare, into ours."""
        try:
            yield
        except (SQLAlchemyError, self._writer.dialect.loaded_dbapi.Error) as error:
            cause = getattr(error, "orig", None) or error
            refused = isinstance(cause, self._refusals) and not _is_of_the_schema(cause)
            kind: type[SystemFault] = RowRefused if refused else otherwise
            raise kind(
                f"The database did not confirm the operation ({_kind_of(cause)}); nothing was acknowledged.",
                "Send the request again with the same Idempotency-Key; if it persists, the operator has to look.",
            ) from None

    @property
    def _refusals(self) -> tuple[type[Exception], ...]:
        """The driver's errors that one row can cause; every other error is the database's."""
        driver: Any = self._writer.dialect.loaded_dbapi
        return (driver.IntegrityError, driver.DataError, driver.ProgrammingError)

    def _require_file(self) -> None:
        if self._file is not None and not self._file.in_place():
            raise StorageUnavailable(
                "The database file was removed or replaced while it was open.",
                "Put the file back and start the service again.",
            )

    def close(self) -> None:
        """Close every pooled connection."""
        self._reader.dispose()
        self._writer.dispose()


def _kind_of(cause: BaseException) -> str:
    """What went wrong in the database's own short code (SQLSTATE, SQLITE_FULL), which never quotes data."""
    code = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None)
    return str(code or type(cause).__name__)


def _is_of_the_schema(cause: BaseException) -> bool:
    """Whether PostgreSQL lacks a table or a privilege (SQLSTATE class 42): every row would meet the same."""
    return (getattr(cause, "sqlstate", None) or "").startswith("42")


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError):
        backend = ""
    if backend == "sqlite" and parsed.database and not parsed.database.startswith((":memory:", "file:")):
        return parsed.set(drivername="sqlite+pysqlite")
    if backend in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    raise UnsafeConfiguration(
        "EXOSCORE_DATABASE_URL names no database that ExoScore can use.",
        "Use sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE.",
    )
