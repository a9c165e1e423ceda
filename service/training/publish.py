"""Write an artifact folder and its entry in the index, and read it back as a server would before it counts."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.errors import ArtifactRejected
from service.registry.artifact import MANIFEST, Verified, read_artifact, sha256, verify_artifact
from service.registry.bundled import INDEX, read_index
from service.registry.manifest_base import NOT_AVAILABLE


def to_bytes(document: Mapping[str, Any]) -> bytes:
    """Readable JSON whose bytes depend on the content alone: keys in the order given, shortest exact numbers."""
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")


def panel_analyte(accession: str, name: str, kind: str, unit: str, bounds: tuple[float, float]) -> dict[str, Any]:
    """A manifest's entry of an analyte that takes plain numbers within `bounds` only: everything else is refused."""
    rules = ("below_loq", "above_upper", "not_detected", "absent")
    return {
        "analyte": accession,
        "name": name,
        "kind": kind,
        "unit": unit,
        "range": {"low": bounds[0], "high": bounds[1]},
        "required": True,
        "molar_mass": None,
        "lob": None,
        "lod": None,
        "loq": None,
        "upper_limit": None,
        "nondetect_codes": [],
        **{rule: {"action": "refuse", "value": None} for rule in rules},
        "analytical_cv": NOT_AVAILABLE,
    }


def publish(out: Path, document: Mapping[str, Any], files: Mapping[str, bytes]) -> Verified:
    """Writes `files` and the manifest `document` (whose `files` is filled in here) under `out`, verified and indexed.

    Raises ArtifactRejected, and leaves the index alone, where the folder does not read back as a servable artifact.
    """
    listed = {name: sha256(data) for name, data in sorted(files.items())}
    manifest = to_bytes({**document, "files": listed})
    name, version = str(document["name"]), str(document["version"])
    folder = out / name / version
    folder.mkdir(parents=True, exist_ok=True)
    for file_name, data in {**files, MANIFEST: manifest}.items():
        _replace(folder / file_name, data)
    verified = verify_artifact(read_artifact(folder, expected_digest=sha256(manifest)))
    _index(out, f"{name}@{version}", verified.artifact.digest)
    return verified


def _index(out: Path, key: str, digest: str) -> None:
    index = dict(read_index(out)) if (out / INDEX).exists() else {}
    _replace(out / INDEX, to_bytes(dict(sorted({**index, key: digest}.items()))))


def _replace(path: Path, data: bytes) -> None:
    # A half-written file must never be found under the final name.
    if path.is_symlink():
        raise ArtifactRejected("The output folder holds a link.", "Name another folder.")
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(data)
    os.replace(temporary, path)
