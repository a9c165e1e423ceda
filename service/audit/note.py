"""Signed notes and checkpoints: the text by which a log commits itself to every entry it has.

The rules:

1. A note is text that ends with a newline, an empty line, and one line for each signature: an em dash, a space, the
   name of the key, a space, base64 of key id and signature (C2SP signed-note). It is UTF-8; the newline is its only
   control character, so there is no CRLF.
2. A key is Ed25519 (RFC 8032). `key id = SHA-256(name || 0x0A || 0x01 || public key)[:4]`; the verifier key is the
   text `name+hex(key id)+base64(0x01 || public key)`. A name is not empty and has no white space and no plus.
3. A checkpoint is a note of three lines: origin, size, base64 of the root (C2SP tlog-checkpoint). The name of the key
   of a log is the log's origin. Lines after the third are allowed by the specification and refused here: no log of
   ours has any.
4. Parsers are strict, so that no two texts mean the same: no leading zeros, no second signature by one key, and base64
   is decoded, encoded again and compared, because a lenient decoder ignores the last bits of the last character.
5. Signatures by keys that are not known are passed over (a witness may have added them); the signature of the key asked
   for has to be there, and to be valid.
6. Whatever is refused is a ValueError whose message holds nothing of the text.

A worked example, with the private key of 32 times 0x01: the name `exoscore/0123456789abcdef` has the verifier key

    exoscore/0123456789abcdef+48ff6299+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c

and the log of that origin without any entries has the checkpoint

    exoscore/0123456789abcdef
    0
    47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=

    — exoscore/0123456789abcdef <base64 of 48ff6299 and the 64 bytes of the signature>
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

MAX_NOTE_BYTES: Final = 1_000_000
"""Longest note that is read; the specification asks for room for 16 signatures of 5 kB."""

MAX_SIGNATURES: Final = 64

MAX_NAME_CHARACTERS: Final = 1024
"""Longest name of a key, and longest origin."""

MAX_SIZE: Final = 2**63 - 1
"""Largest tree: what a signed column of 64 bits holds."""

ROOT_BYTES: Final = 32

_ED25519 = b"\x01"
_PUBLIC_BYTES = 32
_SIGNATURE_BYTES = 64
_KEY_ID_BYTES = 4
_DASH = "\u2014 "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_KEY_ID = re.compile(r"[0-9a-f]{8}")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_CHECKPOINT = re.compile(r"([^\n]+)\n([^\n]+)\n([^\n]+)\n")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: `value` follows the four bytes of `key_id`."""

    name: str
    key_id: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A note as it was read; nothing of it is verified. `text` ends with a newline."""

    text: str
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: `size` entries under the Merkle root `root`. Raises ValueError where that is no
    checkpoint (rule 3)."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        _require(0 < len(self.origin) <= MAX_NAME_CHARACTERS and "\n" not in self.origin, "origin")
        _require(_CONTROL.search(self.origin) is None, "origin")
        _require(0 <= self.size <= MAX_SIZE, "size")
        _require(len(self.root) == ROOT_BYTES, "root")

    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"


class Signer:
    """A private key."""

    __slots__ = ("_key", "_public")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._public = key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> Signer:
        """A new key, from the randomness of the operating system."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, pem: bytes) -> Signer:
        """The key of a PEM file, PKCS#8 without a passphrase. Raises ValueError for anything else."""
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ValueError("The signing key is not PEM in PKCS#8 without a passphrase.") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("The signing key is not an Ed25519 key.")  # noqa: TRY004 - about a file, not about a caller
        return cls(key)

    def pem(self) -> bytes:
        """The key as PEM, PKCS#8 without a passphrase: a secret."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def vkey(self, name: str) -> str:
        """The verifier key of this key under `name` (rule 2). Raises ValueError for what is no name."""
        _require_name(name)
        key_id = _key_id(name, self._public)
        return f"{name}+{key_id.hex()}+{encode_base64(_ED25519 + self._public)}"

    def sign(self, name: str, text: str) -> str:
        """The note of `text`, which ends with a newline, signed under `name`. Raises ValueError where rule 1 or 2 is
        broken."""
        _require_name(name)
        _require(text.endswith("\n") and _CONTROL.search(text) is None, "text")
        signature = self._key.sign(text.encode())
        return f"{text}\n{_DASH}{name} {encode_base64(_key_id(name, self._public) + signature)}\n"


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key of 32 bytes and the name it signs under."""

    name: str
    key_id: bytes
    public: bytes

    def verify(self, note: str) -> str:
        """The text of the note. Raises ValueError where it is no note or this key did not sign it."""
        parsed = parse_note(note)
        values = [s.value for s in parsed.signatures if (s.name, s.key_id) == (self.name, self.key_id)]
        _require(len(values) == 1 and len(values[0]) == _SIGNATURE_BYTES, "signature by the key that is asked for")
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(values[0], parsed.text.encode())
        except InvalidSignature:
            raise ValueError("The signature of the note does not fit its text and key.") from None
        return parsed.text


