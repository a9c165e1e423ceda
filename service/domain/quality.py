"""Quality gates: may this specimen be scored? Pass, flag or fail, with what was observed, the limit and its source.

Rules:
1. Only the gates the model version names are assessed; their limits and sources come from its manifest.
2. A limit is included in what passes: an observation at the limit passes, one beyond it flags or fails.
3. The overall verdict is the worst of the assessed checks. A gate that was not assessed is listed and changes nothing,
   unless the version requires it: then it fails, because "not assessed" is never "pass". With nothing assessed the
   verdict is `not_assessed`.
4. Haemolysis is Cq(hsa-miR-23a-3p) - Cq(hsa-miR-451a): miR-451a is rich in red cells, so its Cq falls with haemolysis.
   Practice reads more than 5 as a risk and more than 7 as haemolysed (Exiqon/QIAGEN biofluid guideline).
5. Applicability is how far the specimen is from those the version was fitted on; a version with a reference
   distribution requires it, and one beyond its fail limit gets no number: the model has not seen its like.
6. MISEV2018 asks for at least three positive EV markers; particles per protein follow Webber and Clayton 2013.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from service.domain.measures import (
    ABSORBANCE_414,
    CQ,
    EV_MARKERS,
    HAEMOLYSIS_MARKER,
    HAEMOLYSIS_REFERENCE,
    NO_TEMPLATE_CONTROL,
    PARTICLE_TO_PROTEIN,
    REPLICATE_SD,
    SPIKE_IN_CQ,
)
from service.domain.panel import GateLimits, Panel
from service.domain.submission import Submission


class Verdict(StrEnum):
    """What a check, or all of them, came to."""

    PASS = "pass"  # noqa: S105 - a verdict, not a secret
    FLAG = "flag"
    FAIL = "fail"
    NOT_ASSESSED = "not_assessed"


class Direction(StrEnum):
    """Which side of a limit is worse; a window limits the distance from its centre."""

    HIGH = "high"
    LOW = "low"
    WINDOW = "window"

    @property
    def worse(self) -> str:
        """Which observations are worse, in words for the model card."""
        return "lower" if self is Direction.LOW else "higher"


class Check(NamedTuple):
    """One check. `observed` and `limit` share the gate's unit; `limit` is the one passed or broken."""

    code: str
    verdict: Verdict
    observed: float | None
    limit: float | None
    source: str


