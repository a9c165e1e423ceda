"""Proof files: strict to read, and worth nothing once a byte of them has changed."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.audit.entry import leaf_hash
from service.audit.note import Checkpoint, Signer, encode_base64, sign_checkpoint
from service.audit.proof import Proof, encode_proof, parse_proof, verify_proof, verify_proof_file
from service.audit.tree import inclusion_path, root_of
from tests.audit.logs import Leaves

ORIGIN = "exoscore/0123456789abcdef"
SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
VKEY = SIGNER.vkey(ORIGIN)
ENTRIES = [b'{"n":%d}' % number for number in range(300)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


def proof_of(index: int, size: int) -> Proof:
    reader = Leaves(LEAVES)
    note = sign_checkpoint(SIGNER, Checkpoint(ORIGIN, size, root_of(reader, size)))
    return Proof(index, tuple(inclusion_path(reader, index, size)), note, ENTRIES[index])


TEXT = encode_proof(proof_of(1, 3))


def test_the_text_of_the_worked_example() -> None:
    first, third = (encode_base64(LEAVES[i]) for i in (0, 2))
    note = proof_of(1, 3).note
    assert f"c2sp.org/tlog-proof@v1\nextra eyJuIjoxfQ==\nindex 1\n{first}\n{third}\n\n{note}" == TEXT


@pytest.mark.parametrize(
    ("index", "size"), [(0, 1), (0, 2), (1, 3), (2, 3), (255, 256), (256, 257), (7, 300), (299, 300)]
)
def test_a_file_proves_its_entry(index: int, size: int) -> None:
    proof = proof_of(index, size)
    assert parse_proof(encode_proof(proof)) == proof
    assert verify_proof_file(encode_proof(proof), VKEY) == ENTRIES[index]
    assert verify_proof(proof, ENTRIES[index], VKEY).size == size


def test_a_file_without_the_entry_needs_it_from_elsewhere() -> None:
    whole = proof_of(1, 3)
    text = encode_proof(Proof(whole.index, whole.path, whole.note))
    assert "extra" not in text
    assert verify_proof(parse_proof(text), ENTRIES[1], VKEY).size == 3
    with pytest.raises(ValueError, match="entry, index or path"):
        verify_proof(parse_proof(text), ENTRIES[2], VKEY)
    with pytest.raises(ValueError, match="carries no entry"):
        verify_proof_file(text, VKEY)


def test_an_empty_extra_is_one() -> None:
    assert parse_proof(encode_proof(Proof(0, (), proof_of(0, 1).note, b""))).extra == b""


@pytest.mark.parametrize("position", range(len(TEXT.encode())))
def test_a_changed_byte_is_refused(position: int) -> None:
    data = bytearray(TEXT.encode())
    for bit in range(8):
        data[position] ^= 1 << bit
        with pytest.raises(ValueError, match=r"."):
            verify_proof_file(data.decode(), VKEY)
        data[position] ^= 1 << bit


@pytest.mark.parametrize("position", range(len(TEXT)))
def test_a_missing_character_is_refused(position: int) -> None:
    with pytest.raises(ValueError, match=r"."):
        verify_proof_file(TEXT[:position] + TEXT[position + 1 :], VKEY)


HASH = encode_base64(bytes(32)) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v1",
        TEXT.replace("@v1", "@v2"),
        TEXT.replace("index 1\n", ""),
        TEXT.replace("index 1", "index 01"),
        TEXT.replace("index 1", "index 3"),
        TEXT.replace("index 1", "index -1"),
        TEXT.replace("index 1", "index  1"),
        TEXT.replace("index 1\n", "index 1\nextra eyJuIjoxfQ==\n"),
        TEXT.replace("extra eyJuIjoxfQ==\n", "extra eyJuIjoxfQ==\n" * 2),
        TEXT.replace("eyJuIjoxfQ==", "eyJuIjoxfR=="),
        TEXT.replace("eyJuIjoxfQ==", encode_base64(bytes(65_536))),
        TEXT.replace("index 1\n", "index 1\nAAAA\n"),
        TEXT.replace("index 1\n", "index 1\n" + 62 * HASH),
        TEXT.replace("\n", "\r\n"),
        TEXT + "\n",
        TEXT[: TEXT.index("\n\n") + 2] + "no checkpoint\n\n— name AAAAAAA=\n",
    ],
    ids=range(17),
)
def test_what_is_no_proof(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_proof(text)


def test_the_longest_path_is_read() -> None:
    note = sign_checkpoint(SIGNER, Checkpoint(ORIGIN, 2**63 - 1, bytes(32)))
    assert len(parse_proof(encode_proof(Proof(0, (bytes(32),) * 63, note))).path) == 63
