"""Record something on behalf of a caller, whose key may be revoked meanwhile."""

from __future__ import annotations

from typing import TypeVar

from service.audit.entry import Entry
from service.audit.outcome import Receipt
from service.audit.submissions import NoRows, Writer
from service.errors import RegistryChanged
from service.store.audit_log import SqlTransaction
from service.workflows.key_cache import Caller
from service.workflows.keys import renew
from service.workflows.patience import in_thread
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
        return await services.record(writer, rows, entry, generation=caller.generation)
    except RegistryChanged:
        # Something changed, not necessarily this key: it is looked up afresh, once.
        renewed = await in_thread(renew, services, caller)
        return await services.record(writer, rows, entry, generation=renewed.generation)
