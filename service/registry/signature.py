"""The signature of an artifact: who vouches that these are the bytes of this version.

It is a C2SP signed note (`service.audit.note`) of exactly three lines:

    exoscore-artifact/v1
    name@version
    sha256:<64 hex digits of the manifest's digest>

The manifest holds the digest of every other file, so one signature covers all. Rules:
1. A note that is there has to be right: its text is this text, a trusted key signed it, and each signature by a trusted
   key is valid. Signatures by keys that are not known are passed over, as the specification asks.
2. A publisher is trusted by its verifier key, never by its name alone.
3. No message holds anything of the note.
"""

from __future__ import annotations

from collections.abc import Sequence

from service.audit.note import Note, Signer, Verifier, parse_note, parse_vkey
from service.errors import ArtifactRejected, InputRejected

SIGNATURE_MAX_BYTES = 1 << 16

_HEADER = "exoscore-artifact/v1"
_REMEDY = "Take the artifact from its publisher again, or have it signed by a trusted one."


def signed_text(name: str, version: str, digest: str) -> str:
    """The text that is signed for the version whose manifest has `digest` (`sha256:` and hex)."""
    return f"{_HEADER}\n{name}@{version}\n{digest}\n"


def sign(signer: Signer, key_name: str, name: str, version: str, digest: str) -> bytes:
    """The bytes of the file `signature`. Raises InputRejected where `key_name` cannot name a key."""
    try:
        return signer.sign(key_name, signed_text(name, version, digest)).encode()
    except ValueError:
        raise InputRejected(
            "The name of the key is empty, too long, or has white space or a plus.", "Name it like exoscore-lab-2026."
        ) from None


def read_signer(pem: bytes) -> Signer:
    """The private key in `pem`. Raises InputRejected for anything but Ed25519 in PKCS #8 without a passphrase."""
    try:
        return Signer.from_pem(pem)
    except ValueError as error:
        raise InputRejected(str(error), "Make one with: openssl genpkey -algorithm ed25519") from None


def verify_signature(note: bytes, *, name: str, version: str, digest: str, trusted: Sequence[str]) -> str:
    """The name of the trusted key that signed this version; `trusted` are verifier keys.

    Raises ArtifactRejected: `signature_malformed`, `signature_mismatch` (over something else), `unknown_publisher`,
    `signature_invalid`. Raises ValueError where an entry of `trusted` is no verifier key.
    """
    keys = [parse_vkey(vkey) for vkey in trusted]
    text, parsed = _parse(note)
    if parsed.text != signed_text(name, version, digest):
        raise ArtifactRejected.because(
            "signature_mismatch", "The signature is over another version or another manifest.", _REMEDY
        )
    signing = [key for key in keys if any((s.name, s.key_id) == (key.name, key.key_id) for s in parsed.signatures)]
    if not signing:
        raise ArtifactRejected.because(
            "unknown_publisher",
            "No trusted publisher signed the artifact.",
            "If you trust its publisher, add the publisher's key to EXOSCORE_TRUSTED_PUBLISHERS.",
        )
    for key in signing:
        _verify(key, text)
    return signing[0].name


def _parse(note: bytes) -> tuple[str, Note]:
    try:
        text = note[: SIGNATURE_MAX_BYTES + 1].decode("utf-8")
        parsed = parse_note(text)
    except ValueError:
        parsed = None
    if parsed is None or len(note) > SIGNATURE_MAX_BYTES:
        raise ArtifactRejected.because("signature_malformed", "The file signature is no signed note.", _REMEDY)
    return text, parsed


def _verify(key: Verifier, text: str) -> None:
    try:
        key.verify(text)
    except ValueError:
        raise ArtifactRejected.because(
            "signature_invalid", "The signature does not fit its text and key.", _REMEDY
        ) from None
