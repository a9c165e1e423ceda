"""The verifier against everything that somebody with the database's password could do."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.audit.entry import leaf_hash
from service.audit.note import Checkpoint, Signer, sign_checkpoint
from service.audit.scan import MAX_FINDINGS, LogReader, document
from service.audit.tree import EMPTY_ROOT
from service.audit.verify import Report, verify_log
from service.errors import SystemFault
from tests.audit.logs import ORIGIN, SIGNER, VKEY, MemoryLog, at, entries_of, log_of, open_memory

OTHER = Signer(Ed25519PrivateKey.from_private_bytes(b"\x02" * 32))
ENTRIES = entries_of(1000)
FORGED = b'{"at":"2026-11-23T05:51:19.000000Z","kind":"score.reported"}'


def fresh() -> MemoryLog:
    return log_of(ENTRIES, (1, 300, 512, 600))


def places(report: Report) -> list[tuple[str, int | None, int | None]]:
    return [(finding.kind, finding.first, finding.last) for finding in report.findings]


def verified(log: MemoryLog, **options: Any) -> Report:
    return verify_log(log.open, log.head, **options)


def edit_entry(log: MemoryLog, *seqs: int) -> None:
    for seq in seqs:
        log.rows[seq] = (seq, log.rows[seq][1], FORGED + b"%d" % seq)


def edit_leaf(log: MemoryLog, seq: int) -> None:
    log.rows[seq] = (seq, bytes(32), log.rows[seq][2])


def edit_both(log: MemoryLog, seq: int) -> None:
    log.rows[seq] = (seq, leaf_hash(FORGED), FORGED)


def edit_with_tile(log: MemoryLog, seq: int) -> None:
    edit_both(log, seq)
    entries = [entry for _, _, entry in log.rows]
    log.tiles = log_of(entries).tiles


def swap(log: MemoryLog, a: int, b: int) -> None:
    log.rows[a], log.rows[b] = (a, *log.rows[b][1:]), (b, *log.rows[a][1:])


def swap_entries(log: MemoryLog, a: int, b: int) -> None:
    first, second = log.rows[a], log.rows[b]
    log.rows[a], log.rows[b] = (a, first[1], second[2]), (b, second[1], first[2])


def delete(log: MemoryLog, first: int, last: int) -> None:
    del log.rows[first : last + 1]


def cut(log: MemoryLog, size: int) -> None:
    delete(log, size, 999)
    log.set_head(size=size, last_recorded_at=at(size - 1))


def put(log: MemoryLog, place: int, row: tuple[Any, Any, Any]) -> None:
    log.rows.insert(place, row)


def set_row(log: MemoryLog, seq: int, leaf: Any, entry: Any) -> None:
    log.rows[seq] = (seq, leaf, entry)


def set_tile(log: MemoryLog, place: tuple[Any, Any], root: Any) -> None:
    log.tiles[place] = root


def set_anchor(log: MemoryLog, number: int, **columns: Any) -> None:
    size, note, recorded_at = log.anchors[number]
    columns = {"size": size, "note": note, "recorded_at": recorded_at} | columns
    log.anchors[number] = (columns["size"], columns["note"], columns["recorded_at"])


def signed(size: int, root: bytes = EMPTY_ROOT, signer: Signer = SIGNER) -> str:
    return sign_checkpoint(signer, Checkpoint(ORIGIN, size, root))


Tamper = Callable[[MemoryLog], object]
LEAF, ENTRY = leaf_hash(ENTRIES[0]), ENTRIES[0]
WHOLE = ("head", None, None)
TABLE: dict[str, tuple[Tamper, list[tuple[str, int | None, int | None]]]] = {
    "nothing": (lambda log: None, []),
    "an entry": (lambda log: edit_entry(log, 400), [("row", 400, 400)]),
    "three entries": (lambda log: edit_entry(log, 10, 400, 401), [("row", 10, 10), ("row", 400, 401)]),
    "a leaf": (lambda log: edit_leaf(log, 400), [("row", 400, 400)]),
    "entry and leaf": (lambda log: edit_both(log, 400), [("range", 256, 511)]),
    "entry, leaf and tile": (lambda log: edit_with_tile(log, 400), [("interval", 300, 511)]),
    "entry and leaf before a kept checkpoint": (lambda log: edit_both(log, 550), [("range", 512, 767)]),
    "entry and leaf of the tail": (lambda log: edit_both(log, 900), [("interval", 600, 999)]),
    "the last entry": (lambda log: edit_entry(log, 999), [("row", 999, 999)]),
    "the last entry and its leaf": (lambda log: edit_both(log, 999), [("interval", 600, 999), WHOLE]),
    "the first entry": (lambda log: edit_entry(log, 0), [("row", 0, 0), WHOLE]),
    "two rows swapped": (lambda log: swap(log, 400, 401), [("range", 256, 511)]),
    "two tiles swapped": (lambda log: swap(log, 255, 256), [("range", 0, 255), ("range", 256, 511)]),
    "two entries swapped": (lambda log: swap_entries(log, 400, 402), [("row", 400, 400), ("row", 402, 402)]),
    "a row deleted": (lambda log: delete(log, 400, 400), [("row", 400, 400)]),
    "rows deleted over a tile's end": (lambda log: delete(log, 500, 800), [("row", 500, 800)]),
    "the first row deleted": (lambda log: delete(log, 0, 0), [("row", 0, 0)]),
    "the tail deleted": (lambda log: delete(log, 990, 999), [("row", 990, 999)]),
    "all rows deleted": (lambda log: delete(log, 0, 999), [("row", 0, 999)]),
    "tail cut off with the head": (lambda log: cut(log, 990), [WHOLE, WHOLE]),
    "cut off at a kept checkpoint": (lambda log: cut(log, 600), [WHOLE, WHOLE, ("range", None, None)]),
    "a row beyond": (lambda log: put(log, 1000, (1000, LEAF, ENTRY)), [("row", 1000, 1000)]),
    "rows far beyond": (
        lambda log: (put(log, 1000, (2000, LEAF, ENTRY)), put(log, 1001, ("x", LEAF, ENTRY))),
        [("row", 2000, 2000)],
    ),
    "a row before the first": (lambda log: put(log, 0, (-1, LEAF, ENTRY)), [("row", -1, -1)]),
    "a row between two": (lambda log: put(log, 401, (400.5, LEAF, ENTRY)), [("row", 400, 400)]),
    "a row between the last two": (lambda log: put(log, 999, (998.5, LEAF, ENTRY)), [("row", 998, 998)]),
    "a row between two tiles": (lambda log: put(log, 256, (255.5, LEAF, ENTRY)), [("row", 256, 256)]),
    "a row after the last tile": (lambda log: put(log, 1000, (999.5, LEAF, ENTRY)), [("row", 999, 999)]),
    "an entry as text": (lambda log: set_row(log, 400, log.rows[400][1], ENTRIES[400].decode()), [("row", 400, 400)]),
    "an entry as null": (lambda log: set_row(log, 400, log.rows[400][1], None), [("row", 400, 400)]),
    "a leaf as text": (lambda log: set_row(log, 400, log.rows[400][1].hex(), ENTRIES[400]), [("row", 400, 400)]),
    "an entry that is no JSON": (lambda log: set_row(log, 999, leaf_hash(b"["), b"["), [("interval", 600, 999), WHOLE]),
    "an entry of brackets": (
        lambda log: set_row(log, 999, leaf_hash(b"[" * 60_000), b"[" * 60_000),
        [("interval", 600, 999), WHOLE],
    ),
    "a tile": (lambda log: set_tile(log, (0, 1), bytes(32)), [("range", 256, 511)]),
    "a tile as text": (lambda log: set_tile(log, (0, 1), "x"), [("range", 256, 511)]),
    "a tile deleted": (lambda log: log.tiles.pop((0, 1)), [("range", 256, 511)]),
    "a tile too many": (lambda log: set_tile(log, (0, 3), bytes(32)), [("range", None, None)]),
    "a tile before the first": (lambda log: set_tile(log, (0, -1), bytes(32)), [("range", None, None)]),
    "a tile of no level": (lambda log: set_tile(log, (10**9, 0), bytes(32)), [("range", None, None)]),
    "a tile in no place": (lambda log: set_tile(log, ("x", 0), bytes(32)), [("range", None, None)]),
    "a tile and the tail": (
        lambda log: (set_tile(log, (0, 1), bytes(32)), edit_both(log, 900)),
        [("range", 256, 511), ("interval", 600, 999)],
    ),
    "a kept checkpoint by another key": (
        lambda log: set_anchor(log, 1, note=signed(300, signer=OTHER)),
        [("interval", 1, 299)],
    ),
    "a kept checkpoint of another size": (
        lambda log: set_anchor(log, 2, note=log.anchors[1][1]),
        [("interval", 300, 511)],
    ),
    "a kept checkpoint of another root": (lambda log: set_anchor(log, 1, note=signed(300)), [("interval", 1, 299)]),
    "a kept checkpoint as bytes": (lambda log: set_anchor(log, 1, note=b"x"), [("interval", 1, 299)]),
    "a kept checkpoint's time": (lambda log: set_anchor(log, 1, recorded_at=at(1)), [("interval", 299, 299)]),
    "a kept checkpoint moved": (
        lambda log: set_anchor(log, 3, size=601),
        [("interval", 512, 600), ("interval", 600, 600)],
    ),
    "a kept checkpoint beyond": (lambda log: set_anchor(log, 3, size=1001), [("interval", None, None)]),
    "a kept checkpoint of nothing": (lambda log: set_anchor(log, 0, size=0), [("interval", None, None)]),
    "a kept checkpoint in no place": (lambda log: set_anchor(log, 3, size="x"), [("interval", None, None)]),
    "a kept checkpoint between": (lambda log: set_anchor(log, 1, size=300.5), [("interval", 0, 999)]),
    "the origin": (lambda log: log.set_head(origin="exoscore/fedcba9876543210"), [WHOLE, WHOLE]),
    "the key of another": (lambda log: log.set_head(vkey=OTHER.vkey(ORIGIN)), [("interval", 0, 0)]),
    "no key": (lambda log: log.set_head(vkey=None), [WHOLE]),
    "a broken key": (lambda log: log.set_head(vkey=VKEY[:-1]), [WHOLE]),
    "a smaller size": (lambda log: log.set_head(size=999), [("row", 999, 999), WHOLE, WHOLE, WHOLE]),
    "a larger size": (lambda log: log.set_head(size=1001), [("row", 1000, 1000), WHOLE]),
    "an enormous size": (lambda log: log.set_head(size=2**62), [("row", 1000, 2**62 - 1), WHOLE]),
    "no size": (lambda log: log.set_head(size=None), [WHOLE]),
    "a size of text": (lambda log: log.set_head(size="1000"), [WHOLE]),
    "a size beyond all": (lambda log: log.set_head(size=2**70), [WHOLE]),
    "no size and a gap": (
        lambda log: (log.set_head(size=None), delete(log, 998, 998)),
        [("row", 999, 999), *4 * [WHOLE]],
    ),
    "size 0": (lambda log: log.set_head(size=0), [WHOLE]),
    "the root": (lambda log: log.set_head(root=bytes(32)), [WHOLE]),
    "no root": (lambda log: log.set_head(root=None), [WHOLE]),
    "the checkpoint": (lambda log: log.set_head(note=log.anchors[3][1]), [WHOLE]),
    "no checkpoint": (lambda log: log.set_head(note=None), [WHOLE]),
    "the time": (lambda log: log.set_head(last_recorded_at=at(1)), [WHOLE]),
    "no time": (lambda log: log.set_head(last_recorded_at=None), [WHOLE]),
    "the state": (lambda log: log.set_head(state="closed"), [WHOLE]),
    "the generation": (lambda log: log.set_head(registry_generation=-1), [WHOLE]),
    "no generation": (lambda log: log.set_head(registry_generation=None), [WHOLE]),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_tamper_table(name: str) -> None:
    tamper, expected = TABLE[name]
    log = fresh()
    tamper(log)
    found = places(verified(log))
    if name in SOME:
        assert found[: len(expected)] == expected
    else:
        assert found == expected


SOME = {"the key of another", "size 0"}
"""What is followed by more of the same."""


def test_a_sound_log() -> None:
    log = fresh()
    report = verified(log)
    assert report == Report(ORIGIN, 1000, log.head.root, "open", (), 1000)
    assert verified(log_of(ENTRIES[:1])).findings == ()
    assert verified(log_of(ENTRIES[:256], (256,))).findings == ()
    assert verified(log_of(ENTRIES[:512], (256, 300, 512))).findings == ()


def test_a_head_that_is_gone() -> None:
    log = fresh()
    report = verify_log(log.open, replace(log.head, log_id=2))
    assert places(report) == [WHOLE]


def test_another_log_in_the_same_tables_is_not_looked_at() -> None:
    log = fresh()
    log.others.append(replace(log.head, log_id=0, origin="exoscore/other"))
    assert verified(log).findings == ()


def test_another_key_for_everything_is_not_the_one_the_log_was_opened_with() -> None:
    log = log_of(ENTRIES, (1, 300), signer=OTHER)
    messages = [finding.message for finding in verified(log).findings]
    assert messages == ["The stored verifier key is not the one that the first entry commits to."]


def test_a_log_that_is_not_opened() -> None:
    log = log_of(ENTRIES[1:])
    log.set_head(last_recorded_at=at(999))
    assert [finding.message for finding in verified(log).findings] == [
        "The first entry does not open a log of this origin."
    ]


def test_no_finding_holds_what_was_stored() -> None:
    log = fresh()
    edit_entry(log, 1, 500)
    log.set_head(origin="secret", vkey="secret", note="secret", root=b"secret", state="secret")
    report = verified(log)
    assert "secret" not in repr(report.findings)
    assert "score.reported" not in repr(report)


def test_many_findings_are_cut() -> None:
    log = log_of(entries_of(2500))
    edit_entry(log, *range(1, 2500, 2))
    report = verified(log)
    assert len(report.findings) == MAX_FINDINGS
    assert places(report)[-1] == ("row", 1999, 1999)


REWRITTEN = log_of(entries_of(1000, word="key:k2"), (1, 300, 512, 600))


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        ([], []),
        ([signed(0)], []),
        ([fresh().anchors[0][1]], []),
        ([fresh().anchors[1][1]], [("witness", 0, 299)]),
        ([anchor[1] for anchor in fresh().anchors[2:]], [("witness", 0, 511), ("witness", 0, 599)]),
        ([fresh().head.note] * 2, [("witness", 0, 999)]),
        ([signed(0, bytes(32))], [("witness", 0, 0)]),
        ([signed(1001)], [("witness", 1000, 1000)]),
        ([signed(300, signer=OTHER)], [("witness", None, None)]),
        (["no note"], [("witness", None, None)]),
    ],
    ids=range(10),
)
def test_a_log_rewritten_and_signed_again_is_known_by_its_witnesses(notes: list[str], expected: list[Any]) -> None:
    assert places(verified(REWRITTEN, witness=notes)) == expected


def test_a_witness_that_agrees() -> None:
    log = fresh()
    assert verified(log, witness=[log.head.note, *(anchor[1] for anchor in log.anchors)]).findings == ()


def test_a_witness_is_no_use_without_a_key() -> None:
    log = fresh()
    log.set_head(vkey=None)
    assert places(verified(log, witness=[log.head.note])) == [WHOLE]


LARGE = entries_of(70_000)


def large() -> MemoryLog:
    return log_of(LARGE, (256, 16_384, 65_536, 65_537))


def change_larger_tile(log: MemoryLog) -> None:
    log.tiles[1, 0] = bytes(32)


def change_below_larger_tile(log: MemoryLog) -> None:
    edit_both(log, 40_000)
    tiles = log_of([entry for _, _, entry in log.rows]).tiles
    log.tiles[0, 40_000 // 256] = tiles[0, 40_000 // 256]


@pytest.mark.parametrize(
    ("tamper", "expected"),
    [
        (lambda log: None, []),
        (change_larger_tile, [("range", 0, 65_535)]),
        (change_below_larger_tile, [("range", 0, 65_535)]),
        (lambda log: edit_both(log, 40_000), [("range", 39_936, 40_191)]),
        (lambda log: delete(log, 16_383, 16_384), [("row", 16_383, 16_384)]),
        (lambda log: delete(log, 20_000, 69_999), [("row", 20_000, 69_999)]),
        (lambda log: edit_entry(log, 69_999), [("row", 69_999, 69_999)]),
    ],
    ids=["nothing", "larger tile", "below larger tile", "range", "at a span's end", "many spans", "last"],
)
def test_a_large_log_by_one_and_by_two_processes(tamper: Tamper, expected: list[Any]) -> None:
    log = large()
    tamper(log)
    seen: list[tuple[int, int]] = []
    report = verified(log, jobs=2, progress=lambda done, total: seen.append((done, total)))
    assert places(report) == expected
    assert report == verified(log)
    assert seen[-1] == (70_000, 70_000)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert len(seen) == 5


@dataclass(frozen=True)
class OnlyHere:
    """Opens the log in the process that made it; every other process ends."""

    log: MemoryLog
    pid: int

    def __call__(self) -> AbstractContextManager[LogReader]:
        if os.getpid() != self.pid:
            os._exit(1)
        return open_memory(self.log)


def test_a_process_that_is_killed() -> None:
    log = large()
    with pytest.raises(SystemFault, match="ended before its work was done"):
        verify_log(OnlyHere(log, os.getpid()), log.head, jobs=2)


@pytest.mark.parametrize("entry", [b"", b"[]", b"7", b"{", b"\xff", None], ids=repr)
def test_entries_that_are_no_object(entry: bytes | None) -> None:
    assert document(entry) == {}
