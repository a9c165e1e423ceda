"""Comparisons of a bundled manifest with an edited copy of itself."""

import copy
from collections.abc import Callable
from typing import Any

from service.registry.compare import Comparison, compare
from service.registry.compare_page import comparison_json
from service.registry.manifest import Manifest

OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
Document = dict[str, Any]
Parse = Callable[[Document], Manifest]
Edit = Callable[[Document], Any]


def compared(parse: Parse, old: Document, edit: Edit, **more: Any) -> Comparison:
    new = copy.deepcopy(old)
    edit(new)
    return compare(parse(old), OLD, parse(new), NEW, **more)


def texts(comparison: Comparison) -> list[str]:
    return [change.text for change in comparison.changes]


def section(comparison: Comparison, title: str) -> dict[str, Any]:
    return next(one for one in comparison_json(comparison)["sections"] if one["title"] == title)


def set_unit(document: Document) -> None:
    document["panel"][0]["unit"] = "{log2}"


def drop_analyte(document: Document) -> None:
    del document["panel"][5]
    del document["estimator"]["lowered"]["terms"][5]


def set_coefficient(document: Document) -> None:
    document["estimator"]["lowered"]["terms"][0]["coefficient"] = 0.5
