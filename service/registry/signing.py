"""Signing an artifact folder: the publisher's side of `signature`.

What is signed is examined first, as a server would examine it once it is signed: nobody vouches for a folder that no
server would take.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from service.audit.note import Signer
from service.registry.archive import MANIFEST, SIGNATURE, read_folder
from service.registry.artifact import Artifact, examine, require_place, sha256
from service.registry.manifest import parse_manifest
from service.registry.signature import read_signer, sign


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed artifact, and the verifier key by which others can trust it."""

    artifact: Artifact
    vkey: str


def sign_folder(folder: Path, *, pem: bytes, key_name: str) -> Signed:
    """Writes `signature` into `folder`, in place of one that is there; `pem` is an Ed25519 key in PKCS #8.

    Raises ArtifactRejected where no server would take the folder, InputRejected for a wrong key or name of a key.
    """
    signer = read_signer(pem)
    artifact = _examine_as_signed(folder, signer, key_name)
    path = folder / SIGNATURE
    # A half-written signature must never be found under the final name.
    draft = path.with_name(path.name + ".part")
    draft.write_bytes(artifact.signature or b"")
    os.replace(draft, path)
    return Signed(artifact, signer.vkey(key_name))


def examine_unsigned(folder: Path) -> Artifact:
    """The artifact in `folder`, examined as a server would once a publisher it trusts has signed it."""
    artifact = _examine_as_signed(folder, Signer.generate(), "nobody")
    return replace(artifact, publisher=None, signature=None)


def _examine_as_signed(folder: Path, signer: Signer, key_name: str) -> Artifact:
    files = dict(read_folder(folder))
    files.pop(SIGNATURE, None)
    if MANIFEST in files:
        raw = files[MANIFEST]
        manifest = parse_manifest(raw)
        files[SIGNATURE] = sign(signer, key_name, manifest.name, manifest.version, sha256(raw))
    artifact = examine(files, trusted=[signer.vkey(key_name)])
    require_place(folder, artifact)
    return artifact
