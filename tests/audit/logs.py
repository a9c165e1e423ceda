"""Logs in memory, with which the tree, its proofs and the verifier are tested."""

from __future__ import annotations

from collections.abc import Sequence

from service.audit.tree import fold


class Leaves:
    """A hash reader over leaf hashes, which counts what was read."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._levels = [list(leaves)]
        self.reads: list[tuple[int, int, int]] = []
        while len(below := self._levels[-1]) >= 256:
            self._levels.append([fold(below[i : i + 256]) for i in range(0, len(below) - 255, 256)])

    def hashes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        self.reads.append((level, start, stop))
        return self._levels[level][start:stop]
