"""An estimator in a process of its own: its numbers, shared calls, callers that go away, and every way to fail."""

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from service.errors import ArtifactRejected, ChildEnded, EstimatorFailed, EstimatorUnavailable
from service.registry.build import build_scorer, proven_scorer
from service.registry.child import Child
from service.registry.estimator_process import (
    PAUSE_SECONDS,
    ROWS_IN_ONE_CALL,
    ROWS_WAITING,
    EstimatorProcess,
    start_worker,
)
from service.registry.estimator_scorer import EstimatorScorer
from service.registry.manifest import parse_manifest
from service.registry.scorer import ScoredRow
from service.registry.transforms import transform_matrix
from tests.registry import odd_estimators as odd
from tests.registry.fitted import LABELS, MATRIX, WIDTH, document_of, files_of, manifest_of, vectors_of
from tests.registry.spread import spread_document, spread_matrix

ROOT = Path(__file__).parents[2]
Start = Callable[..., EstimatorScorer]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[EstimatorScorer] = []

    def make(estimator: Any, document: dict[str, Any] | None = None, **options: Any) -> EstimatorScorer:
        files = files_of(estimator, document)
        started.append(EstimatorScorer(manifest_of(files), files, **options))
        return started[-1]

    yield make
    for scorer in started:
        scorer.close()
        assert scorer.pid is None


@pytest.fixture
def gate(tmp_path: Path) -> odd.Gate:
    return odd.Gate(tmp_path)


async def standing(scorer: EstimatorScorer, gate: odd.Gate) -> "asyncio.Task[ScoredRow]":
    """A call that keeps the process busy until the gate is opened."""
    busy = asyncio.create_task(scorer.score_soon(row(odd.WAITS)))
    await asyncio.to_thread(gate.wait_for_a_call)
    return busy


async def begun(*calls: Coroutine[Any, Any, ScoredRow]) -> "list[asyncio.Task[ScoredRow]]":
    """Tasks that have come as far as they can without an answer."""
    tasks = [asyncio.create_task(call) for call in calls]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


def row(first: float = 0.25) -> list[float]:
    return [first, *[0.0] * (WIDTH - 1)]


def probability(first: float) -> float:
    return 1.0 / (1.0 + float(np.exp(-first)))


def wait_for(holds: Callable[[], bool]) -> None:
    limit = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(30, random_state=1, n_jobs=2),
        HistGradientBoostingClassifier(max_iter=20, random_state=1),
        make_pipeline(StandardScaler(), LogisticRegression()),
        CalibratedClassifierCV(RandomForestClassifier(8, random_state=1), method="isotonic", cv=3),
        KNeighborsClassifier(5, n_jobs=2),
    ],
    ids=["forest", "boosting", "pipeline", "calibrated forest", "neighbours"],
)
def test_the_numbers_are_the_estimators_own(estimator: Any, start: Start) -> None:
    estimator.fit(MATRIX, LABELS)
    scorer = start(estimator)
    expected = estimator.predict_proba(MATRIX)[:, 1]
    for matrix in (MATRIX, np.asfortranarray(MATRIX)):
        scored = scorer.score(matrix)
        assert np.abs(scored.value - expected).max() <= 1e-12
        assert (scored.terms, scored.raw, scored.baseline) == (None, None, 0.0)
        assert np.array_equal(scored.used, MATRIX)
    for index in range(0, len(MATRIX), 29):
        alone = scorer.score_one(MATRIX[index].tolist())
        assert abs(alone.value - estimator.predict_proba(MATRIX[index : index + 1])[0, 1]) <= 1e-12
        assert alone.used == tuple(MATRIX[index].tolist())
        assert (alone.terms, alone.raw, alone.baseline) == (None, None, 0.0)


def test_the_class_that_is_asked_for_is_answered(start: Start) -> None:
    document = document_of()
    document["estimator"]["positive_class"] = document["estimator"]["classes"][0]
    scorer = start(odd.Odd(), document)
    assert scorer.score_one(row()).value == pytest.approx(1.0 - probability(0.25), abs=1e-15)


