"""One changed byte anywhere in a stored log is found; a log that nobody changed is sound."""

from __future__ import annotations

from copy import copy
from dataclasses import fields
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from service.audit.scan import HeadRow
from service.audit.succession import verify_succession
from service.audit.verify import Report, verify_log
from tests.audit.logs import MemoryLog, entries_of, log_of

ENTRIES = entries_of(600)
LOG = log_of(ENTRIES, (1, 100, 256, 511, 600))
# How often models and keys changed is no part of the log's own rules.
COLUMNS = [column.name for column in fields(HeadRow) if column.name not in ("log_id", "registry_generation")]


def changed(value: Any, data: st.DataObject) -> Any:
    if isinstance(value, int):
        return value ^ 1 << data.draw(st.integers(0, 40))
    octets = bytearray(value.encode() if isinstance(value, str) else value)
    octets[data.draw(st.integers(0, len(octets) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    # As a database may hand over text that is no UTF-8.
    return octets.decode(errors="surrogateescape") if isinstance(value, str) else bytes(octets)


def changed_cell(row: tuple[Any, ...], data: st.DataObject) -> tuple[Any, ...]:
    place = data.draw(st.integers(0, len(row) - 1))
    return (*row[:place], changed(row[place], data), *row[place + 1 :])


def change_row(log: MemoryLog, data: st.DataObject) -> None:
    log.rows = list(LOG.rows)
    log.rows.append(changed_cell(log.rows.pop(data.draw(st.integers(0, len(log.rows) - 1))), data))
    log.rows.sort(key=lambda row: row[0])


def change_tile(log: MemoryLog, data: st.DataObject) -> None:
    log.tiles = dict(LOG.tiles)
    place = data.draw(st.sampled_from(sorted(log.tiles)))
    level, index, root = changed_cell((*place, log.tiles.pop(place)), data)
    log.tiles[level, index] = root


def change_anchor(log: MemoryLog, data: st.DataObject) -> None:
    log.anchors = list(LOG.anchors)
    log.anchors.append(changed_cell(log.anchors.pop(data.draw(st.integers(0, len(log.anchors) - 1))), data))
    log.anchors.sort(key=lambda anchor: anchor[0])


def change_head(log: MemoryLog, data: st.DataObject) -> None:
    column = data.draw(st.sampled_from(COLUMNS))
    log.set_head(**{column: changed(getattr(LOG.head, column), data)})


@settings(max_examples=500)
@given(st.sampled_from([change_row, change_tile, change_anchor, change_head]), st.data())
def test_one_changed_byte_is_found(change: Any, data: st.DataObject) -> None:
    log = copy(LOG)
    change(log, data)
    report = verify_log(log.open, log.head)
    assert [*report.findings, *verify_succession([report])]


@settings(max_examples=50)
@given(st.integers(1, 600), st.sets(st.integers(1, 600)))
def test_a_sound_log_has_no_findings(size: int, kept: set[int]) -> None:
    log = log_of(ENTRIES[:size], sorted(kept & set(range(size + 1))))
    report = verify_log(log.open, log.head, witness=[note for _, note, _ in log.anchors])
    assert report == Report(log.head.origin, size, log.head.root, "open", (), size)
    assert verify_succession([report]) == []
