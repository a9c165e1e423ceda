"""What a version needs before it may answer under a name: acknowledged warnings, and a card that says what it must.

Rules:
1. An alias that serves is any but `shadow`: what a shadow scores reaches no caller, so it needs nothing, and is a way
   to find out whether a warning matters.
2. Every warning of the manifest has to be acknowledged, for this exact version, and no required field of its card may
   be missing. The refusal names all of it at once.
3. Nothing is asked of a version that has its alias already; to come back to one is a move like any other, and what was
   acknowledged before still is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from service.domain.acknowledgement import open_codes
from service.errors import Problem, PromotionRefused
from service.registry.card_required import FIELDS, missing_fields
from service.registry.lifecycle import SHADOW, Move
from service.registry.manifest import Manifest
from service.registry.visible import visible


def serves(move: Move) -> bool:
    """Whether a move points an alias that answers callers to a version (rule 1)."""
    return move.alias is not None and move.alias != SHADOW and move.after is not None


def warning_codes(manifest: Manifest) -> tuple[str, ...]:
    """The codes of the warnings, each once, in their order."""
    return tuple(dict.fromkeys(warning.code for warning in manifest.warnings))


def require_fit(manifest: Manifest, acknowledged: Collection[str]) -> None:
    """Raise PromotionRefused, with every problem, where something stands in the way of a promotion (rule 2)."""
    problems = [*_unacknowledged(manifest, acknowledged), *_missing(manifest)]
    if problems:
        raise PromotionRefused(
            "The version cannot be promoted: a warning is not acknowledged, or its card lacks a required field.",
            "Mend every problem listed.",
            problems,
        )


def _unacknowledged(manifest: Manifest, acknowledged: Collection[str]) -> Iterator[Problem]:
    version = f"{manifest.name}@{manifest.version}"
    for code in open_codes(warning_codes(manifest), acknowledged):
        said = " ".join(visible(one.text) for one in manifest.warnings if one.code == code)
        yield Problem(
            "/to",
            "unacknowledged_warning",
            f"Nobody has acknowledged the warning {code}: {said}",
            f"Read the card; who answers for it runs: exoscore model acknowledge {version} {code} --person ID "
            "--reason TEXT, or sends it to the version's /acknowledgements.",
        )


def _missing(manifest: Manifest) -> Iterator[Problem]:
    for pointer in missing_fields(manifest):
        yield Problem(
            "/to",
            "missing_card_field",
            f"The model card does not tell the {FIELDS[pointer]} ({pointer} of the manifest).",
            "Register a new version whose manifest says it: a registered one never changes.",
        )
