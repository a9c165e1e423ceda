"""The log on a real database, whatever the order of what happens to it: batches, poison, erasures, crashes, other
writers, clocks, full disks.

A crash on SQLite is what the disk holds in the middle of it all: the file and as much of its write-ahead log as had got
there, cut off at any byte behind the last acknowledged COMMIT. On PostgreSQL it is the end of the writer's connection
inside a transaction, by the server's hand or by the writer's, or the end of the whole process. What was acknowledged
has to be there afterwards, and of what was under way all of a transaction or nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import psycopg
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from sqlalchemy import select

from service.audit.committer import Committer
from service.audit.log import LogWriter, Place
from service.audit.note import Signer
from service.audit.outcome import SilentObserver
from service.domain.score_life import Erasure
from service.errors import Conflict, NotFound, RowRefused, StorageUnavailable
from service.store.audit_log import SqlLogStorage, SqlTransaction
from service.store.engine import Database
from service.store.postgresql import IDLE_SECONDS
from service.store.scores import ScoreRow, insert_scores, link_scores
from service.store.tables import score
from service.workflows.erase_subject import erase_subject
from service.workflows.live_registry import LiveRegistry, loader
from service.workflows.services import Services
from tests.crash.book import Receipt, check, verify
from tests.crash.writer import AT_ONCE, a_score

AT = datetime(2026, 11, 23, 5, 51, 19, 123456, tzinfo=UTC)
SIGNER = Signer.generate()
SOAK = bool(os.environ.get("SOAK"))
ROOT = Path(__file__).parents[2]

SUBJECTS = ("S-1", "S-2", "S-3")
"""The first is never erased."""

POISONS = st.sampled_from(["", "", "", "raises", "refused", "link", "text"])
SIZES = st.sampled_from([1, 2, 5, 17, 255, 300])


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


STEPS = ("inserted", "linked", "committing")
"""Where a connection ends: with the rows inserted, with the entries appended under the head's lock, or about when
COMMIT is sent."""

MEANS = ("terminated", "hung up", "deaf")
"""How it ends: by the server's hand, as that of a process that was killed, or so that what is sent still arrives and no
answer comes back."""


class CutRows(Rows):
    """Writes scores, and ends the connection of the first transaction that it writes them in at one step of it, by one
    of the means; `delay` seconds after the last step for the one about COMMIT."""

    def __init__(self, step: str, means: str, delay: float, operator: psycopg.Connection[Any]) -> None:
        self._step, self._means, self._delay, self._operator = step, means, delay, operator
        self._cutting: Thread | None = None

    def insert(self, transaction: SqlTransaction, rows: Sequence[tuple[ScoreRow, str]]) -> list[Exception | None]:
        answers = super().insert(transaction, rows)
        self._reach("inserted", transaction)
        return answers

    def link(self, transaction: SqlTransaction, rows: Sequence[tuple[ScoreRow, str]], places: Sequence[Place]) -> None:
        super().link(transaction, rows, places)
        self._reach("linked", transaction)
        self._reach("committing", transaction)

    def finish(self) -> None:
        """Wait until the connection has ended."""
        assert self._cutting is not None
        self._cutting.join()

    def _reach(self, step: str, transaction: SqlTransaction) -> None:
        if step != self._step or self._cutting is not None:
            return
        driver: Any = transaction.connection.sqlalchemy.connection.driver_connection
        self._cutting = Thread(target=self._cut, args=(driver.pgconn.backend_pid, os.dup(driver.fileno())))
        self._cutting.start()
        if step != "committing":
            self._cutting.join()

    def _cut(self, pid: int, descriptor: int) -> None:
        with socket.socket(fileno=descriptor) as line:
            if self._step == "committing":
                time.sleep(self._delay)
            if self._means == "terminated":
                # Answers when that backend is gone, or was gone before.
                self._operator.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))
            else:
                line.shutdown(socket.SHUT_RDWR if self._means == "hung up" else socket.SHUT_RD)


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
        """As a process does that knows nothing but the database."""
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
        self,
        committer: Committer[SqlTransaction],
        poisons: Sequence[str],
        subject: str = SUBJECTS[0],
        writer: Rows = ROWS,
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
            futures[record] = committer.submit(writer, (row, poison), entry)
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
    def append_beside_another_process(self, number: int) -> None:
        other = self.another_committer()
        theirs, ours = (self.submit(one, [""] * number) for one in (other, self.committer))
        self.acknowledge(theirs | ours)
        other.close()

    @rule(milliseconds=st.sampled_from([-86_400_000, -1500, -300, 5000, 61_000]))
    def set_the_clock(self, milliseconds: int) -> None:
        self.now += timedelta(milliseconds=milliseconds)

    @rule()
    def reopen(self) -> None:
        self.stop()
        self.start()

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


class SqliteMachine(LogMachine):
    """What happens to a file."""

    @rule(number=st.sampled_from([1, 5, 300]))
    def append_on_a_full_disk(self, number: int) -> None:
        self.database.close()  # the limit is that of one connection, so there must be one only
        with self.database.write() as connection:
            pages = connection.sqlalchemy.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.sqlalchemy.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        for record, future in self.submit(self.committer, [""] * number).items():
            if isinstance(future.exception(), StorageUnavailable):
                continue
            self.acknowledge({record: future})
        with self.database.write() as connection:
            connection.sqlalchemy.exec_driver_sql("PRAGMA max_page_count=1000000")

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

    @property
    def wal(self) -> Path:
        return Path(f"{path_of(self.url)}-wal")

    def empty_the_wal(self) -> None:
        """So that what is written next stands at the end of the file."""
        with closing(sqlite3.connect(path_of(self.url))) as connection:
            assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


class PostgresqlMachine(LogMachine):
    """What happens to a server's clients."""

    kills: ClassVar[int] = 40 if SOAK else 1
    """Processes that are killed in the life of one log; starting one takes longer than all else."""

    def __init__(self, backend: Any) -> None:
        super().__init__(backend)
        self.operator = psycopg.connect(self.url, autocommit=True)
        self.killed = 0

    @rule(
        before=st.integers(0, 3),
        under_way=st.sampled_from([1, 3, 40]),
        step=st.sampled_from(STEPS),
        means=st.sampled_from(MEANS),
        delay=st.floats(0, 0.003),
        ended=st.booleans(),
    )
    def crash(self, before: int, under_way: int, step: str, means: str, delay: float, ended: bool) -> None:
        """The writer's connection ends inside a transaction, and perhaps the writer, too."""
        self.acknowledge(self.submit(self.committer, [""] * before))
        cut = CutRows(step, means, delay, self.operator)
        futures = self.submit(self.committer, [""] * under_way, writer=cut)
        stored = {record: future for record, future in futures.items() if future.exception() is None}
        errors = {type(futures[record].exception()) for record in futures.keys() - stored.keys()}
        # What became of a COMMIT can be found out, so nobody is told that it is not known.
        assert errors <= {StorageUnavailable}
        if step != "committing":
            assert bool(errors) != ((step, means) == ("linked", "deaf"))
        cut.finish()
        self.acknowledge(stored)
        if ended:
            self.reopen()
        elif not errors:
            time.sleep(
                2 * IDLE_SECONDS
            )  # else a connection that was cut after its COMMIT may be used without a question
        self.acknowledge(self.submit(self.committer, [""]))

    @precondition(lambda self: self.killed < self.kills)
    @rule(batches=st.integers(0, 2))
    def another_process_is_killed(self, batches: int) -> None:
        """It kills itself with the head locked, once it was acknowledged some batches."""
        self.killed += 1
        fatal = batches * AT_ONCE
        arguments = [self.url, SIGNER.pem().decode(), "100", "0", str(fatal or 1)]
        command = [sys.executable, "-m", "tests.crash.writer", *arguments]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
        assert done.returncode == -9
        receipts = [Receipt(*json.loads(line)) for line in done.stdout.splitlines()]
        assert len(receipts) == (fatal or AT_ONCE)
        self.receipts += receipts
        self.stored |= {receipt.record for receipt in receipts}

    def teardown(self) -> None:
        self.operator.close()
        super().teardown()


def path_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))
