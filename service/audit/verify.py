"""Verifying a stored log: one pass over its entries that believes nothing else that is stored.

The rules:

1. The tree is recomputed from the bytes of the entries (`scan.py`); leaves, tiles, kept checkpoints, and the columns of
   the head are compared with it. `state` is compared in `succession.py`; what `registry_generation` counts is not known
   here.
2. A change is reported as closely as it can be: as a row, where an entry does not hash to its leaf; as a range of 256
   (or 65,536 ...), where entry and leaf agree with each other but not with the tile; as the interval between two
   checkpoints, where nothing closer disagrees. What follows from a change already reported is not reported again: a
   checkpoint or tile over a range with a finding in it, unless a good checkpoint lies between.
3. A log that was rewritten and signed again from end to end agrees with itself. Only a checkpoint kept elsewhere, a
   witness, can tell; a witness that disagrees is always reported.
4. The report does not depend on how many processes did the work. It holds no byte of an entry.
5. The head is read again, together with the rows, in one transaction: a log that is being written to is verified as of
   that moment.

A worked example. A log has 1000 entries and kept a checkpoint at 300. Someone changes entry 400 and its leaf:

    range 256..511   "The entries do not have the hash that is stored for their range."

and had they changed the tile's hash as well, there being no larger tile:

    interval 300..999   "The entries do not have the root of the checkpoint at the end of this interval."
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from operator import itemgetter

from .note import MAX_SIZE, Checkpoint, open_checkpoint, parse_vkey
from .scan import (
    MAX_FINDINGS,
    NO_SIZE,
    Edge,
    Finding,
    HeadRow,
    Kind,
    LogReader,
    OpenReader,
    Scan,
    Span,
    document,
    signed_root,
)
from .spread import scan_all, spans_of
from .tree import EMPTY_ROOT, TILE_HEIGHT, TILE_WIDTH, Frontier

_KEPT, _HEAD, _WITNESS = 0, 1, 2
"""Where a checkpoint is from; at one size they are compared in this order."""

_MAX_LEVEL = MAX_SIZE.bit_length() // TILE_HEIGHT


@dataclass(frozen=True, slots=True)
class Follows:
    """What the first entry of a log says of the log before it: its origin, its last index and its root in hex."""

    origin: str
    index: int
    root: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in the log named `origin`: the first findings come first, at most 1000. `root` is that of its
    `size` entries, None where rows are missing; `entries` were read."""

    origin: str
    size: int
    root: bytes | None
    state: str
    findings: tuple[Finding, ...]
    entries: int
    follows: Follows | None = None


def verify_log(
    open_reader: OpenReader,
    head: HeadRow,
    *,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
    witness: Sequence[str] = (),
) -> Report:
    """Verify the log of `head` (rules 1 to 5), in `jobs` processes, this one among them; the others open readers of
    their own. `progress` is called with the entries done and all of them; `witness` are notes of this log that were
    kept elsewhere. Raises what a reader raises, and `SystemFault` where a process was killed."""
    with open_reader() as reader:
        current = next((row for row in reader.heads() if row.log_id == head.log_id), None)
        if current is None:
            return Report(head.origin, 0, None, "", (_head("The log has no head any more."),), 0)
        case = _Case(current, _size(reader, current))
        case.check_witnesses(witness)
        spans = case.spans()
        scans = scan_all(reader, open_reader, spans, jobs, progress)
        case.check_outside(reader)
        tiles = list(reader.tiles(current.log_id))
    return case.settle(spans, scans, tiles)


