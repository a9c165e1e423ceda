"""What the manifest schema can say but this release does not do yet: such a version is rejected by name.

A field that is read and then ignored would be a wrong number with a clean record, so each is refused until the code
that honours it exists.
"""

from __future__ import annotations

from collections.abc import Iterator

from service.errors import ArtifactRejected, Problem
from service.registry.manifest import Manifest
from service.registry.manifest_base import NOT_AVAILABLE
from service.registry.manifest_estimator import DeltaCq, Ratio

# A Cq falls as the amount rises, and limits are compared upwards: a good Cq would count as below its LoQ. MIQE
# (doi 10.1373/clinchem.2008.112797) names Ct and Cp as other words for Cq; as annotations all three parse.
_CYCLES = frozenset({"{cq}", "{ct}", "{cp}"})

_REMEDY = "Serve it with a later release."


def verify_supported(manifest: Manifest) -> None:
    """Raises ArtifactRejected with everything in `manifest` that needs a later release."""
    problems = tuple(_unsupported(manifest))
    if problems:
        raise ArtifactRejected(" ".join(p.message for p in problems), _REMEDY, problems)


def _unsupported(manifest: Manifest) -> Iterator[Problem]:
    for index, spec in enumerate(manifest.analytes):
        if spec.unit.casefold() in _CYCLES:
            for name in spec.limits:
                yield _later(f"/panel/{index}/{name}", f"{name} in cycles of quantification")
    for index, step in enumerate(manifest.normalisation):
        if isinstance(step, DeltaCq | Ratio):
            yield _later(f"/normalisation/{index}", f"normalisation {step.step}")
    if manifest.estimator.coefficient_covariance != NOT_AVAILABLE:
        yield _later("/estimator/coefficient_covariance", "coefficient_covariance")
    if manifest.reference_distribution != NOT_AVAILABLE:
        yield _later("/reference_distribution", "reference_distribution")


def _later(pointer: str, what: str) -> Problem:
    return Problem(pointer, "needs_later_release", f"{what} needs a later release.", _REMEDY)
