"""SQLite: the file, how its connections are opened, and how erased bytes leave it.

1. WAL mode with `synchronous=FULL`, so a COMMIT that returned has reached the disk, and `secure_delete=ON`, so an
   erased row does not stay readable in a free page.
2. That is not enough: where SQLite splits or joins pages, copies of rows and keys stay behind in the unused middle of a
   page, where no later deletion finds them, and the write-ahead log holds earlier states of every page. `scrub` writes
   the file afresh and empties that log. `PRAGMA user_version`, which a transaction that erases raises, says whether
   that is still to be done, also after a crash.
"""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from sqlite3 import SQLITE_BUSY, OperationalError, connect
from sqlite3 import Connection as SqliteConnection
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event

from service.errors import StorageUnavailable

from .limits import WAIT_SECONDS

CACHE_KIBIBYTES = 32 * 1024
"""Pages of the file that one connection keeps in memory; with SQLite's own 2 MiB the indexes of a few hundred thousand
scores are read again and again."""

WAL_PAGES = 500
"""Pages (of 4 KiB) in the write-ahead log after which a COMMIT moves them into the file, and all others wait. More at a
time costs a little less in all, and makes the slowest answers slower: with 1000 the p99 at 16 connections was 3.2 times
an echo's, with 250 it was 2.3 times, for 10 % fewer scores a second."""

SCRUB_SECONDS, SCRUB_ATTEMPTS = 5, 10
"""How long, and how often meanwhile, SQLite is asked to empty its write-ahead log."""

MAX_USER_VERSION = 2**31 - 1
"""The largest number that the head of an SQLite file has room for."""


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


def prepare_file(path: Path, *, create: bool) -> SqliteFile:
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
    # mode=rw: a connection never makes a file, only `prepare_file` does.
    return connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=WAIT_SECONDS, check_same_thread=False)


def sqlite_engine(url: URL, begin: str, *, query_only: str) -> Engine:
    """An engine whose transactions start with `begin`."""
    path = Path(str(url.database)).absolute()
    engine = create_engine(url, hide_parameters=True, pool_timeout=WAIT_SECONDS, creator=partial(_connect_sqlite, path))

    def on_connect(connection: SqliteConnection, _record: object) -> None:
        connection.isolation_level = None
        _use_write_ahead_log(connection)
        for pragma in (
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=ON",
            f"cache_size=-{CACHE_KIBIBYTES}",
            f"wal_autocheckpoint={WAL_PAGES}",
        ):
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


def mark_for_scrub(cursor: Any) -> None:
    """Note in this transaction that `scrub` has something to do (rule 2)."""
    (version,) = cursor.execute("PRAGMA user_version").fetchone()
    cursor.execute(f"PRAGMA user_version={version % MAX_USER_VERSION + 1}")


def scrub(path: Path) -> bool:
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


def durability_problems(connection: Connection) -> tuple[str, ...]:
    """Why a COMMIT that returned could still be lost."""
    mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    if mode == "wal":
        return ()
    return ("SQLite could not switch to its write-ahead log: the folder may be on a network file system.",)
