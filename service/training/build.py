"""A build from beginning to end: spec and tables in, artifact and evidence out.

What can be refused is refused before the evaluation begins: the manifest is drafted and checked first, so that a
misspelt unit does not show after ten minutes. Nothing is written until everything is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from service.domain.score import Category
from service.registry.artifact import Verified, sha256
from service.registry.manifest import Manifest, parse_manifest
from service.registry.scorer import LinearScorer
from service.training.assemble import assemble
from service.training.cohort import CohortRejected
from service.training.dataset import Dataset
from service.training.evaluation import evaluate
from service.training.evidence import Evidence
from service.training.final_model import FinalModel, finish
from service.training.findings import Finding, find_warnings
from service.training.golden_draws import Columns, golden_rows
from service.training.golden_vectors import golden_document
from service.training.manifest_out import Outcome, categories, codes, document
from service.training.publish import evidence_path, publish, replace_file, to_bytes, verify_target
from service.training.read_spec import ReadSpec, read_spec
from service.training.recipe import Model, Settings, learn
from service.training.report_out import evidence_document
from service.training.settings_of import FINAL_RUNS, plan_of, settings_of
from service.training.spec import Spec
from service.training.tables import read_table
from service.training.workers import Progress, Workers

_NO_REFITS: tuple[Model, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """A written artifact, what was measured, its warnings, and where the evidence lies."""

    verified: Verified
    evidence: Evidence
    findings: tuple[Finding, ...]
    evidence_file: Path


@dataclass(frozen=True, slots=True)
class Order:
    """One build: the tables in the order of the spec, and where to. `jobs` changes the time it takes, nothing else."""

    cohort: tuple[Path, ...]
    spec: Path
    out: Path
    jobs: int = 1


def build(order: Order, *, progress: Progress, say: Callable[[str], None]) -> Built:
    """Builds the artifact. Raises SpecRejected, CohortRejected or ArtifactRejected, having written nothing."""
    read = read_spec(order.spec)
    spec = read.spec
    verify_target(order.out, spec.name, spec.version)
    if len(order.cohort) != len(spec.cohort.tables):
        raise CohortRejected("There are not as many files as the spec names tables.", "Give one file per table.")
    dataset = assemble(spec, [read_table(path) for path in order.cohort])
    for note in dataset.notes:
        say(note)
    say(f"{dataset.fit.people} people to fit on, {len(dataset.analytes)} analytes to choose from")
    workers = Workers(order.jobs, spec.seed, progress)
    settings = settings_of(spec, dataset)
    model = final_model_of(dataset, settings, workers)
    draft = finish(dataset, model, _NO_REFITS, workers.generator("proof"))
    _written(read, dataset, draft, None, workers)
    say(f"{len(draft.analytes)} analytes, C = {model.penalty:g}, cut-point {_points(model)}")
    evidence = evaluate(dataset, settings, model, plan_of(spec), spec.evaluation, workers)
    findings = find_warnings(spec, dataset, evidence)
    final = finish(dataset, model, evidence.refits, workers.generator("proof"))
    written, files = _written(read, dataset, final, Outcome(evidence, findings), workers)
    verified = publish(order.out, written, files)
    beside = evidence_path(order.out, spec.name, spec.version)
    replace_file(beside, to_bytes(evidence_document(dataset, final, evidence, findings, verified.artifact.digest)))
    return Built(verified, evidence, findings, beside)


def final_model_of(dataset: Dataset, settings: Settings, workers: Workers) -> Model:
    """The model of all training people; it depends on data, spec and seed alone, never on how much is evaluated."""
    return workers.run("final model", "final", _Final(dataset, settings), 1)[0]


@dataclass(frozen=True, slots=True)
class _Final:
    dataset: Dataset
    settings: Settings

    def __call__(self, generator: np.random.Generator) -> Model:
        design = self.dataset.fit.design
        return learn(design, np.ones(len(design.positive)), self.settings, generator, runs=FINAL_RUNS)


def _points(model: Model) -> str:
    return " and ".join(f"{point:.3f}" for point in sorted(set(model.cut_points)))


def _written(
    read: ReadSpec, dataset: Dataset, final: FinalModel, outcome: Outcome | None, workers: Workers
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Manifest and files, checked as the registry will check them. Raises ArtifactRejected with every problem."""
    spec = read.spec
    found = document(spec, read.digest, dataset, final, outcome)
    found["golden"] = {"count": 32, "tolerance": 1e-12}
    manifest = _checked(found)
    golden = _golden(spec, final, manifest, workers.generator("golden"))
    found["golden"]["count"] = len(golden["vectors"])
    return found, {"estimator.joblib": final.file(), "golden.json": to_bytes(golden)}


def _checked(found: dict[str, Any]) -> Manifest:
    files = {name: sha256(b"") for name in ("estimator.joblib", "golden.json")}
    return parse_manifest(to_bytes({**found, "files": files}))


def _golden(spec: Spec, final: FinalModel, manifest: Manifest, generator: np.random.Generator) -> dict[str, Any]:
    ranges = [a.range for a in manifest.analytes] + [c.range for c in manifest.covariates]
    totals = {total.name for total in final.totals}
    whole = [a.total is not None for a in final.analytes]
    columns = Columns(
        analytes=final.analytes,
        totals=final.totals,
        low=np.array([r.low for r in ranges]),
        high=np.array([r.high for r in ranges]),
        whole=np.array(whole + [c.type == "binary" or c.name in totals for c in manifest.covariates]),
    )
    scorer = LinearScorer(
        # Totals come last and have no coefficient.
        final.lowered.coefficients + (0.0,) * len(totals),
        intercept=final.lowered.intercept,
        link="logit",
        transforms=manifest.transforms(),
    )
    rows = golden_rows(columns, final.reference, scorer, sorted(set(final.model.cut_points)), generator)
    named = tuple(Category(**category) for category in categories(spec, final))
    return golden_document(codes(spec, final), rows, scorer=scorer, categories=named)
