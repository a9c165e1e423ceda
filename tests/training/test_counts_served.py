"""A build over counts whose library total is an input of the score: what is written, and what is served."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from service.domain.example import example_request
from service.domain.specimen import parse_document
from service.errors import InputRejected
from service.registry.active import ModelVersion
from service.registry.bundled import read_bundled
from service.registry.golden import golden_matrix
from service.registry.proving import self_test
from service.registry.signing import sign_folder
from service.training.assemble import assemble
from service.training.build import Built, Order, build
from service.training.golden_vectors import CUT_POINT_MARGIN
from service.training.read_spec import parse_spec
from service.training.tables import read_table
from service.training.workers import Silent
from tests.registry.artifacts import KEY_NAME, PUBLISHER, TRUSTED, load
from tests.training.simulated import (
    AGE,
    all_counts,
    all_proteins,
    counts_document,
    simulate,
    simulate_counts,
    spec_document,
    write_spec,
)


def made(folder: Path, *groups: dict[str, Any]) -> Built:
    """A build over proteins and counts of the same people, signed."""
    proteins, counts = simulate(3, analytes=20, related=2, effect=1.2), simulate_counts(4)
    cohort = spec_document()["cohort"] | {"tables": ["protein", "mirna"]}
    spec = counts_document(*groups, cohort=cohort, covariates=[AGE | {"in_model": True}])
    data = (proteins.write(folder / "protein.csv"), counts.write(folder / "mirna.csv"))
    built = build(
        Order(data, write_spec(folder / "spec.yaml", spec), folder / "out"), progress=Silent(), say=lambda _: None
    )
    sign_folder(folder / "out" / "simulated-panel" / "1.0.0", pem=PUBLISHER.pem(), key_name=KEY_NAME)
    return built


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("built")


@pytest.fixture(scope="module")
def built(folder: Path) -> Built:
    return made(folder, all_proteins(limit=2), all_counts())


@pytest.fixture(scope="module")
def served(built: Built, folder: Path) -> ModelVersion:
    return load(folder / "out").resolve("simulated-panel")


def test_the_total_is_an_input_without_a_term(built: Built) -> None:
    manifest = built.verified.artifact.document
    accessions = [entry["analyte"] for entry in manifest["panel"]]
    assert [entry["unit"] for entry in manifest["panel"]] == ["{log2}", "{log2}", "{counts}", "{counts}"]
    assert [covariate["name"] for covariate in manifest["covariates"]] == ["age_years", "library_total"]
    assert manifest["covariates"][1]["required"]
    assert manifest["covariates"][1]["range"] == {"low": 1000, "high": 10_000_000}
    assert manifest["normalisation"] == [
        {"step": "ratio", "numerator": accessions[2], "denominator": "library_total"},
        {"step": "ratio", "numerator": accessions[3], "denominator": "library_total"},
        {"step": "log2", "analytes": accessions[2:], "offset": 1e-5},
    ]
    terms = [term["input"] for term in manifest["estimator"]["lowered"]["terms"]]
    assert terms == [*accessions, "age_years"]
    assert len(manifest["reference_distribution"]["location"]) == 5
    assert np.array(manifest["estimator"]["coefficient_covariance"]).shape == (6, 6)
    assert "share of the library total library_total" in manifest["training"]["procedure"]
    assert "log2 with an offset of 1e-05" in manifest["training"]["procedure"]


def test_golden_vectors_are_what_a_laboratory_sends(built: Built) -> None:
    manifest, vectors = built.verified.artifact.manifest, built.verified.golden
    rows = golden_matrix(manifest, vectors)
    typical = rows[[vector.role == "typical" for vector in vectors]]
    counts, totals = typical[:, 2:4], typical[:, 5]
    assert (typical[:, [2, 3, 5]] == np.round(typical[:, [2, 3, 5]])).all()
    assert (counts <= totals[:, np.newaxis]).all()
    assert ((totals >= 1000) & (totals <= 10_000_000)).all()
    assert len(np.unique(totals)) > 20
    # Nobody's library: no total of the cohort is among them.
    assert not set(totals) & set(simulate_counts(4).values.sum(axis=1))
    near = rows[[vector.role == "cut-point" for vector in vectors]]
    value = built.verified.scorer.score(near).value
    cut = manifest.output.cut_points[0].value
    distance = np.log(value / (1 - value)) - np.log(cut / (1 - cut))
    assert np.abs(distance) == pytest.approx(CUT_POINT_MARGIN, rel=1e-3)
    moved = (near != typical[0]).any(axis=0)
    assert moved[2:4].all()
    assert not moved[5]


def test_the_served_score_is_what_was_fitted(served: ModelVersion, folder: Path) -> None:
    """Everybody of the cohort, in the units a laboratory sends, against scikit-learn on the training values."""
    scorer, manifest = served.scorer, served.manifest
    assert scorer is not None
    assert manifest is not None
    protein, mirna = read_table(folder / "protein.csv"), read_table(folder / "mirna.csv")
    tables = {analyte.analyte: protein if analyte.kind == "protein" else mirna for analyte in manifest.analytes}
    names = {a.analyte: a.name if a.kind == "mirna" else a.analyte for a in manifest.analytes}
    columns = [tables[code].numbers(names[code])[0] for code in tables] + [protein.numbers("age")[0]]
    total = np.sum([mirna.numbers(name)[0] for name in simulate_counts(4).names], axis=0)
    spec = parse_spec(json.loads((folder / "spec.yaml").read_text()))
    dataset = assemble(spec, [protein, mirna])
    places = [[a.accession for a in dataset.analytes].index(code) for code in tables]
    design = dataset.fit.design
    values = np.concatenate([design.values[:, places] + dataset.centre[places], design.covariates], axis=1)
    estimator = joblib.load(folder / "out" / "simulated-panel" / "1.0.0" / "estimator.joblib")
    rows = np.column_stack([*columns, total])
    expected = estimator.predict_proba(values)[:, 1]
    assert np.abs(scorer.score(rows).value - expected).max() <= 1e-12
    assert scorer.score_one(rows[0].tolist()).value == pytest.approx(expected[0], abs=1e-12)
    # As when a registry takes it in: the estimator opened in a process of its own.
    self_test(read_bundled(folder / "out" / "simulated-panel" / "1.0.0", trusted=TRUSTED), prove=True)


def test_twice_the_library_is_the_same_score(served: ModelVersion) -> None:
    scorer, panel, example = served.scorer, served.panel, served.example
    assert scorer is not None
    assert panel is not None
    assert example is not None
    codes = served.manifest.codes if served.manifest else ()
    one = [example[code] for code in codes]
    twice = [value * (2.0 if code in {*codes[2:4], "library_total"} else 1.0) for code, value in example.items()]
    deeper = [value * (2.0 if code == "library_total" else 1.0) for code, value in example.items()]
    same, before = scorer.score_one(twice), scorer.score_one(one)
    assert (same.value, same.interval, same.terms, same.used[:5]) == (
        before.value,
        before.interval,
        before.terms,
        before.used[:5],
    )
    assert scorer.score_one(deeper).value != scorer.score_one(one).value


def test_a_count_of_a_whole_library_is_unlike_anybodys(served: ModelVersion) -> None:
    assert served.manifest is not None
    assert served.example is not None
    distance, reference = served.manifest.distance(), served.manifest.reference_distribution
    assert distance is not None
    assert not isinstance(reference, str)
    one = [served.example[code] for code in served.manifest.codes]
    rows = np.array([one] + [[one[5] if at == place else value for at, value in enumerate(one)] for place in (2, 3)])
    found = distance.of_many(rows)
    assert found[0] < reference.fail_limit < found[1:].min()


@pytest.mark.parametrize(
    ("total", "code"), [(999, "implausible_value"), (0, "implausible_value"), (None, "missing_covariate")]
)
def test_a_library_too_shallow_is_refused(served: ModelVersion, total: int | None, code: str) -> None:
    panel, example = served.panel, served.example
    assert panel is not None
    assert example is not None
    now = datetime(2026, 11, 23, tzinfo=UTC)
    request = example_request(panel, example)
    parse_document(request, find_panel=lambda _: panel, now=now)
    given = [covariate for covariate in request["covariates"] if covariate["name"] == "library_total"]
    given[0]["value"] = total
    if total is None:
        request["covariates"].remove(given[0])
    with pytest.raises(InputRejected) as caught:
        parse_document(request, find_panel=lambda _: panel, now=now)
    assert [problem.code for problem in caught.value.problems] == [code]


def test_a_total_nothing_is_divided_by_is_not_asked_for(tmp_path: Path) -> None:
    unseen = all_counts(detected_above=1e6, min_detected=0.5)
    manifest = made(tmp_path, all_proteins(limit=2), unseen).verified.artifact.document
    assert [entry["kind"] for entry in manifest["panel"]] == ["protein", "protein"]
    assert [covariate["name"] for covariate in manifest["covariates"]] == ["age_years"]
    assert manifest["normalisation"] == []
