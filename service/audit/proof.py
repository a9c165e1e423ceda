"""Proof files: the text by which one entry of a log is proved to anybody, offline.

The rules:

1. The text is that of C2SP tlog-proof: the line `c2sp.org/tlog-proof@v1`; a line `extra` with opaque bytes in base64,
   where there are any; a line `index` with the place of the entry; the inclusion path, one base64 hash a line, from
   the leaf's sibling up; an empty line; the signed checkpoint, verbatim.
2. `extra` proves nothing by itself. Files of ours put the entry's stored bytes there, and a verifier hashes them, so
   that a file and a verifier key are all that is needed.
3. The parser is as strict as that of notes (`note.py`); a file of which one byte was changed is refused or does not
   verify.

A worked example: entry 1 of a log of 3 entries, whose bytes are `{}`:

    c2sp.org/tlog-proof@v1
    extra e30=
    index 1
    <base64 of the leaf hash of entry 0>
    <base64 of the leaf hash of entry 2>

    exoscore/0123456789abcdef
    3
    <base64 of the root>

    — exoscore/0123456789abcdef <base64 of key id and signature>
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .entry import MAX_ENTRY_BYTES, leaf_hash
from .note import (
    Checkpoint,
    encode_base64,
    open_checkpoint,
    parse_base64,
    parse_checkpoint,
    parse_decimal,
    parse_note,
)
from .tree import HASH_BYTES, verify_inclusion

HEADER: Final = "c2sp.org/tlog-proof@v1"

MAX_PATH: Final = 63
"""Longest path: that of a tree of 2**63 leaves."""


@dataclass(frozen=True, slots=True)
class Proof:
    """That the entry at `index` is under the root of the checkpoint in `note`; `path` as `tree.inclusion_path` gives
    it, `extra` the entry's bytes or whatever else belongs to it."""

    index: int
    path: tuple[bytes, ...]
    note: str
    extra: bytes | None = None


def encode_proof(proof: Proof) -> str:
    """The text of a proof."""
    lines = [HEADER]
    if proof.extra is not None:
        lines.append(f"extra {encode_base64(proof.extra)}")
    lines.append(f"index {proof.index}")
    lines.extend(encode_base64(step) for step in proof.path)
    return "\n".join([*lines, "", proof.note])


def parse_proof(text: str) -> Proof:
    """The proof of a text (rules 1 and 3), nothing of it verified. Raises ValueError where it is none."""
    head, separator, note = text.partition("\n\n")
    lines = head.split("\n")
    _require(separator != "" and lines.pop(0) == HEADER, "first line")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = parse_base64(lines.pop(0).removeprefix("extra "))
        _require(len(extra) <= MAX_ENTRY_BYTES, "extra line")
    _require(bool(lines) and lines[0].startswith("index "), "index")
    index = parse_decimal(lines.pop(0).removeprefix("index "))
    _require(len(lines) <= MAX_PATH, "path")
    path = tuple(parse_base64(line) for line in lines)
    _require(all(len(step) == HASH_BYTES for step in path), "path")
    _require(index < parse_checkpoint(parse_note(note).text).size, "index")
    return Proof(index, path, note, extra)


def verify_proof(proof: Proof, entry: bytes, vkey: str) -> Checkpoint:
    """The checkpoint, signed by the key `vkey`, under which `entry` stands at the proof's index. Raises ValueError
    where the proof does not show that."""
    checkpoint = open_checkpoint(proof.note, vkey)
    included = verify_inclusion(leaf_hash(entry), proof.index, checkpoint.size, proof.path, checkpoint.root)
    _require(included, "entry, index or path")
    return checkpoint


def verify_proof_file(text: str, vkey: str) -> bytes:
    """The bytes of the entry that a file of ours carries and proves (rule 2). Raises ValueError where it does not."""
    proof = parse_proof(text)
    if proof.extra is None:
        raise ValueError("The proof carries no entry.")
    verify_proof(proof, proof.extra, vkey)
    return proof.extra


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"The proof has a wrong {what}.")
