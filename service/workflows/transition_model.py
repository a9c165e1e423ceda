"""Bring a version to a state or an alias, on the signature of a person.

Rules:
1. The person gives the passphrase again for every signature. A request brings a key that has to belong to the person, a
   command names the person's id: two components either way, as 21 CFR 11.200(a)(1) asks for.
2. Approval takes a second person: not the one who registered the version (`registry.lifecycle`).
3. A version answers under a name only when every warning of its manifest was acknowledged and its card says what it
   must (`registry.promotion`).
4. A version is loaded and tested here before it is approved or given an alias. One that fails changes nothing: what was
   in force stays in force.
5. For a caller it returns when the move is durable and this process answers accordingly; a command answers nobody.
   Other processes follow within two seconds, and until then none of them can record a score under the old state
   (`workflows.live_registry`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from service.audit.entry import timestamp
from service.audit.outcome import Receipt
from service.domain.model_life import Signing
from service.domain.signature import Signature
from service.registry.lifecycle import Move, plan, require_second_person
from service.store.models import VersionRow
from service.workflows.key_cache import Caller
from service.workflows.model_history import find_registrant
from service.workflows.patience import in_thread
from service.workflows.services import Services
from service.workflows.signed import get_standing, record_signed, sign
from service.workflows.transitions import MOVE_MODELS, Signatory, drafted, promoted_over


@dataclass(frozen=True, slots=True)
class Moved:
    """What was done: the move, the version as it is now, the signature, and the receipt."""

    move: Move
    version: VersionRow
    signature: Signature
    receipt: Receipt


async def transition_model(
    services: Services, person_id: str, name: str, version: str, signing: Signing, caller: Caller | None = None
) -> Moved:
    """Make one transition; returns after COMMIT. `caller` is whose key it came with, if with any.

    Raises SignatureRefused, ModelNotFound, Conflict where the state does not let it or somebody else moved the model
    meanwhile, PromotionRefused, ArtifactRejected, or SystemFault.
    """
    signed = await sign(services, person_id, signing, caller)
    row, standing = await in_thread(get_standing, services, name, version)
    move = plan(version, signing.to, standing)
    if move.kind == "model.approved":
        registrant = await in_thread(find_registrant, services.database, name, version)
        require_second_person(registrant, person_id)
    over = await in_thread(promoted_over, services.database, row, move, standing)
    if move.kind in ("model.approved", "model.promoted") and move.after is not None:
        await services.registry.require_usable(row)
    transition, entry = drafted(services, row, move, standing, signed.signatory, over)
    receipt = await record_signed(services, signed, MOVE_MODELS, transition, entry)
    if caller is not None:
        await services.registry.moved()
    after = row if move.kind == "model.promoted" else replace(row, state=move.after or row.state)
    return Moved(move, after, _shown(signed.signatory, signing, timestamp(receipt.recorded_at)), receipt)


def _shown(signatory: Signatory, signing: Signing, at: str) -> Signature:
    return Signature(
        kind=signing.to,
        printed_name=signatory.printed_name or "",
        person_id=signatory.person or "",
        meaning=signing.meaning,
        reason=signing.reason,
        at=at,
    )
