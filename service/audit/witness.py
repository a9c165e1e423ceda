"""Checkpoints kept outside the database, and what they say about the log that is found inside.

Whoever restores an old backup, cuts the tail of the log, or rewrites it and signs it again with the stolen key leaves a
log behind that is sound in itself. Only a checkpoint kept elsewhere can tell.

The rules:

1. A witness keeps checkpoints as they were signed, one empty line between two (see `audit.note`). It only grows. A
   record that a crash tore is left where it is, and passed over; `record` begins the next one on a line of its own.
2. What a witness holds is a claim until the key of the log it names has verified it. A claim that this key did not sign
   contradicts the log: either of the two is not what it was.
3. Of one log the largest claim decides, and the newest claim decides which logs there have to be. Several writers may
   share a witness, so the largest is looked for around the last one, not only at the end.
4. A log agrees with a claim if it is not shorter and its root at that size is the claimed one.
5. A witness is read from its end, in blocks: a year of checkpoints, one a minute, is about 110 MB.

A worked example. The witness holds sizes 3, 9 and 12 of one log. A log of 20 entries agrees with it if its first 12
have the root of the last note; a log of 9 entries is refused, because three that somebody was told of are gone.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol

from .log import Head
from .note import Checkpoint, open_checkpoint, parse_checkpoint, parse_note
from .tree import HashReader, root_of

BLOCK: Final = 1 << 20
"""Bytes of a witness that are read at once."""

_LONGEST: Final = 1 << 13
"""Bytes of a checkpoint of ours are fewer than this, so no more are carried from one block into the next."""

_SIGNATURE_BYTES: Final = 64

_NOTE: Final = re.compile(
    rb"^([^\n]+)\n(0|[1-9][0-9]{0,18})\n[A-Za-z0-9+/]{43}=\n\n(?:\xe2\x80\x94 [^ \n]+ [A-Za-z0-9+/]+={0,2}\n)+",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A note as it was kept, and the checkpoint it claims; nothing of it is verified."""

    note: str
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Kept:
    """What a witness holds: its `newest` claim of any log, and the `largest` of the log that was asked for."""

    newest: Claim | None = None
    largest: Claim | None = None


class Witness(Protocol):
    """Where checkpoints are kept. Both methods raise `WitnessUnavailable` where that cannot be reached."""

    def keep(self, note: str) -> None:
        """Keep a checkpoint; returns when it is durable."""
        ...

    def look(self, origin: str | None) -> Kept:
        """What is kept, with the largest claim of the log named `origin`."""
        ...


def record(note: str, last: bytes) -> bytes:
    """What is appended to a witness whose last byte is `last` (empty for an empty one), in one write."""
    separator = b"" if not last else b"\n" if last == b"\n" else b"\n\n"
    return separator + note.encode()


def read_kept(file: BinaryIO, origin: str | None, block: int = BLOCK) -> Kept:
    """What a file of checkpoints holds, read from its end until newest and largest are found (rules 3 and 5)."""
    wanted = None if origin is None else origin.encode()
    newest = largest = None
    stop, carried = file.seek(0, os.SEEK_END), b""
    while stop > 0 and (newest is None or (wanted is not None and largest is None)):
        start = max(0, stop - block)
        file.seek(start)
        data = file.read(stop - start) + carried
        # What begins a block may be the end of a longer line; it is read with the block before.
        notes = [match for match in _NOTE.finditer(data) if start == 0 or match.start() > 0]
        if newest is None:
            newest = next(filter(None, map(_claim, reversed(notes))), None)
        if wanted is not None:
            ours = sorted((match for match in notes if match[1] == wanted), key=lambda match: int(match[2]))
            largest = next(filter(None, map(_claim, reversed(ours))), None)
        stop, carried = start, data[: min(notes[0].start() if notes else len(data), _LONGEST)]
    return Kept(newest, largest)


def kept_alone(note: str) -> Kept:
    """What a witness holds whose last record is `note`. Raises ValueError where that is no checkpoint."""
    claim = Claim(note, parse_checkpoint(parse_note(note).text))
    return Kept(claim, claim)


def contradiction(head: Head, reader: HashReader, claim: Claim) -> str | None:
    """What a claim and the log it names disagree about, one sentence; None where they agree (rules 2 and 4)."""
    claimed, size = claim.checkpoint, head.size
    if _opened(claim.note, head.vkey) is None:
        return f"The witness holds a checkpoint of {claimed.size} entries that the key of the log did not sign."
    if claimed.size > size:
        return f"The witness holds a checkpoint of {claimed.size} entries, and the log has only {size}."
    if _root(reader, claimed.size) != claimed.root:
        return f"The first {claimed.size} of the {size} entries of the log are not those that the witness holds."
    return None


def defects(head: Head, reader: HashReader) -> list[str]:
    """What a head says that its own note and the right edge of the stored tree do not: a sentence for each."""
    found = []
    opened = _opened(head.note, head.vkey)
    signed = opened is not None and (opened.origin, opened.size, opened.root) == (head.origin, head.size, head.root)
    if not signed:
        found.append("The head of the log is not what its signed checkpoint says.")
    if _root(reader, head.size) != head.root:
        found.append("The entries of the log do not give the root that its head states.")
    return found


def _opened(note: object, vkey: object) -> Checkpoint | None:
    """The checkpoint of a note that the key signed; None where either is not what it has to be. SQLite keeps values of
    any type in any column."""
    if not isinstance(note, str) or not isinstance(vkey, str):
        return None
    try:
        return open_checkpoint(note, vkey)
    except ValueError:
        return None


def _root(reader: HashReader, size: int) -> bytes | None:
    try:
        return root_of(reader, size)
    except (TypeError, ValueError):  # hashes are missing, or are none
        return None


def _claim(match: re.Match[bytes]) -> Claim | None:
    """The claim of a record; None where it is torn: not in the form of a checkpoint with the signature of its log."""
    try:
        note = match[0].decode()
        parsed = parse_note(note)
        checkpoint = parse_checkpoint(parsed.text)
    except ValueError:
        return None
    signed = any(s.name == checkpoint.origin and len(s.value) == _SIGNATURE_BYTES for s in parsed.signatures)
    return Claim(note, checkpoint) if signed else None
