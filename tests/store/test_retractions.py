"""Retractions: reason and time come from the entry, and an entry about something else is not believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from service.audit.committer import Committer
from service.audit.entry import Entry, timestamp
from service.errors import RecordDamaged, RowRefused, ScoreRetracted
from service.store.audit_log import SqlTransaction
from service.store.engine import Database
from service.store.retractions import Retraction, find_retracted, insert_retractions, read_retraction
from service.store.scores import ScoreRow, find_score, list_scores, lock_scores

Make = Callable[..., ScoreRow]
Save = Callable[[ScoreRow], int]


def retract(committer: Committer[SqlTransaction], entry: Entry, score_id: str) -> int:
    class Writer:
        changes_registry = False
        alone = False

        def insert(self, transaction: SqlTransaction, rows: list[str]) -> list[Exception | None]:
            assert lock_scores(transaction.connection, rows) == set(rows)
            return [None] * len(rows)

        def link(self, transaction: SqlTransaction, rows: list[str], places: list[object]) -> None:
            insert_retractions(transaction.connection, [(rows[0], places[0].log_id, places[0].seq)])

    recorded = replace(entry, kind="score.retracted", record=score_id, reason="wrong_subject")
    return committer.submit(Writer(), score_id, recorded).result().index


def test_a_retraction_is_read_from_its_entry(
    database: Database, committer: Committer[SqlTransaction], save: Save, make_row: Make, entry: Entry
) -> None:
    row, other = make_row(), make_row()
    save(row)
    save(other)
    index = retract(committer, entry, row.score_id)
    expected = Retraction("wrong_subject", timestamp(entry.at), index)
    with database.read() as connection:
        found = [find_score(connection, one.score_id) for one in (row, other)]
        listed = list_scores(connection, limit=9)
        assert find_retracted(connection, [row.score_id, other.score_id]) == {row.score_id}
    assert [None if one is None else one.retracted for one in found] == [expected, None]
    assert [one.retracted for one in listed] == [expected, None]
    with pytest.raises(ScoreRetracted):
        retract(committer, entry, row.score_id)


def test_only_what_exists_is_retracted(database: Database, storage: object) -> None:
    with database.write() as connection:
        assert lock_scores(connection, ["0" * 36]) == set()
    with pytest.raises(RowRefused), database.write() as connection:
        insert_retractions(connection, [("0" * 36, 1, 0)])


@pytest.mark.parametrize("kind", ["missing", "no entry", "other kind", "other score", "no reason"])
def test_an_entry_about_something_else_is_not_believed(entry: Entry, kind: str) -> None:
    recorded = replace(entry, kind="score.retracted", record="id", reason="assay_failure")
    stored = {
        "missing": None,
        "no entry": b"{}",
        "other kind": replace(recorded, kind="score.read").encode(),
        "other score": replace(recorded, record="another").encode(),
        "no reason": replace(recorded, reason=None).encode(),
    }
    assert read_retraction("id", 7, recorded.encode()) == Retraction("assay_failure", timestamp(entry.at), 7)
    assert read_retraction("id", None, None) is None
    with pytest.raises(RecordDamaged):
        read_retraction("id", 7, stored[kind])
