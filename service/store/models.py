"""The registry's rows: versions, aliases, transitions, and the bytes of artifacts.

Rules:
1. The bytes of a file are kept by their SHA-256, in parts of `PART_BYTES`: each part is a transaction of its own, so
   that a large file never keeps scores waiting for long, and what is there under the digest without having it, as an
   interrupted upload leaves it, is simply written over.
2. Whoever reads bytes back gets them only where they have their digest.
3. States and aliases are moved under the lock on the head of the log, with the entry that says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import delete, select, update

from service.audit.entry import Entry

from .engine import Database, ReadConnection, WriteConnection
from .log_rows import find_generation
from .tables import artifact_part, audit_entry, audit_log, model_alias, model_transition, model_version

PART_BYTES = 256 * 1024
"""Bytes of one part: about a millisecond of a disk's time."""


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version: the digests of its manifest and of its signature (None where it has none), and its state."""

    name: str
    version: str
    digest: str
    signature_digest: str | None
    state: str


@dataclass(frozen=True, slots=True)
class TransitionRow:
    """One transition as it is stored; `statement` is what the entry `seq` of the log `log_id` commits to."""

    transition_id: str
    name: str
    version: str
    log_id: int
    seq: int
    statement: bytes
    salt: bytes


@dataclass(frozen=True, slots=True)
class RecordedTransition:
    """A transition with the origin of its log and the bytes of its entry."""

    row: TransitionRow
    origin: str
    entry: bytes


@dataclass(frozen=True, slots=True)
class Registered:
    """All versions and aliases (name -> alias -> version) as of one registry generation."""

    generation: int
    versions: tuple[VersionRow, ...]
    aliases: Mapping[str, Mapping[str, str]]


def find_registered(connection: ReadConnection) -> Registered:
    """What is registered now, all of one generation."""
    while True:
        before = find_generation(connection)
        versions = tuple(VersionRow(*row) for row in connection.select(select(model_version)))
        aliases = list_aliases(connection)
        if find_generation(connection) == before:
            return Registered(before, versions, aliases)


def is_empty(connection: ReadConnection) -> bool:
    """Whether nothing is registered."""
    return connection.select(select(model_version.c.name).limit(1)).one_or_none() is None


def list_aliases(connection: ReadConnection, name: str | None = None) -> dict[str, dict[str, str]]:
    """The aliases of one model or of all: name -> alias -> version."""
    statement = select(model_alias).order_by(model_alias.c.name, model_alias.c.alias)
    if name is not None:
        statement = statement.where(model_alias.c.name == name)
    aliases: dict[str, dict[str, str]] = {}
    for model, alias, version in connection.select(statement):
        aliases.setdefault(model, {})[alias] = version
    return aliases


def find_version(connection: ReadConnection, name: str, version: str) -> VersionRow | None:
    """One version."""
    statement = select(model_version).where(model_version.c.name == name, model_version.c.version == version)
    row = connection.select(statement).one_or_none()
    return None if row is None else VersionRow(*row)


def list_versions(connection: ReadConnection, name: str) -> tuple[VersionRow, ...]:
    """All versions of a model, in no particular order."""
    statement = select(model_version).where(model_version.c.name == name)
    return tuple(VersionRow(*row) for row in connection.select(statement))


def insert_version(connection: WriteConnection, row: VersionRow) -> bool:
    """Add a version; False where there is one of that name and version already."""
    values: dict[str, Any] = {
        "name": row.name,
        "version": row.version,
        "digest": row.digest,
        "signature_digest": row.signature_digest,
        "state": row.state,
    }
    statement = connection.insert(model_version).values(values).on_conflict_do_nothing().returning(model_version.c.name)
    return connection.execute(statement).one_or_none() is not None


def set_state(connection: WriteConnection, name: str, version: str, state: str) -> None:
    """Move a version to a state."""
    where = (model_version.c.name == name, model_version.c.version == version)
    connection.execute(update(model_version).where(*where).values(state=state))


def set_alias(connection: WriteConnection, name: str, alias: str, version: str) -> None:
    """Point an alias at a version."""
    statement = connection.insert(model_alias).values(name=name, alias=alias, version=version)
    moved = statement.on_conflict_do_update(
        index_elements=[model_alias.c.name, model_alias.c.alias], set_={"version": version}
    )
    connection.execute(moved)


def delete_aliases(connection: WriteConnection, name: str, aliases: Sequence[str]) -> None:
    """Remove aliases of a model."""
    connection.execute(delete(model_alias).where(model_alias.c.name == name, model_alias.c.alias.in_(aliases)))


def insert_transition(connection: WriteConnection, row: TransitionRow) -> None:
    """Add a transition, once its place in the log is known."""
    connection.execute(
        connection.insert(model_transition).values(
            transition_id=row.transition_id,
            name=row.name,
            version=row.version,
            log_id=row.log_id,
            seq=row.seq,
            statement=row.statement,
            salt=row.salt,
        )
    )


def list_transitions(connection: ReadConnection, name: str) -> tuple[RecordedTransition, ...]:
    """All transitions of a model, in the order in which they were recorded."""
    same = (audit_entry.c.log_id == model_transition.c.log_id) & (audit_entry.c.seq == model_transition.c.seq)
    statement = (
        select(*model_transition.c, audit_log.c.origin, audit_entry.c.entry)
        .join_from(model_transition, audit_entry, same)
        .join(audit_log, audit_log.c.log_id == model_transition.c.log_id)
        .where(model_transition.c.name == name)
        .order_by(model_transition.c.log_id, model_transition.c.seq)
    )
    return tuple(RecordedTransition(TransitionRow(*row[:7]), row[7], row[8]) for row in connection.select(statement))


def list_approvals(connection: ReadConnection) -> tuple[tuple[str, str, bytes], ...]:
    """Name, version and entry of the approval of every version that is approved now."""
    moved = (audit_entry.c.log_id == model_transition.c.log_id) & (audit_entry.c.seq == model_transition.c.seq)
    same = (model_version.c.name == model_transition.c.name) & (model_version.c.version == model_transition.c.version)
    statement = (
        select(model_version.c.name, model_version.c.version, audit_entry.c.entry)
        .join_from(model_version, model_transition, same)
        .join(audit_entry, moved)
        .where(model_version.c.state == "approved")
        .order_by(model_version.c.name, model_version.c.version)
    )
    found = [(name, version, entry) for name, version, entry in connection.select(statement)]
    return tuple(row for row in found if Entry.parse(row[2]).kind == "model.approved")


def was_promoted(connection: ReadConnection, name: str) -> bool:
    """Whether an alias of the model was ever set."""
    same = (audit_entry.c.log_id == model_transition.c.log_id) & (audit_entry.c.seq == model_transition.c.seq)
    statement = select(audit_entry.c.entry).join_from(model_transition, audit_entry, same)
    entries = connection.select(statement.where(model_transition.c.name == name)).scalars()
    return any(Entry.parse(entry).kind == "model.promoted" for entry in entries)


def store_bytes(database: Database, content: bytes) -> str:
    """Keep the bytes of a file, unless they are kept already; their digest, `sha256:` and 64 hex digits."""
    digest = _digest(content)
    with database.read() as connection:
        if read_bytes(connection, digest) is not None:
            return digest
    for part, start in enumerate(range(0, max(len(content), 1), PART_BYTES)):
        piece = content[start : start + PART_BYTES]
        with database.write() as connection:
            statement = connection.insert(artifact_part).values(digest=digest, part=part, content=piece)
            place = [artifact_part.c.digest, artifact_part.c.part]
            connection.execute(statement.on_conflict_do_update(index_elements=place, set_={"content": piece}))
    return digest


def read_bytes(connection: ReadConnection, digest: str) -> bytes | None:
    """The bytes of a file by their digest; None where they are not kept, or are not those any more."""
    statement = select(artifact_part.c.content).where(artifact_part.c.digest == digest).order_by(artifact_part.c.part)
    content = b"".join(connection.select(statement).scalars())
    return content if _digest(content) == digest else None


def _digest(content: bytes) -> str:
    return "sha256:" + sha256(content).hexdigest()
