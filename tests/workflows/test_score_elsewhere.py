"""Scores of versions that are not a plain linear sum: an estimator in a process of its own, and a calibration step."""

import asyncio
import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import jsonschema
import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from service.api.schemas import ScoreAnswer
from service.errors import EstimatorFailed, EstimatorUnavailable
from service.registry.active import ModelVersion
from service.registry.build import proven_scorer
from service.registry.estimator_scorer import EstimatorScorer
from service.registry.lower import lower
from service.store.models import VersionRow
from service.workflows import read_scores
from service.workflows.keys import authenticate, create_key
from service.workflows.live_registry import LiveRegistry, loader
from service.workflows.score_specimen import Outcome, preview, score_specimen
from service.workflows.services import Services
from tests.registry import odd_estimators as odd
from tests.registry.artifacts import TRUSTED, rebuilt
from tests.registry.fitted import LABELS, MATRIX, digest, files_of, lowered_files, manifest_of, vectors_of
from tests.workflows.registering import put_in_force

Body = Callable[..., bytes]


def version_of(files: Mapping[str, bytes]) -> ModelVersion:
    manifest = manifest_of(files)
    return ModelVersion(
        name=manifest.name,
        version=manifest.version,
        digest=digest(files["manifest.json"]),
        state="approved",
        manifest=manifest,
        panel=manifest.panel(),
        scorer=proven_scorer(manifest, files, vectors_of(files)),
    )


@pytest.fixture
def services(services: Services, odd_files: Mapping[str, bytes], odd_version: ModelVersion) -> Services:
    """Services with the odd version in production, in the process that all tests share."""
    otherwise = loader(TRUSTED)

    def load(row: VersionRow, files: Mapping[str, bytes]) -> ModelVersion:
        return odd_version if row.digest == odd_version.digest else otherwise(row, files)

    ours = replace(services, registry=LiveRegistry(services.database, load))
    put_in_force(ours, odd_files)
    return ours


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> odd.Gate:
    return odd.Gate(tmp_path_factory.mktemp("gate"))


@pytest.fixture(scope="module")
def odd_files(gate: odd.Gate) -> Mapping[str, bytes]:
    return files_of(odd.Odd(gate=gate))


@pytest.fixture(scope="module")
def odd_version(odd_files: Mapping[str, bytes]) -> Iterator[ModelVersion]:
    version = version_of(odd_files)
    yield version
    scorer_of(version).close()


def scorer_of(version: ModelVersion) -> EstimatorScorer:
    assert isinstance(version.scorer, EstimatorScorer)
    return version.scorer


@pytest.fixture
def body(tb_request: dict[str, Any]) -> Body:
    def make(first: float, **changes: Any) -> bytes:
        request = tb_request | {"model": "odd-model@2.0.0"} | changes
        request["measurements"] = [dict(item) for item in tb_request["measurements"]]
        request["measurements"][0]["value"] = first
        return json.dumps(request).encode()

    return make


@pytest.fixture
def post(services: Services) -> Callable[[bytes], Any]:
    _, key = create_key(services, name="LIMS", scopes=["scores:write"], actor="system:cli")
    caller = authenticate(services, key)
    return lambda sent: score_specimen(services, caller, sent, None)


def answer_of(outcome: Outcome) -> dict[str, Any]:
    rendered = read_scores.render(outcome.answer, outcome.index, outcome.checkpoint, None, None)
    answer: dict[str, Any] = json.loads(rendered)
    jsonschema.Draft202012Validator(ScoreAnswer.model_json_schema()).validate(answer)
    return answer


def test_an_estimator_in_a_process_of_its_own_answers_without_terms(
    services: Services, odd_version: ModelVersion, post: Any, body: Body, clock: Any
) -> None:
    answer = answer_of(asyncio.run(post(body(0.75))))
    score = answer["score"]
    assert score["value"] == pytest.approx(1 / (1 + np.exp(-0.75)), abs=1e-15)
    assert (answer["contributions"], score["explanation"], score["raw"]) == (None, "not_additive", None)
    assert "calibration" not in score
    assert score["category"]["code"] == "elevated"
    shown = preview(services.registry.current, body(0.75), clock.now)
    assert (shown["score"], shown["contributions"]) == (score, None)


