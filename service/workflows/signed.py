"""What a person signs for, from the passphrase to the record: the same for every use case of the registry.

Nothing is recorded for a person who was revoked after having signed. Who signs with a key has no key in force then
(`persons`, rule 4), and the key is asked for under the lock on the head. Who signs on the command line is looked up
again where the registry generation has moved since before the passphrase was checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

from service.audit.entry import Entry
from service.audit.outcome import Receipt
from service.audit.submissions import Writer
from service.errors import ModelNotFound, PersonRequired, RegistryChanged, SignatureRefused
from service.registry.lifecycle import Standing
from service.registry.semver import find_version, is_name
from service.store import models as model_store
from service.store.audit_log import SqlTransaction
from service.store.log_rows import find_generation
from service.store.models import VersionRow
from service.store.persons import find_person
from service.workflows.key_cache import Caller
from service.workflows.patience import in_thread
from service.workflows.recording import record_as
from service.workflows.services import Services
from service.workflows.signatures import require_signature
from service.workflows.transitions import Signatory, find_standing

R = TypeVar("R")


class Asked(Protocol):
    """What a person asks for with a signature."""

    @property
    def reason(self) -> str:
        """Why."""
        ...

    @property
    def meaning(self) -> str:
        """What the signature means."""
        ...

    @property
    def passphrase(self) -> str:
        """The person's."""
        ...


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that was found right: of whom, under which registry generation, and with whose key, if with any."""

    person_id: str
    signatory: Signatory
    generation: int
    caller: Caller | None


def require_person(caller: Caller) -> str:
    """The person a key belongs to; raises PersonRequired for the key of a machine."""
    if caller.person_id is None:
        raise PersonRequired(
            "The API key does not belong to a person, and only a person can sign for a version.",
            "Use a key that was made with `exoscore key create --person`.",
        )
    return caller.person_id


async def sign(services: Services, person_id: str, asked: Asked, caller: Caller | None) -> Signed:
    """The signature of a person for what is `asked`; raises as `require_signature` does."""
    generation = caller.generation if caller is not None else await in_thread(_generation, services)
    signatory = await in_thread(_signatory, services, person_id, asked, caller)
    return Signed(person_id, signatory, generation, caller)


async def record_signed(
    services: Services, signed: Signed, writer: Writer[SqlTransaction, R], rows: R, entry: Entry
) -> Receipt:
    """Store what was signed for, and its entry; returns after COMMIT. Raises as `Services.record` does, and
    Unauthenticated or SignatureRefused where the key or the person was revoked since."""
    if signed.caller is not None:
        return await record_as(services, signed.caller, writer, rows, entry)
    try:
        return await services.record(writer, rows, entry, generation=signed.generation)
    except RegistryChanged:
        # Something changed, not necessarily this person or this model: both are looked up afresh, once.
        generation = await in_thread(_still_in_force, services, signed.person_id)
        return await services.record(writer, rows, entry, generation=generation)


def get_standing(services: Services, name: str, version: str) -> tuple[VersionRow, Standing]:
    """A version and how things stand with it; raises ModelNotFound."""
    if not is_name(name) or find_version(version) is None:  # it may hold what PostgreSQL does not take as a text
        raise _unknown(known=False)
    with services.database.read() as connection:
        found = find_standing(connection, name, version)
        if found is None:
            raise _unknown(known=bool(model_store.list_versions(connection, name)))
        return found


def _signatory(services: Services, person_id: str, asked: Asked, caller: Caller | None) -> Signatory:
    actor = "system:cli" if caller is None else caller.actor
    person = require_signature(services, person_id, asked.passphrase, actor=actor)
    return Signatory(f"person:{person_id}", person_id, person.name, asked.meaning, asked.reason)


def _still_in_force(services: Services, person_id: str) -> int:
    """The registry generation of this moment, in which the person is in force; raises SignatureRefused."""
    generation = _generation(services)
    with services.database.read() as connection:
        row = find_person(connection, person_id)
    if row is None or row.revoked_at is not None:
        raise SignatureRefused("The signature was refused.", "The person was revoked just now.")
    return generation


def _generation(services: Services) -> int:
    with services.database.read() as connection:
        return find_generation(connection)


def _unknown(*, known: bool) -> ModelNotFound:
    message = "The model has no such version." if known else "No such model."
    return ModelNotFound(message, "List the models with GET /v1/models and their versions with GET /v1/models/{name}.")
