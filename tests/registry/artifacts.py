"""A publisher of the tests, and artifacts in the forms the tests need: signed, unsigned, as folders and as files."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.audit.note import Signer
from service.registry.active import ActiveModels
from service.registry.artifact import Artifact
from service.registry.bundled import load_bundled
from service.registry.estimator_file import load_estimator
from service.registry.publishers import PUBLISHERS
from service.registry.signature import sign

BUNDLED = Path(__file__).parents[2] / "model_artifacts"
TB = "tb-exosomal-mirna"
PGD = "pgd-klkb1-inotrope"

KEY_NAME = "tests-publisher"
PUBLISHER = Signer.generate()
TRUSTED = (*PUBLISHERS, PUBLISHER.vkey(KEY_NAME))

Document = dict[str, Any]


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def load(folder: Path, *, in_force: bool = True) -> ActiveModels:
    return load_bundled(folder, in_force=in_force, trusted=TRUSTED)


def signature_of(manifest: bytes, signer: Signer = PUBLISHER, key_name: str = KEY_NAME) -> bytes:
    document = json.loads(manifest)
    return sign(signer, key_name, document["name"], document["version"], digest(manifest))


def first_shipped(folder: Path) -> Path:
    """A folder with two of the versions that ship, which is what most tests are written for: a fitted model and an
    equation. A copy, to be spoilt."""
    for name in (TB, PGD):
        shutil.copytree(BUNDLED / name / "1.0.0", folder / name / "1.0.0")
    return folder


def bundled_files(name: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (BUNDLED / name / "1.0.0").iterdir()}


def bundled_document(name: str) -> Document:
    """The manifest of a version that ships with the product."""
    document: Document = json.loads(bundled_files(name)["manifest.json"])
    return document


def rebuilt(files: Mapping[str, bytes], document: Document | None = None, *, signed: bool = True) -> dict[str, bytes]:
    """`files` with the manifest `document`, its digests made right again, and signed by the publisher of the tests."""
    document = json.loads(files["manifest.json"]) if document is None else document
    listed = {name: data for name, data in files.items() if name not in {"manifest.json", "signature"}}
    manifest = json.dumps(document | {"files": {name: digest(data) for name, data in listed.items()}}).encode()
    signature = {"signature": signature_of(manifest)} if signed else {}
    return {**listed, "manifest.json": manifest, **signature}


def release(bundled: str, version: str, *, signed: bool = True, **changes: Any) -> dict[str, bytes]:
    """A bundled artifact as another version, with other parts of its manifest where `changes` say so."""
    files = bundled_files(bundled)
    document = json.loads(files["manifest.json"]) | {"version": version} | changes
    return rebuilt(files, document, signed=signed)


def misjudged(name: str, version: str) -> dict[str, bytes]:
    """A signed artifact whose model does not give one of its golden values."""
    files = release(name, version)
    golden = json.loads(files["golden.json"])
    golden["vectors"][0]["value"] += 0.01
    return rebuilt(files | {"golden.json": json.dumps(golden).encode()})


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def with_estimator(name: str, data: bytes, *, signed: bool = True) -> dict[str, bytes]:
    """The tuberculosis artifact with the file `name` (estimator.joblib or estimator.skops) in its estimator's place."""
    files = bundled_files(TB)
    document = json.loads(files["manifest.json"])
    del files["estimator.joblib"]
    document["estimator"] |= {"format": name.rpartition(".")[2], "file": name}
    return rebuilt({**files, name: data}, document, signed=signed)


def opened(artifact: Artifact) -> Any:
    """The estimator of an examined artifact, as the child process opens it."""
    return load_estimator(artifact.manifest, artifact.files, signed=artifact.publisher is not None)
