"""The committer: the one place where something that happened becomes durable, recorded and signed for.

The rules:

1. One thread per process writes what is recorded. `submit` hands over business rows and an entry, and answers with a
   future; the future is set after COMMIT has returned, never before. Whoever waits for it can tell the world.
2. One transaction carries the submissions that are waiting, or half of them; how they gather, and how many may wait,
   stands in `submissions.py`.
3. When nothing more may wait, or the committer is not running, `submit` raises and nothing was taken in.
4. Rows and entries are one transaction, in this order:
   insert the business rows; lock the head of the log; compare the registry generation; leave out what was refused;
   append the entries at `seq = size` on, extend and sign the tree (`audit.log`); link the rows to (log_id, seq);
   COMMIT.
   The rows come before the lock, so that replicas wait for one another as briefly as possible.
5. A submission may say under which registry generation its key and model were looked up, and what it takes from there
   as its premise. If the head has a newer generation, the premise is looked at again under the lock; where it does not
   hold any more, or none was given, the transaction is rolled back, the submission is given `RegistryChanged`, and the
   rest is written without it.
6. A row that is refused, or an entry that cannot be written, fails its own submission alone: the batch is halved until
   the one is found. An error of the storage itself fails the whole batch, because halving would not help.
7. If the outcome of a COMMIT is unknown, the head is locked and read again: behind its lock nothing can still be on
   its way. Where the batch's leaves are found, it was committed and the receipts are given; where they are not, nothing
   was stored; where the head cannot be read in time, the callers are told that the outcome is not known.
8. A submission whose turn comes only after `patience` seconds is refused unopened: its caller has given up, and a row
   stored behind a caller's back is one that a retry stores again.
9. `close` takes nothing more in, writes what is waiting, and returns when the thread has ended.

A worked example. The head says log 1, size 17, last recorded at 10:00:00. Two scores wait, with `at` 09:59:59.8 and
10:00:00.2. Their rows are inserted, the head is locked, the first one's `at` becomes 10:00:00, they get seq 17 and 18,
the head becomes size 19 with one signature, the scores are linked to (1, 17) and (1, 18). COMMIT returns, and the
futures give Receipt(log_id=1, index=17, …) and Receipt(log_id=1, index=18, …) with the same note of size 19. Had
COMMIT failed, the head would still say 17, no row would exist, and both futures would raise.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from threading import Thread
from typing import Any, Generic

from service.errors import (
    CommitUnconfirmed,
    LogDamaged,
    Overloaded,
    RegistryChanged,
    RowRefused,
    StorageUnavailable,
    SystemFault,
)

from .entry import Entry
from .log import Extension, Head, LogStorage, LogWriter, encoded
from .outcome import Batch, Inbox, Observer, Outcome, Receipt, ThreadInbox
from .submissions import CAPACITY, GATHER, WHOLE, Premise, R, Submission, SubmissionQueue, T, Writer

PATIENCE = 3.0
"""Seconds a submission may wait for its turn; shorter than a write waits for its lock, so that one stuck write does not
make those behind it stuck as well. Also how long an unknown outcome is asked after."""

RECOVERY = 10.0
"""Seconds after a failed write during which the committer calls itself unwell, unless a write succeeds before."""

STUCK = 8.0
"""Seconds that one turn may take before the committer calls itself unwell: longer than a lock is waited for, shorter
than callers wait. A storage that has stopped in the middle of a sentence fails nothing, and answers nothing either."""

ASK_AGAIN = 0.1
"""Seconds between two looks at the head while the outcome of a COMMIT is unknown."""


_Answers = list[tuple[list[Submission[T]], Iterable[Exception | None]]]
"""Submissions of one writer, and what it answers for each."""


class _StaleError(Exception):
    """Some of a batch rest on what the registry says no more; `generation` is the head's."""

    def __init__(self, stale: Sequence[Submission[Any]], generation: int) -> None:
        super().__init__("some submissions are older than the registry")
        self.stale = stale
        self.generation = generation


