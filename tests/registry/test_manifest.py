import json
from collections.abc import Callable
from typing import Any

import pytest

from service.domain.panel import Action
from service.errors import ArtifactRejected
from service.registry.golden import parse_golden
from service.registry.manifest import Manifest, parse_manifest

Document = dict[str, Any]
Parse = Callable[[Document], Manifest]
CV = "analytical_cv"


def put(document: Document, pointer: str, value: object) -> None:
    *parents, last = pointer.strip("/").split("/")
    here: Any = document
    for part in parents:
        here = here[int(part)] if isinstance(here, list) else here[part]
    here[int(last) if isinstance(here, list) else last] = value


def found(parse: Parse, document: Document) -> dict[str, str]:
    with pytest.raises(ArtifactRejected) as caught:
        parse(document)
    return {problem.pointer: problem.code for problem in caught.value.problems}


def test_the_bundled_manifests_give_panels_and_categories(parse: Parse, tb_document: Document, pgd_document: Document):
    tb, pgd = parse(tb_document), parse(pgd_document)
    panel = tb.panel()
    assert panel.codes == tuple(a["analyte"] for a in tb_document["panel"])
    assert panel.analytes[0].absent.action is Action.REFUSE
    assert panel.gates["haemolysis"].fail == 7.0
    assert not panel.gates["haemolysis"].required
    assert panel.intended_use.anticoagulants == ("edta", "citrate", "acd_a", "none")
    assert [c.code for c in tb.categories()] == ["elevated", "not_elevated"]
    assert pgd.panel().codes == ("P03952", "pretransplant_inotrope_therapy")
    assert pgd.panel().covariates[0].binary
    assert pgd.categories() == ()


@pytest.mark.parametrize(
    ("pointer", "value", "at", "code"),
    [
        ("/surprise", 1, "", "extra_forbidden"),
        ("/panel/0/surprise", 1, "/panel/0", "extra_forbidden"),
        ("/schema_version", 2, "/schema_version", "literal_error"),
        ("/panel/0/range/low", "1", "/panel/0/range/low", "float_type"),
        ("/panel/0/required", 1, "/panel/0/required", "bool_type"),
        ("/panel/0/analytical_cv", "unknown", "/panel/0/analytical_cv", "float_type"),
        ("/panel/0/analytical_cv", -1.0, "/panel/0/analytical_cv", "greater_than"),
        ("/estimator/format", "onnx", "/estimator", "union_tag_invalid"),
        ("/golden/count", 31, "/golden/count", "greater_than_equal"),
        ("/golden/tolerance", 0.1, "/golden/tolerance", "less_than_equal"),
        ("/panel", [], "/panel", "too_short"),
        ("/summary", "  ", "/summary", "string_pattern_mismatch"),
        ("/estimator/lowered/proof/max_abs_difference", 1e-9, "", ""),
        ("/gates", {"colour": {}}, "", ""),
        ("/references/0/doi", "doi:10.1/x", "/references/0/doi", "string_pattern_mismatch"),
    ],
)
def test_a_schema_problem_is_pointed_at(parse: Parse, tb_document: Document, pointer, value, at, code) -> None:
    put(tb_document, pointer, value)
    problems = found(parse, tb_document)
    if code:
        assert problems[at] == code
    else:
        assert problems


@pytest.mark.parametrize("key", ["panel", "training", "card", "estimator", "parent", "reference_distribution"])
def test_a_missing_group_is_named(parse: Parse, tb_document: Document, key: str) -> None:
    del tb_document[key]
    assert found(parse, tb_document)[f"/{key}"] == "missing"


CATEGORIES = "/output/categories"


def category(code: str, comparator: str, cut_point: float, indeterminate: bool = False) -> Document:
    return {
        "code": code,
        "label": code,
        "cut_point": cut_point,
        "comparator": comparator,
        "indeterminate": indeterminate,
    }


