"""Shadows at work: the same inputs, results apart, and nothing a shadow does reaches an answer.

Real processes on real databases; where only the process matters, on one of them. Nothing here depends on how fast the
machine is, but for limits that are far away.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from service.audit.entry import timestamp
from service.errors import InputRejected, StorageUnavailable
from service.registry.active import ActiveModels
from service.store.shadows import ShadowRow
from service.store.tables import shadow_score
from service.workflows.keys import authenticate, create_key
from service.workflows.score_specimen import Outcome, score_body, score_specimen
from service.workflows.services import Services
from service.workflows.shadow_child import ShadowLimits
from service.workflows.shadowing import FilesOf, NoShadows, Shadows
from tests.registry import odd_estimators as odd
from tests.registry.artifacts import TRUSTED
from tests.registry.fitted import MATRIX
from tests.workflows.shadow_models import NAME, Files, Sleeper, around, opened, shifted, snapshot, unloaded

LIMITS = ShadowLimits(pause_seconds=0.01, gather_seconds=0.02, idle_seconds=0.05)
Request = dict[str, Any]


@dataclass
class Snapshot:
    """What a registry shows that nobody moves but the test."""

    current: ActiveModels


class Laboratory:
    """Requests that are really scored and stored, with a shadow beside them."""

    def __init__(self, services: Services) -> None:
        _, key = create_key(services, name="LIMS", scopes=("scores:write",), actor="system:cli")
        self.services, self.caller = services, authenticate(services, key)
        self.at_work: list[Shadows] = []

    def serve(
        self, models: ActiveModels, *files: Files, limits: ShadowLimits = LIMITS, files_of: FilesOf | None = None
    ) -> Shadows:
        """Put a snapshot in force, and shadows to work beside it."""
        by_digest = {unloaded(one).digest: one for one in files}
        registry = Snapshot(models)
        shadows = Shadows(
            self.services.database,
            models=lambda: registry.current,
            trusted=TRUSTED,
            files_of=files_of or (lambda version: by_digest[version.digest]),
            now=self.services.clock,
            limits=limits,
        )
        self.services = replace(self.services, registry=registry, shadows=shadows)
        self.at_work.append(shadows)
        return shadows

    def score(self, *requests: Request, key: str | None = None) -> list[Outcome]:
        """Score requests at once; what the answers say."""

        async def all_of_them() -> list[Outcome]:
            bodies = [json.dumps(request).encode() for request in requests]
            calls = (score_specimen(self.services, self.caller, body, key) for body in bodies)
            return list(await asyncio.gather(*calls))

        return asyncio.run(all_of_them())

    def rows(self) -> dict[str, ShadowRow]:
        with self.services.database.read() as connection:
            rows = [ShadowRow(*row) for row in connection.select(select(shadow_score))]
        assert len({row.score_id for row in rows}) == len(rows)
        return {row.score_id: row for row in rows}

    def wait_for_rows(self, count: int) -> dict[str, ShadowRow]:
        until(lambda: len(self.rows()) >= count)
        return self.rows()


@pytest.fixture
def laboratory(services: Services) -> Iterator[Laboratory]:
    made = Laboratory(services)
    yield made
    for shadows in made.at_work:
        shadows.close()
    assert not [one for one in threading.enumerate() if one.name.startswith("shadow ")]


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def of(request: Request, value: float, **more: Any) -> Request:
    """The request with another value of the first analyte."""
    measured = [request["measurements"][0] | {"value": value}, *request["measurements"][1:]]
    return request | {"measurements": measured, **more}


def only_line(shadows: Shadows) -> Any:
    (line,) = shadows.lines.values()
    return line


HAEMOLYSED = [
    {"code": "cq", "analyte": "hsa-miR-23a-3p", "value": 30.0, "unit": "{Cq}"},
    {"code": "cq", "analyte": "hsa-miR-451a", "value": 20.0, "unit": "{Cq}"},
]


def test_the_shadow_gives_what_the_version_itself_would_answer(laboratory: Laboratory, tb_request: Request) -> None:
    files = shifted(high=5.0)
    shadows = laboratory.serve(snapshot(files), files)
    requests = [of(tb_request, value / 2) for value in range(-8, 12)]
    requests += [of(tb_request, 1.0, quality=HAEMOLYSED), of(tb_request, 5.5, model=NAME), of(tb_request, 1.0)]
    outcomes = laboratory.score(*requests)
    rows = laboratory.wait_for_rows(len(requests))
    version = opened(files)
    itself = ActiveModels((version,), {})
    for request, outcome in zip(requests, outcomes, strict=True):
        body = json.dumps(request | {"model": f"{NAME}@2.0.0"}).encode()
        try:
            answer = score_body(itself, body, laboratory.services.clock()).answer(None, laboratory.services.clock())
        except InputRejected:
            expected: tuple[Any, ...] = ("refused", None, None)
        else:
            score = answer["score"]
            expected = (answer["status"], score and score["value"], score and score["category"]["code"])
        row = rows[outcome.score_id]
        assert row[4:7] == expected
        assert row[1:4] == (version.digest, NAME, "2.0.0")
        assert row.recorded_at == timestamp(laboratory.services.clock())
    statuses = [rows[outcome.score_id].status for outcome in outcomes]
    assert (statuses.count("final"), statuses.count("refused"), statuses.count("not_reportable")) == (20, 2, 1)
    assert json.loads(outcomes[-3].answer)["status"] == "not_reportable"
    assert json.loads(outcomes[0].answer)["model"]["version"] == "1.0.0"
    assert len(shadows.lines) == 1


def test_a_repetition_is_not_scored_again_and_an_amendment_once(laboratory: Laboratory, tb_request: Request) -> None:
    files = shifted()
    laboratory.serve(snapshot(files), files)
    (first,), (again,) = (laboratory.score(tb_request, key="accession-1") for _ in range(2))
    assert (first.created, again.created, again.score_id) == (True, False, first.score_id)
    amendment = of(tb_request, 0.25, replaces=first.score_id, reason="measurement_corrected")
    (amended,) = laboratory.score(amendment)
    with pytest.raises(InputRejected):
        laboratory.score(amendment)
    (last,) = laboratory.score(of(tb_request, 0.5))
    assert set(laboratory.wait_for_rows(3)) == {first.score_id, amended.score_id, last.score_id}


def test_without_a_shadow_nothing_runs(laboratory: Laboratory, tb_request: Request, pgd_request: Request) -> None:
    files = shifted()
    shadows = laboratory.serve(snapshot(), files)
    laboratory.score(tb_request)
    assert dict(shadows.lines) == {}
    shadows = laboratory.serve(snapshot(files), files)
    laboratory.score(pgd_request)
    assert dict(shadows.lines) == {}
    laboratory.serve(snapshot(files, alias="1.0.0"), files)
    laboratory.score(tb_request)
    assert dict(shadows.lines) == {}
    assert not [one for one in threading.enumerate() if one.name.startswith("shadow ")]
    NoShadows().offer(unloaded(files), "0" * 36, b"{}", laboratory.services.clock())
    NoShadows().close()


def test_a_shadow_that_never_comes_back_delays_no_answer(laboratory: Laboratory, tb_request: Request) -> None:
    files = around(Sleeper())
    shadows = laboratory.serve(snapshot(files), files, limits=replace(LIMITS, call_seconds=600))
    (first,) = laboratory.score(of(tb_request, 0.5))
    laboratory.wait_for_rows(1)
    outcomes = laboratory.score(of(tb_request, odd.SLEEPS))
    until(lambda: shadows.lines[unloaded(files).digest].waiting == 0)
    outcomes += laboratory.score(*[of(tb_request, 1.0)] * 20)
    assert [one.created for one in outcomes] == [True] * 21
    assert shadows.lines[unloaded(files).digest].waiting == 20
    assert set(laboratory.rows()) == {first.score_id}


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_shadow_that_takes_too_long_is_ended_and_one_input_is_to_blame(
    laboratory: Laboratory, tb_request: Request
) -> None:
    files = around(Sleeper())
    laboratory.serve(snapshot(files), files, limits=replace(LIMITS, call_seconds=3.0, gather_seconds=0.2))
    values = (0.25, odd.SLEEPS, 0.5)
    outcomes = laboratory.score(*(of(tb_request, value) for value in values))
    rows = laboratory.wait_for_rows(3)
    assert [rows[one.score_id].status for one in outcomes] == ["final", "failed", "final"]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("trap", [odd.FAILS, odd.KILLS, odd.EATS, odd.NO_NUMBER])
def test_a_shadow_that_fails_or_eats_memory_fails_its_own_row_alone(
    laboratory: Laboratory, tb_request: Request, trap: float, caplog: pytest.LogCaptureFixture
) -> None:
    files = around(odd.Odd())
    shadows = laboratory.serve(snapshot(files), files)
    values = [0.25, trap, 0.5, *[1.0] * 10]
    outcomes = laboratory.score(*(of(tb_request, value) for value in values))
    assert all(one.created for one in outcomes)
    rows = laboratory.wait_for_rows(len(values))
    statuses = [rows[one.score_id].status for one in outcomes]
    assert statuses == ["final", "failed", *["final"] * 11]
    (later,) = laboratory.score(of(tb_request, 2.0))
    assert laboratory.wait_for_rows(len(values) + 1)[later.score_id].status == "final"
    # The one that ends the process ends it twice: with the others, and then alone.
    assert len(told(caplog, "shadow_ended")) == (2 if trap == odd.KILLS else 0)
    limit = resource.prlimit(only_line(shadows).pid, resource.RLIMIT_AS)[0]
    assert limit == LIMITS.memory_bytes == 1 << 30
    assert os.getpriority(os.PRIO_PROCESS, only_line(shadows).pid) >= 10


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("fault", ["files", "estimator", "golden", "memory"])
def test_a_version_that_cannot_be_loaded_fails_its_rows(
    laboratory: Laboratory, tb_request: Request, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    files = around(odd.Odd())
    limits = LIMITS
    if fault == "memory":
        limits = replace(LIMITS, memory_bytes=64 << 20)
    elif fault == "estimator":
        files = around(odd.Unloadable(), values=odd.Odd().predict_proba(MATRIX[:40])[:, 1])
    elif fault == "golden":
        files = around(odd.Odd(), values=odd.Odd().predict_proba(MATRIX[:40])[:, 0])
    served = files | {"golden.json": b"{}"} if fault == "files" else files
    shadows = laboratory.serve(snapshot(files), served, limits=limits)
    outcomes = laboratory.score(*[tb_request] * 3)
    rows = laboratory.wait_for_rows(3)
    assert [rows[one.score_id][4:7] for one in outcomes] == [("failed", None, None)] * 3
    assert only_line(shadows).pid is None
    assert {one["model"] for one in told(caplog, "shadow_not_loaded")} == {f"{NAME}@3.0.0"}


def told(caplog: pytest.LogCaptureFixture, event: str = "shadow_dropped") -> list[dict[str, Any]]:
    return [record.fields for record in caplog.records if getattr(record, "event", "") == event]


def dropped(caplog: pytest.LogCaptureFixture) -> int:
    return sum(fields["size"] for fields in told(caplog))


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_what_waits_is_bounded_by_number_and_bytes(
    laboratory: Laboratory, tb_request: Request, caplog: pytest.LogCaptureFixture
) -> None:
    files = around(odd.Odd())
    limits = replace(LIMITS, inputs_waiting=5, tell_seconds=0.0)
    laboratory.serve(snapshot(files), files, limits=limits)
    laboratory.score(*[of(tb_request, odd.SLEEPS)] * 40)
    until(lambda: dropped(caplog) + len(laboratory.rows()) == 40)
    assert len(laboratory.rows()) >= 1
    assert dropped(caplog) >= 1
    shadows = laboratory.serve(snapshot(files), files, limits=replace(LIMITS, bytes_waiting=10))
    laboratory.score(tb_request)
    assert only_line(shadows).idle


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_what_is_dropped_is_told_once_a_minute_and_at_the_end(
    laboratory: Laboratory, tb_request: Request, caplog: pytest.LogCaptureFixture
) -> None:
    files = around(odd.Odd())
    shadows = laboratory.serve(snapshot(files), files, limits=replace(LIMITS, inputs_waiting=1))
    laboratory.score(*[of(tb_request, 0.5)] * 10)
    until(lambda: bool(told(caplog)))
    for _ in range(3):
        laboratory.score(*[of(tb_request, 0.5)] * 10)
        laboratory.wait_for_rows(1)
    assert len(told(caplog)) == 1
    shadows.close()
    assert len(told(caplog)) == 2
    assert dropped(caplog) + len(laboratory.rows()) == 40
    assert {one["model"] for one in told(caplog)} == {f"{NAME}@3.0.0"}


def test_a_score_that_was_erased_meanwhile_gets_no_row(laboratory: Laboratory, tb_request: Request) -> None:
    files = shifted()
    models = snapshot(files)
    shadows = laboratory.serve(models, files)
    answered = models.resolve(NAME)
    body = json.dumps(tb_request).encode()
    now = laboratory.services.clock()
    shadows.offer(answered, str(uuid.uuid4()), body, now)
    (outcome,) = laboratory.score(tb_request)
    shadows.offer(answered, str(uuid.uuid4()), body, now)
    (last,) = laboratory.score(tb_request)
    assert set(laboratory.wait_for_rows(2)) == {outcome.score_id, last.score_id}


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_process_and_thread_end_when_the_version_is_no_shadow_any_more(
    laboratory: Laboratory, tb_request: Request
) -> None:
    one, two = shifted(), shifted("2.1.0", by=1.5)
    shadows = laboratory.serve(snapshot(one, two), one, two)
    laboratory.score(tb_request)
    laboratory.wait_for_rows(1)
    line = only_line(shadows)
    pid = line.pid
    time.sleep(4 * LIMITS.idle_seconds)
    assert line.pid == pid
    laboratory.services.registry.current = snapshot(one, two, alias="2.1.0")
    until(lambda: line.idle)
    assert is_gone(pid)
    (outcome,) = laboratory.score(tb_request)
    assert laboratory.wait_for_rows(2)[outcome.score_id].model_version == "2.1.0"
    assert line not in shadows.lines.values()
    laboratory.services.registry.current = snapshot(one, two)
    (outcome,) = laboratory.score(tb_request)
    assert laboratory.wait_for_rows(3)[outcome.score_id].model_version == "2.0.0"


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_closing_ends_a_busy_process_and_drops_what_waits(
    laboratory: Laboratory, tb_request: Request, caplog: pytest.LogCaptureFixture
) -> None:
    files = around(Sleeper())
    shadows = laboratory.serve(snapshot(files), files, limits=replace(LIMITS, call_seconds=600))
    laboratory.score(of(tb_request, 0.5))
    laboratory.wait_for_rows(1)
    pid = only_line(shadows).pid
    laboratory.score(*[of(tb_request, odd.SLEEPS)] * 30)
    until(lambda: only_line(shadows).waiting == 0)
    laboratory.score(of(tb_request, 1.0))
    shadows.close()
    assert is_gone(pid)
    assert only_line(shadows).idle
    assert (len(laboratory.rows()), dropped(caplog)) == (1, 31)
    laboratory.score(of(tb_request, 0.5))
    assert len(laboratory.rows()) == 1


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_database_that_is_away_costs_rows_and_nothing_else(
    laboratory: Laboratory, tb_request: Request, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    files = shifted()
    models = snapshot(files)
    away = threading.Event()

    def files_of(_: object) -> Files:
        if away.is_set():
            raise StorageUnavailable("The database did not answer.")
        return files

    shadows = laboratory.serve(models, files_of=files_of)
    away.set()
    (outcome,) = laboratory.score(tb_request)
    until(lambda: bool(told(caplog, "shadow_not_loaded")))
    away.clear()
    assert set(laboratory.wait_for_rows(1)) == {outcome.score_id}
    path = Path(database_url.removeprefix("sqlite:///"))
    path.rename(path.with_suffix(".away"))
    shadows.offer(models.resolve(NAME), outcome.score_id, json.dumps(tb_request).encode(), laboratory.services.clock())
    until(lambda: bool(told(caplog, "shadow_not_stored")))
    path.with_suffix(".away").rename(path)
    (later,) = laboratory.score(tb_request)
    assert laboratory.wait_for_rows(2)[later.score_id].status == "final"
