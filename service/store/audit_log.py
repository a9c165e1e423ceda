"""The audit log on SQLAlchemy: opens a log once, and gives the committer its transactions.

`last_recorded_at` equals `at` of entry size - 1, to the microsecond: both are written by `audit.entry.timestamp`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

from sqlalchemy import func, select, update

from service.audit.entry import parse_timestamp, timestamp
from service.audit.log import EXAMINE, Anchor, Head, Leaf, LogWriter, encoded, opened, rotated
from service.audit.note import Checkpoint
from service.audit.tree import Tile
from service.errors import LogDamaged, LogNotOpen

from .bulk import insert_many
from .engine import Database, WriteConnection
from .limits import SILENT_SECONDS
from .log_rows import HEAD_COLUMNS, StoredHashes, find_newest, find_open, fits, head_of, time_of
from .tables import OPEN, audit_anchor, audit_entry, audit_log, audit_tile

LOCK_HEAD = f"SELECT {', '.join(column.name for column in HEAD_COLUMNS)} FROM audit_log WHERE state = 'open'"  # noqa: S608
LAST_SEQ = "SELECT max(seq) FROM audit_entry WHERE log_id = (SELECT log_id FROM audit_log WHERE state = 'open')"
END_SILENCE = "SET LOCAL idle_in_transaction_session_timeout = '{}s'"
MOVE_HEAD = "UPDATE audit_log SET size = ?, last_recorded_at = ?, vkey = ?, root = ?, note = ? WHERE log_id = ?"


@dataclass(frozen=True, slots=True)
class NewestLog:
    """The newest log, whether it is open, and what its row says that cannot be so, a sentence for each."""

    head: Head
    is_open: bool
    defects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SqlTransaction:
    """The committer's transaction; business rows are written through its `connection`."""

    connection: WriteConnection

    def lock_head(self) -> Head:
        """The head of the open log, its row locked on PostgreSQL (SQLite's writer is alone anyway).

        Raises `LogDamaged` where the entries do not end where the head says: such a log is not extended.
        """
        row, last = self._lock()
        # PostgreSQL gives none to who waited for the lock of a log that was sealed meanwhile; it looks at what was
        # begun since then with the next statement.
        while row is None and find_open(self.connection) is not None:
            row, last = self._lock()
        if row is None:
            raise LogNotOpen("No audit log is open.", "Start the service once, or reopen the log.")
        head = head_of(row)
        if last != head.size - 1:
            raise LogDamaged("The entries of the audit log do not end where its head says.", EXAMINE)
        return head

    def _lock(self) -> tuple[Sequence[Any] | None, int | None]:
        """The row of the open log, locked, and the last `seq` of its entries."""
        # All are sent before any is awaited; the last is run when the one before has its lock, and sees what is there.
        if not self.connection.embedded:
            self.connection.run(END_SILENCE.format(SILENT_SECONDS))
        locked = self.connection.run(LOCK_HEAD if self.connection.embedded else f"{LOCK_HEAD} FOR UPDATE")
        last = self.connection.run(LAST_SEQ)
        return locked.fetchone(), last.fetchone()[0]

    def take_time(self) -> None:
        """Hold the head for as long as it takes, although nothing is asked of the database meanwhile."""
        if not self.connection.embedded:
            self.connection.run(END_SILENCE.format(0))

    def lock_newest(self) -> NewestLog | None:
        """The open log, else the newest, as far as its head can be read; its row is locked as by `lock_head`."""
        columns = (*HEAD_COLUMNS, audit_log.c.state)
        order = (audit_log.c.state, audit_log.c.log_id.desc())
        statement = select(*columns).order_by(*order).limit(1).with_for_update()
        row = self.connection.select(statement).one_or_none()
        if row is None:
            return None
        log_id, origin, size, at, *rest, state = row
        defects = []
        try:
            recorded = parse_timestamp(at)
        except (TypeError, ValueError):
            recorded = datetime.min.replace(tzinfo=UTC)
            defects.append("The head of the log holds no readable time.")
        last = select(func.max(audit_entry.c.seq)).where(audit_entry.c.log_id == log_id)
        end = self.connection.select(last).scalar_one()
        if end is None or end + 1 != size:
            defects.append("The entries of the log do not end where its head says.")
        head = Head(log_id, origin, size, recorded, *rest)
        if not fits(head):
            defects.append("The head of the log holds a value of another type.")
        return NewestLog(head, state == "open", tuple(defects))

    def reader(self, log_id: int) -> StoredHashes:
        """The stored hashes of a log."""
        return StoredHashes(self.connection, log_id)

    def last_anchor(self, log_id: int) -> tuple[int, datetime] | None:
        """Size and time of the newest kept checkpoint."""
        statement = (
            select(audit_anchor.c.size, audit_anchor.c.recorded_at)
            .where(audit_anchor.c.log_id == log_id)
            .order_by(audit_anchor.c.size.desc())
            .limit(1)
        )
        row = self.connection.select(statement).one_or_none()
        return None if row is None else (row[0], time_of(row[1]))

    def append(self, log_id: int, start: int, leaves: Sequence[Leaf]) -> None:
        """Insert entries from `seq` = start on."""
        rows = [(log_id, seq, leaf.hash, leaf.entry) for seq, leaf in enumerate(leaves, start)]
        insert_many(self.connection, audit_entry, rows)

    def add_tiles(self, log_id: int, tiles: Sequence[Tile]) -> None:
        """Insert the roots of completed tiles."""
        insert_many(self.connection, audit_tile, [(log_id, tile.level, tile.index, tile.root) for tile in tiles])

    def add_anchor(self, log_id: int, anchor: Anchor) -> None:
        """Keep a checkpoint."""
        row = (log_id, anchor.size, anchor.note, timestamp(anchor.recorded_at))
        insert_many(self.connection, audit_anchor, [row])

    def move_head(self, head: Head) -> None:
        """Store `size`, `last_recorded_at`, `vkey`, `root` and `note` of the head."""
        at = timestamp(head.last_recorded_at)
        self.connection.run(MOVE_HEAD, (head.size, at, head.vkey, head.root, head.note, head.log_id))

    def raise_registry_generation(self, log_id: int) -> None:
        """Count one more model transition or key revocation, under the head's lock."""
        generation = audit_log.c.registry_generation
        self.connection.execute(
            update(audit_log).where(audit_log.c.log_id == log_id).values(registry_generation=generation + 1)
        )

    def seal(self, log_id: int) -> None:
        """Close a log for good."""
        self.connection.execute(update(audit_log).where(audit_log.c.log_id == log_id).values(state="sealed"))