CASES = [
    ("/name", "Tb", "/name", "name"),
    ("/version", "1.0.0.0", "/version", "version"),
    ("/parent", {"version": "x.y.z", "change": "a", "reason": "b"}, "/parent/version", "version"),
    ("/files", {"../x": "sha256:" + "0" * 64}, "/files", "file_unused"),
    ("/estimator/file", "other.joblib", "/estimator/file", "file_missing"),
    ("/intended_use/population/age_min_years", 121.0, "/intended_use/population", "range"),
    ("/intended_use/population/sexes", ["male", "male"], "/intended_use/population/sexes", "repeated"),
    ("/intended_use/anticoagulants/refused", [], "/intended_use/anticoagulants", "incomplete"),
    ("/intended_use/anticoagulants/refused", ["edta"], "/intended_use/anticoagulants", "incomplete"),
    ("/panel/0/analyte", "MIMAT9999999", "/panel/0/analyte", "analyte"),
    ("/panel/0/analyte", "hsa-miR-20a-5p", "/panel/0/analyte", "analyte"),
    ("/panel/0/kind", "protein", "/panel/0/kind", "kind"),
    ("/panel/0/unit", "zscore", "/panel/0/unit", "unit"),
    ("/panel/0/range", {"low": 1.0, "high": 1.0}, "/panel/0/range", "range"),
    ("/panel/0/lob", -10.5, "/panel/0/lob", "limits"),
    ("/panel/0/lod", -10.5, "/panel/0/lod", "limits"),
    ("/panel/0/loq", 10.5, "/panel/0/loq", "limits"),
    ("/panel/0/upper_limit", 10.5, "/panel/0/upper_limit", "limits"),
    ("/panel/0/absent", {"action": "refuse", "value": 1.0}, "/panel/0/absent", "rule"),
    ("/panel/0/absent", {"action": "impute"}, "/panel/0/absent", "rule"),
    ("/panel/0/absent", {"action": "impute", "value": 11.0}, "/panel/0/absent/value", "rule"),
    ("/max_substitutions", 7, "/max_substitutions", "range"),
    ("/panel/1/analyte", "MIMAT0000075", "/panel", "repeated"),
    ("/panel/1/analyte", "MIMAT0000075", "/estimator/lowered/terms", "order"),
    ("/performance/0/date", "2026-02-30", "/performance/0/date", "date"),
    ("/estimator/positive_class", "nobody", "/estimator/positive_class", "classes"),
    ("/estimator/positive_class", "healthy", "/estimator/positive_class", "classes"),
    ("/estimator/classes", ["pulmonary_tuberculosis", "healthy"], "/estimator/positive_class", "classes"),
    ("/estimator/classes", ["healthy", "healthy"], "/estimator/classes", "classes"),
    ("/estimator/coefficient_covariance", [[1.0]], "/estimator/coefficient_covariance", "shape"),
    (
        "/normalisation",
        [{"step": "scale", "analyte": "P08962", "centre": 0.0, "spread": 1.0}],
        "/normalisation/0",
        "analyte",
    ),
    (
        "/normalisation",
        [{"step": "min_max", "analyte": "MIMAT0000075", "minimum": 1.0, "maximum": 1.0}],
        "/normalisation/0",
        "range",
    ),
    ("/normalisation", [{"step": "log2", "analytes": ["MIMAT0000075"], "offset": 10.0}], "/normalisation/0", "range"),
    (
        "/normalisation",
        [{"step": "ratio", "numerator": "P08962", "denominator": "P08962"}],
        "/normalisation/0",
        "analyte",
    ),
    (
        "/normalisation",
        [{"step": "delta_cq", "analytes": ["MIMAT0000075"], "references": ["P08962"]}],
        "/normalisation/0",
        "analyte",
    ),
    ("/output/link", "identity", "/output/link", "link"),
    ("/output/cut_points", [], "/output/cut_points", "provenance"),
    (
        "/output/cut_points/0/interval",
        {"level": 0.95, "low": 1.0, "high": 0.0},
        "/output/cut_points/0/interval",
        "range",
    ),
    ("/performance/0/interval", {"level": 0.95, "low": 0.9, "high": 0.8}, "/performance/0/interval", "range"),
    ("/performance/0/value", 1e308, "/performance/0", "share"),
    ("/performance/0/interval", {"level": 0.95, "low": -0.1, "high": 0.8}, "/performance/0", "share"),
    ("/negative_controls/0/value", 1.01, "/negative_controls/0", "share"),
    (
        "/negative_controls/0/interval",
        {"level": 0.95, "low": 0.6, "high": 0.4},
        "/negative_controls/0/interval",
        "range",
    ),
    ("/output/categories/0/code", "not_elevated", CATEGORIES, "repeated"),
    (CATEGORIES, [category("a", ">", 0.5), category("b", "<", 0.5)], CATEGORIES, "not_exhaustive"),
    (
        CATEGORIES,
        [category("a", ">=", 0.5), category("b", "<", 0.5), category("c", ">", 0.5)],
        CATEGORIES,
        "unreachable",
    ),
    (CATEGORIES, [category("a", ">=", 1.5), category("b", "<", 1.5)], CATEGORIES, "cut_point"),
    ("/output/categories/0/indeterminate", True, "/output/indeterminate_zone", "zone"),
    ("/output/indeterminate_zone", {"low": 0.1, "high": 0.2, "meaning": "x"}, "/output/indeterminate_zone", "zone"),
    (
        "/reference_distribution",
        {
            "location": [0.0],
            "spread": [1.0],
            "correlation_factor": [[1.0]],
            "flag_limit": 2.0,
            "fail_limit": 1.0,
            "limits_source": "x",
        },
        "/reference_distribution",
        "limits",
    ),
]


