"""Whether a subject and a specimen are what the model was made for.

Rules (the bounds come from the manifest of the version; IVDR asks that they are kept):
1. What the model does not list is refused.
2. A detail that was left out is refused too, unless the model accepts everything the contract knows: an unnamed tube
   may have been heparin, which inhibits polymerases and survives RNA extraction.
"""

from __future__ import annotations

from typing import Any

from service.domain.fields import ANTICOAGULANTS, ISOLATION_METHODS
from service.domain.panel import IntendedUse
from service.domain.shape import INVALID, Findings

_OUTSIDE = "outside_intended_use"


def check_intended_use(document: dict[str, Any], use: IntendedUse, found: Findings) -> None:
    """Notes every way in which the subject or the specimen lies outside `use`; values already refused are passed by."""
    subject, specimen = document["subject"], document["specimen"]
    if subject is not INVALID:
        _check_age(subject.age_years, use, found)
        _check_listed("/subject/sex", "sex", subject.sex, use.sexes, found)
    if specimen is not INVALID:
        _check_listed("/specimen/type", "specimen type", specimen.type, use.specimen_types, found)
        _check_detail("anticoagulant", specimen.anticoagulant, use.anticoagulants, ANTICOAGULANTS, found)
        _check_detail("isolation", specimen.isolation, use.isolation_methods, ISOLATION_METHODS, found)


def _check_age(age: Any, use: IntendedUse, found: Findings) -> None:
    if age is INVALID or use.age_min_years <= age <= use.age_max_years:
        return
    limits = f"from {use.age_min_years:g} to {use.age_max_years:g} years"
    message = f"The subject's age is outside the intended use of the model: {limits}."
    found.add("/subject/age_years", _OUTSIDE, message, "Use a model made for this age.")


def _check_listed(pointer: str, what: str, value: Any, accepted: tuple[str, ...], found: Findings) -> None:
    if value is INVALID or value in accepted:
        return
    message = f"The {what} is outside the intended use of the model, which accepts: {', '.join(accepted)}."
    found.add(pointer, _OUTSIDE, message, f"Use a model made for this {what}.")


def _check_detail(name: str, value: Any, accepted: tuple[str, ...], known: tuple[str, ...], found: Findings) -> None:
    if value is not None:
        _check_listed(f"/specimen/{name}", name, value, accepted, found)
    elif not all(word in accepted for word in known):
        message = f"The model does not accept every {name}, and none was named."
        remedy = f"Send the field {name}; the model accepts: {', '.join(accepted)}."
        found.add(f"/specimen/{name}", "missing_field", message, remedy)
