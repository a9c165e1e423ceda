"""What anybody may learn of the audit log: its verifier key, its checkpoint, its entries, and proofs over them.

A proof is verified before it leaves. One that a stored row has spoilt would only tell the caller that something is
wrong; `LogDamaged` tells the operator.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from service.audit.entry import leaf_hash
from service.audit.log import EXAMINE, Head
from service.audit.note import Checkpoint, open_checkpoint
from service.audit.proof import Proof, encode_proof
from service.audit.tree import (
    HashReader,
    consistency_path,
    inclusion_path,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from service.domain.log_query import ConsistencyQuery, EntriesQuery
from service.errors import InputRejected, LogDamaged, LogNotOpen, NotFound, Problem
from service.store.engine import Database, ReadConnection
from service.store.log_rows import (
    EntryRow,
    StoredHashes,
    find_head,
    find_head_by_id,
    find_open,
    find_origins,
    list_entries,
)
from service.workflows.read_scores import get_recorded, make_cursor, parse_cursor


@dataclass(frozen=True, slots=True)
class SignedLog:
    """A log as of one checkpoint that its key signed, and the transaction that reads it."""

    connection: ReadConnection
    log_id: int
    vkey: str
    note: str
    checkpoint: Checkpoint

    @property
    def origin(self) -> str:
        """Which log this is."""
        return self.checkpoint.origin

    @property
    def size(self) -> int:
        """Entries under the checkpoint."""
        return self.checkpoint.size


@contextmanager
def signed_log(database: Database, origin: str | None) -> Iterator[SignedLog]:
    """The log named `origin`, or the open one. Raises NotFound for an unknown origin, LogNotOpen where no log is open
    or signed, LogDamaged where the stored checkpoint is not the log's own."""
    with database.read() as connection:
        yield _signed(connection, _head(connection, origin))


def list_origins(database: Database) -> tuple[str, ...]:
    """The origins of all logs, oldest first."""
    with database.read() as connection:
        return find_origins(connection)


def show_key(database: Database, origin: str | None) -> str:
    """The verifier key of a log, and a newline."""
    with signed_log(database, origin) as log:
        return f"{log.vkey}\n"


def show_checkpoint(database: Database, origin: str | None) -> str:
    """The signed note of a log as it is now."""
    with signed_log(database, origin) as log:
        return log.note


def list_log(database: Database, query: EntriesQuery) -> dict[str, Any]:
    """A page of entries: their indices and their stored bytes in base 64."""
    with signed_log(database, query.origin) as log:
        start = query.start if query.cursor is None else _after(log, query.cursor)
        if start > log.size:
            problem = _too_large("/from", "from", f"the log's size, {log.size}")
            raise InputRejected("The log has no such entry.", problems=[problem])
        limit = min(query.limit, log.size - start)
        rows = _entries(log, start, limit)
    items = [{"index": row.seq, "entry": b64encode(row.entry).decode("ascii")} for row in rows]
    more = rows and rows[-1].seq + 1 < log.size
    return {"items": items, "next_cursor": make_cursor(log.log_id, rows[-1].seq) if more else None}


def prove_entry(database: Database, origin: str | None, index: int) -> str:
    """The C2SP tlog-proof of one entry, with the entry's bytes. Raises NotFound for an index the log does not have."""
    with signed_log(database, origin) as log:
        if index >= log.size:
            raise NotFound("The log has no entry of this index.", "See the size in GET /v1/audit/checkpoint.")
        return _prove(log, index)


def prove_score(database: Database, score_id: str) -> str:
    """The C2SP tlog-proof of the entry that recorded a score. Raises NotFound for an unknown score, RecordDamaged where
    the stored score is not the one that was recorded."""
    with database.read() as connection:
        stored = get_recorded(connection, score_id)
        return _prove(_signed(connection, find_head_by_id(connection, stored.log_id)), stored.seq)


