"""Manifest documents for comparisons: a rich one that fills every part of the schema, and every leaf of a document."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from service.registry.manifest import Manifest

Document = dict[str, Any]
Steps = tuple[str | int, ...]

BUNDLED = Path(__file__).parents[2] / "model_artifacts"


def bundled(name: str) -> Document:
    document: Document = json.loads((BUNDLED / name / "1.0.0" / "manifest.json").read_bytes())
    return document


@cache
def rich() -> Document:
    """Every list of the schema has entries and every optional part is given. It fits the schema; that is all.

    It is one document for all who ask, to be copied before it is changed.
    """
    document = bundled("tb-exosomal-mirna")
    interval = {"level": 0.95, "low": 0.1, "high": 0.9}
    document["condition"]["coding"] = [{"system": "s", "code": "1", "display": "d"}]
    document["panel"][0] |= {"molar_mass": 7000.5, "lob": 0.1, "lod": 0.2, "loq": 0.3, "upper_limit": 9.0}
    document["panel"][0] |= {"nondetect_codes": [35.0, 40.0], "analytical_cv": 0.1}
    document["panel"][0]["absent"] = {"action": "impute", "value": 1.5}
    document["covariates"] = [
        {"name": name, "title": "T", "unit": "1", "type": "binary", "range": {"low": 0, "high": 1}, "required": True}
        for name in ("first", "second")
    ]
    document["gates"]["haemolysis"] |= {"expected": 3.0, "analyte": "MIMAT0000075"}
    document["normalisation"] = [
        {"step": "log2", "analytes": ["A", "B"], "offset": 1.0},
        {"step": "scale", "analyte": "A", "centre": 0.5, "spread": 2.0},
        {"step": "min_max", "analyte": "B", "minimum": 0.0, "maximum": 2.0},
        {"step": "delta_cq", "analytes": ["A"], "references": ["B", "C"]},
        {"step": "ratio", "numerator": "A", "denominator": "B"},
    ]
    square = [[1.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.1, 0.2, 1.0]]
    document["reference_distribution"] = {"location": [0.0, 1.0] * 3, "spread": [1.0, 2.0] * 3}
    document["reference_distribution"] |= {"correlation_factor": square}
    document["reference_distribution"] |= {"flag_limit": 3.0, "fail_limit": 4.0, "limits_source": "x"}
    document["estimator"]["coefficient_covariance"] = square
    document["estimator"]["calibration"] = {"method": "isotonic", "parameters": {"x": [0.0, 1.0], "a": 2.0}}
    document["output"]["indeterminate_zone"] = {"low": 0.2, "high": 0.8, "meaning": "m"}
    band = {"level": 0.95, "low": [0.0, 1.0], "high": [0.0, 1.0]}
    document["curves"] = [{"kind": "roc", "cohort": "c", "points": [[0.0, 0.0], [1.0, 1.0]]}]
    document["curves"][0] |= {"of": "o", "people": {"k": 40}, "band": band}
    document["negative_controls"] = [
        {"name": "n", "metric": "m", "value": 0.5, "interval": interval, "expected": "e", "method": "m"}
    ]
    document["parent"] = {"version": "0.9.0", "change": "c", "reason": "r"}
    return document


def manifest(document: Document) -> Manifest:
    """The manifest of a document that fits the schema; the cross-checks are not asked."""
    return Manifest.model_validate_json(json.dumps(document))


def leaves(value: Any, at: Steps = ()) -> Iterator[Steps]:
    """The place of every value without parts."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not parts:
        yield at
    for step, part in parts:
        yield from leaves(part, (*at, step))


def value_at(document: Any, steps: Steps) -> Any:
    for step in steps:
        document = document[step]
    return document


def put(document: Document, steps: Steps, value: Any) -> Document:
    """A copy of the document with another value in one place."""
    changed = copy.deepcopy(document)
    value_at(changed, steps[:-1])[steps[-1]] = value
    return changed


WORDS = ("urine", "whole_blood", "other", "none", "<", ">", "<=", ">=", "impute", "refuse", "index", "identity")
WORDS += ("heparin", "fold_averaged", "skops", "ivd", "number", "protein", "optional", "required", "0.9.1")
WORDS += ("decision", "probability", "logit", "mirna", "binary", "joblib", "research_use_only", "substitute", "none")
WORDS += ("2025-01-01", "sha256:" + "e" * 64, "10.1000/x", "not available", "unknown")


def _elsewhere(steps: Steps) -> list[Any]:
    """What stands in this place of the rich document."""
    try:
        return [value_at(rich(), steps)]
    except (KeyError, IndexError, TypeError):
        return []


def _beside(document: Document, steps: Steps) -> list[Any]:
    """What stands in the same list of texts already."""
    around = value_at(document, steps[:-1])
    return around if isinstance(around, list) and isinstance(around[0], str) else []


def mutations(document: Document, steps: Steps) -> Iterator[Document]:
    """The document with another value in one place, as often as the schema lets it."""
    was = value_at(document, steps)
    candidates: tuple[Any, ...] = (*WORDS, 0.25, 3, False, True, None, [0.5], [[0.5]], {"k": 1.5}, {"k": 7})
    candidates += ({"level": 0.5, "low": 0.0, "high": 1.0}, *_elsewhere(steps))
    if isinstance(was, str):
        candidates = (was + "x", *candidates)
    elif isinstance(was, (int, float)) and not isinstance(was, bool):
        candidates = (was + 1, was / 2, -was, *candidates)
    elif was is None:
        candidates = ({"low": 0.1, "high": 0.2, "meaning": "m"}, {"version": "0.9.0", "change": "c", "reason": "r"})
        candidates += (0.5, "MIMAT0000082", {"k": 7}, {"level": 0.5, "low": [0.0], "high": [1.0]})
    for candidate in candidates:
        if repr(candidate) == repr(was) or candidate in _beside(document, steps):
            continue
        changed = put(document, steps, candidate)
        try:
            manifest(changed)
        except ValidationError:
            continue
        yield changed
