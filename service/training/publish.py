"""Write an artifact folder, not signed, and read it back as a server would once it is."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.errors import ArtifactRejected
from service.registry.archive import MANIFEST, SIGNATURE
from service.registry.artifact import Verified, sha256, verify_artifact
from service.registry.manifest_base import NOT_AVAILABLE
from service.registry.signing import examine_unsigned

ARTIFACT_FILES = frozenset({MANIFEST, SIGNATURE, "golden.json", "estimator.joblib", "estimator.skops"})
"""What may lie in the folder of a version that is built again."""


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
    """Writes `files` and the manifest `document` (whose `files` is filled in here) to `out`/name/version, and verifies.

    A signature that lies there stays only where the manifest is the one it was made for. Raises ArtifactRejected where
    the folder does not read back as a servable artifact.
    """
    listed = {name: sha256(data) for name, data in sorted(files.items())}
    manifest = to_bytes({**document, "files": listed})
    folder = out / str(document["name"]) / str(document["version"])
    folder.mkdir(parents=True, exist_ok=True)
    _drop_other_signature(folder, manifest)
    for file_name, data in {**files, MANIFEST: manifest}.items():
        replace_file(folder / file_name, data)
    return verify_artifact(examine_unsigned(folder))


def _drop_other_signature(folder: Path, manifest: bytes) -> None:
    before = folder / MANIFEST
    if not before.is_file() or before.read_bytes() != manifest:
        (folder / SIGNATURE).unlink(missing_ok=True)


def evidence_path(out: Path, name: str, version: str) -> Path:
    """Where the evidence lies: beside the folder of the artifact."""
    return out / name / f"{version}.evidence.json"


def verify_target(out: Path, name: str, version: str) -> None:
    """Raises ArtifactRejected where something stands in the place of what a build writes, before it takes its time."""
    places = (out, out / name, out / name / version)
    wrong = [one for one in places if one.exists() and not one.is_dir()]
    wrong += [one for one in (*places[1:], evidence_path(out, name, version)) if one.is_symlink()]
    files = [evidence_path(out, name, version), *(places[2] / file for file in ARTIFACT_FILES)]
    wrong += [one for one in files if one.is_dir()]
    if places[2].is_dir() and not wrong:
        wrong = [one for one in places[2].iterdir() if one.name not in ARTIFACT_FILES or one.is_symlink()]
    if wrong:
        message = f"In the output folder {wrong[0].name} stands where the artifact would be written, or is a link."
        raise ArtifactRejected(message, "Move it away, or name another folder.")


def replace_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, never through a link. Raises ArtifactRejected where there is one."""
    # A half-written file must never be found under the final name.
    if path.is_symlink():
        raise ArtifactRejected("The output folder holds a link.", "Name another folder.")
    temporary = path.with_name(path.name + ".part")
    temporary.unlink(missing_ok=True)
    with temporary.open("xb") as file:
        file.write(data)
    os.replace(temporary, path)
