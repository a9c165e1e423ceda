"""Copies of the bundled artifacts that a test may spoil, and a way to rewrite a manifest with all digests right."""

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from service.registry.manifest import Manifest, parse_manifest
from tests.registry.artifacts import BUNDLED, Document, first_shipped, rebuilt
from tests.registry.artifacts import write as write_files


@pytest.fixture(scope="session")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return first_shipped(tmp_path_factory.mktemp("bundled"))


@pytest.fixture
def spoilable(tmp_path: Path) -> Path:
    return first_shipped(tmp_path / "artifacts")


@pytest.fixture(scope="session")
def _documents() -> dict[str, Document]:
    return {path.parts[-3]: json.loads(path.read_bytes()) for path in BUNDLED.glob("*/1.0.0/manifest.json")}


@pytest.fixture
def tb_document(_documents: dict[str, Document]) -> Document:
    return copy.deepcopy(_documents["tb-exosomal-mirna"])


@pytest.fixture
def pgd_document(_documents: dict[str, Document]) -> Document:
    return copy.deepcopy(_documents["pgd-klkb1-inotrope"])


@pytest.fixture
def parse() -> Callable[[Document], Manifest]:
    return lambda document: parse_manifest(json.dumps(document).encode())


@pytest.fixture
def install(spoilable: Path) -> Callable[[Document], Path]:
    """Writes a manifest beside the files of the bundled version it came from, with every digest and the signature made
    right again."""

    def write(document: Document, golden: Document | None = None) -> Path:
        name, version = document["name"], document["version"]
        folder = spoilable / name / version
        if not folder.exists():
            shutil.copytree(spoilable / name / "1.0.0", folder)
        if golden is not None:
            (folder / "golden.json").write_text(json.dumps(golden))
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        write_files(folder, rebuilt(files, document))
        return spoilable

    return write
