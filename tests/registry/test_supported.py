"""What the schema can say but this release does not do is refused by name, never read and then ignored."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.errors import ArtifactRejected
from service.registry.build import build_scorer
from service.registry.manifest import Manifest
from tests.registry.artifacts import load

Install = Callable[..., Path]
Document = dict[str, Any]

LATER = [
    ("normalisation", [{"step": "ratio", "numerator": "MIMAT0000075", "denominator": "MIMAT0000082"}]),
    ("normalisation", [{"step": "delta_cq", "analytes": ["MIMAT0000075"], "references": ["MIMAT0000082"]}]),
    ("coefficient_covariance", [[0.0] * 7] * 7),
    (
        "reference_distribution",
        {
            "location": [0.0] * 6,
            "spread": [1.0] * 6,
            "correlation_factor": [[1.0] * 6] * 6,
            "flag_limit": 1.0,
            "fail_limit": 2.0,
            "limits_source": "x",
        },
    ),
]


@pytest.mark.parametrize(("key", "value"), LATER, ids=[f"{k} {n}" for n, (k, _) in enumerate(LATER)])
def test_what_this_release_cannot_do_is_rejected_by_name(
    install: Install, tb_document: Document, key: str, value: object
) -> None:
    tb_document["version"] = "1.0.1"
    (tb_document if key in tb_document else tb_document["estimator"])[key] = value
    found = load(install(tb_document)).get(tb_document["name"], "1.0.1")
    assert found.state == "rejected"
    said = found.reason or ""
    assert "needs a later release" in said
    assert key in said


@pytest.mark.parametrize("unit", ["{Cq}", "{cq}", "{Ct}", "{Cp}"])
@pytest.mark.parametrize("name", ["lob", "lod", "loq", "upper_limit"])
def test_a_limit_in_cycles_waits_for_a_later_release(
    parse: Callable[[Document], Manifest], tb_document: Document, unit: str, name: str
) -> None:
    entry = tb_document["panel"][2]
    entry |= {"unit": unit, "range": {"low": 5.0, "high": 40.0}}
    build_scorer(parse(tb_document), {})
    entry[name] = 35.0
    with pytest.raises(ArtifactRejected) as caught:
        build_scorer(parse(tb_document), {})
    (problem,) = caught.value.problems
    assert (problem.pointer, problem.code) == (f"/panel/2/{name}", "needs_later_release")
    assert problem.remedy
