"""The figures of a card: what is drawn is what the manifest says, and no text of it becomes more than text."""

import copy
import json
import math
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

from service.registry.card import card_html, card_json, card_markdown
from service.registry.figure import Axis, Figure, Series, Table, number_axis, share_axis
from service.registry.figure_svg import figure_svg
from service.registry.manifest import Manifest
from service.registry.page import Page, Section, page_html, page_markdown, page_text
from tests.registry.curves import CURVES, ROC, curve, with_curves
from tests.registry.manifests import manifest
from tests.registry.pages import HOSTILE, Html, assert_harmless

DIGEST = "sha256:" + "a" * 64
SVG = "{http://www.w3.org/2000/svg}"
SECTIONS = {
    "ROC curve": 2,
    "Calibration": 1,
    "Decision curve": 1,
    "Distribution of scores": 1,
    "Learning curve": 1,
    "Coefficients and their intervals": 1,
}
Document = dict[str, Any]
Parse = Callable[[Document], Manifest]


@pytest.fixture
def drawn(parse: Parse, tb_document: Document) -> Manifest:
    return parse(with_curves(tb_document))


def svgs(found: Manifest) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(text) for text in re.findall(r"<svg.*?</svg>", card_html(found, DIGEST), re.DOTALL)]


def plain(found: Manifest, title: str) -> list[dict[str, Any]]:
    sections = {section["title"]: section for section in card_json(found, DIGEST)["sections"]}
    figures: list[dict[str, Any]] = sections[title]["figures"]
    return figures


def scale(
    svg: ElementTree.Element, low: tuple[float, float], high: tuple[float, float]
) -> Callable[[str], list[float]]:
    """From places in the picture back to values, by the ends of the axes."""
    frame = next(p.get("d", "") for p in svg.iter(f"{SVG}path") if "V" in p.get("d", ""))
    left, top, bottom, right = map(float, re.fullmatch(r"M(\S+) (\S+)V(\S+)H(\S+)", frame).groups())  # type: ignore[union-attr]

    def value(point: str) -> list[float]:
        x, y = map(float, point.split(","))
        return [
            low[0] + (x - left) / (right - left) * (high[0] - low[0]),
            low[1] + (bottom - y) / (bottom - top) * (high[1] - low[1]),
        ]

    return value


def points(element: ElementTree.Element) -> list[str]:
    return element.get("points", "").split()


def marks(svg: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    return [element for element in svg.iter() if element.get("class") == kind]


def near(found: list[list[float]], expected: list[list[float]], *, size: float = 1.0) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=0.001 * size)


def test_every_kind_of_figure_is_drawn(drawn: Manifest) -> None:
    for title, count in SECTIONS.items():
        assert len(plain(drawn, title)) == count
    assert len(svgs(drawn)) == sum(SECTIONS.values())
    Html(card_html(drawn, DIGEST))


def test_the_roc_curve_and_its_band_are_those_of_the_manifest(drawn: Manifest) -> None:
    first, second, *_ = svgs(drawn)
    value = scale(first, (0.0, 0.0), (1.0, 1.0))
    line, chance = marks(first, "line")
    near([value(p) for p in points(line)], ROC)
    near([value(p) for p in points(chance)], [[0.0, 0.0], [1.0, 1.0]])
    (band,) = marks(first, "band")
    ends = [value(p) for p in points(band)]
    low, high = ends[: len(ROC)], ends[len(ROC) :][::-1]
    near(low, [[x, y] for (x, _), y in zip(ROC, CURVES[0]["band"]["low"], strict=True)])
    near(high, [[x, y] for (x, _), y in zip(ROC, CURVES[0]["band"]["high"], strict=True)])
    for below, (_, y), above in zip(low, ROC, high, strict=True):
        assert below[1] - 0.001 <= y <= above[1] + 0.001
    assert marks(second, "band") == []
    near([value(p) for p in points(marks(second, "line")[0])], [[0.0, 0.0], [0.5, 0.6], [1.0, 1.0]])


def test_held_out_people_have_a_figure_of_their_own(drawn: Manifest) -> None:
    assert [figure["title"] for figure in plain(drawn, "ROC curve")] == [
        "ROC curve: all people.",
        "ROC curve: held out.",
    ]
    assert "40 case, 50 control" in plain(drawn, "ROC curve")[0]["finding"]
    assert "not stated" in plain(drawn, "ROC curve")[1]["finding"]


