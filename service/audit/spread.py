"""Scanning a log in parts, by several processes where that is asked for.

The rules:

1. The parts depend on the size of the log alone, so that the findings do not depend on the number of processes.
2. This process scans too, and begins at once; the others need half a second to start. It takes parts from the front,
   they take them from the back.
3. The others are spawned, not forked: each opens a reader of its own, and no lock or connection is inherited.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Final

from service.errors import SystemFault

from .scan import LogReader, OpenReader, Scan, Span, scan, scan_in_process
from .tree import TILE_WIDTH

SPANS: Final = 64
"""Parts of a large log."""

SMALLEST_SPAN: Final = 16_384
"""Entries of the parts of a smaller one: about 50 ms of work."""


def spans_of(log_id: int, size: int, vkey: str | None, sizes: Iterable[int]) -> list[Span]:
    """The parts of a log of `size` entries, each with those of `sizes` that are in it."""
    width = max(SMALLEST_SPAN, TILE_WIDTH * -(-size // (SPANS * TILE_WIDTH)))
    wanted = sorted(set(sizes))
    spans = []
    for start in range(0, size, width):
        stop = min(start + width, size)
        inside = wanted[bisect_left(wanted, start + 1) : bisect_left(wanted, stop + 1)]
        spans.append(Span(log_id, start, stop, vkey, tuple(inside)))
    return spans


def scan_all(
    reader: LogReader,
    open_reader: OpenReader,
    spans: Sequence[Span],
    jobs: int,
    progress: Callable[[int, int], None] | None,
) -> list[Scan]:
    """The scans of all spans, in their order, by `jobs` processes. `progress` is called with the entries done and all
    of them. Raises what a reader raises, and `SystemFault` where a process was killed."""
    scans: dict[int, Scan] = {}
    total = sum(span.stop - span.start for span in spans)
    done = 0
    parts = _here(reader, spans) if jobs <= 1 else _everywhere(reader, open_reader, spans, jobs - 1)
    for number, part in parts:
        scans[number] = part
        done += spans[number].stop - spans[number].start
        if progress is not None:
            progress(done, total)
    return [scans[number] for number in range(len(spans))]


def _here(reader: LogReader, spans: Sequence[Span]) -> Iterator[tuple[int, Scan]]:
    for number, span in enumerate(spans):
        yield number, scan(reader, span)


def _everywhere(
    reader: LogReader, open_reader: OpenReader, spans: Sequence[Span], workers: int
) -> Iterator[tuple[int, Scan]]:
    """This process scans too, so that none waits while the others start; each of them has one span in reserve."""
    waiting = deque(enumerate(spans))
    running: dict[Future[Scan], int] = {}
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        while waiting or running:
            while waiting and len(running) < 2 * workers:
                number, span = waiting.pop()
                running[pool.submit(scan_in_process, open_reader, span)] = number
            if waiting:
                number, span = waiting.popleft()
                yield number, scan(reader, span)
            finished, _ = wait(running, timeout=0 if waiting else None, return_when=FIRST_COMPLETED)
            for future in finished:
                yield running.pop(future), _result(future)


def _result(future: Future[Scan]) -> Scan:
    try:
        return future.result()
    except BrokenProcessPool:
        remedy = "Run it again with fewer jobs, or see why the system ends its processes."
        raise SystemFault("A process of the verification ended before its work was done.", remedy) from None