class Committer(Generic[T]):
    """The one writer of a process; see the rules of this module."""

    def __init__(
        self,
        storage: LogStorage[T],
        log: LogWriter,
        observer: Observer,
        capacity: int = CAPACITY,
        *,
        share: float = WHOLE,
        patience: float = PATIENCE,
        gather: float = GATHER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.share = share
        """Which share of those about a transaction carries; see `submissions`."""
        self._storage = storage
        self._log = log
        self._observer = observer
        self._patience = patience
        self._clock = clock
        self._failed_at: float | None = None
        self._turn_began: float | None = None
        self._queue = SubmissionQueue[T](capacity, share=share, gather=gather, clock=clock)
        self._settled: list[tuple[Submission[T], Outcome]] = []
        self._thread = Thread(target=self._run, name="committer", daemon=True)
        self._threads = ThreadInbox()

    def start(self) -> None:
        """Start the thread; once only."""
        self._thread.start()
        self._queue.open()

    @property
    def well(self) -> bool:
        """Whether the thread lives and is not stuck, submissions are taken in, and the storage has not failed a write
        just now."""
        failed_at, began = self._failed_at, self._turn_began
        recovered = failed_at is None or self._clock() - failed_at > RECOVERY
        moving = began is None or self._clock() - began <= STUCK
        return self._queue.accepting and self._thread.is_alive() and recovered and moving

    def submit(
        self,
        writer: Writer[T, R],
        rows: R,
        entry: Entry,
        *,
        weight: int = 0,
        generation: int | None = None,
        premise: Premise[T] | None = None,
        inbox: Inbox | None = None,
    ) -> Any:
        """Queue rows, of `weight` bytes, and entry; a future of `inbox`, by default one that a thread waits for.
        `generation` and `premise` are those of rule 5.

        Raises `Overloaded` where the queue is full and `ShuttingDown` where nothing is taken in any more. The future
        gives a Receipt, or raises what the writer refused the rows with, `RegistryChanged`, or another `SystemFault`.
        """
        chosen = self._threads if inbox is None else inbox
        try:
            return self._queue.put(
                writer, rows, entry, weight=weight, generation=generation, premise=premise, inbox=chosen
            )
        except Overloaded as refusal:
            self._observe(self._observer.failed, refusal)
            raise

    def close(self) -> None:
        """Write what is waiting and end the thread. Closing again does nothing."""
        if self._queue.close():
            self._thread.join()

    def _run(self) -> None:
        going = True
        while going:
            batch, going = self._queue.gather()
            if batch:
                self._turn_began = self._clock()
                self._write(batch)
                self._turn_began = None
                self._deliver()

    def _write(self, batch: list[Submission[T]]) -> None:
        """Write a batch; afterwards each of its submissions is settled."""
        batch = self._patient(batch)
        if not batch:
            return
        try:
            self._commit(batch)
        except _StaleError as stale:
            self._write_current(batch, stale)
        except BaseException as error:  # noqa: BLE001 - it belongs to those who wait; this thread serves all others
            one_is_to_blame = isinstance(error, RowRefused) or not isinstance(error, SystemFault)
            if len(batch) == 1 or not one_is_to_blame:
                self._fail(batch, error)
                return
            middle = len(batch) // 2
            self._write(batch[:middle])
            self._write(batch[middle:])

    def _write_current(self, batch: list[Submission[T]], error: _StaleError) -> None:
        message = "A key or a model changed while the request was under way."
        change = RegistryChanged(message, "Send it again.", generation=error.generation)
        self._settled += [(one, change) for one in error.stale]
        stale = set(map(id, error.stale))
        self._write([one for one in batch if id(one) not in stale])

    def _patient(self, batch: list[Submission[T]]) -> list[Submission[T]]:
        limit = self._clock() - self._patience
        if all(one.submitted >= limit for one in batch):
            return batch
        late = Overloaded("The request waited too long to be stored; nothing was stored.", "Send it again soon.")
        self._fail([one for one in batch if one.submitted < limit], late)
        return [one for one in batch if one.submitted >= limit]

    def _commit(self, batch: list[Submission[T]]) -> None:
        for one in batch:
            one.leaf = encoded(one.entry)
        live = batch
        refused: list[tuple[Submission[T], Outcome]] = []
        extension: Extension | None = None
        try:
            with self._storage.transaction() as transaction:
                answers = self._insert(transaction, batch)
                head = transaction.lock_head()
                stale = _stale(transaction, batch, head.generation)
                if stale:
                    raise _StaleError(stale, head.generation)
                live, refused = _sorted_out(batch, answers)
                if live:
                    extension = self._extend(transaction, head, live)
        except CommitUnconfirmed as unconfirmed:
            if extension is None or not self._was_committed(extension, unconfirmed):
                raise StorageUnavailable(unconfirmed.message, unconfirmed.remedy) from None
        self._settled += refused
        if extension is not None:
            self._keep(live, extension)

    def _insert(self, transaction: T, batch: list[Submission[T]]) -> _Answers[T]:
        """Insert the rows of a batch; what their writers answer."""
        return [(group, writer.insert(transaction, [one.rows for one in group])) for writer, group in _grouped(batch)]

    def _extend(self, transaction: T, head: Head, live: list[Submission[T]]) -> Extension:
        drafts = [one.leaf for one in live if one.leaf is not None]
        extension = self._log.extend(transaction, head, [one.entry for one in live], drafts)
        for one, place in zip(live, extension.places, strict=True):
            one.place = place
        for writer, group in _grouped(live):
            places = [one.place for one in group if one.place is not None]
            writer.link(transaction, [one.rows for one in group], places)
        return extension

    def _was_committed(self, extension: Extension, unconfirmed: CommitUnconfirmed) -> bool:
        """Whether the batch's leaves are in the log after all; raises `unconfirmed` where nobody can say in time."""
        deadline = self._clock() + self._patience
        wanted = [leaf.hash for leaf in extension.leaves]
        stop = extension.start + len(wanted)
        while True:
            try:
                with self._storage.transaction() as transaction:
                    transaction.lock_head()
                    found = transaction.reader(extension.head.log_id).hashes(0, extension.start, stop)
                return list(found) == wanted
            except LogDamaged:
                raise unconfirmed from None
            except SystemFault:
                if self._clock() > deadline:
                    raise unconfirmed from None
                time.sleep(ASK_AGAIN)

    def _keep(self, live: list[Submission[T]], extension: Extension) -> None:
        self._log.keep(extension)
        self._failed_at = None
        head = extension.head
        note = head.note or ""
        self._settled += [
            (one, Receipt(head.log_id, head.origin, place.seq, place.recorded_at, note, head.generation))
            for one, place in zip(live, extension.places, strict=True)
        ]
        batch = Batch(head.origin, head.size, len(extension.leaves), extension.behind)
        self._observe(self._observer.committed, batch)

    def _fail(self, batch: Iterable[Submission[T]], error: BaseException) -> None:
        # What was wrong with one submission says nothing about the storage.
        if isinstance(error, SystemFault) and not isinstance(error, Overloaded | RowRefused):
            self._failed_at = self._clock()
        self._settled += [(one, error) for one in batch]

    def _deliver(self) -> None:
        settled, self._settled = self._settled, []
        inboxes = {id(one.inbox): one.inbox for one, _ in settled}
        for key, inbox in inboxes.items():
            inbox.deliver([(one.future, outcome) for one, outcome in settled if id(one.inbox) == key])
        for _, outcome in settled:
            if isinstance(outcome, BaseException):
                self._observe(self._observer.failed, outcome)

    def _observe(self, call: Callable[[Any], None], what: object) -> None:
        # An observer that fails must not end the one thread that everybody waits for.
        with suppress(Exception):
            call(what)


def _stale(transaction: T, batch: list[Submission[T]], generation: int) -> list[Submission[T]]:
    """The submissions of rule 5 that rest on what the registry says no more."""
    older = [one for one in batch if one.is_older(generation)]
    held = {premise for premise in {one.premise for one in older} if premise is not None and premise.holds(transaction)}
    return [one for one in older if one.premise not in held]


def _sorted_out(
    batch: list[Submission[T]], answers: _Answers[T]
) -> tuple[list[Submission[T]], list[tuple[Submission[T], Outcome]]]:
    """The submissions that go on, and those that were refused."""
    refused: list[tuple[Submission[T], Outcome]] = []
    for group, answered in answers:
        refused += [(one, error) for one, error in zip(group, answered, strict=True) if error is not None]
    if not refused:
        return batch, refused
    turned_away = {id(one) for one, _ in refused}
    return [one for one in batch if id(one) not in turned_away], refused


def _grouped(batch: list[Submission[T]]) -> list[tuple[Writer[T, Any], list[Submission[T]]]]:
    """The submissions by their writer, in the order in which the writers first appear."""
    groups: dict[int, tuple[Writer[T, Any], list[Submission[T]]]] = {}
    for one in batch:
        groups.setdefault(id(one.writer), (one.writer, []))[1].append(one)
    return list(groups.values())
