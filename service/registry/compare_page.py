"""A comparison of two versions for people (Markdown, HTML, plain text) and for programs (JSON).

First the regulatory status, then what changed in words; then figures and coefficients in columns, both cards section by
section, and at the end every difference field by field, with both values in full.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any, Final

from service.registry import compare_tables as tables
from service.registry.card_document import card_document
from service.registry.card_opening import STATUS
from service.registry.compare import Comparison, Side
from service.registry.manifest_schema import Manifest
from service.registry.page import Page, Section, Table, page_html, page_markdown, page_plain, page_text

_TOLD_OTHERWISE: Final = frozenset({"Status", "Lineage", "How good it is, and on whom", "Performance"})
_ALWAYS: Final = frozenset({"Panel", "Covariates", "Intended use", "Answer", "Cut-points and where they come from"})


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as a plain document: both versions, every change, figures and coefficients, and the page."""
    page = comparison_page(comparison)
    return {
        "title": page.title,
        "name": comparison.new.manifest.name,
        "old": _side(comparison.old),
        "new": _side(comparison.new),
        "changes_meaning": bool(comparison.of_meaning),
        "lineage": list(lineage(comparison)),
        "changes": [asdict(change) for change in comparison.changes],
        "performance": tables.figures(comparison),
        "coefficients": tables.coefficients(comparison),
        "sections": page_plain(page),
    }


def comparison_markdown(comparison: Comparison) -> str:
    """The comparison as Markdown; texts of the manifests are escaped and cannot become markup."""
    return page_markdown(comparison_page(comparison))


def comparison_html(comparison: Comparison) -> str:
    """The comparison as one self-contained HTML page without scripts, in the style of the card."""
    return page_html(comparison_page(comparison))


def comparison_text(comparison: Comparison) -> str:
    """The comparison for a terminal; of what is the same in both, panel, intended use and answer alone are shown."""
    return page_text(comparison_page(comparison, brief=True))


def comparison_page(comparison: Comparison, *, brief: bool = False) -> Page:
    """The comparison as a page; `brief` only names the sections of the cards that are the same in both."""
    old, new = comparison.old.manifest, comparison.new.manifest
    first, second = comparison.labels
    named = f"{new.name} {first} and {second}" if old.name == new.name else f"{old.name} {first}, {new.name} {second}"
    return Page(
        f"{named} side by side",
        (
            Section("Status", tuple(_status(comparison)), strong=True),
            *_changes(comparison),
            Section("Lineage", tuple(lineage(comparison))),
            *_cards(comparison, brief=brief),
            _every_difference(comparison),
        ),
    )


def _side(side: Side) -> dict[str, Any]:
    manifest = side.manifest
    return {
        "version": manifest.version,
        "digest": side.digest,
        "status_claim": manifest.status_claim,
        "status": STATUS[manifest.status_claim],
        "publisher": side.publisher,
        "signatures": [asdict(signature) for signature in side.signatures],
        "parent": None if manifest.parent is None else manifest.parent.model_dump(mode="json"),
    }


def _status(comparison: Comparison) -> Iterator[str]:
    claims = [side.manifest.status_claim for side in (comparison.old, comparison.new)]
    if claims[0] == claims[1]:
        yield STATUS[claims[0]]
    else:
        for label, claim in zip(comparison.labels, claims, strict=True):
            yield f"{label}: {STATUS[claim]}"


def _changes(comparison: Comparison) -> Iterator[Section]:
    of_meaning = comparison.of_meaning
    rest = comparison.changes[len(of_meaning) :]
    first, second = comparison.labels
    for title, changes in (
        ("What changes the meaning of an input or an answer", of_meaning),
        ("What else changed", rest),
    ):
        noun = "change" if len(changes) == 1 else "changes"
        count = f"{len(changes)} {noun}, from {first} to {second}:" if changes else "Nothing."
        strong = bool(changes) and changes is of_meaning
        yield Section(title, (count,), tuple(change.text for change in changes), strong=strong)


def lineage(comparison: Comparison) -> Iterator[str]:
    """What each version states about the one it derives from, whether that is the other one, and whose bytes are whose.

    The words of `change` and `reason` are the publisher's.
    """
    old, new = comparison.old, comparison.new
    first, second = comparison.labels
    if old.digest == new.digest:
        yield "Both are one and the same version, byte for byte."
    elif not comparison.changes:
        yield "The bytes of the two manifests differ, but not in what they state."
    yield from _derivation(new.manifest, second, old.manifest)
    if old.digest != new.digest:
        yield from _derivation(old.manifest, first, new.manifest)


def _derivation(one: Manifest, label: str, other: Manifest) -> Iterator[str]:
    if one.parent is None:
        yield f"{label} states no version that it derives from."
        return
    is_other = one.name == other.name and one.parent.version == other.version
    which = "the other version here" if is_other else "NOT the other version here"
    stated = f"Change as stated: {one.parent.change} Reason as stated: {one.parent.reason}"
    yield f"{label} states that it derives from {one.parent.version}, {which}. {stated}"


def _cards(comparison: Comparison, *, brief: bool) -> Iterator[Section]:
    sides = (comparison.old, comparison.new)
    cards = [card_document(s.manifest, s.digest, s.signatures, s.publisher, s.acknowledgements).sections for s in sides]
    pairs = {old.title: (old, new) for old, new in zip(*cards, strict=True)}
    labels = comparison.labels
    yield tables.merged(*pairs.pop("Signatures"), labels)
    yield Section("How good they are, and on whom", table=tables.figures_table(comparison))
    yield Section("Coefficients", table=tables.coefficients_table(comparison))
    yield replace(tables.merged(*pairs.pop("Model"), labels), title="How the number is made", table=None)
    same = [title for title, (old, new) in pairs.items() if brief and old == new and title not in _ALWAYS]
    for title, (old, new) in pairs.items():
        if title not in (*_TOLD_OTHERWISE, *same):
            yield tables.merged(old, new, labels)
    if same:
        yield Section("The same in both", items=tuple(same))


def _every_difference(comparison: Comparison) -> Section:
    rows = [
        (
            change.kind,
            "yes" if change.changes_meaning else "no",
            change.old_pointer or tables.ABSENT,
            change.new_pointer or tables.ABSENT,
            _exact(change.old_pointer, change.old),
            _exact(change.new_pointer, change.new),
        )
        for change in comparison.changes
    ]
    first, second = comparison.labels
    head = ("Kind", "Changes the meaning", f"Where in {first}", f"Where in {second}", first, second)
    return Section("Every difference, field by field", table=Table(head, tuple(rows)))


def _exact(pointer: str | None, value: Any) -> str:
    # In ASCII, so that no two different texts look alike.
    return tables.ABSENT if pointer is None else json.dumps(value)
