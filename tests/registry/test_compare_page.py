"""A comparison as a page: figures, coefficients and cards in columns, signatures, lineage, and no markup."""

import copy

import pytest

from service.domain.signature import Signature
from service.errors import ModelNotFound, VersionNotInForce
from service.registry.active import ActiveModels, ModelVersion
from service.registry.compare import compare
from service.registry.compare_page import (
    comparison_html,
    comparison_json,
    comparison_markdown,
    comparison_text,
)
from service.workflows.describe import Described, describe
from service.workflows.read_models import comparison_of
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
)
from tests.registry.manifests import leaves, manifest, put, rich, value_at
from tests.registry.pages import HOSTILE, Html, assert_harmless, plain


def test_the_same_version_has_no_change(parse: Parse, pgd_document: Document) -> None:
    one = parse(pgd_document)
    same, bytes_alone = compare(one, OLD, one, OLD), compare(one, OLD, one, NEW)
    assert same.changes == ()
    assert section(same, "Lineage")["paragraphs"][0] == "Both are one and the same version, byte for byte."
    assert "The bytes of the two manifests differ" in section(bytes_alone, "Lineage")["paragraphs"][0]
    assert same.labels == ("1.0.0 (first)", "1.0.0 (second)")


def test_the_stated_parent_is_held_against_the_other_version(parse: Parse, tb_document: Document) -> None:
    def derived(parent: str) -> Edit:
        return lambda document: document.update(
            version="1.1.0", parent={"version": parent, "change": "Refitted.", "reason": "More people."}
        )

    stated = "Change as stated: Refitted. Reason as stated: More people."
    for parent, which in (("1.0.0", "the other version here"), ("0.9.0", "NOT the other version here")):
        said = section(compared(parse, tb_document, derived(parent)), "Lineage")["paragraphs"]
        assert said == [
            f"1.1.0 states that it derives from {parent}, {which}. {stated}",
            "1.0.0 states no version that it derives from.",
        ]


def test_figures_stand_side_by_side_with_their_difference(parse: Parse, tb_document: Document) -> None:
    def edit(document: Document) -> None:
        document["performance"][0]["value"] = 0.85
        document["performance"][1]["cohort"] = "another cohort"

    comparison = compared(parse, tb_document, edit)
    first, second, *_, last = comparison_json(comparison)["performance"]
    assert first["difference"] == pytest.approx(0.85 - 0.8017094017094017)
    assert (second["old"]["value"], second["new"], second["difference"]) == (0.7831581196581198, None, None)
    assert (last["old"], last["new"]["value"], last["cohort"]) == (None, 0.7831581196581198, "another cohort")
    rows = section(comparison, "How good they are, and on whom")["table"]["rows"]
    assert rows[0][3:] == [
        "0.802 [0.693, 0.897] (95%), 2026-11-23",
        "0.850 [0.693, 0.897] (95%), 2026-11-23",
        "+0.0482906",
    ]
    assert rows[1][4:] == ["-", "-"]
    assert rows[2][5] == "0"


def test_coefficients_stand_side_by_side_with_their_difference(parse: Parse, tb_document: Document) -> None:
    def edit(document: Document) -> None:
        set_coefficient(document)
        drop_analyte(document)

    found = {one["term"]: one for one in comparison_json(compared(parse, tb_document, edit))["coefficients"]}
    assert found["MIMAT0000075"]["difference"] == pytest.approx(0.5 - 0.2061513437124655)
    assert found["intercept"]["difference"] == 0.0
    assert (found["MIMAT0002177"]["new"], found["MIMAT0002177"]["difference"]) == (None, None)


def test_an_estimator_without_coefficients_and_an_equation_without_intercept_compare(
    parse: Parse, tb_document: Document, pgd_document: Document
) -> None:
    bare = copy.deepcopy(tb_document)
    bare["estimator"]["lowered"] = None
    comparison = compare(parse(bare), OLD, parse(pgd_document), NEW)
    assert comparison_json(comparison)["coefficients"][0] == {
        "term": "intercept",
        "name": "",
        "old": None,
        "new": None,
        "difference": None,
    }
    assert "tb-exosomal-mirna 1.0.0 (first), pgd-klkb1-inotrope 1.0.0 (second) side by side" in comparison_text(
        comparison
    )
    assert [change.what for change in comparison.of_meaning][:2] == ["Name", "Condition, text"]


def test_the_cards_stand_side_by_side(parse: Parse, tb_document: Document) -> None:
    table = section(compared(parse, tb_document, set_unit), "Panel")["table"]
    assert table["head"][:4] == ["In", "Analyte", "Name", "Unit"]
    assert [row[:4] for row in table["rows"][:3]] == [
        ["1.0.0 (first)", "MIMAT0000075", "hsa-miR-20a-5p", "{zscore}"],
        ["1.0.0 (second)", "MIMAT0000075", "hsa-miR-20a-5p", "{log2}"],
        ["both", "MIMAT0001413", "hsa-miR-20b-5p", "{zscore}"],
    ]


def test_what_figures_find_stands_side_by_side_without_pictures(parse: Parse, tb_document: Document) -> None:
    def edit(document: Document) -> None:
        document["curves"][0]["points"] = [[0.0, 0.0], [0.5, 0.9], [1.0, 1.0]]

    comparison = compared(parse, tb_document, edit)
    found = section(comparison, "ROC curve")
    assert found["paragraphs"][0].startswith("1.0.0 (first): ROC curve: test split. At a specificity of 0.9")
    assert found["paragraphs"][1].startswith("1.0.0 (second): ROC curve: test split. At a specificity of 0.9")
    assert "the sensitivity is 0.180" in found["paragraphs"][1]
    assert section(comparison, "Calibration")["paragraphs"][0].startswith("both: Calibration: test split.")
    assert "<svg" not in comparison_html(comparison)