def test_locked_normalisation_comes_before_the_estimator(start: Start) -> None:
    document = document_of()
    first = document["panel"][0]["analyte"]
    document["normalisation"] = [{"step": "scale", "analyte": first, "centre": 1.0, "spread": 2.0}]
    scorer = start(odd.Odd(), document)
    one = scorer.score_one(row(4.0))
    assert (one.value, one.used[0]) == (pytest.approx(probability(1.5), abs=1e-15), 1.5)
    many = scorer.score(np.array([row(4.0)]))
    assert (many.value.tolist(), many.used[0].tolist()) == ([one.value], list(one.used))


@pytest.mark.parametrize("rows", [0, 1, ROWS_IN_ONE_CALL, 8193])
def test_many_rows_go_in_calls_of_limited_size(start: Start, rows: int) -> None:
    scorer = start(odd.Odd())
    matrix = np.random.default_rng(rows).uniform(-5, 5, size=(rows, WIDTH))
    scored = scorer.score(matrix)
    assert scored.value.shape == (rows,)
    assert np.abs(scored.value - 1.0 / (1.0 + np.exp(-matrix[:, 0]))).max(initial=0.0) <= 1e-15
    calls = -(-rows // ROWS_IN_ONE_CALL)
    assert scorer.stats() == {"calls": calls, "rows": rows}


@pytest.mark.parametrize("values", [[0.0], [np.nan] * WIDTH, [np.inf] + [0.0] * 5], ids=["short", "nan", "infinity"])
def test_what_no_estimator_takes_is_refused_before_it(start: Start, values: list[float]) -> None:
    scorer = start(odd.Odd())
    with pytest.raises(ValueError, match=r"finite|numbers"):
        scorer.score_one(values)
    with pytest.raises(ValueError, match=r"finite|columns"):
        scorer.score(np.array([values]))
    with pytest.raises(ValueError, match=r"finite|numbers"):
        asyncio.run(scorer.score_soon(values))
    assert scorer.stats() == {"calls": 0, "rows": 0}


def test_concurrent_tasks_share_calls_and_get_their_own_rows(start: Start, gate: odd.Gate) -> None:
    scorer = start(odd.Odd(gate=gate))

    async def main() -> list[float]:
        busy = await standing(scorer, gate)
        rest = await begun(*[scorer.score_soon(row(n / 100)) for n in range(200)])
        gate.open()
        found = await asyncio.gather(busy, *rest)
        return [one.value for one in found[1:]]

    values = asyncio.run(main())
    assert values == pytest.approx([probability(n / 100) for n in range(200)], abs=1e-15)
    assert scorer.stats() == {"calls": 2, "rows": 201}


def test_concurrent_threads_share_calls(start: Start, gate: odd.Gate) -> None:
    scorer = start(odd.Odd(gate=gate))
    with ThreadPoolExecutor(18) as pool:
        busy = pool.submit(scorer.score_one, row(odd.WAITS))
        gate.wait_for_a_call()
        many = pool.submit(scorer.score, np.array([row(n / 10) for n in range(50)]))
        single = [pool.submit(scorer.score_one, row(n / 100)) for n in range(16)]
        time.sleep(0.1)
        gate.open()
        assert [one.result().value for one in single] == pytest.approx([probability(n / 100) for n in range(16)])
        assert many.result().value.tolist() == pytest.approx([probability(n / 10) for n in range(50)])
        busy.result()
    stats = scorer.stats()
    assert stats["rows"] == 67
    assert stats["calls"] < 18


def test_the_event_loop_stays_free(start: Start) -> None:
    scorer = start(odd.Odd())

    async def main() -> int:
        slow, ticks = asyncio.create_task(scorer.score_soon(row(odd.SLEEPS))), 0
        while not slow.done():
            await asyncio.sleep(0.005)
            ticks += 1
        return ticks

    assert asyncio.run(main()) > 10


def test_a_cancelled_caller_harms_no_other(start: Start, gate: odd.Gate) -> None:
    scorer = start(odd.Odd(gate=gate))

    async def main() -> None:
        busy = await standing(scorer, gate)
        tasks = await begun(*[scorer.score_soon(row(n / 10)) for n in range(20)])
        for task in tasks[::2]:
            task.cancel()
        busy.cancel()  # its row is being computed: the answer finds nobody
        await begun()
        gate.open()
        outcomes = await asyncio.gather(busy, *tasks, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in [outcomes[0], *outcomes[1::2]])
        assert [one.value for one in outcomes[2::2]] == pytest.approx([probability(n / 10) for n in range(1, 20, 2)])

    asyncio.run(main())
    assert scorer.stats() == {"calls": 2, "rows": 11}
    assert scorer.score_one(row()).value == pytest.approx(probability(0.25))


def test_an_event_loop_that_has_gone_harms_nobody(start: Start, gate: odd.Gate) -> None:
    scorer = start(odd.Odd(gate=gate))

    async def leave() -> None:
        await standing(scorer, gate)

    asyncio.run(leave())
    gate.open()
    assert scorer.score_one(row()).value == pytest.approx(probability(0.25))


@pytest.mark.parametrize("bad", [odd.NO_NUMBER, odd.NO_PROBABILITY, odd.FAILS], ids=["nan", "above one", "raises"])
def test_an_input_without_a_probability_fails_alone(start: Start, gate: odd.Gate, bad: float) -> None:
    scorer = start(odd.Odd(gate=gate))

    async def main() -> list[Any]:
        busy = await standing(scorer, gate)
        tasks = await begun(*[scorer.score_soon(row(value)) for value in (0.5, bad, 1.0)])
        gate.open()
        return (await asyncio.gather(busy, *tasks, return_exceptions=True))[1:]

    first, second, third = asyncio.run(main())
    assert (first.value, third.value) == pytest.approx((probability(0.5), probability(1.0)))
    assert isinstance(second, EstimatorFailed)
    assert second.http_status == 500
    assert "zq-marker" not in second.message + second.remedy
    pid = scorer.pid
    for refused in (lambda: scorer.score_one(row(bad)), lambda: scorer.score(np.array([row(), row(bad)]))):
        with pytest.raises(EstimatorFailed):
            refused()
    assert scorer.pid == pid


def test_a_killed_process_fails_its_calls_and_later_ones_work(start: Start, gate: odd.Gate) -> None:
    scorer = start(odd.Odd(gate=gate))
    pid = scorer.pid
    assert pid is not None

    async def main() -> None:
        busy = await standing(scorer, gate)
        waiting = await begun(*[scorer.score_soon(row(n / 10)) for n in range(4)])
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(EstimatorUnavailable) as caught:
            await busy
        assert (caught.value.http_status, caught.value.retry_after) == (503, 1)
        # Those that were still waiting are answered by the next process.
        found = await asyncio.gather(*waiting)
        assert [one.value for one in found] == pytest.approx([probability(n / 10) for n in range(4)])

    asyncio.run(main())
    assert is_gone(pid)
    assert scorer.pid not in {None, pid}


def test_an_idle_process_that_is_killed_is_started_again_unasked(start: Start) -> None:
    scorer = start(odd.Odd())
    pid = scorer.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: scorer.pid not in {None, pid})
    assert scorer.score_one(row()).value == pytest.approx(probability(0.25))


