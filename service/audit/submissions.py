"""What waits for the committer: submissions, how many may wait, and which of them share a transaction.

The rules:

1. A transaction carries what is waiting, at most `BATCH` submissions, and takes no further one from `BATCH_BYTES` on;
   the next ones gather while it commits, so sixty-four callers share one COMMIT. Where the database is a process of its
   own, a transaction takes `HALF` of those who are about (who wait, and whom the one before carried): while the
   database commits one half the other is scored, and neither waits for the other.
2. Who comes alone is not kept waiting. But callers who were answered together come back together, and the first of
   them does not go alone: where fewer than half as many wait as the transaction before carried, it waits `GATHER`
   seconds at most.
3. What locks rows in an order of its own goes alone, and nothing follows what changes the registry.
4. The queue is bounded, in number and in bytes. When it is full, or closed, `put` raises and nothing was taken in. An
   inbox may hand over a moment later; what comes only after `close` is refused through its future.
5. A submission that was cancelled before its turn is left out; whoever gives up later changes nothing in what is
   stored.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar

from service.errors import Overloaded, ShuttingDown

from .entry import Entry
from .log import Leaf, Place, Transaction
from .outcome import Inbox

CAPACITY = 4096
"""Submissions that may wait."""

CAPACITY_BYTES = 128 * 1024**2
"""Bytes of rows that may wait: a request may have a megabyte, and the memory of a server has an end."""

BATCH = 512
"""Submissions that one transaction carries at most."""

BATCH_BYTES = 16 * 1024**2
"""Bytes of rows after which a transaction takes no further submission."""

WHOLE, HALF = 1.0, 0.5
"""Shares of those who are about that one transaction carries; see rule 1."""

FEW = 4
"""So many a transaction carries in any case, if they are there."""

GATHER = 0.0005
"""Seconds that a transaction waits for company, where fewer than half as many wait as the one before carried."""

T = TypeVar("T", bound=Transaction)
T_contra = TypeVar("T_contra", bound=Transaction, contravariant=True)
R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)


class Writer(Protocol[T_contra, R_contra]):
    """Writes the business rows of one kind of submission, many at a time. Both methods run in the committer's thread.
    What they raise fails one submission, see rule 6 of the committer, and they are called again without it."""

    changes_registry: bool
    """Whether these rows raise the registry generation; nothing follows such a submission in its transaction, so what
    was looked up before the change is compared with the generation after it. What they change they change in `link`:
    between `insert` and `link` the premises of those before them are asked, which have to find what is still so."""

    alone: bool
    """Whether such a submission has a transaction of its own: its rows lock what others lock in another order, and two
    replicas that each mixed both would wait for each other."""

    def insert(self, transaction: T_contra, rows: Sequence[R_contra]) -> Iterable[Exception | None]:
        """Insert the rows; answer for each whether it was refused. A refused row must leave nothing behind. The answers
        are gone through when the head is locked, so that a database may be asked for all of it at once."""
        ...

    def link(self, transaction: T_contra, rows: Sequence[R_contra], places: Sequence[Place]) -> None:
        """Record where in the log the rows are; the head is locked here, so what is read here stays so until COMMIT."""
        ...


class Premise(Protocol[T_contra]):
    """What was looked up before a submission was made, and has to be so still when it is recorded. Hashable: of equal
    ones only one is asked."""

    def holds(self, transaction: T_contra) -> bool:
        """Whether it is so; the head is locked here, so what is read here stays so until COMMIT."""
        ...


class NoRows:
    """The writer of entries that stand alone."""

    changes_registry = False
    alone = False

    def insert(self, transaction: Transaction, rows: Sequence[None]) -> Sequence[Exception | None]:  # noqa: ARG002
        """Insert nothing."""
        return [None] * len(rows)

    def link(self, transaction: Transaction, rows: Sequence[None], places: Sequence[Place]) -> None:
        """Do nothing."""


@dataclass(slots=True, eq=False)
class Submission(Generic[T]):
    """What waits: handed in once, encoded and placed in its turn."""

    writer: Writer[T, Any]
    rows: Any
    entry: Entry
    weight: int
    generation: int | None
    premise: Premise[T] | None
    inbox: Inbox
    future: Any
    submitted: float
    leaf: Leaf | None = None
    place: Place | None = None

    def is_older(self, generation: int) -> bool:
        """Whether its key or model was looked up under an older registry generation."""
        return self.generation is not None and self.generation < generation


class SubmissionQueue(Generic[T]):
    """The queue in front of one committer: filled by any thread, emptied by one; see the rules of this module."""

    def __init__(self, capacity: int, *, share: float, gather: float, clock: Callable[[], float]) -> None:
        self._capacity = capacity
        self._share = share
        self._gather_seconds = gather
        self._clock = clock
        self._queue: SimpleQueue[list[Submission[T]] | None] = SimpleQueue()
        self._backlog: deque[Submission[T]] = deque()
        self._gate = Lock()
        self._waiting = self._waiting_bytes = 0
        self._carried = 0
        self._ended = False
        self.accepting = False
        """Whether anything is taken in."""

    def open(self) -> None:
        """Take submissions in from now on."""
        self.accepting = True

    def put(
        self,
        writer: Writer[T, R],
        rows: R,
        entry: Entry,
        *,
        weight: int,
        generation: int | None,
        premise: Premise[T] | None,
        inbox: Inbox,
    ) -> Any:
        """Queue a submission; its future. Raises `Overloaded` or `ShuttingDown`."""
        with self._gate:
            if not self.accepting:
                raise _shutting_down()
            full = self._waiting >= self._capacity or self._waiting_bytes + weight > CAPACITY_BYTES
            if not full:
                self._waiting += 1
                self._waiting_bytes += weight
        if full:
            raise Overloaded("Too many requests are waiting to be stored.", "Send the request again soon.")
        future = inbox.future()
        submission = Submission(writer, rows, entry, weight, generation, premise, inbox, future, self._clock())
        inbox.hand_over(submission, self._take)
        return future

    def _take(self, submissions: list[Submission[T]]) -> None:
        # The gate keeps late submissions from landing behind the end mark, where nobody would ever answer them.
        with self._gate:
            accepting = self.accepting
            if accepting:
                self._queue.put(submissions)
        if not accepting:
            for one in submissions:
                if one.inbox.begin(one.future):
                    one.inbox.deliver([(one.future, _shutting_down())])

    def close(self) -> bool:
        """Take nothing more in, and end behind what is waiting. False where that was done before."""
        with self._gate:
            running, self.accepting = self.accepting, False
        if running:
            self._queue.put(None)
        return running

    def gather(self) -> tuple[list[Submission[T]], bool]:
        """The submissions that are waiting, at least one, and whether more may come."""
        if not self._ended:
            self._fetch()
        batch: list[Submission[T]] = []
        before, weight = len(self._backlog), 0
        most = min(BATCH, max(FEW, ceil(self._share * (before + self._carried))))
        while self._backlog and len(batch) < most and weight < BATCH_BYTES:
            if batch and self._backlog[0].writer.alone:
                break
            submission = self._backlog.popleft()
            weight += submission.weight
            if submission.inbox.begin(submission.future):
                batch.append(submission)
                if submission.writer.changes_registry or submission.writer.alone:
                    break
        self._carried = before - len(self._backlog)
        with self._gate:
            self._waiting -= self._carried
            self._waiting_bytes -= weight
        return batch, bool(self._backlog) or not self._ended

    def _fetch(self) -> None:
        """Move what waits to the backlog, at least one submission or the end mark."""
        deadline = 0.0
        try:
            while not self._ended:
                timeout = None
                if self._backlog:
                    deadline = deadline or self._clock() + self._gather_seconds
                    few = len(self._backlog) < self._carried / 2
                    timeout = max(0.0, deadline - self._clock()) if few else 0.0
                handed = self._queue.get(timeout=timeout)
                if handed is None:
                    self._ended = True
                else:
                    self._backlog.extend(handed)
        except Empty:
            return


def _shutting_down() -> ShuttingDown:
    return ShuttingDown("The service is not taking in requests.", "Send the request again soon.")
