"""The parent's side of a shadow's child process (`shadow_worker`): start it with its version, hand it inputs."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from service.errors import ArtifactRejected, ChildEnded, ChildFailed
from service.registry.active import ModelVersion
from service.registry.child import START_SECONDS, Child

WORKER = "service.workflows.shadow_worker"

NICENESS = 10
"""Behind the server and its database, whenever they want the processor."""


@dataclass(frozen=True, slots=True)
class ShadowLimits:
    """What one shadow may take: memory of its process (address space, None for any), seconds to load and for one call;
    inputs and bytes that wait for it, and that it is handed at a time.

    A call ends after `turn_seconds`, with what is scored until then; one that is not over after `call_seconds` is, with
    its process. Inputs gather for `gather_seconds`: in that time the answer, too, leaves. A process that ended is
    started again after `pause_seconds`, each time twice as long up to `pause_max_seconds`. After `idle_seconds` without
    an input it is asked whether the process is still needed. What was dropped is told every `tell_seconds`.
    """

    memory_bytes: int | None = 1 << 30
    load_seconds: float = START_SECONDS
    call_seconds: float = 10.0
    turn_seconds: float = 1.0
    inputs_waiting: int = 1024
    bytes_waiting: int = 16 << 20
    inputs_in_one_call: int = 128
    bytes_in_one_call: int = 4 << 20
    gather_seconds: float = 0.05
    pause_seconds: float = 0.5
    pause_max_seconds: float = 60.0
    idle_seconds: float = 30.0
    tell_seconds: float = 60.0


class ShadowInput(NamedTuple):
    """What one score was made of: its id, the body of its request, and when that came."""

    score_id: str
    body: bytes
    at: datetime


class ShadowResult(NamedTuple):
    """What the shadow made of one input; the columns of `store.shadows.ShadowRow`."""

    status: str
    value: float | None
    category: str | None


FAILED = ShadowResult("failed", None, None)


class ShadowChild:
    """The process of one shadow with its version loaded from `files`, the manifest and all that it lists, and the
    signature where there is one; `trusted` are the verifier keys of publishers.

    Raises ArtifactRejected where the version cannot be loaded; ChildEnded or ChildFailed where the process fails.
    """

    def __init__(
        self, version: ModelVersion, files: Mapping[str, bytes], trusted: Sequence[str], limits: ShadowLimits
    ) -> None:
        self._limits = limits
        self._child = Child(
            WORKER, memory_bytes=limits.memory_bytes, niceness=NICENESS, start_seconds=limits.load_seconds
        )
        header = {
            "do": "load",
            "name": version.name,
            "version": version.version,
            "digest": version.digest,
            "trusted": list(trusted),
            "files": {name: len(content) for name, content in files.items()},
        }
        try:
            self._child.call(header, b"".join(files.values()), timeout=limits.load_seconds)
        except (ArtifactRejected, ChildEnded, ChildFailed):
            self._child.kill()
            self._child.close()
            raise

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._child.pid

    def score(self, inputs: Sequence[ShadowInput]) -> list[ShadowResult]:
        """The results of the first of these inputs: of one at least, of all where time allows. Raises ChildEnded or
        ChildFailed."""
        header = {
            "do": "score",
            "inputs": [(len(one.body), one.at.isoformat()) for one in inputs],
            "seconds": self._limits.turn_seconds,
        }
        body = b"".join(one.body for one in inputs)
        answer, payload = self._child.call(header, body, timeout=self._limits.call_seconds)
        values = array("d", bytes(payload))
        return [
            ShadowResult(status, None if math.isnan(value) else value, category)
            for (status, category), value in zip(answer["results"], values, strict=True)
        ]

    def kill(self) -> None:
        """End the process at once; a call that waits for it fails."""
        self._child.kill()

    def close(self) -> None:
        """End the process. Closing again does nothing."""
        self._child.close()
