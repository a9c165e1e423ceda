"""The two databases behind one `Database`: SQLite as the embedded default, PostgreSQL for everyone else.

Rules:
1. `write()` is one transaction: COMMIT when the block ends, ROLLBACK when it raises. On SQLite it begins IMMEDIATE,
   because a transaction that reads first and writes later can fail halfway; on PostgreSQL it is READ COMMITTED.
2. `read()` is one transaction that the database itself keeps from writing (`query_only`, READ ONLY).
3. Every error of the database becomes one of ours: `RowRefused` where a row was at fault, `CommitUnconfirmed` where
   COMMIT failed and its outcome is not known, else `StorageUnavailable`. The message names the kind of error and
   nothing more: the driver's text may quote a row, so it neither stands in the message nor in the printed cause.
4. SQLite runs in WAL mode with `synchronous=FULL`, so a COMMIT that returned has reached the disk, and with
   `secure_delete=ON`, so an erased row does not stay readable in a free page.
5. That is not enough: where SQLite splits or joins pages, copies of rows and keys stay behind in the unused middle of a
   page, where no later deletion finds them, and the write-ahead log holds earlier states of every page. `scrub` writes
   the file afresh and empties that log. `PRAGMA user_version`, which a transaction that erases raises, says whether
   that is still to be done, also after a crash.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from sqlite3 import SQLITE_BUSY, OperationalError, connect
from sqlite3 import Connection as SqliteConnection
from threading import Lock
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    URL,
    Connection,
    CursorResult,
    Engine,
    Select,
    Table,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.base import Executable

from service.errors import CommitUnconfirmed, RowRefused, StorageUnavailable, SystemFault, UnsafeConfiguration

WAIT_SECONDS = 5
"""How long a statement waits for another writer, and a caller for a connection, before the database counts as away."""

IDLE_SECONDS = 0.25
"""A connection that rested for longer is asked whether it is still there before it is used."""

SCRUB_SECONDS, SCRUB_ATTEMPTS = 5, 10
"""How long, and how often meanwhile, SQLite is asked to empty its write-ahead log."""

MAX_USER_VERSION = 2**31 - 1
"""The largest number that the head of an SQLite file has room for."""

LIBPQ = {
    "application_name": "exoscore",
    "connect_timeout": WAIT_SECONDS,
    "tcp_user_timeout": 1000 * WAIT_SECONDS,
    "keepalives_idle": WAIT_SECONDS,
    "keepalives_interval": 1,
    "keepalives_count": WAIT_SECONDS,
}
"""Connection parameters of PostgreSQL: without them a host that vanished is noticed after hours, and one stopped
replica that holds the head of the log stops all others."""

DURABILITY = ("fsync", "synchronous_commit", "full_page_writes")
"""PostgreSQL settings without which a COMMIT that returned can be lost in a power cut."""


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
    PostgreSQL they are sent in a pipeline: the server's answer is waited for only where a row is
    fetched, where SQLAlchemy takes over, and at COMMIT, which travels with the last of them.
    """

    _pipeline: ExitStack = field(default_factory=ExitStack)
    _piped: bool = False

    @property
    def embedded(self) -> bool:
        """Whether this is SQLite."""
        return self.sqlalchemy.dialect.name == "sqlite"

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """Run a statement written with `?` marks; the driver's cursor."""
        cursor = self._cursor()
        cursor.execute(statement if self.embedded else _with_psycopg_marks(statement), parameters)
        return cursor

    def run_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> Any:
        """Run a statement written with `?` marks for every row; the driver's cursor."""
        cursor = self._cursor()
        cursor.executemany(statement if self.embedded else _with_psycopg_marks(statement), rows)
        return cursor

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
        """Note in this transaction that `Database.scrub` has something to do (rule 5)."""
        if self.embedded:
            (version,) = self.run("PRAGMA user_version").fetchone()
            self.run(f"PRAGMA user_version={version % MAX_USER_VERSION + 1}")

    def leave_pipeline(self) -> None:
        """Wait for what was sent; raises the first error that came of it."""
        if self._piped:
            self._piped = False
            self._pipeline.close()

    def commit_pipeline(self) -> None:
        """Send COMMIT with what is on its way, and wait for all of it."""
        if self._piped:
            self.sqlalchemy.connection.commit()
            self.leave_pipeline()

    def _cursor(self) -> Any:
        connection: Any = self.sqlalchemy.connection
        if not self._piped and not self.embedded:
            self._pipeline.enter_context(connection.driver_connection.pipeline())
            self._piped = True
        return connection.cursor()


@cache
def _with_psycopg_marks(statement: str) -> str:
    return statement.replace("?", "%b")


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """The file as it was opened. SQLite goes on writing to a deleted file, and acknowledges every COMMIT into it."""

    path: Path
    device: int
    inode: int

    def in_place(self) -> bool:
        """Whether the path still leads to that very file."""
        try:
            found = self.path.stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (self.device, self.inode)


