"""What a manifest may say of normalisation over several columns, and which columns then need a term."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from service.errors import ArtifactRejected
from service.registry.build import build_scorer
from service.registry.manifest import Manifest
from service.registry.manifest_normalisation import normalised_ranges
from service.registry.scorer import LinearScorer
from service.registry.transforms import transform_matrix
from tests.registry.spread import spread_document

Document = dict[str, Any]
Parse = Callable[[Document], Manifest]
FIRST, SECOND, REFERENCE, OTHER, COUNT, ANOTHER = (f"MIMAT00000{n}" for n in range(62, 68))
TOTAL, AGE = "library_total", "age_at_sampling"


def changed(place: int, **changes: Any) -> Document:
    """The document with one step changed."""
    document = spread_document()
    document["normalisation"][place] |= changes
    return document


def added(**step: Any) -> Document:
    """The document with a step behind the rest."""
    document = spread_document()
    document["normalisation"].append(step)
    return document


def refused(parse: Parse, document: Document) -> list[tuple[str, str]]:
    with pytest.raises(ArtifactRejected) as caught:
        parse(document)
    assert all(problem.message and problem.remedy for problem in caught.value.problems)
    return [(problem.pointer, problem.code) for problem in caught.value.problems]


def test_what_others_are_set_against_needs_no_term(parse: Parse) -> None:
    manifest = parse(spread_document())
    assert manifest.codes == (FIRST, SECOND, REFERENCE, OTHER, COUNT, ANOTHER, TOTAL, AGE)
    assert manifest.with_terms == manifest.needing_terms == (FIRST, SECOND, COUNT, ANOTHER, AGE)
    assert manifest.places_with_terms == (0, 1, 4, 5, 7)


def test_it_may_have_one(parse: Parse) -> None:
    document = spread_document()
    document["estimator"]["lowered"]["terms"].insert(2, {"input": REFERENCE, "coefficient": 0.25})
    document["estimator"]["coefficient_covariance"] = document["reference_distribution"] = "not available"
    manifest = parse(document)
    assert manifest.with_terms == (FIRST, SECOND, REFERENCE, COUNT, ANOTHER, AGE)
    scorer = build_scorer(manifest, {})
    assert isinstance(scorer, LinearScorer)
    assert scorer.coefficients[2:4] == (0.25, 0.0)


@pytest.mark.parametrize("terms", [[FIRST], [SECOND, FIRST], [FIRST, FIRST], [FIRST, SECOND, AGE, COUNT, ANOTHER]])
def test_every_other_column_needs_one_in_its_order(parse: Parse, terms: list[str]) -> None:
    document = spread_document()
    document["estimator"]["lowered"]["terms"] = [{"input": code, "coefficient": 1.0} for code in terms]
    assert ("/estimator/lowered/terms", "order") in refused(parse, document)


def test_an_analyte_among_its_own_references_needs_its_term(parse: Parse) -> None:
    document = changed(0, analytes=[FIRST, SECOND, REFERENCE])
    assert ("/estimator/lowered/terms", "order") in refused(parse, document)
    document["estimator"] |= {"lowered": None, "coefficient_covariance": "not available"}
    document["reference_distribution"] = "not available"
    assert parse(document).with_terms == (FIRST, SECOND, REFERENCE, COUNT, ANOTHER, AGE)


@pytest.mark.parametrize(
    ("document", "found"),
    [
        (lambda: changed(0, references=["MIMAT0000075"]), [("/normalisation/0", "analyte")]),
        (lambda: changed(0, references=[AGE]), [("/normalisation/0", "analyte")]),
        (lambda: changed(0, references=[REFERENCE, COUNT]), [("/normalisation/0", "unit")]),
        (lambda: changed(0, references=[REFERENCE, REFERENCE]), [("/normalisation/0", "repeated")]),
        (lambda: changed(0, analytes=[FIRST, SECOND, FIRST]), [("/normalisation/0", "repeated")]),
        (lambda: changed(1, numerator=TOTAL), [("/normalisation/1", "analyte"), ("/normalisation/1", "repeated")]),
        (lambda: changed(1, denominator=COUNT), [("/normalisation/1", "range"), ("/normalisation/1", "repeated")]),
        (lambda: changed(1, denominator=ANOTHER), [("/normalisation/1", "range")]),
        (lambda: changed(1, denominator="weight"), [("/normalisation/1", "analyte")]),
        (lambda: changed(3, offset=0.0), [("/normalisation/3", "range")]),
        (
            lambda: added(step="ratio", numerator=COUNT, denominator=TOTAL),
            [("/normalisation/4", "repeated")],
        ),
        (
            lambda: added(step="delta_cq", analytes=[FIRST], references=[OTHER]),
            [("/normalisation/4", "repeated")],
        ),
        (
            lambda: added(step="scale", analyte=AGE, centre=0.0, spread=1.0),
            [("/normalisation/4", "analyte")],
        ),
        (lambda: added(step="log2", analytes=[FIRST], offset=29.9), [("/normalisation/4", "range")]),
        (lambda: added(step="min_max", analyte=FIRST, minimum=1.0, maximum=1.0), [("/normalisation/4", "range")]),
    ],
    ids=[
        "reference outside the panel",
        "covariate as reference",
        "two units",
        "reference twice",
        "analyte twice",
        "covariate as numerator",
        "divided by itself",
        "zero among the denominators",
        "unknown denominator",
        "log2 of no share",
        "two ratios",
        "two differences",
        "covariate scaled",
        "log2 of a difference",
        "empty bounds",
    ],
)
def test_a_step_that_cannot_be_taken_is_named(
    parse: Parse, document: Callable[[], Document], found: list[tuple[str, str]]
) -> None:
    assert [one for one in refused(parse, document()) if one[0].startswith("/normalisation")] == found


def test_a_binary_covariate_divides_nothing(parse: Parse) -> None:
    document = spread_document()
    document["covariates"][0] |= {"type": "binary", "unit": "1", "range": {"low": 0, "high": 1}}
    assert refused(parse, document)[0] == ("/normalisation/1", "analyte")


def test_a_range_that_an_earlier_step_moved_counts(parse: Parse) -> None:
    # The difference of two Cq of 10 to 40 is -30 to 30: above 0 with an offset of more than 30 only.
    parse(added(step="log2", analytes=[FIRST], offset=30.1))


def test_ranges_hold_every_row_of_the_plausible_range(parse: Parse) -> None:
    manifest = parse(added(step="scale", analyte=SECOND, centre=2.0, spread=0.5))
    given = [a.range for a in manifest.analytes] + [c.range for c in manifest.covariates]
    low, high = np.array([r.low for r in given]), np.array([r.high for r in given])
    generator = np.random.default_rng(8)
    rows = low + (high - low) * generator.integers(0, 2, size=(400, len(low)))
    used = transform_matrix(rows, manifest.transforms())
    ends = np.array(normalised_ranges(manifest))
    assert (ends[:, 0] <= used).all()
    assert (used <= ends[:, 1]).all()
    # Corners are among the rows, so the ends are reached.
    assert used.max(axis=0) == pytest.approx(ends[:, 1])


def test_a_version_whose_inputs_or_distance_could_overflow_is_refused(parse: Parse) -> None:
    document = spread_document()
    document["covariates"][0]["range"]["low"] = 1e-320
    document["normalisation"] = document["normalisation"][:3]
    with pytest.raises(ArtifactRejected, match="inputs are not finite"):
        build_scorer(parse(document), {})
    document = spread_document()
    document["reference_distribution"]["spread"][0] = 1e-320
    with pytest.raises(ArtifactRejected, match="distance from the reference"):
        build_scorer(parse(document), {})
    document = spread_document()
    document["estimator"]["coefficient_covariance"] = np.diag([1e305] * 6).tolist()
    with pytest.raises(ArtifactRejected, match="score is not finite"):
        build_scorer(parse(json.loads(json.dumps(document))), {})
