"""Record something on behalf of a caller, whose key may be revoked meanwhile."""

from __future__ import annotations

from typing import TypeVar

from service.audit.entry import Entry
from service.audit.outcome import Receipt
from service.audit.submissions import NoRows, Writer
from service.errors import RegistryChanged
from service.store.audit_log import SqlTransaction
from service.workflows.key_cache import Caller
from service.workflows.keys import unauthenticated
from service.workflows.premises import KeyInForce
from service.workflows.services import Services

R = TypeVar("R")

NO_ROWS = NoRows()
"""The writer of entries that stand alone."""


async def record_as(
    services: Services, caller: Caller, writer: Writer[SqlTransaction, R], rows: R, entry: Entry
) -> Receipt:
    """Store rows and their entry; returns after COMMIT. Raises as `Services.record` does, and Unauthenticated where the
    caller's key has been revoked since it was looked up."""
    try:
        return await services.record(
            writer, rows, entry, generation=caller.generation, premise=KeyInForce(caller.key_id)
        )
    except RegistryChanged as change:
        raise unauthenticated() from change
