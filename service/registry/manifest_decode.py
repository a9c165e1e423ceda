"""JSON from an artifact, read strictly: what two readers could understand differently is refused.

The bytes of an artifact are signed and compared by digest, so a repeated key, a NaN or a number that overflows must
not slip through to a place where another reader takes the other meaning.
"""

from __future__ import annotations

import json
from typing import Any

from service.errors import ArtifactRejected

_REMEDY = "Restore the file from its release."


def decode_object(raw: bytes, *, what: str) -> dict[str, Any]:
    """The JSON object in `raw`; `what` names the file in errors. Raises ArtifactRejected for the first fault."""
    try:
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise _malformed(f"{what} is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise _malformed(f"{what} is not JSON (line {error.lineno}, column {error.colno}).") from None
    except RecursionError:
        raise _malformed(f"{what} is nested too deeply.") from None
    except ValueError as error:
        raise _malformed(f"{what} {_reason(error)}.") from None
    if not isinstance(document, dict):
        raise _malformed(f"{what} does not hold a JSON object.")
    return document


def _malformed(message: str) -> ArtifactRejected:
    return ArtifactRejected.because("malformed_json", message, _REMEDY)


class _AmbiguousError(ValueError):
    """A JSON text that parses but means different things to different readers."""


def _reason(error: ValueError) -> str:
    return str(error) if isinstance(error, _AmbiguousError) else "holds a number that is too long"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _AmbiguousError("repeats a key")
    return found


def _no_constant(_: str) -> float:
    raise _AmbiguousError("holds NaN or Infinity")
