"""The child process of one shadow: opens the version, then scores what others were answered, and says what came of it.

The input goes the way of a request (`score_specimen.score_body`), except that the shadow answers, whatever model the
body names. So a panel that does not fit is refused here as it would be there, and a measured gate that fails gives no
number. Whatever else goes wrong with one input is told of that input; what ends the process is the parent's to tell.
"""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Iterable, Iterator
from datetime import datetime

from service.domain.answer import status_of
from service.errors import InputRejected, ServiceError
from service.registry.active import ActiveModels, ModelVersion
from service.registry.artifact import Expected
from service.registry.child_loop import answer_calls
from service.registry.frames import Header, Payload
from service.registry.opened import open_version
from service.workflows.score_specimen import Scored, score_body

_FAULTS = (
    ServiceError, ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, MemoryError, OSError,
    RuntimeError, TypeError, ValueError,
)  # fmt: skip
"""What an estimator may raise for one input and be asked for another afterwards."""

Result = tuple[str, float | None, str | None]
"""Status, value and category of one input."""


class OnlyShadow(ActiveModels):
    """A snapshot in which one version answers to every name."""

    def resolve(self, reference: str) -> ModelVersion:  # noqa: ARG002
        """The version."""
        return self.versions[0]


class ShadowWorker:
    """One version, once `load` has been asked for."""

    def __init__(self) -> None:
        self._models = OnlyShadow((), {})

    def handle(self, header: Header, payload: bytearray) -> tuple[Header, Payload]:
        """Do what a message says; raises ArtifactRejected for a version that cannot be loaded."""
        if header["do"] == "load":
            files = dict(zip(header["files"], _parts(payload, header["files"].values()), strict=True))
            expected = Expected(header["name"], header["version"], header["digest"])
            self._models = OnlyShadow((open_version(expected, files, header["trusted"]),), {})
            return {}, b""
        return self._score(header["inputs"], header["seconds"], payload)

    def _score(self, inputs: list[tuple[int, str]], seconds: float, payload: bytearray) -> tuple[Header, Payload]:
        """The results of as many inputs as can be scored in that time, of one at least."""
        until = time.monotonic() + seconds
        results: list[Result] = []
        for (_, at), body in zip(inputs, _parts(payload, [size for size, _ in inputs]), strict=True):
            results.append(self._score_one(body, datetime.fromisoformat(at)))
            if time.monotonic() > until:
                break
        values = array("d", [math.nan if value is None else value for _, value, _ in results])
        return {"results": [(status, category) for status, _, category in results]}, values.tobytes()

    def _score_one(self, body: bytes, at: datetime) -> Result:
        try:
            found = score_body(self._models, body, at)
            scored = found if isinstance(found, Scored) else found.now()
        except InputRejected:
            return "refused", None, None
        except _FAULTS:
            return "failed", None, None
        status, score = status_of(scored.score, scored.quality), scored.score
        if score is None:
            return status, None, None
        return status, score.value, None if score.category is None else score.category.code


def _parts(payload: bytearray, sizes: Iterable[int]) -> Iterator[bytes]:
    start, view = 0, memoryview(payload)
    for size in sizes:
        yield bytes(view[start : start + size])
        start += size


if __name__ == "__main__":
    answer_calls(ShadowWorker().handle)
