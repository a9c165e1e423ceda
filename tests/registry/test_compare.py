"""What changed between two versions, in plain words, and which of it changes the meaning."""

import copy
import json

import pytest

from service.registry.compare import compare
from service.registry.compare_page import comparison_json
from service.registry.compare_words import LISTS
from tests.registry.comparisons import (
    NEW,
    OLD,
    Document,
    Edit,
    Parse,
    compared,
    drop_analyte,
    section,
    set_coefficient,
    set_unit,
    texts,
)
from tests.registry.manifests import manifest, rich, value_at


def move_cut_point(document: Document) -> None:
    for category in document["output"]["categories"]:
        category["cut_point"] = 0.6
    document["output"]["cut_points"][0]["value"] = 0.6


def swap_comparators(document: Document) -> None:
    for category, comparator in zip(document["output"]["categories"], (">", "<="), strict=True):
        category["comparator"] = comparator


def add_step(document: Document) -> None:
    document["normalisation"].append({"step": "scale", "analyte": "MIMAT0000075", "centre": 0.5, "spread": 2.0})


def add_covariate(document: Document) -> None:
    document["covariates"].append(
        {"name": "age", "title": "Age", "unit": "a", "type": "number", "required": True}
        | {"range": {"low": 18.0, "high": 90.0}}
    )
    document["estimator"]["lowered"]["terms"].append({"input": "age", "coefficient": 0.01})


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (set_unit, "Unit of hsa-miR-20a-5p: {zscore} -> {log2}"),
        (drop_analyte, "Analyte hsa-miR-486-5p removed: analyte: MIMAT0002177; name: hsa-miR-486-5p; kind: mirna"),
        (move_cut_point, "Cut point of category elevated: 0.525 -> 0.6 (+0.075)"),
        (move_cut_point, "Value of cut-point 1: 0.525 -> 0.6 (+0.075)"),
        (swap_comparators, "Comparator of category elevated: >= -> >"),
        (add_step, "Normalisation step 1 added: step: scale; analyte: MIMAT0000075; centre: 0.5; spread: 2"),
        (add_covariate, "Covariate age added: name: age; title: Age; unit: a; type: number"),
        (lambda d: d["output"].update(event="death"), "Output, event: membership of the tuberculosis group"),
        (lambda d: d["intended_use"]["specimen_types"].remove("serum"), "Specimen type removed: serum"),
        (lambda d: d["intended_use"]["population"].update(age_min_years=21), "Intended use, population, age min years"),
        (lambda d: d.update(status_claim="ivd"), "Status claim: research_use_only -> ivd"),
        (lambda d: d["panel"][0].update(nondetect_codes=[9.0]), "Nondetect codes of hsa-miR-20a-5p: none -> 9"),
        (lambda d: d["condition"].update(text="Sepsis"), "Condition, text: Pulmonary tuberculosis -> Sepsis"),
    ],
)
def test_what_changes_the_meaning_stands_first_and_in_words(
    parse: Parse, tb_document: Document, edit: Edit, said: str
) -> None:
    def both(document: Document) -> None:
        document["version"] = "1.1.0"
        document["title"] = "Another title"
        edit(document)

    comparison = compared(parse, tb_document, both)
    assert [change.text for change in comparison.of_meaning if change.text.startswith(said)] != []
    meant = [change.changes_meaning for change in comparison.changes]
    assert meant == sorted(meant, reverse=True)
    assert "Version: 1.0.0 -> 1.1.0" in texts(comparison)[len(comparison.of_meaning) :]
    titles = [one["title"] for one in comparison_json(comparison)["sections"]]
    assert titles[:3] == ["Status", "What changes the meaning of an input or an answer", "What else changed"]


def reorder_limitations(document: Document) -> None:
    document["limitations"].reverse()


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (set_coefficient, "Coefficient of hsa-miR-20a-5p: 0.2061513437124655 -> 0.5 (+0.293849)"),
        (lambda d: d["estimator"]["lowered"].update(intercept=-0.5), "Estimator, served coefficients, intercept: "),
        (lambda d: d["panel"][0].update(loq=0.5), "LoQ of hsa-miR-20a-5p: none -> 0.5"),
        (lambda d: d["panel"][0]["range"].update(high=9), "Range, high of hsa-miR-20a-5p: 10 -> 9 (-1)"),
        (lambda d: d["panel"][0].update(required=False), "Required of hsa-miR-20a-5p: yes -> no"),
        (
            lambda d: d["panel"][0].update(absent={"action": "impute", "value": 0.0}),
            "Absent, action of hsa-miR-20a-5p: refuse -> impute",
        ),
        (lambda d: d["gates"].pop("haemolysis"), "Quality gate haemolysis removed: requirement: optional; flag: 5"),
        (lambda d: d["gates"]["haemolysis"].update(fail=8), "Fail of quality gate haemolysis: 7 -> 8 (+1)"),
        (lambda d: d["training"].update(cohort="Others"), "Training, cohort: 90 people with"),
        (
            lambda d: d["training"]["classes"].update(healthy_train=99),
            "Number of people in class healthy_train: 91 -> 99 (+8)",
        ),
        (lambda d: d["limitations"].append("New."), "Limitation added: New."),
        (reorder_limitations, "Order of limitations: from place 1 on, "),
        (lambda d: d["warnings"].pop(), "Warning arm_assumed removed: text: "),
        (lambda d: d["references"][0].update(url="x"), "Address of reference Hu X et al. EBioMedicine 2019;40:564-573"),
        (
            lambda d: d["performance"][0].update(value=0.9),
            "Value of figure AUC (test split; bootstrap over people by class, 2000 resamples): 0.8017094017094017 -> 0",
        ),
        (lambda d: d["curves"][0]["points"].pop(), "Points of curve roc (test split): "),
        (lambda d: d["output"]["cut_points"][0].update(locked=True), "Locked of cut-point 1: no -> yes"),
        (
            lambda d: d.update(parent={"version": "0.9.0", "change": "c", "reason": "r"}),
            "Parent: none -> version: 0.9.0",
        ),
    ],
)
def test_what_changes_numbers_alone_is_told_after(parse: Parse, tb_document: Document, edit: Edit, said: str) -> None:
    comparison = compared(parse, tb_document, edit)
    assert comparison.of_meaning == ()
    assert texts(comparison)[0].startswith(said)
    assert section(comparison, "What changes the meaning of an input or an answer")["paragraphs"] == ["Nothing."]


