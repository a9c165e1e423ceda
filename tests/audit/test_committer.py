"""The committer's rules, each against a log in memory that can be told to fail at one step."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest

from service.audit.committer import STUCK, Committer
from service.audit.entry import Entry
from service.audit.log import LogWriter, Place
from service.audit.note import open_checkpoint
from service.audit.outcome import Batch, Receipt, SilentObserver, Take, ThreadInbox
from service.audit.submissions import BATCH, BATCH_BYTES, CAPACITY_BYTES, HALF, NoRows
from service.errors import (
    CommitUnconfirmed,
    Conflict,
    LogDamaged,
    LogForked,
    Overloaded,
    RegistryChanged,
    RowRefused,
    ShuttingDown,
    StorageUnavailable,
)

AT = datetime(2026, 11, 23, 5, 51, 19, 123456, tzinfo=UTC)
ENTRY = Entry("score.reported", AT, "key:k1", "default")
NO_ROWS = NoRows()


class StepRows:
    """Leaves its steps in the transaction, and its rows in the state."""

    changes_registry = False
    alone = False

    def insert(self, transaction: Any, rows: Sequence[object]) -> list[Exception | None]:
        transaction.step("insert")
        transaction.state.rows += rows
        return [None] * len(rows)

    def link(self, transaction: Any, rows: Sequence[object], places: Sequence[Place]) -> None:
        transaction.step(f"link {[place.seq for place in places]}")


class Raising(StepRows):
    """Raises every row that is an exception, refuses those that come in a tuple."""

    def insert(self, transaction: Any, rows: Sequence[object]) -> list[Exception | None]:
        for row in rows:
            if isinstance(row, BaseException):
                raise row
        return [row[0] if isinstance(row, tuple) else None for row in rows]


class HeldRows(StepRows):
    """Rows whose insertion waits until the test lets it go on."""

    def __init__(self) -> None:
        self.reached = Event()
        self.released = Event()

    def insert(self, transaction: Any, rows: Sequence[object]) -> list[Exception | None]:
        self.reached.set()
        assert self.released.wait(30)
        return super().insert(transaction, rows)


class Changing(StepRows):
    changes_registry = True


class Alone(StepRows):
    alone = True


RAISING, STEPS, ALONE = Raising(), StepRows(), Alone()


class ListObserver:
    def __init__(self) -> None:
        self.seen: list[object] = []

    def committed(self, batch: Batch) -> None:
        self.seen.append((batch.size, batch.entries, batch.behind))

    def failed(self, error: BaseException) -> None:
        self.seen.append(type(error))


class BrokenObserver:
    def committed(self, batch: Batch) -> None:
        raise RuntimeError

    def failed(self, error: BaseException) -> None:
        raise RuntimeError


class Ticking:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def held(committer: Committer[Any], submit: Callable[[], list[Future[Receipt]]]) -> list[Future[Receipt]]:
    """What `submit` submits while the thread is busy, so that it becomes one batch; settled when this returns."""
    busy = HeldRows()
    committer.submit(busy, 0, ENTRY)
    assert busy.reached.wait(30)
    futures = submit()
    busy.released.set()
    for future in futures:
        if not future.cancelled():
            future.exception(30)
    return futures


def test_the_steps_come_in_this_order(log: Any, committer: Committer[Any], writer: LogWriter) -> None:
    receipt = committer.submit(STEPS, "row", ENTRY).result()
    assert log.steps == ["insert", "lock", "append", "move", "link [1]", "commit"]
    assert receipt == Receipt(1, log.state.head.origin, 1, AT, log.state.head.note, 0)
    assert [leaf.entry for leaf in log.state.leaves[1:]] == [ENTRY.encode()]
    assert log.state.rows == ["row"]
    assert open_checkpoint(receipt.note, writer.vkey(receipt.origin)).size == 2


@pytest.mark.parametrize("step", ["insert", "lock", "append", "move", "link [1]", "commit"])
def test_a_failure_at_any_step_reaches_its_future_alone(log: Any, committer: Committer[Any], step: str) -> None:
    log.fail_at = step
    assert isinstance(committer.submit(STEPS, 0, ENTRY).exception(), StorageUnavailable)
    assert (log.state.head.size, len(log.state.leaves)) == (1, 1)
    log.fail_at = None
    assert committer.submit(STEPS, 0, ENTRY).result().index == 1


@pytest.mark.parametrize(
    "error", [LookupError("a"), SystemExit(3), KeyboardInterrupt()], ids=lambda e: type(e).__name__
)
def test_errors_arrive_as_they_were_raised(committer: Committer[Any], error: BaseException) -> None:
    assert committer.submit(RAISING, error, ENTRY).exception() is error
    assert committer.submit(NO_ROWS, None, ENTRY).result().index == 1


def test_what_waits_shares_one_transaction_and_one_signature(log: Any, committer: Committer[Any]) -> None:
    futures = held(committer, lambda: [committer.submit(STEPS, n, ENTRY) for n in range(BATCH)])
    assert log.transactions == 2
    assert [future.result().index for future in futures] == list(range(2, BATCH + 2))
    assert len({future.result().note for future in futures}) == 1
    assert log.state.rows == [0, *range(BATCH)]


def test_a_transaction_carries_no_more_than_a_batch(log: Any, committer: Committer[Any]) -> None:
    held(committer, lambda: [committer.submit(STEPS, n, ENTRY) for n in range(BATCH + 1)])
    assert log.transactions == 3
    assert log.state.head.size == BATCH + 3


@pytest.mark.parametrize(("waiting", "carried"), [(1, [1]), (4, [4]), (7, [4, 3]), (31, [16, 15]), (96, [49, 47])])
def test_one_half_is_committed_while_the_other_is_scored(
    log: Any, writer: LogWriter, waiting: int, carried: list[int]
) -> None:
    observer = ListObserver()
    committer = Committer(log, writer, observer, share=HALF)
    committer.start()
    futures = held(committer, lambda: [committer.submit(STEPS, n, ENTRY) for n in range(waiting)])
    assert [future.result().index for future in futures] == list(range(2, waiting + 2))
    committer.close()
    assert [entries for _, entries, _ in observer.seen] == [1, *carried]


def test_who_comes_back_first_waits_for_company_and_who_comes_alone_does_not(log: Any, writer: LogWriter) -> None:
    committer = Committer(log, writer, SilentObserver(), gather=30.0)
    committer.start()
    committer.submit(STEPS, 0, ENTRY).result(10)
    held(committer, lambda: [committer.submit(STEPS, n, ENTRY) for n in range(8)])
    assert log.transactions == 3
    back = [committer.submit(STEPS, n, ENTRY) for n in range(4)]
    assert [future.result(10).index for future in back] == [11, 12, 13, 14]
    assert log.transactions == 4
    committer.close()


def test_company_that_does_not_come_is_not_waited_for(log: Any, writer: LogWriter) -> None:
    committer = Committer(log, writer, SilentObserver(), gather=0.01)
    committer.start()
    held(committer, lambda: [committer.submit(STEPS, n, ENTRY) for n in range(8)])
    assert committer.submit(STEPS, 0, ENTRY).result(10).index == 10
    committer.close()


class LateInbox(ThreadInbox):
    """Hands nothing over before the test says so."""

    def hand_over(self, submission: Any, take: Take) -> None:
        self.late = lambda: take([submission])


def test_what_is_handed_over_after_the_end_is_refused_and_not_forgotten(log: Any, writer: LogWriter) -> None:
    committer, inbox = Committer(log, writer, SilentObserver()), LateInbox()
    committer.start()
    waiting = committer.submit(STEPS, 0, ENTRY, inbox=inbox)
    hand_over_waiting = inbox.late
    gone = committer.submit(STEPS, 0, ENTRY, inbox=inbox)
    gone.cancel()
    committer.close()
    hand_over_waiting()
    inbox.late()
    assert isinstance(waiting.exception(10), ShuttingDown)
    assert gone.cancelled()
    assert log.state.head.size == 1


@pytest.mark.parametrize("poison", [LookupError("a"), RowRefused("b"), Conflict("c")], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("position", [0, 5, 63])
def test_a_poisoned_item_fails_alone(log: Any, committer: Committer[Any], poison: Exception, position: int) -> None:
    def submit() -> list[Future[Receipt]]:
        return [committer.submit(RAISING, poison if n == position else n, ENTRY) for n in range(64)]

    futures = held(committer, submit)
    assert futures[position].exception() is poison
    good = [future.result().index for n, future in enumerate(futures) if n != position]
    assert good == list(range(2, 65))


def test_what_has_to_go_alone_goes_alone_and_in_its_turn(log: Any, committer: Committer[Any]) -> None:
    writers = [STEPS, STEPS, ALONE, ALONE, STEPS, ALONE]
    futures = held(committer, lambda: [committer.submit(writer, n, ENTRY) for n, writer in enumerate(writers)])
    assert [future.result().index for future in futures] == list(range(2, 8))
    assert log.transactions == 1 + 5


def test_an_entry_that_cannot_be_encoded_fails_alone(committer: Committer[Any]) -> None:
    wrong = Entry("score.read", AT, "key:k1", "Zürich")
    bad, good = held(committer, lambda: [committer.submit(NO_ROWS, None, entry) for entry in (wrong, ENTRY)])
    assert isinstance(bad.exception(), ValueError)
    assert good.result().index == 2


def test_a_refused_row_costs_the_others_nothing(log: Any, committer: Committer[Any]) -> None:
    refusal = Conflict("lost")
    rows = ["a", (refusal,), "b"]
    futures = held(committer, lambda: [committer.submit(RAISING, row, ENTRY) for row in rows])
    assert futures[1].exception() is refusal
    assert [futures[n].result().index for n in (0, 2)] == [2, 3]
    assert log.transactions == 2


def test_a_batch_of_refused_rows_adds_nothing(log: Any, committer: Committer[Any]) -> None:
    refusal = Conflict("lost")
    assert committer.submit(RAISING, (refusal,), ENTRY).exception() is refusal
    assert log.state.head.size == 1


def test_a_failing_storage_is_not_asked_for_each_item(log: Any, committer: Committer[Any]) -> None:
    log.fail_at = "lock"
    futures = held(committer, lambda: [committer.submit(STEPS, n, ENTRY) for n in range(64)])
    assert {type(future.exception()) for future in futures} == {StorageUnavailable}
    assert log.transactions == 2


def test_what_was_looked_up_before_a_change_is_given_back(log: Any, committer: Committer[Any]) -> None:
    log.move_generation()
    ages = [0, 1, None, 0]
    futures = held(committer, lambda: [committer.submit(STEPS, n, ENTRY, generation=g) for n, g in enumerate(ages)])
    assert [type(future.exception()) for future in futures] == [
        RegistryChanged,
        type(None),
        type(None),
        RegistryChanged,
    ]
    assert [futures[n].result().index for n in (1, 2)] == [2, 3]
    assert log.state.rows == [0, 1, 2]
    assert futures[1].result().generation == 1


class Counted:
    """A premise that holds or not, and counts how often it was asked, each time with the head locked."""

    def __init__(self, *, holds: bool) -> None:
        self.asked = 0
        self._holds = holds

    def holds(self, transaction: Any) -> bool:
        transaction.step("asked")
        self.asked += 1
        return self._holds


def test_what_still_holds_after_a_change_is_recorded(log: Any, committer: Committer[Any]) -> None:
    log.move_generation()
    holds = Counted(holds=True)
    futures = held(committer, lambda: [committer.submit(STEPS, n, ENTRY, generation=0, premise=holds) for n in "ab"])
    assert [future.result().index for future in futures] == [2, 3]
    assert holds.asked == 1
    assert log.steps.index("lock") < log.steps.index("asked") < log.steps.index("append")
    assert log.transactions == 2


def test_what_does_not_hold_any_more_is_given_back_alone(log: Any, committer: Committer[Any]) -> None:
    log.move_generation()
    holds, gone = Counted(holds=True), Counted(holds=False)
    premises = [holds, gone, None]
    futures = held(committer, lambda: [committer.submit(STEPS, n, ENTRY, generation=0, premise=p)
                                       for n, p in enumerate(premises)])  # fmt: skip
    assert futures[0].result().index == 2
    for future in futures[1:]:
        error = future.exception()
        assert isinstance(error, RegistryChanged)
        assert error.generation == 1
    assert log.state.rows == [0, 0]


def test_a_premise_is_not_asked_where_nothing_changed(committer: Committer[Any]) -> None:
    gone = Counted(holds=False)
    assert committer.submit(STEPS, 0, ENTRY, generation=0, premise=gone).result().index == 1
    assert gone.asked == 0


def test_nothing_follows_a_change_in_its_transaction(log: Any, committer: Committer[Any]) -> None:
    held(
        committer,
        lambda: [committer.submit(w, 0, ENTRY) for w in (STEPS, Changing(), STEPS, STEPS)],
    )
    assert log.transactions == 3
    assert log.steps[-2] == "link [4, 5]"


@pytest.mark.parametrize("kept", [True, False], ids=["committed after all", "not committed"])
def test_an_unknown_outcome_is_settled_by_the_head(log: Any, committer: Committer[Any], kept: bool) -> None:
    log.lose_commits, log.keep_lost = 1, kept
    future = committer.submit(STEPS, 0, ENTRY)
    if kept:
        assert future.result() == Receipt(1, log.state.head.origin, 1, AT, log.state.head.note, 0)
    else:
        assert type(future.exception()) is StorageUnavailable
    assert committer.submit(STEPS, 1, ENTRY).result().index == 1 + kept


def test_a_head_that_is_away_for_a_moment_is_asked_again(log: Any, writer: LogWriter) -> None:
    committer = Committer(log, writer, SilentObserver())
    committer.start()
    busy = HeldRows()
    future = committer.submit(busy, 0, ENTRY)
    assert busy.reached.wait(30)
    log.lose_commits, log.keep_lost, log.away_for = 1, True, 2
    busy.released.set()
    assert future.result().index == 1
    committer.close()


def test_an_outcome_that_nobody_can_tell_is_said_to_be_unknown(log: Any, writer: LogWriter) -> None:
    committer = Committer(log, writer, SilentObserver(), patience=0.3)
    committer.start()
    busy = HeldRows()
    future = committer.submit(busy, 0, ENTRY)
    assert busy.reached.wait(30)
    log.lose_commits, log.keep_lost, log.away_for = 1, True, 10**6
    busy.released.set()
    assert isinstance(future.exception(), CommitUnconfirmed)
    assert not committer.well
    log.away_for = 0
    assert committer.submit(STEPS, 1, ENTRY).result().index == 2
    committer.close()


def test_a_damaged_log_does_not_tell_either(log: Any, committer: Committer[Any]) -> None:
    busy = HeldRows()
    future = committer.submit(busy, 0, ENTRY)
    assert busy.reached.wait(30)
    log.lose_commits, log.damaged = 1, True
    busy.released.set()
    assert isinstance(future.exception(), CommitUnconfirmed)


def test_a_log_that_went_back_is_not_extended(log: Any, committer: Committer[Any]) -> None:
    committer.submit(STEPS, 0, ENTRY).result()
    before = log.state.copy()
    committer.submit(STEPS, 1, ENTRY).result()
    newest, log.state = log.state, before
    assert isinstance(committer.submit(STEPS, 2, ENTRY).exception(), LogForked)
    assert not committer.well
    assert log.state.head.size == 2
    log.state = newest
    assert committer.submit(STEPS, 2, ENTRY).result().index == 3


def test_a_full_queue_takes_nothing_in(log: Any, writer: LogWriter) -> None:
    observer = ListObserver()
    committer = Committer(log, writer, observer, capacity=1)
    committer.start()
    busy = HeldRows()
    first = committer.submit(busy, 0, ENTRY)
    assert busy.reached.wait(30)
    second = committer.submit(STEPS, 0, ENTRY)
    with pytest.raises(Overloaded):
        committer.submit(STEPS, 0, ENTRY)
    busy.released.set()
    committer.close()
    assert [first.result().index, second.result().index] == [1, 2]
    assert log.state.head.size == 3
    assert observer.seen == [Overloaded, (2, 1, timedelta(0)), (3, 1, timedelta(0))]


def test_a_queue_is_full_of_bytes_too(log: Any, writer: LogWriter) -> None:
    committer = Committer(log, writer, SilentObserver())
    committer.start()
    busy = HeldRows()
    first = committer.submit(busy, 0, ENTRY, weight=CAPACITY_BYTES)
    assert busy.reached.wait(30)
    waiting = [committer.submit(STEPS, n, ENTRY, weight=CAPACITY_BYTES // 16) for n in range(16)]
    with pytest.raises(Overloaded):
        committer.submit(STEPS, 0, ENTRY, weight=1)
    light = committer.submit(STEPS, 16, ENTRY)
    busy.released.set()
    assert [future.result(30).index for future in (first, *waiting, light)] == list(range(1, 19))
    assert log.transactions == 1 + CAPACITY_BYTES // BATCH_BYTES + 1
    assert committer.submit(STEPS, 0, ENTRY, weight=CAPACITY_BYTES).result(30).index == 19
    committer.close()


def test_cancelled_submissions_are_left_out_and_harm_nobody(log: Any, committer: Committer[Any]) -> None:
    busy = HeldRows()
    running = committer.submit(busy, 0, ENTRY)
    assert busy.reached.wait(30)
    cancelled = committer.submit(STEPS, 0, ENTRY)
    other = committer.submit(STEPS, 0, ENTRY)
    assert cancelled.cancel()
    assert not running.cancel()
    busy.released.set()
    assert (running.result().index, other.result().index) == (1, 2)
    with pytest.raises(CancelledError):
        cancelled.result()
    assert log.state.head.size == 3


def test_failures_are_observed(log: Any, writer: LogWriter) -> None:
    observer = ListObserver()
    committer = Committer(log, writer, observer)
    committer.start()
    committer.submit(RAISING, LookupError(), ENTRY)
    committer.close()
    assert observer.seen == [LookupError]


def test_an_observer_that_raises_changes_nothing(log: Any, writer: LogWriter) -> None:
    committer = Committer(log, writer, BrokenObserver())
    committer.start()
    futures = [committer.submit(RAISING, row, ENTRY) for row in (1, LookupError(), 2)]
    committer.close()
    assert sorted(futures[n].result().index for n in (0, 2)) == [1, 2]
    assert isinstance(futures[1].exception(), LookupError)


def test_closing_writes_what_is_waiting(log: Any, writer: LogWriter) -> None:
    committer = Committer(log, writer, SilentObserver())
    committer.start()
    futures = [committer.submit(RAISING, LookupError() if n == 7 else n, ENTRY) for n in range(20)]
    committer.close()
    assert all(future.done() for future in futures)
    assert log.state.head.size == 20
    committer.close()


def test_closing_writes_more_than_a_batch(log: Any, writer: LogWriter) -> None:
    committer = Committer(log, writer, SilentObserver())
    committer.start()
    busy = HeldRows()
    futures = [committer.submit(busy, 0, ENTRY)]
    assert busy.reached.wait(30)
    futures += [committer.submit(STEPS, 0, ENTRY) for _ in range(BATCH + 1)]
    closing = threading.Thread(target=committer.close)
    closing.start()
    closing.join(0.2)  # by now nothing more is taken in, and it waits for the thread that writes
    assert not committer.well
    busy.released.set()
    closing.join(30)
    assert [future.result(0).index for future in futures] == list(range(1, BATCH + 3))
    assert log.transactions == 3


@pytest.mark.parametrize("started", [False, True], ids=["never started", "closed"])
def test_nothing_is_taken_in_unless_it_runs(log: Any, writer: LogWriter, started: bool) -> None:
    committer = Committer(log, writer, SilentObserver())
    if started:
        committer.start()
    committer.close()
    with pytest.raises(ShuttingDown):
        committer.submit(NO_ROWS, None, ENTRY)


def test_a_submission_whose_caller_has_given_up_is_not_stored(log: Any, writer: LogWriter) -> None:
    clock = Ticking()
    committer = Committer(log, writer, SilentObserver(), clock=clock)
    committer.start()
    busy = HeldRows()
    slow = committer.submit(busy, 0, ENTRY)
    assert busy.reached.wait(30)
    late = committer.submit(STEPS, 0, ENTRY)
    clock.now += 3.1
    fresh = committer.submit(STEPS, 0, ENTRY)
    busy.released.set()
    assert slow.result().index == 1
    with pytest.raises(Overloaded, match="waited too long"):
        late.result()
    assert fresh.result().index == 2
    committer.close()


@pytest.mark.parametrize(
    ("error", "well"),
    [
        (StorageUnavailable("Away."), False),
        (LogDamaged("Short."), False),
        (Conflict("Taken."), True),
        (RowRefused("No."), True),
    ],
    ids=["storage away", "log damaged", "refusal", "row refused by the database"],
)
def test_what_the_service_cannot_help_makes_it_unwell_and_a_refusal_does_not(
    committer: Committer[Any], error: Exception, well: bool
) -> None:
    assert committer.submit(RAISING, error, ENTRY).exception() is error
    assert committer.well is well


def test_a_failed_write_makes_it_unwell_until_one_succeeds_or_time_passes(log: Any, writer: LogWriter) -> None:
    clock = Ticking()
    committer = Committer(log, writer, SilentObserver(), clock=clock)
    assert not committer.well
    committer.start()
    assert committer.well
    committer.submit(RAISING, StorageUnavailable("Away."), ENTRY).exception()
    assert not committer.well
    committer.submit(NO_ROWS, None, ENTRY).result()
    assert committer.well
    committer.submit(RAISING, StorageUnavailable("Away."), ENTRY).exception()
    clock.now += 9.9
    assert not committer.well
    clock.now += 0.2
    assert committer.well
    committer.close()
    assert not committer.well


def test_a_refused_row_does_not_make_a_failing_storage_well(committer: Committer[Any]) -> None:
    committer.submit(RAISING, StorageUnavailable("Away."), ENTRY).exception()
    committer.submit(RAISING, RowRefused("No."), ENTRY).exception()
    assert not committer.well


def test_a_batch_in_which_nobody_waits_any_more_costs_no_transaction(log: Any, writer: LogWriter) -> None:
    clock = Ticking()
    committer = Committer(log, writer, SilentObserver(), clock=clock)
    committer.start()
    busy = HeldRows()
    committer.submit(busy, 0, ENTRY)
    assert busy.reached.wait(30)
    late = [committer.submit(STEPS, 0, ENTRY) for _ in range(3)]
    clock.now += 3.1
    busy.released.set()
    assert {type(future.exception(10)) for future in late} == {Overloaded}
    assert log.transactions == 1
    committer.close()


def test_many_threads_submit_and_each_gets_its_own_place(log: Any, committer: Committer[Any]) -> None:
    found: list[int] = []

    def submit() -> None:
        found.extend(committer.submit(STEPS, 0, ENTRY).result().index for _ in range(50))

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(1, 401))


def test_a_write_that_does_not_end_makes_it_unwell_until_it_does(log: Any, writer: LogWriter) -> None:
    clock, stuck = Ticking(), HeldRows()
    committer = Committer(log, writer, SilentObserver(), clock=clock)
    committer.start()
    waiting = committer.submit(stuck, 0, ENTRY)
    assert stuck.reached.wait(30)
    clock.now += STUCK
    assert committer.well
    clock.now += 0.1
    assert not committer.well
    stuck.released.set()
    waiting.result(30)
    assert committer.well
    committer.close()