def test_groups_of_calibration_have_their_bars(drawn: Manifest) -> None:
    svg = svgs(drawn)[2]
    value = scale(svg, (0.0, 0.0), (1.0, 1.0))
    dots = [value(f"{dot.get('cx')},{dot.get('cy')}") for dot in marks(svg, "point")]
    near(dots, [[0.1, 0.15], [0.8, 0.7]])
    near([value(p) for p in points(marks(svg, "bar")[1])], [[0.8, 0.5], [0.8, 0.85]])


def test_the_decision_curve_stands_against_acting_on_everybody_and_on_nobody(drawn: Manifest) -> None:
    (figure,) = plain(drawn, "Decision curve")
    model, nobody, everybody = figure["series"]
    assert model["points"] == CURVES[3]["points"]
    assert nobody["points"] == [[0.1, 0.0], [0.9, 0.0]]
    assert everybody["points"] == CURVES[4]["points"][:3]  # far below both is not worth the room
    assert "at thresholds of 0.3 to 0.5" in figure["finding"]
    svg = svgs(drawn)[3]
    value = scale(svg, (figure["x"]["low"], figure["y"]["low"]), (figure["x"]["high"], figure["y"]["high"]))
    near([value(p) for p in points(marks(svg, "line")[0])], model["points"])


def test_scores_are_stairs_of_shares_with_the_cut_point(drawn: Manifest) -> None:
    (figure,) = plain(drawn, "Distribution of scores")
    case, control, cut = figure["series"]
    assert (case["name"], control["name"], cut["name"]) == ("case", "control", "cut-point 0.525")
    assert case["points"] == CURVES[5]["points"]
    assert "The two distributions overlap by 60%." in figure["finding"]
    assert "half of case at or below 0.750; half of control at or below 0.500" in figure["finding"]
    svg = svgs(drawn)[4]
    value = scale(svg, (0.0, figure["y"]["low"]), (1.0, figure["y"]["high"]))
    near([value(p) for p in points(marks(svg, "line")[0])][:4], [[0.0, 0.0], [0.0, 0.1], [0.25, 0.1], [0.25, 0.2]])


def test_the_learning_curve_has_its_range(drawn: Manifest) -> None:
    (figure,) = plain(drawn, "Learning curve")
    assert figure["series"][0]["points"] == CURVES[7]["points"]
    assert figure["series"][0]["band"] == [[0.5, 0.7], [0.62, 0.78], [0.7, 0.8]]
    assert (
        "changed it by +0.050, where the draws on 72 people lie at 0.700 to 0.800 (95% of them)." in figure["finding"]
    )


def test_coefficients_have_normal_intervals_per_spread(drawn: Manifest, tb_document: Document) -> None:
    (figure,) = plain(drawn, "Coefficients and their intervals")
    dots = figure["series"][0]
    found = {
        name: (x, *ends) for name, (x, _), ends in zip(figure["y"]["names"], dots["points"], dots["band"], strict=True)
    }
    weight = tb_document["estimator"]["lowered"]["terms"][4]["coefficient"]
    half = 2.0 * 1.959963984540054 * 0.1
    assert found["hsa-miR-191-5p"] == pytest.approx((2 * weight, 2 * weight - half, 2 * weight + half))
    assert figure["y"]["names"][-1] == "hsa-miR-191-5p"  # the largest on top
    # 0.2 x 2 and 0.19 x 2 lie within 0.39 of 0, or just beyond it.
    clear = sum(low > 0 or high < 0 for _, low, high in found.values())
    assert f"Of 6 intervals {clear} do not hold 0." in figure["finding"]


def test_a_picture_says_what_it_shows_to_who_cannot_see_it(drawn: Manifest) -> None:
    pictures = svgs(drawn)
    findings = [figure["finding"] for title in SECTIONS for figure in plain(drawn, title)]
    for svg, finding in zip(pictures, findings, strict=True):
        title, desc = svg.find(f"{SVG}title"), svg.find(f"{SVG}desc")
        assert title is not None
        assert desc is not None
        assert svg.get("role") == "img"
        assert svg.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
        assert desc.text == finding
    ids = [element.get("id") for svg in pictures for element in svg.iter() if element.get("id")]
    assert len(set(ids)) == len(ids) == 2 * len(pictures)


