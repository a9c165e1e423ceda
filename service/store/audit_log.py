"""The audit log on SQLAlchemy: opens a log once, and gives the committer its transactions.

`last_recorded_at` equals `at` of entry size - 1, to the microsecond: both are written by `audit.entry.timestamp`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex

from sqlalchemy import func, insert, select, update

from service.audit.committer import Head
from service.audit.entry import Entry, leaf_hash, parse_timestamp, timestamp
from service.errors import LogDamaged, LogNotOpen

from .engine import Database, ReadConnection, WriteConnection
from .tables import OPEN, audit_entry, audit_log

DAMAGED = "Stop the service and restore the database, or have the log examined; nothing more is recorded in it."

HEAD_COLUMNS = (audit_log.c.log_id, audit_log.c.origin, audit_log.c.size, audit_log.c.last_recorded_at)


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One stored entry: its place, the 32 bytes of its leaf hash and the bytes that were hashed."""

    log_id: int
    seq: int
    leaf_hash: bytes
    entry: bytes


@dataclass(frozen=True, slots=True)
class SqlTransaction:
    """The committer's transaction; business rows are written through its `connection`."""

    connection: WriteConnection

    def lock_head(self) -> Head:
        """The head of the open log, its row locked on PostgreSQL (SQLite's writer is alone anyway).

        Raises `LogDamaged` where the entries do not end where the head says: such a log is not extended.
        """
        head = _find_open(self.connection, lock=True)
        if head is None:
            raise LogNotOpen("No audit log is open.", "Start the service once, or reopen the log.")
        last = select(func.max(audit_entry.c.seq)).where(audit_entry.c.log_id == head.log_id)
        if self.connection.select(last).scalar_one() != head.size - 1:
            raise LogDamaged("The entries of the audit log do not end where its head says.", DAMAGED)
        return head

    def append(self, log_id: int, seq: int, leaf: bytes, entry: bytes) -> None:
        """Insert one entry."""
        self.connection.execute(insert(audit_entry).values(log_id=log_id, seq=seq, leaf_hash=leaf, entry=entry))

    def move_head(self, head: Head) -> None:
        """Store the head's size and time."""
        moved = {"size": head.size, "last_recorded_at": timestamp(head.last_recorded_at)}
        self.connection.execute(update(audit_log).where(audit_log.c.log_id == head.log_id).values(moved))

    def raise_registry_generation(self, log_id: int) -> None:
        """Count one more model transition or key revocation, under the head's lock."""
        generation = audit_log.c.registry_generation
        self.connection.execute(
            update(audit_log).where(audit_log.c.log_id == log_id).values(registry_generation=generation + 1)
        )


class SqlLogStorage:
    """The log and the business rows, in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def transaction(self) -> Iterator[SqlTransaction]:
        """A writing transaction; every error of the database is `StorageUnavailable`."""
        with self._database.write() as connection:
            yield SqlTransaction(connection)

    def open(self, *, site: str, now: datetime, token: Callable[[int], str] = token_hex) -> Head:
        """The head of the open log; where there is none, one is created with its first entry, `log.opened`.

        Two processes that open at once get the same log: a unique index lets one insert win, the other finds it.
        """
        with self._database.write() as connection:
            _create_unless_open(connection, f"exoscore/{token(8)}", site, now)
            return SqlTransaction(connection).lock_head()


def find_open(connection: ReadConnection) -> Head | None:
    """The head of the open log, as far as it is committed."""
    return _find_open(connection, lock=False)


def list_entries(connection: ReadConnection, *, log_id: int, start: int, limit: int) -> tuple[EntryRow, ...]:
    """At most `limit` entries of a log from index `start`, in order."""
    statement = (
        select(audit_entry)
        .where(audit_entry.c.log_id == log_id, audit_entry.c.seq >= start)
        .order_by(audit_entry.c.seq)
        .limit(limit)
    )
    return tuple(EntryRow(*row) for row in connection.select(statement))


def _find_open(connection: ReadConnection, *, lock: bool) -> Head | None:
    statement = select(*HEAD_COLUMNS).where(audit_log.c.state == "open")
    row = connection.select(statement.with_for_update() if lock else statement).one_or_none()
    if row is None:
        return None
    log_id, origin, size, last_recorded_at = row
    try:
        return Head(log_id, origin, size, parse_timestamp(last_recorded_at))
    except ValueError:
        raise LogDamaged("The head of the audit log holds no readable time.", DAMAGED) from None


def _create_unless_open(connection: WriteConnection, origin: str, site: str, now: datetime) -> None:
    states = connection.select(select(audit_log.c.state)).scalars().all()
    if states and "open" not in states:
        raise LogNotOpen("The audit log is sealed.", "Find out who sealed it and why before anything is recorded.")
    encoded = Entry("log.opened", now, "system:service", site, record=origin).encode()
    log_id = _insert_head_unless_open(connection, origin, now)
    if log_id is not None:
        SqlTransaction(connection).append(log_id, 0, leaf_hash(encoded), encoded)


def _insert_head_unless_open(connection: WriteConnection, origin: str, now: datetime) -> int | None:
    """Insert the head of a log of one entry; None where a log is open already."""
    values = {
        "origin": origin,
        "size": 1,
        "last_recorded_at": timestamp(now),
        "state": "open",
        "registry_generation": 0,
    }
    statement = (
        connection.insert(audit_log)
        .values(values)
        .on_conflict_do_nothing(index_elements=[audit_log.c.state], index_where=OPEN)
        .returning(audit_log.c.log_id)
    )
    return connection.execute(statement).scalar_one_or_none()


def find_generation(connection: ReadConnection) -> int | None:
    """The registry generation of the open log, as far as it is committed; None where no log is open."""
    return connection.select(select(audit_log.c.registry_generation).where(audit_log.c.state == "open")).scalar()
