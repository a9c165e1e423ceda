"""What a witness kept is found from its end, and whatever the log no longer is, is said."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.audit.entry import leaf_hash
from service.audit.log import Head
from service.audit.note import Checkpoint, Signer, sign_checkpoint
from service.audit.tree import Frontier
from service.audit.witness import Claim, Kept, contradiction, defects, kept_alone, read_kept, record

from .logs import Leaves

ORIGIN, OTHER = "exoscore/0123456789abcdef", "exoscore/fedcba9876543210"
SIGNER = Signer.generate()
LEAVES = [leaf_hash(bytes([n % 256])) for n in range(600)]
READER = Leaves(LEAVES)


def root(size: int) -> bytes:
    frontier = Frontier()
    frontier.extend(LEAVES[:size])
    return frontier.root()


def note(size: int, origin: str = ORIGIN, signer: Signer = SIGNER) -> str:
    return sign_checkpoint(signer, Checkpoint(origin, size, root(size % 600)))


def kept(*records: str) -> bytes:
    data = b""
    for one in records:
        data += record(one, data[-1:])
    return data


def sizes(found: Kept) -> tuple[int | None, int | None]:
    return tuple(None if claim is None else claim.checkpoint.size for claim in (found.newest, found.largest))


def look(data: bytes, origin: str | None = ORIGIN, block: int = 1 << 20) -> tuple[int | None, int | None]:
    return sizes(read_kept(io.BytesIO(data), origin, block))


def test_records_are_notes_with_one_empty_line_between_them() -> None:
    assert kept(note(1), note(2)) == (note(1) + "\n" + note(2)).encode()


def test_the_newest_and_the_largest_are_found() -> None:
    data = kept(note(3), note(12), note(9), note(5, OTHER))
    assert look(data) == (5, 12)
    assert look(data, OTHER) == (5, 5)
    assert look(data, None) == (5, None)
    assert look(data, "exoscore/00") == (5, None)
    assert look(b"") == (None, None)
    assert read_kept(io.BytesIO(kept(note(3))), ORIGIN) == kept_alone(note(3))


@pytest.mark.parametrize("block", [1, 7, 64, 255, 300, 4096])
def test_blocks_of_any_size_give_the_same(block: int) -> None:
    data = kept(*(note(n) for n in range(1, 20)), *(note(n, OTHER) for n in range(1, 4)))
    assert look(data, OTHER, block) == (3, 3)
    assert look(data, ORIGIN, block) == (3, 19)


@pytest.mark.parametrize("cut", range(1, len(note(12).encode()) - 1))
def test_a_torn_record_hides_none_before_and_none_after_it(cut: int) -> None:
    torn = kept(note(3), note(4)) + b"\n" + note(12).encode()[:cut]
    assert look(torn) == (4, 4)
    assert look(torn + record(note(5), torn[-1:])) == (5, 5)


def test_a_record_that_lacks_only_its_end_is_whole() -> None:
    torn = kept(note(3), note(12))[:-1]
    assert look(torn) == (3, 3)
    assert look(torn + record(note(5), torn[-1:])) == (5, 12)


@given(st.binary(max_size=400))
def test_what_is_no_record_is_passed_over(noise: bytes) -> None:
    data = kept(note(3)) + b"\n\n" + noise
    assert look(data) == (3, 3)
    assert look(data + record(note(5), data[-1:])) == (5, 5)


@pytest.mark.parametrize(
    "broken",
    [
        note(5).replace("\n5\n", "\n05\n").encode(),
        note(5).replace("\u2014 exoscore", "\u2014 exoscorf").encode(),
        note(5).replace("\u2014", "-").encode(),
        note(5).encode().replace(ORIGIN.encode(), b"\xff"),
        note(5).encode()[:-6] + b"\n",
    ],
    ids=["leading zero", "another name", "another dash", "no text", "short signature"],
)
def test_a_record_that_is_no_checkpoint_of_its_log_is_passed_over(broken: bytes) -> None:
    assert look(kept(note(3)) + b"\n" + broken) == (3, 3)


def test_a_year_is_read_from_its_end() -> None:
    data = kept(note(1), note(2))
    year = io.BytesIO(data + b"\n".join([note(599).encode()] * 525_600))
    began = time.perf_counter()
    assert sizes(read_kept(year, ORIGIN)) == (599, 599)
    assert time.perf_counter() - began < 2


def head(size: int = 500) -> Head:
    signed = note(size)
    return Head(1, ORIGIN, size, datetime(2026, 1, 1, tzinfo=UTC), 0, SIGNER.vkey(ORIGIN), root(size), signed)


def claim(size: int, signer: Signer = SIGNER) -> Claim:
    return Claim(note(size, signer=signer), Checkpoint(ORIGIN, size, root(size)))


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 499, 500])
def test_a_log_agrees_with_every_checkpoint_of_its_own(size: int) -> None:
    assert contradiction(head(), READER, claim(size)) is None


def test_a_log_that_is_shorter_says_both_sizes() -> None:
    said = contradiction(head(500), READER, claim(501))
    assert said == "The witness holds a checkpoint of 501 entries, and the log has only 500."


@pytest.mark.parametrize("changed", [0, 255, 256, 398])
def test_a_log_with_another_past_is_found(changed: int) -> None:
    leaves = [*LEAVES]
    leaves[changed] = leaf_hash(b"another")
    said = contradiction(head(), Leaves(leaves), claim(399))
    assert said == "The first 399 of the 500 entries of the log are not those that the witness holds."
    assert contradiction(head(), Leaves(leaves), claim(changed)) is None


def test_a_log_without_its_entries_is_found() -> None:
    assert contradiction(head(), Leaves(LEAVES[:300]), claim(399)) is not None


@pytest.mark.parametrize(
    "vkey",
    [None, "no key", Signer.generate().vkey(ORIGIN), SIGNER.vkey(OTHER)],
    ids=["none", "no key", "another key", "another origin"],
)
def test_a_claim_that_the_log_s_key_did_not_sign_contradicts_it(vkey: str | None) -> None:
    said = contradiction(replace(head(), vkey=vkey), READER, claim(399))
    assert said == "The witness holds a checkpoint of 399 entries that the key of the log did not sign."


def test_a_sound_head_has_no_defects() -> None:
    assert defects(head(), READER) == []


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ({"note": None}, 1),
        ({"note": note(499)}, 1),
        ({"vkey": None}, 1),
        ({"vkey": SIGNER.vkey(OTHER)}, 1),
        ({"size": 499}, 2),
        ({"size": 501}, 2),
        ({"root": b"r" * 32}, 2),
        ({"root": None}, 2),
        ({"origin": OTHER}, 1),
    ],
)
def test_a_head_that_contradicts_itself_or_the_tree_is_found(change: dict[str, object], number: int) -> None:
    assert len(defects(replace(head(), **change), READER)) == number


def test_hashes_that_are_none_are_found() -> None:
    texts = Leaves(LEAVES)
    texts.hashes = lambda level, start, stop: ["x" * 32] * (stop - start)  # type: ignore[method-assign]
    assert len(defects(head(), texts)) == 1
