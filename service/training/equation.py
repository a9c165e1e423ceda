"""A published equation as an artifact: nothing is fitted, the spec says everything, and the build writes and checks it.

Such a spec has `kind: published_equation`, the manifest word for word under `manifest` (without `files` and `golden`),
and under `golden` the inputs whose outputs are kept: a typical one, then the grid of every combination of values.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, ValidationError

from service.domain.score import Category
from service.errors import ArtifactRejected, Problem
from service.registry.artifact import Verified, sha256
from service.registry.manifest import Manifest, parse_manifest
from service.registry.manifest_base import Group, Text
from service.registry.manifest_estimator import Equation
from service.registry.manifest_problems import problems_of
from service.registry.scorer import LinearScorer
from service.registry.transforms import column_transforms
from service.training.golden_vectors import Row, golden_document
from service.training.publish import publish, to_bytes
from service.training.yaml_strict import SpecRejected

KIND = "published_equation"
TOLERANCE = 1e-12
_DECIMALS = 12


class Steps(Group):
    """`count` values from `low` to `high`, both included, at equal distances."""

    low: float
    high: float
    count: Annotated[int, Field(ge=2, le=1000)]


class GoldenGrid(Group):
    """A typical input, and the steps of every column; the first column named changes slowest."""

    typical: dict[Text, float]
    grid: dict[Text, Steps]


class EquationSpec(Group):
    """The spec of a published equation."""

    schema_version: Literal[1]
    kind: Literal["published_equation"]
    golden: GoldenGrid
    manifest: dict[str, Any]


def build_equation(document: dict[str, Any], out: Path) -> Verified:
    """Writes the artifact of a decoded spec under `out`. Raises SpecRejected or ArtifactRejected, writing nothing."""
    try:
        spec = EquationSpec.model_validate_json(json.dumps(document))
    except ValidationError as error:
        problems = problems_of(error, document)
        raise SpecRejected(
            f"The spec has {len(problems)} problem(s).", "Mend every problem listed.", problems
        ) from None
    manifest = _checked(spec)
    golden = golden_document(
        manifest.codes,
        _rows(spec.golden, manifest),
        scorer=_scorer(manifest),
        categories=tuple(Category(**c.model_dump()) for c in manifest.output.categories),
    )
    counted = {"golden": {"count": len(golden["vectors"]), "tolerance": TOLERANCE}}
    return publish(out, _ordered({**spec.manifest, **counted}), {"golden.json": to_bytes(golden)})


def _checked(spec: EquationSpec) -> Manifest:
    promised = {"golden": {"count": 32, "tolerance": TOLERANCE}, "files": {"golden.json": sha256(b"")}}
    manifest = parse_manifest(to_bytes({**spec.manifest, **promised}))
    if not isinstance(manifest.estimator, Equation):
        raise ArtifactRejected("The estimator is no equation.", "Build a fitted model from a cohort.")
    wrong = [name for name in ("typical", "grid") if set(getattr(spec.golden, name)) != set(manifest.codes)]
    if wrong:
        message = "The golden inputs do not name exactly the columns of the panel."
        problems = [Problem(f"/golden/{name}", "columns", message, "Name each column once.") for name in wrong]
        raise SpecRejected(message, "Name each column once.", problems)
    return manifest


def _rows(golden: GoldenGrid, manifest: Manifest) -> list[Row]:
    codes = manifest.codes
    rows = [("typical", np.array([golden.typical[code] for code in codes]))]
    steps = [np.linspace(s.low, s.high, s.count).round(_DECIMALS).tolist() for s in golden.grid.values()]
    for values in product(*steps):
        named = dict(zip(golden.grid, values, strict=True))
        rows.append(("grid", np.array([named[code] for code in codes])))
    return rows


def _scorer(manifest: Manifest) -> LinearScorer:
    estimator = manifest.estimator
    assert isinstance(estimator, Equation)  # noqa: S101 - looked at above
    return LinearScorer(
        [term.coefficient for term in estimator.terms],
        intercept=estimator.intercept,
        link=manifest.output.link,
        transforms=column_transforms(manifest.codes, manifest.normalisation),
    )


def _ordered(document: dict[str, Any]) -> dict[str, Any]:
    # Keys in the order of the schema, whatever the spec's: the digest must not hang on it.
    names = [field.alias or name for name, field in Manifest.model_fields.items()]
    return {name: document[name] for name in names if name in document}
