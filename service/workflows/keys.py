"""API keys: created once and shown once, stored as keyed hashes, checked on every request, revoked for good.

A key reads `exo_ID_SECRET` and is found by its HMAC-SHA-256 under the service's pepper, so the time a look-up takes
says nothing about a guess. An absent, unknown, malformed and revoked key all answer alike.

A key belongs to a person or to a machine, for good. A person's key stands for one individual (21 CFR 11.100(a)): only a
person in force gets one, and whoever is revoked has none in force any more (`persons`).
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial

from service.audit.entry import Entry, canonical_json, commitment, timestamp
from service.audit.log import Place
from service.errors import InputRejected, NotFound, Problem, Unauthenticated
from service.store import keys as key_store
from service.store import persons as person_store
from service.store.audit_log import SqlTransaction
from service.store.engine import Database, ReadConnection
from service.store.keys import KeyRow
from service.store.log_rows import find_generation
from service.workflows.key_cache import Caller
from service.workflows.patience import in_thread
from service.workflows.services import Services

SCOPES = (
    "scores:write",
    "scores:read",
    "batches:write",
    "models:read",
    "models:register",
    "models:approve",
    "audit:read",
    "subjects:erase",
    "admin",
)
_KEY = re.compile(r"exo_([0-9a-f]{16})_[A-Za-z0-9_-]{43}", re.ASCII)
_NAME = re.compile(r"[ -~]{1,64}")


def authenticate(services: Services, presented: str | None) -> Caller:
    """The caller behind a presented key; raises Unauthenticated. Reads the database, so a revocation holds at once."""
    match = _KEY.fullmatch(presented or "")
    if match is None:
        raise unauthenticated()
    with services.database.read() as connection:
        # The generation first: a key that is revoked after this was read is in force under an older generation only.
        generation = find_generation(connection)
        row = key_store.find_key_by_secret(connection, keyed_hash(services.pepper, "api-key", match[0].encode()))
    return _caller(row, generation)


def renew(services: Services, caller: Caller) -> Caller:
    """The same caller as of now; raises Unauthenticated where the key has been revoked."""
    with services.database.read() as connection:
        generation = find_generation(connection)
        row = key_store.find_key(connection, caller.key_id)
    return _caller(row, generation)


def require_in_force(connection: ReadConnection, caller: Caller) -> None:
    """Raise Unauthenticated where the key was revoked since it was looked up; inside a transaction."""
    _caller(key_store.find_key(connection, caller.key_id), caller.generation)


def _caller(row: KeyRow | None, generation: int) -> Caller:
    if row is None or row.revoked_at is not None:
        raise unauthenticated()
    return Caller(row.key_id, row.scopes, generation, row.person_id)


async def recent_caller(services: Services, presented: str | None) -> Caller:
    """As `authenticate`, but the database may have been asked up to two seconds ago: only for what is written under the
    head lock, see `key_cache`."""
    key = presented or ""
    caller = services.keys.find(key)
    if caller is None:
        caller = await services.looks.find(key, partial(_look_up, services, key))
    return caller


async def _look_up(services: Services, key: str) -> Caller:
    asked_at = services.keys.clock()
    try:
        caller = await in_thread(authenticate, services, key)
    except Unauthenticated:
        services.keys.drop(key)
        raise
    services.keys.remember(key, caller, asked_at)
    return caller


async def renew_together(services: Services, caller: Caller, generation: int) -> Caller:
    """As `renew`, once for all who ask at the same time; `generation` is the newest one that was seen before."""
    return await services.looks.find((caller.key_id, generation), partial(in_thread, renew, services, caller))


def create_key(
    services: Services,
    *,
    name: str,
    scopes: Iterable[str],
    actor: str,
    development: bool = False,
    person_id: str | None = None,
) -> tuple[KeyRow, str]:
    """Create a key and its audit entry in one transaction; returns the row and the key itself, which is not kept.

    Raises InputRejected, and NotFound where nobody in force has `person_id`."""
    asked = frozenset(scopes)
    _require_creatable(name, asked)
    if person_id is not None:
        with services.database.read() as connection:
            _require_person(connection, person_id)
    key_id = secrets.token_hex(8)
    secret = f"exo_{key_id}_{secrets.token_urlsafe(32)}"
    now = services.clock()
    secret_hmac = keyed_hash(services.pepper, "api-key", secret.encode())
    row = KeyRow(key_id, name, secret_hmac, asked, timestamp(now), None, development, person_id)
    entry = Entry("key.created", now, actor, services.site, record=key_id, out=key_commitment(row))
    services.committer.submit(INSERT_KEYS, row, entry).result()
    return row, secret


def _require_creatable(name: str, asked: frozenset[str]) -> None:
    problems = [
        Problem("/scopes", "unknown_scope", "A scope is not known.", f"Use some of: {', '.join(SCOPES)}.")
        for _ in asked.difference(SCOPES)
    ]
    if not asked:
        problems.append(
            Problem("/scopes", "missing", "A key needs at least one scope.", f"Add one of: {', '.join(SCOPES)}.")
        )
    if _NAME.fullmatch(name) is None or not name.strip():
        problems.append(
            Problem("/name", "invalid_name", "A key's name is 1 to 64 printable ASCII characters.", "Rename it.")
        )
    if problems:
        raise InputRejected("The key was not created.", problems=problems)


def _require_person(connection: ReadConnection, person_id: str) -> None:
    person = person_store.find_person(connection, person_id)
    if person is None or person.revoked_at is not None:
        raise NotFound("No such person, or the person is revoked.", "See exoscore person list.")


def revoke_key(services: Services, *, key_id: str, actor: str) -> None:
    """Revoke a key for good, with its audit entry; raises NotFound for an unknown or already revoked key."""
    entry = Entry("key.revoked", services.clock(), actor, services.site, record=key_id)
    services.committer.submit(REVOKE_KEYS, key_id, entry).result()


def list_keys(database: Database) -> tuple[KeyRow, ...]:
    """All keys, oldest first, revoked ones included; the hashes are in the rows, the keys are nowhere."""
    with database.read() as connection:
        return key_store.list_keys(connection)


def keyed_hash(pepper: bytes, purpose: str, data: bytes) -> bytes:
    """HMAC-SHA-256 of `data` under the pepper, 32 bytes; `purpose` keeps hashes of different kinds apart."""
    hashed = _begun(pepper, purpose).copy()
    hashed.update(data)
    return hashed.digest()


@lru_cache(maxsize=64)
def _begun(pepper: bytes, purpose: str) -> hmac.HMAC:
    """The hash after all that is the same for every piece of data of one kind."""
    return hmac.new(pepper, f"exoscore/{purpose}/v1\0".encode(), "sha256")


class InsertKeys:
    """Writes new keys."""

    changes_registry = False
    alone = False

    def insert(self, transaction: SqlTransaction, rows: Sequence[KeyRow]) -> Sequence[Exception | None]:
        """Insert the keys."""
        for row in rows:
            key_store.insert_key(transaction.connection, row)
        return [None] * len(rows)

    def link(self, transaction: SqlTransaction, rows: Sequence[KeyRow], places: Sequence[Place]) -> None:  # noqa: ARG002
        """Raises NotFound where the person of a key was revoked meanwhile; a key has no row beside its entry."""
        for row in rows:
            if row.person_id is not None:
                _require_person(transaction.connection, row.person_id)


class RevokeKeys:
    """Revokes keys by their ids, at the time that is recorded, and raises the registry generation."""

    changes_registry = True
    alone = False

    def insert(self, transaction: SqlTransaction, rows: Sequence[str]) -> Sequence[Exception | None]:  # noqa: ARG002
        """Nothing is written before the time is known."""
        return [None] * len(rows)

    def link(self, transaction: SqlTransaction, rows: Sequence[str], places: Sequence[Place]) -> None:
        """Revoke the keys; raises NotFound for an unknown or already revoked one."""
        for key_id, place in zip(rows, places, strict=True):
            if not key_store.revoke_key(transaction.connection, key_id, place.recorded_at):
                raise NotFound("No such key, or it is revoked already.", "See exoscore key list.")
            transaction.raise_registry_generation(place.log_id)


INSERT_KEYS, REVOKE_KEYS = InsertKeys(), RevokeKeys()


def key_commitment(row: KeyRow) -> str:
    """What the entry of a key's creation commits to: everything its row says then, salted with its own hash."""
    said = {
        "id": row.key_id,
        "name": row.name,
        "scopes": sorted(row.scopes),
        "created_at": row.created_at,
        "development": row.development,
    }
    if row.person_id is not None:
        said["person"] = row.person_id
    return commitment(row.secret_hmac, canonical_json(said))


def unauthenticated() -> Unauthenticated:
    """What is raised for an absent, unknown, malformed and revoked key."""
    return Unauthenticated("No valid API key was presented.", "Send `Authorization: Bearer KEY` with a key in force.")
