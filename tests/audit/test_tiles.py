"""The export, and a reader of it that knows nothing but the specification's paths."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.audit.entry import leaf_hash
from service.audit.note import Checkpoint, Signer, open_checkpoint, sign_checkpoint
from service.audit.tiles import encode_bundle, entries_path, export, parse_bundle, tile_path
from service.audit.tree import MissingHashes, inclusion_path, root_of, verify_inclusion
from tests.audit.logs import Leaves

ORIGIN = "exoscore/0123456789abcdef"
SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
VKEY = SIGNER.vkey(ORIGIN)


class Entries:
    def __init__(self, entries: Sequence[bytes]) -> None:
        self._entries = entries

    def entries(self, start: int, stop: int) -> Sequence[bytes]:
        return self._entries[start:stop]


class Folder:
    """A hash reader over exported files."""

    def __init__(self, files: dict[str, bytes], size: int) -> None:
        self._files = files
        self._size = size

    def hashes(self, level: int, start: int, stop: int) -> Sequence[bytes]:
        index, offset = divmod(start, 256)
        width = min(256, (self._size >> 8 * level) - 256 * index)
        tile = self._files[tile_path(level, index, width)]
        return [tile[i : i + 32] for i in range(0, len(tile), 32)][offset : offset + stop - start]


def files_of(number: int) -> dict[str, bytes]:
    entries = [b'{"n":%d}' % i for i in range(number)]
    leaves = Leaves([leaf_hash(entry) for entry in entries])
    note = sign_checkpoint(SIGNER, Checkpoint(ORIGIN, number, root_of(leaves, number)))
    return dict(export(leaves, Entries(entries), note, VKEY))


@pytest.mark.parametrize(
    ("index", "place"),
    [(0, "000"), (7, "007"), (999, "999"), (1000, "x001/000"), (1234067, "x001/x234/067"), (10**6, "x001/x000/000")],
)
def test_paths_in_groups_of_three(index: int, place: str) -> None:
    assert tile_path(0, index) == f"tile/0/{place}"
    assert tile_path(63, index, 1) == f"tile/63/{place}.p/1"
    assert entries_path(index) == f"tile/entries/{place}"
    assert entries_path(index, 255) == f"tile/entries/{place}.p/255"


@pytest.mark.parametrize(("level", "index", "width"), [(-1, 0, 1), (64, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)])
def test_paths_that_cannot_be(level: int, index: int, width: int) -> None:
    with pytest.raises(ValueError, match="Tiles have"):
        tile_path(level, index, width)


def test_bundles() -> None:
    entries = [b"", b"a", b"x" * 65_535, b"\x00\x01"]
    bundle = encode_bundle(entries)
    assert bundle[:5] == b"\x00\x00\x00\x01a"
    assert parse_bundle(bundle) == entries
    assert parse_bundle(b"") == []
    assert parse_bundle(bytes(512)) == [b""] * 256


@pytest.mark.parametrize("bundle", [b"\x00", b"\x00\x01", b"\x00\x02a", b"\x00\x00\x01", bytes(514)], ids=range(5))
def test_what_is_no_bundle(bundle: bytes) -> None:
    with pytest.raises(ValueError, match="bundle"):
        parse_bundle(bundle)


def test_an_entry_too_long_for_its_length() -> None:
    with pytest.raises(ValueError, match="too long"):
        encode_bundle([bytes(65_536)])


def test_the_example_of_the_specification() -> None:
    files = files_of(70_000)
    tiles = [path for path in files if path.startswith("tile/") and "entries" not in path]
    assert [path for path in tiles if path.startswith("tile/0/")] == [
        *(f"tile/0/{i:03}" for i in range(273)),
        "tile/0/273.p/112",
    ]
    assert [path for path in tiles if not path.startswith("tile/0/")] == [
        "tile/1/000",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    ]
    assert [path for path in files if "entries" in path] == [
        *(f"tile/entries/{i:03}" for i in range(273)),
        "tile/entries/273.p/112",
    ]
    assert list(files)[-2:] == ["key", "checkpoint"]
    assert {len(files[path]) for path in tiles if ".p" not in path} == {8192}


@pytest.mark.parametrize("number", [0, 1, 255, 256, 257, 1000])
def test_everything_can_be_proved_from_the_files(number: int) -> None:
    files = files_of(number)
    checkpoint = open_checkpoint(files["checkpoint"].decode(), files["key"].decode().removesuffix("\n"))
    assert checkpoint.size == number
    folder = Folder(files, number)
    assert root_of(folder, number) == checkpoint.root
    entries = [
        entry
        for start in range(0, number, 256)
        for entry in parse_bundle(files[entries_path(start // 256, min(256, number - start))])
    ]
    assert len(entries) == number
    for index in range(0, number, 37):
        path = inclusion_path(folder, index, number)
        assert verify_inclusion(leaf_hash(entries[index]), index, number, path, checkpoint.root)


def test_256_entries_have_a_tile_above() -> None:
    assert list(files_of(256)) == ["tile/entries/000", "tile/0/000", "tile/1/000.p/1", "key", "checkpoint"]


def test_no_export_of_another_tree() -> None:
    leaves = [leaf_hash(b"%d" % i) for i in range(3)]
    note = sign_checkpoint(SIGNER, Checkpoint(ORIGIN, 3, root_of(Leaves(leaves), 3)))
    with pytest.raises(ValueError, match="not the one of the checkpoint"):
        next(export(Leaves(leaves[::-1]), Entries([]), note, VKEY))
    with pytest.raises(ValueError, match="signature"):
        next(export(Leaves(leaves), Entries([]), note.replace("3", "2"), VKEY))
    with pytest.raises(MissingHashes):
        next(export(Leaves(leaves), Entries([b""]), note, VKEY))
