"""What has to hold between logs: which follows which, and which of them a checkpoint kept elsewhere is about.

The rules:

1. A log that follows another says so in its first entry, `log.opened`: `prior` is the origin and the last index of the
   other one, `in` its root in hex.
2. A log that another one follows is sealed; the log that none follows is open, and there is one of these.
3. A checkpoint kept elsewhere names its log by the origin; one that names none of the logs is a finding, because a log
   that has vanished leaves nothing else behind.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from .note import parse_checkpoint, parse_note
from .scan import Finding
from .verify import Report


def assign_witnesses(notes: Iterable[str], origins: Collection[str]) -> tuple[dict[str, list[str]], list[Finding]]:
    """The notes by the log that they name, and a finding for each that is no checkpoint or names none of the logs."""
    assigned: dict[str, list[str]] = {origin: [] for origin in origins}
    findings = []
    for note in notes:
        try:
            assigned[parse_checkpoint(parse_note(note).text).origin].append(note)
        except ValueError:
            findings.append(Finding("witness", None, None, "A checkpoint kept elsewhere cannot be read."))
        except KeyError:
            findings.append(Finding("witness", None, None, "A checkpoint kept elsewhere is of a log that is not here."))
    return assigned, findings


def verify_succession(reports: Sequence[Report]) -> list[Finding]:
    """What is wrong between logs: each that follows another cites its last entry and root, a log that is cited is
    sealed, and of the others one is open."""
    by_origin = {report.origin: report for report in reports}
    cited = [report.follows for report in reports if report.follows is not None]
    findings = []
    for follows in cited:
        old = by_origin.get(follows.origin)
        if old is None:
            findings.append(_refusal("A log follows one that is not here."))
        elif old.root is None or (old.size - 1, old.root.hex()) != (follows.index, follows.root):
            findings.append(_refusal("A log does not cite the last entry and the root of the one that it follows."))
    origins = [follows.origin for follows in cited]
    if len(set(origins)) != len(origins):
        findings.append(_refusal("Two logs follow the same one."))
    if sum(report.origin not in origins for report in reports) > 1:
        findings.append(_refusal("More than one log is followed by none."))
    findings += (
        _refusal("The state of a log is not what the first entries of the logs say.")
        for report in reports
        if report.state != ("sealed" if report.origin in origins else "open")
    )
    return findings


def _refusal(message: str) -> Finding:
    return Finding("head", None, None, message)