def test_an_input_that_kills_again_and_again_is_paused_for_and_survived(start: Start) -> None:
    scorer = start(odd.Odd())
    for _ in range(2):
        with pytest.raises(EstimatorUnavailable):
            scorer.score_one(row(odd.KILLS))
    began = time.monotonic()
    with pytest.raises(EstimatorUnavailable):  # refused at once, while it pauses
        scorer.score_one(row())
    assert time.monotonic() - began < 0.4
    wait_for(lambda: scorer.pid is not None)
    assert scorer.score_one(row()).value == pytest.approx(probability(0.25))


def test_memory_that_runs_out_ends_the_process_alone(start: Start) -> None:
    scorer = start(odd.Odd())
    with pytest.raises(EstimatorUnavailable):
        scorer.score_one(row(odd.EATS))
    assert scorer.score_one(row()).value == pytest.approx(probability(0.25))


def test_a_call_that_takes_too_long_is_given_up(start: Start) -> None:
    scorer = start(odd.Odd(), call_seconds=0.2)
    with pytest.raises(EstimatorUnavailable):
        scorer.score_one(row(odd.SLEEPS))
    assert scorer.score_one(row()).value == pytest.approx(probability(0.25))


def test_more_than_may_wait_are_refused(gate: odd.Gate) -> None:
    files = files_of(odd.Odd(gate=gate))
    process = EstimatorProcess("odd@1.0.0", lambda on_end: start_worker(manifest_of(files), files, on_end=on_end))
    try:
        first = process.submit(np.array([row(odd.WAITS)]))
        gate.wait_for_a_call()
        full = [process.submit(np.zeros((ROWS_IN_ONE_CALL, WIDTH))) for _ in range(ROWS_WAITING // ROWS_IN_ONE_CALL)]
        with pytest.raises(EstimatorUnavailable, match="Too many"):
            process.submit(np.array([row()]))
        with pytest.raises(ValueError, match="one call"):
            process.submit(np.zeros((ROWS_IN_ONE_CALL + 1, WIDTH)))
        full[0].cancel()
        gate.open()
        assert first.result().tolist() == [probability(odd.WAITS)]
        assert all((one.result() == 0.5).all() for one in full[1:])
        assert process.stats() == {"calls": len(full), "rows": 1 + ROWS_WAITING - ROWS_IN_ONE_CALL}
    finally:
        process.close()


def test_a_start_that_is_slow_is_waited_for(start: Start) -> None:
    began = time.monotonic()
    scorer = start(odd.Odd(slow_load=1.0))
    assert time.monotonic() - began >= 1.0
    pid = scorer.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: scorer.pid is None)
    assert scorer.score_one(row()).value == pytest.approx(probability(0.25))


def test_what_it_prints_goes_nowhere(start: Start, capfd: pytest.CaptureFixture[str]) -> None:
    start(odd.Odd()).score_one(row(odd.CHATTERS))
    assert "zq-marker" not in "".join(capfd.readouterr())


def test_a_closed_scorer_finishes_what_waits_and_takes_nothing_more(gate: odd.Gate) -> None:
    files = files_of(odd.Odd(gate=gate))
    scorer = EstimatorScorer(manifest_of(files), files)
    pid = scorer.pid
    assert pid is not None
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(scorer.score_one, row(odd.WAITS))]
        gate.wait_for_a_call()
        waiting.append(pool.submit(scorer.score_one, row()))
        time.sleep(0.1)
        closing = pool.submit(scorer.close)
        gate.open()
        assert [one.result().value for one in waiting] == [probability(odd.WAITS), probability(0.25)]
        closing.result()
    assert is_gone(pid)
    for refused in (lambda: scorer.score_one(row()), lambda: asyncio.run(scorer.score_soon(row())), scorer.stats):
        with pytest.raises(EstimatorUnavailable):
            refused()
    scorer.close()


