"""Acknowledge warnings of a version by name, on the signature of a person.

Rules:
1. The signature has the two components of every signature of the registry (`signed`). It is for codes of one exact
   version; a code that the version does not warn of is refused, each by its place.
2. What the same person has acknowledged before is told and not recorded again, so that a request whose answer was lost
   can be sent again; another person may add a signature. Nothing is ever taken back.
3. A version that is retired or was rejected is not put to work any more, and nothing of it is acknowledged.
4. The entry says the codes in clear and commits to a statement with names, meaning and reason, as for a transition
   (`transitions`). It moves nothing, so the registry generation stays as it is.
5. The service acknowledges nothing in its own name but, in development, the warnings of what ships with it
   (`bundled_models`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from service.audit.entry import Entry, commitment, timestamp
from service.audit.log import Place
from service.audit.outcome import Receipt
from service.domain.acknowledgement import Acknowledgement, open_codes
from service.domain.model_life import MAX_CODES, Acknowledging
from service.errors import Conflict, InputRejected, Problem
from service.registry.lifecycle import ENDED
from service.registry.promotion import warning_codes
from service.store.acknowledgements import AcknowledgementRow, insert_acknowledgement
from service.store.audit_log import SqlTransaction
from service.store.engine import ReadConnection
from service.store.models import VersionRow, find_version
from service.workflows.acknowledged import acknowledgements
from service.workflows.artifact_files import read_manifest
from service.workflows.key_cache import Caller
from service.workflows.model_history import ACKNOWLEDGED, Happened, find_acknowledged
from service.workflows.patience import in_thread
from service.workflows.services import Services, new_uuid7
from service.workflows.signed import get_standing, record_signed, sign
from service.workflows.transitions import Signatory


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What came of it: the acknowledgements that were recorded and their receipt (none, and None, where there was
    nothing new), the codes that the person had acknowledged `already`, and those of the version that are still open."""

    version: VersionRow
    made: tuple[Acknowledgement, ...]
    already: tuple[str, ...]
    still_open: tuple[str, ...]
    receipt: Receipt | None


@dataclass(frozen=True, slots=True)
class Draft:
    """Codes that are about to be recorded as acknowledged by `actor`."""

    acknowledgement_id: str
    version: VersionRow
    actor: str
    codes: tuple[str, ...]
    statement: bytes
    salt: bytes


async def acknowledge_warnings(
    services: Services, person_id: str, name: str, version: str, asked: Acknowledging, caller: Caller | None = None
) -> Acknowledged:
    """Acknowledge warnings of a version; returns after COMMIT. `caller` is whose key it came with, if with any.

    Raises SignatureRefused, ModelNotFound, InputRejected for a code the version does not warn of, Conflict where the
    state does not let it, ArtifactRejected where the manifest cannot be read, or SystemFault.
    """
    signed = await sign(services, person_id, asked, caller)
    row, warned, before = await in_thread(_find, services, name, version)
    _require_known(asked.codes, warned)
    own = {code for one in before if one.said["actor"] == signed.signatory.actor for code in one.said["codes"]}
    codes = open_codes(asked.codes, own)
    already = tuple(code for code in dict.fromkeys(asked.codes) if code in own)
    known = {code for one in before for code in one.said["codes"]}
    still_open = open_codes(warned, known | set(codes))
    if not codes:
        return Acknowledged(row, (), already, still_open, None)
    rows, entry = drafted(services, row, codes, signed.signatory)
    receipt = await record_signed(services, signed, ACKNOWLEDGE, rows, entry)
    made = acknowledgements(json.loads(rows.statement), timestamp(receipt.recorded_at))
    return Acknowledged(row, made, already, still_open, receipt)


def acknowledge_open(services: Services, row: VersionRow, signatory: Signatory) -> None:
    """Acknowledge every open warning of a version in the name of a part of the system, in one entry where it can hold
    them; returns after COMMIT. Not for the event loop. Raises as `acknowledge_warnings` does."""
    _, warned, before = _find(services, row.name, row.version)
    codes = open_codes(warned, {code for one in before for code in one.said["codes"]})
    for start in range(0, len(codes), MAX_CODES):
        rows, entry = drafted(services, row, codes[start : start + MAX_CODES], signatory)
        services.committer.submit(ACKNOWLEDGE, rows, entry).result()