class _Case:
    """One log under verification: its head, what is wanted of its rows, and what was found."""

    def __init__(self, head: HeadRow, size: int) -> None:
        self._head = head
        self._size = size
        self._findings: list[Finding] = []
        self._witnesses: list[Checkpoint] = []
        self._breaks: list[tuple[int, int]] = []
        self._good = 0
        self._witnessed = 0
        self._vkey = self._usable_vkey()
        if size != head.size or size < 1:
            self._add_head("The stored size of the log is no number of entries.")
        if head.state not in ("open", "sealed"):
            self._add_head("The stored state of the log is neither open nor sealed.")
        if type(head.registry_generation) is not int or head.registry_generation < 0:
            self._add_head("The stored registry generation of the log is no number.")

    def check_witnesses(self, notes: Sequence[str]) -> None:
        """Open the notes that were kept elsewhere; their roots are compared later."""
        for note in sorted(set(notes)) if self._vkey is not None else ():
            try:
                checkpoint = open_checkpoint(note, self._vkey or "")
            except ValueError:
                self._add("witness", None, None, "A checkpoint kept elsewhere is not one that the log's key signed.")
                continue
            if checkpoint.size > self._size:
                message = "A checkpoint kept elsewhere has entries that the log does not have."
                self._add("witness", self._size, checkpoint.size - 1, message)
            else:
                self._witnesses.append(checkpoint)

    def spans(self) -> list[Span]:
        """What is to be scanned."""
        sizes = (self._size, *(witness.size for witness in self._witnesses))
        return spans_of(self._head.log_id, self._size, self._vkey, sizes)

    def check_outside(self, reader: LogReader) -> None:
        """Find rows in places that the log does not have."""
        log_id, size = self._head.log_id, self._size
        for start, stop in ((None, 0), (size, None)):
            if outside := [place for place, _, _ in reader.entries(log_id, start, stop)]:
                places = [place for place in outside if type(place) is int]
                first, last = min(places, default=size), max(places, default=size)
                self._add("row", first, last, "Entries are stored in places that the log does not have.")
        if [*reader.anchors(log_id, None, 1), *reader.anchors(log_id, size + 1, None)]:
            self._add("interval", None, None, NO_SIZE)

    def settle(self, spans: Sequence[Span], scans: Sequence[Scan], tiles: Sequence[tuple[int, int, bytes]]) -> Report:
        """Put the scans together and compare everything stored with them."""
        computed, roots = _grow(spans, scans)
        damaged = {tile: place for part in scans for tile, place in part.damaged.items()}
        edges = {size: edge for part in scans for size, edge in part.edges.items()}
        self._breaks = sorted((place, place) for place in damaged.values())
        self._findings += (finding for part in scans for finding in part.findings)
        self._check_tiles(tiles, computed)
        self._check_checkpoints(scans, roots, edges)
        self._check_head(roots.get(self._size), edges.get(self._size))
        opening = document(scans[0].opening) if scans else {}
        if scans and scans[0].opening is not None:
            self._check_opening(opening)
        return Report(
            origin=self._head.origin,
            size=self._size,
            root=roots.get(self._size),
            state=self._head.state,
            findings=_in_order(self._findings),
            entries=sum(part.read for part in scans),
            follows=_follows(opening),
        )

    def _usable_vkey(self) -> str | None:
        vkey = self._head.vkey
        try:
            name = parse_vkey(vkey).name if type(vkey) is str else None
        except ValueError:
            name = None
        if name is None or name != self._head.origin:
            self._add_head("The stored verifier key is none, or not one of this origin.")
            return None
        return vkey

    def _check_tiles(self, tiles: Sequence[tuple[int, int, bytes]], computed: dict[tuple[int, int], bytes]) -> None:
        missing = dict(computed)
        for level, index, root in tiles:
            if not self._has_tile(level, index):
                self._add("range", None, None, "A hash is stored for a range that the log does not have.")
                continue
            expected = missing.pop((level, index), None)
            first, last = _reach(level, index)
            # Without a recomputed hash rows are missing, which was found already.
            if expected is not None and root != expected and not self._broken(first, last + 1):
                self._add("range", first, last, "The entries do not have the hash that is stored for their range.")
                insort(self._breaks, (first, last))
        for place in missing:
            self._add("range", *_reach(*place), "The hash of this range is not stored.")

    def _has_tile(self, level: int, index: int) -> bool:
        if type(level) is not int or type(index) is not int or not 0 <= level <= _MAX_LEVEL or index < 0:
            return False
        return _reach(level, index)[1] < self._size

    def _check_checkpoints(self, scans: Sequence[Scan], roots: dict[int, bytes | None], edges: dict[int, Edge]) -> None:
        signed = signed_root(self._head.note, self._vkey, self._size) if self._vkey is not None else None
        kept = [(anchor.size, _KEPT, anchor.root) for part in scans for anchor in part.anchors]
        elsewhere = [(checkpoint.size, _WITNESS, checkpoint.root) for checkpoint in self._witnesses]
        for size, order, root in sorted([*kept, (self._size, _HEAD, signed), *elsewhere], key=lambda item: item[:2]):
            computed = roots.get(size)
            if root is None:
                self._add_unsigned(order, size)
            elif root == computed:
                self._good = size
                self._witnessed = size if order == _WITNESS else self._witnessed
            elif order == _WITNESS:
                message = "The entries do not have the root of a checkpoint kept elsewhere."
                self._add("witness", self._witnessed, max(size - 1, 0), message)
            elif computed is not None and not self._broken(self._good, size):
                message = "The entries do not have the root of the checkpoint at the end of this interval."
                self._add("interval", self._good, size - 1, message)
                insort(self._breaks, (self._good, size - 1))
        for anchor in (anchor for part in scans for anchor in part.anchors):
            edge = edges.get(anchor.size)
            if edge is not None and edge.sound and edge.at != anchor.recorded_at:
                message = "A checkpoint is kept with another time than that of its last entry."
                self._add("interval", anchor.size - 1, anchor.size - 1, message)

    def _add_unsigned(self, order: int, size: int) -> None:
        """A stored checkpoint that proves nothing. Without a usable key none does, and the key was reported."""
        if self._vkey is not None and order == _HEAD:
            self._add_head("The stored checkpoint of the log is not one of its size that its key signed.")
        elif self._vkey is not None:
            message = "The checkpoint kept for this size is not one that the log's key signed."
            self._add("interval", self._good, size - 1, message)

    def _check_head(self, root: bytes | None, edge: Edge | None) -> None:
        if root is not None and self._head.root != root and not self._broken(self._good, self._size):
            self._add_head("The stored root of the log is not that of its entries.")
        if edge is not None and edge.sound and edge.at != self._head.last_recorded_at:
            self._add_head("The stored time of the log is not that of its last entry.")

    def _check_opening(self, opening: dict[str, object]) -> None:
        if opening.get("kind") != "log.opened" or opening.get("record") != self._head.origin:
            self._add_head("The first entry does not open a log of this origin.")
        elif self._vkey is not None and opening.get("out") != sha256(self._vkey.encode()).hexdigest():
            self._add_head("The stored verifier key is not the one that the first entry commits to.")

    def _broken(self, start: int, stop: int) -> bool:
        """Whether a change was already found in [start, stop). The ranges found do not overlap, because none is added
        where one was found."""
        place = bisect_left(self._breaks, start, key=itemgetter(1))
        return place < len(self._breaks) and self._breaks[place][0] < stop

    def _add_head(self, message: str) -> None:
        self._findings.append(_head(message))

    def _add(self, kind: Kind, first: int | None, last: int | None, message: str) -> None:
        self._findings.append(Finding(kind, first, last, message))


