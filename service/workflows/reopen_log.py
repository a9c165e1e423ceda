"""Reopening: the operator's way on after a restored backup, a damaged log or a change of the signing key.

Rules:
1. The log is sealed as it is. Nothing of it is mended or removed, and what is wrong with it stays provable.
2. The new log begins with `log.opened`, which cites the last checkpoint of the sealed one; under a new key,
   `key.rotated` follows. What a witness holds and the sealed log contradicts stands in `detail` of the first entry, so
   that the loss is on record. Sealing and beginning are one transaction.
3. A database without any log begins one that cites the newest checkpoint of the witness.
4. A sound log under the same key is not sealed without force: there is nothing to repair.
5. The registry generation is carried over, so that what was looked up before keeps its meaning.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from service.audit.entry import MAX_INTEGER
from service.audit.log import Head, LogWriter
from service.audit.note import Checkpoint, open_checkpoint, parse_vkey
from service.audit.tree import Frontier, HashReader
from service.audit.witness import Claim, Kept, Witness, contradiction, defects
from service.errors import Conflict, WitnessUnavailable
from service.store.audit_log import NewestLog, SqlLogStorage, SqlTransaction, begin
from service.store.log_rows import names_log

ACTOR = "system:cli"
_NAME = re.compile(r"[!-*,-~]+")


@dataclass(frozen=True, slots=True)
class Reopened:
    """What was done: the head of the log that is `sealed` (None where there was none), the checkpoint of the new one,
    the id of its key, whether that key is new, what was found to be wrong, and whether the witness took the
    checkpoint."""

    sealed: Head | None
    opened: Checkpoint
    key_id: str
    new_key: bool
    found: tuple[str, ...]
    witnessed: bool


@dataclass(slots=True)
class _Findings:
    """What speaks for a new log: sentences, the checkpoint to cite, the claim that is contradicted, a change of key."""

    sentences: list[str] = field(default_factory=list)
    follows: Checkpoint | None = None
    contested: Claim | None = None
    new_key: bool = False


def reopen(
    storage: SqlLogStorage, writer: LogWriter, witness: Witness, *, site: str, now: datetime, force: bool = False
) -> Reopened:
    """Seal the open log and begin another one. Without `force`, raises `Conflict` where there is nothing to repair
    and `WitnessUnavailable` where nobody can tell."""
    with storage.transaction() as transaction:
        before = transaction.lock_newest()
    kept, unreachable = _look(witness, _origin(before), force=force)
    with storage.transaction() as transaction:
        log = transaction.lock_newest()
        if _origin(log) != _origin(before):
            raise _overtaken()
        findings = _examine(transaction, log, kept, writer)
        findings.sentences += unreachable
        if not findings.sentences and not findings.new_key and not force:
            raise Conflict(
                "The log is sound, its key is unchanged and the witness agrees.",
                "There is nothing to repair; `--force` begins a new log all the same.",
            )
        if log is not None:
            transaction.seal(log.head.log_id)
        head = begin(
            transaction,
            writer,
            site=site,
            now=now,
            actor=ACTOR,
            follows=findings.follows,
            generation=_generation(log),
            detail=_on_record(findings.contested),
            new_key=findings.new_key,
        )
        if head is None:
            raise _overtaken()
    return _reported(head, log, findings, witness)


def _look(witness: Witness, origin: str | None, *, force: bool) -> tuple[Kept, list[str]]:
    try:
        return witness.look(origin), []
    except WitnessUnavailable as error:
        if not force:
            raise
        return Kept(), [error.message]


def _examine(transaction: SqlTransaction, log: NewestLog | None, kept: Kept, writer: LogWriter) -> _Findings:
    if log is None:
        return _examine_witness(kept, writer)
    head, reader = log.head, transaction.reader(log.head.log_id)
    findings = _Findings([*log.defects], follows=_last(head, reader))
    if not log.is_open:
        findings.sentences.append("The log is sealed, and no other one is open.")
    if findings.follows is None:
        findings.sentences.append("The head of the log cannot be read, so the new log does not cite it.")
        findings.contested = kept.largest
    else:
        _examine_head(findings, head, reader, kept)
        findings.new_key = head.vkey is not None and head.vkey != writer.vkey(head.origin)
    if kept.newest is not None and not names_log(transaction.connection, kept.newest.checkpoint.origin):
        size = kept.newest.checkpoint.size
        findings.sentences.append(f"The witness holds a log of {size} entries that is not in the database.")
        findings.contested = kept.newest
    return findings


def _examine_head(findings: _Findings, head: Head, reader: HashReader, kept: Kept) -> None:
    if head.root is not None:
        findings.sentences += defects(head, reader)
    refusal = None if kept.largest is None else contradiction(head, reader, kept.largest)
    if refusal is not None:
        findings.sentences.append(refusal)
        findings.contested = kept.largest


def _examine_witness(kept: Kept, writer: LogWriter) -> _Findings:
    claim = kept.newest
    if claim is None:
        raise Conflict("There is no log to follow.", "Start the service; it begins the first one.")
    checkpoint = claim.checkpoint
    sentence = f"The database holds no audit log, and the witness holds one of {checkpoint.size} entries."
    findings = _Findings([sentence], follows=_citable(checkpoint))
    try:
        open_checkpoint(claim.note, writer.vkey(checkpoint.origin))
    except ValueError:
        findings.sentences.append("The signing key is not the one that signed the checkpoint of the witness.")
        findings.new_key = True
    return findings


def _generation(log: NewestLog | None) -> int:
    return log.head.generation if log is not None and type(log.head.generation) is int else 0


def _last(head: Head, reader: HashReader) -> Checkpoint | None:
    """The last checkpoint of a log, by its head; of one that is not signed yet, by its leaves."""
    try:
        root = head.root
        if root is None:
            frontier = Frontier()
            frontier.extend(reader.hashes(0, 0, head.size))
            root = frontier.root()
        # SQLite would keep a text here; a root is bytes.
        return _citable(Checkpoint(head.origin, head.size, bytes(root)))
    except (TypeError, ValueError):
        return None


def _citable(checkpoint: Checkpoint) -> Checkpoint | None:
    """The checkpoint, where an entry can cite it and a key can have its name."""
    possible = _NAME.fullmatch(checkpoint.origin) is not None and 0 < checkpoint.size <= MAX_INTEGER
    return checkpoint if possible else None


def _on_record(contested: Claim | None) -> dict[str, object] | None:
    if contested is None or _citable(contested.checkpoint) is None:
        return None
    claimed = contested.checkpoint
    return {"witnessed": {"origin": claimed.origin, "size": claimed.size, "root": claimed.root.hex()}}


def _reported(head: Head, log: NewestLog | None, findings: _Findings, witness: Witness) -> Reopened:
    note, vkey = head.note or "", head.vkey or ""
    found: Sequence[str] = findings.sentences
    try:
        witness.keep(note)
    except WitnessUnavailable as error:
        witnessed = False
        found = [*found, error.message]
    else:
        witnessed = True
    sealed = None if log is None else log.head
    opened, key_id = open_checkpoint(note, vkey), parse_vkey(vkey).key_id.hex()
    return Reopened(sealed, opened, key_id, findings.new_key, tuple(found), witnessed)


def _origin(log: NewestLog | None) -> str | None:
    return None if log is None else log.head.origin


def _overtaken() -> Conflict:
    return Conflict("Another process began a log just now.", "Look at it before you begin another one.")
