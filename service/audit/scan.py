"""Reading a stored log for verification: hashes recomputed from the entries, one span of rows at a time.

The rules:

1. Nothing stored is believed: every hash that leaves this module was computed from the bytes of entries. Stored hashes,
   sizes and times are only compared with what was computed.
2. Whatever a row holds, the wrong type included (SQLite stores text in a column of bytes), it is a finding and never an
   exception. A reader hands rows over as the driver gave them.
3. A span is scanned by itself, in any process; the roots of its tiles are all that the tree above needs.
4. The fast path hashes 256 rows at once and asks of them only that they are the right places and hash to their leaves;
   where that fails, the same rows are examined one by one.
5. The checkpoints of a span are those whose last entry is in it.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain, islice
from typing import Final, Literal, Protocol

from .entry import leaf_hash
from .note import open_checkpoint
from .tree import TILE_WIDTH, Frontier, fold

MAX_FINDINGS: Final = 1000
"""Findings kept of one span; a log that was rewritten has as many as entries."""

Kind = Literal["row", "range", "interval", "head", "witness"]

Row = tuple[int, bytes, bytes]

MISSING: Final = "No entry is stored in this place."
STRAY: Final = "An entry is stored where the log can have none."
NO_BYTES: Final = "The entry is not stored as bytes."
ALTERED: Final = "The entry does not hash to the leaf that is stored beside it."
SOUND: Final = ""
NO_SIZE: Final = "A checkpoint is kept for a size that the log does not have."

_LEAF = b"\x00"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, about the entries `first` to `last` or, where these are None, about the whole log.

    `row`: the entry itself, or its absence; `range`: entry and leaf agree with each other, but not with the hash of
    their 256 (or 65,536 ...); `interval`: nothing closer is known than the checkpoints around; `head`: the row of the
    log; `witness`: a checkpoint kept elsewhere."""

    kind: Kind
    first: int | None
    last: int | None
    message: str


@dataclass(frozen=True, slots=True)
class HeadRow:
    """The head of a log as it is stored, which may be anything at all (rule 2)."""

    log_id: int
    origin: str
    vkey: str
    size: int
    root: bytes
    note: str
    last_recorded_at: str
    state: str
    registry_generation: int


class LogReader(Protocol):
    """One open transaction that sees one state of the database (SQLite; REPEATABLE READ on PostgreSQL).

    A bound that is None does not limit, so that rows with impossible places are found too."""

    def heads(self) -> Sequence[HeadRow]:
        """All heads."""
        ...

    def entries(self, log_id: int, start: int | None, stop: int | None) -> Iterable[Row]:
        """(seq, leaf_hash, entry) of `start` <= seq < `stop`, by seq."""
        ...

    def tiles(self, log_id: int) -> Iterable[tuple[int, int, bytes]]:
        """(level, idx, root) of every stored tile, by level and idx."""
        ...

    def anchors(self, log_id: int, start: int | None, stop: int | None) -> Iterable[tuple[int, str, str]]:
        """(size, note, recorded_at) of the kept checkpoints with `start` <= size < `stop`, by size."""
        ...


class OpenReader(Protocol):
    """Opens a reader; it is pickled where several processes verify."""

    def __call__(self) -> AbstractContextManager[LogReader]:
        """A reader, closed when the block ends."""
        ...


@dataclass(frozen=True, slots=True)
class Span:
    """The entries `start` to `stop - 1` of a log, `start` being the first of a tile. `sizes` are those whose edges are
    wanted besides those of the kept checkpoints; `vkey` is None where the log has no usable key."""

    log_id: int
    start: int
    stop: int
    vkey: str | None
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """The tree at one size, from its last complete tile on: the peaks inside of the incomplete one (None where it
    cannot be computed), and `at` of the last entry (None where there is none), which is `sound` or not."""

    peaks: tuple[bytes, ...] | None
    at: str | None
    sound: bool


@dataclass(frozen=True, slots=True)
class Anchor:
    """A kept checkpoint: the size and time of its row, and the root that it signs; `root` is None where the note is not
    that of this size, or not signed."""

    size: int
    root: bytes | None
    recorded_at: str


