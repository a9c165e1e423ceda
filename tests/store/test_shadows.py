"""What shadows scored: beside its score, gone with it, and summed up by the database."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, text

from service.audit.entry import timestamp
from service.errors import RowRefused
from service.store.engine import Database
from service.store.erasure import EMPTIED, delete_scores, forget_bodies, list_subject, lock_for_erasure
from service.store.scores import ScoreRow, insert_scores
from service.store.shadows import (
    ModelStanding,
    ShadowGroup,
    ShadowRow,
    find_standing,
    insert_shadow_scores,
    list_groups,
)
from service.store.tables import model_alias, model_version, score, shadow_score

Make = Callable[..., ScoreRow]
Save = Callable[[ScoreRow], int]
AT = datetime(2026, 11, 23, 5, 51, 19, 123456, tzinfo=UTC)
DIGEST = "sha256:" + "1" * 64


def shadow_of(row: ScoreRow, **fields: object) -> ShadowRow:
    made = ShadowRow(row.score_id, DIGEST, row.model_name, "2.0.0", "final", 0.5, "elevated", timestamp(AT))
    return made._replace(**fields)


def put(database: Database, *rows: ShadowRow) -> int:
    with database.write() as connection:
        return insert_shadow_scores(connection, rows)


def count(database: Database) -> int:
    with database.read() as connection:
        return int(connection.select(select(func.count()).select_from(shadow_score)).scalar_one())


def erase(database: Database, subject: str) -> None:
    with database.write() as connection:
        score_ids = [one.score_id for one in list_subject(connection, subject)]
        forget_bodies(connection, score_ids)
        assert lock_for_erasure(connection, score_ids) == len(score_ids)
        delete_scores(connection, score_ids)


def test_rows_are_stored_once_and_only_beside_a_score(database: Database, save: Save, make_row: Make) -> None:
    rows = [make_row(), make_row(status="not_reportable", value=None, category=None)]
    for row in rows:
        save(row)
    erased = shadow_of(make_row())
    made = [shadow_of(rows[1], status="refused", value=None, category=None), erased, shadow_of(rows[0])]
    assert put(database, *made) == 2
    assert put(database, shadow_of(rows[0], value=0.75), shadow_of(rows[0], model_digest="sha256:" + "2" * 64)) == 1
    assert put(database, erased) == 0
    with database.read() as connection:
        stored = [ShadowRow(*row) for row in connection.select(select(shadow_score))]
    assert sorted(stored, key=lambda row: row[:2]) == sorted(
        [made[0], made[2], shadow_of(rows[0], model_digest="sha256:" + "2" * 64)], key=lambda row: row[:2]
    )


@pytest.mark.parametrize(
    "fields", [{"status": "odd"}, {"status": "failed"}, {"recorded_at": "now"}], ids=["status", "value", "time"]
)
def test_a_row_that_cannot_be_is_refused(
    database: Database, save: Save, make_row: Make, fields: dict[str, str]
) -> None:
    row = make_row()
    save(row)
    with pytest.raises(RowRefused):
        put(database, shadow_of(row, **fields))


def test_the_database_sums_up(database: Database, save: Save, make_row: Make) -> None:
    def scored(value: float | None, category: str | None, shadow: float | None, to: str | None, minute: int) -> None:
        status = "not_reportable" if value is None else "final"
        row = make_row(
            value=value, category=category, status=status, created_at=timestamp(AT + timedelta(minutes=minute))
        )
        save(row)
        found = "refused" if shadow is None else "final"
        put(database, shadow_of(row, value=shadow, category=to, status=found))

    scored(0.25, "low", 0.5, "low", 3)
    scored(0.25, "low", 0.125, "low", 1)
    scored(0.5, "low", 1.0, "high", 2)
    scored(None, None, None, None, 0)
    scored(None, None, 0.5, "low", 4)
    save(make_row())  # no shadow scored it
    other = make_row(model_name="other")
    save(other)
    put(database, shadow_of(other))
    with database.read() as connection:
        found = sorted(list_groups(connection, "model"), key=lambda group: group.first)
        assert list_groups(connection, "unknown") == ()

    def group(status: str, category: str | None, to_status: str, to: str | None, *rest: object) -> ShadowGroup:
        *numbers, first, last = rest
        times = [timestamp(AT + timedelta(minutes=minute)) for minute in (first, last)]
        return ShadowGroup("1.0.0", "2.0.0", status, category, to_status, to, *numbers, *times)

    assert found == [
        group("not_reportable", None, "refused", None, 1, 0, 0.0, 0.0, 0.0, 0, 0),
        group("final", "low", "final", "low", 2, 2, 0.125, 0.375, 0.25, 1, 3),
        group("final", "low", "final", "high", 1, 1, 0.5, 0.5, 0.5, 2, 2),
        group("not_reportable", None, "final", "low", 1, 0, 0.0, 0.0, 0.0, 4, 4),
    ]


def test_the_registry_says_which_version_is_the_shadow(database: Database) -> None:
    with database.write() as connection:
        for version in ("1.0.0", "2.0.0"):
            values = {"name": "model", "version": version, "digest": DIGEST, "state": "approved"}
            connection.execute(insert(model_version).values(values))
        for alias, version in (("production", "1.0.0"), ("shadow", "2.0.0")):
            connection.execute(insert(model_alias).values(name="model", alias=alias, version=version))
        values = {"name": "other", "version": "1.0.0", "digest": DIGEST, "state": "approved"}
        connection.execute(insert(model_version).values(values))
    with database.read() as connection:
        assert find_standing(connection, "model") == ModelStanding(known=True, shadow="2.0.0")
        assert find_standing(connection, "other") == ModelStanding(known=True, shadow=None)
        assert find_standing(connection, "unknown") == ModelStanding(known=False, shadow=None)


def test_an_erasure_takes_them_along(database: Database, save: Save, make_row: Make) -> None:
    rows = [make_row(subject_id="s1"), make_row(subject_id="s2")]
    for row in rows:
        save(row)
    put(database, *map(shadow_of, rows))
    erase(database, "s1")
    with database.read() as connection:
        assert connection.select(select(shadow_score.c.score_id)).scalars().all() == [rows[1].score_id]
    assert put(database, shadow_of(rows[0])) == 0


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_no_byte_of_them_is_left_in_the_files_of_sqlite(database_url: str, database: Database, make_row: Make) -> None:
    rows = [make_row(subject_id=f"subject-{number % 40}") for number in range(2000)]
    marked = [shadow_of(row, category=f"category-{uuid.uuid4()}") for row in rows]
    for start in range(0, len(rows), 50):
        with database.write() as connection:
            insert_scores(connection, rows[start : start + 50])
        put(database, *marked[start : start + 50])
    gone = {f"subject-{number}" for number in range(0, 40, 2)}
    for subject in gone:
        with database.write() as connection:
            delete_scores(connection, [row.score_id for row in rows if row.subject_id == subject])
    assert database.scrub(EMPTIED)
    path = Path(database_url.removeprefix("sqlite:///"))
    left = b"".join(one.read_bytes() for one in path.parent.glob(f"{path.name}*"))
    for row, mark in zip(rows, marked, strict=True):
        sought = (row.score_id.encode(), (mark.category or "").encode())
        assert [one in left for one in sought] == [row.subject_id not in gone] * 2


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_postgresql_vacuums_their_table(database: Database, save: Save, make_row: Make) -> None:
    rows = [make_row(subject_id="s1") for _ in range(20)]
    for row in rows:
        save(row)
    put(database, *map(shadow_of, rows))
    erase(database, "s1")
    assert database.scrub(EMPTIED)
    with database.read() as connection:
        assert connection.sqlalchemy.execute(text("SELECT pg_relation_size('shadow_score')")).scalar_one() == 0


def somebody_waits(database: Database) -> bool:
    """Whether a session of PostgreSQL waits for a lock of another one; on SQLite the file is the lock."""
    if database.embedded:
        return True
    with database.read() as connection:
        ask = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return bool(connection.sqlalchemy.exec_driver_sql(ask).scalar_one())


def until(holds: Callable[[], bool]) -> None:
    limit = time.monotonic() + 4
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.01)


@pytest.mark.parametrize("erasure_first", [True, False], ids=["erasure first", "shadow first"])
def test_an_erasure_and_shadow_rows_wait_for_each_other(
    database: Database, save: Save, make_row: Make, erasure_first: bool
) -> None:
    """Whoever comes second waits until the first has committed; afterwards nothing is left either way."""
    rows = [make_row(subject_id="s1") for _ in range(3)]
    for row in rows:
        save(row)
    held, go_on = threading.Event(), threading.Event()

    def first() -> None:
        with database.write() as connection:
            score_ids = [row.score_id for row in rows]
            if erasure_first:
                assert lock_for_erasure(connection, score_ids) == 3
                held.set()
                go_on.wait(10)
                delete_scores(connection, score_ids)
            else:
                insert_shadow_scores(connection, list(map(shadow_of, rows)))
                held.set()
                go_on.wait(10)

    def second() -> int:
        if erasure_first:
            return put(database, *map(shadow_of, reversed(rows)))
        erase(database, "s1")
        return 0

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(first)
        assert held.wait(10)
        two = pool.submit(second)
        until(lambda: somebody_waits(database))
        time.sleep(0.1)
        assert not two.done()
        go_on.set()
        one.result(10)
        assert two.result(10) == 0
    assert count(database) == 0


def test_many_erasures_and_many_shadow_rows_at_once_leave_nothing_and_never_deadlock(
    database: Database, make_row: Make
) -> None:
    subjects = [f"s{number}" for number in range(8)]
    rows = [make_row(subject_id=subjects[number % 8]) for number in range(240)]
    with database.write() as connection:
        insert_scores(connection, rows)
    begun = threading.Barrier(4)

    def insert_all(mine: list[ScoreRow]) -> None:
        begun.wait(10)
        for start in range(0, len(mine), 10):
            put(database, *map(shadow_of, mine[start : start + 10]))

    def erase_all(mine: list[str]) -> None:
        begun.wait(10)
        for subject in mine:
            with database.write() as connection:
                score_ids = [row.score_id for row in rows if row.subject_id == subject]
                assert lock_for_erasure(connection, score_ids) == len(score_ids)
                delete_scores(connection, score_ids)

    with ThreadPoolExecutor(4) as pool:
        tasks = [
            pool.submit(insert_all, rows),
            pool.submit(insert_all, rows[::-1]),
            pool.submit(erase_all, subjects[:4]),
            pool.submit(erase_all, subjects[4:]),
        ]
        for task in tasks:
            task.result(60)
    assert count(database) == 0
    with database.read() as connection:
        assert connection.select(select(func.count()).select_from(score)).scalar_one() == 0
