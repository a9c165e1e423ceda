"""A reader of signed notes, tlog-proofs and tlog-tiles that shares no code with the service: hashlib, base64 and an
Ed25519 verification. Written from RFC 9162 and the C2SP specifications alone."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_root(leaves: list[bytes]) -> bytes:
    """RFC 9162, section 2.1.1, by its recursive definition."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node(tree_root(leaves[:k]), tree_root(leaves[k:]))


def opened(note: str, vkey: str) -> tuple[str, int, bytes]:
    """Origin, size and root of a note, after its signature was verified."""
    name, key_id, encoded = vkey.strip().split("+", 2)
    public = base64.b64decode(encoded)
    assert hashlib.sha256(name.encode() + b"\n" + public).hexdigest()[:8] == key_id
    text, _, signature = note.rpartition("\n\n")
    dash, signer, value = signature.rstrip("\n").split(" ")
    assert (dash, signer) == ("—", name)
    raw = base64.b64decode(value)
    assert raw[:4].hex() == key_id
    Ed25519PublicKey.from_public_bytes(public[1:]).verify(raw[4:], f"{text}\n".encode())
    origin, size, root = text.split("\n")
    assert origin == name
    return origin, int(size), base64.b64decode(root)


def proven(proof: str, vkey: str) -> tuple[int, bytes]:
    """Index and bytes of the entry that a proof file proves."""
    head, _, note = proof.partition("\n\n")
    header, extra, index_line, *path = head.split("\n")
    assert header == "c2sp.org/tlog-proof@v1"
    entry = base64.b64decode(extra.removeprefix("extra "))
    index = int(index_line.removeprefix("index "))
    _, size, root = opened(note, vkey)
    steps = [base64.b64decode(line) for line in path]
    assert climbed(leaf(entry), index, size, steps) == root
    return index, entry


def climbed(value: bytes, index: int, size: int, steps: list[bytes]) -> bytes:
    """The root that an inclusion path leads to, by the recursive definition of the path."""
    if size == 1:
        assert not steps
        return value
    k = 1
    while k * 2 < size:
        k *= 2
    *below, last = steps
    if index < k:
        return node(climbed(value, index, k, below), last)
    return node(last, climbed(value, index - k, size - k, below))


def grown(old: int, new: int, old_root: bytes, steps: list[bytes]) -> tuple[bytes, bytes]:
    """The old and the new root that a consistency path leads to, by the recursive definition of SUBPROOF."""

    def rebuild(m: int, n: int, rest: list[bytes], *, known: bool) -> tuple[bytes, bytes]:
        if m == n:
            value = old_root if known else rest.pop()
            assert not rest
            return value, value
        k = 1
        while k * 2 < n:
            k *= 2
        *below, last = rest
        if m <= k:
            first, second = rebuild(m, k, below, known=known)
            return first, node(second, last)
        first, second = rebuild(m - k, n - k, below, known=False)
        return node(last, first), node(last, second)

    return rebuild(old, new, list(steps), known=True)


def exported(folder: Path) -> tuple[str, list[bytes]]:
    """The origin and all entries of a static export, after every hash of it was verified against its checkpoint."""
    vkey = (folder / "key").read_text()
    origin, size, root = opened((folder / "checkpoint").read_text(), vkey)
    entries: list[bytes] = []
    for tile in range(-(-size // 256)):
        bundle = (folder / "tile/entries" / place(tile, min(256, size - 256 * tile))).read_bytes()
        while bundle:
            length = int.from_bytes(bundle[:2], "big")
            entries.append(bundle[2 : 2 + length])
            bundle = bundle[2 + length :]
    hashes, level = [leaf(entry) for entry in entries], 0
    assert (len(hashes), tree_root(hashes)) == (size, root)
    while hashes:
        for tile in range(-(-len(hashes) // 256)):
            part = hashes[256 * tile : 256 * (tile + 1)]
            assert (folder / f"tile/{level}" / place(tile, len(part))).read_bytes() == b"".join(part)
        full = len(hashes) // 256
        hashes, level = [tree_root(hashes[256 * i : 256 * (i + 1)]) for i in range(full)], level + 1
    return origin, entries


def place(index: int, width: int) -> str:
    digits = f"{index:03}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    path = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
    return path if width == 256 else f"{path}.p/{width}"
