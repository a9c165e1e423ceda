"""A log in memory that can be told to fail, and a committer over it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from service.audit.committer import Committer
from service.audit.log import Anchor, Head, Leaf, LogWriter, encoded, opened
from service.audit.note import Signer
from service.audit.outcome import SilentObserver
from service.audit.tree import Tile
from service.errors import CommitUnconfirmed, LogDamaged, StorageUnavailable

AT = datetime(2026, 11, 23, 5, 51, 19, 123456, tzinfo=UTC)
ORIGIN = "exoscore/00"


@dataclass
class MemoryState:
    """What a log holds once it is committed."""

    head: Head
    leaves: list[Leaf] = field(default_factory=list)
    tiles: dict[tuple[int, int], bytes] = field(default_factory=dict)
    anchors: list[Anchor] = field(default_factory=list)
    rows: list[object] = field(default_factory=list)

    def copy(self) -> MemoryState:
        return MemoryState(self.head, [*self.leaves], dict(self.tiles), [*self.anchors], [*self.rows])

    def hashes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        if level == 0:
            return [leaf.hash for leaf in self.leaves[start:stop]]
        found = [self.tiles.get((level - 1, index)) for index in range(start, stop)]
        return [root for root in found if root is not None]


class MemoryTransaction:
    """Steps of one transaction, in order, over a copy of the state."""

    def __init__(self, log: MemoryLog) -> None:
        self.log = log
        self.state = log.state.copy()
        self.steps: list[str] = []

    def step(self, name: str) -> None:
        if name == self.log.fail_at:
            raise StorageUnavailable(name)
        self.steps.append(name)

    def lock_head(self) -> Head:
        self.step("lock")
        if self.log.damaged and self.log.transactions > 1:
            raise LogDamaged("damaged")
        return self.state.head

    def reader(self, log_id: int) -> MemoryState:
        return self.state

    def last_anchor(self, log_id: int) -> tuple[int, datetime] | None:
        return (self.state.anchors[-1].size, self.state.anchors[-1].recorded_at) if self.state.anchors else None

    def append(self, log_id: int, start: int, leaves: Sequence[Leaf]) -> None:
        self.step("append")
        assert start == len(self.state.leaves)
        self.state.leaves += leaves

    def add_tiles(self, log_id: int, tiles: Sequence[Tile]) -> None:
        self.state.tiles |= {(tile.level, tile.index): tile.root for tile in tiles}

    def add_anchor(self, log_id: int, anchor: Anchor) -> None:
        self.state.anchors.append(anchor)

    def move_head(self, head: Head) -> None:
        self.step("move")
        self.state.head = head


class MemoryLog:
    """A log in memory: a transaction's effects are kept only where its COMMIT succeeded.

    `fail_at` names the step that raises. `lose_commits` COMMITs end without an answer, with (`keep_lost`) or without
    effect; `away_for` transactions after that cannot be begun.
    """

    def __init__(self, writer: LogWriter) -> None:
        self.state = MemoryState(Head(1, ORIGIN, 0, AT))
        self.fail_at: str | None = None
        self.lose_commits, self.keep_lost, self.away_for = 0, False, 0
        self.damaged = False
        self.steps: list[str] = []
        self.transactions = 0
        with self.transaction() as transaction:
            entry = opened(ORIGIN, AT, "default", "system:service", writer.vkey(ORIGIN), None)
            writer.keep(writer.extend(transaction, self.state.head, (entry,), (encoded(entry),)))
        self.transactions = 0

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        if self.away_for:
            self.away_for -= 1
            raise StorageUnavailable("away")
        self.transactions += 1
        transaction = MemoryTransaction(self)
        yield transaction
        if self.lose_commits:
            self.lose_commits -= 1
            if self.keep_lost:
                self.state = transaction.state
            raise CommitUnconfirmed("lost")
        transaction.step("commit")
        self.state = transaction.state
        self.steps = transaction.steps

    def move_generation(self) -> None:
        """As if another process had revoked a key."""
        self.state.head = replace(self.state.head, generation=self.state.head.generation + 1)


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer.generate()


@pytest.fixture
def writer(signer: Signer) -> LogWriter:
    return LogWriter(signer, "default")


@pytest.fixture
def log(writer: LogWriter) -> MemoryLog:
    return MemoryLog(writer)


@pytest.fixture
def committer(log: MemoryLog, writer: LogWriter) -> Iterator[Committer[MemoryTransaction]]:
    running = Committer(log, writer, SilentObserver())
    running.start()
    yield running
    running.close()
