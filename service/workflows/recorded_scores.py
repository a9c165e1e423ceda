"""Whether a stored score is the one its entry recorded, column by column.

The entry commits to two byte strings, the request and the answer. Every other column is recomputed from these and from
the entry; the salt is what opens the commitments.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from service.audit.entry import SALT_BYTES, Entry, Prior, commitment
from service.store.scores import ScoreRow

KINDS = frozenset({"score.reported", "score.withheld", "score.amended"})

_COLUMNS = ScoreRow._fields


def find_score_fault(entry: Entry, columns: tuple[Any, ...], superseded: Prior | None) -> str | None:
    """What is wrong with a score, or None. `columns` are those of `ScoreRow` as they are stored, whatever their types;
    `superseded` is the place of the score that this one supersedes."""
    row = dict(zip(_COLUMNS, columns, strict=True)) | {"kind": entry.kind, "reason": entry.reason}
    request, answer, salt = row["request"], row["answer"], row["salt"]
    if not all(type(data) is bytes for data in (request, answer, salt)) or len(salt) != SALT_BYTES:
        return "Request, answer or salt are not stored as the bytes they have to be."
    opened = {"request": (request, entry.in_), "answer": (answer, entry.out)}
    altered = [name for name, (data, committed) in opened.items() if commitment(salt, data) != committed]
    if altered:
        return f"The stored bytes are not those that the entry commits to: {', '.join(altered)}."
    expected = _expected(entry, _document(request), _document(answer))
    differing = [name for name, value in expected.items() if not _same(row[name], value)]
    if differing:
        return f"Columns are not what the entry and the committed bytes say: {', '.join(differing)}."
    if (None if row["supersedes"] is None else superseded) != entry.prior:
        return "The entry does not name the place of the score that this one supersedes."
    return None


def asked_model(columns: tuple[Any, ...]) -> str | None:
    """The model that the stored request of a score asked for; None where it cannot be read."""
    request = dict(zip(_COLUMNS, columns, strict=True))["request"]
    asked = _at(_document(request), "model") if type(request) is bytes else None
    return asked if isinstance(asked, str) else None


def _expected(entry: Entry, request: Any, answer: Any) -> dict[str, Any]:
    """Every column but the three that are committed to; kind and reason of the entry."""
    name, version = (_at(answer, "model", part) for part in ("name", "version"))
    status, supersedes = _at(answer, "status"), _at(answer, "supersedes")
    digest = _at(answer, "model", "digest")
    kind = "score.withheld" if status == "not_reportable" else "score.reported"
    return {
        "score_id": _agreed(entry.record, _at(answer, "id")),
        "subject_id": _agreed(_at(request, "subject", "id"), _at(answer, "subject", "id")),
        "specimen_id": _agreed(_at(request, "specimen", "id"), _at(answer, "specimen", "id")),
        "model_name": name if entry.model == f"{name}@{version}" else _Nothing,
        "model_version": version,
        "model_digest": _agreed(entry.model_digest, digest),
        "status": status,
        "value": _at(answer, "score", "value"),
        "category": _at(answer, "score", "category", "code"),
        "created_at": _at(answer, "created_at"),
        "actor": entry.actor,
        "supersedes": supersedes,
        "kind": kind if supersedes is None else "score.amended",
        "reason": _at(request, "reason"),
    }


class _Nothing:
    """Equal to no column."""


def _agreed(one: Any, other: Any) -> Any:
    return one if one == other else _Nothing


def _document(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _at(document: Any, *names: str) -> Any:
    """The value under these names; None where something on the way there is null or missing."""
    for name in names:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _same(stored: Any, expected: Any) -> bool:
    """Equal, of one type, and bit for bit where they are doubles."""
    if type(expected) is float and type(stored) is float:
        return struct.pack("<d", stored) == struct.pack("<d", expected)
    return type(stored) is type(expected) and bool(stored == expected)
