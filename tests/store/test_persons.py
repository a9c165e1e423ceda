"""Persons: found by id, changed only as they were read, revoked once, never removed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from service.errors import StorageUnavailable
from service.store import keys, persons
from service.store.engine import Database
from service.store.keys import KeyRow
from service.store.persons import PersonRow

AT = datetime(2026, 11, 24, tzinfo=UTC)
REVOKED_AT = "2026-11-24T00:00:00.000000Z"
PERSON = PersonRow("0011223344556677", "Zoë Müller", b"s" * 32, b"h" * 32, "2026-11-23T05:51:19.123456Z")
OTHER = replace(PERSON, passphrase_salt=b"t" * 32, passphrase_hash=b"i" * 32)


@pytest.fixture
def stored(database: Database) -> Database:
    with database.write() as connection:
        persons.insert_person(connection, PERSON)
    return database


@pytest.mark.parametrize("unknown", ["0011223344556678", "", "x", "0011223344556677 ", "\udcff", "\0", "é" * 16])
def test_a_person_is_found_by_id_and_by_nothing_else(stored: Database, unknown: str) -> None:
    with stored.read() as connection:
        assert persons.find_person(connection, PERSON.person_id) == PERSON
        assert persons.find_person(connection, unknown) is None


def test_persons_are_listed_oldest_first(stored: Database) -> None:
    older = replace(PERSON, person_id="f" * 16, created_at="2026-01-01T00:00:00.000000Z")
    with stored.write() as connection:
        persons.insert_person(connection, older)
    with stored.read() as connection:
        assert persons.list_persons(connection) == (older, PERSON)


def test_a_passphrase_is_changed_once_from_the_same_salt(stored: Database) -> None:
    with stored.write() as connection:
        assert persons.change_passphrase(connection, OTHER, PERSON.passphrase_salt)
        assert not persons.change_passphrase(connection, OTHER, PERSON.passphrase_salt)
        assert persons.find_person(connection, PERSON.person_id) == OTHER


def test_a_person_is_revoked_once_and_changes_no_more(stored: Database) -> None:
    with stored.write() as connection:
        assert persons.revoke_person(connection, PERSON.person_id, AT)
        assert not persons.revoke_person(connection, PERSON.person_id, AT.replace(year=2027))
        assert not persons.change_passphrase(connection, OTHER, PERSON.passphrase_salt)
        assert persons.find_person(connection, PERSON.person_id) == replace(PERSON, revoked_at=REVOKED_AT)


@pytest.mark.parametrize(
    "change",
    [{}, {"name": ""}, {"passphrase_salt": b"short"}, {"passphrase_hash": b"short"}, {"created_at": "today"}],
    ids=["id", "name", "salt", "hash", "created"],
)
def test_persons_that_cannot_be_are_refused(stored: Database, change: dict[str, object]) -> None:
    other = {"person_id": "f" * 16} | change if change else {}
    with pytest.raises(StorageUnavailable), stored.write() as connection:
        persons.insert_person(connection, replace(PERSON, **other))


def test_the_keys_in_force_of_a_person_are_theirs_and_in_force(stored: Database) -> None:
    key = KeyRow("k1", "portal", b"1" * 32, frozenset({"admin"}), PERSON.created_at, None, False, PERSON.person_id)
    with stored.write() as connection:
        keys.insert_key(connection, key)
        keys.insert_key(connection, replace(key, key_id="k0", secret_hmac=b"0" * 32))
        keys.insert_key(connection, replace(key, key_id="k2", secret_hmac=b"2" * 32, revoked_at=REVOKED_AT))
        keys.insert_key(connection, replace(key, key_id="k3", secret_hmac=b"3" * 32, person_id=None))
        assert keys.list_keys_in_force(connection, PERSON.person_id) == ("k0", "k1")
        assert keys.find_key(connection, "k1") == key


def test_a_key_of_nobody_is_refused(stored: Database) -> None:
    key = KeyRow("k1", "portal", b"1" * 32, frozenset({"admin"}), PERSON.created_at, None, False, "f" * 16)
    with pytest.raises(StorageUnavailable), stored.write() as connection:
        keys.insert_key(connection, key)


def test_a_row_shows_neither_salt_nor_hash() -> None:
    assert "passphrase" not in repr(PERSON)
