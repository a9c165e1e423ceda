"""Many independent random tasks on several processes, with the result of one.

Each task has a generator of its own, seeded by the build's seed, the kind of task and its number, and every task runs
with one thread of linear algebra: neither the number of workers nor their order can change a digit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

Result = TypeVar("Result")
Task = Callable[[np.random.Generator], Result]


class Progress(Protocol):
    """Told how far a build is."""

    def begin(self, stage: str, total: int) -> None:
        """A stage of `total` tasks begins."""
        ...

    def advance(self, count: int) -> None:
        """`count` more of its tasks are done."""
        ...


class Silent:
    """Progress nobody watches."""

    def begin(self, stage: str, total: int) -> None:
        """Says nothing."""

    def advance(self, count: int) -> None:
        """Says nothing."""


class Workers:
    """Runs tasks on `jobs` processes; `seed` is the build's."""

    def __init__(self, jobs: int, seed: int, progress: Progress) -> None:
        self._jobs = jobs
        self._seed = seed
        self._progress = progress

    def generator(self, kind: str, number: int = 0) -> np.random.Generator:
        """The generator of task `number` of a kind."""
        return np.random.default_rng([self._seed, number, *kind.encode()])

    def run(self, stage: str, kind: str, task: Task[Result], count: int) -> list[Result]:
        """The results of `count` tasks in their order; `task` must be picklable."""
        self._progress.begin(stage, count)
        results: list[Result] = []
        for part in self._parts(kind, task, count):
            results += part
            self._progress.advance(len(part))
        return results

    def _parts(self, kind: str, task: Task[Result], count: int) -> Iterator[list[Result]]:
        size = max(1, min(16, count // (8 * self._jobs)))
        numbers = [range(start, min(start + size, count)) for start in range(0, count, size)]
        if self._jobs == 1 or len(numbers) == 1:
            for part in numbers:
                yield _run(task, [self.generator(kind, number) for number in part])
            return
        calls = (delayed(_run)(task, [self.generator(kind, number) for number in part]) for part in numbers)
        yield from Parallel(n_jobs=self._jobs, return_as="generator", batch_size=1)(calls)


def _run(task: Task[Result], generators: Sequence[np.random.Generator]) -> list[Result]:
    # Threads of linear algebra add up in another order than one does.
    with threadpool_limits(limits=1):
        return [task(generator) for generator in generators]