@pytest.mark.parametrize(
    ("estimator", "said"),
    [
        (odd.Three(), "two classes"),
        (odd.Mute(), "predict_proba"),
        (odd.Unloadable(), r"cannot be loaded \(ValueError\)"),
        (odd.Odd(width=5), "number of inputs"),
    ],
    ids=["three classes", "no probabilities", "cannot be opened", "width"],
)
def test_an_estimator_that_does_not_fit_is_rejected(estimator: Any, said: str) -> None:
    files = files_of(estimator, values=np.full(40, 0.5))
    with pytest.raises(ArtifactRejected, match=said) as caught:
        build_scorer(manifest_of(files), files)
    assert "zq-marker" not in caught.value.message


def test_an_estimator_with_another_shape_of_answer_fails_its_self_test() -> None:
    files = files_of(odd.Wide(), values=np.full(40, 1 / 3))
    with pytest.raises(ArtifactRejected, match="self-test"):
        proven_scorer(manifest_of(files), files, vectors_of(files))


def test_a_self_test_that_fails_leaves_no_process() -> None:
    files = files_of(odd.Odd(), values=np.full(40, 0.5))
    before = {thread.name for thread in threading.enumerate()}
    with pytest.raises(ArtifactRejected, match="values differ"):
        proven_scorer(manifest_of(files), files, vectors_of(files))
    gc.collect()
    assert {thread.name for thread in threading.enumerate()} <= before
    assert not [child for child in children_of(os.getpid()) if "service.registry.worker" in child]


def test_files_that_are_not_the_manifests_are_rejected_once_more() -> None:
    files = files_of(odd.Odd())
    manifest = manifest_of(files)
    with pytest.raises(ArtifactRejected, match="not those the manifest lists"):
        EstimatorScorer(manifest, files | {"estimator.joblib": files["estimator.joblib"] + b"\0"})