def _head(message: str) -> Finding:
    return Finding("head", None, None, message)


def _size(reader: LogReader, head: HeadRow) -> int:
    """The size of the head, or of the entries from the first on where the head holds none."""
    if type(head.size) is int and 1 <= head.size <= MAX_SIZE:
        return head.size
    size = 0
    for seq, _, _ in reader.entries(head.log_id, 0, None):
        if seq != size:
            break
        size += 1
    return size


def _reach(level: int, index: int) -> tuple[int, int]:
    """The first and the last entry under a tile."""
    height = TILE_HEIGHT * (level + 1)
    return index << height, ((index + 1) << height) - 1


def _grow(spans: Sequence[Span], scans: Sequence[Scan]) -> tuple[dict[tuple[int, int], bytes], dict[int, bytes | None]]:
    """The roots of the tiles by level and index, and of the tree at every size that a scan has an edge for; from the
    first missing row on only the tiles of level 0."""
    tiles: dict[tuple[int, int], bytes] = {}
    roots: dict[int, bytes | None] = {0: EMPTY_ROOT}
    # A tree over the roots of the tiles: its own tiles are those one level higher.
    above: Frontier | None = Frontier()
    for span, part in zip(spans, scans, strict=True):
        first = span.start // TILE_WIDTH
        sizes = deque(sorted(part.edges))
        for index, root in enumerate([*part.roots, None], first):
            while sizes and sizes[0] // TILE_WIDTH == index:
                size = sizes.popleft()
                peaks = part.edges[size].peaks
                roots[size] = None if above is None or peaks is None else Frontier(size, above.peaks + peaks).root()
            if root is not None:
                tiles[0, index] = root
                higher = above.append(root) if above is not None else ()
                tiles.update({(tile.level + 1, tile.index): tile.root for tile in higher})
            elif index < span.stop // TILE_WIDTH:
                above = None
    return tiles, roots


def _in_order(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """By place, those about the whole log last; findings about neighbouring rows that two scans made become one."""
    ordered: list[Finding] = []
    for finding in sorted(findings, key=_place):
        before = ordered[-1] if ordered else finding
        row = finding.kind == before.kind == "row" and finding.message == before.message
        if row and before.last is not None and before.last + 1 == finding.first:
            ordered[-1] = Finding("row", before.first, finding.last, finding.message)
        else:
            ordered.append(finding)
    return tuple(ordered[:MAX_FINDINGS])


def _place(finding: Finding) -> tuple[bool, int, int, str]:
    return finding.first is None, finding.first or 0, finding.last or 0, finding.kind


def _follows(opening: dict[str, object]) -> Follows | None:
    prior, root = opening.get("prior"), opening.get("in")
    if not isinstance(prior, dict) or not isinstance(root, str):
        return None
    origin, index = prior.get("origin"), prior.get("index")
    return Follows(origin, index, root) if isinstance(origin, str) and isinstance(index, int) else None
