"""Logs in memory, with which the tree, its proofs and the verifier are tested."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.audit.entry import Entry, leaf_hash, timestamp
from service.audit.note import Checkpoint, Signer, sign_checkpoint
from service.audit.scan import HeadRow, OpenReader
from service.audit.tree import Frontier, fold, frontier_of

ORIGIN = "exoscore/0123456789abcdef"
SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
VKEY = SIGNER.vkey(ORIGIN)
AT = datetime(2026, 11, 23, 5, 51, 19, tzinfo=UTC)


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


def at(index: int) -> str:
    return timestamp(AT + timedelta(microseconds=index))


def opening(origin: str, vkey: str) -> bytes:
    out = sha256(vkey.encode()).hexdigest()
    return Entry("log.opened", AT, "system:service", "default", record=origin, out=out).encode()


def entries_of(number: int, origin: str = ORIGIN, vkey: str = VKEY, word: str = "key:k1") -> list[bytes]:
    scored = Entry("score.reported", AT, word, "default", record="018f").encode()
    middle = at(0).encode()
    return [opening(origin, vkey), *(scored.replace(middle, at(i).encode()) for i in range(1, number))]


@dataclass
class MemoryLog:
    """A log as its four tables hold it; every value may be replaced by anything."""

    head: HeadRow
    rows: list[tuple[Any, Any, Any]]
    tiles: dict[tuple[Any, Any], Any]
    anchors: list[tuple[Any, Any, Any]] = field(default_factory=list)
    others: list[HeadRow] = field(default_factory=list)

    @property
    def open(self) -> OpenReader:
        return partial(open_memory, self)

    def set_head(self, **columns: Any) -> None:
        self.head = replace(self.head, **columns)


class MemoryReader:
    """A log reader over a log in memory."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    def heads(self) -> Sequence[HeadRow]:
        return [*self._log.others, self._log.head]

    def entries(self, log_id: int, start: int | None, stop: int | None) -> Iterable[tuple[Any, Any, Any]]:
        return _between(self._log.rows, start, stop)

    def tiles(self, log_id: int) -> Iterable[tuple[Any, Any, Any]]:
        return [(level, index, root) for (level, index), root in self._log.tiles.items()]

    def anchors(self, log_id: int, start: int | None, stop: int | None) -> Iterable[tuple[Any, Any, Any]]:
        return _between(self._log.anchors, start, stop)


@contextmanager
def open_memory(log: MemoryLog) -> Iterator[MemoryReader]:
    yield MemoryReader(log)


def log_of(
    entries: Sequence[bytes],
    kept: Iterable[int] = (),
    *,
    signer: Signer = SIGNER,
    origin: str = ORIGIN,
    log_id: int = 1,
) -> MemoryLog:
    """The log of these entries, with checkpoints kept at some sizes: every stored value is right."""
    leaves = [leaf_hash(entry) for entry in entries]
    frontier = Frontier()
    tiles = {(tile.level, tile.index): tile.root for tile in frontier.extend(leaves)}
    reader = Leaves(leaves)

    def note(size: int) -> str:
        return sign_checkpoint(signer, Checkpoint(origin, size, frontier_of(reader, size).root()))

    head = HeadRow(
        log_id=log_id,
        origin=origin,
        vkey=signer.vkey(origin),
        size=len(entries),
        root=frontier.root(),
        note=note(len(entries)),
        last_recorded_at=at(len(entries) - 1),
        state="open",
        registry_generation=0,
    )
    rows = [(seq, leaf, entry) for seq, (leaf, entry) in enumerate(zip(leaves, entries, strict=True))]
    return MemoryLog(head, [*rows], dict(sorted(tiles.items())), [(size, note(size), at(size - 1)) for size in kept])


def _between(rows: Sequence[tuple[Any, Any, Any]], start: int | None, stop: int | None) -> Iterable[Any]:
    """As SQLite compares: text is larger than every number."""
    low = 0 if start is None else _place(rows, start)
    high = len(rows) if stop is None else _place(rows, stop)
    return iter(rows[low:high])


def _place(rows: Sequence[tuple[Any, Any, Any]], bound: int) -> int:
    low, high = 0, len(rows)
    while low < high:
        middle = (low + high) // 2
        if isinstance(rows[middle][0], str) or rows[middle][0] >= bound:
            high = middle
        else:
            low = middle + 1
    return low