def prove_consistency(database: Database, query: ConsistencyQuery) -> dict[str, Any]:
    """The proof that the tree of the newer size begins with that of the older one, as in RFC 9162, section 2.1.4."""
    with signed_log(database, query.origin) as log:
        size = f"the log's size, {log.size}"
        new = log.size if query.new is None else query.new
        problems = [_too_large("/to", "to", size)] if new > log.size else []
        if query.old > new:
            problems.append(_too_large("/from", "from", size if query.new is None else "the number to"))
        if problems:
            raise InputRejected("The log has no such sizes.", problems=problems)
        path = _consistency(log, query.old, new)
    return {"from": query.old, "to": new, "hashes": [b64encode(step).decode("ascii") for step in path]}


def damaged() -> LogDamaged:
    """The error of a log whose rows contradict its checkpoint."""
    return LogDamaged("The stored audit log does not bear out its own checkpoint.", EXAMINE)


@dataclass(frozen=True, slots=True)
class _Hashes:
    """The stored hashes of a log, none asked for twice: several proofs over one log share most of their tiles."""

    reader: HashReader
    found: dict[tuple[int, int, int], Sequence[bytes]] = field(default_factory=dict)

    @classmethod
    def of(cls, log: SignedLog) -> _Hashes:
        """Those of one log."""
        return cls(StoredHashes(log.connection, log.log_id))

    def hashes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        """See `audit.tree.HashReader`. What is stored as anything but bytes (SQLite takes it) is not there."""
        asked = (level, start, stop)
        if asked not in self.found:
            stored = self.reader.hashes(*asked)
            self.found[asked] = [value for value in stored if isinstance(value, bytes)]
        return self.found[asked]


def _head(connection: ReadConnection, origin: str | None) -> Head:
    if origin is None:
        head = find_open(connection)
        if head is None:
            raise LogNotOpen("No audit log is open.", "Start the service once, or name a log by its origin.")
    else:
        head = find_head(connection, origin)
        if head is None:
            raise NotFound("No audit log has this origin.", "Leave origin out for the open log.")
    return head


def _signed(connection: ReadConnection, head: Head | None) -> SignedLog:
    if head is None or head.vkey is None or head.note is None:
        raise LogNotOpen("The audit log is not signed yet.", "Start the service once.")
    try:
        checkpoint = open_checkpoint(str(head.note), str(head.vkey))
    except ValueError:
        raise damaged() from None
    if (checkpoint.origin, checkpoint.size) != (head.origin, head.size):
        raise damaged()
    return SignedLog(connection, head.log_id, head.vkey, head.note, checkpoint)


def _prove(log: SignedLog, index: int) -> str:
    (row,) = _entries(log, index, 1)
    reader = _Hashes.of(log)
    try:
        path = inclusion_path(reader, index, log.size)
    except ValueError:
        raise damaged() from None
    if not verify_inclusion(leaf_hash(row.entry), index, log.size, path, log.checkpoint.root):
        raise damaged()
    return encode_proof(Proof(index, tuple(path), log.note, row.entry))


def _entries(log: SignedLog, start: int, limit: int) -> tuple[EntryRow, ...]:
    rows = list_entries(log.connection, log_id=log.log_id, start=start, limit=limit)
    places = [row.seq for row in rows if isinstance(row.entry, bytes)]
    if places != list(range(start, start + limit)):
        raise damaged()
    return rows


def _consistency(log: SignedLog, old: int, new: int) -> list[bytes]:
    reader = _Hashes.of(log)
    try:
        roots = {size: root_of(reader, size) for size in (old, new)} | {log.size: log.checkpoint.root}
        paths = {pair: consistency_path(reader, *pair) for pair in ((old, new), (old, log.size), (new, log.size))}
    except ValueError:
        raise damaged() from None
    if not all(verify_consistency(*pair, roots[pair[0]], roots[pair[1]], path) for pair, path in paths.items()):
        raise damaged()
    return paths[old, new]


def _after(log: SignedLog, cursor: str) -> int:
    log_id, seq = parse_cursor(cursor)
    if log_id != log.log_id or seq >= log.size:
        message = "The cursor is not one of this log."
        remedy = "Start without a cursor."
        raise InputRejected(message, problems=[Problem("/cursor", "invalid_cursor", message, remedy)])
    return seq + 1


def _too_large(pointer: str, name: str, limit: str) -> Problem:
    message = f"The number {name} is larger than {limit}."
    return Problem(pointer, "out_of_range", message, f"Send a number from 0 to {limit}.")
