"""The committer's rules, each against a storage in memory that can be told to fail at one step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest

from service.audit.committer import Committer, Head, NoRows, Receipt, SilentObserver
from service.audit.entry import Entry, leaf_hash
from service.errors import Conflict, LogDamaged, Overloaded, ShuttingDown, StorageUnavailable

AT = datetime(2026, 11, 23, 5, 51, 19, 123456, tzinfo=UTC)
ENTRY = Entry("score.reported", AT, "key:k1", "default")


class MemoryTransaction:
    """Steps of one transaction, in order, and what it would append."""

    def __init__(self, head: Head, fail_at: str | None) -> None:
        self.head = head
        self.fail_at = fail_at
        self.steps: list[str] = []
        self.appended: list[tuple[int, bytes, bytes]] = []

    def step(self, name: str) -> None:
        if name == self.fail_at:
            raise StorageUnavailable(name)
        self.steps.append(name)

    def lock_head(self) -> Head:
        self.step("lock")
        return self.head

    def append(self, log_id: int, seq: int, leaf: bytes, entry: bytes) -> None:
        self.step("append")
        self.appended.append((seq, leaf, entry))

    def move_head(self, head: Head) -> None:
        self.step("move")
        self.head = head


class MemoryLog:
    """A log in memory: a transaction's effects are kept only where its COMMIT succeeded."""

    def __init__(self) -> None:
        self.head = Head(1, "exoscore/00", 1, AT)
        self.entries: list[tuple[int, bytes, bytes]] = []
        self.steps: list[str] = []
        self.fail_at: str | None = None

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        transaction = MemoryTransaction(self.head, self.fail_at)
        yield transaction
        transaction.step("commit")
        self.head = transaction.head
        self.entries += transaction.appended
        self.steps = transaction.steps


class NamedRows:
    """Rows that leave their steps in the transaction."""

    def insert(self, transaction: MemoryTransaction) -> None:
        transaction.step("insert")

    def link(self, transaction: MemoryTransaction, log_id: int, seq: int) -> None:
        transaction.step(f"link {log_id} {seq}")


class HeldRows(NoRows):
    """Rows whose insertion waits until the test lets it go on."""

    def __init__(self) -> None:
        self.reached = Event()
        self.released = Event()

    def insert(self, transaction: object) -> None:
        self.reached.set()
        assert self.released.wait(30)


class Raising(NoRows):
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def insert(self, transaction: object) -> None:
        raise self.error


class ListObserver:
    def __init__(self) -> None:
        self.seen: list[object] = []

    def committed(self, receipt: Receipt, clock_behind: timedelta) -> None:
        self.seen.append((receipt.index, clock_behind))

    def failed(self, error: BaseException) -> None:
        self.seen.append(type(error))


class BrokenObserver:
    def committed(self, receipt: Receipt, clock_behind: timedelta) -> None:
        raise RuntimeError

    def failed(self, error: BaseException) -> None:
        raise RuntimeError


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def committer(log: MemoryLog) -> Iterator[Committer[MemoryTransaction]]:
    running = Committer(log, SilentObserver())
    running.start()
    yield running
    running.close()


def test_the_steps_come_in_this_order(log: MemoryLog, committer: Committer[MemoryTransaction]) -> None:
    receipt = committer.submit(NamedRows(), ENTRY).result()
    assert log.steps == ["insert", "lock", "append", "move", "link 1 1", "commit"]
    assert receipt == Receipt(1, "exoscore/00", 1, AT)
    assert log.entries == [(1, leaf_hash(ENTRY.encode()), ENTRY.encode())]
    assert log.head == Head(1, "exoscore/00", 2, AT)


@pytest.mark.parametrize("step", ["insert", "lock", "append", "move", "link 1 1", "commit"])
def test_a_failure_at_any_step_reaches_its_future_alone(
    log: MemoryLog, committer: Committer[MemoryTransaction], step: str
) -> None:
    log.fail_at = step
    assert isinstance(committer.submit(NamedRows(), ENTRY).exception(), StorageUnavailable)
    assert (log.head.size, log.entries) == (1, [])
    log.fail_at = None
    assert committer.submit(NamedRows(), ENTRY).result().index == 1


@pytest.mark.parametrize(
    "error", [LookupError("a"), SystemExit(3), KeyboardInterrupt()], ids=lambda e: type(e).__name__
)
def test_errors_arrive_as_they_were_raised(committer: Committer[MemoryTransaction], error: BaseException) -> None:
    assert committer.submit(Raising(error), ENTRY).exception() is error
    assert committer.submit(NoRows(), ENTRY).result().index == 1


def test_an_entry_that_cannot_be_encoded_fails_alone(committer: Committer[MemoryTransaction]) -> None:
    with pytest.raises(ValueError, match="text"):
        committer.submit(NoRows(), Entry("score.read", AT, "key:k1", "Zürich")).result()
    assert committer.submit(NoRows(), ENTRY).result().index == 1


@pytest.mark.parametrize(
    ("behind", "recorded"),
    [(timedelta(seconds=2), AT), (timedelta(0), AT), (timedelta(seconds=-2), AT + timedelta(seconds=2))],
    ids=["behind", "equal", "ahead"],
)
def test_time_never_runs_backwards(log: MemoryLog, behind: timedelta, recorded: datetime) -> None:
    observer = ListObserver()
    committer = Committer(log, observer)
    committer.start()
    entry = Entry("score.read", AT - behind, "key:k1", "default")
    receipt = committer.submit(NoRows(), entry).result()
    committer.close()
    assert receipt.recorded_at == recorded == log.head.last_recorded_at
    assert json.loads(log.entries[0][2])["at"] == recorded.isoformat().replace("+00:00", "Z")
    assert observer.seen == [(1, max(behind, timedelta(0)))]