@dataclass(slots=True)
class Scan:
    """What a span holds: `roots` of its complete tiles in order (None where rows are missing; fewer where all the rest
    is), the first damaged place of each damaged tile, edges by size, kept checkpoints, entry 0."""

    read: int = 0
    roots: list[bytes | None] = field(default_factory=list)
    damaged: dict[int, int] = field(default_factory=dict)
    edges: dict[int, Edge] = field(default_factory=dict)
    anchors: list[Anchor] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    opening: bytes | None = None

    def add(self, first: int, last: int, message: str) -> None:
        """Note that the rows `first` to `last` are damaged, together with the rows before them where these are too."""
        self.damaged.setdefault(first // TILE_WIDTH, first)
        before = self.findings[-1] if self.findings else None
        if before is not None and before.message == message and before.last == first - 1:
            self.findings[-1] = Finding("row", before.first, last, message)
        elif len(self.findings) < MAX_FINDINGS:
            self.findings.append(Finding("row", first, last, message))


def scan_in_process(open_reader: OpenReader, span: Span) -> Scan:
    """Scan a span with a reader of its own."""
    with open_reader() as reader:
        return scan(reader, span)


def scan(reader: LogReader, span: Span) -> Scan:
    """Scan a span (rules 1 to 5)."""
    result = Scan()
    result.anchors = list(_anchors(reader, span, result))
    sizes = sorted({*span.sizes, *(anchor.size for anchor in result.anchors)})
    rows = iter(reader.entries(span.log_id, span.start, span.stop))
    held: list[Row] = []
    for base in range(span.start, span.stop, TILE_WIDTH):
        tile = _Tile(base, min(TILE_WIDTH, span.stop - base))
        block = [*held, *islice(rows, max(0, tile.width - len(held)))]
        if not block:
            result.add(base, span.stop - 1, MISSING)
            break
        held = [] if tile.take(block) else tile.examine(block, rows, result)
        result.read += tile.read
        result.edges.update(tile.edges(sizes))
        if tile.width == TILE_WIDTH:
            result.roots.append(tile.root())
        if base == 0:
            result.opening = tile.entries[0]
    if rest := [*held, *rows]:
        result.read += len(rest)
        result.add(span.stop - 1, span.stop - 1, STRAY)
    return result


def signed_root(note: str, vkey: str, size: int) -> bytes | None:
    """The root of a stored note, or None where it is no checkpoint of `size` entries that the key signed."""
    try:
        checkpoint = open_checkpoint(note, vkey) if type(note) is str else None
    except ValueError:
        return None
    return checkpoint.root if checkpoint is not None and checkpoint.size == size else None


def document(entry: bytes | None) -> dict[str, object]:
    """The JSON object of a stored entry; an empty one where it is none."""
    try:
        parsed = json.loads(entry) if entry is not None else {}
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _anchors(reader: LogReader, span: Span, result: Scan) -> Iterator[Anchor]:
    for size, note, recorded_at in reader.anchors(span.log_id, span.start + 1, span.stop + 1):
        if type(size) is int:
            yield Anchor(size, None if span.vkey is None else signed_root(note, span.vkey, size), recorded_at)
        else:
            result.findings.append(Finding("interval", span.start, span.stop - 1, NO_SIZE))


class _Tile:
    """The rows of one tile, `width` of them, which is less than 256 at the end of a log."""

    def __init__(self, base: int, width: int) -> None:
        self.base = base
        self.width = width
        self.read = 0
        self.hashes: Sequence[bytes | None] = ()
        self.entries: Sequence[bytes | None] = ()
        self._damaged: dict[int, str] = {}

    def take(self, block: Sequence[Row]) -> bool:
        """Take over the rows, if they are exactly those of the tile and hash to their leaves."""
        if len(block) != self.width:
            return False
        places, leaves, entries = zip(*block, strict=True)
        if places != tuple(range(self.base, self.base + self.width)):
            return False
        digest, leaf = sha256, _LEAF
        try:
            hashes = [digest(leaf + entry).digest() for entry in entries]
        except TypeError:
            return False
        self.hashes, self.entries, self.read = hashes, entries, self.width
        return hashes == [*leaves]

    def examine(self, block: Iterable[Row], rows: Iterator[Row], result: Scan) -> list[Row]:
        """Take over what is of the tile, from the block and from the rows behind it, each row by itself, and note what
        is wrong; the rows that were taken, but belong to later tiles."""
        hashes: list[bytes | None] = [None] * self.width
        entries: list[bytes | None] = [None] * self.width
        places = dict.fromkeys(range(self.width), MISSING)
        later: list[Row] = []
        block = iter(block)
        self.read = last = 0
        for row in chain(block, rows):
            seq, leaf, entry = row
            place = seq - self.base if type(seq) is int else -1
            if place >= self.width:
                later = [row, *block]
                break
            self.read += 1
            if places.get(place) is not MISSING:
                result.add(self.base + last, self.base + last, STRAY)
                continue
            last = place
            if type(entry) is not bytes:
                places[place] = NO_BYTES
            else:
                hashes[place], entries[place] = leaf_hash(entry), entry
                places[place] = SOUND if hashes[place] == leaf else ALTERED
        self.hashes, self.entries = hashes, entries
        self._damaged = {place: message for place, message in places.items() if message is not SOUND}
        for place, message in self._damaged.items():
            result.add(self.base + place, self.base + place, message)
        return later

    def root(self) -> bytes | None:
        """The root of a complete tile, from the entries."""
        hashes = [value for value in self.hashes if value is not None]
        return fold(hashes) if len(hashes) == TILE_WIDTH else None

    def edges(self, sizes: Sequence[int]) -> Iterator[tuple[int, Edge]]:
        """The edges at those of the sorted `sizes` whose last entry is in the tile."""
        wanted = slice(bisect_right(sizes, self.base), bisect_right(sizes, self.base + self.width))
        for size in sizes[wanted]:
            width = size - self.base
            hashes = [value for value in self.hashes[:width] if value is not None]
            peaks = None if len(hashes) < width else () if width == TILE_WIDTH else _peaks(hashes)
            sound = width - 1 not in self._damaged
            at = document(self.entries[width - 1]).get("at") if sound else None
            yield size, Edge(peaks, at if isinstance(at, str) else None, sound)


def _peaks(hashes: Sequence[bytes]) -> tuple[bytes, ...]:
    frontier = Frontier()
    frontier.extend(hashes)
    return frontier.peaks
