"""The tree as its definition says, whatever the size, and however the leaves came."""

from __future__ import annotations

import random
from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.audit.tree import (
    EMPTY_ROOT,
    Frontier,
    HashReader,
    Tile,
    consistency_path,
    fold,
    frontier_of,
    inclusion_path,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from tests.audit.logs import Leaves

LEAVES = [sha256(b"leaf %d" % i).digest() for i in range(70_000)]
READER = Leaves(LEAVES)


def defined_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, section 2.1, word by word."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sha256(b"\x01" + defined_root(leaves[:k]) + defined_root(leaves[k:])).digest()


ROOTS = [defined_root(LEAVES[:size]) for size in range(601)]


class Twins:
    """A tree of any size whose leaves are all the same: every subtree of one size has one hash."""

    def __init__(self) -> None:
        self._levels = [LEAVES[0]]

    def hashes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        assert stop - start <= 256
        while len(self._levels) <= level:
            self._levels.append(fold([self._levels[-1]] * 256))
        return [self._levels[level]] * (stop - start)


@pytest.mark.parametrize("size", range(601))
def test_roots_are_those_of_the_definition(size: int) -> None:
    frontier = frontier_of(READER, size)
    assert frontier.root() == root_of(READER, size) == ROOTS[size]
    grown = Frontier()
    grown.extend(LEAVES[:size])
    assert grown.peaks == frontier.peaks


@pytest.mark.parametrize("size", [*range(1, 66), 127, 128, 255, 256, 257, 511, 512, 513, 600])
def test_every_leaf_can_be_proved(size: int) -> None:
    for index in range(size):
        path = inclusion_path(READER, index, size)
        assert verify_inclusion(LEAVES[index], index, size, path, ROOTS[size])
        assert not verify_inclusion(LEAVES[index], (index + 1) % (size + 1), size, path, ROOTS[size])


@pytest.mark.parametrize("new", [*range(1, 66), 127, 128, 255, 256, 257, 511, 512, 513, 600])
def test_every_older_tree_can_be_proved(new: int) -> None:
    for old in range(new + 1):
        path = consistency_path(READER, old, new)
        assert verify_consistency(old, new, ROOTS[old], ROOTS[new], path)
        if 0 < old < new:
            assert not verify_consistency(old, new, ROOTS[old - 1], ROOTS[new], path)
            assert not verify_consistency(old, new, ROOTS[old], ROOTS[new - 1], path)
            assert not verify_consistency(old, new, ROOTS[old], ROOTS[new], path[:-1])


def samples(largest: int) -> st.SearchStrategy[int]:
    edges = [256, 511, 512, 65_535, 65_536, 65_537, 65_792, 2**24, 2**24 + 1, 2**32 + 255]
    return st.integers(1, largest) | st.sampled_from([edge for edge in edges if edge <= largest])


@settings(max_examples=200)
@given(st.data())
def test_beyond_one_level_of_tiles(data: st.DataObject) -> None:
    new = data.draw(samples(70_000))
    old, index = data.draw(st.integers(0, new)), data.draw(st.integers(0, new - 1))
    check(READER, old, new, index)
    assert verify_inclusion(LEAVES[index], index, new, inclusion_path(READER, index, new), root_of(READER, new))


@settings(max_examples=200)
@given(st.data())
def test_beyond_what_fits_in_memory(data: st.DataObject) -> None:
    new = data.draw(samples(2**40))
    check(Twins(), data.draw(st.integers(0, new)), new, data.draw(st.integers(0, new - 1)))


def check(reader: HashReader, old: int, new: int, index: int) -> None:
    old_root, new_root = root_of(reader, old), root_of(reader, new)
    path = consistency_path(reader, old, new)
    assert verify_consistency(old, new, old_root, new_root, path)
    leaf = reader.hashes(0, index, index + 1)[0]
    inclusion = inclusion_path(reader, index, new)
    assert verify_inclusion(leaf, index, new, inclusion, new_root)
    for place in range(len(inclusion)):
        changed = [*inclusion]
        changed[place] = bytes([changed[place][0] ^ 1]) + changed[place][1:]
        assert not verify_inclusion(leaf, index, new, changed, new_root)
    for place in range(len(path)):
        changed = [*path]
        changed[place] = bytes([changed[place][0] ^ 1]) + changed[place][1:]
        assert not verify_consistency(old, new, old_root, new_root, changed)


@settings(max_examples=50)
@given(st.integers(1, 70_000), st.randoms(use_true_random=False))
def test_a_path_reads_two_tiles_a_level(size: int, chance: random.Random) -> None:
    reader = Leaves(LEAVES[:size])
    inclusion_path(reader, chance.randrange(size), size)
    consistency_path(reader, chance.randrange(size + 1), size)
    for level in range(3):
        assert sum(read[0] == level for read in reader.reads) <= 4
    assert all(stop - start <= 256 for _, start, stop in reader.reads)


def defined_tiles(size: int) -> list[Tile]:
    """In the order of completion; `size` is below two tiles of level 1."""
    tiles = [Tile(0, i, defined_root(LEAVES[256 * i : 256 * (i + 1)])) for i in range(size // 256)]
    return [*tiles[:256], Tile(1, 0, defined_root(LEAVES[:65_536])), *tiles[256:]]


TILES = defined_tiles(66_000)


@settings(max_examples=30)
@given(st.integers(0, 66_000), st.lists(st.integers(1, 3000), max_size=60))
def test_any_split_gives_one_root_and_one_set_of_tiles(start: int, batches: list[int]) -> None:
    frontier = frontier_of(READER, start)
    tiles: list[Tile] = []
    for batch in batches:
        tiles += frontier.extend(LEAVES[frontier.size : min(frontier.size + batch, 66_000)])
    tiles += frontier.extend(LEAVES[frontier.size : 66_000])
    assert frontier.peaks == frontier_of(READER, 66_000).peaks
    assert tiles == [tile for tile in TILES if (tile.index + 1) * 256 ** (tile.level + 1) > start]


def test_one_by_one_is_a_split_too() -> None:
    frontier = Frontier()
    tiles = [tile for leaf in LEAVES[:66_000] for tile in frontier.append(leaf)]
    assert tiles == TILES
