"""The deep part of verification: whether the rows beside the log are those that its entries recorded.

1. One pass over all entries, oldest log first, merged with the rows that say where they stand: no query per row, and
   memory does not grow with the log.
2. Every column counts: what is not inside a commitment is recomputed from one (`recorded_scores`, `recorded_keys`,
   `recorded_persons`, `recorded_models`).
3. A score may be missing only where a later `subject.erased` names its place, and must be missing there. A retraction
   may be missing where the score it retracted was erased.
4. What an entry means is taken from its bytes; whether they are those that were recorded, `audit.verify` says.

A worked example. Somebody deletes one score and its place in the log, entry 17, by hand:

    17   "No score is stored for this entry, and no erasure says why."
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from service.audit.entry import MODEL_KINDS, Entry, Prior
from service.audit.scan import HeadRow
from service.store.log_reader import SqlLogReader
from service.workflows.gaps import Gaps, Range, without
from service.workflows.model_history import ACKNOWLEDGED
from service.workflows.recorded_keys import KeyLedger
from service.workflows.recorded_models import ModelLedger, is_transition
from service.workflows.recorded_persons import PersonLedger
from service.workflows.recorded_scores import KINDS, asked_model, find_score_fault

MAX_FINDINGS: Final = 1000

PROGRESS_EVERY: Final = 4096

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class RecordFinding:
    """One row that is not what the log recorded: in which table, and the log and place of the entry, where one is
    concerned."""

    table: str
    message: str
    origin: str | None = None
    first: int | None = None
    last: int | None = None


@dataclass(slots=True)
class RecordReport:
    """How many scores, retractions, keys, persons and versions were compared with their entries, and the first
    findings."""

    scores: int = 0
    retractions: int = 0
    keys: int = 0
    persons: int = 0
    versions: int = 0
    findings: list[RecordFinding] = field(default_factory=list)

    def add(
        self, table: str, message: str, origin: str | None = None, first: int | None = None, last: int | None = None
    ) -> None:
        """Note one finding."""
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(RecordFinding(table, message, shown(origin), first, first if last is None else last))


def shown(stored: object) -> str | None:
    """A stored text that is one; what a column of text holds instead is not repeated."""
    return stored if isinstance(stored, str) else None


def verify_records(reader: SqlLogReader, progress: Progress | None = None) -> RecordReport:
    """Compare every row with the entries (rules 1 to 4). `progress` is called with the entries done and all of them."""
    heads = [head for head in reader.heads() if type(head.log_id) is int]
    report = RecordReport()
    case = _Case(reader, {head.log_id: head.origin for head in heads}, report)
    total = sum(head.size for head in heads if type(head.size) is int)
    done = 0
    for head in heads:
        for seq, entry in _entries(reader, head, report):
            case.take(head, seq, entry)
            done += 1
            if progress is not None and (done % PROGRESS_EVERY == 0 or done == total):
                progress(done, total)
        case.end_log(head)
    case.finish()
    return report


def _entries(reader: SqlLogReader, head: HeadRow, report: RecordReport) -> Iterator[tuple[int, Entry]]:
    """The entries of a log that can be read; the others are findings."""
    latest = None
    for seq, _, stored in reader.entries(head.log_id, None, None):
        entry = _parsed(stored) if type(seq) is int else None
        if entry is None:
            place = seq if type(seq) is int else None
            report.add("audit_entry", "The entry is not in the one form that entries have.", head.origin, place)
            continue
        if latest is not None and entry.at < latest:
            report.add("audit_entry", "The entry is dated before the one in front of it.", head.origin, seq)
        latest = entry.at
        yield seq, entry


def _parsed(stored: Any) -> Entry | None:
    try:
        return Entry.parse(stored) if type(stored) is bytes else None
    except ValueError:
        return None


class _InPlace:
    """Rows that begin with (log_id, seq), in that order, each taken when its entry comes; the others are strays."""

    def __init__(self, rows: Iterator[tuple[Any, ...]], stray: Callable[[tuple[Any, ...]], None]) -> None:
        self._rows = rows
        self._stray = stray
        self._next = next(rows, None)

    def take(self, log_id: int, seq: int) -> tuple[Any, ...] | None:
        """The row of this place, or None; every row in front of it that nobody took is a stray."""
        while (row := self._next) is not None:
            if type(row[0]) is int and type(row[1]) is int:
                if row[:2] > (log_id, seq):
                    return None
                self._next = next(self._rows, None)
                if row[:2] == (log_id, seq):
                    return row
            else:
                self._next = next(self._rows, None)
            self._stray(row)
        return None

    def finish(self) -> None:
        """What is left are strays."""
        for row in (self._next, *self._rows) if self._next is not None else ():
            self._stray(row)


class _Case:
    """What the entries said so far, and what is still to be accounted for."""

    def __init__(self, reader: SqlLogReader, origins: Mapping[int, str], report: RecordReport) -> None:
        self._report = report
        self._origins = origins
        self._reader = reader
        self._scores = _InPlace(reader.scores(), lambda row: self._stray("score_log", row))
        self._retractions = _InPlace(reader.retractions(), lambda row: self._stray("score_retraction", row))
        self._transitions = _InPlace(reader.transitions(), lambda row: self._stray("model_transition", row))
        self._acknowledgements = _InPlace(
            reader.acknowledgements(), lambda row: self._stray("model_acknowledgement", row)
        )
        self._keys = KeyLedger(reader.keys())
        self._persons = PersonLedger(reader.persons())
        self._models = ModelLedger()
        self._missing = {origin: Gaps() for origin in origins.values()}
        self._erased = {origin: Gaps() for origin in origins.values()}
        self._unretracted: list[tuple[Prior, Prior | None]] = []
        self._generation = 0
        self._begun: set[str] = set()

    def take(self, head: HeadRow, seq: int, entry: Entry) -> None:
        """Compare the rows of one entry with it."""
        self._begun.add(head.origin)
        self._generation += _changes_registry(entry)
        if entry.kind in KINDS:
            self._take_score(head, seq, entry)
        elif entry.kind == "score.retracted":
            self._take_retraction(head, seq, entry)
        elif entry.kind == "subject.erased":
            self._take_erasure(head, seq, entry)
        elif entry.kind in MODEL_KINDS and is_transition(entry):
            row = self._row_of(self._transitions, head, seq)
            self._note("model_transition", self._models.take(entry, row), head.origin, seq)
        elif entry.kind == ACKNOWLEDGED:
            row = self._row_of(self._acknowledgements, head, seq)
            self._note("model_acknowledgement", self._models.acknowledge(entry, row), head.origin, seq)
        elif entry.kind in ("key.created", "key.revoked"):
            self._take_key(head, seq, entry)
        elif entry.kind.startswith("person."):
            self._take_person(head, seq, entry)

    def end_log(self, head: HeadRow) -> None:
        """Compare the head with what the entries up to its end say."""
        if head.registry_generation != self._generation:
            self._report.add("audit_log", "The registry generation is not that of the entries.", head.origin)

    def finish(self) -> None:
        """Compare what is left when every entry was taken."""
        self._scores.finish()
        self._retractions.finish()
        for _ in self._reader.unplaced_scores():
            self._report.add("score", "A score is stored that has no place in a log.")
        for _, fault in self._keys.faults():
            self._report.add("api_key", fault)
        self._report.keys = len(self._keys)
        for place, fault in self._persons.faults():
            self._report.add("person", fault, *(place or ()))
        self._report.persons = len(self._persons)
        self._transitions.finish()
        self._acknowledgements.finish()
        for table, fault in self._models.faults(self._reader.versions(), self._reader.aliases()):
            self._report.add(table, fault)
        for table, fault in self._models.faults_of_bytes(self._reader.parts()):
            self._report.add(table, fault)
        self._report.versions = len(self._models)
        self._settle_erasures()

    def _take_score(self, head: HeadRow, seq: int, entry: Entry) -> None:
        self._note("model_version", self._models.find_score_fault(entry), head.origin, seq)
        row = self._scores.take(head.log_id, seq)
        if row is None:
            self._missing[head.origin].add(seq, seq)
            return
        self._report.scores += 1
        _, _, _, log_id, place, *columns = row
        if columns[0] is None:
            fault: str | None = "The place of this entry is that of a score that is not stored."
        else:
            fault = find_score_fault(entry, tuple(columns), self._place(log_id, place))
            if fault is None:
                asked = asked_model(tuple(columns))
                self._note("model_alias", self._models.find_alias_fault(entry, asked), head.origin, seq)
        self._note("score", fault, head.origin, seq)

    def _take_retraction(self, head: HeadRow, seq: int, entry: Entry) -> None:
        row = self._retractions.take(head.log_id, seq)
        if row is None:
            self._unretracted.append((Prior(head.origin, seq), entry.prior))
            return
        self._report.retractions += 1
        _, _, score_id, log_id, place = row
        if score_id != entry.record or entry.prior is None or self._place(log_id, place) != entry.prior:
            message = "The retraction is not of the score that the entry names."
            self._report.add("score_retraction", message, head.origin, seq)

    def _take_key(self, head: HeadRow, seq: int, entry: Entry) -> None:
        fault = self._keys.created(entry) if entry.kind == "key.created" else self._keys.revoked(entry)
        owner = self._keys.owner(entry.record)
        if fault is None and entry.kind == "key.created" and owner is not None and not self._persons.in_force(owner):
            fault = "A key was created for a person who was not in force."
        self._note("api_key", fault, head.origin, seq)

    def _take_person(self, head: HeadRow, seq: int, entry: Entry) -> None:
        fault = self._persons.take(entry, (head.origin, seq))
        if fault is None and entry.kind == "person.revoked" and self._keys.has_in_force(entry.record):
            fault = "A person was revoked who had a key in force."
        self._note("person", fault, head.origin, seq)

    def _take_erasure(self, head: HeadRow, seq: int, entry: Entry) -> None:
        detail = entry.detail or {}
        origin, ranges = detail.get("origin"), _ranges(detail.get("ranges"))
        if not isinstance(origin, str) or origin not in self._begun or not ranges:
            self._report.add("audit_entry", "The erasure does not name places of a log.", head.origin, seq)
            return
        for first, last in ranges:
            if origin == head.origin and last >= seq:
                message = "The erasure names places behind its own."
                self._report.add("audit_entry", message, head.origin, seq)
            else:
                self._erased[origin].add(first, last)

    def _settle_erasures(self) -> None:
        """Hold what is missing against what was erased (rule 3)."""
        for origin, erased in self._erased.items():
            for first, last in without(self._missing[origin].ranges(), erased.ranges()):
                message = "No score is stored for this entry, and no erasure says why."
                self._report.add("score", message, origin, first, last)
        for entry, retracted in self._unretracted:
            if retracted is None or not (self._is_erased(retracted) or self._is_erased(entry)):
                message = "No retraction is stored for this entry, and no erasure says why."
                self._report.add("score_retraction", message, entry.origin, entry.index)
            self._missing[entry.origin].add(entry.index, entry.index)
        for origin, erased in self._erased.items():
            for first, last in without(erased.ranges(), self._missing[origin].ranges()):
                message = "What was erased is still stored, or was never there."
                self._report.add("score", message, origin, first, last)

    def _row_of(self, rows: _InPlace, head: HeadRow, seq: int) -> tuple[Any, ...] | None:
        row = rows.take(head.log_id, seq)
        return None if row is None else row[2:]

    def _is_erased(self, place: Prior) -> bool:
        return place.origin in self._erased and self._erased[place.origin].covers(place.index)

    def _place(self, log_id: Any, seq: Any) -> Prior | None:
        return Prior(self._origins[log_id], seq) if log_id in self._origins and type(seq) is int else None

    def _note(self, table: str, fault: str | None, origin: str, seq: int) -> None:
        if fault is not None:
            self._report.add(table, fault, origin, seq)

    def _stray(self, table: str, row: tuple[Any, ...]) -> None:
        known = type(row[0]) is int and type(row[1]) is int and row[0] in self._origins
        origin, seq = (self._origins[row[0]], row[1]) if known else (None, None)
        self._report.add(table, "A row names an entry that did not record it.", origin, seq)


def _changes_registry(entry: Entry) -> bool:
    """Whether the writer of an entry raises the registry generation."""
    return entry.kind in ("key.revoked", "person.revoked") or (entry.kind in MODEL_KINDS and is_transition(entry))


def _ranges(value: object) -> list[Range]:
    """Pairs of places, each in order; none where the value is anything else."""
    pairs = value if isinstance(value, list) else [None]
    ranges = [(pair[0], pair[1]) for pair in pairs if isinstance(pair, list) and [type(n) for n in pair] == [int, int]]
    return ranges if len(ranges) == len(pairs) and all(0 <= first <= last for first, last in ranges) else []
