"""Moves of the registry on their way into the log: the statement that is signed for, its entry, and the rows it moves.

Rules:
1. A statement is one JSON object, ASCII, keys sorted: what was done, to which digest, by whom (with the printed name
   and the meaning of the signature, 21 CFR 11.50), and why. The entry commits to its bytes and says in clear what was
   moved, so the log alone tells which version was in force when; free text and names stand in the statement only.
2. A move is planned on what was read before, and made only if that is still so under the lock on the head: of two
   that were planned on the same state one wins. What was acknowledged can only become more, so a promotion that was
   planned on it holds as long as none of it is gone.
3. Every move raises the registry generation.
4. The statement of a promotion to an alias that serves names the `warnings` that had to be acknowledged for it. One
   without them was made before there were acknowledgements; it stays in force.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.audit.entry import Entry, commitment
from service.audit.log import Place
from service.errors import Conflict, RecordDamaged, VersionExists
from service.registry.lifecycle import Move, Standing
from service.registry.promotion import require_fit, serves, warning_codes
from service.registry.semver import find_version
from service.store import models as model_store
from service.store.audit_log import SqlTransaction
from service.store.engine import Database, ReadConnection
from service.store.models import TransitionRow, VersionRow
from service.workflows.artifact_files import read_manifest
from service.workflows.model_history import find_acknowledged
from service.workflows.services import Services, new_uuid7


@dataclass(frozen=True, slots=True)
class Signatory:
    """Who makes a move: the actor of its entry; the person, the printed name and the meaning of the signature where a
    person makes it; and the reason given."""

    actor: str
    person: str | None = None
    printed_name: str | None = None
    meaning: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """A move that is about to be recorded. `standing` is what it was planned on; None for a version that is new."""

    transition_id: str
    version: VersionRow
    move: Move
    standing: Standing | None
    statement: bytes
    salt: bytes


def find_standing(connection: ReadConnection, name: str, version: str) -> tuple[VersionRow, Standing] | None:
    """A version and how things stand with it; None where there is no such version. Raises RecordDamaged where an
    acknowledgement of it is not the one that was recorded."""
    row = model_store.find_version(connection, name, version)
    if row is None:
        return None
    signed = find_acknowledged(connection, name, version)
    codes = frozenset(code for one in signed if one.said["digest"] == row.digest for code in one.said["codes"])
    return row, Standing(row.state, model_store.list_aliases(connection, name).get(name, {}), codes)


def promoted_over(database: Database, version: VersionRow, move: Move, standing: Standing) -> dict[str, Any]:
    """What the statement of a move says of warnings (rule 4): nothing, but for a promotion to an alias that serves.

    Raises PromotionRefused where one is not acknowledged or a required field of the card is missing, ArtifactRejected
    where the manifest cannot be read."""
    if not serves(move):
        return {}
    manifest, _ = read_manifest(database, version.digest)
    require_fit(manifest, standing.acknowledged)
    return {"warnings": list(warning_codes(manifest))}


def drafted(
    services: Services,
    version: VersionRow,
    move: Move,
    standing: Standing | None,
    signatory: Signatory,
    details: dict[str, Any] | None = None,
) -> tuple[Transition, Entry]:
    """The transition of a move, and its entry; `details` are further parts of the statement."""
    now, salt = services.clock(), services.new_salt()
    transition_id = new_uuid7(now)
    said = {
        "v": 1,
        "kind": move.kind,
        "name": version.name,
        "version": version.version,
        "digest": version.digest,
        "signature_digest": version.signature_digest,
        "actor": signatory.actor,
        "person": signatory.person,
        "printed_name": signatory.printed_name,
        "meaning": signatory.meaning,
        "reason": signatory.reason,
        **moved(move),
        **(details or {}),
    }
    statement = json.dumps(said, sort_keys=True, separators=(",", ":")).encode("ascii")
    entry = Entry(
        kind=move.kind,
        at=now,
        actor=signatory.actor,
        site=services.site,
        record=transition_id,
        model=f"{version.name}@{version.version}",
        model_digest=version.digest,
        out=commitment(salt, statement),
        detail=moved(move),
    )
    return Transition(transition_id, version, move, standing, statement, salt), entry


def moved(move: Move) -> dict[str, Any]:
    """What a move does, as entry and statement say it."""
    said: dict[str, Any] = {"from": move.before, "to": move.after}
    if move.alias is not None:
        said["alias"] = move.alias
    if move.dropped:
        said["dropped"] = list(move.dropped)
    return said


class MoveModels:
    """Makes moves, once their places in the log are known."""

    changes_registry = True
    alone = False

    def insert(self, transaction: SqlTransaction, rows: Sequence[Transition]) -> Sequence[Exception | None]:  # noqa: ARG002
        """Nothing is written before the head is locked."""
        return [None] * len(rows)

    def link(self, transaction: SqlTransaction, rows: Sequence[Transition], places: Sequence[Place]) -> None:
        """Make the moves; raises Conflict where what one was planned on has changed (rule 2)."""
        for one, place in zip(rows, places, strict=True):
            self._make(transaction, one)
            version = one.version
            model_store.insert_transition(
                transaction.connection,
                TransitionRow(
                    one.transition_id, version.name, version.version, place.log_id, place.seq, one.statement, one.salt
                ),
            )
            transaction.raise_registry_generation(place.log_id)

    def _make(self, transaction: SqlTransaction, one: Transition) -> None:
        connection, version, move = transaction.connection, one.version, one.move
        if one.standing is None:
            if _has_twin(connection, version) or not model_store.insert_version(connection, version):
                raise VersionExists("The version was registered just now.", "Look at it before you go on.")
            return
        found = find_standing(connection, version.name, version.version)
        if found is None or _at_stake(*found, move) != _at_stake(version, one.standing, move):
            raise Conflict("The model was moved by somebody else just now.", "Look at it, and decide again.")
        if serves(move) and not one.standing.acknowledged <= found[1].acknowledged:
            raise RecordDamaged("What was acknowledged of the version is gone.", "Have the audit log verified.")
        if move.alias is not None and move.after is not None:
            model_store.set_alias(connection, version.name, move.alias, move.after)
        elif move.after is not None:
            model_store.set_state(connection, version.name, version.version, move.after)
        if move.dropped:
            model_store.delete_aliases(connection, version.name, move.dropped)


def _has_twin(connection: ReadConnection, version: VersionRow) -> bool:
    """Whether a version of the model is registered that has no order with this one."""
    others = model_store.list_versions(connection, version.name)
    return any(find_version(other.version) == find_version(version.version) for other in others)


def _at_stake(version: VersionRow, standing: Standing, move: Move) -> tuple[object, ...]:
    """What a move was planned on: the version, where its alias points, and which aliases point to it."""
    pointing = {alias for alias, target in standing.aliases.items() if target == version.version}
    return version, standing.aliases.get(move.alias or ""), pointing


MOVE_MODELS = MoveModels()
