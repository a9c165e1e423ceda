"""The Merkle tree of RFC 6962: its right edge, its root, and the proofs that an entry or an older tree is in it.

The rules:

1. `leaf = SHA-256(0x00 || entry)`, `node = SHA-256(0x01 || left || right)`; the left half of a tree of n leaves holds
   the largest power of two smaller than n (RFC 6962 and RFC 9162, section 2.1.1). The empty tree is SHA-256 of nothing.
2. A tile is a complete subtree of 256**(level + 1) leaves, aligned to its own size (C2SP tlog-tiles). Its root never
   changes again, so that it may be stored once.
3. A tree that only grows is known by its right edge: the roots of the complete subtrees that its size is made of, one
   for each bit of the size that is set, the largest first. That is all `Frontier` holds.
4. Whatever is computed from storage asks a `HashReader` for parts of single tiles, at most two tiles a level.
5. The verifiers follow the algorithms of RFC 9162, sections 2.1.3.2 and 2.1.4.2, and share no code with what makes the
   proofs.

A worked example, over the leaf hashes a, b, c of three entries:

    Frontier().extend([a, b, c])  -> []             no tile is complete before 256 leaves
    peaks                         -> H(a, b), c     3 = 0b11
    root                          -> H(H(a, b), c)
    inclusion_path(reader, 0, 3)  -> [b, c]         H(H(a, b), c) is the root again
    consistency_path(reader, 2, 3)-> [c]            the old root H(a, b) and c give the new one
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

HASH_BYTES: Final = 32

TILE_WIDTH: Final = 256
"""Hashes in a complete tile."""

TILE_HEIGHT: Final = 8
"""Levels of the binary tree that one tile spans."""

EMPTY_ROOT: Final = sha256(b"").digest()
"""Root of the tree without leaves."""

_NODE: Final = b"\x01"
_LAST: Final = TILE_WIDTH - 1


@dataclass(frozen=True, slots=True)
class Tile:
    """A complete tile: `root` covers the leaves from `index * 256**(level + 1)` on, 256**(level + 1) of them."""

    level: int
    index: int
    root: bytes


class HashReader(Protocol):
    """Where hashes of a tree are stored."""

    def hashes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        """At level 0 the leaf hashes `start` to `stop - 1`; at level L >= 1 the roots of that many tiles of level
        L - 1, each over 256**L leaves. All that was asked for, in order."""
        ...


class MissingHashes(ValueError):
    """A reader had fewer hashes than the tree needs: what is stored is damaged or is not yet that large."""


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node (rule 1)."""
    return sha256(_NODE + left + right).digest()


class Frontier:
    """The right edge of a tree of `size` leaves; `peaks` as in rule 3. Raises ValueError where the two disagree.

    Costs one hash per leaf, on average, and keeps one hash per bit of the size. Not for use by several threads."""

    __slots__ = ("_peaks", "_size")

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        if size < 0 or len(peaks) != size.bit_count() or any(len(peak) != HASH_BYTES for peak in peaks):
            raise ValueError("A tree needs one hash of 32 bytes for each bit of its size.")
        self._size = size
        self._peaks = list(peaks)

    @property
    def size(self) -> int:
        """Leaves in the tree."""
        return self._size

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """Roots of the complete subtrees, the largest first."""
        return tuple(self._peaks)

    def append(self, leaf: bytes) -> list[Tile]:
        """Add one leaf hash; the tiles that it completed, smallest first."""
        return self.extend((leaf,))

    def extend(self, leaves: Iterable[bytes]) -> list[Tile]:
        """Add leaf hashes; the tiles that they completed, in the order of completion."""
        digest, node, last = sha256, _NODE, _LAST
        peaks, size = self._peaks, self._size
        pop, push = peaks.pop, peaks.append
        tiles: list[Tile] = []
        for leaf in leaves:
            carry = size & last
            complete = carry == last
            while carry & 1:
                leaf = digest(node + pop() + leaf).digest()  # noqa: PLW2901 - the hot path: one name less to store
                carry >>= 1
            push(leaf)
            size += 1
            if complete:
                _complete(peaks, size, tiles)
        self._size = size
        return tiles

    def root(self) -> bytes:
        """The root of the tree."""
        return _bag(self._peaks)

    def copy(self) -> Frontier:
        """An independent frontier of the same tree."""
        return Frontier(self._size, self._peaks)


def frontier_of(reader: HashReader, size: int) -> Frontier:
    """The right edge of the stored tree at `size`; one read of less than 256 hashes per level."""
    return Frontier(size, _Tree(reader, size).cover(0, size))


def root_of(reader: HashReader, size: int) -> bytes:
    """The root of the stored tree at `size`."""
    return frontier_of(reader, size).root()


