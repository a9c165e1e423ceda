"""Rules of the open log, without a committer: what is not extended, which checkpoints are kept, what times become."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.audit.entry import Entry
from service.audit.log import (
    ANCHOR_ENTRIES,
    ANCHOR_INTERVAL,
    CLOCK_TOLERANCE,
    Extension,
    Leaf,
    LogWriter,
    encoded,
)
from service.audit.note import Signer, open_checkpoint
from service.errors import LogDamaged, SigningKeyMismatch, StorageUnavailable

AT = datetime(2026, 11, 23, 5, 51, 19, 123456, tzinfo=UTC)
ENTRY = Entry("score.read", AT, "key:k1", "default")
MICROSECOND = timedelta(microseconds=1)


def extend(log: Any, writer: LogWriter, *ats: datetime) -> Extension:
    """One committed transaction with an entry for each time."""
    entries = [replace(ENTRY, at=at) for at in ats]
    with log.transaction() as transaction:
        extension = writer.extend(transaction, transaction.lock_head(), entries, [encoded(entry) for entry in entries])
    writer.keep(extension)
    return extension


def alter_last_leaf(log: Any) -> None:
    log.state.leaves[-1] = Leaf(bytes(32), log.state.leaves[-1].entry)


def drop_last_leaf(log: Any) -> None:
    log.state.leaves.pop()


def alter_root(log: Any) -> None:
    log.state.head = replace(log.state.head, root=bytes(32))


def unsign_and_drop(log: Any) -> None:
    log.state.head = replace(log.state.head, vkey=None, root=None, note=None)
    log.state.leaves.pop()


@pytest.mark.parametrize("change", [alter_last_leaf, drop_last_leaf, alter_root, unsign_and_drop])
@pytest.mark.parametrize("known", [True, False], ids=["a writer that knows the log", "a writer that starts"])
def test_a_log_that_does_not_give_its_root_is_not_extended(
    log: Any, writer: LogWriter, signer: Signer, change: Callable[[Any], None], known: bool
) -> None:
    extend(log, LogWriter(signer, "default"), AT, AT)
    change(log)
    before = log.state.copy()
    with pytest.raises(LogDamaged):
        extend(log, writer if known else LogWriter(signer, "default"), AT)
    assert log.state == before


def test_a_log_of_another_key_is_not_extended(log: Any) -> None:
    with pytest.raises(SigningKeyMismatch):
        extend(log, LogWriter(Signer.generate(), "default"), AT)


@pytest.mark.parametrize("other", [True, False], ids=["another writer goes on", "the same one goes on"])
def test_a_checkpoint_is_kept_after_so_many_entries_or_so_long(
    log: Any, writer: LogWriter, signer: Signer, other: bool
) -> None:
    def sizes() -> list[int]:
        return [anchor.size for anchor in log.state.anchors]

    def go_on(*ats: datetime) -> int:
        return extend(log, LogWriter(signer, "default") if other else writer, *ats).head.size

    assert sizes() == [1]
    go_on(*[AT] * (ANCHOR_ENTRIES - 1))
    assert sizes() == [1]
    full = go_on(AT)
    assert sizes() == [1, full]
    go_on(AT + ANCHOR_INTERVAL - MICROSECOND)
    assert sizes() == [1, full]
    late = go_on(AT + ANCHOR_INTERVAL)
    assert sizes() == [1, full, late]
    newest, head = log.state.anchors[-1], log.state.head
    assert (newest.note, newest.recorded_at) == (head.note, AT + ANCHOR_INTERVAL)
    assert open_checkpoint(newest.note, head.vkey).size == late


def test_what_was_not_committed_leaves_no_trace_in_the_writer(log: Any, writer: LogWriter) -> None:
    log.fail_at = "commit"
    with pytest.raises(StorageUnavailable):
        extend(log, writer, AT, AT)
    log.fail_at = None
    assert [place.seq for place in extend(log, writer, AT).places] == [1]


def test_times_never_decrease_and_a_clock_behind_is_told_once(log: Any, writer: LogWriter) -> None:
    behind = CLOCK_TOLERANCE + MICROSECOND
    steps = [(AT - CLOCK_TOLERANCE, 1), (AT - behind, 3), (AT - behind, 4), (AT, 5), (AT - behind, 7)]
    for at, index in steps:
        (place,) = extend(log, writer, at).places
        assert (place.seq, place.recorded_at) == (index, AT)
    recorded = [json.loads(leaf.entry) for leaf in log.state.leaves]
    told = [n for n, entry in enumerate(recorded) if entry["kind"] == "clock.regressed"]
    assert told == [2, 6]
    assert {recorded[n]["detail"]["behind_us"] for n in told} == {behind // MICROSECOND}
    assert {entry["at"] for entry in recorded} == {recorded[0]["at"]}


def test_a_transition_and_a_revocation_are_later_than_all_before_and_no_later_than_what_follows(
    log: Any, writer: LogWriter
) -> None:
    kinds = (
        "score.reported",
        "model.promoted",
        "score.reported",
        "model.retired",
        "key.revoked",
        "key.created",
        "person.revoked",
    )
    entries = [replace(ENTRY, kind=kind) for kind in kinds]
    with log.transaction() as transaction:
        head = transaction.lock_head()
        extension = writer.extend(transaction, head, entries, [encoded(entry) for entry in entries])
    assert [(place.recorded_at - AT) // MICROSECOND for place in extension.places] == [0, 1, 1, 2, 3, 3, 4]
    assert [Entry.parse(leaf.entry).at for leaf in extension.leaves] == [p.recorded_at for p in extension.places]
    assert extension.head.last_recorded_at == extension.places[-1].recorded_at
    assert not extension.behind