def test_a_terminal_is_spared_what_is_the_same(parse: Parse, tb_document: Document) -> None:
    text = comparison_text(compared(parse, tb_document, set_unit))
    assert "- Further facts\n" in text
    for shown in ("\nPanel\n-----\n", "\nIntended use\n---", "\nAnswer\n---", "\nCut-points and where"):
        assert shown in text
    assert "Unit of hsa-miR-20a-5p: {zscore} -> {log2}" in text


SIGNED = Signature("approved", "Dr Sam Example", "p-2", "approval", "Verified.", "2026-11-24T08:00:00.000000Z")


def test_signatures_and_publishers_of_both_are_shown_in_every_form(parse: Parse, tb_document: Document) -> None:
    comparison = compared(parse, tb_document, set_unit, signatures=((SIGNED,), ()), publishers=("lab-key", None))
    shown = section(comparison, "Signatures")
    assert shown["paragraphs"] == ["1.0.0 (second): No approval is on record."]
    assert shown["table"]["rows"] == [
        ["1.0.0 (first)", "approved", "Dr Sam Example", "p-2", "approval", "Verified.", "2026-11-24T08:00:00.000000Z"]
    ]
    document = comparison_json(comparison)
    assert (document["old"]["publisher"], document["new"]["publisher"]) == ("lab-key", None)
    assert document["old"]["signatures"][0]["printed_name"] == "Dr Sam Example"
    for form in (
        Html(comparison_html(comparison)).text,
        plain(comparison_markdown(comparison)),
        comparison_text(comparison),
    ):
        for said in ("Dr Sam Example", "approval", "2026-11-24T08:00:00.000000Z", "lab-key", "RESEARCH USE ONLY."):
            assert said in form


@pytest.mark.parametrize("claim", ["research_use_only", "ivd"])
def test_the_status_stands_first_in_every_form(parse: Parse, tb_document: Document, claim: str) -> None:
    comparison = compared(parse, tb_document, lambda document: document.update(status_claim=claim))
    first = section(comparison, "Status")["paragraphs"][0]
    assert "RESEARCH USE ONLY. Not for use in diagnostic procedures." in first
    assert comparison_json(comparison)["old"]["status"].startswith("RESEARCH USE ONLY")
    assert comparison_markdown(comparison).splitlines()[4].startswith("**")
    assert comparison_html(comparison).index("RESEARCH USE ONLY") < comparison_html(comparison).index("meaning")
    assert comparison_text(comparison).splitlines()[4] == first


def hostile() -> Document:
    """The rich document with hostile text wherever the schema takes it."""
    document = rich()
    for steps in leaves(document):
        if isinstance(value_at(document, steps), str):
            changed = put(document, steps, HOSTILE)
            if fits(changed):
                document = changed
    document = copy.deepcopy(document)
    document["training"]["classes"] = {HOSTILE: 3}
    document["estimator"]["lowered"]["proof"]["versions"] = {HOSTILE: HOSTILE}
    document["estimator"]["calibration"]["parameters"] = {HOSTILE: 1.0}
    document["files"] = {HOSTILE: "sha256:" + "c" * 64}
    return document


def fits(document: Document) -> bool:
    try:
        manifest(document)
    except ValueError:
        return False
    return True


def test_text_of_a_manifest_never_becomes_markup_in_any_field() -> None:
    bad = hostile()
    assert sum(value_at(bad, steps) == HOSTILE for steps in leaves(bad)) > 100
    signed = Signature(*[HOSTILE] * 6)
    for old, new in ((rich(), bad), (bad, rich()), (bad, bad)):
        comparison = compare(
            manifest(old),
            OLD,
            manifest(new),
            NEW,
            signatures=((signed,), (signed,)),
            publishers=(HOSTILE, HOSTILE),
        )
        assert_harmless(
            markdown=comparison_markdown(comparison),
            html=comparison_html(comparison),
            text=comparison_text(comparison),
        )


def active(parse: Parse, *documents: Document) -> ActiveModels:
    versions = [
        ModelVersion(d["name"], d["version"], OLD, "approved", manifest=parse(d), document=d) for d in documents
    ]
    broken = ModelVersion(documents[0]["name"], "9.0.0", OLD, "rejected", reason="It is broken.")
    return ActiveModels((*versions, broken), {})


def described(models: ActiveModels, version: str) -> Described:
    return describe(models, "tb-exosomal-mirna", version, None)


def test_versions_of_the_registry_are_compared_in_every_form(parse: Parse, tb_document: Document) -> None:
    newer = copy.deepcopy(tb_document) | {"version": "1.1.0"}
    models = active(parse, tb_document, newer)
    forms = {
        form: comparison_of(*(described(models, version) for version in ("1.0.0", "1.1.0")), form)
        for form in ("json", "html", "markdown", "text")
    }
    assert forms["json"]["old"]["version"] == "1.0.0"
    assert str(forms["html"]).startswith("<!DOCTYPE html>")
    assert str(forms["markdown"]).startswith("# tb-exosomal-mirna 1.0.0 and 1.1.0 side by side\n")
    assert str(forms["text"]).startswith("tb-exosomal-mirna 1.0.0 and 1.1.0 side by side\n")


def test_a_version_without_a_readable_manifest_is_refused(parse: Parse, tb_document: Document) -> None:
    models = active(parse, tb_document)
    for pair in (("1.0.0", "9.0.0"), ("9.0.0", "1.0.0")):
        with pytest.raises(VersionNotInForce):
            comparison_of(*(described(models, version) for version in pair), "json")
    with pytest.raises(ModelNotFound):
        comparison_of(described(models, "1.0.0"), described(models, "2.0.0"), "json")
