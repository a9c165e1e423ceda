"""API keys: found by id or by the hash of their secret, revoked once, never removed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from service.errors import StorageUnavailable
from service.store import keys
from service.store.engine import Database
from service.store.keys import KeyRow

AT = datetime(2026, 11, 24, tzinfo=UTC)
KEY = KeyRow(
    key_id="k1",
    name="LIMS",
    secret_hmac=b"h" * 32,
    scopes=frozenset({"scores:write", "scores:read"}),
    created_at="2026-11-23T05:51:19.123456Z",
    revoked_at=None,
    development=False,
)


@pytest.fixture
def stored(database: Database) -> Database:
    with database.write() as connection:
        keys.insert_key(connection, KEY)
    return database


def test_a_key_is_found_by_its_secret(stored: Database) -> None:
    with stored.read() as connection:
        assert keys.find_key_by_secret(connection, b"h" * 32) == KEY
        assert keys.find_key_by_secret(connection, b"x" * 32) is None


def test_a_key_without_scopes_has_none(database: Database) -> None:
    bare = replace(KEY, scopes=frozenset())
    with database.write() as connection:
        keys.insert_key(connection, bare)
        assert keys.find_key_by_secret(connection, KEY.secret_hmac) == bare


def test_keys_are_listed_oldest_first(stored: Database) -> None:
    older = replace(KEY, key_id="k2", secret_hmac=b"i" * 32, created_at="2026-01-01T00:00:00.000000Z")
    same_time = replace(KEY, key_id="k0", secret_hmac=b"j" * 32)
    with stored.write() as connection:
        keys.insert_key(connection, older)
        keys.insert_key(connection, same_time)
    with stored.read() as connection:
        assert keys.list_keys(connection) == (older, same_time, KEY)


@pytest.mark.parametrize(
    "change",
    [
        {"secret_hmac": b"i" * 32},
        {"key_id": "k2"},
        {"key_id": "k2", "secret_hmac": b"short"},
        {"key_id": "k2", "secret_hmac": b"i" * 32, "created_at": "today"},
        {"key_id": "k2", "secret_hmac": b"i" * 32, "revoked_at": "today"},
    ],
    ids=["id", "secret", "hash", "created", "revoked"],
)
def test_keys_that_cannot_be_are_refused(stored: Database, change: dict[str, object]) -> None:
    with pytest.raises(StorageUnavailable), stored.write() as connection:
        keys.insert_key(connection, replace(KEY, **change))


def test_a_key_is_revoked_once(stored: Database) -> None:
    with stored.write() as connection:
        assert keys.revoke_key(connection, "k1", AT)
        assert not keys.revoke_key(connection, "k1", AT.replace(year=2027))
        assert not keys.revoke_key(connection, "k2", AT)
    with stored.read() as connection:
        assert keys.find_key_by_secret(connection, KEY.secret_hmac) == replace(
            KEY, revoked_at="2026-11-24T00:00:00.000000Z"
        )