def test_the_order_of_the_categories_decides_and_that_of_specimen_types_does_not() -> None:
    old = copy.deepcopy(rich())
    new = copy.deepcopy(old)
    new["output"]["categories"].reverse()
    new["intended_use"]["specimen_types"].reverse()
    comparison = compare(manifest(old), OLD, manifest(new), NEW)
    assert {change.text: change.changes_meaning for change in comparison.changes} == {
        "Order of output, categories: from place 1 on, elevated, not_elevated -> not_elevated, elevated": True,
        "Order of intended use, specimen types: from place 1 on, plasma, serum -> serum, plasma": False,
    }


def test_texts_that_look_alike_are_told_apart(parse: Parse, tb_document: Document) -> None:
    edits: list[tuple[str, str]] = [
        ("Micro \u00b5.", "Micro \u03bc."),
        ("One  space.", "One space."),
        ("Plain.", "Pl\u200bain."),
        ("none", "none "),
    ]
    for old, new in edits:
        tb_document["summary"] = old
        (text,) = texts(compared(parse, tb_document, lambda document, new=new: document.update(summary=new)))
        assert text.endswith(
            {
                "Micro \u00b5.": "differs: U+00B5 MICRO SIGN, U+03BC GREEK SMALL LETTER MU)",
                "Plain.": "differs: U+200B ZERO WIDTH SPACE)",
            }.get(old, "(only white space differs)")
        )


def test_a_text_that_reads_like_no_value_is_told_from_none() -> None:
    new = copy.deepcopy(rich())
    new["gates"]["haemolysis"]["analyte"] = None
    old = copy.deepcopy(rich())
    old["gates"]["haemolysis"]["analyte"] = "none"
    assert texts(compare(manifest(old), OLD, manifest(new), NEW)) == [
        'Analyte of quality gate haemolysis: "none" -> null'
    ]


def test_an_analyte_under_another_name_keeps_its_accession(parse: Parse, tb_document: Document) -> None:
    def edit(document: Document) -> None:
        document["panel"][0]["name"] = "miR-20a"
        document["panel"][0]["loq"] = 0.5
        document["panel"][2]["name"] = "hsa-miR-20b-5p"

    said = texts(compared(parse, tb_document, edit))
    assert "Name of miR-20a (MIMAT0000075): hsa-miR-20a-5p -> miR-20a" in said
    assert "LoQ of miR-20a (MIMAT0000075): none -> 0.5" in said
    assert "Name of hsa-miR-20b-5p (MIMAT0000082): hsa-miR-26a-5p -> hsa-miR-20b-5p" in said


def test_many_numbers_are_counted_and_a_huge_step_is_still_json() -> None:
    old = copy.deepcopy(rich())
    old["estimator"]["coefficient_covariance"] = [[float(i * j) for i in range(4)] for j in range(4)]
    new = copy.deepcopy(old)
    new["estimator"]["coefficient_covariance"][1][1] = -0.0
    new["estimator"]["lowered"]["intercept"] = 1e308
    old["estimator"]["lowered"]["intercept"] = -1e308
    new["reference_distribution"]["correlation_factor"] = [[float(i) for i in range(9)]]
    old["reference_distribution"]["correlation_factor"] = [[float(i)] for i in range(9)]
    new["curves"][0]["points"] = [[float(i), 0.0] for i in range(5)]
    comparison = compare(manifest(old), OLD, manifest(new), NEW)
    said = texts(comparison)
    assert "Estimator, coefficient covariance: 1 of 16 numbers differ, the first: 1 -> -0" in said
    assert "Reference distribution, correlation factor: the same numbers in another shape" in said
    assert "Points of curve roc (c): 4 numbers -> 10 numbers" in said
    assert json.dumps(comparison_json(comparison), allow_nan=False)


def test_every_list_of_the_schema_that_the_words_know_exists() -> None:
    document = rich() | {"estimator": rich()["estimator"] | {"terms": []}}
    for names in LISTS:
        assert isinstance(value_at(document, names), (list, dict)), names
