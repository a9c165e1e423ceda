"""How a model was made, in the words of its card."""

from __future__ import annotations

from service.training.dataset import Dataset
from service.training.final_model import FinalModel
from service.training.spec import AnalyteGroup, Spec
from service.training.spec_steps import ShareOfTotal


def procedure(spec: Spec, dataset: Dataset, final: FinalModel) -> str:
    """How the model was made, in sentences."""
    parts = []
    for index, group in enumerate(spec.analytes):
        count = sum(a.group == index for a in dataset.analytes)
        steps = _steps(group)
        if group.choose == "all":
            sizes = ", ".join(str(size) for size in spec.estimator.sizes)
            least = (
                f" detected in at least {group.min_detected:.0%} of the training people" if group.min_detected else ""
            )
            parts.append(
                f"Of {count} analytes (table {group.table}) those{least} were ranked by the F statistic and the best "
                f"{sizes} (at most {group.limit}) tried; normalisation within the sample: {steps}."
            )
        else:
            parts.append(f"{count} analytes fixed beforehand (table {group.table}); normalisation: {steps}.")
    penalties = ", ".join(f"{c:g}" for c in spec.estimator.penalties)
    parts.append(
        f"Standard scaling and L2-penalised logistic regression, C among {penalties}; number of analytes, C and "
        f"cut-points by {spec.evaluation.inner_folds}-fold cross-validation inside the training people, on log loss. "
        f"Chosen: {len(final.analytes)} analytes, C = {final.model.penalty:g}. No recalibration."
    )
    return " ".join(parts)


def _steps(group: AnalyteGroup) -> str:
    step = group.divided_by
    if not isinstance(step, ShareOfTotal):
        return ", ".join(given.step for given in group.normalisation) or "none"
    whence = "the sum of all counts of the table" if step.total is None else f"column {step.total}"
    logarithm = "" if group.offset is None else f", then log2 with an offset of {group.offset:g}"
    return (
        f"each count as its share of the library total {step.covariate.name} ({whence}), an input of the score without "
        f"a coefficient{logarithm}"
    )
