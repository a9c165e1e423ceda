"""Bring a version to a state or an alias, on the signature of a person.

Rules:
1. The person gives the passphrase again for every signature. A request brings a key that has to belong to the person, a
   command names the person's id: two components either way, as 21 CFR 11.200(a)(1) asks for.
2. Approval takes a second person: not the one who registered the version (`registry.lifecycle`).
3. A version is loaded and tested here before it is approved or given an alias. One that fails changes nothing: what was
   in force stays in force.
4. For a caller it returns when the move is durable and this process answers accordingly; a command answers nobody.
   Other processes follow within two seconds, and until then none of them can record a score under the old state
   (`workflows.live_registry`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from service.audit.entry import Entry, timestamp
from service.audit.outcome import Receipt
from service.domain.model_life import Signing
from service.domain.signature import Signature
from service.errors import ModelNotFound, PersonRequired, RegistryChanged, SignatureRefused
from service.registry.lifecycle import Move, Standing, plan, require_second_person
from service.registry.semver import find_version, is_name
from service.store import models as model_store
from service.store.log_rows import find_generation
from service.store.models import VersionRow
from service.store.persons import find_person
from service.workflows.key_cache import Caller
from service.workflows.model_history import find_registrant
from service.workflows.patience import in_thread
from service.workflows.recording import record_as
from service.workflows.services import Services
from service.workflows.signatures import require_signature
from service.workflows.transitions import MOVE_MODELS, Signatory, Transition, drafted, find_standing


@dataclass(frozen=True, slots=True)
class Moved:
    """What was done: the move, the version as it is now, the signature, and the receipt."""

    move: Move
    version: VersionRow
    signature: Signature
    receipt: Receipt


def require_person(caller: Caller) -> str:
    """The person a key belongs to; raises PersonRequired for the key of a machine."""
    if caller.person_id is None:
        raise PersonRequired(
            "The API key does not belong to a person, and only a person can sign for a version.",
            "Use a key that was made with `exoscore key create --person`.",
        )
    return caller.person_id


async def transition_model(
    services: Services, person_id: str, name: str, version: str, signing: Signing, caller: Caller | None = None
) -> Moved:
    """Make one transition; returns after COMMIT. `caller` is whose key it came with, if with any.

    Raises SignatureRefused, ModelNotFound, Conflict where the state does not let it or somebody else moved the model
    meanwhile, ArtifactRejected, or SystemFault.
    """
    # Read first: a person who is revoked after having signed raises the generation, and the move is not made.
    generation = caller.generation if caller is not None else await in_thread(_generation, services)
    signatory = await in_thread(_signed, services, person_id, signing, caller)
    row, standing = await in_thread(_find, services, name, version)
    move = plan(version, signing.to, standing)
    if move.kind == "model.approved":
        registrant = await in_thread(find_registrant, services.database, name, version)
        require_second_person(registrant, person_id)
    if move.kind in ("model.approved", "model.promoted") and move.after is not None:
        await services.registry.require_usable(row)
    transition, entry = drafted(services, row, move, standing, signatory)
    receipt = await _recorded(services, caller, person_id, generation, transition, entry)
    if caller is not None:
        await services.registry.moved()
    after = row if move.kind == "model.promoted" else replace(row, state=move.after or row.state)
    return Moved(move, after, _shown(signatory, signing, timestamp(receipt.recorded_at)), receipt)


async def _recorded(
    services: Services, caller: Caller | None, person_id: str, generation: int, transition: Transition, entry: Entry
) -> Receipt:
    if caller is not None:
        return await record_as(services, caller, MOVE_MODELS, transition, entry)
    try:
        return await services.record(MOVE_MODELS, transition, entry, generation=generation)
    except RegistryChanged:
        # Something changed, not necessarily this person or this model: both are looked up afresh, once.
        generation = await in_thread(_still_in_force, services, person_id)
        return await services.record(MOVE_MODELS, transition, entry, generation=generation)


def _still_in_force(services: Services, person_id: str) -> int:
    """The registry generation of this moment, in which the person is in force; raises SignatureRefused."""
    generation = _generation(services)
    with services.database.read() as connection:
        row = find_person(connection, person_id)
    if row is None or row.revoked_at is not None:
        raise SignatureRefused("The signature was refused.", "The person was revoked just now.")
    return generation


def _shown(signatory: Signatory, signing: Signing, at: str) -> Signature:
    return Signature(
        kind=signing.to,
        printed_name=signatory.printed_name or "",
        person_id=signatory.person or "",
        meaning=signing.meaning,
        reason=signing.reason,
        at=at,
    )


def _signed(services: Services, person_id: str, signing: Signing, caller: Caller | None) -> Signatory:
    actor = "system:cli" if caller is None else caller.actor
    person = require_signature(services, person_id, signing.passphrase, actor=actor)
    return Signatory(f"person:{person_id}", person_id, person.name, signing.meaning, signing.reason)


def _generation(services: Services) -> int:
    with services.database.read() as connection:
        return find_generation(connection)


def _find(services: Services, name: str, version: str) -> tuple[VersionRow, Standing]:
    if not is_name(name) or find_version(version) is None:  # it may hold what PostgreSQL does not take as a text
        raise _unknown(known=False)
    with services.database.read() as connection:
        found = find_standing(connection, name, version)
        if found is None:
            raise _unknown(known=bool(model_store.list_versions(connection, name)))
        return found


def _unknown(*, known: bool) -> ModelNotFound:
    message = "The model has no such version." if known else "No such model."
    return ModelNotFound(message, "List the models with GET /v1/models and their versions with GET /v1/models/{name}.")
