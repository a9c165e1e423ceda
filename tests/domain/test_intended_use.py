"""Subjects and specimens the model was not made for are refused by name."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from service.domain.panel import Panel
from service.domain.submission import Submission

Edit = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"/subject/age_years": 17.99}, [("/subject/age_years", "outside_intended_use")], id="too-young"),
        pytest.param({"/subject/age_years": 90.5}, [("/subject/age_years", "outside_intended_use")], id="too-old"),
        pytest.param({"/subject/sex": "unknown"}, [("/subject/sex", "outside_intended_use")], id="sex"),
        pytest.param({"/specimen/type": "urine"}, [("/specimen/type", "outside_intended_use")], id="specimen"),
        pytest.param(
            {"/specimen/anticoagulant": "heparin"},
            [("/specimen/anticoagulant", "outside_intended_use")],
            id="heparin",
        ),
        pytest.param(
            {"/specimen/anticoagulant": ...}, [("/specimen/anticoagulant", "missing_field")], id="unnamed-tube"
        ),
        pytest.param({"/specimen/anticoagulant": None}, [("/specimen/anticoagulant", "missing_field")], id="null-tube"),
        pytest.param(
            {"/specimen/anticoagulant": 5}, [("/specimen/anticoagulant", "wrong_type")], id="wrong-type-said-once"
        ),
        pytest.param({"/subject": 5}, [("/subject", "wrong_type")], id="no-subject-to-look-at"),
    ],
)
def test_outside(
    changes: dict[str, Any],
    expected: list[tuple[str, str]],
    edit: Edit,
    refusals: Callable[..., list[tuple[str, str]]],
) -> None:
    assert refusals(edit(changes)) == expected


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"/subject/age_years": 18}, id="youngest"),
        pytest.param({"/subject/age_years": 90}, id="oldest"),
        pytest.param({"/specimen/isolation": ...}, id="isolation-left-out-where-all-are-accepted"),
        pytest.param({"/specimen/anticoagulant": "none"}, id="no-anticoagulant"),
    ],
)
def test_inside(changes: dict[str, Any], edit: Edit, submit: Callable[..., Submission]) -> None:
    assert submit(edit(changes)).subject.id == "S-104"


def test_isolation_must_be_named_where_it_is_restricted(
    edit: Edit, panel: Panel, refusals: Callable[..., list[tuple[str, str]]]
) -> None:
    use = replace(panel.intended_use, isolation_methods=("precipitation",))
    document = edit({"/specimen/isolation": ...})
    assert refusals(document, intended_use=use) == [("/specimen/isolation", "missing_field")]
