"""Rows, entries and an open log for the tests of the store."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import pytest

from service.audit.committer import Committer
from service.audit.entry import Entry, timestamp
from service.audit.log import LogWriter, Place
from service.audit.note import Signer
from service.audit.outcome import SilentObserver
from service.store.audit_log import SqlLogStorage, SqlTransaction
from service.store.engine import Database
from service.store.scores import ScoreRow, insert_scores, link_scores

AT = datetime(2026, 11, 23, 5, 51, 19, 123456, tzinfo=UTC)


class ScoreRows:
    """Writes scores, as a workflow does."""

    changes_registry = False
    alone = False

    def insert(self, transaction: SqlTransaction, rows: Sequence[ScoreRow]) -> list[Exception | None]:
        insert_scores(transaction.connection, rows)
        return [None] * len(rows)

    def link(self, transaction: SqlTransaction, rows: Sequence[ScoreRow], places: Sequence[Place]) -> None:
        placed = [(row.score_id, place.log_id, place.seq) for row, place in zip(rows, places, strict=True)]
        link_scores(transaction.connection, placed)


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
def score_rows() -> ScoreRows:
    """The writer of score rows."""
    return ScoreRows()


@pytest.fixture(scope="session")
def signed_by() -> Signer:
    return Signer.generate()


@pytest.fixture
def writer(signed_by: Signer) -> LogWriter:
    return LogWriter(signed_by, "default")


@pytest.fixture
def entry() -> Entry:
    return Entry("score.reported", AT, "key:k1", "default")


@pytest.fixture
def storage(database: Database, writer: LogWriter) -> SqlLogStorage:
    """A storage whose log is open."""
    storage = SqlLogStorage(database)
    storage.open(writer, site="default", now=AT)
    return storage


@pytest.fixture
def committer(storage: SqlLogStorage, writer: LogWriter) -> Iterator[Committer[SqlTransaction]]:
    running = Committer(storage, writer, SilentObserver())
    running.start()
    yield running
    running.close()


@pytest.fixture
def save(committer: Committer[SqlTransaction], score_rows: ScoreRows, entry: Entry) -> Callable[[ScoreRow], int]:
    """A function that stores a row with an entry and returns its index in the log."""
    return lambda row: committer.submit(score_rows, row, entry).result().index
