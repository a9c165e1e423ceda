from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.audit.committer import Committer
from service.audit.log import LogWriter
from service.audit.note import Signer
from service.audit.outcome import SilentObserver
from service.store.audit_log import SqlLogStorage
from service.store.engine import Database
from service.workflows.live_registry import LiveRegistry, loader
from service.workflows.services import Services
from tests.registry.artifacts import TRUSTED


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 4, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def signer() -> Signer:
    return Signer.generate()


@contextmanager
def opened(database: Database, clock: Clock, signer: Signer) -> Iterator[Services]:
    """The services of one process."""
    storage = SqlLogStorage(database)
    writer = LogWriter(signer, "test")
    storage.open(writer, site="test", now=clock.now)
    committer = Committer(storage, writer, SilentObserver())
    committer.start()
    registry = LiveRegistry(database, loader(TRUSTED))
    yield Services(
        database=database,
        committer=committer,
        registry=registry,
        publishers=TRUSTED,
        pepper=b"p" * 32,
        site="test",
        idempotency_ttl=timedelta(hours=24),
        clock=clock,
    )
    committer.close()
    registry.close()


@pytest.fixture
def services(database: Database, clock: Clock, signer: Signer) -> Iterator[Services]:
    """The services of a use case on a real database, without models."""
    with opened(database, clock, signer) as services:
        yield services


@pytest.fixture
def replica(services: Services, database_url: str, clock: Clock, signer: Signer) -> Iterator[Services]:
    """The services of a second process on the database of `services`, with a clock of its own."""
    database = Database(database_url)
    its_clock = Clock()
    its_clock.now = clock.now
    with opened(database, its_clock, signer) as replica:
        yield replica
    database.close()


@pytest.fixture
def empty_database(backend: Any) -> Iterator[Database]:
    """A migrated database in which no log was ever begun."""
    url = backend.migrated()
    opened = Database(url)
    yield opened
    opened.close()
    backend.remove(url)
