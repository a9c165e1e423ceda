"""The items of the three frameworks, and what must not be missing from a card."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.registry.card import card_html, card_json, card_markdown
from service.registry.card_answers import answer
from service.registry.card_frameworks import CHAI, FRAMEWORKS, HTI, TRIPOD, Framework
from service.registry.card_required import FIELDS, missing_fields
from service.registry.manifest import Manifest, parse_manifest
from service.registry.manifest_evidence import CardTexts
from tests.registry.curves import with_curves

DIGEST = "sha256:" + "a" * 64
BUNDLED = ["tb-exosomal-mirna", "pgd-klkb1-inotrope"]
Document = dict[str, Any]
Parse = Callable[[Document], Manifest]


def rows(manifest: Manifest, framework: Framework) -> list[list[str]]:
    (section,) = [s for s in card_json(manifest, DIGEST)["sections"] if s["title"] == framework.title]
    found: list[list[str]] = section["table"]["rows"]
    return found


@pytest.mark.parametrize("name", BUNDLED)
@pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda framework: framework.title)
def test_every_item_stands_on_the_card_once_with_an_answer(bundled: Path, name: str, framework: Framework) -> None:
    manifest = parse_manifest((bundled / name / "1.0.0" / "manifest.json").read_bytes())
    found = rows(manifest, framework)
    assert [row[0] for row in found] == [item.number for item in framework.items]
    assert all(row[2].strip() for row in found)
    assert any(row[2] == "not available" for row in found)
    assert any(row[2] != "not available" for row in found)


def test_the_frameworks_have_the_items_of_their_sources() -> None:
    assert [item.number for item in TRIPOD.items] == [str(number) for number in range(1, 28)]
    categories = [item.number.split(".")[0] for item in HTI.items]
    assert [categories.count(str(number)) for number in range(1, 10)] == [4, 4, 2, 4, 2, 4, 5, 4, 2]
    for framework in FRAMEWORKS:
        assert len({item.number for item in framework.items}) == len(framework.items)
    # Each element of the schema, by its own name.
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+", item.number) for item in CHAI.items)


def test_items_point_at_fields_the_manifest_has(parse: Parse, tb_document: Document) -> None:
    manifest = parse(with_curves(tb_document))
    for framework in FRAMEWORKS:
        for item in framework.items:
            for field in item.fields:
                value: Any = manifest.model_dump(by_alias=True)
                for step in field.strip("/").split("/"):
                    value = value[step]
                answer(manifest, field)


def test_every_text_of_the_card_answers_some_item() -> None:
    used = {field for framework in FRAMEWORKS for item in framework.items for field in item.fields}
    assert {f"/card/{name}" for name in CardTexts.model_fields} <= used


def test_an_item_says_which_part_of_it_is_missing(parse: Parse, pgd_document: Document) -> None:
    open_science = next(row for row in rows(parse(pgd_document), TRIPOD) if row[0] == "18")
    assert open_science[2].startswith("The source's code is in the repository")
    assert open_science[2].endswith(
        "not available: /card/funding, /card/protocol, /card/clinical_trial, /card/data_availability"
    )
    filled = pgd_document["card"]
    filled |= dict.fromkeys(("funding", "protocol", "clinical_trial", "data_availability"), "Told.")
    open_science = next(row for row in rows(parse(pgd_document), TRIPOD) if row[0] == "18")
    assert open_science[2] == "Told. | The source's code is in the repository named under references"


@pytest.mark.parametrize("name", BUNDLED)
def test_the_bundled_cards_say_all_that_is_required(bundled: Path, name: str) -> None:
    manifest = parse_manifest((bundled / name / "1.0.0" / "manifest.json").read_bytes())
    assert missing_fields(manifest) == ()
    assert card_json(manifest, DIGEST)["missing_fields"] == []
    assert "INCOMPLETE" not in card_markdown(manifest, DIGEST)


@pytest.mark.parametrize("text", ["not available", "Not available.", " NOT AVAILABLE ", "N/A?"])
@pytest.mark.parametrize("pointer", [pointer for pointer in FIELDS if pointer != "/performance"])
def test_a_required_field_that_is_not_available_is_named_at_the_top(
    parse: Parse, tb_document: Document, pointer: str, text: str
) -> None:
    _, group, field = pointer.split("/")
    tb_document[group][field] = text
    manifest = parse(tb_document)
    expected = (pointer,) if text != "N/A?" else ()
    assert missing_fields(manifest) == expected
    for form in (card_markdown(manifest, DIGEST).replace("\\", ""), card_html(manifest, DIGEST)):
        assert (f"{FIELDS[pointer]} ({pointer})" in form.partition("What it is for")[0]) == bool(expected)


def test_missing_fields_stand_in_the_order_of_the_card(parse: Parse, tb_document: Document) -> None:
    tb_document["card"] = dict.fromkeys(CardTexts.model_fields, "not available")
    tb_document["performance"] = []
    found = missing_fields(parse(tb_document))
    assert found == tuple(pointer for pointer in FIELDS if not pointer.startswith("/training"))


def test_a_version_without_figures_says_so_in_a_warning_or_is_incomplete(parse: Parse, tb_document: Document) -> None:
    tb_document["performance"] = []
    assert missing_fields(parse(tb_document)) == ("/performance",)
    tb_document["warnings"].append({"code": "no_performance", "text": "Nobody has measured how good it is."})
    assert missing_fields(parse(tb_document)) == ()