@pytest.mark.parametrize(("pointer", "value", "at", "code"), CASES, ids=[f"{c[3]} {c[0]}" for c in CASES])
def test_a_problem_of_meaning_is_pointed_at(parse: Parse, tb_document: Document, pointer, value, at, code) -> None:
    put(tb_document, pointer, value)
    with pytest.raises(ArtifactRejected) as caught:
        parse(tb_document)
    told = {(p.pointer, p.code): p for p in caught.value.problems}
    assert (at, code) in told
    assert told[at, code].remedy


@pytest.mark.parametrize("name", ["lob", "lod", "loq", "upper_limit"])
@pytest.mark.parametrize("value", [-10.0, 0.0, 10.0], ids=["lowest", "inside", "highest"])
def test_a_limit_within_the_plausible_range_is_accepted(
    parse: Parse, tb_document: Document, name: str, value: float
) -> None:
    tb_document["panel"][0][name] = value
    assert parse(tb_document).analytes[0].limits == {name: value}


def test_limits_must_ascend(parse: Parse, tb_document: Document) -> None:
    tb_document["panel"][0] |= {"lod": 2.0, "loq": 1.0}
    assert found(parse, tb_document) == {"/panel/0": "limits"}


def test_golden_json_must_be_listed(parse: Parse, tb_document: Document) -> None:
    del tb_document["files"]["golden.json"]
    assert found(parse, tb_document) == {"/files": "file_missing"}


def test_a_folded_sigmoid_needs_lowered_coefficients(parse: Parse, tb_document: Document) -> None:
    tb_document["estimator"] |= {"lowered": None, "calibration": {"method": "sigmoid_folded", "parameters": {}}}
    assert found(parse, tb_document) == {"/estimator/calibration/method": "calibration"}


@pytest.mark.parametrize(
    ("pointer", "value", "at", "code"),
    [
        ("/output/kind", "probability", "/output/kind", "kind"),
        ("/estimator/calibration/method", "isotonic", "/estimator/calibration", "calibration"),
        ("/covariates/0/range/high", 2.0, "/covariates/0", "binary"),
        ("/covariates/0/unit", "bogus", "/covariates/0/unit", "unit"),
        ("/covariates/0/required", False, "/covariates/0/required", "rule"),
    ],
)
def test_an_equation_has_rules_of_its_own(parse: Parse, pgd_document: Document, pointer, value, at, code) -> None:
    put(pgd_document, pointer, value)
    assert found(parse, pgd_document)[at] == code


HIGH, LOW = category("high", ">=", 2.0), category("low", "<=", 1.0)
GREY = category("grey", ">", 1.0, True)
ZONE = {"low": 1.0, "high": 2.0, "meaning": "repeat the assay"}


def with_zone(document: Document, categories: list[Document], zone: Document) -> Document:
    point = {"cohort": "x", "method": "x", "locked": False, "interval": "not available", "date": "not available"}
    document["output"] |= {
        "link": "identity",
        "categories": categories,
        "cut_points": [point | {"value": value} for value in sorted({c["cut_point"] for c in categories})],
        "indeterminate_zone": zone,
    }
    return document


ZONES = [
    ("open at both ends", [HIGH, GREY, LOW]),
    ("closed at the top", [category("high", ">", 2.0), GREY, LOW]),
    ("closed at both ends", [category("high", ">", 2.0), category("grey", ">=", 1.0, True), category("low", "<", 1.0)]),
    ("lowest first", [LOW, category("grey", "<", 2.0, True), HIGH]),
    (
        "a cut-point inside, both sides marked",
        [HIGH, category("upper", ">=", 1.5, True), GREY, LOW],
    ),
    ("a cut-point outside", [category("very_high", ">=", 9.0), HIGH, GREY, LOW]),
]


