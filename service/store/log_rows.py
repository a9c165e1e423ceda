"""What is stored of the logs: their heads, entries and hashes. Nothing here locks or writes; `audit_log.py` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select

from service.audit.entry import Entry, parse_timestamp
from service.audit.log import EXAMINE, Head
from service.errors import LogDamaged

from .engine import Columns, ReadConnection
from .tables import audit_entry, audit_log, audit_tile

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
    return None if row is None else head_of(row)


def head_of(row: Sequence[Any]) -> Head:
    """The head that a row of HEAD_COLUMNS holds; raises LogDamaged where a value has another type."""
    log_id, origin, size, last_recorded_at, *rest = row
    head = Head(log_id, origin, size, time_of(last_recorded_at), *rest)
    if not fits(head):
        raise LogDamaged("The head of the audit log holds a value of another type.", EXAMINE)
    return head


def fits(head: Head) -> bool:
    """Whether each value of a head has its type; SQLite keeps values of any type in any column."""
    numbers = type(head.size) is int and type(head.generation) is int
    texts = isinstance(head.origin, str) and isinstance(head.vkey, str | None) and isinstance(head.note, str | None)
    return numbers and texts and isinstance(head.root, bytes | None)


def time_of(text: str) -> datetime:
    """A stored time; raises LogDamaged for what is none."""
    try:
        return parse_timestamp(text)
    except (TypeError, ValueError):
        raise LogDamaged("The audit log holds no readable time.", EXAMINE) from None
