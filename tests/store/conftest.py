"""Rows, entries and an open log for the tests of the store."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from service.audit.committer import Committer, SilentObserver
from service.audit.entry import Entry, timestamp
from service.store.audit_log import SqlLogStorage, SqlTransaction
from service.store.engine import Database
from service.store.scores import ScoreRow, insert_score, link_score

AT = datetime(2026, 11, 23, 5, 51, 19, 123456, tzinfo=UTC)


class ScoreRows:
    """One score, as a workflow submits it."""

    def __init__(self, row: ScoreRow) -> None:
        self.row = row

    def insert(self, transaction: SqlTransaction) -> None:
        insert_score(transaction.connection, self.row)

    def link(self, transaction: SqlTransaction, log_id: int, seq: int) -> None:
        link_score(transaction.connection, score_id=self.row.score_id, log_id=log_id, seq=seq)


@pytest.fixture
def make_row() -> Callable[..., ScoreRow]:
    """A function that makes a synthetic score row; keyword arguments replace fields."""

    def make(**fields: object) -> ScoreRow:
        row: dict[str, object] = {
            "score_id": str(uuid.uuid4()),
            "subject_id": "subject",
            "specimen_id": "specimen",
            "model_name": "model",
            "model_version": "1.0.0",
            "model_digest": "sha256:" + "0" * 64,
            "status": "final",
            "value": 0.1 + 0.2,
            "category": "elevated",
            "created_at": timestamp(AT),
            "actor": "key:k1",
            "supersedes": None,
            "request": b'{"request": "\xc3\xa9"}',
            "answer": b"{}",
            "salt": b"s" * 32,
        }
        return ScoreRow(**(row | fields))

    return make


@pytest.fixture
def make_rows() -> Callable[[ScoreRow], ScoreRows]:
    """A function that makes what the committer takes, from a row."""
    return ScoreRows


@pytest.fixture
def entry() -> Entry:
    return Entry("score.reported", AT, "key:k1", "default")


@pytest.fixture
def storage(database: Database) -> SqlLogStorage:
    """A storage whose log is open."""
    storage = SqlLogStorage(database)
    storage.open(site="default", now=AT)
    return storage


@pytest.fixture
def committer(storage: SqlLogStorage) -> Iterator[Committer[SqlTransaction]]:
    running = Committer(storage, SilentObserver())
    running.start()
    yield running
    running.close()


@pytest.fixture
def save(committer: Committer[SqlTransaction], entry: Entry) -> Callable[[ScoreRow], int]:
    """A function that stores a row with an entry and returns its index in the log."""
    return lambda row: committer.submit(ScoreRows(row), entry).result().index
