"""Idempotency keys: one winner, one day, and a winner only where its transaction was committed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import text

from service.audit.entry import timestamp
from service.errors import StorageUnavailable
from service.store import idempotency
from service.store.engine import Database, WriteConnection
from service.store.idempotency import ClaimRow

NOW = datetime(2026, 11, 23, 5, 51, 19, tzinfo=UTC)
DAY = timedelta(days=1)
KEY = b"k" * 32


def claim(connection: WriteConnection, score_id: str, *, now: datetime = NOW, body: bytes = b"b" * 32) -> bool:
    return idempotency.claim(connection, [ClaimRow(KEY, body, score_id, timestamp(now + DAY))], now)() == set()


def find(database: Database, now: datetime = NOW) -> ClaimRow | None:
    with database.read() as connection:
        return idempotency.find(connection, KEY, now)


def test_the_first_claim_stands(database: Database) -> None:
    assert find(database) is None
    with database.write() as connection:
        assert claim(connection, "first")
    with database.write() as connection:
        assert not claim(connection, "second", body=b"c" * 32)
    assert find(database) == ClaimRow(KEY, b"b" * 32, "first", "2026-11-24T05:51:19.000000Z")


@pytest.mark.parametrize(
    ("later", "in_force"),
    [(DAY - timedelta(microseconds=1), True), (DAY, False), (DAY * 2, False)],
    ids=["last moment", "expiry", "after"],
)
def test_an_expired_claim_is_replaced(database: Database, later: timedelta, in_force: bool) -> None:
    with database.write() as connection:
        claim(connection, "first")
    assert (find(database, NOW + later) is not None) is in_force
    with database.write() as connection:
        assert claim(connection, "second", now=NOW + later) is not in_force
    found = find(database)
    assert found is not None
    assert found.score_id == ("first" if in_force else "second")


def test_a_claim_that_was_rolled_back_leaves_the_key_free(database: Database) -> None:
    def claim_and_raise() -> None:
        with database.write() as connection:
            claim(connection, "first")
            raise LookupError

    with pytest.raises(LookupError):
        claim_and_raise()
    with database.write() as connection:
        assert claim(connection, "second")


def test_of_many_claims_at_once_one_wins(database: Database) -> None:
    start = Barrier(4)

    def run(number: int) -> bool:
        start.wait(30)
        with database.write() as connection:
            return claim(connection, str(number))

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(run, range(4)))
    found = find(database)
    assert won.count(True) == 1
    assert found is not None
    assert found.score_id == str(won.index(True))


def test_a_claim_outlives_the_body_it_was_made_for(database: Database) -> None:
    with database.write() as connection:
        claim(connection, "first")
        connection.execute(text("UPDATE idempotency SET body_hmac = NULL"))
    assert find(database) == ClaimRow(KEY, None, "first", "2026-11-24T05:51:19.000000Z")


def test_expired_claims_are_purged(database: Database) -> None:
    with database.write() as connection:
        claim(connection, "first")
        assert idempotency.purge_expired(connection, NOW + DAY - timedelta(microseconds=1)) == 0
        assert idempotency.purge_expired(connection, NOW + DAY) == 1
    assert find(database) is None


@pytest.mark.parametrize(("key", "body"), [(b"short", b"b" * 32), (KEY, b"short")], ids=["key", "body"])
def test_hashes_have_32_bytes(database: Database, key: bytes, body: bytes) -> None:
    with pytest.raises(StorageUnavailable), database.write() as connection:
        idempotency.claim(connection, [ClaimRow(key, body, "s", timestamp(NOW))], NOW)


@pytest.mark.parametrize("number", [3, 40])
def test_of_many_claims_those_that_were_taken_are_named(database: Database, number: int) -> None:
    keys = [bytes([n]) * 32 for n in range(number)]
    later = timestamp(NOW + DAY)
    with database.write() as connection:
        taken = [ClaimRow(keys[1], b"b" * 32, "first", later)]
        assert idempotency.claim(connection, taken, NOW)() == set()
    with database.write() as connection:
        claims = [ClaimRow(key, b"b" * 32, f"second {n}", later) for n, key in enumerate(keys)]
        assert idempotency.claim(connection, claims, NOW)() == {keys[1]}
    with database.read() as connection:
        found = [idempotency.find(connection, key, NOW) for key in keys]
    assert [one.score_id for one in found if one] == ["second 0", "first", *(f"second {n}" for n in range(2, number))]
