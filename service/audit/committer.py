"""The committer: the one place where something that happened becomes durable and recorded.

The rules:

1. One thread per process writes what is recorded. `submit` hands over business rows and an entry, and answers with a
   future; the future is set after COMMIT has returned, never before. Whoever waits for it can tell the world.
2. The queue is bounded. When it is full, or the committer is not running, `submit` raises and nothing was taken in.
3. Rows and entry are one transaction, in this order:
   insert the business rows; lock the head of the log; raise the entry's `at` to the head's time where a clock stood
   back; encode; hash; append at `seq = size`; link the rows to (log_id, seq); move the head; COMMIT.
   The rows come before the lock, so that replicas wait for one another as briefly as possible.
4. Order is `seq`; `at` is a claim that never decreases within a log.
5. Whatever goes wrong rolls back and reaches the future of that one submission, as it was raised. The thread goes on.
6. A submission that was cancelled before its turn is left out; from its turn on it can no longer be cancelled.
7. A submission whose turn comes only after `patience` seconds is refused unopened: its caller has given up, and a row
   stored behind a caller's back is one that a retry stores again.
8. `close` takes nothing more in, writes what is waiting, and returns when the thread has ended.

A worked example. The head says log 1, size 17, last recorded at 10:00:00. A score is submitted with `at` 09:59:58, two
seconds behind. Its rows are inserted, the head is locked, `at` becomes 10:00:00, the entry gets seq 17, the score is
linked to (1, 17), the head becomes size 18. COMMIT returns, and the future gives Receipt(log_id=1, index=17,
recorded_at=10:00:00). Had COMMIT failed, the head would still say 17, no row would exist, and the future would raise.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from queue import Full, Queue
from threading import Lock, Thread
from time import monotonic
from typing import Generic, Protocol, TypeVar

from service.errors import Overloaded, ShuttingDown, SystemFault

from .entry import Entry, leaf_hash

CAPACITY = 4096
"""Submissions that may wait."""

PATIENCE = 3.0
"""Seconds a submission may wait for its turn; less than one write waits for a lock, so one stuck write does not make
those behind it stuck as well."""

RECOVERY = 10.0
"""Seconds after a failed write during which the committer calls itself unwell, unless a write succeeds before."""


@dataclass(frozen=True, slots=True)
class Head:
    """The mutable state of one open log: `size` entries so far, the last of them at `last_recorded_at`."""

    log_id: int
    origin: str
    size: int
    last_recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was committed: entry `index` of the log named `origin`, recorded at `recorded_at`."""

    log_id: int
    origin: str
    index: int
    recorded_at: datetime


class Transaction(Protocol):
    """One transaction of the storage, and what the committer does to a log inside it."""

    def lock_head(self) -> Head:
        """The head of the open log, locked against every other writer until the transaction ends."""
        ...

    def append(self, log_id: int, seq: int, leaf: bytes, entry: bytes) -> None:
        """Insert one entry."""
        ...

    def move_head(self, head: Head) -> None:
        """Store `size` and `last_recorded_at` of the head."""
        ...


T_co = TypeVar("T_co", bound=Transaction, covariant=True)
T_contra = TypeVar("T_contra", bound=Transaction, contravariant=True)
T = TypeVar("T", bound=Transaction)


class LogStorage(Protocol[T_co]):
    """Where logs and business rows live together."""

    def transaction(self) -> AbstractContextManager[T_co]:
        """A transaction: COMMIT when the block ends, ROLLBACK when it raises. An error of COMMIT is raised."""
        ...


class Rows(Protocol[T_contra]):
    """The business rows of one submission. Both methods run in the committer's thread and must only write."""

    def insert(self, transaction: T_contra) -> None:
        """Insert the rows; raise to refuse the submission."""
        ...

    def link(self, transaction: T_contra, log_id: int, seq: int) -> None:
        """Record where in the log the rows are."""
        ...


class Observer(Protocol):
    """What the service wants to count. Called once per submission; what it raises is logged and changes nothing."""

    def committed(self, receipt: Receipt, clock_behind: timedelta) -> None:
        """A submission was committed; `clock_behind` is by how much its `at` had to be raised."""
        ...

    def failed(self, error: BaseException) -> None:
        """A submission was rolled back, or not taken in because the queue was full (`Overloaded`)."""
        ...


class SilentObserver:
    """An observer that counts nothing."""

    def committed(self, receipt: Receipt, clock_behind: timedelta) -> None:
        """Do nothing."""

    def failed(self, error: BaseException) -> None:
        """Do nothing."""


