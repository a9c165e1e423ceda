"""Persons: who can sign. Added with a printed name and a passphrase, revoked for good, never removed.

Rules:
1. The id is random, belongs to one individual and is never given to another (21 CFR 11.100(a), 11.300(a)); so a row
   stays. Whether the individual is who they claim to be, the laboratory finds out before (21 CFR 11.100(b)).
2. The name is what stands beside a signature (21 CFR 11.50(a)(1)): 1 to 128 printable characters of any script in NFC,
   one of them a letter, with single spaces inside. No two persons in force have the same one, be it written with other
   capitals: a printed name has to tell who signed.
3. A passphrase is changed by whoever knows it and by nobody else. Where one is forgotten the person is added anew,
   because an operator who could set it would sign in another's name alone; that has to take two (21 CFR 11.200(a)(3)).
4. Whoever is revoked has no key in force: the keys go first, each with its own entry, then the person. If that is
   interrupted, the person is in force without keys, and revoking again ends it. A key that is made meanwhile is
   found under the lock of the log's head.
5. An entry holds no name and no hash in clear. `out` commits, salted with the salt of the passphrase, to a document of
   what the row says; the name stands in it as the hex digits of its UTF-8, because documents are ASCII.
6. A revocation raises the registry generation, so nothing is recorded that was signed before and submitted after: what
   came with a key finds it revoked (rule 4), what came on the command line is looked up again (`signed`).

A worked example, with a salt of 32 times 0x01 and a hash of 32 times 0x02 (the document is in one line):

    {"created_at":"2026-11-23T05:51:19.123456Z","id":"0011223344556677","name_utf8":"416461",
     "passphrase_hash":"0202020202020202020202020202020202020202020202020202020202020202"}
    out = 14dc92b56b6c3db6bb80e1393400d6f927a113c674bb56affc7cbd3d7d07dac3
"""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from service.audit.entry import Entry, canonical_json, commitment, timestamp
from service.audit.log import Place
from service.errors import InputRejected, NotFound, PersonChanged, PersonExists, Problem
from service.store import persons as store
from service.store.audit_log import SqlTransaction
from service.store.engine import Database
from service.store.keys import list_keys_in_force
from service.store.persons import PersonRow
from service.workflows.keys import revoke_key
from service.workflows.passphrase import hash_passphrase, matches, problems_of
from service.workflows.services import Services
from service.workflows.signatures import require_signature

MAX_NAME: Final = 128

ATTEMPTS: Final = 20
"""How often a revocation starts afresh because the person keeps getting keys."""


def add_person(services: Services, *, name: str, passphrase: str, actor: str) -> PersonRow:
    """Add a person and the audit entry in one transaction. Raises InputRejected with every problem, or PersonExists."""
    normal = unicodedata.normalize("NFC", name)
    problems = _problems_of_name(normal) + problems_of(passphrase, name=normal)
    if problems:
        raise InputRejected("The person was not added.", problems=problems)
    now, salt = services.clock(), services.new_salt()
    row = PersonRow(secrets.token_hex(8), normal, salt, hash_passphrase(passphrase, salt), timestamp(now))
    entry = Entry("person.added", now, actor, services.site, record=row.person_id, out=person_commitment(row))
    services.committer.submit(INSERT_PERSONS, row, entry).result()
    return row


def change_passphrase(services: Services, *, person_id: str, passphrase: str, new_passphrase: str) -> PersonRow:
    """Give a person who knows the present passphrase a new one; the entry's actor is the person.

    Raises as `require_signature`, InputRejected for a new passphrase that may not be one, and PersonChanged."""
    row = require_signature(services, person_id, passphrase)
    problems = problems_of(new_passphrase, name=row.name)
    if not problems and matches(new_passphrase, row.passphrase_salt, row.passphrase_hash):
        problems.append(Problem("/passphrase", "same_passphrase", "The passphrase is the present one.", "Use another."))
    if problems:
        raise InputRejected("The passphrase was not changed.", problems=problems)
    salt = services.new_salt()
    changed = replace(row, passphrase_salt=salt, passphrase_hash=hash_passphrase(new_passphrase, salt))
    entry = Entry(
        "person.changed",
        services.clock(),
        f"person:{row.person_id}",
        services.site,
        record=row.person_id,
        out=person_commitment(changed),
    )
    rows = _Change(changed, row.passphrase_salt)
    services.committer.submit(CHANGE_PASSPHRASES, rows, entry).result()
    return changed


def revoke_person(services: Services, *, person_id: str, actor: str) -> tuple[str, ...]:
    """Revoke a person and their keys for good; the ids of the keys. Raises NotFound for an unknown or already revoked
    person, and PersonChanged where keys keep coming; what was revoked until then stays so."""
    with services.database.read() as connection:
        found = store.find_person(connection, person_id)
    if found is None or found.revoked_at is not None:
        raise _nobody()
    revoked: list[str] = []
    for _ in range(ATTEMPTS):
        revoked += _revoke_keys(services, person_id, actor)
        entry = Entry("person.revoked", services.clock(), actor, services.site, record=person_id)
        with suppress(PersonChanged):
            services.committer.submit(REVOKE_PERSONS, person_id, entry).result()
            return tuple(revoked)
    raise _changed()


