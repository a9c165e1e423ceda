"""The child process that runs one version's estimator: opens it, answers with its probabilities, proves its lowering.

It is handed the artifact's bytes and checks their digests again, because between the check and here they were in other
hands. Whatever an estimator's own settings say, it runs in this one thread: the server has other things to do with the
other cores, and sums over threads depend on who comes first.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from service.errors import ArtifactRejected
from service.registry.calibration import calibration_step
from service.registry.child_loop import answer_calls
from service.registry.estimator_file import load_estimator
from service.registry.frames import Header, Payload
from service.registry.golden import golden_matrix, parse_golden
from service.registry.lower import LoweredModel, prove
from service.registry.manifest import Manifest, parse_manifest
from service.registry.manifest_estimator import Fitted
from service.registry.transforms import Floats, transform_matrix

MANIFEST = "manifest.json"


class Worker:
    """The estimator of one version, once `load` has been asked for."""

    def __init__(self) -> None:
        self._loaded: OpenedEstimator | None = None
        self._calls = self._rows = 0

    def handle(self, header: Header, payload: bytearray) -> tuple[Header, Payload]:
        """Do what a message says; raises ArtifactRejected, or what the estimator raises."""
        if header["do"] == "load":
            self._loaded = OpenedEstimator(_split(header["files"], payload), signed=header["signed"])
            return {}, b""
        if header["do"] == "stats":
            return {"calls": self._calls, "rows": self._rows}, b""
        loaded = self._loaded
        if loaded is None:
            raise RuntimeError("nothing was loaded")
        if header["do"] == "prove":
            return loaded.prove(), b""
        rows = np.frombuffer(payload, dtype="<f8").reshape(header["rows"], -1).astype(np.float64, copy=False)
        self._calls += 1
        self._rows += len(rows)
        return {}, loaded.predict(rows).astype("<f8", copy=False).tobytes()


class OpenedEstimator:
    """The estimator in an artifact's files, its manifest among them; `signed` as for `load_estimator`. Raises
    ArtifactRejected where it cannot be opened or is none for this manifest."""

    def __init__(self, files: Mapping[str, bytes], *, signed: bool) -> None:
        self._files = files
        self._manifest = parse_manifest(files[MANIFEST])
        self._fitted = _fitted(self._manifest)
        _verify_digests(self._manifest, files)
        self._estimator = load_estimator(self._manifest, files, signed=signed)
        self._column = self._fitted.classes.index(self._fitted.positive_class)
        _verify_shape(self._estimator, self._manifest)

    def predict(self, rows: Floats) -> Floats:
        """The probability of the positive class (n,) for normalised rows (n, k)."""
        import joblib  # noqa: PLC0415

        with joblib.parallel_config(backend="sequential"), warnings.catch_warnings():
            # Nobody would read them; and scikit-learn sets every filter there is again for each tree of a forest, which
            # takes a third of its time.
            warnings.resetwarnings()
            warnings.simplefilter("ignore")
            found = np.asarray(self._estimator.predict_proba(self._seen(rows)), dtype=np.float64)
        if found.shape != (len(rows), len(self._fitted.classes)):
            raise ValueError("the estimator's answer has another shape")
        return found[:, self._column]

    def prove(self) -> Header:
        """That the manifest's coefficients give the estimator's probabilities on the golden inputs."""
        lowered = self._fitted.lowered
        if lowered is None:
            raise ArtifactRejected("The version is not lowered, so there is nothing to prove.")
        model = LoweredModel(
            tuple(term.coefficient for term in lowered.terms),
            lowered.intercept,
            calibration=calibration_step(self._fitted.calibration),
        )
        inputs = golden_matrix(self._manifest, parse_golden(self._files["golden.json"], self._manifest))
        used = transform_matrix(inputs, self._manifest.transforms())
        proof = prove(self._estimator, model, self._seen(used))
        return {"rows": proof.rows, "max_abs_difference": proof.max_abs_difference, "versions": proof.versions}

    def _seen(self, rows: Floats) -> Floats:
        """What the estimator sees of normalised rows: nothing of columns that only serve to normalise others."""
        places = self._manifest.places_with_terms
        return rows if len(places) == rows.shape[1] else np.ascontiguousarray(rows[:, places])


def _split(sizes: Mapping[str, int], payload: bytearray) -> dict[str, bytes]:
    files, start = {}, 0
    for name, size in sizes.items():
        files[name] = bytes(memoryview(payload)[start : start + size])
        start += size
    return files


def _fitted(manifest: Manifest) -> Fitted:
    if not isinstance(manifest.estimator, Fitted):
        raise ArtifactRejected("A published equation has no estimator.")
    return manifest.estimator


def _verify_digests(manifest: Manifest, files: Mapping[str, bytes]) -> None:
    if set(files) != {*manifest.files, MANIFEST} or not all(
        digest == "sha256:" + hashlib.sha256(files[name]).hexdigest() for name, digest in manifest.files.items()
    ):
        raise ArtifactRejected("The files handed over are not those the manifest lists.")


def _verify_shape(estimator: Any, manifest: Manifest) -> None:
    classes, width = getattr(estimator, "classes_", None), getattr(estimator, "n_features_in_", None)
    if not hasattr(estimator, "predict_proba"):
        raise ArtifactRejected("The estimator has no predict_proba.", "Use a classifier that gives probabilities.")
    if classes is None or len(classes) != len(_fitted(manifest).classes):
        raise ArtifactRejected("The estimator does not tell two classes apart.", "Use a binary classifier.")
    if width is not None and width != len(manifest.with_terms):
        message = "The estimator takes another number of inputs than the panel has columns with a term."
        raise ArtifactRejected(message, "Correct the panel.")


if __name__ == "__main__":
    answer_calls(Worker().handle)