def test_an_estimator_that_ends_its_process_is_unavailable() -> None:
    files = files_of(odd.Odd(dies=True))
    with pytest.raises(EstimatorUnavailable, match=r"not started.*signal 9"):
        EstimatorScorer(manifest_of(files), files)


def test_a_process_that_cannot_be_started_again_is_tried_again_and_refuses_meanwhile() -> None:
    files, begun_at = files_of(odd.Odd()), []

    def start(on_end: Callable[[], None]) -> Child:
        begun_at.append(time.monotonic())
        if len(begun_at) in {2, 3}:
            raise ChildEnded("No process today.")
        return start_worker(manifest_of(files), files, on_end=on_end)

    process = EstimatorProcess("odd@1.0.0", start)
    try:
        first = process.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: len(begun_at) == 2)
        with pytest.raises(EstimatorUnavailable):
            process.submit(np.array([row()])).result()
        with pytest.raises(EstimatorUnavailable):
            process.stats()
        wait_for(lambda: process.pid not in {None, first})
        assert process.submit(np.array([row(0.0)])).result().tolist() == [0.5]
    finally:
        process.close()
    assert len(begun_at) == 4
    # At once the first time, then after pauses that double.
    assert begun_at[2] - begun_at[1] >= PAUSE_SECONDS
    assert begun_at[3] - begun_at[2] >= 2 * PAUSE_SECONDS


def test_the_process_that_serves_never_imports_the_learning_library(tmp_path: Path) -> None:
    for name, data in files_of(RandomForestClassifier(5, random_state=0).fit(MATRIX, LABELS)).items():
        (tmp_path / name).write_bytes(data)
    program = """
import sys
from pathlib import Path
from service.registry.build import proven_scorer
from service.registry.golden import parse_golden
from service.registry.manifest import parse_manifest
files = {path.name: path.read_bytes() for path in Path(sys.argv[1]).iterdir()}
manifest = parse_manifest(files["manifest.json"])
scorer = proven_scorer(manifest, files, parse_golden(files["golden.json"], manifest))
value = scorer.score_one([0.0] * 6).value
scorer.close()
print(sorted({"sklearn", "joblib", "scipy"} & set(sys.modules)), 0 <= value <= 1)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout == "[] True\n"


def children_of(pid: int) -> list[str]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [Path(f"/proc/{child}/cmdline").read_text() for child in listed]


def test_an_estimator_sees_only_columns_with_a_term() -> None:
    document = spread_document()
    document["estimator"] |= {"lowered": None, "coefficient_covariance": "not available"}
    matrix = spread_matrix()
    manifest = parse_manifest(json.dumps(document).encode())
    used = transform_matrix(matrix, manifest.transforms())
    seen = used[:, manifest.places_with_terms]
    labels = (seen[:, 0] > np.median(seen[:, 0])).astype(int)
    forest = RandomForestClassifier(n_estimators=10, random_state=1).fit(seen, labels)
    files = files_of(forest, document, forest.predict_proba(seen[:40])[:, 1], matrix)
    scorer = proven_scorer(manifest_of(files), files, vectors_of(files))
    assert isinstance(scorer, EstimatorScorer)
    try:
        found, alone = scorer.score(matrix), scorer.score_one(matrix[3].tolist())
    finally:
        scorer.close()
    assert found.value == pytest.approx(forest.predict_proba(seen)[:, 1], abs=1e-12)
    assert found.used.tobytes() == used.tobytes()
    assert (alone.value, alone.used) == (found.value[3], tuple(used[3].tolist()))
    assert (alone.terms, alone.interval, found.interval) == (None, None, None)


def test_an_estimator_over_all_columns_is_refused_where_some_have_no_term() -> None:
    document = spread_document()
    document["estimator"] |= {"lowered": None, "coefficient_covariance": "not available"}
    matrix = spread_matrix()
    forest = RandomForestClassifier(n_estimators=2, random_state=1).fit(matrix, matrix[:, 0] > 25)
    files = files_of(forest, document, np.zeros(40), matrix)
    with pytest.raises(ArtifactRejected, match="another number of inputs"):
        proven_scorer(manifest_of(files), files, vectors_of(files))
