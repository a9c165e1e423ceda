"""Categories at their cut-points, and the one rounding for people."""

import pytest

from service.domain.score import Category, Score, display, find_category

CATEGORIES = (
    Category("high", "High", 0.7, ">="),
    Category("grey", "Indeterminate", 0.4, ">", indeterminate=True),
    Category("low", "Low", 0.4, "<="),
)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        pytest.param(0.7, "high", id="at-the-upper-cut-point"),
        pytest.param(0.699999, "grey", id="just-below"),
        pytest.param(0.400001, "grey", id="just-above"),
        pytest.param(0.4, "low", id="at-the-lower-cut-point"),
    ],
)
def test_the_first_category_that_holds(value: float, code: str) -> None:
    category = find_category(value, CATEGORIES)
    assert category is not None
    assert category.code == code


def test_no_category_holds() -> None:
    assert find_category(1.0, ()) is None
    assert find_category(1.0, (Category("low", "Low", 0.4, "<"),)) is None


def test_explanation_follows_the_terms() -> None:
    assert Score(0.6, "probability", "logit", 0.1, (1.0,), (0.5,), None).explanation == "additive"
    assert Score(0.6, "probability", "logit", 0.1, (1.0,), None, None).explanation == "not_additive"


def test_display_rounds_for_people() -> None:
    assert (display(0.83124), display(2.5, 1)) == ("0.831", "2.5")