def test_callers_at_the_same_time_share_calls_and_one_that_leaves_harms_nobody(
    services: Services, odd_version: ModelVersion, gate: odd.Gate, post: Any, body: Body
) -> None:
    scorer = scorer_of(odd_version)
    before = scorer.stats()

    async def main() -> list[Any]:
        busy = asyncio.create_task(post(body(odd.WAITS)))
        await asyncio.to_thread(gate.wait_for_a_call)
        tasks = [asyncio.create_task(post(body(n / 10))) for n in range(16)]
        await asyncio.sleep(0.05)
        tasks[5].cancel()
        await asyncio.sleep(0.05)
        gate.open()
        outcomes = await asyncio.gather(busy, *tasks, return_exceptions=True)
        assert isinstance(outcomes.pop(6), asyncio.CancelledError)
        return outcomes

    values = [answer_of(outcome)["score"]["value"] for outcome in asyncio.run(main())]
    sent = [odd.WAITS, *(n / 10 for n in range(16) if n != 5)]
    assert values == pytest.approx([1 / (1 + np.exp(-first)) for first in sent], abs=1e-15)
    after = scorer.stats()
    assert (after["calls"] - before["calls"], after["rows"] - before["rows"]) == (2, 16)


@pytest.mark.parametrize(
    ("first", "error"),
    [(odd.NO_NUMBER, EstimatorFailed), (odd.FAILS, EstimatorFailed), (odd.KILLS, EstimatorUnavailable)],
)
def test_a_score_that_was_not_computed_is_not_stored(
    services: Services, odd_version: ModelVersion, post: Any, body: Body, first: float, error: type[Exception]
) -> None:
    with pytest.raises(error):
        asyncio.run(post(body(first)))
    with services.database.read() as connection:
        assert connection.sqlalchemy.exec_driver_sql("SELECT count(*) FROM score").scalar_one() == 0
    assert answer_of(asyncio.run(post(body(0.5))))["status"] == "final"


def test_a_killed_process_is_503_and_then_scores_again(
    services: Services, odd_version: ModelVersion, gate: odd.Gate, post: Any, body: Body
) -> None:
    pid = scorer_of(odd_version).pid
    assert pid is not None

    async def main() -> None:
        busy = asyncio.create_task(post(body(odd.WAITS)))
        await asyncio.to_thread(gate.wait_for_a_call)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(EstimatorUnavailable) as caught:
            await busy
        assert (caught.value.http_status, caught.value.retry_after) == (503, 1)
        assert answer_of(await post(body(0.5)))["status"] == "final"

    asyncio.run(main())


def test_a_panel_that_failed_a_gate_never_reaches_the_estimator(
    services: Services, odd_version: ModelVersion, post: Any, body: Body
) -> None:
    before = scorer_of(odd_version).stats()
    cq = {"code": "cq", "unit": "{Cq}"}
    quality = [cq | {"analyte": "hsa-miR-23a-3p", "value": 30.0}, cq | {"analyte": "hsa-miR-451a", "value": 20.0}]
    answer = answer_of(asyncio.run(post(body(0.5, quality=quality))))
    assert (answer["status"], answer["score"]) == ("not_reportable", None)
    assert scorer_of(odd_version).stats() == before


@pytest.mark.parametrize(
    ("method", "ensemble", "named"), [("isotonic", False, "isotonic"), ("sigmoid", True, "fold_averaged")]
)
def test_a_calibration_step_is_named_and_the_value_before_it_shown(
    services: Services, post: Any, body: Body, method: str, ensemble: bool, named: str
) -> None:
    base = FrozenEstimator(LogisticRegression().fit(MATRIX, LABELS))
    estimator = CalibratedClassifierCV(base, method=method, ensemble=ensemble, cv=3).fit(MATRIX, LABELS)
    files = lowered_files(estimator, lower(estimator, width=6))
    document = json.loads(files["manifest.json"]) | {"version": "2.1.0"}
    put_in_force(services, rebuilt(files, document))
    sent = body(0.5, model="odd-model@2.1.0")
    answer = answer_of(asyncio.run(post(sent)))
    score = answer["score"]
    assert (score["calibration"], score["link"], score["kind"]) == (named, "identity", "probability")
    total = score["baseline"]
    for contribution in answer["contributions"]:
        total += contribution["term"]
    assert score["raw"] == total
    row = np.array([[item["value"] for item in answer["contributions"]]])
    assert score["value"] == pytest.approx(estimator.predict_proba(row)[0, 1], abs=1e-10)
