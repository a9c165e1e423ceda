"""Opening the estimator of an artifact: the one place where that may run code, so only ever in a child process."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from typing import Any

from service.errors import ArtifactRejected
from service.registry.manifest import Manifest
from service.registry.manifest_estimator import Fitted

_FAULTS = (
    ArithmeticError, AssertionError, AttributeError, EOFError, ImportError, LookupError, OSError, RuntimeError,
    TypeError, ValueError, pickle.UnpicklingError,
)  # fmt: skip


def load_estimator(manifest: Manifest, files: Mapping[str, bytes]) -> Any:
    """The fitted estimator in `files`, whose digests and signature were checked before.

    Raises ArtifactRejected, naming the kind of fault, where it cannot be opened.
    """
    import joblib  # noqa: PLC0415

    estimator = manifest.estimator
    if not isinstance(estimator, Fitted) or estimator.format != "joblib":
        raise ArtifactRejected("The version has no estimator that can be opened.")
    try:
        return joblib.load(io.BytesIO(files[estimator.file]))
    except _FAULTS as error:
        raise ArtifactRejected(f"The estimator cannot be opened ({type(error).__name__}).") from None
