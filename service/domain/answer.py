"""The stored form of an answer: what `POST /v1/scores` answers, without what is only known or derived later.

The bytes made here are what the audit entry commits to. `audit`, `superseded_by` and `retracted` are not part of them:
the first is known only after the commit, the others are derived whenever the answer is read.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from service.domain.quality import Quality, Verdict
from service.domain.score import Score
from service.domain.submission import Submission


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which exact version answered: name, SemVer, `sha256:` digest of its manifest, and what it claims to be."""

    name: str
    version: str
    digest: str
    status_claim: str


def status_of(score: Score | None, quality: Quality) -> str:
    """`not_reportable` where a gate failed, `indeterminate` inside the indeterminate zone, else `final`."""
    if score is None or quality.verdict is Verdict.FAIL:
        return "not_reportable"
    return "indeterminate" if score.category is not None and score.category.indeterminate else "final"


def stored_answer(
    *,
    score_id: str | None,
    submission: Submission,
    model: ModelIdentity,
    score: Score | None,
    quality: Quality,
    created_at: str,
) -> dict[str, Any]:
    """The answer of one scored or withheld specimen as a JSON document.

    `score_id` is None for a preview; `created_at` is RFC 3339 in UTC.
    """
    return {
        "id": score_id,
        "status": status_of(score, quality),
        "model": asdict(model),
        "subject": {"id": submission.subject.id},
        "specimen": {"id": submission.specimen.id},
        "score": None if score is None else _score(score),
        "contributions": _contributions(score),
        "quality": {
            "verdict": quality.verdict.value,
            "checks": [asdict(check) | {"verdict": check.verdict.value} for check in quality.checks],
        },
        "supersedes": submission.replaces,
        "created_at": created_at,
    }


def encode_answer(answer: dict[str, Any]) -> bytes:
    """The bytes that are stored and committed to: compact JSON in UTF-8; a number that is not finite raises."""
    return json.dumps(answer, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _score(score: Score) -> dict[str, Any]:
    category = score.category
    return {
        "value": score.value,
        "kind": score.kind,
        "link": score.link,
        "baseline": score.baseline,
        "raw": score.raw,
        "explanation": score.explanation,
        "interval": score.interval,
        "category": None
        if category is None
        else {
            "code": category.code,
            "label": category.label,
            "cut_point": category.cut_point,
            "comparator": category.comparator,
        },
    }


def _contributions(score: Score | None) -> list[dict[str, Any]] | None:
    if score is None or score.contributions is None:
        return None
    return [asdict(contribution) for contribution in score.contributions]
