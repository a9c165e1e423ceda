"""What a shadow's process answers: the way of a request, for any model a body names, and no trouble from one input."""

import json
from array import array
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from service.errors import ArtifactRejected, EstimatorFailed
from service.registry.estimator_scorer import EstimatorScorer
from service.registry.opened import OpenedScorer
from service.workflows.shadow_worker import ShadowWorker
from tests.registry import odd_estimators as odd
from tests.registry.artifacts import TRUSTED
from tests.registry.fitted import LABELS, MATRIX, manifest_of
from tests.workflows.shadow_models import Files, around, opened, shifted, unloaded

AT = "2026-03-04T12:00:00+00:00"


def load(worker: ShadowWorker, files: Files, **more: Any) -> None:
    version = unloaded(files)
    header = {"do": "load", "name": version.name, "version": version.version, "digest": version.digest}
    header |= {"trusted": TRUSTED, "files": {name: len(data) for name, data in files.items()}} | more
    worker.handle(header, bytearray(b"".join(files.values())))


def ask(worker: ShadowWorker, *bodies: bytes, seconds: float = 60) -> list[tuple[str, float | None, str | None]]:
    header = {"do": "score", "inputs": [[len(body), AT] for body in bodies], "seconds": seconds}
    answer, values = worker.handle(header, bytearray(b"".join(bodies)))
    found = array("d", bytes(values))
    return [
        (status, None if np.isnan(value) else value, category)
        for (status, category), value in zip(answer["results"], found, strict=True)
    ]


def first(request: dict[str, Any], value: float) -> bytes:
    return json.dumps(
        request | {"measurements": [request["measurements"][0] | {"value": value}, *request["measurements"][1:]]}
    ).encode()


def without_signature(files: Files) -> Files:
    return {name: data for name, data in files.items() if name != "signature"}


@pytest.mark.parametrize("model", ["tb-exosomal-mirna", "tb-exosomal-mirna@1.0.0", "tb-exosomal-mirna@none", "other"])
def test_the_shadow_answers_whatever_model_is_named(tb_request: dict[str, Any], model: str) -> None:
    worker = ShadowWorker()
    load(worker, shifted())
    ((status, value, category),) = ask(worker, json.dumps(tb_request | {"model": model}).encode())
    load(worker, shifted(by=0.0))
    ((_, unshifted, _),) = ask(worker, json.dumps(tb_request).encode())
    assert (status, category is not None) == ("final", True)
    assert value is not None
    assert unshifted is not None
    assert np.log(value / (1 - value)) - np.log(unshifted / (1 - unshifted)) == pytest.approx(0.75)


def test_each_input_has_a_result_of_its_own(tb_request: dict[str, Any]) -> None:
    worker = ShadowWorker()
    load(worker, shifted(high=5.0))
    haemolysed = [
        {"code": "cq", "analyte": "hsa-miR-23a-3p", "value": 30.0, "unit": "{Cq}"},
        {"code": "cq", "analyte": "hsa-miR-451a", "value": 20.0, "unit": "{Cq}"},
    ]
    found = ask(
        worker,
        first(tb_request, 5.0),
        first(tb_request, 5.5),
        json.dumps(tb_request | {"quality": haemolysed}).encode(),
        b"{",
        first(tb_request, 5.0),
    )
    assert [status for status, _, _ in found] == ["final", "refused", "not_reportable", "refused", "final"]
    assert found[0] == found[4]
    assert [(value, category) for _, value, category in found[1:4]] == [(None, None)] * 3


def test_an_estimator_that_fails_for_one_input_is_asked_for_the_next(tb_request: dict[str, Any]) -> None:
    worker = ShadowWorker()
    load(worker, around(odd.Odd()))
    values = (0.5, odd.FAILS, odd.NO_NUMBER, odd.NO_PROBABILITY, 0.5)
    found = ask(worker, *(first(tb_request, value) for value in values))
    assert [status for status, _, _ in found] == ["final", "failed", "failed", "failed", "final"]
    assert found[0][1] == pytest.approx(1 / (1 + np.exp(-0.5)))


def test_a_call_ends_when_its_time_is_over(tb_request: dict[str, Any]) -> None:
    worker = ShadowWorker()
    load(worker, shifted())
    bodies = [first(tb_request, 0.5)] * 5
    assert len(ask(worker, *bodies, seconds=0)) == 1
    assert len(ask(worker, *bodies)) == 5


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda files: files | {"golden.json": files["golden.json"] + b" "}, "digest"),
        (lambda files: files | {"more.txt": b""}, "not listed"),
        (lambda files: files | {"manifest.json": files["manifest.json"] + b" "}, "digest"),
    ],
    ids=["another byte", "another file", "another manifest"],
)
def test_other_files_than_the_version_s_are_refused(spoil: Any, said: str) -> None:
    files = shifted()
    version = unloaded(files)
    with pytest.raises(ArtifactRejected, match=said):
        load(ShadowWorker(), spoil(files), digest=version.digest)
    with pytest.raises(ArtifactRejected, match="version"):
        load(ShadowWorker(), files, version="9.0.0")


def test_an_estimator_that_no_trusted_publisher_signed_is_not_opened() -> None:
    files = around(odd.Unloadable(), values=np.full(40, 0.5))
    with pytest.raises(ArtifactRejected, match="trusted"):
        load(ShadowWorker(), files, trusted=[])
    del files["signature"]
    with pytest.raises(ArtifactRejected, match="no publisher"):
        load(ShadowWorker(), files)


def test_a_version_that_does_not_give_its_golden_values_is_refused() -> None:
    with pytest.raises(ArtifactRejected, match="golden self-test"):
        load(ShadowWorker(), around(odd.Odd(), values=np.full(40, 0.5)))


def test_the_numbers_are_those_of_the_server_s_own_process() -> None:
    files = around(RandomForestClassifier(20, random_state=1).fit(MATRIX, LABELS))
    manifest = manifest_of(files)
    elsewhere = EstimatorScorer(manifest, files)
    try:
        expected = elsewhere.score(MATRIX)
    finally:
        elsewhere.close()
    here = OpenedScorer(manifest, without_signature(files), signed=True)
    found = here.score(MATRIX)
    np.testing.assert_allclose(found.value, expected.value, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found.used, expected.used)
    one = here.score_one(MATRIX[3].tolist())
    assert one.value == pytest.approx(expected.value[3], abs=1e-12)
    assert (one.terms, one.raw, one.baseline, len(one.used)) == (None, None, 0.0, MATRIX.shape[1])
    with pytest.raises(ValueError, match="not finite"):
        here.score_one([float("nan")] * 6)
    with pytest.raises(ValueError, match="6"):
        here.score_one([0.0] * 5)
    strange = around(odd.Odd())
    with pytest.raises(EstimatorFailed):
        OpenedScorer(manifest_of(strange), without_signature(strange), signed=True).score_one(
            [odd.NO_NUMBER, *[0.0] * 5]
        )
    assert opened(files).scorer is not None
