"""Another writer that holds the head of the log, so that whatever is sent meanwhile waits and is written together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import select

from service.store.engine import Database
from service.store.tables import audit_log


@contextmanager
def held_head(url: str) -> Iterator[None]:
    """Hold the head until the block ends."""
    database = Database(url)
    with database.write() as connection:
        connection.execute(select(audit_log).with_for_update())
        yield
    database.close()
