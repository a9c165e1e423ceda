"""The open log: its head, and how entries become leaves under a signed root.

The rules:

1. A log has one head. `size` entries are in it, `root` is the RFC 6962 root over all of them, `note` is the checkpoint
   that says so, signed by the log's one key `vkey`; `last_recorded_at` is `at` of the last entry.
2. Who extends a log holds the lock on its head. The right edge of the tree is kept in memory between transactions; it
   is brought up to the head with the leaves that other writers added, and if its root is then not the head's, the log
   is not extended: `LogDamaged`. A head that went back behind what was committed here is an older copy put in place
   under the running service, and is not extended either: `LogForked`. So no size is signed twice.
3. The log's key is the writer's key. A head with another `vkey` belongs to somebody else, and is not extended:
   `SigningKeyMismatch`. A new key needs a new log.
4. `at` never decreases: an entry whose clock stood behind the head gets the head's time. Where a clock stood behind by
   more than `CLOCK_TOLERANCE`, the log says so with one `clock.regressed` entry, once until the clock is right again.
   A transition of a model and a revocation are dated behind everything before them, by a microsecond at least: so the
   time of a score says on which side of them it stands.
5. An anchor is a checkpoint that is kept: with the first entry, then with the first transaction that comes
   `ANCHOR_ENTRIES` entries or `ANCHOR_INTERVAL` after the last one.
6. What a transaction did becomes the writer's own view only when `keep` is called, after COMMIT.

A worked example. The head says size 255. Two entries come: they become the leaves 255 and 256. Leaf 255 completes the
first 256-wide tile, so tile (level 0, index 0) is stored with its root. The head moves to size 257 with the new root,
and the signed note reads

    exoscore/6f1d0c2b9a3e4f58
    257
    <base64 of the root>

    — exoscore/6f1d0c2b9a3e4f58 <base64 of key id and signature>
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple, Protocol, TypeVar

from service.errors import LogDamaged, LogForked, SigningKeyMismatch

from .entry import TURNING_KINDS, Entry, Prior, leaf_hash
from .note import Checkpoint, Signer, parse_vkey, sign_checkpoint
from .tree import Frontier, HashReader, Tile, frontier_of

ANCHOR_ENTRIES = 4096
"""Entries after which the next checkpoint is kept."""

ANCHOR_INTERVAL = timedelta(seconds=60)
"""Time after which the next checkpoint is kept."""

CLOCK_TOLERANCE = timedelta(seconds=1)
"""Clocks of replicas differ, and entries wait for their turn: less than this is no step back."""

TICK = timedelta(microseconds=1)
"""The least difference between two times of entries."""

EXAMINE = (
    "Nothing more is recorded in it. Stop the service and restore the database; or run `exoscore audit reopen`, which "
    "seals this log as it is and begins a new one."
)

RESTORED = "An older copy of the database was put in its place: put the newest one back, or have the log examined."


@dataclass(frozen=True, slots=True)
class Head:
    """The mutable state of one log; see rule 1. `vkey`, `root` and `note` are None for a log that is not signed yet.
    `generation` counts the model transitions and key revocations recorded so far."""

    log_id: int
    origin: str
    size: int
    last_recorded_at: datetime
    generation: int = 0
    vkey: str | None = None
    root: bytes | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Anchor:
    """A kept checkpoint: the size it is for, the signed note, and `at` of entry size - 1."""

    size: int
    note: str
    recorded_at: datetime


class Leaf(NamedTuple):
    """One entry as it is stored: the 32 bytes of its leaf hash and the bytes that were hashed."""

    hash: bytes
    entry: bytes


class Place(NamedTuple):
    """Where an entry stands and when it was recorded."""

    log_id: int
    seq: int
    recorded_at: datetime


class Transaction(Protocol):
    """One transaction of the storage, and what is done to a log inside it."""

    def lock_head(self) -> Head:
        """The head of the open log, locked against every other writer until the transaction ends."""
        ...

    def reader(self, log_id: int) -> HashReader:
        """The stored hashes of a log."""
        ...

    def last_anchor(self, log_id: int) -> tuple[int, datetime] | None:
        """Size and time of the newest kept checkpoint."""
        ...

    def append(self, log_id: int, start: int, leaves: Sequence[Leaf]) -> None:
        """Insert entries from `seq` = start on."""
        ...

    def add_tiles(self, log_id: int, tiles: Sequence[Tile]) -> None:
        """Insert the roots of completed tiles."""
        ...

    def add_anchor(self, log_id: int, anchor: Anchor) -> None:
        """Keep a checkpoint."""
        ...

    def move_head(self, head: Head) -> None:
        """Store `size`, `last_recorded_at`, `vkey`, `root` and `note` of the head."""
        ...


T_co = TypeVar("T_co", bound=Transaction, covariant=True)


class LogStorage(Protocol[T_co]):
    """Where logs and business rows live together."""

    def transaction(self) -> AbstractContextManager[T_co]:
        """A transaction: COMMIT when the block ends, ROLLBACK when it raises. Raises `CommitUnconfirmed` where COMMIT
        was sent and its outcome is not known, another `SystemFault` where it is known that nothing was stored."""
        ...


@dataclass(frozen=True, slots=True)
class Extension:
    """What one transaction adds to a log: the new head, the entries from `start` on, and where each one asked for
    stands (a `clock.regressed` entry of the log's own has no place here)."""

    head: Head
    start: int
    leaves: tuple[Leaf, ...]
    places: tuple[Place, ...]
    behind: timedelta
    _frontier: Frontier
    _anchored: tuple[int, datetime]
    _regressed: bool


class LogWriter:
    """Extends the open log; one per process, used by one thread at a time."""

    def __init__(self, signer: Signer, site: str) -> None:
        self._signer = signer
        self._site = site
        self._log_id: int | None = None
        self._frontier = Frontier()
        self._anchored: tuple[int, datetime] | None = None
        self._regressed = False
        self._vkeys: dict[str, str] = {}

    def extend(
        self, transaction: Transaction, head: Head, entries: Sequence[Entry], drafts: Sequence[Leaf]
    ) -> Extension:
        """Append entries to the log whose locked head is `head`, sign the new root, and move the head.

        `drafts` are the entries as `encoded` without the lock; those whose time the head overtook are encoded again.
        Raises LogDamaged, LogForked, SigningKeyMismatch (rules 2 and 3).
        """
        frontier = self._catch_up(transaction, head)
        behind = max((head.last_recorded_at - entry.at for entry in entries), default=timedelta(0))
        regressed = behind > CLOCK_TOLERANCE
        leaves: list[Leaf] = []
        if regressed and not self._regressed:
            leaves.append(encoded(self._clock_regressed(head.last_recorded_at, behind)))
        first, latest, places = head.size + len(leaves), head.last_recorded_at, []
        for seq, (entry, draft) in enumerate(zip(entries, drafts, strict=True), start=first):
            earliest = latest + TICK if entry.kind in TURNING_KINDS else latest
            latest = max(entry.at, earliest)
            leaves.append(draft if latest == entry.at else encoded(replace(entry, at=latest)))
            places.append(Place(head.log_id, seq, latest))
        tiles = frontier.extend(leaf.hash for leaf in leaves)
        moved = self._sign(replace(head, size=frontier.size, last_recorded_at=latest), frontier)
        transaction.append(head.log_id, head.size, leaves)
        if tiles:
            transaction.add_tiles(head.log_id, tiles)
        transaction.move_head(moved)
        anchored = self._anchor(transaction, moved)
        return Extension(
            moved, head.size, tuple(leaves), tuple(places), max(behind, timedelta(0)), frontier, anchored, regressed
        )

    def resume(self, transaction: Transaction, head: Head) -> None:
        """Make sure that the locked log is sound and is this writer's; raises as `extend` does."""
        self._frontier = self._catch_up(transaction, head)
        self._log_id = head.log_id

    def keep(self, extension: Extension) -> None:
        """Take over what a transaction did, once its COMMIT is certain."""
        self._log_id = extension.head.log_id
        self._frontier = extension._frontier
        self._anchored = extension._anchored
        self._regressed = extension._regressed

    def _catch_up(self, transaction: Transaction, head: Head) -> Frontier:
        if head.vkey is not None and head.vkey != self.vkey(head.origin):
            raise SigningKeyMismatch(
                "The signing key is not the one of the open audit log.",
                "Use the log's own key, or run `exoscore audit reopen` to begin a new log with this one.",
            )
        reader = transaction.reader(head.log_id)
        if head.root is None:
            return _adopt(transaction, head, reader)
        if self._log_id == head.log_id:
            if self._frontier.size > head.size:
                raise LogForked("The audit log is shorter than it was when this process last wrote into it.", RESTORED)
            frontier = self._frontier.copy()
            if frontier.size < head.size:
                frontier.extend(reader.hashes(0, frontier.size, head.size))
        else:
            frontier = _frontier_of(reader, head.size)
            self._anchored = transaction.last_anchor(head.log_id)
        if frontier.size != head.size or frontier.root() != head.root:
            raise _damaged()
        return frontier

    def _sign(self, head: Head, frontier: Frontier) -> Head:
        root = frontier.root()
        note = sign_checkpoint(self._signer, Checkpoint(head.origin, head.size, root))
        return replace(head, vkey=self.vkey(head.origin), root=root, note=note)

    def _anchor(self, transaction: Transaction, head: Head) -> tuple[int, datetime]:
        size, at = self._anchored if self._anchored is not None else (0, head.last_recorded_at)
        due = size == 0 or head.size - size >= ANCHOR_ENTRIES or head.last_recorded_at - at >= ANCHOR_INTERVAL
        if not due or head.note is None:
            return size, at
        transaction.add_anchor(head.log_id, Anchor(head.size, head.note, head.last_recorded_at))
        return head.size, head.last_recorded_at

    def vkey(self, origin: str) -> str:
        """The verifier key of the log named `origin` under this writer's key."""
        if origin not in self._vkeys:
            self._vkeys = {origin: self._signer.vkey(origin)}
        return self._vkeys[origin]

    def _clock_regressed(self, at: datetime, behind: timedelta) -> Entry:
        detail = {"behind_us": behind // timedelta(microseconds=1)}
        return Entry("clock.regressed", at, "system:service", self._site, detail=detail)


def opened(
    origin: str,
    at: datetime,
    site: str,
    actor: str,
    vkey: str,
    follows: Checkpoint | None,
    detail: Mapping[str, object] | None = None,
) -> Entry:
    """Entry 0 of a log: its origin, the digest of its verifier key, and the last checkpoint of the log it follows."""
    return Entry(
        "log.opened",
        at,
        actor,
        site,
        record=origin,
        in_=None if follows is None else follows.root.hex(),
        out=sha256(vkey.encode()).hexdigest(),
        prior=None if follows is None else Prior(follows.origin, follows.size - 1),
        detail=detail,
    )


def rotated(at: datetime, site: str, actor: str, vkey: str, follows: Checkpoint | None) -> Entry:
    """The entry of a new key: its key id in hex, and the last entry under the key before."""
    prior = None if follows is None else Prior(follows.origin, follows.size - 1)
    return Entry("key.rotated", at, actor, site, record=parse_vkey(vkey).key_id.hex(), prior=prior)


def _frontier_of(reader: HashReader, size: int) -> Frontier:
    try:
        return frontier_of(reader, size)
    except ValueError:
        raise _damaged() from None


def _adopt(transaction: Transaction, head: Head, reader: HashReader) -> Frontier:
    """The tree over a log that was begun before logs were signed, from its first entry on; its tiles are stored."""
    frontier = Frontier()
    tiles = frontier.extend(reader.hashes(0, 0, head.size))
    if frontier.size != head.size:
        raise _damaged()
    if tiles:
        transaction.add_tiles(head.log_id, tiles)
    return frontier


def _damaged() -> LogDamaged:
    return LogDamaged("The entries of the audit log do not give the root that its head states.", EXAMINE)


def encoded(entry: Entry) -> Leaf:
    """The leaf of an entry. Raises ValueError where the entry breaks a rule of `audit.entry`."""
    stored = entry.encode()
    return Leaf(leaf_hash(stored), stored)
