"""The line in front of one shadow: what waits to be scored, the process that scores it, the thread between the two.

Rules:
1. Whoever offers an input never waits and never sees an error. Where the line is full, the input is dropped; how many
   were is told in the log, once a minute.
2. A process that ends, or is ended because a call takes too long, is started again after a pause that doubles. The
   inputs it held are then handed over one by one, so that the one to blame is found: it alone is stored as `failed`.
3. A version that cannot be loaded scores nothing: what waits is stored as `failed`, a call's worth at every attempt.
4. The thread begins with the first input, the process with it, and both end when nothing waits and the version is no
   shadow any more.
5. Inputs are about people: they wait in memory alone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from service.audit.entry import timestamp
from service.errors import ArtifactRejected, ChildEnded, ChildFailed, StorageUnavailable, SystemFault
from service.registry.active import ModelVersion
from service.store.shadows import ShadowRow
from service.telemetry import log_event
from service.workflows.shadow_child import FAILED, ShadowChild, ShadowInput, ShadowLimits, ShadowResult

STORE_ATTEMPTS = 3
CLOSE_SECONDS = 3.0
"""How long the end of the service waits for a thread that is about to write, or to start a process."""


class ShadowLine:
    """One shadow at work; see the rules. `offer` belongs to the event loop.

    `files` gives the version's files, whose signatures are by `trusted`, `store` stores rows, `wanted` tells whether
    the version is a shadow still; all three are called from the line's own thread, and the first two may raise a
    SystemFault. `now` is the time that rows are stamped with, `clock` counts seconds and never steps back.
    """

    def __init__(
        self,
        version: ModelVersion,
        *,
        files: Callable[[], Mapping[str, bytes]],
        trusted: Sequence[str],
        store: Callable[[Sequence[ShadowRow]], None],
        wanted: Callable[[], bool],
        limits: ShadowLimits,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._version, self._files, self._trusted = version, files, trusted
        self._keep, self._wanted = store, wanted
        self._limits, self._now, self._clock = limits, now, clock
        self._changed = threading.Condition()
        self._waiting: deque[ShadowInput] = deque()
        self._bytes = 0
        self._dropped = 0
        self._told_at = clock() - limits.tell_seconds
        self._failures, self._not_before, self._one_by_one = 0, 0.0, 0
        self._closed = False
        self._child: ShadowChild | None = None
        self._thread: threading.Thread | None = None

    @property
    def idle(self) -> bool:
        """Whether neither thread nor process run."""
        return self._thread is None or not self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """How many inputs wait, without those the process holds."""
        return len(self._waiting)

    @property
    def pid(self) -> int | None:
        """The id of the process; None while there is none."""
        child = self._child
        return None if child is None else child.pid

    def offer(self, one: ShadowInput) -> None:
        """Take an input in, or drop it; returns at once."""
        limits = self._limits
        with self._changed:
            if self._closed:
                return
            full = len(self._waiting) >= limits.inputs_waiting or self._bytes + len(one.body) > limits.bytes_waiting
            if full or not self._runs():
                self._dropped += 1
                return
            self._waiting.append(one)
            self._bytes += len(one.body)
            self._changed.notify()

    def close(self) -> None:
        """Drop what waits, and end process and thread; takes seconds at most."""
        with self._changed:
            self._closed = True
            self._dropped += len(self._waiting)
            self._waiting.clear()
            self._changed.notify()
        child, thread = self._child, self._thread
        if child is not None:
            child.kill()
        if thread is not None:
            thread.join(CLOSE_SECONDS)

    def _runs(self) -> bool:
        """Whether the thread runs, started where it does not."""
        if self.idle:
            self._thread = threading.Thread(target=self._run, name=f"shadow {self._version.name}", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # the machine gives no more threads away
                self._thread = None
        return self._thread is not None

    def _run(self) -> None:
        try:
            while self._wait_for_work():
                self._gather()
                inputs = self._take()
                if inputs:
                    self._store(self._score(inputs))
        finally:
            self._end_child()
            self._tell(at_once=True)

    def _wait_for_work(self) -> bool:
        """Wait until there is an input and the pause is over; False where the thread is to end."""
        while True:
            self._tell()
            with self._changed:
                if self._closed:
                    return False
                pause = self._not_before - self._clock() if self._waiting else self._limits.idle_seconds
                if pause <= 0:
                    return True
                self._changed.wait(pause)
                if self._waiting or self._closed or self._wanted():
                    continue
                if self._child is None:
                    self._thread = None
                    return False
            # Not under the lock, which whoever offers needs; the thread goes when there is still nothing next time.
            self._end_child()

    def _gather(self) -> None:
        if len(self._waiting) < self._limits.inputs_in_one_call:
            time.sleep(self._limits.gather_seconds)

    def _take(self) -> list[ShadowInput]:
        limits, taken, size = self._limits, list[ShadowInput](), 0
        with self._changed:
            count = 1 if self._one_by_one else limits.inputs_in_one_call
            while self._waiting and len(taken) < count:
                size += len(self._waiting[0].body)
                if taken and size > limits.bytes_in_one_call:
                    break
                taken.append(self._waiting.popleft())
                self._bytes -= len(taken[-1].body)
        return taken

    def _put_back(self, inputs: Sequence[ShadowInput]) -> None:
        with self._changed:
            if self._closed:
                self._dropped += len(inputs)
                return
            self._waiting.extendleft(reversed(inputs))
            self._bytes += sum(len(one.body) for one in inputs)

    def _score(self, inputs: list[ShadowInput]) -> list[tuple[ShadowInput, ShadowResult]]:
        """What came of the first of these inputs; the others wait again."""
        try:
            child = self._started()
        except (ArtifactRejected, ChildEnded, ChildFailed) as error:
            self._pause("shadow_not_loaded", error)
            return [(one, FAILED) for one in inputs]
        except SystemFault as error:  # the database is away
            self._pause("shadow_not_loaded", error)
            self._put_back(inputs)
            return []
        try:
            results = child.score(inputs)
        except (ChildEnded, ChildFailed) as error:
            self._end_child()
            if self._closed:
                self._put_back(inputs)
                return []
            self._pause("shadow_ended", error)
            if len(inputs) == 1:
                self._one_by_one = max(0, self._one_by_one - 1)
                return [(inputs[0], FAILED)]
            self._one_by_one = len(inputs)
            self._put_back(inputs)
            return []
        self._failures = 0
        self._one_by_one = max(0, self._one_by_one - len(results))
        self._put_back(inputs[len(results) :])
        return list(zip(inputs, results, strict=False))

    def _started(self) -> ShadowChild:
        if self._child is None:
            self._child = ShadowChild(self._version, self._files(), self._trusted, self._limits)
        return self._child

    def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.close()

    def _pause(self, event: str, error: ArtifactRejected | SystemFault) -> None:
        pause = min(self._limits.pause_seconds * 2.0**self._failures, self._limits.pause_max_seconds)
        self._failures = min(self._failures + 1, 32)
        self._not_before = self._clock() + pause
        self._log(event, reason=error.message, error_type=type(error).__name__)

    def _store(self, scored: Sequence[tuple[ShadowInput, ShadowResult]]) -> None:
        if not scored:
            return
        version, at = self._version, timestamp(self._now())
        rows = [
            ShadowRow(one.score_id, version.digest, version.name, version.version, *result, at)
            for one, result in scored
        ]
        for attempt in range(1, STORE_ATTEMPTS + 1):
            try:
                self._keep(rows)
            except StorageUnavailable as error:
                if attempt == STORE_ATTEMPTS or self._closed:
                    self._log("shadow_not_stored", error_type=type(error).__name__, size=len(rows))
                    return
                time.sleep(self._limits.pause_seconds)
            else:
                return

    def _tell(self, *, at_once: bool = False) -> None:
        """Tell how many inputs were dropped, where there is something to tell and it is time."""
        with self._changed:
            due = at_once or self._clock() - self._told_at >= self._limits.tell_seconds
            if not self._dropped or not due:
                return
            dropped, self._dropped, self._told_at = self._dropped, 0, self._clock()
        self._log("shadow_dropped", size=dropped)

    def _log(self, event: str, **fields: str | float | None) -> None:
        model = f"{self._version.name}@{self._version.version}"
        log_event(event, level=logging.WARNING, model=model, **fields)
