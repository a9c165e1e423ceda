"""Cohorts with known truth: tables of simulated people, and the spec that fits on them."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.domain.analytes import MIRNA, PROTEIN, catalogue
from service.registry.manifest_base import NOT_AVAILABLE
from service.registry.manifest_evidence import CardTexts

NAMES = {
    kind: [a.name if kind == MIRNA else a.accession for a in catalogue() if a.kind == kind] for kind in (MIRNA, PROTEIN)
}

Floats = NDArray[np.float64]


@dataclass
class Cohort:
    """People in rows: log2 `values` (n, p), who is a case, and further columns as text."""

    values: Floats
    positive: NDArray[np.bool_]
    columns: dict[str, Sequence[str]] = field(default_factory=dict)
    names: Sequence[str] = ()

    def write(self, path: Path) -> Path:
        names = list(self.names) or NAMES[PROTEIN][: self.values.shape[1]]
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["sample_id", "group", *self.columns, *names])
            for row in range(len(self.values)):
                cells = ["" if np.isnan(v) else f"{v:.6g}" for v in self.values[row]]
                group = "case" if self.positive[row] else "control"
                writer.writerow([f"S{row:04}", group, *(c[row] for c in self.columns.values()), *cells])
        return path


def simulate(
    seed: int, *, people: int = 80, analytes: int = 60, related: int = 6, effect: float = 0.7, noise: float = 1.0
) -> Cohort:
    """Log2 intensities around 20; `related` analytes lie `effect` higher or lower in cases, in turn.

    Both directions, because a cohort in which everything rises with disease cannot be told from one in which more
    material was loaded for cases.
    """
    generator = np.random.default_rng(seed)
    positive = np.arange(people) % 2 == 0
    values = 20.0 + noise * generator.normal(size=(people, analytes))
    values[np.ix_(positive, np.arange(related))] += effect * directions(related)
    age = generator.normal(60.0, 8.0, size=people).round(1)
    sex = np.where(generator.random(people) < 0.5, "male", "female")
    return Cohort(values, positive, {"age": [str(a) for a in age], "sex": sex.tolist()})


def directions(related: int) -> Floats:
    """Which way each related analyte goes."""
    return np.where(np.arange(related) % 2 == 0, 1.0, -1.0)


QUICK = {"folds": 5, "repeats": 3, "inner_folds": 3, "refits": 20, "permutations": 20, "learning_repeats": 2}


def spec_document(**changes: Any) -> dict[str, Any]:
    """A spec for `simulate`, with top-level keys replaced by `changes`."""
    document: dict[str, Any] = {
        "schema_version": 1,
        "name": "simulated-panel",
        "version": "1.0.0",
        "title": "Simulated panel",
        "summary": "A panel of simulated people.",
        "date": "2026-01-02",
        "status_claim": "research_use_only",
        "condition": {"text": "Simulated condition", "coding": []},
        "seed": 7,
        "cohort": {
            "tables": ["protein"],
            "sample_id": "sample_id",
            "outcome": {
                "column": "group",
                "positive": ["case"],
                "negative": ["control"],
                "positive_class": "case",
                "negative_class": "control",
            },
        },
        "analytes": [all_proteins()],
        "covariates": [AGE, SEX],
        "estimator": {"kind": "ridge_logistic", "penalties": [0.01, 0.1, 1], "sizes": [3, 6]},
        "evaluation": QUICK,
        "cut_point": {"rule": "youden"},
        "categories": {
            "at_or_above": {"code": "elevated", "label": "At or above the cut-point"},
            "below": {"code": "not_elevated", "label": "Below the cut-point"},
        },
        "prevalences": [{"value": 0.1, "setting": "a clinic"}],
        "thresholds": [0.2, 0.5],
        "event": "membership of the cases",
        "time_horizon": "at the time of sampling",
        "intended_use": INTENDED_USE,
        "source": dict.fromkeys(("cohort", "source", "licence", "dates", "exclusions", "missing_data"), "Simulated."),
        "limitations": ["Nobody in it exists."],
        "references": [{"citation": "None", "doi": NOT_AVAILABLE, "url": NOT_AVAILABLE}],
        "contacts": [{"role": "maintainer", "name": "The ExoScore engineers", "address": NOT_AVAILABLE}],
        "card": dict.fromkeys(CardTexts.model_fields, NOT_AVAILABLE),
    }
    return {**document, **changes}


def all_proteins(**changes: Any) -> dict[str, Any]:
    group: dict[str, Any] = {
        "kind": "protein",
        "table": "protein",
        "choose": "all",
        "limit": 6,
        "chosen_on": "inside_each_fold",
        "unit": "{log2}",
        "range": {"low": 0, "high": 60},
    }
    return {**group, **changes}


AGE = {
    "column": "age",
    "name": "age_years",
    "title": "Age",
    "type": "number",
    "unit": "a",
    "range": {"low": 0, "high": 120},
}
SEX = {
    "column": "sex",
    "name": "sex_male",
    "title": "Male sex",
    "type": "binary",
    "unit": "1",
    "range": {"low": 0, "high": 1},
    "coding": {"male": 1, "female": 0},
}
INTENDED_USE = {
    "purpose": "To test.",
    "population": {"age_min_years": 18, "age_max_years": 120, "sexes": ["female", "male"], "notes": "Simulated."},
    "specimen_types": ["plasma"],
    "anticoagulants": {"accepted": ["edta"], "refused": ["citrate", "acd_a", "heparin", "none"]},
    "isolation_methods": ["magnetic_beads"],
    "cautioned_uses": ["Any."],
    "users": "Engineers.",
}


def write_spec(path: Path, document: Mapping[str, Any]) -> Path:
    """JSON is YAML as the strict reader takes it."""
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def simulate_counts(
    seed: int, *, people: int = 80, analytes: int = 20, related: int = 2, effect: float = 1.2
) -> Cohort:
    """Counts of miRNAs, and of one other small RNA, in libraries of about 60 000 whose depth tells nothing."""
    generator = np.random.default_rng(seed)
    positive = np.arange(people) % 2 == 0
    logs = generator.normal(-8.0, 0.5, size=(people, analytes)) + generator.normal(0.0, 1.0, size=analytes)
    logs[np.ix_(positive, np.arange(related))] += effect * directions(related)
    depth = np.exp(generator.normal(np.log(60_000), 0.6, size=people))[:, np.newaxis]
    known = generator.poisson(np.exp2(logs) * depth)
    other = generator.poisson(0.5 * depth)
    names = [*NAMES[MIRNA][:analytes], "another small RNA"]
    return Cohort(np.concatenate([known, other], axis=1).astype(np.float64), positive, names=names)


TOTAL = {
    "name": "library_total",
    "title": "Library total",
    "unit": "{counts}",
    "range": {"low": 1000, "high": 10_000_000},
}


def share_of_total(total: str | None = None, **changes: Any) -> dict[str, Any]:
    """The step that makes a count a share of its library, with the covariate changed by `changes`."""
    return {"step": "share_of_total", "total": total, "covariate": TOTAL | changes}


def all_counts(*steps: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A group of counts in the table `mirna`; without `steps`, shares of the sum of its columns, in log2."""
    group = {"kind": "mirna", "table": "mirna", "unit": "{counts}", "range": {"low": 0, "high": 1e6}, "limit": 2}
    given = steps or (share_of_total(), {"step": "log2", "offset": 1e-5})
    return all_proteins(**group | {"normalisation": list(given)} | changes)


def counts_document(*groups: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A spec over one table of counts, without covariates of the person."""
    cohort = spec_document()["cohort"] | {"tables": ["mirna"]}
    estimator = {"kind": "ridge_logistic", "penalties": [1], "sizes": [2]}
    given = {"cohort": cohort, "analytes": list(groups) or [all_counts()], "covariates": [], "estimator": estimator}
    return spec_document(**given | changes)
