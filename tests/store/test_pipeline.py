"""The pipeline against a real server: order, errors, values, sizes, and the way back to SQLAlchemy."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from service.errors import RowRefused, StorageUnavailable
from service.store import pipeline
from service.store.arrays import packed
from service.store.engine import Database
from tests.conftest import Postgresql

VALUES = "SELECT ?::bigint, ?::integer, ?::text, ?::bytea, ?::text"


@pytest.fixture
def database(postgresql_backend: Postgresql) -> Iterator[Database]:
    """A database with one small table."""
    opened = Database(postgresql_backend.empty())
    with opened.write() as connection:
        connection.execute(text("CREATE TABLE kept (number integer PRIMARY KEY)"))
    yield opened
    opened.close()


def numbers(database: Database) -> list[int]:
    with database.write() as connection:
        return [number for (number,) in connection.run("SELECT number FROM kept ORDER BY number").fetchall()]


def insert(database: Database, *them: int, ask: bool = False) -> None:
    with database.write() as connection:
        for number in them:
            connection.run("INSERT INTO kept VALUES (?)", (number,))
        if ask:
            connection.run("SELECT 5").fetchall()


def delete_all_and_fail(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("DELETE FROM kept"))
        connection.run("DELETE FROM kept")
        raise ZeroDivisionError


def insert_when_stopped(database: Database, stopped: list[int]) -> None:
    with database.write() as connection:
        (pid,) = connection.run("SELECT pg_backend_pid()").fetchone()
        os.kill(pid, signal.SIGSTOP)
        stopped.append(pid)
        connection.run("INSERT INTO kept VALUES (?)", (1,)).fetchall()


def insert_when_terminated(database: Database) -> None:
    with database.write() as connection:
        (pid,) = connection.run("SELECT pg_backend_pid()").fetchone()
        with database.write() as other:
            other.run("SELECT pg_terminate_backend(?::integer)::text", (pid,)).fetchall()
        connection.run("INSERT INTO kept VALUES (?)", (1,))


def ask_when_answered_and_terminated(database: Database) -> None:
    with database.write() as connection:
        (pid,) = connection.run("SELECT pg_backend_pid()").fetchone()
        answer = connection.run("SELECT 5")
        connection._pipeline()._server.flush()  # it is answered before the end of the pipeline is asked for
        time.sleep(0.2)
        with database.write() as other:
            other.run("SELECT pg_terminate_backend(?::integer)::text", (pid,)).fetchall()
        time.sleep(0.2)
        answer.fetchall()


def test_values_come_back_as_they_were_sent_however_often_it_is_run(database: Database) -> None:
    sent = (2**40, -7, "Gr\u00fc\u00dfe ?", b"\x00\xff?", None)
    for _ in range(3):
        with database.write() as connection:
            first, second = connection.run(VALUES, sent), connection.run(VALUES, (1, 2, "", b"", "x"))
            assert second.fetchone() == (1, 2, "", b"", "x")
            assert first.fetchall() == [sent]
            assert connection.run("SELECT number FROM kept").fetchone() is None


def test_after_a_failure_nothing_is_done_and_the_connection_serves_on(database: Database) -> None:
    for _ in range(3):
        with pytest.raises(RowRefused):
            insert(database, 1, 1, 2)
        with pytest.raises(RowRefused):
            insert(database, 1, 1, 2, ask=True)
    assert numbers(database) == []
    insert(database, 3)
    assert numbers(database) == [3]


def test_what_somebody_deallocated_is_prepared_anew(database: Database) -> None:
    assert [numbers(database) for _ in range(3)] == [[], [], []]
    with database.write() as connection:
        connection.execute(text("DEALLOCATE ALL"))
    with pytest.raises(StorageUnavailable):
        numbers(database)
    assert [numbers(database) for _ in range(3)] == [[], [], []]


def test_a_rollback_leaves_what_was_prepared(database: Database) -> None:
    for _ in range(10):
        with pytest.raises(ZeroDivisionError):
            delete_all_and_fail(database)
        assert numbers(database) == []


def test_sqlalchemy_and_the_pipeline_share_one_transaction(database: Database) -> None:
    with database.write() as connection:
        connection.run("INSERT INTO kept VALUES (?)", (1,))
        connection.execute(text("INSERT INTO kept SELECT number + 1 FROM kept"))
        connection.run("INSERT INTO kept SELECT number + 2 FROM kept")
    assert numbers(database) == [1, 2, 3, 4]
    with pytest.raises(ZeroDivisionError):
        delete_all_and_fail(database)
    assert numbers(database) == [1, 2, 3, 4]


def test_more_than_the_network_holds_goes_both_ways_at_once(database: Database) -> None:
    large = b"x" * 8_000_000
    with database.write() as connection:
        answers = [connection.run("SELECT ?::bytea", (large,)) for _ in range(4)]
        assert all(answer.fetchone() == (large,) for answer in answers)


def test_arrays_keep_their_nulls_and_their_order(database: Database) -> None:
    statement = "SELECT * FROM unnest(?::text[], ?::double precision[])"
    texts, doubles = ["a", None, "\u00e9"], [0.1 + 0.2, -0.0, None]
    with database.write() as connection:
        answer = connection.run(
            f"SELECT t, d::text FROM ({statement}) AS rows (t, d)",
            (packed("text", texts), packed("double precision", doubles)),
        )
        assert answer.fetchall() == [("a", "0.30000000000000004"), (None, "-0"), ("\u00e9", None)]


def test_a_server_that_falls_silent_is_given_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "SILENCE_SECONDS", 0.5)
    stopped: list[int] = []
    try:
        with pytest.raises(StorageUnavailable):
            insert_when_stopped(database, stopped)
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    assert numbers(database) == []


def test_a_server_that_goes_away_is_an_unavailable_storage(database: Database) -> None:
    with pytest.raises(StorageUnavailable):
        insert_when_terminated(database)
    assert numbers(database) == []


def test_a_server_that_goes_away_behind_its_last_answer_is_one_too(database: Database) -> None:
    with pytest.raises(StorageUnavailable):
        ask_when_answered_and_terminated(database)
    assert numbers(database) == []
