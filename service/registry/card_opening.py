"""The opening of a model card: one page in plain words, before any figure or table.

What the version is for, how good it is, on whom, and when not to use it, with every warning. Each group of people
stands in a paragraph of its own: figures of different people are never pooled. Nothing is computed but the counts among
1000 people, which follow from sensitivity, specificity and prevalence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from service.domain.score import display
from service.registry.card_required import FIELDS, missing_fields
from service.registry.card_tables import interval, number
from service.registry.manifest import Manifest
from service.registry.manifest_base import NOT_AVAILABLE
from service.registry.manifest_evidence import Performance
from service.registry.page import Section

STATUS = {
    "research_use_only": "RESEARCH USE ONLY. Not for use in diagnostic procedures.",
    "laboratory_developed": "Laboratory-developed test.",
    "ivd": "In-vitro diagnostic medical device.",
}

NOT_POOLED = "Each of these groups of people has figures of its own; a group may hold another."
PEOPLE = 1000
"""Among how many people the answers are counted; ten times as many, and again, where fewer than `_FEWEST` of them would
have the condition."""
_FEWEST = 5.0
"""So that counting whole people changes the prevalence by a tenth at most."""

FROM_SHARES = "; from sensitivity and specificity"
"""Ends, in the method of a predictive value, the setting in which its prevalence is met."""

_HEADLINE = re.compile(r"AUC|AUC \(.*|(?:sensitivity|specificity)(?: at the (?:lower|upper) cut-point)?", re.DOTALL)
_PREDICTIVE = re.compile(r"[PN]PV at ([0-9.]+(?:e-?[0-9]+)?)")
_MOST = 12
_RAREST = 1e-6


def opening(manifest: Manifest) -> Iterator[Section]:
    """The sections of the first page."""
    use = manifest.intended_use
    yield Section("Status", tuple(_status(manifest)), strong=True)
    what_for = (manifest.summary, use.purpose, f"Condition: {manifest.condition.text}", f"Users: {use.users}")
    yield Section("What it is for", what_for)
    yield Section("How good it is, and on whom", (*_quality(manifest), *_whom(manifest)))
    yield Section("When not to use it", items=use.cautioned_uses)
    yield Section("Warnings", items=tuple(w.text for w in manifest.warnings) or ("None was raised.",))
    yield Section("Limitations", items=manifest.limitations)


def _status(manifest: Manifest) -> Iterator[str]:
    yield STATUS[manifest.status_claim]
    missing = missing_fields(manifest)
    if missing:
        named = ", ".join(f"{FIELDS[pointer]} ({pointer})" for pointer in missing)
        yield f"INCOMPLETE CARD: a version is not put to work while these are not available: {named}."


def _quality(manifest: Manifest) -> Iterator[str]:
    by_cohort: dict[str, list[Performance]] = {}
    for one in manifest.performance:
        by_cohort.setdefault(one.cohort, []).append(one)
    told = {cohort: found for cohort, found in by_cohort.items() if any(_HEADLINE.fullmatch(p.metric) for p in found)}
    if not told:
        yield f"How good it is: {NOT_AVAILABLE}."
    for cohort, found in list(told.items())[:_MOST]:
        shares = [p for p in found if _HEADLINE.fullmatch(p.metric)]
        said = "; ".join(f"{p.metric} {display(p.value)}{interval(p.interval)}" for p in shares)
        yield f"On {cohort}: {said}.{_order(found)}"
        yield from _among(found)
    if len(told) > 1:
        yield NOT_POOLED
    yield from _cut_points(manifest)
    yield f"How to read a score: {manifest.card.interpretation}"


def _order(found: Sequence[Performance]) -> str:
    auc = next((p.value for p in found if p.metric == "AUC"), None)
    if auc is None:
        return ""
    return (
        f" Of one person of each class, the one with the condition scores higher about {round(100 * auc)} times in "
        "100; by chance it would be 50."
    )


def _among(found: Sequence[Performance]) -> Iterator[str]:
    """What the answers mean among people of whom a stated share has the condition."""
    values = {p.metric: p.value for p in found}
    upper, lower = (_shares(values, side) for side in ("upper", "lower"))
    if upper is None or lower is None:
        return
    settings: dict[str, str] = {}
    for one in found:
        predictive = _PREDICTIVE.fullmatch(one.metric)
        if predictive is not None:
            setting, stated, _ = one.method.partition(FROM_SHARES)
            settings.setdefault(predictive[1], setting if stated else "")
    for text, setting in settings.items():
        prevalence = _number(text)
        if prevalence is not None:
            yield _counted(prevalence, setting, upper, lower) + _right(text, found)


def _right(prevalence: str, found: Sequence[Performance]) -> str:
    """The predictive values with their intervals, which the counts cannot show."""
    shares = {p.metric: f"{display(p.value)}{interval(p.interval)}" for p in found}
    words = (("PPV", "positive"), ("NPV", "negative"))
    said = [
        f"{word} {shares[f'{name} at {prevalence}']}" for name, word in words if f"{name} at {prevalence}" in shares
    ]
    return f" Share of right ones among the answers: {', '.join(said)}."


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if _RAREST <= value < 1.0 else None


def _shares(values: dict[str, float], side: str) -> tuple[float, float] | None:
    """Sensitivity and specificity at a cut-point, or at the only one."""
    for where in ("", f" at the {side} cut-point"):
        pair = (values.get(f"sensitivity{where}"), values.get(f"specificity{where}"))
        if pair[0] is not None and pair[1] is not None:
            return pair[0], pair[1]
    return None


def _counted(prevalence: float, setting: str, upper: tuple[float, float], lower: tuple[float, float]) -> str:
    people = PEOPLE
    while people * prevalence < _FEWEST:
        people *= 10
    ill = round(people * prevalence)
    well = people - ill
    found, alarmed = round(ill * upper[0]), round(well * (1.0 - upper[1]))
    # What is missed, or rightly told well, lies below the lower cut-point; what lies between gets no answer.
    missed, cleared = min(round(ill * (1.0 - lower[0])), ill - found), min(round(well * lower[1]), well - alarmed)
    where = f" ({setting})" if setting else ""
    open_answers = people - found - alarmed - missed - cleared
    undecided = f" {open_answers} get neither answer." if open_answers else ""
    return (
        f"Of {people} people tested, {ill} of whom have the condition{where}: about {found + alarmed} positive "
        f"answers, {found} of them right and {alarmed} false; about {missed + cleared} negative answers, {cleared} of "
        f"them right and {missed} false.{undecided}"
    )


def _cut_points(manifest: Manifest) -> Iterator[str]:
    for cut in manifest.output.cut_points[:_MOST]:
        locked = "locked before it was judged" if cut.locked else "NOT locked before it was judged"
        yield f"Cut-point: {number(cut.value)}{interval(cut.interval)}, {locked}; chosen on: {cut.cohort}."
    if not manifest.output.cut_points:
        yield "Cut-point: none; the version gives no category."


def _whom(manifest: Manifest) -> Iterator[str]:
    training = manifest.training
    yield f"Fitted on: {training.cohort}"
    if isinstance(training.classes, str):
        yield f"People by class: {NOT_AVAILABLE}."
    else:
        yield "People by class: " + ", ".join(f"{name} {count}" for name, count in training.classes.items()) + "."
    yield f"External validation: {manifest.card.external_validation}"
