"""Schema errors of the manifest as problems: a JSON pointer, a stable code, and never the value that was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from service.errors import Problem

_REMEDIES = {
    "missing": "Add the field.",
    "extra_forbidden": "Remove the fields the schema does not know.",
    "finite_number": "Write a finite number.",
}


MAX_PROBLEMS = 10_000


def problems_of(error: ValidationError, document: object) -> tuple[Problem, ...]:
    """Every error pydantic found, in document order of its fields; `document` is the decoded manifest."""
    if error.error_count() > MAX_PROBLEMS:  # a small file can hold millions of faults, and each takes a kilobyte
        message = f"It has more than {MAX_PROBLEMS} faults."
        return (Problem("", "too_many_faults", message, "Write it by the schema."),)
    details = error.errors(include_url=False, include_context=True, include_input=False)
    return tuple(dict.fromkeys(_problem(detail, document) for detail in details))


def _problem(detail: ErrorDetails, document: object) -> Problem:
    code = detail["type"]
    location = detail["loc"]
    if code == "extra_forbidden":
        # The name of an unknown field is text from the file: the pointer stops at the object that holds it.
        pointer = _pointer(location[:-1], document)
        return Problem(pointer, code, f"{pointer or 'The manifest'} holds an unknown field.", _REMEDIES[code])
    pointer = _pointer(location, document)
    return Problem(pointer, code, f"{pointer or 'The manifest'}: {_said(detail)}.", _REMEDIES.get(code, "Correct it."))


def _said(detail: ErrorDetails) -> str:
    # The messages kept here are made of the schema alone; any other may quote the input.
    if detail["type"] in {"union_tag_invalid", "union_tag_not_found"}:
        return "is not one of the kinds the schema knows"
    return detail["msg"]


def _pointer(location: Sequence[int | str], document: object) -> str:
    # pydantic also names the branch of a union it took, which is no place in the document.
    parts: list[str] = []
    here: Any = document
    for position, step in enumerate(location):
        last = position == len(location) - 1
        in_list = isinstance(here, list) and isinstance(step, int) and step < len(here)
        in_object = isinstance(here, dict) and isinstance(step, str)
        if in_list or (in_object and step in here):
            here = here[step]
        elif not (in_object and last):
            continue
        parts.append(str(step).replace("~", "~0").replace("/", "~1"))
    return "".join(f"/{part}" for part in parts)
