"""Scoring with an estimator that cannot be lowered: its own `predict_proba`, in a process of its own.

The number has no additive terms, and none are made up. A row among others may differ from the same row alone in the
last bits, as the estimator's own arithmetic does; within 1e-12. Locked normalisation comes before the estimator, with
the same functions as for a linear model.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence

import numpy as np

from service.errors import ChildEnded, ChildFailed, EstimatorFailed, EstimatorUnavailable
from service.registry.child import CALL_SECONDS
from service.registry.estimator_process import MEMORY_BYTES, ROWS_IN_ONE_CALL, EstimatorProcess, start_worker
from service.registry.frames import Header
from service.registry.manifest import Manifest
from service.registry.scorer import NOT_FINITE, ScoredRow, ScoredRows, checked_matrix
from service.registry.transforms import Floats, transform_matrix

PATIENCE_SECONDS = 10.0
"""How long a request waits for its score before it is told to come again."""


class EstimatorScorer:
    """A `Scorer` over a child process. `files` are the artifact's: its manifest's bytes and all that it lists.

    `score` and `score_one` block and may be called from any thread, `score_soon` belongs to the event loop; what is
    asked for at the same time is computed in one call. Besides what a `Scorer` raises they raise EstimatorUnavailable,
    and EstimatorFailed where the estimator gives no probability. Made where the version is loaded, which takes a second
    or two, and to be closed when no request can have it any more. Raises ArtifactRejected where the estimator cannot be
    opened and EstimatorUnavailable where its process fails.
    """

    def __init__(
        self,
        manifest: Manifest,
        files: Mapping[str, bytes],
        *,
        memory_bytes: int | None = MEMORY_BYTES,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self._width = len(manifest.codes)
        self._transforms = manifest.transforms()
        try:
            self._process = EstimatorProcess(
                f"{manifest.name}@{manifest.version}",
                lambda on_end: start_worker(manifest, files, memory_bytes=memory_bytes, on_end=on_end),
                call_seconds=call_seconds,
            )
        except (ChildEnded, ChildFailed) as error:
            raise EstimatorUnavailable(f"The estimator was not started. {error.message}") from None

    @property
    def pid(self) -> int | None:
        """The id of the process that runs the estimator now; None between two of them."""
        return self._process.pid

    def used(self, matrix: Floats) -> Floats:
        """The inputs (n, k) after normalisation. Raises ValueError for a wrong shape or a number that is not finite."""
        return _finite(transform_matrix(checked_matrix(matrix, self._width), self._transforms))

    def score(self, matrix: Floats) -> ScoredRows:
        """As `Scorer.score`, with `terms` None."""
        used = self.used(matrix)
        value = np.empty(len(used), dtype=np.float64)
        for start in range(0, len(used), ROWS_IN_ONE_CALL):
            block = slice(start, start + ROWS_IN_ONE_CALL)
            # One after the other, so that single rows of other callers come in between.
            value[block] = _probabilities(self._process.submit(used[block]).result())
        return ScoredRows(value=value, raw=None, used=used, terms=None, baseline=0.0)

    def score_one(self, row: Sequence[float]) -> ScoredRow:
        """As `Scorer.score_one`, with `terms` None."""
        used = self._used_of_one(row)
        return _scored(used, self._process.submit(np.array([used], dtype=np.float64)).result())

    async def score_soon(self, row: Sequence[float]) -> ScoredRow:
        """The score of one row, while the event loop does other things. A caller that is cancelled harms no other."""
        used = self._used_of_one(row)
        future = self._process.submit(np.array([used], dtype=np.float64))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return _scored(used, await asyncio.wrap_future(future))
        except TimeoutError:
            raise EstimatorUnavailable("The estimator took too long.", "Send the request again.") from None

    def stats(self) -> Header:
        """`calls` and `rows` the present process has answered. Blocks; raises EstimatorUnavailable."""
        return self._process.stats()

    def close(self) -> None:
        """End the process after what waits for it; may block for seconds. Later calls raise EstimatorUnavailable."""
        self._process.close()

    def _used_of_one(self, row: Sequence[float]) -> tuple[float, ...]:
        if len(row) != self._width:
            raise ValueError(f"a row of {self._width} numbers is needed")
        used = self._transforms.of_one(row)
        if not all(map(math.isfinite, used)):
            raise ValueError(NOT_FINITE)
        return used


def _scored(used: tuple[float, ...], values: Floats) -> ScoredRow:
    return ScoredRow(float(_probabilities(values)[0]), None, used, None, 0.0)


def _probabilities(values: Floats) -> Floats:
    # Written so that a NaN fails. Adding 0.0 makes a negative zero positive: SQLite would not give its sign back.
    if not ((values >= 0.0) & (values <= 1.0)).all():
        raise EstimatorFailed("The estimator gave no probability for this input.")
    return np.asarray(values + 0.0, dtype=np.float64)


def _finite(used: Floats) -> Floats:
    if not np.isfinite(used).all():
        raise ValueError(NOT_FINITE)
    return used
