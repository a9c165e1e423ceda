"""Verify all logs of a database: the trees and their signatures, and on request every row that they commit to.

Needs no server and disturbs none: one read transaction sees one state. Reads no secret: the verifier keys are in the
log, and what makes them trustworthy is a checkpoint kept elsewhere.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from service.audit.note import split_notes
from service.audit.scan import Finding
from service.audit.succession import assign_witnesses, verify_succession
from service.audit.verify import Report, verify_log
from service.errors import InputRejected
from service.store.log_reader import LogOpener
from service.workflows.verify_records import Progress, RecordFinding, RecordReport, shown, verify_records


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found: in each log, between logs and about checkpoints kept elsewhere, and, where it was asked for, in
    the rows that the logs commit to."""

    logs: tuple[Report, ...]
    between: tuple[Finding, ...]
    records: RecordReport | None
    seconds: float

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return self.first_break is None

    @property
    def first_break(self) -> str | None:
        """The first thing that is wrong, in one line."""
        return next(iter(self.lines()), None)

    def lines(self) -> list[str]:
        """Everything that is wrong, one line each, the first break first."""
        found = [_line(shown(log.origin), finding) for log in self.logs for finding in log.findings]
        found += [_line(None, finding) for finding in self.between]
        return found + [_record_line(finding) for finding in (self.records.findings if self.records else ())]

    def document(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "sound": self.sound,
            "first_break": self.first_break,
            "logs": [_log_document(log) for log in self.logs],
            "findings": [asdict(finding) for finding in self.between],
            "records": None if self.records is None else asdict(self.records),
            "seconds": round(self.seconds, 3),
        }


def verify_all(
    opener: LogOpener,
    *,
    deep: bool,
    jobs: int = 1,
    witness: Sequence[str] = (),
    progress: Progress | None = None,
    timer: Callable[[], float] = time.perf_counter,
) -> Verification:
    """Verify every log, open and sealed; with `deep` the rows too.

    `jobs` processes share the trees; `witness` are notes that were kept elsewhere; `progress` is called with the
    entries done and all of them, for each log and once more for the rows. Raises StorageUnavailable where the database
    cannot be read."""
    started = timer()
    with opener.open_one() as reader:
        heads = reader.heads()
        notes, between = assign_witnesses(witness, [head.origin for head in heads])
        logs = [verify_log(opener, head, jobs=jobs, progress=progress, witness=notes[head.origin]) for head in heads]
        between += verify_succession(logs) if logs else [_between("The database holds no log.")]
        between += (_between(f"{table} has rows of a log without a head.") for table in reader.homeless())
        records = verify_records(reader, progress) if deep else None
    return Verification(tuple(logs), tuple(between), records, timer() - started)


def parse_witness(data: bytes) -> list[str]:
    """The notes of a witness file; raises InputRejected where it holds none."""
    try:
        notes = split_notes(data)
    except ValueError:
        notes = []
    if not notes:
        raise InputRejected("The witness file holds no checkpoint.", "Name a file of signed notes.")
    return notes


def _between(message: str) -> Finding:
    return Finding("head", None, None, message)


def _line(origin: str | None, finding: Finding) -> str:
    kind = "256-range" if finding.kind == "range" and _is_one_tile(finding) else finding.kind
    return f"{_where(origin, kind, finding.first, finding.last)}: {finding.message}"


def _is_one_tile(finding: Finding) -> bool:
    return finding.first is not None and finding.last is not None and finding.last - finding.first == 255  # noqa: PLR2004


def _record_line(finding: RecordFinding) -> str:
    return f"{_where(finding.origin, finding.table, finding.first, finding.last)}: {finding.message}"


def _where(origin: str | None, kind: str, first: int | None, last: int | None) -> str:
    place = "" if first is None else f" {first}" if first == last else f" {first}..{last}"
    return f"{'' if origin is None else f'{origin}: '}{kind}{place}"


def _log_document(log: Report) -> dict[str, Any]:
    return {
        "origin": shown(log.origin),
        "size": log.size,
        "root": None if log.root is None else b64encode(log.root).decode("ascii"),
        "state": shown(log.state),
        "entries": log.entries,
        "findings": [asdict(finding) for finding in log.findings],
    }
