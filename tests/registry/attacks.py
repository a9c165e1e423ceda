"""What attacks on the registry are made of: a payload that leaves a folder behind, ways to pack it, a stranger."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import joblib

from service.audit.note import Signer

STRANGER = Signer.generate()
"""A publisher whom nobody trusts."""


class Payload:
    """Makes the folder `path` when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (os.mkdir, (str(self.path),))


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def dumped(payload: Any, compress: Any) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(payload, buffer, compress=compress)
    return buffer.getvalue()


PACKINGS: dict[str, Callable[[Any], bytes]] = {
    "pickle": pickle.dumps,
    "joblib": lambda payload: dumped(payload, 0),
    "zlib": lambda payload: dumped(payload, ("zlib", 9)),
    "gzip": lambda payload: dumped(payload, ("gzip", 9)),
    "bz2": lambda payload: dumped(payload, ("bz2", 9)),
    "xz": lambda payload: dumped(payload, ("xz", 9)),
    "lzma": lambda payload: dumped(payload, ("lzma", 9)),
    "packed by hand": lambda payload: lzma.compress(bz2.compress(gzip.compress(pickle.dumps(payload)))),
}
