"""From an examined artifact to its estimator: the only place of the product where something is unpickled.

For a child process alone: the server never calls it, and never imports scikit-learn. Rules:
1. joblib is loaded only from an artifact that a trusted publisher signed. `examine` refuses any other; whoever calls
   this says so again.
2. skops is walked by this service's own list once more, and skops is then given a new archive made of what was read, so
   that what is loaded is what was walked.
3. A tree that points outside itself or its inputs is refused: scikit-learn follows those numbers without looking.
"""

from __future__ import annotations

import io
import lzma
import pickle
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from service.errors import ArtifactRejected
from service.registry.manifest import Manifest
from service.registry.manifest_estimator import Equation
from service.registry.skops_file import verify_skops
from service.registry.skops_types import TRUSTED

_REMEDY = "Build the artifact again from the fitted estimator."
_BROKEN = (
    ArithmeticError, AssertionError, AttributeError, EOFError, ImportError, LookupError, MemoryError, OSError,
    RuntimeError, TypeError, ValueError, lzma.LZMAError, pickle.PickleError, struct.error, zlib.error,
)  # fmt: skip
"""What loading a damaged estimator may raise."""


def load_estimator(manifest: Manifest, files: Mapping[str, bytes], *, signed: bool) -> Any:
    """The fitted estimator in `files`, whose digests were checked before. `signed` says that the signature of a trusted
    publisher was.

    Raises ArtifactRejected: `no_estimator`, `unsigned_joblib`, `estimator_unreadable`, `unsafe_tree`.
    """
    spec = manifest.estimator
    if isinstance(spec, Equation):
        raise ArtifactRejected.because("no_estimator", "A published equation has no estimator.", "Score it as it is.")
    data = files[spec.file]
    try:
        # A version written by another release of scikit-learn warns; whether it still gives its numbers is for the
        # golden vectors to say.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _load_joblib(data, signed=signed) if spec.format == "joblib" else _load_skops(data)
    except _BROKEN as error:
        message = f"The estimator cannot be loaded ({type(error).__name__})."
        raise ArtifactRejected.because("estimator_unreadable", message, _REMEDY) from None


def _load_joblib(data: bytes, *, signed: bool) -> Any:
    if not signed:
        raise ArtifactRejected.because("unsigned_joblib", "No publisher signed the joblib file.", "Have it signed.")
    import joblib  # noqa: PLC0415

    return joblib.load(io.BytesIO(data))


def _load_skops(data: bytes) -> Any:
    from skops.io import loads  # noqa: PLC0415

    estimator = loads(_archive(verify_skops(data)), trusted=list(TRUSTED))
    for part in _parts(estimator):
        _verify_trees(part)
    return estimator


def _archive(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _parts(estimator: Any) -> Iterator[Any]:
    """`estimator` and every estimator inside it, each once."""
    seen: set[int] = set()
    waiting = [estimator]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list | tuple):
            waiting.extend(part)
        elif isinstance(part, np.ndarray):
            waiting.extend(part.ravel().tolist() if part.dtype == object else ())
        elif isinstance(part, dict):
            waiting.extend(part.values())
        elif hasattr(part, "__dict__") and id(part) not in seen:
            seen.add(id(part))
            yield part
            waiting.extend(vars(part).values())


def _verify_trees(part: Any) -> None:
    trees = [tree.tree_ for tree in getattr(part, "estimators_", ())]
    if hasattr(part, "tree_"):
        trees.append(part.tree_)
    if not all(_is_bounded(tree, part.n_features_in_) for tree in trees):
        raise ArtifactRejected.because("unsafe_tree", "A tree points outside itself or its inputs.", _REMEDY)


def _is_bounded(tree: Any, width: int) -> bool:
    """Whether every walk down the tree ends, and reads only nodes and inputs that are there."""
    if tree.node_count != tree.capacity or not tree.node_count:
        return False  # the arrays below would show what lies behind the nodes
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    count = tree.node_count
    leaf = left == -1
    # scikit-learn numbers children after their parent, so a walk that only goes up in number ends.
    numbers = np.arange(count)
    down = (left > numbers) & (left < count) & (right > numbers) & (right < count)
    inputs = (feature >= 0) & (feature < width)
    return bool(tree.n_features == width and (leaf | (down & inputs)).all() and (right[leaf] == -1).all())
