import copy
import json
from pathlib import Path
from typing import Any

import pytest

from service.training.read_spec import parse_spec, read_spec
from service.training.yaml_strict import SpecRejected, load_yaml
from tests.training.simulated import AGE, all_proteins, spec_document, write_spec


def problems(document: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(SpecRejected) as caught:
        parse_spec(document)
    return {p.pointer: p.code for p in caught.value.problems}


def test_a_spec_is_read_with_the_digest_of_its_bytes(tmp_path: Path) -> None:
    path = write_spec(tmp_path / "spec.yaml", spec_document())
    read = read_spec(path)
    assert read.spec.name == "simulated-panel"
    assert read.digest.startswith("sha256:")
    path.write_text(path.read_text() + "\n# a remark\n")
    assert read_spec(path).digest != read.digest


def test_yaml_says_one_thing_only() -> None:
    text = "a: 1e-3\nb: no\nc: 2026-11-23\nd: [1, 2.5, true, null, ~, 1.1.0]\ne:\nf: {x: on}\n"
    expected = {
        "a": 0.001,
        "b": "no",
        "c": "2026-11-23",
        "d": [1, 2.5, True, None, None, "1.1.0"],
        "e": None,
        "f": {"x": "on"},
    }
    assert load_yaml(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2", "Line 2 repeats a key"),
        ("a: &x 1\nb: *x", "Line 1 holds an anchor"),
        ("b: 1\na: !!python/object:os.system x", "Line 2 holds a tag"),
        ("- 1", "does not hold a mapping"),
        ("a: [", "is not YAML"),
        ("a: 1\n---\nb: 2", "is not YAML"),
        ("? [1]\n: 2", "key that is not a text"),
        ("a: \x01", "not YAML"),
        ("a: " + "9" * 5000, "not YAML"),
    ],
)
def test_yaml_that_could_mean_two_things_is_refused(text: str, said: str) -> None:
    with pytest.raises(SpecRejected, match=said):
        load_yaml(text)


def test_every_problem_of_the_schema_is_reported_at_once() -> None:
    document = spec_document(seed=-1, colour="red", prevalences=[{"value": 2, "setting": "x"}])
    document["cohort"]["outcome"].pop("positive")
    document["analytes"][0]["range"]["low"] = "0"
    found = problems(document)
    assert found == {
        "": "extra_forbidden",
        "/seed": "greater_than_equal",
        "/prevalences/0/value": "less_than",
        "/cohort/outcome/positive": "missing",
        "/analytes/0/range/low": "float_type",
    }


def changed(path: str, value: Any) -> dict[str, Any]:
    document = copy.deepcopy(spec_document())
    *parents, last = [int(step) if step.isdigit() else step for step in path.split("/")[1:]]
    here: Any = document
    for step in parents:
        here = here[step]
    here[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "pointer", "code"),
    [
        ("/name", "Not A Name", "/name", "name"),
        ("/version", "1.0.0.0", "/version", "version"),
        ("/cohort/outcome/negative", ["case"], "/cohort/outcome", "overlap"),
        ("/cohort/outcome/negative_class", "case", "/cohort/outcome", "classes"),
        ("/cohort/tables", ["protein", "protein"], "/cohort/tables", "repeated"),
        ("/analytes/0/table", "other", "/analytes/0/table", "table"),
        ("/analytes/0/unit", "furlong", "/analytes/0/unit", "unit"),
        ("/analytes/0/range", {"low": 2, "high": 1}, "/analytes/0/range", "range"),
        ("/analytes/0/limit", None, "/analytes/0/limit", "missing"),
        ("/analytes/0/chosen_on", "elsewhere", "/analytes/0/chosen_on", "choice"),
        ("/analytes/0/normalisation", [{"step": "log2", "offset": 0}], "/analytes/0/normalisation", "range"),
        ("/analytes/0/normalisation", [{"step": "per_million"}], "/analytes/0/normalisation", "unit"),
        ("/estimator/penalties", [1, 0.1], "/estimator/penalties", "order"),
        ("/estimator/sizes", [3, 7], "/estimator/sizes", "range"),
        ("/estimator/sizes", [], "/estimator/sizes", "missing"),
        ("/covariates", [AGE, AGE], "/covariates", "repeated"),
        ("/covariates", [AGE | {"unit": "furlong"}], "/covariates/0/unit", "unit"),
        ("/covariates", [AGE | {"type": "binary"}], "/covariates/0/range", "range"),
        ("/covariates", [AGE | {"coding": {"old": 200}}], "/covariates/0/coding", "range"),
        ("/cut_point", {"rule": "two_sided", "sensitivity": 0.9, "specificity": 0.9}, "/categories/between", "zone"),
        ("/categories/below", {"code": "elevated", "label": "x"}, "/categories", "repeated"),
        ("/prevalences", [{"value": v, "setting": "x"} for v in (0.1, 0.10000001)], "/prevalences", "repeated"),
        ("/thresholds", [0.2, 0.2], "/thresholds", "repeated"),
        (
            "/cohort/held_out",
            {"column": "c", "fit_on": ["a"], "judge_on": ["a"], "title": "t", "external": True},
            "/cohort/held_out",
            "overlap",
        ),
    ],
)
def test_a_spec_that_contradicts_itself_is_refused(path: str, value: Any, pointer: str, code: str) -> None:
    assert problems(changed(path, value)).get(pointer) == code


@pytest.mark.parametrize("step", ["z_score", "quantile", "min_max", "combat"])
def test_a_step_over_the_cohort_is_refused_with_the_reason(step: str) -> None:
    document = changed("/analytes/0/normalisation", [{"step": step}])
    document["seed"] = "x"
    assert problems(document) == {"/analytes/0/normalisation/0/step": "cohort_relative", "/seed": "int_type"}


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"choose": [{"column": "x", "analyte": "nonsense"}], "chosen_on": "elsewhere"}, "choose/0/analyte", "analyte"),
        ({"choose": [{"column": "x", "analyte": "P02768"}], "chosen_on": "elsewhere"}, "limit", "unused"),
        ({"choose": [{"column": "x", "analyte": "P02768"}], "limit": None}, "chosen_on", "choice"),
    ],
)
def test_a_list_of_analytes_is_checked(changes: dict[str, Any], pointer: str, code: str) -> None:
    found = problems(spec_document(analytes=[all_proteins(**changes)]))
    assert found.get(f"/analytes/0/{pointer}") == code


@pytest.mark.parametrize(
    ("content", "said"), [(b"\xff", "not UTF-8"), (b"a: " + b"x" * (1 << 20), "larger than 1 MiB")]
)
def test_a_file_that_is_no_spec_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "spec.yaml").write_bytes(content)
    with pytest.raises(SpecRejected, match=said):
        read_spec(tmp_path / "spec.yaml")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecRejected, match="cannot be read"):
        read_spec(tmp_path / "none.yaml")


def test_no_message_holds_a_value_of_the_spec() -> None:
    document = spec_document(name="SECRET VALUE", seed="SECRET")
    with pytest.raises(SpecRejected) as caught:
        parse_spec(document)
    assert "SECRET" not in json.dumps([str(p) for p in caught.value.problems]) + caught.value.message
