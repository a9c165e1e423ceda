"""A process that stops while it holds the head of the log: PostgreSQL soon lets the others go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from service.audit.committer import Committer
from service.audit.entry import Entry
from service.audit.log import LogWriter, Place
from service.audit.note import Signer
from service.audit.outcome import SilentObserver
from service.errors import StorageUnavailable
from service.store.audit_log import SqlLogStorage, SqlTransaction
from service.store.engine import Database
from service.store.limits import SILENT_SECONDS, WAIT_SECONDS
from service.store.log_rows import find_open
from service.store.scores import ScoreRow, find_score, insert_scores, link_scores
from tests.store.conftest import AT

TOO_LONG = SILENT_SECONDS + 1.0


class Slow:
    """Writes scores, and may be silent for too long while it holds the head."""

    changes_registry = False
    alone = False
    silent = False

    def insert(self, transaction: SqlTransaction, rows: Sequence[ScoreRow]) -> list[Exception | None]:
        insert_scores(transaction.connection, rows)
        return [None] * len(rows)

    def link(self, transaction: SqlTransaction, rows: Sequence[ScoreRow], places: Sequence[Place]) -> None:
        if self.silent:
            time.sleep(TOO_LONG)
        placed = [(row.score_id, place.log_id, place.seq) for row, place in zip(rows, places, strict=True)]
        link_scores(transaction.connection, placed)


@pytest.fixture
def database(postgresql_backend: Any) -> Iterator[Database]:
    url = postgresql_backend.migrated()
    opened = Database(url)
    yield opened
    opened.close()
    postgresql_backend.remove(url)


@pytest.fixture
def storage(database: Database, writer: LogWriter) -> SqlLogStorage:
    storage = SqlLogStorage(database)
    storage.open(writer, site="default", now=AT)
    return storage


def test_another_writer_gets_the_head_before_it_loses_patience(database: Database, storage: SqlLogStorage) -> None:
    def stop_in_the_middle() -> None:
        with storage.transaction() as silent:
            head = silent.lock_head()
            silent.raise_registry_generation(head.log_id)
            began = time.monotonic()
            with storage.transaction() as other:
                assert other.lock_head() == head
            assert SILENT_SECONDS / 2 < time.monotonic() - began < WAIT_SECONDS

    with pytest.raises(StorageUnavailable):
        stop_in_the_middle()
    with database.read() as connection:
        head = find_open(connection)
    assert head is not None
    assert head.generation == 0


def test_a_batch_that_was_put_off_is_refused_and_the_next_one_stored(
    database: Database, storage: SqlLogStorage, writer: LogWriter, make_row: Callable[..., ScoreRow]
) -> None:
    committer, rows = Committer(storage, writer, SilentObserver(), patience=2 * TOO_LONG), Slow()
    committer.start()

    def store() -> tuple[ScoreRow, int]:
        row = make_row()
        entry = Entry("score.reported", AT, row.actor, "default", record=row.score_id)
        return row, committer.submit(rows, row, entry).result().index

    rows.silent = True
    with pytest.raises(StorageUnavailable):
        store()
    rows.silent = False
    row, index = store()
    assert index == 1
    with database.read() as connection:
        assert find_score(connection, row.score_id) is not None
        assert connection.sqlalchemy.exec_driver_sql("SELECT count(*) FROM score").scalar_one() == 1
    committer.close()


def test_who_takes_time_is_waited_for(database: Database, signed_by: Signer, storage: SqlLogStorage) -> None:
    with storage.transaction() as slow:
        head = slow.lock_head()
        slow.take_time()
        slow.raise_registry_generation(head.log_id)
        time.sleep(TOO_LONG)
    with database.read() as connection:
        head = find_open(connection)
    assert head is not None
    assert head.generation == 1