class Database:
    """One database, named by its URL. Opens connections when they are needed; `close` gives them all back.

    Raises `UnsafeConfiguration` for a URL of another kind, `StorageUnavailable` where SQLite's file cannot be made or,
    without `create`, is not there.
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        parsed = _parse(url)
        self.embedded = parsed.get_backend_name() == "sqlite"
        self._file: SqliteFile | None = None
        self._scrubbing = Lock()
        if self.embedded:
            self._file = _prepare_file(Path(str(parsed.database)), create=create)
            self._writer = _sqlite_engine(parsed, "BEGIN IMMEDIATE", query_only="OFF")
            self._reader = _sqlite_engine(parsed, "BEGIN", query_only="ON")
        else:
            self._writer = _postgresql_engine(parsed)
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

    def durability_problems(self) -> tuple[str, ...]:
        """Why a COMMIT that returned could still be lost: one sentence per setting, none where all is well."""
        with self.write() as connection:
            if self.embedded:
                return _sqlite_durability(connection.sqlalchemy)
            return _postgresql_durability(connection.sqlalchemy)

    def scrub(self, tables: Sequence[Table]) -> bool:
        """Let go of the bytes of what was erased before (rule 5); PostgreSQL vacuums `tables`. False where somebody
        still reads an earlier state of SQLite's file; that takes `SCRUB_SECONDS` to find out."""
        self._require_file()
        with self._storage_errors():
            if self._file is not None:
                with self._scrubbing:
                    return _scrub_sqlite(self._file.path)
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
            refused = isinstance(cause, self._refusals)
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


def _prepare_file(path: Path, *, create: bool) -> SqliteFile:
    """Make the folder and the file readable to their owner alone; the WAL inherits the file's mode."""
    if not create and not path.is_file():
        raise StorageUnavailable(
            "The database file does not exist.",
            "Check EXOSCORE_DATABASE_URL or EXOSCORE_HOME, or start the service once.",
        )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        found = path.stat()
    except OSError as error:
        raise StorageUnavailable(
            f"The database file cannot be opened ({type(error).__name__}).",
            "Check the folder that EXOSCORE_DATABASE_URL or EXOSCORE_HOME names, and its owner.",
        ) from error
    return SqliteFile(path.absolute(), found.st_dev, found.st_ino)


def _connect_sqlite(path: Path) -> SqliteConnection:
    # mode=rw: a connection never makes a file, only `_prepare_file` does.
    return connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=WAIT_SECONDS, check_same_thread=False)


def _sqlite_engine(url: URL, begin: str, *, query_only: str) -> Engine:
    path = Path(str(url.database)).absolute()
    engine = create_engine(url, hide_parameters=True, pool_timeout=WAIT_SECONDS, creator=partial(_connect_sqlite, path))

    def on_connect(connection: SqliteConnection, _record: object) -> None:
        connection.isolation_level = None
        _use_write_ahead_log(connection)
        for pragma in ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute(f"PRAGMA query_only={query_only}")

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)
    return engine


def _use_write_ahead_log(connection: SqliteConnection) -> None:
    """Switch to the write-ahead log; where two do so at once SQLite refuses one of them without waiting."""
    deadline = monotonic() + WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except OperationalError as error:
            if error.sqlite_errorcode != SQLITE_BUSY or monotonic() > deadline:
                raise
            sleep(0.01)
        else:
            return


def _postgresql_engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        hide_parameters=True,
        isolation_level="READ COMMITTED",
        pool_timeout=WAIT_SECONDS,
        connect_args=LIBPQ,
    )

    def on_connect(connection: DBAPIConnection, _record: object) -> None:
        # Not through libpq's `options`: that would replace what the operator's URL says there.
        from .arrays import register  # noqa: PLC0415 - imports the driver, which SQLite does not need

        register(connection)
        cursor = connection.cursor()
        cursor.execute(f"SET lock_timeout = '{WAIT_SECONDS}s'")
        cursor.close()
        connection.commit()

    event.listen(engine, "connect", on_connect)

    def on_checkout(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
        if monotonic() - record.info.get("used_at", -IDLE_SECONDS) < IDLE_SECONDS:
            return
        try:
            connection.cursor().execute("SELECT 1")
            connection.rollback()
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error  # the pool then opens another one

    def on_checkin(_connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info["used_at"] = monotonic()

    event.listen(engine, "checkout", on_checkout)
    event.listen(engine, "checkin", on_checkin)
    return engine


def _scrub_sqlite(path: Path) -> bool:
    """Write the file afresh where something was erased since; False where a reader is in the way."""
    with closing(_connect_sqlite(path)) as connection:
        connection.isolation_level = None
        version = connection.execute("PRAGMA user_version").fetchone()
        if version == (0,):
            return True
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute("VACUUM")
        if not _truncate_wal(connection):
            return False
        connection.execute("BEGIN IMMEDIATE")
        # Another erasure may have been committed meanwhile; its mark stays.
        if connection.execute("PRAGMA user_version").fetchone() == version:
            connection.execute("PRAGMA user_version=0")
        connection.execute("COMMIT")
        return True


def _truncate_wal(connection: SqliteConnection) -> bool:
    """Move the whole write-ahead log into the database file and empty it; False where a reader needs it for too long.

    While one attempt waits nobody can write, so attempts are short, and others get their turn in between.
    """
    pause = SCRUB_SECONDS / (2 * SCRUB_ATTEMPTS)
    connection.execute(f"PRAGMA busy_timeout={int(1000 * pause)}")
    for _ in range(SCRUB_ATTEMPTS):
        (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            connection.execute(f"PRAGMA busy_timeout={1000 * WAIT_SECONDS}")
            return True
        sleep(pause)
    return False


def _sqlite_durability(connection: Connection) -> tuple[str, ...]:
    mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    if mode == "wal":
        return ()
    return ("SQLite could not switch to its write-ahead log: the folder may be on a network file system.",)


def _postgresql_durability(connection: Connection) -> tuple[str, ...]:
    off = [name for name in DURABILITY if connection.exec_driver_sql(f"SHOW {name}").scalar_one() == "off"]
    return tuple(f"PostgreSQL runs with {name} = off: a power cut can lose acknowledged scores." for name in off)
