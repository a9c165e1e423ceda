"""What stands in the way of a promotion, which aliases ask for it, and what the card says of acknowledgements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from service.domain.acknowledgement import Acknowledgement
from service.errors import PromotionRefused
from service.registry.card import card_html, card_json, card_markdown
from service.registry.card_acknowledgements import HEAD, NOBODY
from service.registry.lifecycle import Standing, plan
from service.registry.manifest import Manifest
from service.registry.promotion import require_fit, serves, warning_codes

DIGEST = "sha256:" + "0" * 64
Document = dict[str, Any]
Parse = Callable[[Document], Manifest]
HOSTILE = "<b>Zoë</b> | *Müller* [x](y) \u202e\x1b[2J"
APPROVED = Standing("approved", {"shadow": "0.9.0", "production": "0.9.0"})


@pytest.mark.parametrize(
    ("to", "expected"), [("production", True), ("canary", True), ("shadow", False), ("retired", False)]
)
def test_every_alias_serves_but_that_of_the_shadow(to: str, expected: bool) -> None:
    assert serves(plan("1.0.0", to, APPROVED)) is expected


def test_taking_a_version_out_of_its_aliases_asks_for_nothing() -> None:
    assert not serves(plan("0.9.0", "withdrawn", APPROVED))


def test_everything_that_stands_in_the_way_is_told_at_once(parse: Parse, tb_document: Document) -> None:
    tb_document["card"]["participants"] = "not available"
    tb_document["warnings"] += [{"code": "arm_assumed", "text": HOSTILE}]
    manifest = parse(tb_document)
    assert warning_codes(manifest) == ("demonstration_only", "no_external_validation", "arm_assumed")
    with pytest.raises(PromotionRefused) as caught:
        require_fit(manifest, {"no_external_validation"})
    problems = caught.value.problems
    assert [one.code for one in problems] == ["unacknowledged_warning"] * 2 + ["missing_card_field"]
    assert "tb-exosomal-mirna@1.0.0 demonstration_only" in problems[0].remedy
    assert "<U+202E>" in problems[1].message
    assert problems[1].message.isprintable()
    assert "/card/participants" in problems[2].message


def test_what_is_acknowledged_and_said_is_fit(parse: Parse, tb_document: Document) -> None:
    manifest = parse(tb_document)
    require_fit(manifest, {*warning_codes(manifest), "of_another_time"})


def signed(code: str, name: str | None = "Zoë Müller") -> Acknowledgement:
    person = None if name is None else "0123456789abcdef"
    actor = "system:bundled" if name is None else f"person:{person}"
    meaning = None if name is None else "review"
    return Acknowledgement(code, actor, name, person, meaning, "It is known.", "2026-11-23T05:51:19.123456Z")


def section(parse: Parse, document: dict[str, Any], *acknowledgements: Acknowledgement) -> dict[str, Any]:
    card = card_json(parse(document), DIGEST, (), None, acknowledgements)
    (found,) = (one for one in card["sections"] if one["title"] == "Acknowledgements")
    return dict(found)


def test_the_card_says_beside_each_warning_who_acknowledged_it_or_nobody(parse: Parse, tb_document: Document) -> None:
    noted = (signed("arm_assumed"), signed("arm_assumed", "木村 拓哉"), signed("demonstration_only", None))
    table = section(parse, tb_document, *noted)["table"]
    assert tuple(table["head"]) == HEAD
    assert [(row[0], row[2], row[3], row[4], row[6][:10]) for row in table["rows"]] == [
        ("demonstration_only", "system:bundled", "no person", "", "2026-11-23"),
        ("no_external_validation", NOBODY, "", "", ""),
        ("arm_assumed", "Zoë Müller", "0123456789abcdef", "review", "2026-11-23"),
        ("arm_assumed", "木村 拓哉", "0123456789abcdef", "review", "2026-11-23"),
    ]
    texts = {one["code"]: one["text"] for one in tb_document["warnings"]}
    assert all(row[1] == texts[row[0]] for row in table["rows"])
    card = card_json(parse(tb_document), DIGEST, (), None, noted)
    assert [one["code"] for one in card["acknowledgements"]] == [one.code for one in noted]


def test_without_an_acknowledgement_or_a_warning_the_card_says_so(parse: Parse, tb_document: Document) -> None:
    assert [row[2] for row in section(parse, tb_document)["table"]["rows"]] == [NOBODY] * 3
    tb_document["warnings"] = []
    assert section(parse, tb_document)["paragraphs"] == ["The version warns of nothing."]


def test_names_and_reasons_become_no_markup(parse: Parse, tb_document: Document) -> None:
    manifest, noted = parse(tb_document), (signed("arm_assumed", HOSTILE),)
    html = card_html(manifest, DIGEST, (), None, noted)
    markdown = card_markdown(manifest, DIGEST, (), None, noted)
    for page in (html, markdown):
        assert "\x1b" not in page
        assert "\u202e" not in page
    assert "<b>" not in html
    assert "\\<b\\>" in markdown