def _revoke_keys(services: Services, person_id: str, actor: str) -> list[str]:
    with services.database.read() as connection:
        found = list_keys_in_force(connection, person_id)
    revoked = []
    for key_id in found:
        with suppress(NotFound):  # somebody else has just revoked it
            revoke_key(services, key_id=key_id, actor=actor)
            revoked.append(key_id)
    return revoked


def list_persons(database: Database) -> tuple[PersonRow, ...]:
    """All persons, oldest first, revoked ones included."""
    with database.read() as connection:
        return store.list_persons(connection)


def person_commitment(row: PersonRow) -> str:
    """What the entry of a person's addition or change commits to (rule 5). Raises ValueError for a row that can never
    have been committed to."""
    said = {
        "id": row.person_id,
        "name_utf8": row.name.encode().hex(),
        "passphrase_hash": row.passphrase_hash.hex(),
        "created_at": row.created_at,
    }
    return commitment(row.passphrase_salt, canonical_json(said))


def _problems_of_name(name: str) -> list[Problem]:
    plain = name.isprintable() and " ".join(name.split()) == name and any(one.isalpha() for one in name)
    if plain and len(name) <= MAX_NAME:
        return []
    message = f"A person's name is 1 to {MAX_NAME} printable characters, with a letter and with single spaces inside."
    return [Problem("/name", "invalid_name", message, "Write it as it should stand beside a signature.")]


def _same_name(one: str, other: str) -> bool:
    first, second = (unicodedata.normalize("NFKC", name).casefold() for name in (one, other))
    return first == second


def _nobody() -> NotFound:
    return NotFound("No such person, or the person is revoked already.", "See exoscore person list.")


def _changed() -> PersonChanged:
    return PersonChanged("The person changed while this was under way; nothing was stored.", "Look, and try again.")


@dataclass(frozen=True, slots=True)
class _Change:
    """A person with another passphrase, and the salt that it takes the place of."""

    row: PersonRow
    replaced_salt: bytes


class InsertPersons:
    """Writes new persons."""

    changes_registry = False
    alone = True

    def insert(self, transaction: SqlTransaction, rows: Sequence[PersonRow]) -> Sequence[Exception | None]:
        """Insert the persons."""
        for row in rows:
            store.insert_person(transaction.connection, row)
        return [None] * len(rows)

    def link(self, transaction: SqlTransaction, rows: Sequence[PersonRow], places: Sequence[Place]) -> None:  # noqa: ARG002
        """Raises PersonExists where another person in force has the name; behind the head's lock nobody can be added
        unseen."""
        others = [row for row in store.list_persons(transaction.connection) if row.revoked_at is None]
        for row in rows:
            if any(_same_name(row.name, other.name) for other in others if other.person_id != row.person_id):
                raise PersonExists(
                    "A person in force has the same name.", "Add what tells the two apart, such as a middle name."
                )


class ChangePassphrases:
    """Stores other passphrases of persons."""

    changes_registry = False
    alone = True

    def insert(self, transaction: SqlTransaction, rows: Sequence[_Change]) -> Sequence[Exception | None]:  # noqa: ARG002
        """Nothing is written before the head is locked."""
        return [None] * len(rows)

    def link(self, transaction: SqlTransaction, rows: Sequence[_Change], places: Sequence[Place]) -> None:  # noqa: ARG002
        """Store them; raises PersonChanged where the person was revoked or changed since the passphrase was checked."""
        for one in rows:
            if not store.change_passphrase(transaction.connection, one.row, one.replaced_salt):
                raise _changed()


class RevokePersons:
    """Revokes persons by their ids, at the time that is recorded, and raises the registry generation."""

    changes_registry = True
    alone = False

    def insert(self, transaction: SqlTransaction, rows: Sequence[str]) -> Sequence[Exception | None]:  # noqa: ARG002
        """Nothing is written before the time is known."""
        return [None] * len(rows)

    def link(self, transaction: SqlTransaction, rows: Sequence[str], places: Sequence[Place]) -> None:
        """Revoke; raises PersonChanged where a person has a key in force, NotFound where there is none to revoke."""
        for person_id, place in zip(rows, places, strict=True):
            if list_keys_in_force(transaction.connection, person_id):
                raise _changed()
            if not store.revoke_person(transaction.connection, person_id, place.recorded_at):
                raise _nobody()
            transaction.raise_registry_generation(place.log_id)


INSERT_PERSONS, CHANGE_PASSPHRASES, REVOKE_PERSONS = InsertPersons(), ChangePassphrases(), RevokePersons()
