"""The log on real SQLite, whatever the order of what happens to it: batches, poison, erasures, crashes, other writers,
clocks, full disks.

A crash is what the disk holds in the middle of it all: the file and as much of its write-ahead log as had got there,
cut off at any byte behind the last acknowledged COMMIT. What was acknowledged has to be in it, and of what was under
way all of a transaction or nothing.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import uuid
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from sqlalchemy import select

from service.audit.committer import Committer
from service.audit.entry import Entry, leaf_hash
from service.audit.log import LogWriter, Place, encoded
from service.audit.note import Signer
from service.audit.outcome import SilentObserver
from service.audit.tree import Frontier
from service.domain.score_life import Erasure
from service.errors import Conflict, NotFound, RowRefused, StorageUnavailable
from service.store.audit_log import SqlLogStorage, SqlTransaction, list_entries
from service.store.engine import Database
from service.store.scores import ScoreRow, insert_scores, link_scores
from service.store.tables import score
from service.workflows.erase_subject import erase_subject
from service.workflows.live_registry import LiveRegistry, loader
from service.workflows.services import Services
from tests.crash.book import Receipt, check, verify
from tests.crash.writer import a_score

AT = datetime(2026, 11, 23, 5, 51, 19, 123456, tzinfo=UTC)
SIGNER = Signer.generate()
SOAK = bool(os.environ.get("SOAK"))

MACHINE = settings(max_examples=300 if SOAK else 12, stateful_step_count=40 if SOAK else 12)

BATCHES = st.lists(st.tuples(st.integers(1, 300), st.integers(0, 2)), min_size=1, max_size=6)
"""Batches by their sizes, and which of three writers extends the log by each."""

SUBJECTS = ("S-1", "S-2", "S-3")
"""The first is never erased."""

POISONS = st.sampled_from(["", "", "", "raises", "refused", "link", "text"])
SIZES = st.sampled_from([1, 2, 5, 17, 255, 300])


@settings(max_examples=200 if SOAK else 10)
@given(batches=BATCHES, jitter=st.lists(st.integers(-400, 400), min_size=7, max_size=7))
def test_any_split_into_batches_gives_one_root(
    sqlite_backend: Any, batches: list[tuple[int, int]], jitter: list[int]
) -> None:
    url = sqlite_backend.migrated()
    database = Database(url)
    storage = SqlLogStorage(database)
    writers = [LogWriter(SIGNER, "default") for _ in range(3)]
    head = storage.open(writers[0], site="default", now=AT, token=lambda length: "ab" * length)
    number = sum(size for size, _ in batches)
    times = [AT + timedelta(milliseconds=n + jitter[n % 7]) for n in range(number)]
    entries = [Entry("score.read", at, "key:k", "default", record=str(n)) for n, at in enumerate(times)]
    waiting = iter(entries)
    for size, chosen in batches:
        batch = [next(waiting) for _ in range(size)]
        with storage.transaction() as transaction:
            locked = transaction.lock_head()
            extension = writers[chosen].extend(transaction, locked, batch, [encoded(entry) for entry in batch])
        writers[chosen].keep(extension)
    with database.read() as connection:
        first = list_entries(connection, log_id=head.log_id, start=0, limit=1)[0]
    tree, latest = Frontier(), AT
    tree.append(first.leaf_hash)
    for entry in entries:
        latest = max(latest, entry.at)
        tree.append(leaf_hash(replace(entry, at=latest).encode()))
    assert check(database).head.root == tree.root()
    database.close()
    sqlite_backend.remove(url)


class Rows:
    """Writes scores, some of which are poisoned: (row, poison)."""

    changes_registry = False
    alone = False

    def insert(self, transaction: SqlTransaction, rows: Sequence[tuple[ScoreRow, str]]) -> list[Exception | None]:
        if any(poison == "raises" for _, poison in rows):
            raise RowRefused("poison")
        insert_scores(transaction.connection, [row for row, poison in rows if poison != "refused"])
        return [Conflict("poison") if poison == "refused" else None for _, poison in rows]

    def link(self, transaction: SqlTransaction, rows: Sequence[tuple[ScoreRow, str]], places: Sequence[Place]) -> None:
        if any(poison == "link" for _, poison in rows):
            raise RowRefused("poison")
        placed = [(row.score_id, place.log_id, place.seq) for (row, _), place in zip(rows, places, strict=True)]
        link_scores(transaction.connection, placed)


ROWS = Rows()


class LogMachine(RuleBasedStateMachine):
    """One log, its receipts, and the records that may or may not be in it."""

    def __init__(self, backend: Any) -> None:
        super().__init__()
        self.backend = backend
        self.url = backend.migrated()
        self.now = AT
        self.made = 0
        self.receipts: list[Receipt] = []
        self.stored: set[str] = set()
        self.subjects: dict[str, set[str]] = {subject: set() for subject in SUBJECTS}
        self.erased: set[str] = set()
        self.start()

    def start(self) -> None:
        """As a process does that knows nothing but the file."""
        self.database = Database(self.url)
        self.committer = self.another_committer()

    def another_committer(self) -> Committer[SqlTransaction]:
        writer = LogWriter(SIGNER, "default")
        storage = SqlLogStorage(self.database)
        storage.open(writer, site="default", now=self.now)
        committer = Committer(storage, writer, SilentObserver())
        committer.start()
        return committer

    def stop(self) -> None:
        self.committer.close()
        self.database.close()

    def submit(
        self, committer: Committer[SqlTransaction], poisons: Sequence[str], subject: str = SUBJECTS[0]
    ) -> dict[str, Any]:
        """Hand in one score for each poison; the futures by record."""
        futures = {}
        for poison in poisons:
            self.made += 1
            self.now += timedelta(milliseconds=1)
            record = str(uuid.UUID(int=self.made))
            row, entry = a_score(record, self.now, subject)
            if poison == "text":
                entry = replace(entry, site="Zürich")
            futures[record] = committer.submit(ROWS, (row, poison), entry)
        return futures

    def acknowledge(self, futures: dict[str, Any]) -> None:
        for record, future in futures.items():
            receipt = future.result()
            self.receipts.append(Receipt(record, receipt.index, receipt.note))
            self.stored.add(record)

    @rule(number=SIZES, subject=st.sampled_from(SUBJECTS))
    def append(self, number: int, subject: str) -> None:
        futures = self.submit(self.committer, [""] * number, subject)
        self.acknowledge(futures)
        self.subjects[subject] |= futures.keys()

    @rule(subject=st.sampled_from(SUBJECTS[1:]), chunk=st.sampled_from([7, 2000]))
    def erase(self, subject: str, chunk: int) -> None:
        services = Services(
            database=self.database,
            committer=self.committer,
            registry=LiveRegistry(self.database, loader(())),
            pepper=bytes(32),
            site="default",
            idempotency_ttl=timedelta(hours=24),
            clock=lambda: self.now,
        )
        records, self.subjects[subject] = self.subjects[subject], set()
        erasure = erase_subject(services, Erasure(subject, "subject_request"), actor="system:cli", chunk=chunk)
        if not records:
            with pytest.raises(NotFound):
                asyncio.run(erasure)
            return
        erased = asyncio.run(erasure)
        assert (erased.count, erased.purged) == (len(records), True)
        self.erased |= records

    @rule(poisons=st.lists(POISONS, min_size=1, max_size=12))
    def append_with_poison(self, poisons: list[str]) -> None:
        futures = self.submit(self.committer, poisons)
        for poison, (record, future) in zip(poisons, futures.items(), strict=True):
            if poison:
                assert isinstance(future.exception(), ValueError if poison == "text" else RowRefused | Conflict)
            else:
                self.acknowledge({record: future})

    @rule(number=st.integers(1, 5))
    def append_by_another_process(self, number: int) -> None:
        other = self.another_committer()
        self.acknowledge(self.submit(other, [""] * number))
        other.close()

    @rule(milliseconds=st.sampled_from([-86_400_000, -1500, -300, 5000, 61_000]))
    def set_the_clock(self, milliseconds: int) -> None:
        self.now += timedelta(milliseconds=milliseconds)

    @rule(number=st.sampled_from([1, 5, 300]))
    def append_on_a_full_disk(self, number: int) -> None:
        with self.database.write() as connection:
            pages = connection.sqlalchemy.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.sqlalchemy.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        for record, future in self.submit(self.committer, [""] * number).items():
            if isinstance(future.exception(), StorageUnavailable):
                continue
            self.acknowledge({record: future})
        with self.database.write() as connection:
            connection.sqlalchemy.exec_driver_sql("PRAGMA max_page_count=1000000")

    @rule()
    def reopen(self) -> None:
        self.stop()
        self.start()

    @rule(before=st.integers(0, 3), under_way=st.sampled_from([1, 3, 40]), cut=st.floats(0, 1), zeros=st.booleans())
    def crash(self, before: int, under_way: int, cut: float, zeros: bool) -> None:
        """The machine stops while a transaction is on its way to the disk."""
        self.empty_the_wal()
        self.acknowledge(self.submit(self.committer, [""] * before))
        safe = self.wal.stat().st_size
        unknown = self.submit(self.committer, [""] * under_way)
        for future in unknown.values():
            future.result()
        written = self.wal.stat().st_size
        assert written > safe
        kept = safe + round(cut * (written - safe))
        old, self.url = self.url, self.backend.empty()
        path_of(self.url).parent.mkdir(mode=0o700)
        shutil.copyfile(path_of(old), path_of(self.url))
        self.wal.write_bytes(Path(f"{path_of(old)}-wal").read_bytes()[:kept] + bytes(zeros * (written - kept)))
        self.stop()
        self.backend.remove(old)
        self.start()
        self.look_for(list(unknown), certain=kept == written, impossible=kept == safe)

    def look_for(self, unknown: list[str], *, certain: bool, impossible: bool) -> None:
        """Which of those that were not acknowledged are there: the first so many, because they went in this order."""
        records = check(self.database, self.receipts[-3:]).records
        found = [record for record in unknown if record in records]
        assert found == unknown[: len(found)]
        assert not (certain and found != unknown)
        assert not (impossible and found)
        self.stored |= set(found)

    @rule()
    def verify(self) -> None:
        found = check(self.database, self.receipts)
        assert {record for record in found.records[1:] if record is not None} == self.stored
        assert len(self.stored) == sum(record is not None for record in found.records[1:])
        with self.database.read() as connection:
            left = set(connection.select(select(score.c.score_id)).scalars())
        assert left == self.stored - self.erased
        verify(self.url)

    def teardown(self) -> None:
        self.verify()
        self.stop()
        self.backend.remove(self.url)

    @property
    def wal(self) -> Path:
        return Path(f"{path_of(self.url)}-wal")

    def empty_the_wal(self) -> None:
        """So that what is written next stands at the end of the file."""
        with closing(sqlite3.connect(path_of(self.url))) as connection:
            assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


def path_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def test_the_log_is_whole_after_anything(sqlite_backend: Any) -> None:
    run_state_machine_as_test(lambda: LogMachine(sqlite_backend), settings=MACHINE)
