"""What callers hold after they were answered, and whether the database still stands by all of it.

`check` asks nothing of the service: it reads the tables, hashes every entry again, and proves every receipt against the
head of now, as an auditor with the verifier key would. `verify` has the service's own verification say the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import select

from service.audit.entry import leaf_hash, timestamp
from service.audit.log import Head
from service.audit.note import Checkpoint, open_checkpoint
from service.audit.tree import (
    Frontier,
    Tile,
    consistency_path,
    inclusion_path,
    verify_consistency,
    verify_inclusion,
)
from service.store.engine import Database, ReadConnection
from service.store.log_reader import LogOpener
from service.store.log_rows import EntryRow, StoredHashes, find_open, list_entries
from service.store.tables import audit_anchor, audit_tile, idempotency, score, score_log
from service.workflows.verify_log import verify_all

SCORED = {"score.reported", "score.withheld", "score.amended"}
"""Kinds of entries with which a score is stored."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a caller was given: the record, its index, and the signed checkpoint that covers it."""

    record: str
    index: int
    note: str


class Remembering:
    """A hash reader that asks another one nothing twice: the paths of neighbours have most of their way in common."""

    def __init__(self, reader: StoredHashes) -> None:
        self.hashes = cache(reader.hashes)


@dataclass(frozen=True, slots=True)
class Found:
    """A log that has been checked: its head, and the records of its entries, in order."""

    head: Head
    records: tuple[str | None, ...]


def check(database: Database, receipts: Iterable[Receipt] = ()) -> Found:
    """Assert that the open log is whole, that every score stands in it once, and that every receipt holds."""
    with database.read() as connection:
        head = find_open(connection)
        assert head is not None
        entries = list_entries(connection, log_id=head.log_id, start=0, limit=10_000_000)
        _whole(connection, head, entries)
        said = [json.loads(row.entry) for row in entries]
        records = tuple(entry["record"] for entry in said)
        _linked(connection, head.log_id, records)
        erased = _erased(head.origin, said)
        scored = [one["record"] for n, one in enumerate(said) if one["kind"] in SCORED and n not in erased]
        assert sorted(scored) == sorted(connection.select(select(score.c.score_id)).scalars())
        _held(connection, head, entries, records, tuple(receipts))
    return Found(head, records)


def verify(url: str) -> None:
    """Assert that the database at a URL verifies, down to every row."""
    found = verify_all(LogOpener(url), deep=True)
    assert found.sound, found.lines()


def _erased(origin: str, said: list[dict[str, Any]]) -> set[int]:
    """The indices that erasures name."""
    details = [entry["detail"] for entry in said if entry["kind"] == "subject.erased"]
    ranges = [one for detail in details if detail["origin"] == origin for one in detail["ranges"]]
    return {index for first, last in ranges for index in range(first, last + 1)}


def _whole(connection: ReadConnection, head: Head, entries: tuple[EntryRow, ...]) -> None:
    assert [row.seq for row in entries] == list(range(head.size))
    assert all(leaf_hash(row.entry) == row.leaf_hash for row in entries)
    times = [json.loads(row.entry)["at"] for row in entries]
    assert times == sorted(times)
    assert times[-1] == timestamp(head.last_recorded_at)
    anchors = connection.select(
        select(audit_anchor.c.size, audit_anchor.c.note)
        .where(audit_anchor.c.log_id == head.log_id)
        .order_by(audit_anchor.c.size)
    ).all()
    signed = {size: _opened(head, note) for size, note in [*anchors, (head.size, head.note)]}
    tree, tiles = Frontier(), []
    assert signed.keys() <= set(range(1, head.size + 1))
    for row in entries:
        tiles += tree.append(row.leaf_hash)
        if tree.size in signed:
            assert signed[tree.size] == Checkpoint(head.origin, tree.size, tree.root())
    assert head.root == tree.root()
    stored = select(audit_tile.c.level, audit_tile.c.idx, audit_tile.c.root).where(audit_tile.c.log_id == head.log_id)
    assert sorted(tiles, key=_place) == sorted((Tile(*row) for row in connection.select(stored)), key=_place)


def _linked(connection: ReadConnection, log_id: int, records: tuple[str | None, ...]) -> None:
    scores = connection.select(select(score.c.score_id)).scalars().all()
    links = connection.select(select(score_log.c.score_id, score_log.c.log_id, score_log.c.seq)).all()
    assert sorted(link.score_id for link in links) == sorted(scores)
    assert all((link.log_id, records[link.seq]) == (log_id, link.score_id) for link in links)
    claimed = connection.select(select(idempotency.c.score_id)).scalars().all()
    assert len(set(claimed)) == len(claimed)
    assert set(claimed) <= set(scores)


def _held(
    connection: ReadConnection,
    head: Head,
    entries: tuple[EntryRow, ...],
    records: tuple[str | None, ...],
    receipts: tuple[Receipt, ...],
) -> None:
    assert head.root is not None
    reader = Remembering(StoredHashes(connection, head.log_id))
    notes = {receipt.note: _opened(head, receipt.note) for receipt in receipts}
    for old in notes.values():
        path = consistency_path(reader, old.size, head.size)
        assert verify_consistency(old.size, head.size, old.root, head.root, path)
    for receipt in receipts:
        assert records[receipt.index] == receipt.record
        leaf = entries[receipt.index].leaf_hash
        for checkpoint in (notes[receipt.note], Checkpoint(head.origin, head.size, head.root)):
            path = inclusion_path(reader, receipt.index, checkpoint.size)
            assert verify_inclusion(leaf, receipt.index, checkpoint.size, path, checkpoint.root)


def _opened(head: Head, note: str | None) -> Checkpoint:
    assert note is not None
    assert head.vkey is not None
    return open_checkpoint(note, head.vkey)


def _place(tile: Tile) -> tuple[int, int]:
    return tile.level, tile.index
