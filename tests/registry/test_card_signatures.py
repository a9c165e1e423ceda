"""Signatures on the card, as 21 CFR 11.50 wants them: printed name, date and time, and meaning, in every form."""

from collections.abc import Callable
from typing import Any

import pytest

from service.domain.signature import MEANINGS, Signature, is_approved
from service.registry.card import card_html, card_json, card_markdown
from service.registry.manifest import Manifest
from tests.registry.pages import HOSTILE, Html, assert_harmless, plain

DIGEST = "sha256:" + "a" * 64
Document = dict[str, Any]
Parse = Callable[[Document], Manifest]

REGISTERED = Signature(
    "registered", "Chris Example", "p-1", "authorship", "Fitted on the new assay.", "2026-11-23T05:51:19.123456Z"
)
APPROVED = Signature(
    "approved", "Dr Sam Example", "p-2", "approval", "Verified on 40 specimens.", "2026-11-24T08:00:00.000000Z"
)


def section(manifest: Manifest, *signatures: Signature, publisher: str | None = None, title: str) -> dict[str, Any]:
    card = card_json(manifest, DIGEST, signatures, publisher)
    return next(one for one in card["sections"] if one["title"] == title)


@pytest.mark.parametrize("model", ["tb_document", "pgd_document"])
def test_name_time_and_meaning_stand_in_every_form(parse: Parse, request: pytest.FixtureRequest, model: str) -> None:
    manifest = parse(request.getfixturevalue(model))
    signed = (REGISTERED, APPROVED)
    html, markdown = card_html(manifest, DIGEST, signed, "lab"), card_markdown(manifest, DIGEST, signed, "lab")
    assert section(manifest, *signed, title="Signatures")["table"]["rows"] == [
        [s.kind, s.printed_name, s.person_id, s.meaning, s.reason, s.at] for s in signed
    ]
    for text in (Html(html).text, plain(markdown)):
        for one in signed:
            for said in (one.printed_name, one.person_id, one.meaning, one.reason, one.at):
                assert said in text
        assert "RESEARCH USE ONLY" in text
        assert "No approval is on record." not in text


def test_programs_get_the_signatures_as_they_are(parse: Parse, tb_document: Document) -> None:
    card = card_json(parse(tb_document), DIGEST, (APPROVED,), "lab")
    assert card["publisher"] == "lab"
    assert card["signatures"] == [
        {
            "kind": "approved",
            "printed_name": "Dr Sam Example",
            "person_id": "p-2",
            "meaning": "approval",
            "reason": "Verified on 40 specimens.",
            "at": "2026-11-24T08:00:00.000000Z",
        }
    ]


@pytest.mark.parametrize("signed", [(), (REGISTERED,)], ids=["nobody signed", "only the author signed"])
def test_a_version_that_nobody_approved_says_so(
    parse: Parse, tb_document: Document, signed: tuple[Signature, ...]
) -> None:
    shown = section(parse(tb_document), *signed, title="Signatures")
    assert shown["paragraphs"] == ["No approval is on record."]
    assert (shown["table"] is None) == (not signed)


def test_the_publisher_stands_with_the_digest(parse: Parse, tb_document: Document) -> None:
    manifest = parse(tb_document)
    for publisher, said in (
        ("exoscore-release", "exoscore-release"),
        (None, "No signature of a publisher is on record."),
    ):
        rows = section(manifest, publisher=publisher, title="Identity")["table"]["rows"]
        assert ["Publisher", said] in rows


def test_what_a_person_writes_never_becomes_markup(parse: Parse, tb_document: Document) -> None:
    manifest, signed = parse(tb_document), (Signature(*[HOSTILE] * 6),)
    assert_harmless(
        markdown=card_markdown(manifest, DIGEST, signed, HOSTILE), html=card_html(manifest, DIGEST, signed, HOSTILE)
    )


def test_the_card_shows_every_kind_of_normalisation(parse: Parse, tb_document: Document) -> None:
    tb_document["normalisation"] = [
        {"step": "log2", "analytes": ["MIMAT0000075", "MIMAT0001413"], "offset": 11.0},
        {"step": "scale", "analyte": "MIMAT0000082", "centre": 0.5, "spread": 2.0},
    ]
    assert section(parse(tb_document), title="Normalisation")["table"]["rows"] == [
        ["1", "log2", "analytes: MIMAT0000075, MIMAT0001413; offset: 11.0"],
        ["2", "scale", "analyte: MIMAT0000082; centre: 0.5; spread: 2.0"],
    ]


def test_meanings_are_those_of_the_rule_and_one_of_them_approves() -> None:
    assert MEANINGS == ("authorship", "review", "approval", "responsibility")
    assert is_approved([REGISTERED, APPROVED])
    assert not is_approved([REGISTERED])
