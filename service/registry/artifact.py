"""Take the files of an artifact and believe nothing in them until a digest or a signature says so.

The order is fixed, and each step may assume all before it:
1. no file is too large, there are not too many, and `manifest.json` is one of them;
2. the manifest has the expected digest (where one is expected: a registered version's is known);
3. it fits its schema and its cross-checks, and its name and version are the expected ones;
4. a signature, if there is one, is by a trusted publisher and over this very manifest; joblib runs code when it is
   loaded, so such an artifact has to have one;
5. every listed file is there and has the listed digest, and no other file is there;
6. a skops file holds nothing but types on the list of this service;
7. the golden vectors give their values through the scorer of the version.
Nothing is unpickled in this process: where a version is lowered, its estimator file is bytes with a digest and nothing
more, and any other estimator is opened in a child process (`estimator_file`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from service.errors import ArtifactRejected
from service.registry.archive import ARTIFACT, MANIFEST, SIGNATURE, read_folder
from service.registry.build import proven_scorer
from service.registry.golden import GoldenVector, parse_golden
from service.registry.manifest import Manifest, parse_manifest
from service.registry.manifest_decode import decode_object
from service.registry.scorer import Scorer
from service.registry.signature import verify_signature
from service.registry.skops_file import verify_skops


class Expected(NamedTuple):
    """The version an artifact has to be."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """An artifact whose bytes are what its manifest says they are.

    `files` holds what the manifest lists; `publisher` is the name of the trusted key that signed, None without a
    signature.
    """

    name: str
    version: str
    digest: str
    manifest: Manifest
    document: dict[str, Any]
    raw_manifest: bytes
    files: Mapping[str, bytes]
    publisher: str | None
    signature: bytes | None

    def parts(self) -> dict[str, bytes]:
        """All of its files as they came, manifest and signature too: what `examine` takes."""
        signature = {} if self.signature is None else {SIGNATURE: self.signature}
        return {MANIFEST: self.raw_manifest, **self.files, **signature}


@dataclass(frozen=True, slots=True)
class Verified:
    """An artifact that also passed its golden self-test: its scorer and its vectors."""

    artifact: Artifact
    scorer: Scorer
    golden: tuple[GoldenVector, ...]


def sha256(data: bytes) -> str:
    """The digest of `data` in the form manifests use, `sha256:` and 64 hex digits."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def examine(files: Mapping[str, bytes], *, trusted: Sequence[str], expected: Expected | None = None) -> Artifact:
    """Steps 1 to 6. `trusted` are the verifier keys of publishers. Raises ArtifactRejected at the first that fails.

    The codes of its problems: `too_many_files`, `too_large`, `missing_file`, `digest_mismatch`, `another_version`,
    `unsigned_joblib`, `unlisted_file`, and those of the manifest, of `verify_signature` and of `verify_skops`.
    """
    ARTIFACT.verify([len(data) for data in files.values()])
    raw = files.get(MANIFEST)
    if raw is None:
        raise _missing("manifest.json is missing.")
    digest = sha256(raw)
    if expected is not None and digest != expected.digest:
        raise _other_digest("The manifest does not have the digest that is on record for the version.")
    manifest = parse_manifest(raw)
    if expected is not None and (manifest.name, manifest.version) != (expected.name, expected.version):
        raise _another_version("The manifest's name and version are not the expected ones.")
    signature = files.get(SIGNATURE)
    publisher = _verify_publisher(manifest, digest, signature, trusted)
    listed = {name: data for name, data in files.items() if name not in {MANIFEST, SIGNATURE}}
    _verify_files(manifest, listed)
    if manifest.estimator.format == "skops":
        verify_skops(listed[manifest.estimator.file])
    return Artifact(
        name=manifest.name,
        version=manifest.version,
        digest=digest,
        manifest=manifest,
        document=decode_object(raw, what=MANIFEST),
        raw_manifest=raw,
        files=MappingProxyType(listed),
        publisher=publisher,
        signature=signature,
    )


def read_artifact(folder: Path, *, trusted: Sequence[str], expected: Expected | None = None) -> Artifact:
    """As `examine`, for `folder`, which has to be `<name>/<version>` (`another_version`)."""
    artifact = examine(read_folder(folder), trusted=trusted, expected=expected)
    require_place(folder, artifact)
    return artifact


def require_place(folder: Path, artifact: Artifact) -> None:
    """Raises ArtifactRejected (`another_version`) where `folder` is not `<name>/<version>` of the artifact."""
    # A path may be relative, even ".", and then does not hold the names of its folders.
    place = folder.resolve()
    if (place.parent.name, place.name) != (artifact.name, artifact.version):
        raise _another_version("The manifest's name and version are not the folder's.")


def verify_artifact(artifact: Artifact) -> Verified:
    """Step 7. Raises ArtifactRejected where this release cannot serve the version or a golden vector fails."""
    vectors = parse_golden(artifact.files["golden.json"], artifact.manifest)
    scorer = proven_scorer(artifact.manifest, artifact.parts(), vectors)
    return Verified(artifact=artifact, scorer=scorer, golden=vectors)


def _verify_publisher(manifest: Manifest, digest: str, signature: bytes | None, trusted: Sequence[str]) -> str | None:
    if signature is not None:
        return verify_signature(signature, name=manifest.name, version=manifest.version, digest=digest, trusted=trusted)
    if manifest.estimator.format == "joblib":
        raise ArtifactRejected.because(
            "unsigned_joblib",
            "A joblib file runs code when it is loaded, and no publisher signed this one.",
            "Have the artifact signed by a trusted publisher, or send the estimator as skops.",
        )
    return None


def _verify_files(manifest: Manifest, files: Mapping[str, bytes]) -> None:
    listed = set(manifest.files)
    if listed - set(files):
        raise _missing("A listed file is missing.")
    if set(files) - listed:
        message = "A file is not listed in the manifest."
        raise ArtifactRejected.because("unlisted_file", message, "Remove every file the manifest does not list.")
    wrong = sorted(name for name in listed if sha256(files[name]) != manifest.files[name])
    if wrong:
        raise _other_digest(f"{', '.join(wrong)} does not have the digest in the manifest.")


def _missing(message: str) -> ArtifactRejected:
    return ArtifactRejected.because("missing_file", message, "Send the artifact complete.")


def _other_digest(message: str) -> ArtifactRejected:
    return ArtifactRejected.because("digest_mismatch", message, "Take the artifact from its publisher again.")


def _another_version(message: str) -> ArtifactRejected:
    return ArtifactRejected.because("another_version", message, "Put the artifact where its name and version belong.")
