"""The evidence file beside an artifact: everything measured, for programs and figures; it holds no row of anybody."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.training.card_curves import SCORE_EDGES, score_shares
from service.training.card_numbers import interval_of
from service.training.dataset import Dataset
from service.training.evaluate import Figure
from service.training.evidence import Evidence
from service.training.final_model import FinalModel
from service.training.findings import Finding


def evidence_document(
    dataset: Dataset, final: FinalModel, evidence: Evidence, findings: tuple[Finding, ...], manifest_digest: str
) -> dict[str, Any]:
    """The content of the evidence file."""
    return {
        "schema_version": 1,
        "manifest": manifest_digest,
        "data": dataset.digest,
        "people": {"fit": dataset.fit.people, "held_out": dataset.held_out.people if dataset.held_out else 0},
        "candidates": len(dataset.analytes),
        "notes": list(dataset.notes),
        "figures": {name: _figure(found) for name, found in evidence.figures.items()},
        "held_out": {name: _figure(f) for name, f in evidence.judged.figures.items()} if evidence.judged else None,
        "apparent_auc": round(evidence.apparent_auc, 6),
        "permuted_auc": [round(float(v), 6) for v in np.sort(evidence.permuted)],
        "controls": {code: {"name": c.name, "auc": _figure(c.auc)} for code, c in evidence.controls.items()},
        "learning_curve": [{"people": p.people, "auc": _figure(p.auc)} for p in evidence.learning],
        "strongest_analyte": {
            "analyte": dataset.analytes[evidence.strongest.column].accession,
            "auc": round(evidence.strongest.auc, 6),
            "by_chance": round(evidence.strongest.by_chance, 6),
        },
        "duplicates": {
            "equal": evidence.duplicates.equal,
            "near": evidence.duplicates.near,
            "across": evidence.duplicates.across,
        },
        "missing_by_class": {
            "analyte_p": float(f"{evidence.missing.analyte_p:.6g}"),
            "sample_p": float(f"{evidence.missing.sample_p:.6g}"),
        },
        "coefficients": _coefficients(final),
        "stability": _stability(dataset, evidence),
        "scores": _scores(dataset, evidence),
        "coefficient_covariance": final.covariance.tolist(),
        "warnings": [{"code": code, "text": text} for code, text in findings],
    }


def _figure(found: Figure | None) -> dict[str, Any] | None:
    return None if found is None else {"value": round(found.value, 6), "interval": interval_of(found)}


def _coefficients(final: FinalModel) -> list[dict[str, Any]]:
    errors = np.sqrt(np.diag(final.covariance))[1:]
    weights = final.lowered.coefficients[: len(final.analytes)]
    spreads = final.reference.spread
    return [
        {
            "analyte": analyte.accession,
            "name": analyte.name,
            "coefficient": weight,
            "standard_error": float(error),
            "per_spread": weight * float(spread),
        }
        for analyte, weight, error, spread in zip(final.analytes, weights, errors, spreads, strict=False)
    ]


def _stability(dataset: Dataset, evidence: Evidence) -> dict[str, Any]:
    """How often refits chose what: the analytes most often chosen, sizes, penalties and cut-points."""
    refits = evidence.refits
    counts = np.bincount(np.concatenate([r.columns for r in refits]), minlength=len(dataset.analytes))
    often = np.argsort(-counts, kind="stable")[:50]
    return {
        "analytes": {
            dataset.analytes[i].accession: round(float(counts[i]) / len(refits), 4) for i in often if counts[i]
        },
        "sizes": _shares([r.size for r in refits]),
        "penalties": _shares([r.penalty for r in refits]),
        "cut_points": [
            np.quantile([r.cut_points[i] for r in refits], np.linspace(0, 1, 11)).round(3).tolist()
            for i in range(len(refits[0].cut_points))
        ],
    }


def _shares(values: list[float]) -> dict[str, float]:
    found, counts = np.unique(np.array(values, dtype=np.float64), return_counts=True)
    return {f"{value:g}": round(count / len(values), 4) for value, count in zip(found, counts, strict=True)}


def _scores(dataset: Dataset, evidence: Evidence) -> dict[str, Any]:
    shares = score_shares(dataset, evidence)
    return {"edges": SCORE_EDGES.round(4).tolist(), "positive": shares[0], "negative": shares[1]}
