"""Signed notes against published examples, and everything that is not one."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from service.audit.note import (
    MAX_NOTE_BYTES,
    MAX_SIZE,
    Checkpoint,
    Note,
    Signature,
    Signer,
    encode_base64,
    open_checkpoint,
    parse_checkpoint,
    parse_note,
    parse_vkey,
    sign_checkpoint,
    split_notes,
)
from service.audit.tree import EMPTY_ROOT

# The example of golang.org/x/mod/sumdb/note, the format's first implementation: key, text and note.
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SEED = bytes.fromhex("810a1402d5146c8d84f2443330f54080ebf98ee17d9c74f6252fc5d5c7283173")
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
LINE = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
# The example of C2SP signed-note, whose text has an empty line, and of C2SP tlog-checkpoint.
POEM = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n"
POEM_LINE = (
    "— quasimodo.example/salvatore "
    "NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
)
SOFA = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
SOFA_LINE = (
    "— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)

ORIGIN = "exoscore/0123456789abcdef"
SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
CHECKPOINT = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
HEAD = sign_checkpoint(SIGNER, CHECKPOINT)


def test_the_published_key_signs_the_published_note() -> None:
    signer = Signer(Ed25519PrivateKey.from_private_bytes(SEED))
    assert signer.vkey("PeterNeumann") == VKEY
    assert signer.sign("PeterNeumann", TEXT) == f"{TEXT}\n{LINE}"


def test_the_published_note_is_verified() -> None:
    verifier = parse_vkey(VKEY)
    assert (verifier.name, verifier.key_id.hex()) == ("PeterNeumann", "c74f20a3")
    assert verifier.verify(f"{TEXT}\n{LINE}") == TEXT
    assert verifier.verify(f"{TEXT}\n{POEM_LINE}{LINE}{SOFA_LINE}") == TEXT


def test_the_example_of_the_specification_of_notes() -> None:
    note = parse_note(f"{POEM}\n{POEM_LINE}")
    assert note.text == POEM
    assert [(s.name, s.key_id.hex(), len(s.value)) for s in note.signatures] == [
        ("quasimodo.example/salvatore", "367ba04b", 64)
    ]


def test_the_example_of_the_specification_of_checkpoints() -> None:
    checkpoint = parse_checkpoint(parse_note(f"{SOFA}\n{SOFA_LINE}").text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text() == SOFA


def test_the_worked_example() -> None:
    assert SIGNER.vkey(ORIGIN) == "exoscore/0123456789abcdef+48ff6299+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
    assert HEAD.startswith(f"{ORIGIN}\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— {ORIGIN} SP9i")
    assert open_checkpoint(HEAD, SIGNER.vkey(ORIGIN)) == CHECKPOINT


def test_a_key_survives_its_file() -> None:
    signer = Signer.generate()
    assert Signer.from_pem(signer.pem()).vkey("a") == signer.vkey("a") != Signer.generate().vkey("a")


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        SIGNER.pem()[:60],
        generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
        Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
    ],
    ids=["empty", "no key inside", "torn", "elliptic curve", "with passphrase", "OpenSSH"],
)
def test_another_file_is_no_signing_key(pem: bytes) -> None:
    with pytest.raises(ValueError, match="signing key"):
        Signer.from_pem(pem)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u00a0b", "a\x1fb", "n" * 1025], ids=repr)
def test_names_without_white_space_and_plus(name: str) -> None:
    for call in (
        SIGNER.vkey,
        lambda n: SIGNER.sign(n, "text\n"),
        lambda n: parse_vkey(VKEY.replace("PeterNeumann", n)),
    ):
        with pytest.raises(ValueError, match=r"name|key id"):
            call(name)


@pytest.mark.parametrize("text", ["", "no newline", "a\r\n", "tab\t\n", "zero\0\n", "escape\x1b\n"], ids=repr)
def test_only_text_is_signed(text: str) -> None:
    with pytest.raises(ValueError, match="text"):
        SIGNER.sign("name", text)


def test_text_that_is_no_unicode_is_not_signed() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        SIGNER.sign("name", "\ud800\n")


@pytest.mark.parametrize("position", range(len(VKEY)))
def test_every_character_of_a_verifier_key_counts(position: int) -> None:
    changed = VKEY[:position] + chr(ord(VKEY[position]) + 1) + VKEY[position + 1 :]
    for text in (changed, VKEY[:position], VKEY[position + 1 :]):
        with pytest.raises(ValueError, match=r"."):
            parse_vkey(text)


@pytest.mark.parametrize(
    "vkey",
    [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        VKEY.replace("c74f20a3", "C74F20A3"),
        VKEY + "\n",
        VKEY + "+",
    ],
    ids=["too long", "another algorithm", "capitals", "newline", "a fourth part"],
)
def test_keys_of_another_form(vkey: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_vkey(vkey)


@pytest.mark.parametrize(
    "note",
    [
        "",
        TEXT,
        LINE,
        f"{TEXT}{LINE}",
        f"{TEXT}\n",
        f"{TEXT}\n{LINE[:-1]}",
        f"{TEXT}\n{LINE}\n",
        f"{TEXT}\n{LINE}{LINE}",
        f"{TEXT}\n{LINE}{LINE[:-10]}AAAAAAAA=\n",
        f"{TEXT}\n{LINE}".replace("\n", "\r\n"),
        f"{TEXT}\n{LINE}".replace("problem", "\x7fproblem\t"),
        f"{TEXT}\n-{LINE[1:]}",
        f"{TEXT}\n{LINE.replace(' ', '  ')}",
        f"{TEXT}\n{LINE.replace('nAM=', 'nAN=')}",
        f"{TEXT}\n{LINE.replace('nAM=', 'nAM')}",
        f"{TEXT}\n{LINE.replace('nAM=', 'nAM= ')}",
        f"{TEXT}\n— PeterNeumann\n",
        f"{TEXT}\n— PeterNeumann x08gow==\n",
        f"{TEXT}\n" + "".join(f"— n{i} AAAAAAA=\n" for i in range(65)),
        "a" * MAX_NOTE_BYTES + f"\n\n{LINE}",
        f"\ud800\n\n{LINE}",
    ],
    ids=range(21),
)
def test_what_is_no_note(note: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_note(note)


def test_a_note_may_have_signatures_by_others() -> None:
    line = "— witness.example AAAAAAA=\n"
    assert parse_note(f"a\n\n{line}{line.replace('AAAAAAA=', 'AAAAAQA=')}") == Note(
        "a\n", (Signature("witness.example", bytes(4), b"\0"), Signature("witness.example", b"\0\0\0\1", b"\0"))
    )


@pytest.mark.parametrize(
    "note",
    [
        f"{TEXT}\n{POEM_LINE}",
        f"{TEXT.replace('If', 'if')}\n{LINE}",
        f"{TEXT}\n{LINE.replace('PeterNeumann', 'Peter')}",
        f"{TEXT}\n— PeterNeumann {encode_base64(bytes.fromhex('c74f20a3') + bytes(63))}\n",
        f"{TEXT}\n— PeterNeumann {encode_base64(bytes.fromhex('c74f20a3') + bytes(64))}\n",
    ],
    ids=["signed by another", "another text", "another name", "short signature", "wrong signature"],
)
def test_a_note_has_to_be_signed_by_the_key(note: str) -> None:
    with pytest.raises(ValueError, match="signature"):
        parse_vkey(VKEY).verify(note)


@pytest.mark.parametrize("position", range(len(HEAD.encode())))
def test_a_changed_byte_is_refused(position: int) -> None:
    data = bytearray(HEAD.encode())
    for bit in range(8):
        data[position] ^= 1 << bit
        with pytest.raises(ValueError, match=r"."):
            open_checkpoint(data.decode(), SIGNER.vkey(ORIGIN))
        data[position] ^= 1 << bit


@pytest.mark.parametrize("position", range(len(HEAD)))
def test_a_missing_character_is_refused(position: int) -> None:
    with pytest.raises(ValueError, match=r"."):
        open_checkpoint(HEAD[:position] + HEAD[position + 1 :], SIGNER.vkey(ORIGIN))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n0\n",
        SOFA[:-1],
        SOFA + "extension\n",
        SOFA + "\n",
        SOFA.replace("20852163", "020852163"),
        SOFA.replace("20852163", "+20852163"),
        SOFA.replace("20852163", "-1"),
        SOFA.replace("20852163", "2085216\u0663"),
        SOFA.replace("20852163", str(MAX_SIZE + 1)),
        SOFA.replace("20852163", "1" * 20),
        SOFA.replace("2I=", "2J="),
        SOFA.replace("2I=", "2I"),
        SOFA.replace("xq2I=", "xg=="),
        SOFA.replace("sofa", "so\tfa"),
        "o" * 1025 + SOFA[SOFA.index("\n") :],
    ],
    ids=range(16),
)
def test_what_is_no_checkpoint(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    ("origin", "size", "root"),
    [
        ("", 0, EMPTY_ROOT),
        ("a\nb", 0, EMPTY_ROOT),
        ("a", -1, EMPTY_ROOT),
        ("a", MAX_SIZE + 1, EMPTY_ROOT),
        ("a", 0, b""),
    ],
)
def test_a_checkpoint_that_cannot_be_written(origin: str, size: int, root: bytes) -> None:
    with pytest.raises(ValueError, match="The note, checkpoint or key has a wrong"):
        Checkpoint(origin, size, root)


def test_the_largest_checkpoint() -> None:
    largest = Checkpoint("a", MAX_SIZE, EMPTY_ROOT)
    assert parse_checkpoint(largest.text()) == largest


def test_a_key_does_not_sign_for_another_log() -> None:
    with pytest.raises(ValueError, match="origin"):
        open_checkpoint(SIGNER.sign("exoscore/other", CHECKPOINT.text()), SIGNER.vkey("exoscore/other"))


NOTES = [f"{SOFA}\n{SOFA_LINE}", f"{POEM}\n{POEM_LINE}{LINE}", HEAD]


@pytest.mark.parametrize("before", ["", "\n", "\n\n"], ids=["", "1", "2"])
@pytest.mark.parametrize("after", ["", "\n", "\n\n"], ids=["", "1", "2"])
@pytest.mark.parametrize("number", range(4))
def test_a_file_of_notes(before: str, after: str, number: int) -> None:
    data = (before + "\n".join(NOTES[:number]) + after).encode()
    assert split_notes(data) == NOTES[:number]


@pytest.mark.parametrize("length", range(len(HEAD.encode())))
def test_a_torn_last_note_is_left_out(length: int) -> None:
    data = "\n".join([*NOTES[:2], ""]).encode() + HEAD.encode()[:length]
    assert split_notes(data) == NOTES[:2]


def test_a_torn_note_in_the_middle_is_no_note() -> None:
    notes = split_notes((HEAD[:30] + HEAD + "\n" + HEAD).encode())
    assert notes == [HEAD[:30] + HEAD, HEAD]
    with pytest.raises(ValueError, match=r"."):
        open_checkpoint(notes[0], SIGNER.vkey(ORIGIN))


def test_a_file_that_is_no_text() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        split_notes(b"\xff\n")
