"""The tree against the published vectors of Certificate Transparency, and its edges.

The leaves, roots and paths are those of the reference implementation (google/certificate-transparency, later
transparency-dev/merkle, `testonly`), over which every implementation of RFC 6962 is tested.
"""

from __future__ import annotations

import pytest

from service.audit.entry import leaf_hash
from service.audit.tree import (
    EMPTY_ROOT,
    Frontier,
    MissingHashes,
    Tile,
    consistency_path,
    fold,
    frontier_of,
    inclusion_path,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from tests.audit.logs import Leaves

ENTRIES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
CONSISTENCY = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]


def unhex(hashes: list[str]) -> list[bytes]:
    return [bytes.fromhex(text) for text in hashes]


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size: int) -> None:
    frontier = Frontier()
    assert frontier.extend(LEAVES[:size]) == []
    assert frontier.size == size
    assert frontier.root().hex() == ROOTS[size]
    assert root_of(Leaves(LEAVES), size).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size", "path"), INCLUSION)
def test_published_inclusion_paths(index: int, size: int, path: list[str]) -> None:
    assert inclusion_path(Leaves(LEAVES), index, size) == unhex(path)
    assert verify_inclusion(LEAVES[index], index, size, unhex(path), bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("old", "new", "path"), CONSISTENCY)
def test_published_consistency_paths(old: int, new: int, path: list[str]) -> None:
    assert consistency_path(Leaves(LEAVES), old, new) == unhex(path)
    old_root, new_root = unhex([ROOTS[old], ROOTS[new]])
    assert verify_consistency(old, new, old_root, new_root, unhex(path))


def test_the_empty_tree() -> None:
    assert Frontier().root() == EMPTY_ROOT
    assert Frontier().peaks == ()
    assert root_of(Leaves([]), 0) == EMPTY_ROOT


def test_the_worked_example() -> None:
    a, b, c = LEAVES[:3]
    frontier = Frontier()
    assert frontier.extend([a, b, c]) == []
    assert frontier.peaks == (node_hash(a, b), c)
    assert frontier.root() == node_hash(node_hash(a, b), c)
    assert inclusion_path(Leaves(LEAVES), 0, 3) == [b, c]
    assert consistency_path(Leaves(LEAVES), 2, 3) == [c]


def test_a_tile_is_reported_by_the_leaf_that_completes_it() -> None:
    leaves = [leaf_hash(b"%d" % i) for i in range(513)]
    frontier = Frontier()
    reported = {index: tiles for index, leaf in enumerate(leaves) if (tiles := frontier.append(leaf))}
    assert reported == {255: [Tile(0, 0, fold(leaves[:256]))], 511: [Tile(0, 1, fold(leaves[256:512]))]}
    assert frontier.peaks == (fold(leaves[:512]), leaves[512])


def test_a_copy_goes_its_own_way() -> None:
    frontier = Frontier()
    frontier.extend(LEAVES[:3])
    copy = frontier.copy()
    copy.append(LEAVES[3])
    assert (frontier.size, frontier.root().hex()) == (3, ROOTS[3])
    assert (copy.size, copy.root().hex()) == (4, ROOTS[4])


@pytest.mark.parametrize(
    ("size", "peaks"),
    [(0, LEAVES[:1]), (1, []), (3, LEAVES[:1]), (-1, LEAVES[:1]), (1, [b"short"])],
    ids=["empty with peak", "leaf without peak", "too few", "negative", "no hash"],
)
def test_a_frontier_has_one_hash_per_bit_of_its_size(size: int, peaks: list[bytes]) -> None:
    with pytest.raises(ValueError, match="one hash of 32 bytes"):
        Frontier(size, peaks)


def test_missing_hashes_are_an_error_and_no_other_root() -> None:
    with pytest.raises(MissingHashes):
        frontier_of(Leaves(LEAVES), 9)


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_no_path_without_the_leaf(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_path(Leaves(LEAVES), index, size)
    assert not verify_inclusion(LEAVES[0], index, size, [], LEAVES[0])


@pytest.mark.parametrize(("old", "new"), [(-1, 3), (4, 3)])
def test_no_path_to_a_smaller_tree(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="older tree"):
        consistency_path(Leaves(LEAVES), old, new)
    assert not verify_consistency(old, new, LEAVES[0], LEAVES[0], [])


def test_every_tree_begins_with_the_empty_one_and_with_itself() -> None:
    root, other = unhex(ROOTS[5:7])
    assert consistency_path(Leaves(LEAVES), 0, 5) == consistency_path(Leaves(LEAVES), 5, 5) == []
    assert verify_consistency(0, 5, EMPTY_ROOT, root, [])
    assert verify_consistency(0, 0, EMPTY_ROOT, EMPTY_ROOT, [])
    assert verify_consistency(5, 5, root, root, [])
    assert not verify_consistency(0, 5, root, root, [])
    assert not verify_consistency(0, 5, EMPTY_ROOT, root, [root])
    assert not verify_consistency(0, 0, root, root, [])
    assert not verify_consistency(5, 5, root, other, [])
    assert not verify_consistency(5, 5, root, root, [root])


@pytest.mark.parametrize("cut", [slice(0), slice(1), slice(0, 2), slice(1, None)], ids=str)
def test_a_shortened_path_proves_nothing(cut: slice) -> None:
    old_root, new_root = unhex([ROOTS[6], ROOTS[8]])
    consistency = consistency_path(Leaves(LEAVES), 6, 8)
    inclusion = inclusion_path(Leaves(LEAVES), 5, 8)
    assert not verify_consistency(6, 8, old_root, new_root, consistency[cut])
    assert not verify_inclusion(LEAVES[5], 5, 8, inclusion[cut], new_root)


def test_a_lengthened_path_proves_nothing() -> None:
    old_root, new_root = unhex([ROOTS[6], ROOTS[8]])
    assert not verify_consistency(6, 8, old_root, new_root, [*consistency_path(Leaves(LEAVES), 6, 8), new_root])
    assert not verify_inclusion(LEAVES[5], 5, 8, [*inclusion_path(Leaves(LEAVES), 5, 8), new_root], new_root)
