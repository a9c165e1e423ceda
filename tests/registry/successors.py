"""Later versions of the bundled tuberculosis model, which differ from each other in their numbers."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

from sklearn.linear_model import LogisticRegression

from service.registry.lower import lower
from tests.registry.artifacts import TB, rebuilt
from tests.registry.fitted import LABELS, MATRIX, WIDTH, files_of, lowered_files


def successor(version: str, by: float, *, name: str = TB) -> dict[str, bytes]:
    """The signed artifact of a lowered version whose first coefficient is raised by some amount."""
    estimator = LogisticRegression().fit(MATRIX, LABELS)
    estimator.coef_[0, 0] += by
    return named(lowered_files(estimator, lower(estimator, width=WIDTH)), version, name)


def unlowered(version: str, estimator: Any, *, name: str = TB) -> dict[str, bytes]:
    """The signed artifact of a version whose fitted estimator runs as it is."""
    return named(files_of(estimator), version, name)


def named(files: Mapping[str, bytes], version: str, name: str = TB) -> dict[str, bytes]:
    """An artifact under another name and version, signed for them."""
    return rebuilt(files, json.loads(files["manifest.json"]) | {"name": name, "version": version})


def zipped(files: Mapping[str, bytes]) -> bytes:
    """The zip of an artifact."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()
