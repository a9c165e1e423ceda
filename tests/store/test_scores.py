"""Scores: what was written comes back to the last bit, and lists follow the log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.errors import NotFound, ScoreSuperseded, StorageUnavailable
from service.store.engine import Database
from service.store.idempotency import ClaimRow
from service.store.scores import ListedScore, ScoreRow, find_score, find_superseded, insert_scores, list_scores
from service.store.tables import idempotency, score

AT = datetime(2026, 11, 23, 5, 51, 19, 123456, tzinfo=UTC)
Make = Callable[..., ScoreRow]
Save = Callable[[ScoreRow], int]


def listed(database: Database, **wanted: object) -> list[ListedScore]:
    with database.read() as connection:
        return list(list_scores(connection, **{"limit": 500, **wanted}))


def test_a_row_has_the_columns_of_its_table_in_their_order() -> None:
    assert ScoreRow._fields == tuple(score.columns.keys())
    assert ClaimRow._fields == tuple(idempotency.columns.keys())


def test_an_unknown_score_is_not_found(database: Database) -> None:
    with database.read() as connection:
        assert find_score(connection, "unknown") is None


@given(
    value=st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0),  # never a negative zero
    request_bytes=st.binary(min_size=1),
    salt=st.binary(min_size=32, max_size=32),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_numbers_and_bytes_come_back_exactly(
    database: Database, save: Save, make_row: Make, value: float, request_bytes: bytes, salt: bytes
) -> None:
    row = make_row(value=value, request=request_bytes, salt=salt)
    save(row)
    with database.read() as connection:
        found = find_score(connection, row.score_id)
    assert found is not None
    assert found.row == row
    assert str(found.row.value) == str(value)


def test_a_withheld_score_has_no_number(database: Database, save: Save, make_row: Make) -> None:
    row = make_row(status="not_reportable", value=None, category=None)
    save(row)
    assert [(item.status, item.value, item.category) for item in listed(database)] == [("not_reportable", None, None)]


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "not_reportable"},
        {"value": None, "category": None},
        {"status": "not_reportable", "value": None},
        {"status": "guessed"},
        {"score_id": "short"},
        {"created_at": "2026-11-23T05:51:19Z"},
        {"salt": b"short"},
        {"request": b""},
        {"answer": b""},
    ],
    ids=[
        "withheld with a number", "final without one", "category without number", "status", "id", "time", "salt",
        "request", "answer",
    ],
)  # fmt: skip
def test_rows_that_cannot_be_are_refused(database: Database, make_row: Make, fields: dict[str, object]) -> None:
    with pytest.raises(StorageUnavailable), database.write() as connection:
        insert_scores(connection, [make_row(**fields)])
    assert listed(database) == []


def test_the_same_id_twice_is_an_error_and_not_a_loss(database: Database, save: Save, make_row: Make) -> None:
    row = make_row()
    save(row)
    with pytest.raises(StorageUnavailable), database.write() as connection:
        insert_scores(connection, [row._replace(subject_id="another")])
    assert len(listed(database)) == 1


def test_a_score_is_superseded_once(database: Database, save: Save, make_row: Make) -> None:
    first = make_row()
    second, third = make_row(supersedes=first.score_id), make_row(supersedes=first.score_id)
    save(first)
    save(second)
    with pytest.raises(ScoreSuperseded), database.write() as connection:
        insert_scores(connection, [third])
    with database.read() as connection:
        found = [find_score(connection, row.score_id) for row in (first, second, third)]
    assert [None if one is None else one.superseded_by for one in found] == [second.score_id, None, None]
    assert found[2] is None
    assert [item.superseded_by for item in listed(database)] == [second.score_id, None]
    with database.read() as connection:
        assert find_superseded(connection, [first.score_id, second.score_id]) == {first.score_id}


def test_of_two_that_supersede_one_at_once_neither_is_written(database: Database, save: Save, make_row: Make) -> None:
    first = make_row()
    save(first)
    both = [make_row(supersedes=first.score_id), make_row(supersedes=first.score_id)]
    with pytest.raises(ScoreSuperseded), database.write() as connection:
        insert_scores(connection, both)
    assert len(listed(database)) == 1


def test_what_does_not_exist_cannot_be_superseded(database: Database, make_row: Make) -> None:
    with pytest.raises(NotFound), database.write() as connection:
        insert_scores(connection, [make_row(), make_row(supersedes="0" * 36)])
    assert listed(database) == []


def test_lists_show_these_fields(database: Database, save: Save, make_row: Make) -> None:
    row = make_row()
    save(row)
    assert listed(database) == [
        ListedScore(
            score_id=row.score_id,
            status="final",
            model_name="model",
            model_version="1.0.0",
            model_digest=row.model_digest,
            value=row.value,
            category="elevated",
            created_at=row.created_at,
            superseded_by=None,
            log_id=1,
            seq=1,
            retracted=None,
        )
    ]


def test_pages_follow_the_log_and_not_time_or_id(database: Database, save: Save, make_row: Make) -> None:
    rows = [make_row(score_id=f"{9 - number}" * 36) for number in range(7)]
    for row in rows:
        save(row)
    pages: list[list[str]] = []
    after = None
    while page := listed(database, after=after, limit=3):
        pages.append([item.score_id for item in page])
        after = (page[-1].log_id, page[-1].seq)
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [one for page in pages for one in page] == [row.score_id for row in rows]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, "abcd"),
        ({"model_name": "one"}, "abd"),
        ({"model_name": "one", "model_version": "1.0.0"}, "ad"),
        ({"subject_id": "s2"}, "cd"),
        ({"specimen_id": "p1"}, "ac"),
        ({"subject_id": "s2", "specimen_id": "p1"}, "c"),
        ({"since": AT}, "abcd"),
        ({"since": AT + timedelta(microseconds=1)}, "bcd"),
        ({"since": AT + timedelta(hours=1)}, "cd"),
        ({"after": (1, 2)}, "cd"),
        ({"after": (0, 99)}, "abcd"),
        ({"after": (2, 0)}, ""),
        ({"model_name": "one", "after": (1, 1), "limit": 1}, "b"),
        ({"model_name": "none"}, ""),
    ],
    ids=str,
)
def test_filters(database: Database, save: Save, make_row: Make, wanted: dict[str, object], expected: str) -> None:
    for letter, name, version, subject, specimen, second in (
        ("a", "one", "1.0.0", "s1", "p1", "05:51:19.123456"),
        ("b", "one", "2.0.0", "s1", "p2", "05:51:19.123457"),
        ("c", "two", "1.0.0", "s2", "p1", "07:00:00.000000"),
        ("d", "one", "1.0.0", "s2", "p2", "07:00:00.000000"),
    ):
        save(
            make_row(
                score_id=letter * 36, model_name=name, model_version=version, subject_id=subject,
                specimen_id=specimen, created_at=f"2026-11-23T{second}Z",
            )
        )  # fmt: skip
    assert "".join(item.score_id[0] for item in listed(database, **wanted)) == expected