def parse_vkey(text: str) -> Verifier:
    """The key of a verifier key's text (rule 2). Raises ValueError where one character of it is not as it has to be."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    _require_name(name)
    _require(_KEY_ID.fullmatch(key_id) is not None, "key id")
    key = parse_base64(encoded)
    _require(len(key) == 1 + _PUBLIC_BYTES and key[:1] == _ED25519, "public key")
    _require(_key_id(name, key[1:]).hex() == key_id, "key id")
    return Verifier(name, bytes.fromhex(key_id), key[1:])


def parse_note(note: str) -> Note:
    """The parts of a note (rules 1 and 4); ValueError where it is none."""
    _require(len(note.encode()) <= MAX_NOTE_BYTES, "length")
    _require(_CONTROL.search(note) is None, "alphabet")
    text, separator, rest = note.rpartition("\n\n")
    _require(separator != "" and rest.endswith("\n"), "end")
    lines = rest[:-1].split("\n")
    _require(len(lines) <= MAX_SIGNATURES, "number of signatures")
    signatures = tuple(_parse_signature(line) for line in lines)
    _require(len({(s.name, s.key_id) for s in signatures}) == len(signatures), "number of signatures by one key")
    return Note(text + "\n", signatures)


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint of a note's text (rules 3 and 4); ValueError where it is none."""
    match = _CHECKPOINT.fullmatch(text)
    if match is None:
        raise ValueError("A checkpoint has three lines.")
    origin, size, root = match.groups()
    return Checkpoint(origin, parse_decimal(size), parse_base64(root))


def sign_checkpoint(signer: Signer, checkpoint: Checkpoint) -> str:
    """The note of `checkpoint`, signed under its origin."""
    return signer.sign(checkpoint.origin, checkpoint.text())


def open_checkpoint(note: str, vkey: str) -> Checkpoint:
    """The checkpoint of a note that the key `vkey` signed; its origin is the name of that key. Raises ValueError."""
    verifier = parse_vkey(vkey)
    checkpoint = parse_checkpoint(verifier.verify(note))
    _require(checkpoint.origin == verifier.name, "origin")
    return checkpoint


def split_notes(data: bytes) -> list[str]:
    """The notes of a file that separates them by one empty line, not yet parsed. What follows the last complete line,
    and a last note without a signature, was torn by a crash and is left out; a torn one in the middle stays, glued to
    the next, and no key will verify it. Raises ValueError where the file is not UTF-8."""
    notes: list[str] = []
    lines: list[str] = []
    signed = False
    for line in data[: data.rfind(b"\n") + 1].decode().split("\n")[:-1]:
        if line or (lines and not signed):
            signed = line.startswith(_DASH) and (signed or lines[-1:] == [""])
            lines.append(line)
        elif lines:
            notes.append("\n".join([*lines, ""]))
            lines, signed = [], False
    if signed:
        notes.append("\n".join([*lines, ""]))
    return notes


def encode_base64(data: bytes) -> str:
    """Base 64 of RFC 4648, section 4."""
    return b64encode(data).decode("ascii")


def parse_base64(text: str) -> bytes:
    """The bytes of canonical base 64 (rule 4); ValueError for any other text."""
    data = b64decode(text, validate=True)
    _require(encode_base64(data) == text, "base64")
    return data


def parse_decimal(text: str) -> int:
    """A number from 0 to `MAX_SIZE` without leading zeros; ValueError for any other text."""
    _require(_DECIMAL.fullmatch(text) is not None, "number")
    value = int(text)
    _require(value <= MAX_SIZE, "number")
    return value


def _parse_signature(line: str) -> Signature:
    name, separator, encoded = line.removeprefix(_DASH).partition(" ")
    _require(line.startswith(_DASH) and separator == " ", "signature line")
    _require_name(name)
    data = parse_base64(encoded)
    _require(len(data) > _KEY_ID_BYTES, "signature line")
    return Signature(name, data[:_KEY_ID_BYTES], data[_KEY_ID_BYTES:])


def _key_id(name: str, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:_KEY_ID_BYTES]


def _require_name(name: str) -> None:
    _require(0 < len(name) <= MAX_NAME_CHARACTERS and "+" not in name, "name of the key")
    _require(_CONTROL.search(name) is None and not any(character.isspace() for character in name), "name of the key")


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"The note, checkpoint or key has a wrong {what}.")
