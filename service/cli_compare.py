"""The `exoscore model compare` command: two versions of a model side by side, before one takes the other's place."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from service.cli_models import exact, known_models
from service.errors import InputRejected
from service.settings import Settings
from service.terminal import say

if TYPE_CHECKING:
    from service.workflows.read_models import ComparisonForm

DONE = 0

Add = Callable[..., argparse.ArgumentParser]


def add_compare_command(group: Any, add: Add) -> None:
    """Add the command to the parser's group `model`."""
    compare = add(
        group, "compare", model_compare, "show two versions side by side, and what changes from one to the other"
    )
    compare.add_argument("old", metavar="NAME@V1")
    compare.add_argument("new", metavar="NAME@V2")
    compare.add_argument("--format", choices=("text", "markdown", "html", "json"), default="text")


def model_compare(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore model compare NAME@V1 NAME@V2`; a version may be named by an alias."""
    from service.workflows.describe import describe
    from service.workflows.read_models import comparison_of

    (name, old), (other, new) = _reference(options.old), _reference(options.new)
    if name != other:
        raise InputRejected("The versions are of two models.", "Name two versions of one model.")
    form: ComparisonForm = "json" if options.json else options.format
    with known_models(settings) as (models, database):
        before, after = (describe(models, name, exact(models, name, one), database) for one in (old, new))
        shown = comparison_of(before, after, form)
    say(shown.removesuffix("\n") if isinstance(shown, str) else json.dumps(shown, indent=2))
    return DONE


def _reference(reference: str) -> tuple[str, str]:
    name, _, version = reference.partition("@")
    if not version:
        raise InputRejected("A version is named as NAME@VERSION.", "Name both versions so.")
    return name, version