def test_a_picture_needs_nothing_from_elsewhere_and_no_colour(drawn: Manifest) -> None:
    for svg in svgs(drawn):
        for element in svg.iter():
            assert not {"href", "src", "style", "onload"} & set(element.keys())
            for name in ("fill", "stroke"):
                assert re.fullmatch(r"none|#([0-9a-f])\1\1|#([0-9a-f]{2})\2\2", element.get(name, "none"))


def test_other_forms_tell_the_same_in_numbers(drawn: Manifest) -> None:
    markdown = card_markdown(drawn, DIGEST)
    assert "| 0.1 | 0.550 | 0.400 to 0.700 |" in markdown
    assert "| 0.800 | 0.700 | 0.500 to 0.850 |" in markdown
    assert "| 72 | 0.750 | 0.700 to 0.800 |" in markdown
    assert "<svg" not in markdown
    for title in SECTIONS:
        for figure in plain(drawn, title):
            assert figure["finding"].split(".")[0] in markdown.replace("\\", "")


def test_hostile_text_stays_text_in_every_figure(tb_document: Document) -> None:
    document = with_curves(tb_document)
    for one in document["curves"]:
        one["cohort"] = HOSTILE
        one["people"] = {HOSTILE: 3}
        if one["kind"] == "scores":
            one["of"] = HOSTILE
    for analyte in document["panel"]:
        analyte["name"] = HOSTILE
    found = manifest(document)
    assert_harmless(markdown=card_markdown(found, DIGEST), html=card_html(found, DIGEST))
    for svg in svgs(found):
        assert "<U+202E>" in "".join(svg.itertext())
        assert not list(svg.iter(f"{SVG}script"))


def test_figures_of_a_page_are_escaped_in_all_forms() -> None:
    axis = Axis(HOSTILE, -0.5, 1.5, (0.0, 1.0), (HOSTILE, HOSTILE))
    table = Table((HOSTILE, HOSTILE), ((HOSTILE, HOSTILE),))
    figure = Figure(HOSTILE, HOSTILE, share_axis(HOSTILE), axis, (Series(HOSTILE, ((0.0, 1.0),), "dots"),), table)
    page = Page(HOSTILE, (Section(HOSTILE, figures=(figure, figure)),))
    assert_harmless(markdown=page_markdown(page), html=page_html(page), text=page_text(page))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, -1e308])
def test_what_cannot_be_drawn_is_left_out_or_drawn_at_the_end(value: float) -> None:
    table = Table(("a",), ())
    for look in ("solid", "steps", "dots"):
        series = Series("s", ((0.2, value), (value, 0.4), (0.5, 0.5)), look, ((value, value), (0.0, 1.0), (0.1, 0.9)))  # type: ignore[arg-type]
        figure = Figure("t", "f", share_axis("x"), number_axis("y", -1e308, 1e308), (series,), table)
        drawn = figure_svg(figure, 1)
        ElementTree.fromstring(drawn)
        assert not re.search(r"nan|inf\b", drawn)


def test_a_manifest_that_nobody_checked_still_has_a_card(tb_document: Document) -> None:
    document = with_curves(tb_document)
    for one in document["curves"]:
        one["points"] = [[1e300, -1e300], [-1e300, 1e300], [0.0, 0.0]]
    document["estimator"]["coefficient_covariance"] = [[1e300]]
    document["estimator"]["lowered"]["terms"][0]["coefficient"] = 1e300
    document["reference_distribution"]["spread"] = [1e300] * 6
    found = manifest(document)
    json.dumps(card_json(found, DIGEST), allow_nan=False)
    assert card_markdown(found, DIGEST)
    assert all(svg.tag == f"{SVG}svg" for svg in svgs(found))


def test_a_card_draws_a_dozen_of_a_kind(parse: Parse, tb_document: Document) -> None:
    document = copy.deepcopy(tb_document)
    document["curves"] = [CURVES[0] | {"cohort": f"cohort {place}"} for place in range(20)]
    assert len(plain(parse(document), "ROC curve")) == 12


@pytest.mark.parametrize(
    ("low", "high", "ends"),
    [(0.0, 1.0, (0.0, 1.0)), (24.0, 72.0, (20.0, 80.0)), (-0.03, 0.41, (-0.1, 0.5)), (5.0, 5.0, (0.0, 10.0))],
)
def test_an_axis_ends_at_round_numbers(low: float, high: float, ends: tuple[float, float]) -> None:
    axis = number_axis("x", low, high)
    assert (axis.low, axis.high) == pytest.approx(ends)
    assert 3 <= len(axis.ticks) <= 8


