"""Reading the manifest of an artifact.

`parse_manifest` is the only way in: it returns a manifest that satisfies the schema and every cross-check, or raises
ArtifactRejected with every problem found. No message holds a value of the manifest; pointers say where to look.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from service.errors import ArtifactRejected
from service.registry.manifest_checks import check
from service.registry.manifest_decode import decode_object
from service.registry.manifest_problems import problems_of
from service.registry.manifest_schema import Manifest

__all__ = ["MANIFEST_MAX_BYTES", "Manifest", "parse_manifest"]

MANIFEST_MAX_BYTES = 1 << 20
_REMEMBERED = 8
"""Manifests that were read last: who registers, promotes and loads a version reads the same one four times."""

_MAX_OBJECTS = 10_000
"""Objects in one list: the widest panel has 4096, and the schema would note every fault of each."""


@lru_cache(maxsize=_REMEMBERED)
def parse_manifest(raw: bytes) -> Manifest:
    """The manifest in `raw`, which nobody may change: equal bytes may give the same object. Raises ArtifactRejected
    with every problem of the schema or, once it fits, of meaning."""
    if len(raw) > MANIFEST_MAX_BYTES:
        raise ArtifactRejected.because("too_large", "manifest.json is larger than 1 MiB.", "Shorten its texts.")
    document = decode_object(raw, what="manifest.json")
    _verify_modest(document)
    try:
        manifest = Manifest.model_validate_json(raw)
    except ValidationError as error:
        problems = problems_of(error, document)
    else:
        problems = check(manifest)
        if not problems:
            return manifest
    raise ArtifactRejected(
        f"manifest.json has {len(problems)} problem(s); the first: {problems[0].message}",
        "Mend every problem listed.",
        problems,
    )


def _verify_modest(document: dict[str, Any]) -> None:
    waiting: list[Any] = [document]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list) and len(part) > _MAX_OBJECTS and any(isinstance(item, dict) for item in part):
            raise ArtifactRejected.because(
                "too_large",
                f"A list of manifest.json holds more than {_MAX_OBJECTS} objects.",
                "Write it by the schema.",
            )
        waiting.extend(part.values() if isinstance(part, dict) else part if isinstance(part, list) else ())