def inclusion_path(reader: HashReader, index: int, size: int) -> list[bytes]:
    """The proof that leaf `index` is in the tree of `size` leaves, from the leaf's sibling up (RFC 9162, section
    2.1.3.1). Raises ValueError where the tree has no such leaf."""
    if not 0 <= index < size:
        raise ValueError("The tree has no leaf of that index.")
    tree = _Tree(reader, size)
    path = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(tree.hash(middle, high))
            high = middle
        else:
            path.append(tree.hash(low, middle))
            low = middle
    return path[::-1]


def consistency_path(reader: HashReader, old: int, new: int) -> list[bytes]:
    """The proof that the tree of `new` leaves begins with the tree of `old` leaves (RFC 9162, section 2.1.4.1); empty
    where `old` is 0 or `new`. Raises ValueError where `old` is larger."""
    if not 0 <= old <= new:
        raise ValueError("The older tree has to be the smaller one.")
    if old in (0, new):
        return []
    tree = _Tree(reader, new)
    path = []
    low, high = 0, new
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(tree.hash(middle, high))
            high = middle
        else:
            path.append(tree.hash(low, middle))
            low = middle
    if low:
        path.append(tree.hash(low, high))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether `path` proves that `leaf` is leaf `index` of the tree of `size` leaves with this root (RFC 9162, section
    2.1.3.2)."""
    if not 0 <= index < size:
        return False
    fn, sn = index, size - 1
    r = leaf
    for p in path:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether `path` proves that the tree of `new` leaves begins with the tree of `old` leaves, with these roots (RFC
    9162, section 2.1.4.2). Every tree begins with the empty one and with itself, for which the path is empty."""
    if not 0 <= old <= new:
        return False
    if old == new:
        return not path and old_root == new_root and (old > 0 or old_root == EMPTY_ROOT)
    if old == 0:
        return not path and old_root == EMPTY_ROOT
    return _consistent(old, new, old_root, new_root, path)


def _consistent(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    nodes = list(path) if old & (old - 1) else [old_root, *path]
    if not path or not nodes:
        return False
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = nodes[0]
    for c in nodes[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == old_root and sr == new_root


def _complete(peaks: list[bytes], size: int, tiles: list[Tile]) -> None:
    """The last peak is the root of a tile that ends at `size`: note it, and carry on above it, tile by tile."""
    level = 0
    while True:
        index = (size >> TILE_HEIGHT * (level + 1)) - 1
        root = peaks.pop()
        tiles.append(Tile(level, index, root))
        carry = index & _LAST
        filled = carry == _LAST
        while carry & 1:
            root = node_hash(peaks.pop(), root)
            carry >>= 1
        peaks.append(root)
        if not filled:
            return
        level += 1


def _bag(peaks: Sequence[bytes]) -> bytes:
    """The root over peaks, the largest first: each is the left child of what the smaller ones make."""
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for peak in peaks[-2::-1]:
        root = node_hash(peak, root)
    return root


def _split(size: int) -> int:
    """The largest power of two smaller than `size`, which is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def fold(hashes: Sequence[bytes]) -> bytes:
    """The root over a power of two of sibling hashes; about 0.6 us for each."""
    digest, node = sha256, _NODE
    while len(hashes) > 1:
        hashes = [digest(node + left + right).digest() for left, right in zip(hashes[::2], hashes[1::2], strict=True)]
    return hashes[0]


class _Tree:
    """The stored tree of `size` leaves: every tile that is needed is read once, and no further than `size`."""

    def __init__(self, reader: HashReader, size: int) -> None:
        self._reader = reader
        self._size = size
        self._tiles: dict[tuple[int, int], Sequence[bytes]] = {}

    def hash(self, low: int, high: int) -> bytes:
        """The hash over the leaves of a node of the tree: a complete subtree, or one that ends at the right edge."""
        return _bag(self.cover(low, high))

    def cover(self, low: int, high: int) -> list[bytes]:
        """The roots of the complete subtrees that [low, high) is made of, the largest first."""
        roots = []
        while low < high:
            height = (high - low).bit_length() - 1
            roots.append(self._subtree(height, low >> height))
            low += 1 << height
        return roots

    def _subtree(self, height: int, index: int) -> bytes:
        """The root of the complete subtree of 2**height leaves; it lies inside one tile."""
        level, inner = divmod(height, TILE_HEIGHT)
        tile, offset = divmod(index << inner, TILE_WIDTH)
        return fold(self._tile(level, tile)[offset : offset + (1 << inner)])

    def _tile(self, level: int, index: int) -> Sequence[bytes]:
        tile = self._tiles.get((level, index))
        if tile is None:
            start = index * TILE_WIDTH
            stop = min(start + TILE_WIDTH, self._size >> TILE_HEIGHT * level)
            tile = self._reader.hashes(level, start, stop)
            if len(tile) != stop - start:
                raise MissingHashes("Hashes of the tree are missing from the storage.")
            self._tiles[level, index] = tile
        return tile