def one_curve(parse: Parse, document: Document, *curves: Document) -> Manifest:
    return parse(document | {"curves": list(curves)})


@pytest.mark.parametrize(
    ("heights", "everybody", "expected"),
    [
        ([-0.1, 0.0, -0.2], None, "At no threshold does acting on the score gain more than acting on nobody."),
        (
            [0.1, 0.2, 0.1],
            [0.1, 0.2, 0.1],
            "At no threshold does acting on the score gain more than acting on everybody",
        ),
        ([0.1, 0.0, 0.1], None, "acting on nobody at thresholds of 0.1, 0.3."),
        ([0.1, 0.0] * 5, None, "at thresholds of 0.1, 0.3, 0.5 and 2 further ranges."),
    ],
)
def test_where_a_version_gains_is_told_as_it_is(
    parse: Parse, tb_document: Document, heights: list[float], everybody: list[float] | None, expected: str
) -> None:
    def of(values: list[float]) -> list[list[float]]:
        return [[round(0.1 * place, 1) if place < 10 else 0.95, y] for place, y in enumerate(values, start=1)]

    curves = [curve("decision", of(heights))]
    curves += [curve("decision", of(everybody), of="everybody")] if everybody else []
    (figure,) = plain(one_curve(parse, tb_document, *curves), "Decision curve")
    assert expected in figure["finding"]


def test_nothing_is_said_to_gain_more_than_what_is_not_known(parse: Parse, tb_document: Document) -> None:
    curves = [curve("decision", [[0.1, 0.3], [0.2, 0.3], [0.3, 0.3]])]
    curves += [curve("decision", [[0.2, 0.1], [0.4, 0.0]], of="everybody")]
    (figure,) = plain(one_curve(parse, tb_document, *curves), "Decision curve")
    assert "at thresholds of 0.2. No interval is known of it" in figure["finding"]


def test_a_figure_in_plain_text_is_its_title_and_what_it_shows() -> None:
    figure = Figure("ROC curve: all.", "It is so.", share_axis("x"), share_axis("y"), (), Table(("a",), (("b",),)))
    assert "ROC curve: all. It is so.\n" in page_text(Page("p", (Section("s", figures=(figure,)),)))


def test_one_class_alone_has_no_overlap_to_tell(parse: Parse, tb_document: Document) -> None:
    (figure,) = plain(one_curve(parse, tb_document, CURVES[6]), "Distribution of scores")
    assert "share" not in figure["finding"]
    assert "Number of people: not stated with the curve." in figure["finding"]


def test_a_long_curve_is_told_in_ten_numbers(parse: Parse, tb_document: Document) -> None:
    many = [[round(0.02 * place, 2), 0.5 - 0.01 * place] for place in range(1, 50)]
    markdown = card_markdown(one_curve(parse, tb_document, curve("decision", many)), DIGEST)
    rows = markdown.partition("## Decision curve")[2].partition("## ")[0].count("\n| 0.")
    assert rows == 10
    assert "| 0.02 | 0.490 | not available |" in markdown
    assert "| 0.98 | 0.010 | not available |" in markdown


def test_of_many_coefficients_the_largest_are_drawn_and_the_rest_counted(tb_document: Document) -> None:
    document = copy.deepcopy(tb_document)
    terms = [{"input": f"X{place}", "coefficient": 0.01 * place} for place in range(60)]
    document["estimator"]["lowered"]["terms"] = terms
    (figure,) = plain(manifest(document), "Coefficients and their intervals")
    assert figure["y"]["names"][-1] == "X59"
    assert len(figure["y"]["names"]) == 40
    assert "The 40 largest of 60 are shown." in figure["finding"]
    assert "Intervals: not available." in figure["finding"]


def test_long_names_end_in_dots_where_a_picture_has_no_room(tb_document: Document) -> None:
    document = with_curves(tb_document)
    document["curves"] = [curve("scores", CURVES[5]["points"], of="case " * 100)]
    (svg,) = [one for one in svgs(manifest(document)) if marks(one, "line") and "score (" in "".join(one.itertext())]
    texts = [text.text or "" for text in svg.iter(f"{SVG}text")]
    assert max(map(len, texts)) <= 60
    assert any(text.endswith("...") for text in texts)
