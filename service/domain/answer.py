"""The stored form of an answer: what `POST /v1/scores` answers, without what is only known or derived later.

The bytes made here are what the audit entry commits to. `audit`, `superseded_by` and `retracted` are not part of them:
the first is known only after the commit, the others are derived whenever the answer is read.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import orjson

from service.domain.quality import Check, Quality, Verdict
from service.domain.score import Score
from service.domain.submission import PanelInput, Submission


class ModelIdentity(NamedTuple):
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

    `score_id` is None for a preview; `created_at` is RFC 3339 in UTC. Raises ValueError for a score with a number that
    is not finite, which JSON cannot say.
    """
    return {
        "id": score_id,
        "status": status_of(score, quality),
        "model": {
            "name": model.name,
            "version": model.version,
            "digest": model.digest,
            "status_claim": model.status_claim,
        },
        "subject": {"id": submission.subject.id},
        "specimen": {"id": submission.specimen.id},
        "score": None if score is None else _score(score),
        "contributions": None if score is None else _contributions(submission.inputs, score),
        "quality": {"verdict": quality.verdict, "checks": _checks(quality.checks)},
        "supersedes": submission.replaces,
        "created_at": created_at,
    }


def encode_answer(answer: dict[str, Any]) -> bytes:
    """The bytes that are stored and committed to: compact JSON in UTF-8, every number in its shortest exact form."""
    return orjson.dumps(answer)


def _score(score: Score) -> dict[str, Any]:
    total = score.value + score.baseline + (score.raw or 0.0) + sum(score.used) + sum(score.terms or ())
    if score.interval is not None:
        total += sum(score.interval)
    # A finite sum has finite summands; one that is not may only have overflowed.
    if not math.isfinite(total) and not all(map(math.isfinite, _numbers(score))):
        raise ValueError("A score holds a number that is not finite.")
    category, interval = score.category, score.interval
    document = {
        "value": score.value,
        "kind": score.kind,
        "link": score.link,
        "baseline": score.baseline,
        "raw": score.raw,
        "explanation": score.explanation,
        "interval": None if interval is None else {"level": interval.level, "low": interval.low, "high": interval.high},
        "category": None
        if category is None
        else {
            "code": category.code,
            "label": category.label,
            "cut_point": category.cut_point,
            "comparator": category.comparator,
        },
    }
    if score.calibration is not None:
        document["calibration"] = score.calibration
    return document


def _numbers(score: Score) -> tuple[float, ...]:
    return (score.value, score.baseline, score.raw or 0.0, *score.used, *(score.terms or ()), *(score.interval or ()))


def _contributions(inputs: tuple[PanelInput, ...], score: Score) -> list[dict[str, Any]] | None:
    """One object for each input: what was submitted (`value` is None where a rule supplied it), what was `used` after
    normalisation, and the `term`, on the link's scale: 0 for an input that others are only set against."""
    if score.terms is None:
        return None
    return [
        {
            "input": item.input,
            "code": item.code,
            "name": item.name,
            "value": item.value,
            "unit": item.unit,
            "used": used,
            "term": term,
        }
        for item, used, term in zip(inputs, score.used, score.terms, strict=True)
    ]


def _checks(checks: tuple[Check, ...]) -> list[dict[str, Any]]:
    return [
        {"code": code, "verdict": verdict, "observed": observed, "limit": limit, "source": source}
        for code, verdict, observed, limit, source in checks
    ]
