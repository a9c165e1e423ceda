"""A manifest document with every kind of curve the card draws."""

from __future__ import annotations

import copy
from typing import Any

Document = dict[str, Any]

PEOPLE = {"case": 40, "control": 50}
ROC = [[0.0, 0.0], [0.0, 0.2], [0.1, 0.55], [0.3, 0.8], [1.0, 1.0]]


def curve(kind: str, points: list[list[float]], cohort: str = "all people", **further: Any) -> Document:
    return {"kind": kind, "cohort": cohort, "points": points, **further}


def band(low: list[float], high: list[float]) -> Document:
    return {"level": 0.95, "low": low, "high": high}


CURVES = [
    curve("roc", ROC, people=PEOPLE, band=band([0.0, 0.1, 0.4, 0.7, 1.0], [0.0, 0.3, 0.7, 0.9, 1.0])),
    curve("roc", [[0.0, 0.0], [0.5, 0.6], [1.0, 1.0]], cohort="held out"),
    curve("calibration", [[0.1, 0.15], [0.8, 0.7]], people=PEOPLE, band=band([0.05, 0.5], [0.3, 0.85])),
    curve("decision", [[0.1, 0.4], [0.3, 0.2], [0.5, 0.1], [0.9, -0.05]], people=PEOPLE),
    curve("decision", [[0.1, 0.4], [0.3, 0.1], [0.5, 0.0], [0.9, -4.6]], of="everybody"),
    curve("scores", [[0.0, 0.1], [0.25, 0.2], [0.5, 0.3], [0.75, 0.4], [1.0, 0.0]], of="case", people={"case": 40}),
    curve("scores", [[0.0, 0.4], [0.25, 0.3], [0.5, 0.2], [0.75, 0.1], [1.0, 0.0]], of="control"),
    curve("learning", [[24.0, 0.6], [48.0, 0.7], [72.0, 0.75]], band=band([0.5, 0.62, 0.7], [0.7, 0.78, 0.8])),
]


def with_curves(document: Document) -> Document:
    """The document with all kinds of curves, a covariance and a reference distribution."""
    changed = copy.deepcopy(document)
    changed["curves"] = copy.deepcopy(CURVES)
    width = len(changed["estimator"]["lowered"]["terms"])
    rows = range(width + 1)
    changed["estimator"]["coefficient_covariance"] = [[0.01 * (row == column) for column in rows] for row in rows]
    square = [[float(row == column) for column in range(width)] for row in range(width)]
    changed["reference_distribution"] = {
        "location": [0.0] * width,
        "spread": [2.0] * width,
        "correlation_factor": square,
        "flag_limit": 12.0,
        "fail_limit": 20.0,
        "limits_source": "people left out one at a time",
    }
    return changed
