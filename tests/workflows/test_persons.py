"""Persons over their life, on both databases: added, changed, revoked with their keys, and each of it on record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from service.audit.entry import Entry
from service.errors import (
    InputRejected,
    NotFound,
    PersonChanged,
    PersonExists,
    SignatureRefused,
    StorageUnavailable,
    Unauthenticated,
)
from service.store.keys import KeyRow
from service.store.log_reader import LogOpener
from service.store.persons import PersonRow
from service.workflows.keys import authenticate, create_key, list_keys, recent_caller, revoke_key
from service.workflows.persons import add_person, change_passphrase, list_persons, person_commitment, revoke_person
from service.workflows.services import Services
from service.workflows.verify_log import verify_all

NAME, PASSPHRASE, NEW = "Zoë Müller-木村", "zwölf gute Zeichen", "andere gute Zeichen"


@pytest.fixture
def zoe(services: Services) -> PersonRow:
    return add_person(services, name=NAME, passphrase=PASSPHRASE, actor="system:cli")


@pytest.fixture(autouse=True)
def sound(services: Services, database_url: str) -> Iterator[None]:
    """Whatever a test did, the deep verification agrees with it."""
    yield
    found = verify_all(LogOpener(database_url), deep=True)
    assert found.lines() == []
    assert found.records is not None
    assert found.records.persons == len(list_persons(services.database))


def entries(services: Services) -> list[Entry]:
    with services.database.read() as connection:
        rows = connection.sqlalchemy.execute(text("SELECT entry FROM audit_entry WHERE seq > 0 ORDER BY seq"))
        return [Entry.parse(entry) for (entry,) in rows]


def key_of(services: Services, person_id: str | None, name: str = "portal") -> tuple[KeyRow, str]:
    return create_key(services, name=name, scopes=["scores:read"], actor="system:cli", person_id=person_id)


def test_the_worked_example_holds() -> None:
    row = PersonRow("0011223344556677", "Ada", b"\x01" * 32, b"\x02" * 32, "2026-11-23T05:51:19.123456Z")
    assert person_commitment(row) == "14dc92b56b6c3db6bb80e1393400d6f927a113c674bb56affc7cbd3d7d07dac3"


def test_a_person_is_added_with_an_entry_that_says_nothing_in_clear(services: Services, zoe: PersonRow) -> None:
    assert list_persons(services.database) == (zoe,)
    (entry,) = entries(services)
    assert (entry.kind, entry.record, entry.actor) == ("person.added", zoe.person_id, "system:cli")
    assert entry.out == person_commitment(zoe)
    for secret in (NAME.encode(), zoe.passphrase_hash, zoe.passphrase_salt):
        assert secret not in entry.encode()
        assert secret.hex().encode() not in entry.encode()


NAMES = ["X Æ A-12", "Jean-Luc O\N{RIGHT SINGLE QUOTATION MARK}Neill, M.D.", "木村 拓哉", "محمد علي", "x" * 128]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_may_be_of_any_script_and_is_kept_in_one_form(services: Services, name: str) -> None:
    row = add_person(services, name=name, passphrase=PASSPHRASE, actor="system:cli")
    assert row.name == name
    decomposed = "Zoe\N{COMBINING DIAERESIS}"
    assert add_person(services, name=decomposed, passphrase=PASSPHRASE, actor="system:cli").name == "Zoë"


@pytest.mark.parametrize(
    "name",
    ["", " ", "123", "Ada ", " Ada", "Ada  L", "Ada\n", "Ada\u202eL", "Ada\u200b", "Ada\xa0L", "Ada\udcff", "x" * 129],
    ids=repr,
)
def test_a_name_that_cannot_be_printed_plainly_is_refused_with_all_else(services: Services, name: str) -> None:
    with pytest.raises(InputRejected) as refused:
        add_person(services, name=name, passphrase="short", actor="system:cli")
    assert [one.code for one in refused.value.problems] == ["invalid_name", "short_passphrase"]
    assert entries(services) == []


@pytest.mark.parametrize("name", [NAME, NAME.upper(), NAME.replace("ü", "u\N{COMBINING DIAERESIS}")])
def test_two_in_force_never_have_one_name(services: Services, zoe: PersonRow, name: str) -> None:
    with pytest.raises(PersonExists) as refused:
        add_person(services, name=name, passphrase=NEW, actor="system:cli")
    assert "Zo" not in str(refused.value) + refused.value.remedy
    revoke_person(services, person_id=zoe.person_id, actor="system:cli")
    again = add_person(services, name=name, passphrase=NEW, actor="system:cli")
    assert again.person_id != zoe.person_id


def test_of_two_that_come_at_once_with_one_name_one_is_added(services: Services) -> None:
    def add(_: int) -> str:
        try:
            return add_person(services, name=NAME, passphrase=PASSPHRASE, actor="system:cli").person_id
        except PersonExists:
            return ""

    with ThreadPoolExecutor(2) as pool:
        made = sorted(pool.map(add, range(2)))
    assert made == ["", list_persons(services.database)[0].person_id]
    assert [one.kind for one in entries(services)] == ["person.added"]


def test_a_passphrase_is_changed_by_whoever_knows_it(services: Services, zoe: PersonRow) -> None:
    changed = change_passphrase(services, person_id=zoe.person_id, passphrase=PASSPHRASE, new_passphrase=NEW)
    assert list_persons(services.database) == (changed,)
    assert (changed.name, changed.created_at) == (zoe.name, zoe.created_at)
    assert changed.passphrase_salt != zoe.passphrase_salt
    entry = entries(services)[-1]
    assert (entry.kind, entry.actor) == ("person.changed", f"person:{zoe.person_id}")
    assert entry.out == person_commitment(changed)
    with pytest.raises(SignatureRefused):
        change_passphrase(services, person_id=zoe.person_id, passphrase=PASSPHRASE, new_passphrase=NEW)


@pytest.mark.parametrize(
    ("new", "code"),
    [("short", "short_passphrase"), (NAME, "name_as_passphrase"), (PASSPHRASE, "same_passphrase")],
)
def test_a_new_passphrase_is_held_to_the_rules(services: Services, zoe: PersonRow, new: str, code: str) -> None:
    with pytest.raises(InputRejected) as refused:
        change_passphrase(services, person_id=zoe.person_id, passphrase=PASSPHRASE, new_passphrase=new)
    assert code in [one.code for one in refused.value.problems]
    assert list_persons(services.database) == (zoe,)


def test_of_two_changes_at_once_one_is_made(services: Services, zoe: PersonRow) -> None:
    def change(new: str) -> str:
        try:
            change_passphrase(services, person_id=zoe.person_id, passphrase=PASSPHRASE, new_passphrase=new)
        except (PersonChanged, SignatureRefused) as error:
            return type(error).__name__
        return "done"

    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(change, (NEW, NEW + "!")))
    assert told.count("done") == 1
    assert [one.kind for one in entries(services)].count("person.changed") == 1


def test_a_revocation_takes_the_keys_first_and_says_so(services: Services, zoe: PersonRow, clock: Any) -> None:
    own, others = [key_of(services, zoe.person_id)[0] for _ in range(2)], key_of(services, None)[0]
    revoke_key(services, key_id=own[0].key_id, actor="system:cli")
    clock.now += timedelta(seconds=1)
    assert revoke_person(services, person_id=zoe.person_id, actor="system:cli") == (own[1].key_id,)
    last = entries(services)[-2:]
    assert [(one.kind, one.record) for one in last] == [
        ("key.revoked", own[1].key_id),
        ("person.revoked", zoe.person_id),
    ]
    assert list_persons(services.database) == (replace(zoe, revoked_at="2026-03-04T12:00:01.000001Z"),)
    in_force = [row.key_id for row in list_keys(services.database) if row.revoked_at is None]
    assert in_force == [others.key_id]


@pytest.mark.parametrize("person_id", ["f" * 16, "nobody", "\udcff"])
def test_nobody_cannot_be_revoked_and_gets_no_key(services: Services, person_id: str) -> None:
    with pytest.raises(NotFound):
        revoke_person(services, person_id=person_id, actor="system:cli")
    with pytest.raises(NotFound):
        key_of(services, person_id)
    assert entries(services) == []


def test_who_is_revoked_cannot_be_again_and_gets_no_key_or_passphrase(services: Services, zoe: PersonRow) -> None:
    revoke_person(services, person_id=zoe.person_id, actor="system:cli")
    with pytest.raises(NotFound):
        revoke_person(services, person_id=zoe.person_id, actor="system:cli")
    with pytest.raises(NotFound):
        key_of(services, zoe.person_id)
    with pytest.raises(SignatureRefused):
        change_passphrase(services, person_id=zoe.person_id, passphrase=PASSPHRASE, new_passphrase=NEW)


def test_keys_that_are_made_during_a_revocation_are_revoked_or_refused(services: Services, zoe: PersonRow) -> None:
    def make(number: int) -> bool:
        try:
            key_of(services, zoe.person_id, f"key {number}")
        except NotFound:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        making = [pool.submit(make, number) for number in range(12)]
        revoke_person(services, person_id=zoe.person_id, actor="system:cli")
        made = [one.result() for one in making]
    rows = list_keys(services.database)
    assert len(rows) == made.count(True)
    assert [row.key_id for row in rows if row.revoked_at is None] == []


def test_a_key_knows_its_person_from_the_first_request_on(services: Services, zoe: PersonRow) -> None:
    row, key = key_of(services, zoe.person_id)
    _, machine = key_of(services, None)
    assert row.person_id == zoe.person_id
    assert authenticate(services, key).person_id == zoe.person_id
    assert authenticate(services, machine).person_id is None
    assert asyncio.run(recent_caller(services, key)).person_id == zoe.person_id


def test_a_revocation_raises_the_generation_for_each_key_and_the_person(services: Services, zoe: PersonRow) -> None:
    _, key = key_of(services, zoe.person_id)
    _, machine = key_of(services, None)
    revoke_person(services, person_id=zoe.person_id, actor="system:cli")
    with pytest.raises(Unauthenticated):
        authenticate(services, key)
    assert authenticate(services, machine).generation == 2


def test_a_commit_that_fails_adds_nobody(
    services: Services, database_url: str, break_commit: Callable[[str], None], mend_commit: Callable[[str], None]
) -> None:
    break_commit(database_url)
    with pytest.raises(StorageUnavailable):
        add_person(services, name=NAME, passphrase=PASSPHRASE, actor="system:cli")
    mend_commit(database_url)
    assert list_persons(services.database) == ()