def test_a_full_queue_takes_nothing_in(log: MemoryLog) -> None:
    observer = ListObserver()
    committer = Committer(log, observer, capacity=1)
    committer.start()
    held = HeldRows()
    first = committer.submit(held, ENTRY)
    assert held.reached.wait(30)
    second = committer.submit(NoRows(), ENTRY)
    with pytest.raises(Overloaded):
        committer.submit(NoRows(), ENTRY)
    held.released.set()
    committer.close()
    assert [first.result().index, second.result().index] == [1, 2]
    assert log.head.size == 3
    assert observer.seen == [Overloaded, (1, timedelta(0)), (2, timedelta(0))]


def test_cancelled_submissions_are_left_out_and_harm_nobody(log: MemoryLog) -> None:
    observer = ListObserver()
    committer = Committer(log, observer)
    committer.start()
    held = HeldRows()
    running = committer.submit(held, ENTRY)
    cancelled = committer.submit(NoRows(), ENTRY)
    other = committer.submit(NoRows(), ENTRY)
    assert held.reached.wait(30)
    assert cancelled.cancel()
    assert not running.cancel()
    held.released.set()
    assert (running.result().index, other.result().index) == (1, 2)
    with pytest.raises(CancelledError):
        cancelled.result()
    committer.close()
    assert len(log.entries) == 2
    assert observer.seen == [(1, timedelta(0)), (2, timedelta(0))]


def test_failures_are_observed(log: MemoryLog) -> None:
    observer = ListObserver()
    committer = Committer(log, observer)
    committer.start()
    committer.submit(Raising(LookupError()), ENTRY)
    committer.close()
    assert observer.seen == [LookupError]


def test_an_observer_that_raises_changes_nothing(log: MemoryLog) -> None:
    committer = Committer(log, BrokenObserver())
    committer.start()
    futures = [committer.submit(rows, ENTRY) for rows in (NoRows(), Raising(LookupError()), NoRows())]
    committer.close()
    assert (futures[0].result().index, futures[2].result().index) == (1, 2)
    assert isinstance(futures[1].exception(), LookupError)


def test_closing_writes_what_is_waiting(log: MemoryLog) -> None:
    committer = Committer(log, SilentObserver())
    committer.start()
    futures = [committer.submit(Raising(LookupError()) if number == 7 else NoRows(), ENTRY) for number in range(20)]
    committer.close()
    assert all(future.done() for future in futures)
    assert len(log.entries) == 19
    committer.close()


@pytest.mark.parametrize("started", [False, True], ids=["never started", "closed"])
def test_nothing_is_taken_in_unless_it_runs(log: MemoryLog, started: bool) -> None:
    committer = Committer(log, SilentObserver())
    if started:
        committer.start()
    committer.close()
    with pytest.raises(ShuttingDown):
        committer.submit(NoRows(), ENTRY)


class Ticking:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_submission_whose_caller_has_given_up_is_not_stored() -> None:
    clock = Ticking()
    committer = Committer(MemoryLog(), SilentObserver(), clock=clock)
    entered, leave = Event(), Event()

    class Slow(NoRows):
        def insert(self, transaction: object) -> None:
            entered.set()
            leave.wait(10)

    committer.start()
    slow = committer.submit(Slow(), ENTRY)
    late = committer.submit(NoRows(), ENTRY)
    entered.wait(10)
    clock.now += 3.1
    leave.set()
    assert slow.result().index == 1
    with pytest.raises(Overloaded, match="waited too long"):
        late.result()
    assert committer.submit(NoRows(), ENTRY).result().index == 2
    committer.close()


class FailingRows(NoRows):
    """Rows whose insertion raises."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def insert(self, transaction: object) -> None:
        raise self.error


def fail(committer: Committer[MemoryTransaction], error: Exception) -> None:
    with pytest.raises(type(error)):
        committer.submit(FailingRows(error), ENTRY).result()


@pytest.mark.parametrize(
    ("error", "well"),
    [(StorageUnavailable("Away."), False), (LogDamaged("Short."), False), (Conflict("Taken."), True)],
    ids=["storage away", "log damaged", "refusal"],
)
def test_what_the_service_cannot_help_makes_it_unwell_and_a_refusal_does_not(error: Exception, well: bool) -> None:
    committer = Committer(MemoryLog(), SilentObserver())
    committer.start()
    fail(committer, error)
    assert committer.well is well
    committer.close()


def test_a_failed_write_makes_it_unwell_until_one_succeeds_or_time_passes() -> None:
    clock = Ticking()
    committer = Committer(MemoryLog(), SilentObserver(), clock=clock)
    assert not committer.well
    committer.start()
    assert committer.well
    fail(committer, StorageUnavailable("Away."))
    assert not committer.well
    committer.submit(NoRows(), ENTRY).result()
    assert committer.well
    fail(committer, StorageUnavailable("Away."))
    clock.now += 9.9
    assert not committer.well
    clock.now += 0.2
    assert committer.well
    committer.close()
    assert not committer.well