class SqlLogStorage:
    """The log and the business rows, in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def transaction(self) -> Iterator[SqlTransaction]:
        """A writing transaction; see `Database.write` for what it raises."""
        with self._database.write() as connection:
            yield SqlTransaction(connection)

    def open(self, writer: LogWriter, *, site: str, now: datetime, token: Callable[[int], str] = token_hex) -> Head:
        """The head of the open log; where there is none at all, one is created with its first entry, `log.opened`.

        A log from before logs were signed is signed here. Raises `LogNotOpen` where every log is sealed,
        `SigningKeyMismatch` where the open log belongs to another key. Two processes that open at once get the same
        log: a unique index lets one insert win, the other finds it.
        """
        with self.transaction() as transaction:
            # In this order: a log that another process begins in between is then found open, and not taken for sealed.
            if find_newest(transaction.connection) is None:
                begun = begin(
                    transaction, writer, site=site, now=now, actor="system:service", follows=None, token=token
                )
                if begun is not None:
                    return begun
            if find_open(transaction.connection) is None:
                raise LogNotOpen("The audit log is sealed.", "Find out why, then run `exoscore audit reopen`.")
            return self._signed(transaction, writer)

    def _signed(self, transaction: SqlTransaction, writer: LogWriter) -> Head:
        head = transaction.lock_head()
        if head.root is None:
            transaction.take_time()
            extension = writer.extend(transaction, head, (), ())
            writer.keep(extension)
            return extension.head
        writer.resume(transaction, head)
        return head


def begin(
    transaction: SqlTransaction,
    writer: LogWriter,
    *,
    site: str,
    now: datetime,
    actor: str,
    follows: Checkpoint | None,
    generation: int = 0,
    detail: Mapping[str, object] | None = None,
    new_key: bool = False,
    token: Callable[[int], str] = token_hex,
) -> Head | None:
    """Begin a log with its entry 0, `log.opened` with `detail`, and `key.rotated` where it has a `new_key`. None, and
    nothing happened, where another process has just begun one."""
    origin = f"exoscore/{token(8)}"
    vkey = writer.vkey(origin)
    entries = [opened(origin, now, site, actor, vkey, follows, detail)]
    if new_key:
        entries.append(rotated(now, site, actor, vkey, follows))
    head = Head(0, origin, 1, now, generation)
    connection = transaction.connection
    statement = (
        connection.insert(audit_log)
        .values(_new_head(head))
        .on_conflict_do_nothing(index_elements=[audit_log.c.state], index_where=OPEN)
        .returning(audit_log.c.log_id)
    )
    log_id = connection.execute(statement).scalar_one_or_none()
    if log_id is None:
        return None
    begun = replace(head, log_id=log_id, size=0)
    return writer.extend(transaction, begun, entries, [encoded(entry) for entry in entries]).head


def _new_head(head: Head) -> dict[str, object]:
    return {
        "origin": head.origin,
        "size": head.size,
        "last_recorded_at": timestamp(head.last_recorded_at),
        "state": "open",
        "registry_generation": head.generation,
    }
