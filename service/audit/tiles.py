"""The export: a log as a folder of static files that any client of C2SP tlog-tiles can read and verify.

The rules:

1. `checkpoint` is the signed note, `tile/L/N` the hashes of a tile of level L, `tile/entries/N` the entries of a tile
   of level 0. A file of our own, `key`, holds the verifier key and a newline.
2. N is written in groups of three digits, all but the last with an `x` before them: 1234067 is `x001/x234/067`.
3. A tile has 256 hashes. The last one of a level that has fewer, W, is partial: `.p/W` follows its path. Level L of a
   log of s entries has `s // 256**L` hashes; a level without any has no tile.
4. In an entry bundle each entry follows its length, two bytes, the higher one first.
5. The checkpoint comes last: whoever finds it finds everything that it promises.

A worked example, a log of 70,000 entries:

    tile/entries/000 ... tile/entries/272, tile/entries/273.p/112
    tile/0/000 ... tile/0/272, tile/0/273.p/112
    tile/1/000, tile/1/001.p/17
    tile/2/000.p/1
    key
    checkpoint
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

from .entry import MAX_ENTRY_BYTES
from .note import open_checkpoint
from .tree import TILE_HEIGHT, TILE_WIDTH, HashReader, MissingHashes, root_of

MAX_LEVEL: Final = 63

_LENGTH_BYTES = 2


class EntryReader(Protocol):
    """Where the entries of one log are stored."""

    def entries(self, start: int, stop: int) -> Sequence[bytes]:
        """The stored bytes of the entries `start` to `stop - 1`, in order."""
        ...


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """Where a tile of hashes is (rules 1 to 3). Raises ValueError where there can be none."""
    if not 0 <= level <= MAX_LEVEL:
        raise ValueError("Tiles have levels from 0 to 63.")
    return f"tile/{level}/{_place(index, width)}"


def entries_path(index: int, width: int = TILE_WIDTH) -> str:
    """Where an entry bundle is (rules 1 to 3). Raises ValueError where there can be none."""
    return f"tile/entries/{_place(index, width)}"


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """The bundle of entries of at most 65,535 bytes each (rule 4); ValueError for a longer one."""
    parts = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise ValueError("An entry is too long for a bundle.")
        parts += [len(entry).to_bytes(_LENGTH_BYTES, "big"), entry]
    return b"".join(parts)


def parse_bundle(bundle: bytes) -> list[bytes]:
    """The entries of a bundle, at most 256; ValueError where its lengths do not add up."""
    entries: list[bytes] = []
    start = 0
    while start < len(bundle):
        first = start + _LENGTH_BYTES
        start = first + int.from_bytes(bundle[first - _LENGTH_BYTES : first], "big")
        if not first <= start <= len(bundle) or len(entries) == TILE_WIDTH:
            raise ValueError("The bundle is cut off, or too long.")
        entries.append(bundle[first:start])
    return entries


def export(hashes: HashReader, entries: EntryReader, note: str, vkey: str) -> Iterator[tuple[str, bytes]]:
    """Every file of the log as it is at the checkpoint `note`: its path and its bytes, one tile in memory at a time.

    Raises ValueError where `vkey` did not sign the note, or where the stored tree has another root; `MissingHashes`
    where hashes or entries are missing."""
    checkpoint = open_checkpoint(note, vkey)
    if root_of(hashes, checkpoint.size) != checkpoint.root:
        raise ValueError("The stored tree is not the one of the checkpoint.")
    for index, start, stop in _tiles(checkpoint.size):
        bundle = entries.entries(start, stop)
        _require_all(bundle, start, stop)
        yield entries_path(index, stop - start), encode_bundle(bundle)
    level = 0
    while width := checkpoint.size >> TILE_HEIGHT * level:
        for index, start, stop in _tiles(width):
            tile = hashes.hashes(level, start, stop)
            _require_all(tile, start, stop)
            yield tile_path(level, index, stop - start), b"".join(tile)
        level += 1
    yield "key", f"{vkey}\n".encode()
    yield "checkpoint", note.encode()


def _tiles(number: int) -> Iterator[tuple[int, int, int]]:
    """Index, start and stop of the tiles over `number` hashes."""
    for start in range(0, number, TILE_WIDTH):
        yield start // TILE_WIDTH, start, min(start + TILE_WIDTH, number)


def _place(index: int, width: int) -> str:
    if index < 0 or not 1 <= width <= TILE_WIDTH:
        raise ValueError("Tiles have an index of at least 0 and from 1 to 256 hashes.")
    groups = [f"{index % 1000:03}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03}")
    return "/".join(reversed(groups)) + ("" if width == TILE_WIDTH else f".p/{width}")


def _require_all(found: Sequence[bytes], start: int, stop: int) -> None:
    if len(found) != stop - start:
        raise MissingHashes("Hashes or entries of the tree are missing from the storage.")