def drafted(services: Services, version: VersionRow, codes: Sequence[str], signatory: Signatory) -> tuple[Draft, Entry]:
    """The acknowledgement of codes, and its entry."""
    now, salt = services.clock(), services.new_salt()
    acknowledgement_id = new_uuid7(now)
    said = {
        "v": 1,
        "kind": ACKNOWLEDGED,
        "name": version.name,
        "version": version.version,
        "digest": version.digest,
        "codes": list(codes),
        "actor": signatory.actor,
        "person": signatory.person,
        "printed_name": signatory.printed_name,
        "meaning": signatory.meaning,
        "reason": signatory.reason,
    }
    statement = json.dumps(said, sort_keys=True, separators=(",", ":")).encode("ascii")
    entry = Entry(
        kind=ACKNOWLEDGED,
        at=now,
        actor=signatory.actor,
        site=services.site,
        record=acknowledgement_id,
        model=f"{version.name}@{version.version}",
        model_digest=version.digest,
        out=commitment(salt, statement),
        detail={"codes": list(codes)},
    )
    return Draft(acknowledgement_id, version, signatory.actor, tuple(codes), statement, salt), entry


class AcknowledgeWarnings:
    """Records acknowledgements, once their places in the log are known."""

    changes_registry = False
    alone = False

    def insert(self, transaction: SqlTransaction, rows: Sequence[Draft]) -> Sequence[Exception | None]:  # noqa: ARG002
        """Nothing is written before the head is locked."""
        return [None] * len(rows)

    def link(self, transaction: SqlTransaction, rows: Sequence[Draft], places: Sequence[Place]) -> None:
        """Store the rows; raises Conflict where the version has ended, or the same was acknowledged meanwhile."""
        connection = transaction.connection
        for one, place in zip(rows, places, strict=True):
            _require_standing(connection, one)
            row = AcknowledgementRow(
                one.acknowledgement_id,
                one.version.name,
                one.version.version,
                place.log_id,
                place.seq,
                one.statement,
                one.salt,
            )
            insert_acknowledgement(connection, row)


ACKNOWLEDGE = AcknowledgeWarnings()


def _find(services: Services, name: str, version: str) -> tuple[VersionRow, tuple[str, ...], tuple[Happened, ...]]:
    """A version, the codes that it warns of, and what was acknowledged of it."""
    row, _ = get_standing(services, name, version)
    if row.state in ENDED:
        raise _ended(row)
    manifest, _ = read_manifest(services.database, row.digest)
    with services.database.read() as connection:
        return row, warning_codes(manifest), find_acknowledged(connection, name, version)


def _require_known(codes: Sequence[str], warned: Sequence[str]) -> None:
    remedy = f"Name a warning of this version: {', '.join(warned)}." if warned else "There is nothing to acknowledge."
    problems = [
        Problem(f"/codes/{index}", "unknown_warning", "The version has no warning of this code.", remedy)
        for index, code in enumerate(codes)
        if code not in warned
    ]
    if problems:
        raise InputRejected("The version does not warn of all that was named.", "Mend every problem listed.", problems)


def _require_standing(connection: ReadConnection, one: Draft) -> None:
    version = one.version
    found = find_version(connection, version.name, version.version)
    if found is None or found.digest != version.digest or found.state in ENDED:
        raise _ended(found or version)
    for other in find_acknowledged(connection, version.name, version.version):
        if other.said["actor"] == one.actor and set(other.said["codes"]) & set(one.codes):
            raise Conflict("The same was acknowledged just now, by the same signer.", "Look at the version.")


def _ended(row: VersionRow) -> Conflict:
    return Conflict(
        f"The version is {row.state}: nothing of it is acknowledged any more.",
        "Name a version that can be put to work.",
    )
