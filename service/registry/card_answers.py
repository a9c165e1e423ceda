"""One field of a manifest, by its JSON pointer, as the text that answers an item of a framework.

A text answers as it is; a part with a section of its own on the card is counted, and the section named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from service.registry.card_required import is_unavailable
from service.registry.card_tables import number
from service.registry.manifest import Manifest
from service.registry.manifest_estimator import Equation

_FEW = 12
"""Names in one answer; the rest is counted."""


def answer(manifest: Manifest, pointer: str) -> str | None:
    """The text, or None where the field is not available."""
    told = _TOLD.get(pointer)
    if told is not None:
        return told(manifest)
    value: Any = manifest
    for name in pointer.strip("/").split("/"):
        value = getattr(value, name)
    text = str(value)
    return None if is_unavailable(text) else text


def _counted(noun: str, count: int, section: str) -> str | None:
    return f"{count} {noun}: see {section}" if count else None


def _panel(manifest: Manifest) -> str:
    return ", ".join(a.name for a in manifest.analytes[:_FEW]) + _and_more(len(manifest.analytes)) + ": see Panel"


def _and_more(count: int) -> str:
    return f" and {count - _FEW} more" if count > _FEW else ""


def _covariates(manifest: Manifest) -> str:
    if not manifest.covariates:
        return "None is an input."
    return ", ".join(c.title for c in manifest.covariates[:_FEW]) + _and_more(len(manifest.covariates))


def _population(manifest: Manifest) -> str:
    people = manifest.intended_use.population
    ages = f"{number(people.age_min_years)} to {number(people.age_max_years)} years"
    return f"{ages}; {', '.join(people.sexes)}; {people.notes}"


def _classes(manifest: Manifest) -> str | None:
    classes = manifest.training.classes
    return None if isinstance(classes, str) else ", ".join(f"{name} {count}" for name, count in classes.items())


def _estimator(manifest: Manifest) -> str:
    estimator = manifest.estimator
    if isinstance(estimator, Equation):
        return f"Published equation of {len(estimator.terms)} terms: see Model"
    if estimator.lowered is None:
        return "Estimator of scikit-learn without coefficients, served from its signed file: see Model"
    return f"Linear model of {len(estimator.lowered.terms)} terms, all coefficients on the card: see Model"


def _normalisation(manifest: Manifest) -> str:
    return _counted("locked steps", len(manifest.normalisation), "Normalisation") or "Values are used as submitted."


def _categories(manifest: Manifest) -> str:
    found = _counted("categories", len(manifest.output.categories), "Answer")
    return found or "The version gives no category."


def _parent(manifest: Manifest) -> str:
    parent = manifest.parent
    return "First version; derives from none." if parent is None else f"{parent.version}: {parent.change}"


def _lines(*lines: str) -> str | None:
    return " ".join(lines) or None


_TOLD: Final[Mapping[str, Callable[[Manifest], str | None]]] = MappingProxyType(
    {
        "/panel": _panel,
        "/covariates": _covariates,
        "/normalisation": _normalisation,
        "/intended_use/population": _population,
        "/intended_use/cautioned_uses": lambda m: _lines(*m.intended_use.cautioned_uses),
        "/training/classes": _classes,
        "/estimator": _estimator,
        "/output/cut_points": lambda m: _counted("cut-points", len(m.output.cut_points), "Cut-points"),
        "/output/categories": _categories,
        "/performance": lambda m: _counted("figures", len(m.performance), "Performance"),
        "/negative_controls": lambda m: _counted("negative controls", len(m.negative_controls), "Negative controls"),
        "/limitations": lambda m: _counted("limitations", len(m.limitations), "Limitations"),
        "/warnings": lambda m: _counted("warnings", len(m.warnings), "Warnings"),
        "/references": lambda m: _counted("references", len(m.references), "References"),
        "/contacts": lambda m: _lines(*(f"{c.role}: {c.name} ({c.address})." for c in m.contacts)),
        "/parent": _parent,
    }
)
"""Fields that are no texts."""
