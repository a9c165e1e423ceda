"""Reading a spec: strict YAML, then its schema, then its meaning; every problem of a stage at once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from service.errors import Problem
from service.registry.manifest_problems import problems_of
from service.training.spec import Spec
from service.training.spec_checks import check
from service.training.spec_step_checks import check_steps
from service.training.yaml_strict import SpecRejected, load_yaml

SPEC_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ReadSpec:
    """A spec and the digest of its file."""

    spec: Spec
    digest: str


def read_spec(path: Path) -> ReadSpec:
    """The spec in the YAML file `path`. Raises SpecRejected with every problem found."""
    document, digest = read_document(path)
    return ReadSpec(parse_spec(document), digest)


def read_document(path: Path) -> tuple[dict[str, Any], str]:
    """What the YAML file `path` holds, and the digest of its bytes. Raises SpecRejected where it is no such file."""
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8")
    except OSError as error:
        raise SpecRejected(f"The spec cannot be read ({error.strerror}).", "Name an existing file.") from None
    except UnicodeDecodeError:
        raise SpecRejected("The spec is not UTF-8.", "Save it as UTF-8.") from None
    if len(raw) > SPEC_MAX_BYTES:
        raise SpecRejected("The spec is larger than 1 MiB.", "Shorten its texts.")
    return load_yaml(text), "sha256:" + hashlib.sha256(raw).hexdigest()


def parse_spec(document: dict[str, Any]) -> Spec:
    """The spec in a decoded document. Raises SpecRejected with every problem found."""
    known = check_steps(document)
    try:
        # By way of JSON, so that its strict rules hold: no number from a text, lists where lists are meant.
        spec = Spec.model_validate_json(json.dumps(document))
    except ValidationError as error:
        raise _rejected(known + _further(problems_of(error, document), known)) from None
    problems = check(spec)
    if problems:
        raise _rejected(problems)
    return spec


def _further(found: tuple[Problem, ...], known: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """What is to be said beside `known`: a place is named once, and a list is not short because an item is wrong."""
    explained = {problem.pointer.removesuffix("/step") for problem in known}
    pointers = [problem.pointer for problem in found]
    return tuple(
        _worded(problem)
        for problem in found
        if problem.pointer.removesuffix("/step") not in explained
        and not (problem.code == "too_short" and any(p.startswith(f"{problem.pointer}/") for p in pointers))
    )


def _worded(problem: Problem) -> Problem:
    message = problem.message.replace("The manifest", "The spec")
    return Problem(problem.pointer, problem.code, message, problem.remedy)


def _rejected(problems: tuple[Problem, ...]) -> SpecRejected:
    return SpecRejected(
        f"The spec has {len(problems)} problem(s); the first: {problems[0].message}",
        "Mend every problem listed.",
        problems,
    )