@pytest.mark.parametrize("categories", [z[1] for z in ZONES], ids=[z[0] for z in ZONES])
def test_an_index_on_the_identity_link_may_have_an_indeterminate_zone(
    parse: Parse, pgd_document: Document, categories: list[Document]
) -> None:
    found = parse(with_zone(pgd_document, categories, ZONE)).categories()
    assert [c.indeterminate for c in found] == [c["indeterminate"] for c in categories]


INSIDE, OUTSIDE = "A value inside the zone is not indeterminate.", "A value outside the zone is indeterminate."
WRONG_ZONES = [
    ("the category above is marked", [HIGH | {"indeterminate": True}, GREY, LOW], {OUTSIDE}),
    ("the category below is marked", [HIGH, GREY, LOW | {"indeterminate": True}], {OUTSIDE}),
    ("a category far outside is marked", [category("far", ">=", 9.0, True), HIGH, GREY, LOW], {OUTSIDE}),
    (
        "the mark is on another category",
        [HIGH | {"indeterminate": True}, GREY | {"indeterminate": False}, LOW],
        {INSIDE, OUTSIDE},
    ),
    ("half of the zone is not marked", [HIGH, category("upper", ">=", 1.75), GREY, LOW], {INSIDE}),
]


@pytest.mark.parametrize(("categories", "said"), [z[1:] for z in WRONG_ZONES], ids=[z[0] for z in WRONG_ZONES])
def test_a_zone_and_its_categories_must_agree(
    parse: Parse, pgd_document: Document, categories: list[Document], said: set[str]
) -> None:
    with pytest.raises(ArtifactRejected) as caught:
        parse(with_zone(pgd_document, categories, ZONE))
    assert {(p.pointer, p.code) for p in caught.value.problems} == {("/output/indeterminate_zone", "zone")}
    assert {p.message for p in caught.value.problems} == said
    assert all(p.remedy for p in caught.value.problems)


def test_every_problem_is_found_at_once(parse: Parse, tb_document: Document) -> None:
    for pointer, value in [("/name", "X"), ("/panel/2/unit", "?"), ("/output/link", "identity"), ("/files", {})]:
        put(tb_document, pointer, value)
    assert {"/name", "/panel/2/unit", "/output/link", "/files"} <= set(found(parse, tb_document))


def test_no_message_quotes_the_manifest(parse: Parse, tb_document: Document) -> None:
    marker = "zq-marker-zq"
    for pointer in ("/name", "/panel/0/analyte", "/panel/1/unit", "/status_claim", "/estimator/positive_class"):
        put(tb_document, pointer, marker)
    tb_document[marker] = marker
    with pytest.raises(ArtifactRejected) as caught:
        parse(tb_document)
    assert marker not in repr((caught.value.message, caught.value.remedy, caught.value.problems))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"\xff{}", "UTF-8"),
        (b"{", "not JSON"),
        (b"[]", "JSON object"),
        (b'{"a": 1, "a": 2}', "repeats a key"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": ' + b"9" * 5000 + b"}", "too long"),
        (b"[" * 200_000, "nested"),
        (b" " * ((1 << 20) + 1), "1 MiB"),
    ],
    ids=lambda value: value if isinstance(value, str) else "raw",
)
def test_bytes_that_are_no_plain_json_object_are_refused(raw: bytes, said: str) -> None:
    with pytest.raises(ArtifactRejected, match=said):
        parse_manifest(raw)


def test_a_number_that_overflows_is_refused(tb_document: Document) -> None:
    raw = json.dumps(tb_document).replace('"high": 10.0', '"high": 1e999', 1)
    with pytest.raises(ArtifactRejected) as caught:
        parse_manifest(raw.encode())
    assert ("/panel/0/range/high", "finite_number") in {(p.pointer, p.code) for p in caught.value.problems}


def test_a_small_file_with_millions_of_faults_is_refused_at_once(
    tb_document: Document, parse: Callable[[Document], Manifest]
) -> None:
    for change in ({"performance": [{}] * 20_000}, {"files": {str(number): 0 for number in range(20_000)}}):
        with pytest.raises(ArtifactRejected) as caught:
            parse(tb_document | change)
        assert set(caught.value.reasons) <= {"too_large", "too_many_faults"}
    for vector in ({}, {"inputs": dict.fromkeys(map(str, range(20_000)), 0)}, dict.fromkeys(map(str, range(100)), 0)):
        golden = f'{{"schema_version": 1, "vectors": [{", ".join([json.dumps(vector)] * 1_000)}]}}'.encode()
        with pytest.raises(ArtifactRejected) as caught:
            parse_golden(golden, parse(tb_document))
        assert len(caught.value.problems) <= 5
