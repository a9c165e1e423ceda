"""The first page of a card: what its figures mean for people, each group of people for itself."""

from collections.abc import Callable
from typing import Any

import pytest

from service.registry.card import card_json
from service.registry.manifest import Manifest

DIGEST = "sha256:" + "a" * 64
Document = dict[str, Any]
Parse = Callable[[Document], Manifest]


def figure(metric: str, value: float, cohort: str = "clinic", method: str = "measured") -> Document:
    interval = {"level": 0.95, "low": value / 2, "high": (1 + value) / 2}
    return {
        "metric": metric,
        "value": value,
        "interval": interval,
        "cohort": cohort,
        "method": method,
        "date": "2026-01-02",
    }


def said(parse: Parse, document: Document, *performance: Document) -> list[str]:
    document["performance"] = list(performance)
    sections = {section["title"]: section for section in card_json(parse(document), DIGEST)["sections"]}
    found: list[str] = sections["How good it is, and on whom"]["paragraphs"]
    return found


def test_counts_among_people_follow_from_sensitivity_specificity_and_prevalence(
    parse: Parse, tb_document: Document
) -> None:
    setting = "symptoms; referred; from sensitivity and specificity; nested"
    found = said(
        parse,
        tb_document,
        figure("AUC", 0.8),
        figure("sensitivity", 0.9),
        figure("specificity", 0.8),
        figure("PPV at 0.1", 1 / 3, method=setting),
        figure("NPV at 0.1", 0.986, method=setting),
    )
    assert found[0].startswith(
        "On clinic: AUC 0.800 [0.400, 0.900] (95%); sensitivity 0.900 [0.450, 0.950] (95%); spec"
    )
    assert "scores higher about 80 times in 100; by chance it would be 50" in found[0]
    assert found[1] == (
        "Of 1000 people tested, 100 of whom have the condition (symptoms; referred): about 270 positive answers, 90 of "
        "them right and 180 false; about 730 negative answers, 720 of them right and 10 false. Share of right ones "
        "among the answers: positive 0.333 [0.167, 0.667] (95%), negative 0.986 [0.493, 0.993] (95%)."
    )


def test_between_two_cut_points_there_is_no_answer(parse: Parse, tb_document: Document) -> None:
    found = said(
        parse,
        tb_document,
        figure("sensitivity at the lower cut-point", 0.9),
        figure("specificity at the lower cut-point", 0.7),
        figure("sensitivity at the upper cut-point", 0.6),
        figure("specificity at the upper cut-point", 0.95),
        figure("PPV at 0.1", 0.57),
    )
    assert found[1].startswith(
        "Of 1000 people tested, 100 of whom have the condition: about 105 positive answers, 60 of them right and 45 "
        "false; about 640 negative answers, 630 of them right and 10 false. 255 get neither answer."
    )


@pytest.mark.parametrize(
    ("prevalence", "expected"),
    [
        ("5e-05", "Of 100000 people tested, 5 of whom have the condition: about 1002 positive answers, 2 of"),
        ("0.0015", "Of 10000 people tested, 15 of whom have the condition: about 108 positive answers, 8 of"),
        ("0.005", "Of 1000 people tested, 5 of whom have the condition: about 12 positive answers, 2 of"),
    ],
)
def test_a_rare_condition_is_counted_among_more_people(
    parse: Parse, tb_document: Document, prevalence: str, expected: str
) -> None:
    found = said(
        parse,
        tb_document,
        figure("sensitivity", 0.5),
        figure("specificity", 0.99),
        figure(f"PPV at {prevalence}", 0.002),
    )
    assert found[1].startswith(expected)


@pytest.mark.parametrize("metric", ["PPV at 0", "PPV at 1", "PPV at 1e-300", "PPV at 1.2.3", "PPV at ", "PPV at 7"])
def test_a_prevalence_that_is_none_is_passed_by(parse: Parse, tb_document: Document, metric: str) -> None:
    figures = [figure("sensitivity", 0.5), figure("specificity", 0.5), figure(metric, 0.5)]
    assert not any("people tested" in text for text in said(parse, tb_document, *figures))


def test_groups_of_people_are_told_apart_and_never_pooled(parse: Parse, tb_document: Document) -> None:
    found = said(
        parse,
        tb_document,
        figure("AUC", 0.7, "held out"),
        figure("AUC", 0.9, "inside"),
        figure("sensitivity", 0.8, "held out"),
        figure("AUC of models learned on 24 people", 0.6, "inside"),
    )
    assert found[0].startswith("On held out: AUC 0.700")
    assert "sensitivity 0.800" in found[0]
    assert found[1].startswith("On inside: AUC 0.900 [0.450, 0.950] (95%). ")
    assert found[2] == "Each of these groups of people has figures of its own; a group may hold another."
    assert found[-1] == "External validation: None"


def test_the_cut_point_stands_with_its_interval_and_whether_it_was_locked(
    parse: Parse, tb_document: Document, pgd_document: Document
) -> None:
    text = next(text for text in said(parse, tb_document) if text.startswith("Cut-point"))
    assert "0.525 [0.205, 0.557] (95%), NOT locked before it was judged; chosen on: train split" in text
    assert "Cut-point: none; the version gives no category." in said(parse, pgd_document)


def test_people_are_counted_by_class(parse: Parse, tb_document: Document, pgd_document: Document) -> None:
    assert any("pulmonary_tuberculosis_train 60, healthy_train 91" in text for text in said(parse, tb_document))
    assert "People by class: not available." in said(parse, pgd_document)
