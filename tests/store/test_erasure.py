"""Erasure: every row of a subject goes, on SQLite every byte, and nobody else's."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from service.store import idempotency
from service.store.engine import Database
from service.store.erasure import (
    EMPTIED,
    PlacedScore,
    count_subject,
    delete_scores,
    forget_bodies,
    list_subject,
    lock_for_erasure,
)
from service.store.idempotency import ClaimRow
from service.store.scores import ScoreRow, insert_scores, list_scores

Make = Callable[..., ScoreRow]
Save = Callable[[ScoreRow], int]
AT = datetime(2026, 11, 23, 5, 51, 19, 123456, tzinfo=UTC)


def erase(database: Database, subject: str) -> None:
    with database.write() as connection:
        score_ids = [one.score_id for one in list_subject(connection, subject)]
        forget_bodies(connection, score_ids)
        assert lock_for_erasure(connection, score_ids) == len(score_ids)
        delete_scores(connection, score_ids)


def test_the_scores_of_a_subject_are_listed_newest_first(database: Database, save: Save, make_row: Make) -> None:
    first = make_row(subject_id="s1")
    rows = [first, make_row(subject_id="s2"), make_row(subject_id="s1", supersedes=first.score_id)]
    indices = [save(row) for row in rows]
    with database.read() as connection:
        listed = list_subject(connection, "s1")
        assert (count_subject(connection, "s1"), count_subject(connection, "none")) == (2, 0)
        assert list_subject(connection, "none") == ()
    assert [(one.score_id, one.log_id, one.seq) for one in listed] == [
        (rows[2].score_id, 1, indices[2]),
        (rows[0].score_id, 1, indices[0]),
    ]
    assert isinstance(listed[0], PlacedScore)
    assert listed[0].origin.startswith("exoscore/")


def test_a_chain_goes_as_a_whole_and_nobody_else_s(database: Database, save: Save, make_row: Make) -> None:
    first, other = make_row(subject_id="s1"), make_row(subject_id="s2")
    for row in (first, other, make_row(subject_id="s1", supersedes=first.score_id)):
        save(row)
    erase(database, "s1")
    with database.write() as connection:
        assert [one.score_id for one in list_scores(connection, limit=9)] == [other.score_id]
        assert lock_for_erasure(connection, [first.score_id, other.score_id]) == 1


def test_an_idempotency_key_forgets_the_body_and_stays(database: Database, save: Save, make_row: Make) -> None:
    rows = [make_row(subject_id="s1"), make_row(subject_id="s2")]
    expires = "2026-11-24T05:51:19.123456Z"
    claims = [ClaimRow(bytes([n]) * 32, b"b" * 32, row.score_id, expires) for n, row in enumerate(rows)]
    for row in rows:
        save(row)
    with database.write() as connection:
        idempotency.claim(connection, claims, AT)
    erase(database, "s1")
    with database.read() as connection:
        found = [idempotency.find(connection, one.key_hmac, AT + timedelta(hours=1)) for one in claims]
    assert [None if one is None else one.body_hmac for one in found] == [None, b"b" * 32]
    assert found[0] is not None


def bytes_of(url: str) -> bytes:
    """Everything that stands in the database's files."""
    path = Path(url.removeprefix("sqlite:///"))
    return b"".join(one.read_bytes() for one in path.parent.glob(f"{path.name}*"))


SCORES, SUBJECTS, VICTIMS = 4000, 400, 300


def synthetic(make_row: Make, seed: int) -> list[ScoreRow]:
    """Scores of many subjects in turn, with identifiers and bodies of many lengths."""
    chance = random.Random(seed)
    subjects = [f"{chance.randbytes(4).hex()}-person-{'x' * chance.randrange(60)}-{n}" for n in range(SUBJECTS)]
    rows = []
    for number in range(SCORES):
        subject = subjects[number % SUBJECTS]
        specimen = f"{chance.randbytes(4).hex()}-tube-{'y' * chance.randrange(60)}-{number}"
        body = f"{subject} {specimen} ".encode() * chance.randrange(1, 12)
        fields = {"subject_id": subject, "specimen_id": specimen, "request": body, "answer": body}
        rows.append(make_row(score_id=str(uuid.UUID(int=chance.getrandbits(128))), salt=chance.randbytes(32), **fields))
    return rows


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_no_byte_is_left_in_the_files_of_sqlite(database_url: str, database: Database, make_row: Make) -> None:
    # With these rows, and overwriting alone, something of thirty scores would stay behind.
    rows = synthetic(make_row, seed=6)
    for start in range(0, SCORES, 30):
        with database.write() as connection:
            insert_scores(connection, rows[start : start + 30])
    subjects = [row.subject_id for row in rows[:VICTIMS]]
    for start in range(0, VICTIMS, 60):
        gone = [row for row in rows if row.subject_id in subjects[start : start + 60]]
        for subject in subjects[start : start + 60]:
            with database.write() as connection:
                delete_scores(connection, [row.score_id for row in gone if row.subject_id == subject])
        assert database.scrub(EMPTIED)
        left = bytes_of(database_url)
        sought = {one for row in gone for one in traces(row)}
        assert [one for one in sought if one in left] == []
    assert all(one in left for one in {one for row in rows if row.subject_id not in subjects for one in traces(row)})


def traces(row: ScoreRow) -> tuple[bytes, ...]:
    return (row.score_id.encode(), row.subject_id.encode(), row.specimen_id.encode(), row.salt)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_what_was_left_is_found_again_by_another_process(
    database_url: str, database: Database, save: Save, make_row: Make
) -> None:
    def mark() -> int:
        with database.read() as connection:
            version: int = connection.sqlalchemy.exec_driver_sql("PRAGMA user_version").scalar_one()
        return version

    save(make_row(subject_id="s1"))
    save(make_row(subject_id="s2"))
    assert mark() == 0
    erase(database, "s1")
    erase(database, "s2")
    assert mark() == 2
    again = Database(database_url)
    assert again.scrub(EMPTIED)
    again.close()
    assert mark() == 0


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_reader_keeps_the_write_ahead_log_and_is_told_of(
    database_url: str, database: Database, save: Save, make_row: Make
) -> None:
    save(make_row(subject_id="lingering-subject"))
    with Database(database_url).read() as reading:
        reading.sqlalchemy.execute(text("SELECT count(*) FROM score")).one()
        erase(database, "lingering-subject")
        assert not database.scrub(EMPTIED)
        assert b"lingering-subject" in bytes_of(database_url)
    assert database.scrub(EMPTIED)
    assert b"lingering-subject" not in bytes_of(database_url)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_postgresql_is_vacuumed(database: Database, save: Save, make_row: Make) -> None:
    for _ in range(20):
        save(make_row(subject_id="s1"))
    erase(database, "s1")
    assert database.scrub(EMPTIED)
    with database.read() as connection:
        # A table whose rows are all gone is cut down to nothing.
        assert connection.sqlalchemy.execute(text("SELECT pg_relation_size('score')")).scalar_one() == 0
