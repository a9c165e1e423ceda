import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from service.registry.artifact import sha256
from service.registry.card import card_html, card_json, card_markdown
from service.registry.manifest import Manifest, parse_manifest

DIGEST = "sha256:" + "a" * 64
Document = dict[str, Any]
Parse = Callable[[Document], Manifest]


OPENING = [
    "Status",
    "What it is for",
    "How good it is, and on whom",
    "When not to use it",
    "Warnings",
    "Limitations",
]


@pytest.mark.parametrize("model", ["tb_document", "pgd_document"])
def test_one_page_in_words_stands_before_any_figure_and_any_table(
    parse: Parse, request: pytest.FixtureRequest, model: str
) -> None:
    document = request.getfixturevalue(model)
    card = card_json(parse(document), DIGEST)
    sections = card["sections"]
    assert [section["title"] for section in sections][: len(OPENING)] == OPENING
    assert all(not one["table"] and not one["figures"] for one in sections[: len(OPENING)])
    figures = [place for place, one in enumerate(sections) if one["figures"]]
    tables = [place for place, one in enumerate(sections) if one["table"]]
    assert max(figures) < min(tables)
    assert sections[OPENING.index("Warnings")]["items"] == [w["text"] for w in document["warnings"]]
    assert card["digest"] == DIGEST
    assert json.loads(json.dumps(card)) == card


@pytest.mark.parametrize("model", ["tb_document", "pgd_document"])
def test_the_three_forms_say_the_same(parse: Parse, request: pytest.FixtureRequest, model: str) -> None:
    manifest = parse(request.getfixturevalue(model))
    markdown, html = card_markdown(manifest, DIGEST), card_html(manifest, DIGEST)
    text = Text()
    text.feed(html)
    plain = markdown.replace("\\", "")
    for section in card_json(manifest, DIGEST)["sections"]:
        cells = [cell for row in (section["table"] or {"rows": []})["rows"] for cell in row]
        for said in [section["title"], *section["paragraphs"], *section["items"], *cells]:
            assert said in text.found
            assert " ".join(said.split()).replace("\\", "") in plain


def test_what_a_reader_must_know_is_said(parse: Parse, tb_document: Document, pgd_document: Document) -> None:
    tb, pgd = (card_markdown(parse(d), DIGEST) for d in (tb_document, pgd_document))
    assert "**RESEARCH USE ONLY." in tb
    assert "z-score cannot be computed for a new patient" in tb
    assert "no external cohort" in tb
    assert "is not a prevalence" in tb
    assert "arm" in tb
    assert "**RESEARCH USE ONLY." in pgd
    assert "never above 0.5" in pgd
    assert "does not exist for one patient" in pgd
    assert "A higher KLKB1 gives a lower index" in pgd
    for card in (tb, pgd):
        assert "not available" in card
        assert DIGEST in card


def test_coefficients_are_shown_in_full(parse: Parse, tb_document: Document) -> None:
    table = next(s["table"] for s in card_json(parse(tb_document), DIGEST)["sections"] if s["title"] == "Model")
    terms = tb_document["estimator"]["lowered"]["terms"]
    assert [float(row[2]) for row in table["rows"][1:]] == [term["coefficient"] for term in terms]


def test_text_of_a_manifest_never_becomes_markup(parse: Parse, tb_document: Document) -> None:
    tb_document["title"] = "<script>alert(1)</script> | **bold** [x](javascript:y)"
    tb_document["limitations"] = ["# not a heading\n\n# nor this <img src=x>"]
    manifest = parse(tb_document)
    html, markdown = card_html(manifest, DIGEST), card_markdown(manifest, DIGEST)
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html
    assert "\\<script\\>" in markdown
    assert "\n# not" not in markdown
    assert "\\# not a heading \\# nor this" in markdown


def test_a_bare_version_shows_what_is_not_available(parse: Parse, tb_document: Document) -> None:
    tb_document |= {"performance": [], "warnings": [], "curves": [], "negative_controls": [], "gates": {}}
    tb_document["parent"] = {"version": "0.9.0", "change": "Coefficients refitted.", "reason": "More people."}
    tb_document["panel"][0]["analytical_cv"] = 0.05
    sections = {s["title"]: s for s in card_json(parse(tb_document), DIGEST)["sections"]}
    assert sections["How good it is, and on whom"]["paragraphs"][0] == "How good it is: not available."
    assert sections["Warnings"]["items"] == ["None was raised."]
    assert sections["ROC curve"]["paragraphs"] == ["not available"]
    assert sections["Curves"]["table"]["rows"] == [["not available", "", "", ""]]
    assert "0.9.0" in sections["Lineage"]["paragraphs"][0]


def test_an_estimator_that_is_not_lowered_has_no_coefficients_to_show(parse: Parse, tb_document: Document) -> None:
    tb_document["estimator"]["lowered"] = None
    sections = {s["title"]: s for s in card_json(parse(tb_document), DIGEST)["sections"]}
    assert sections["Model"]["table"]["rows"][0][0] == "not available"


class Text(HTMLParser):
    """Collects the text between the tags, and refuses scripts and anything fetched from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "link", "img", "iframe", "object"}
        assert not {"src", "href", "style"} & {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.found += data


def test_a_gate_s_limits_stand_with_their_unit_and_direction(bundled: Path) -> None:
    raw = (bundled / "tb-exosomal-mirna" / "1.0.0" / "manifest.json").read_bytes()
    card = card_markdown(parse_manifest(raw), sha256(raw))
    (row,) = [line for line in card.splitlines() if line.startswith("| processing")]
    cells = [cell.strip().replace("\\", "") for cell in row.split("|")]
    assert cells[1:8] == [
        "processing_delay",
        "optional",
        "specimen.processing_delay_minutes",
        "120",
        "none",
        "min",
        "higher",
    ]
