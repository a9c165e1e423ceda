"""The audit log on SQLAlchemy: opens a log once, gives the committer its transactions, reads what is stored.

`last_recorded_at` equals `at` of entry size - 1, to the microsecond: both are written by `audit.entry.timestamp`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

from sqlalchemy import Select, func, select, update

from service.audit.entry import Entry, parse_timestamp, timestamp
from service.audit.log import EXAMINE, Anchor, Head, Leaf, LogWriter, encoded, opened, rotated
from service.audit.note import Checkpoint
from service.audit.tree import Tile
from service.errors import LogDamaged, LogNotOpen

from .bulk import insert_many
from .engine import Columns, Database, ReadConnection, WriteConnection
from .limits import SILENT_SECONDS
from .tables import OPEN, audit_anchor, audit_entry, audit_log, audit_tile

HEAD_COLUMNS = (
    audit_log.c.log_id,
    audit_log.c.origin,
    audit_log.c.size,
    audit_log.c.last_recorded_at,
    audit_log.c.registry_generation,
    audit_log.c.vkey,
    audit_log.c.root,
    audit_log.c.note,
)

LOCK_HEAD = f"SELECT {', '.join(column.name for column in HEAD_COLUMNS)} FROM audit_log WHERE state = 'open'"  # noqa: S608
LAST_SEQ = "SELECT max(seq) FROM audit_entry WHERE log_id = (SELECT log_id FROM audit_log WHERE state = 'open')"
END_SILENCE = "SET LOCAL idle_in_transaction_session_timeout = '{}s'"
MOVE_HEAD = "UPDATE audit_log SET size = ?, last_recorded_at = ?, vkey = ?, root = ?, note = ? WHERE log_id = ?"


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One stored entry: its place, the 32 bytes of its leaf hash and the bytes that were hashed."""

    log_id: int
    seq: int
    leaf_hash: bytes
    entry: bytes


@dataclass(frozen=True, slots=True)
class StoredHashes:
    """The hashes of one log, as `audit.tree` wants to read them: level 0 are the entries' leaf hashes, level n the
    roots of the complete tiles of level n - 1."""

    connection: ReadConnection
    log_id: int

    def hashes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        """The stored hashes from `start` to `stop` (excluded) in order; fewer where some are missing."""
        if level == 0:
            statement = select(audit_entry.c.leaf_hash).where(
                audit_entry.c.log_id == self.log_id, audit_entry.c.seq >= start, audit_entry.c.seq < stop
            )
            return self.connection.select(statement.order_by(audit_entry.c.seq)).scalars().all()
        statement = select(audit_tile.c.root).where(
            audit_tile.c.log_id == self.log_id,
            audit_tile.c.level == level - 1,
            audit_tile.c.idx >= start,
            audit_tile.c.idx < stop,
        )
        return self.connection.select(statement.order_by(audit_tile.c.idx)).scalars().all()


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
        head = _head(row)
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
        if not _fits(head):
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
        return None if row is None else (row[0], _time(row[1]))

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


def find_open(connection: ReadConnection) -> Head | None:
    """The head of the open log, as far as it is committed."""
    return _one_head(connection, select(*HEAD_COLUMNS).where(audit_log.c.state == "open"))


def find_head(connection: ReadConnection, origin: str) -> Head | None:
    """The head of the log with this origin, open or sealed."""
    return _one_head(connection, select(*HEAD_COLUMNS).where(audit_log.c.origin == origin))


def find_head_by_id(connection: ReadConnection, log_id: int) -> Head | None:
    """The head of the log with this id, open or sealed."""
    return _one_head(connection, select(*HEAD_COLUMNS).where(audit_log.c.log_id == log_id))


def find_newest(connection: ReadConnection) -> Head | None:
    """The head of the newest log, open or sealed."""
    return _one_head(connection, select(*HEAD_COLUMNS).order_by(audit_log.c.log_id.desc()).limit(1))


def names_log(connection: ReadConnection, origin: str) -> bool:
    """Whether a log has this origin, or was opened because of the log of this origin."""
    if connection.select(select(audit_log.c.log_id).where(audit_log.c.origin == origin)).first() is not None:
        return True
    statement = select(audit_entry.c.entry).where(audit_entry.c.seq == 0)
    return any(origin in _precursors(entry) for entry in connection.select(statement).scalars())


def find_origins(connection: ReadConnection) -> tuple[str, ...]:
    """The origins of all logs, oldest first."""
    return tuple(connection.select(select(audit_log.c.origin).order_by(audit_log.c.log_id)).scalars())


def find_generation(connection: ReadConnection) -> int:
    """The registry generation of the newest log; 0 where there is none."""
    statement = select(audit_log.c.registry_generation).order_by(audit_log.c.log_id.desc()).limit(1)
    return connection.select(statement).scalar_one_or_none() or 0


def list_entries(connection: ReadConnection, *, log_id: int, start: int, limit: int) -> tuple[EntryRow, ...]:
    """At most `limit` entries of a log from index `start`, in order."""
    statement = (
        select(audit_entry)
        .where(audit_entry.c.log_id == log_id, audit_entry.c.seq >= start)
        .order_by(audit_entry.c.seq)
        .limit(limit)
    )
    return tuple(EntryRow(*row) for row in connection.select(statement))


def _precursors(entry: bytes) -> set[str]:
    """The origins that the first entry of a log mentions beside its own."""
    try:
        parsed = Entry.parse(bytes(entry))
    except (TypeError, ValueError):
        return set()
    witnessed = (parsed.detail or {}).get("witnessed")
    named = {witnessed["origin"]} if isinstance(witnessed, dict) and isinstance(witnessed.get("origin"), str) else set()
    return named if parsed.prior is None else named | {parsed.prior.origin}


def _one_head(connection: ReadConnection, statement: Select[*Columns]) -> Head | None:
    row = connection.select(statement).one_or_none()
    return None if row is None else _head(row)


def _head(row: Sequence[Any]) -> Head:
    log_id, origin, size, last_recorded_at, *rest = row
    head = Head(log_id, origin, size, _time(last_recorded_at), *rest)
    if not _fits(head):
        raise LogDamaged("The head of the audit log holds a value of another type.", EXAMINE)
    return head


def _fits(head: Head) -> bool:
    """Whether each value has its type; SQLite keeps values of any type in any column."""
    numbers = type(head.size) is int and type(head.generation) is int
    texts = isinstance(head.origin, str) and isinstance(head.vkey, str | None) and isinstance(head.note, str | None)
    return numbers and texts and isinstance(head.root, bytes | None)


def _time(text: str) -> datetime:
    try:
        return parse_timestamp(text)
    except (TypeError, ValueError):
        raise LogDamaged("The audit log holds no readable time.", EXAMINE) from None


def _new_head(head: Head) -> dict[str, object]:
    return {
        "origin": head.origin,
        "size": head.size,
        "last_recorded_at": timestamp(head.last_recorded_at),
        "state": "open",
        "registry_generation": head.generation,
    }
