"""Logs that follow one another, and checkpoints that look for their log."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest

from service.audit.entry import Entry, Prior
from service.audit.scan import Finding
from service.audit.succession import assign_witnesses, verify_succession
from service.audit.verify import Follows, Report, verify_log
from tests.audit.logs import AT, ORIGIN, VKEY, entries_of, log_of

A = Report("exoscore/a", 10, bytes(32), "sealed", (), 10)
B = Report("exoscore/b", 5, bytes([1] * 32), "sealed", (), 5, Follows("exoscore/a", 9, bytes(32).hex()))
C = Report("exoscore/c", 1, bytes([2] * 32), "open", (), 1, Follows("exoscore/b", 4, bytes([1] * 32).hex()))
STATE = "The state of a log is not what the first entries of the logs say."
CITES = "A log does not cite the last entry and the root of the one that it follows."


@pytest.mark.parametrize(
    ("reports", "messages"),
    [
        ([], []),
        ([replace(A, state="open")], []),
        ([A, B, C], []),
        ([C, A, B], []),
        ([A], [STATE]),
        ([A, replace(B, state="open"), C], [STATE]),
        ([A, B, replace(C, state="sealed")], [STATE]),
        ([replace(A, size=11), B, C], [CITES]),
        ([replace(A, root=bytes([9] * 32)), B, C], [CITES]),
        ([replace(A, root=None), B, C], [CITES]),
        ([B, C], ["A log follows one that is not here."]),
        ([replace(A, state="open"), replace(C, follows=None)], ["More than one log is followed by none."]),
        (
            [A, replace(B, state="open"), replace(C, follows=B.follows)],
            ["Two logs follow the same one.", "More than one log is followed by none."],
        ),
    ],
    ids=range(13),
)
def test_a_chain_of_logs(reports: list[Report], messages: list[str]) -> None:
    assert [finding.message for finding in verify_succession(reports)] == messages


def test_what_a_log_follows_is_read_from_its_first_entry() -> None:
    first = Entry(
        "log.opened",
        AT,
        "system:cli",
        "default",
        record=ORIGIN,
        in_="0" * 64,
        out=sha256(VKEY.encode()).hexdigest(),
        prior=Prior("exoscore/a", 9),
    ).encode()
    log = log_of([first, *entries_of(3)[1:]])
    report = verify_log(log.open, log.head)
    assert report.findings == ()
    assert report.follows == Follows("exoscore/a", 9, "0" * 64)


def test_checkpoints_find_their_log() -> None:
    here, there = log_of(entries_of(3)), log_of(entries_of(3), origin="exoscore/fedcba9876543210")
    notes = [here.head.note, there.head.note, "torn"]
    assigned, findings = assign_witnesses(notes, [ORIGIN, "exoscore/new"])
    assert assigned == {ORIGIN: [here.head.note], "exoscore/new": []}
    assert findings == [
        Finding("witness", None, None, "A checkpoint kept elsewhere is of a log that is not here."),
        Finding("witness", None, None, "A checkpoint kept elsewhere cannot be read."),
    ]