class Quality(NamedTuple):
    """All checks of a submission and what they come to."""

    verdict: Verdict
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate the contract knows: which side is worse, the unit of its limits, and where the observation comes from."""

    code: str
    direction: Direction
    unit: str
    observation: str
    observe: Callable[[Submission, GateLimits], float | None]


def _difference(minuend: float | None, subtrahend: float | None) -> float | None:
    """The difference of two readings, exact in the digits sent: subtracting the doubles could cross a limit."""
    if minuend is None or subtrahend is None:
        return None
    return float(Decimal(repr(minuend)) - Decimal(repr(subtrahend)))


def _measure(submission: Submission, code: str, analyte: str | None = None) -> float | None:
    for item in submission.quality:
        if item.code == code and item.analyte == analyte:
            return item.value
    return None


def _measured(code: str) -> Callable[[Submission, GateLimits], float | None]:
    return lambda submission, _: _measure(submission, code)


def _haemolysis(submission: Submission, _: GateLimits) -> float | None:
    reference = _measure(submission, CQ, HAEMOLYSIS_REFERENCE)
    return _difference(reference, _measure(submission, CQ, HAEMOLYSIS_MARKER))


def _spike_in(submission: Submission, limits: GateLimits) -> float | None:
    code = SPIKE_IN_CQ if limits.analyte is None else CQ
    distance = _difference(_measure(submission, code, limits.analyte), limits.expected)
    return None if distance is None else abs(distance)


def _worst_replicates(submission: Submission, _: GateLimits) -> float | None:
    return max((item.value for item in submission.quality if item.code == REPLICATE_SD), default=None)


_ALL = (
    Gate(
        "processing_delay",
        Direction.HIGH,
        "min",
        "specimen.processing_delay_minutes",
        lambda submission, _: submission.specimen.processing_delay_minutes,
    ),
    Gate(
        "freeze_thaw",
        Direction.HIGH,
        "1",
        "specimen.freeze_thaw_cycles",
        lambda submission, _: submission.specimen.freeze_thaw_cycles,
    ),
    Gate("volume", Direction.LOW, "uL", "specimen.volume_ul", lambda submission, _: submission.specimen.volume_ul),
    Gate(
        "haemolysis",
        Direction.HIGH,
        "{Cq}",
        f"quality cq of {HAEMOLYSIS_REFERENCE} less quality cq of {HAEMOLYSIS_MARKER}",
        _haemolysis,
    ),
    Gate(
        "spike_in_window",
        Direction.WINDOW,
        "{Cq}",
        "distance of quality spike_in_cq (or cq of the gate's analyte) from the expected Cq",
        _spike_in,
    ),
    Gate("replicate_sd", Direction.HIGH, "{Cq}", "highest quality replicate_sd", _worst_replicates),
    Gate(
        "no_template_control",
        Direction.LOW,
        "{Cq}",
        "quality no_template_control",
        _measured(NO_TEMPLATE_CONTROL),
    ),
    Gate("ev_markers", Direction.LOW, "1", "quality ev_markers", _measured(EV_MARKERS)),
    Gate(
        "particle_to_protein",
        Direction.LOW,
        "{particles}/ug",
        "quality particle_to_protein",
        _measured(PARTICLE_TO_PROTEIN),
    ),
    Gate("absorbance_414", Direction.HIGH, "1", "quality absorbance_414", _measured(ABSORBANCE_414)),
)
GATES: Mapping[str, Gate] = MappingProxyType({gate.code: gate for gate in _ALL})

_ORDER = (Verdict.FAIL, Verdict.FLAG, Verdict.PASS)


class _Planned(NamedTuple):
    """A gate of a panel, its limits, and its check where nothing can be observed."""

    gate: Gate
    limits: GateLimits
    unobserved: Check


APPLICABILITY = "applicability"
"""The code of the check that every assessment ends with."""

_NO_REFERENCE = Check(APPLICABILITY, Verdict.NOT_ASSESSED, None, None, "The version locks no reference distribution.")


def assess(submission: Submission) -> Quality:
    """Every check of the submission's panel, in the panel's order, then substitutions and applicability."""
    checks: list[Check] = []
    withheld = False
    for gate, limits, unobserved in _plan(submission.panel):
        observed = gate.observe(submission, limits)
        if observed is None:
            checks.append(unobserved)
            withheld = withheld or limits.required
        else:
            checks.append(_check(gate.code, gate.direction, limits, observed))
    checks += _substitutions(submission)
    checks.append(_applicability(submission))
    return Quality(Verdict.FAIL if withheld else _worst(checks), tuple(checks))


@lru_cache(maxsize=256)
def _plan(panel: Panel) -> tuple[_Planned, ...]:
    """What an assessment needs of a panel, made once: most gates of most submissions have nothing to observe."""
    return tuple(
        _Planned(GATES[code], limits, Check(code, Verdict.NOT_ASSESSED, None, _nearest(limits), limits.source))
        for code, limits in panel.gates.items()
    )


def _applicability(submission: Submission) -> Check:
    known = submission.panel.applicability
    if known is None:
        return _NO_REFERENCE
    return _check(APPLICABILITY, Direction.HIGH, known.limits, known.distance([one.used for one in submission.inputs]))


def _check(code: str, direction: Direction, limits: GateLimits, observed: float) -> Check:
    if limits.fail is not None and _beyond(observed, limits.fail, direction):
        return Check(code, Verdict.FAIL, observed, limits.fail, limits.source)
    if limits.flag is not None and _beyond(observed, limits.flag, direction):
        return Check(code, Verdict.FLAG, observed, limits.flag, limits.source)
    return Check(code, Verdict.PASS, observed, _nearest(limits), limits.source)


def _nearest(limits: GateLimits) -> float | None:
    return limits.fail if limits.flag is None else limits.flag


def _beyond(observed: float, limit: float, direction: Direction) -> bool:
    return observed < limit if direction is Direction.LOW else observed > limit


def _substitutions(submission: Submission) -> list[Check]:
    count, allowed = submission.substitutions, submission.panel.max_substitutions
    if count == 0 and allowed == 0:
        return []
    verdict = Verdict.PASS if count == 0 else Verdict.FLAG if count <= allowed else Verdict.FAIL
    return [Check("substitutions", verdict, float(count), float(allowed), "The version's limit on supplied values.")]


def _worst(checks: list[Check]) -> Verdict:
    found = [check.verdict for check in checks]
    for verdict in _ORDER:
        if verdict in found:
            return verdict
    return Verdict.NOT_ASSESSED