class NoRows:
    """The rows of an entry that stands alone."""

    def insert(self, transaction: Transaction) -> None:
        """Do nothing."""

    def link(self, transaction: Transaction, log_id: int, seq: int) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class _Submission(Generic[T]):
    rows: Rows[T]
    entry: Entry
    future: Future[Receipt]
    submitted: float


class Committer(Generic[T]):
    """The one writer of a process; see the rules of this module."""

    def __init__(
        self,
        storage: LogStorage[T],
        observer: Observer,
        capacity: int = CAPACITY,
        *,
        patience: float = PATIENCE,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._patience = patience
        self._clock = clock
        self._failed_at: float | None = None
        self._storage = storage
        self._observer = observer
        self._queue: Queue[_Submission[T] | None] = Queue(capacity)
        self._gate = Lock()
        self._accepting = False
        self._thread = Thread(target=self._run, name="committer", daemon=True)

    def start(self) -> None:
        """Start the thread; once only."""
        self._thread.start()
        self._accepting = True

    @property
    def well(self) -> bool:
        """Whether the thread lives, submissions are taken in, and the storage has not failed a write just now."""
        failed_at = self._failed_at
        recovered = failed_at is None or self._clock() - failed_at > RECOVERY
        return self._accepting and self._thread.is_alive() and recovered

    def submit(self, rows: Rows[T], entry: Entry) -> Future[Receipt]:
        """Queue rows and entry. Raises `Overloaded` where the queue is full and `ShuttingDown` where nothing is taken
        in any more; the future raises what `rows` raised, or `StorageUnavailable`."""
        submission = _Submission(rows, entry, Future[Receipt](), self._clock())
        submission.future.add_done_callback(partial(self._observe, entry.at))
        # The gate keeps a late submission from landing behind the end mark, where nobody would ever answer it.
        with self._gate:
            if not self._accepting:
                raise ShuttingDown("The service is not taking in requests.", "Send the request again soon.")
            try:
                self._queue.put_nowait(submission)
            except Full:
                refusal = Overloaded("Too many requests are waiting to be stored.", "Send the request again soon.")
                submission.future.set_exception(refusal)
                raise refusal from None
        return submission.future

    def close(self) -> None:
        """Write what is waiting and end the thread. Closing again does nothing."""
        with self._gate:
            running, self._accepting = self._accepting, False
        if running:
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (submission := self._queue.get()) is not None:
            self._settle(submission)

    def _settle(self, submission: _Submission[T]) -> None:
        if not submission.future.set_running_or_notify_cancel():
            return
        try:
            self._require_patience(submission)
            receipt = self._commit(submission.rows, submission.entry)
        except BaseException as error:  # noqa: BLE001 - it belongs to the one who waits; this thread serves all others
            if isinstance(error, SystemFault) and not isinstance(error, Overloaded):
                self._failed_at = self._clock()
            submission.future.set_exception(error)
        else:
            self._failed_at = None
            submission.future.set_result(receipt)

    def _require_patience(self, submission: _Submission[T]) -> None:
        if self._clock() - submission.submitted > self._patience:
            raise Overloaded("The request waited too long to be stored; nothing was stored.", "Send it again soon.")

    def _commit(self, rows: Rows[T], entry: Entry) -> Receipt:
        with self._storage.transaction() as transaction:
            rows.insert(transaction)
            head = transaction.lock_head()
            receipt = extend(transaction, head, entry)
            rows.link(transaction, head.log_id, receipt.index)
        return receipt

    def _observe(self, claimed: datetime, future: Future[Receipt]) -> None:
        if future.cancelled():
            return
        error = future.exception()
        if error is None:
            receipt = future.result()
            self._observer.committed(receipt, max(receipt.recorded_at - claimed, timedelta(0)))
        else:
            self._observer.failed(error)


def extend(transaction: Transaction, head: Head, entry: Entry) -> Receipt:
    """Append one entry to the log whose locked head is `head`, and move the head."""
    recorded_at = max(entry.at, head.last_recorded_at)
    encoded = replace(entry, at=recorded_at).encode()
    transaction.append(head.log_id, head.size, leaf_hash(encoded), encoded)
    transaction.move_head(replace(head, size=head.size + 1, last_recorded_at=recorded_at))
    return Receipt(head.log_id, head.origin, head.size, recorded_at)
