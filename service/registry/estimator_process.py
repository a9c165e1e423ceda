"""The process behind one estimator, and the queue in front of it.

Whatever waits when the process is free goes to it in one call: an ensemble needs little more time for sixty rows than
for one. One thread takes from the queue, so a caller that goes away leaves a gap and harms nobody. A process that ends
fails the call it was in and is started again; from the second failure on after a pause that doubles, in which callers
are refused at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from service.errors import ArtifactRejected, ChildEnded, ChildFailed, EstimatorFailed, EstimatorUnavailable
from service.registry.archive import MANIFEST, SIGNATURE
from service.registry.child import CALL_SECONDS, START_SECONDS, Child
from service.registry.frames import Header
from service.registry.manifest import Manifest
from service.registry.transforms import Floats
from service.telemetry import log_event

WORKER = "service.registry.worker"
MEMORY_BYTES = 4 << 30
"""Address space that an estimator may take: an artifact of a few hundred bytes can ask for all memory there is."""

ROWS_IN_ONE_CALL = 512
"""Larger calls gain nothing any more and let those behind them wait."""

ROWS_WAITING = 8 * ROWS_IN_ONE_CALL
PAUSE_SECONDS, PAUSE_MAX_SECONDS = 0.5, 30.0
"""The first pause before another start, and the longest."""

CLOSE_SECONDS = 5.0
"""How long calls that wait may go on when the process is no longer wanted."""


def start_worker(
    manifest: Manifest,
    files: Mapping[str, bytes],
    *,
    memory_bytes: int | None = MEMORY_BYTES,
    niceness: int = 0,
    on_end: Callable[[], None] | None = None,
) -> Child:
    """A child process that has opened the version's estimator; `files` holds all the manifest lists and the manifest,
    and the signature where a trusted publisher's was verified.

    Raises ArtifactRejected where the estimator cannot be opened, ChildEnded or ChildFailed where the process fails.
    """
    sent = {name: files[name] for name in (MANIFEST, *manifest.files)}
    child = Child(WORKER, memory_bytes=memory_bytes, niceness=niceness, on_end=on_end)
    try:
        signed = SIGNATURE in files
        header = {"do": "load", "signed": signed, "files": {name: len(data) for name, data in sent.items()}}
        child.call(header, b"".join(sent.values()), timeout=START_SECONDS)
    except (ArtifactRejected, ChildEnded, ChildFailed):
        child.close()
        raise
    return child


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    rows: Floats
    done: Future[Floats]


class EstimatorProcess:
    """Probabilities from a child process that is kept running; all methods may be called from any thread.

    `start` gives a fresh child and is handed what it is to call when that has ended. It is called once here, and what
    it raises is raised; later starts are made by this object's own thread.
    """

    def __init__(
        self,
        name: str,
        start: Callable[[Callable[[], None]], Child],
        *,
        call_seconds: float = CALL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._start, self._call_seconds, self._clock = name, start, call_seconds, clock
        self._changed = threading.Condition()
        self._waiting: deque[_Waiting] = deque()
        self._rows_waiting = 0
        self._closed = False
        self._failures, self._not_before = 0, 0.0
        self._child: Child | None = start(self._wake)
        self._thread = threading.Thread(target=self._run, name=f"estimator {name}", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The id of the process that runs now; None between two of them."""
        child = self._child
        return None if child is None or not child.alive else child.pid

    def submit(self, rows: Floats) -> Future[Floats]:
        """The probabilities (n,) of `rows` (n, k), n at most `ROWS_IN_ONE_CALL`, later.

        The future fails with EstimatorUnavailable or EstimatorFailed; it may be cancelled as long as it waits. Raises
        EstimatorUnavailable where too many wait already, or after `close`.
        """
        if len(rows) > ROWS_IN_ONE_CALL:
            raise ValueError("more rows than go into one call")
        waiting = _Waiting(rows, Future())
        with self._changed:
            if self._closed:
                raise EstimatorUnavailable("The version's estimator is no longer running.", "Send the request again.")
            if self._rows_waiting + len(rows) > ROWS_WAITING:
                raise EstimatorUnavailable("Too many requests wait for the estimator.", "Send the request again later.")
            self._waiting.append(waiting)
            self._rows_waiting += len(rows)
            self._changed.notify()
        return waiting.done

    def stats(self) -> Header:
        """How many calls the present process has answered, and how many rows. Raises EstimatorUnavailable."""
        child = self._child
        try:
            if child is not None:
                return child.call({"do": "stats"}, timeout=self._call_seconds)[0]
        except (ChildEnded, ChildFailed):
            pass
        raise _unavailable()

    def close(self) -> None:
        """Take nothing more in, let what waits finish for a while, and end the process. May block for seconds."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(CLOSE_SECONDS)
        child = self._child
        if self._thread.is_alive() and child is not None:
            child.kill()
        # A thread that is just starting another process ends that one by itself.
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        try:
            while self._wait_for_work():
                child = self._ready()
                batch = self._take()
                if child is not None:
                    self._answer(child, batch)
                else:
                    _fail(batch, _unavailable())
        finally:
            with self._changed:
                self._closed = True
            # Taken like any other: a caller may be going away at this very moment.
            _fail([one for one in self._waiting if one.done.set_running_or_notify_cancel()], _unavailable())
            if self._child is not None:
                self._child.close()

    def _wait_for_work(self) -> bool:
        """Wait for a request, or for the time to start another process; False when it is all over."""
        with self._changed:
            while not self._closed and not self._waiting:
                pause = None if self._runs() else self._not_before - self._clock()
                if pause is not None and pause <= 0:
                    return True
                self._changed.wait(pause)
            return bool(self._waiting) or not self._closed

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify()

    def _runs(self) -> bool:
        return self._child is not None and self._child.alive

    def _ready(self) -> Child | None:
        """The running process, started again where it ended; None while there is to be none."""
        if self._runs():
            return self._child
        if self._child is not None:
            self._child.close()
            self._failed("estimator_ended", self._child.status)
            self._child = None
        if self._closed or self._clock() < self._not_before:
            return None
        try:
            self._child = self._start(self._wake)
        except (ArtifactRejected, ChildEnded, ChildFailed) as error:
            self._failed("estimator_not_started", error.message)
        else:
            log_event("estimator_started", model=self._name)
        return self._child

    def _failed(self, event: str, reason: str) -> None:
        pause = 0.0 if not self._failures else min(PAUSE_SECONDS * 2.0 ** (self._failures - 1), PAUSE_MAX_SECONDS)
        self._failures += 1
        self._not_before = self._clock() + pause
        log_event(event, level=logging.ERROR, model=self._name, reason=reason)

    def _take(self) -> list[_Waiting]:
        """As many waiting requests as go into one call, without those whose callers have gone."""
        batch: list[_Waiting] = []
        size = 0
        with self._changed:
            while self._waiting and size + len(self._waiting[0].rows) <= ROWS_IN_ONE_CALL:
                one = self._waiting.popleft()
                self._rows_waiting -= len(one.rows)
                if one.done.set_running_or_notify_cancel():
                    batch.append(one)
                    size += len(one.rows)
        return batch

    def _answer(self, child: Child, batch: list[_Waiting]) -> None:
        if not batch:
            return
        rows = batch[0].rows if len(batch) == 1 else np.concatenate([one.rows for one in batch])
        try:
            values = self._predict(child, rows)
        except ChildEnded:
            _fail(batch, _unavailable())
        except ChildFailed:
            if len(batch) == 1:
                _fail(batch, EstimatorFailed("The estimator could not score this input."))
                return
            # One of them may be what the estimator cannot take; the others are not to blame.
            half = len(batch) // 2
            self._answer(child, batch[:half])
            self._answer(child, batch[half:])
        else:
            self._failures = 0
            start = 0
            for one in batch:
                one.done.set_result(values[start : start + len(one.rows)])
                start += len(one.rows)

    def _predict(self, child: Child, rows: Floats) -> Floats:
        data = np.ascontiguousarray(rows, dtype="<f8")
        _, answer = child.call({"do": "predict", "rows": len(rows)}, data.data, timeout=self._call_seconds)
        values = np.frombuffer(answer, dtype="<f8").astype(np.float64, copy=False)
        if len(values) != len(rows):
            raise ChildFailed("A child process gave another number of answers than it was asked for.")
        return values


def _fail(batch: list[_Waiting], error: EstimatorUnavailable | EstimatorFailed) -> None:
    """Fail what was taken from the queue, and so cannot be cancelled any more."""
    for one in batch:
        one.done.set_exception(error)


def _unavailable() -> EstimatorUnavailable:
    return EstimatorUnavailable("The process that runs the version's estimator has ended.", "Send the request again.")
