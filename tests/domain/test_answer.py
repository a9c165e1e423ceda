"""The stored form of an answer: its keys in their order, its numbers exact, and none that JSON cannot say."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.answer import ModelIdentity, encode_answer, stored_answer
from service.domain.quality import Quality, assess
from service.domain.score import Category, Interval, Score
from service.domain.submission import Submission

MODEL = ModelIdentity("any-model", "1.0.0", "sha256:" + "0" * 64, "research_use_only")
GREY = Category("grey", "Indeterminate", 0.4, ">", indeterminate=True)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture
def submission(submit: Callable[..., Submission], request_document: dict[str, Any]) -> Submission:
    return submit(request_document)


def answer(submission: Submission, score: Score | None, quality: Quality) -> dict[str, Any]:
    return stored_answer(
        score_id="s", submission=submission, model=MODEL, score=score, quality=quality, created_at="2026-01-21"
    )


def scored(submission: Submission, value: float = 0.5, **changes: Any) -> Score:
    used = tuple(item.used for item in submission.inputs)
    terms = tuple(number / 3 for number in used)
    return Score(value, "probability", "logit", 0.1, used, terms, GREY)._replace(**changes)


def test_an_answer_says_what_was_sent_what_was_used_and_what_it_adds(submission: Submission) -> None:
    document = json.loads(encode_answer(answer(submission, scored(submission), assess(submission))))
    assert list(document) == [
        "id", "status", "model", "subject", "specimen", "score", "contributions", "quality", "supersedes", "created_at",
    ]  # fmt: skip
    assert document["status"] == "indeterminate"
    assert document["model"] == MODEL._asdict()
    contributions = document["contributions"]
    assert [list(item) for item in contributions] == [["input", "code", "name", "value", "unit", "used", "term"]] * len(
        submission.inputs
    )
    for item, sent in zip(contributions, submission.inputs, strict=True):
        expected = {**sent._asdict(), "term": sent.used / 3}
        del expected["substituted"]
        assert item == expected
    category = document["score"]["category"]
    assert category == {"code": "grey", "label": "Indeterminate", "cut_point": 0.4, "comparator": ">"}
    assert document["quality"]["verdict"] == "pass"
    assert list(document["quality"]["checks"][0]) == ["code", "verdict", "observed", "limit", "source"]


def test_a_withheld_score_is_null(submission: Submission) -> None:
    document = answer(submission, None, assess(submission))
    assert (document["status"], document["score"], document["contributions"]) == ("not_reportable", None, None)


def test_a_score_without_terms_has_no_contributions(submission: Submission) -> None:
    document = answer(submission, scored(submission, terms=None, category=None), assess(submission))
    assert (document["contributions"], document["score"]["explanation"]) == (None, "not_additive")
    assert (document["status"], document["score"]["category"]) == ("final", None)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")], ids=str)
@pytest.mark.parametrize("place", ["value", "baseline", "raw", "used", "terms"])
def test_a_number_that_is_not_finite_is_never_written(submission: Submission, place: str, number: float) -> None:
    score = scored(submission)
    broken: Any = (*getattr(score, place)[1:], number) if place in {"used", "terms"} else number
    with pytest.raises(ValueError, match="not finite"):
        answer(submission, score._replace(**{place: broken}), assess(submission))


@given(FINITE | st.integers(-(2**53), 2**53))
def test_numbers_are_read_back_exactly(number: float) -> None:
    assert repr(json.loads(encode_answer({"value": number}))["value"]) == repr(number)


def test_a_calibration_step_is_named_beside_the_value_before_it(submission: Submission) -> None:
    quality = assess(submission)
    plain = answer(submission, scored(submission), quality)["score"]
    assert (plain["raw"], "calibration" in plain) == (None, False)
    stepped = answer(submission, scored(submission, raw=-0.25, calibration="isotonic"), quality)["score"]
    assert (stepped["raw"], stepped["calibration"]) == (-0.25, "isotonic")
    with pytest.raises(ValueError, match="not finite"):
        answer(submission, scored(submission, raw=float("nan"), calibration="isotonic"), quality)


def test_an_interval_stands_beside_its_value(submission: Submission) -> None:
    quality = assess(submission)
    assert answer(submission, scored(submission), quality)["score"]["interval"] is None
    document = answer(submission, scored(submission, interval=Interval(0.95, 0.4, 0.6)), quality)
    assert json.loads(encode_answer(document))["score"]["interval"] == {"level": 0.95, "low": 0.4, "high": 0.6}
    for broken in (Interval(0.95, float("-inf"), 0.6), Interval(0.95, 0.4, float("nan"))):
        with pytest.raises(ValueError, match="not finite"):
            answer(submission, scored(submission, interval=broken), quality)
