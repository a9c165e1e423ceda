"""A version is registered, approved and promoted while sixteen callers score: nobody is refused, and every answer
names one version and is what that very version makes of the input."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from sklearn.ensemble import RandomForestClassifier

from service.registry.build import proven_scorer
from service.registry.estimator_scorer import EstimatorScorer
from service.registry.manifest import Manifest
from service.registry.scorer import ScoredRow
from service.store.engine import Database
from tests.crash.book import verify
from tests.crash.load import Notebook, callers
from tests.laboratory import TRUSTING, Laboratory
from tests.registry.artifacts import TB, bundled_files, digest
from tests.registry.fitted import LABELS, MATRIX, manifest_of, vectors_of
from tests.registry.successors import successor, unlowered

CALLERS = 4
SPECIMENS = 4
CONNECTIONS = CALLERS * SPECIMENS
PROVED = 40


@dataclass
class Answers(Notebook):
    """A notebook that keeps whole answers."""

    answers: list[dict[str, Any]] = field(default_factory=list)

    def keep(self, key: str, answer: httpx.Response | None) -> None:
        """Write down one answer."""
        if answer is not None and answer.status_code == 201:
            self.answers.append(answer.json())
        super().keep(key, answer)

    def wait_for_version(self, version: str) -> None:
        """Wait until a version has answered a few times for every connection from now on."""
        start = len(self.answers)
        self.wait_for(lambda: sum(map(answered_by(version), self.answers[start:])) >= 4 * CONNECTIONS)


def answered_by(version: str) -> Callable[[dict[str, Any]], bool]:
    return lambda answer: answer["model"]["version"] == version


def lowered_version() -> dict[str, bytes]:
    return successor("2.0.0", by=0.25)


def forest_version() -> dict[str, bytes]:
    return unlowered("2.0.0", RandomForestClassifier(20, random_state=0).fit(MATRIX, LABELS))


@pytest.fixture
def requests(tb_request: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Requests that name no version, for specimens with values of their own; by the id of the specimen."""
    made = {}
    for number in range(SPECIMENS):
        measurements = [one | {"value": one["value"] + number / 8} for one in tb_request["measurements"]]
        specimen = tb_request["specimen"] | {"id": f"A-{number}"}
        made[f"A-{number}"] = tb_request | {"model": TB, "specimen": specimen, "measurements": measurements}
    return made


@pytest.mark.parametrize("make", [lowered_version, forest_version], ids=["lowered", "in a process of its own"])
def test_nobody_is_refused_and_each_answer_is_what_its_version_makes_of_the_input(
    start_server: Callable[..., Any],
    database_url: str,
    opened: Database,
    environment: dict[str, str],
    requests: dict[str, dict[str, Any]],
    make: Callable[[], dict[str, bytes]],
) -> None:
    files, notebook = make(), Answers()
    server = start_server(database_url, environment=environment | TRUSTING)
    laboratory = Laboratory.at(server)
    laboratory.sign(server, TB, "1.0.0", "production")
    with ExitStack() as load:
        for specimen, request in requests.items():
            load.enter_context(callers(server, request, notebook, CALLERS, specimen))
        notebook.wait_for_version("1.0.0")
        laboratory.register(server, files)
        laboratory.sign(server, TB, "2.0.0", "approved")
        notebook.wait_for_version("1.0.0")
        laboratory.sign(server, TB, "2.0.0", "production")
        notebook.wait_for_version("2.0.0")
        laboratory.sign(server, TB, "1.0.0", "production")
        laboratory.sign(server, TB, "2.0.0", "retired")
        ended = len(notebook.answers)
        notebook.wait_for_version("1.0.0")
    assert (notebook.refusals, notebook.lost) == ([], 0)
    # What was under way when the signature was answered may have been answered after it.
    assert all(map(answered_by("1.0.0"), notebook.answers[ended + CONNECTIONS :]))
    rederive(notebook.answers, requests, {"1.0.0": bundled_files(TB), "2.0.0": files})
    notebook.settle(opened, proving=list(notebook.receipts.values())[::PROVED])
    verify(database_url)


def rederive(
    answers: list[dict[str, Any]], requests: dict[str, dict[str, Any]], artifacts: Mapping[str, Mapping[str, bytes]]
) -> None:
    """Assert that each answer is what the version it names gives for its input, and that every version answered."""
    for version, files in artifacts.items():
        manifest, mine = manifest_of(files), list(filter(answered_by(version), answers))
        assert {one["model"]["digest"] for one in mine} == {digest(files["manifest.json"])}
        scorer = proven_scorer(manifest, files, vectors_of(files))
        expected = {id_: scorer.score_one(row_of(manifest, request)) for id_, request in requests.items()}
        for one in mine:
            agrees(one, expected[one["specimen"]["id"]])
        if isinstance(scorer, EstimatorScorer):
            scorer.close()


def agrees(answer: dict[str, Any], expected: ScoredRow) -> None:
    score, contributions = answer["score"], answer["contributions"]
    if expected.terms is None:
        assert (contributions, score["explanation"]) == (None, "not_additive")
        assert score["value"] == pytest.approx(expected.value, rel=0, abs=1e-12)
        return
    assert score["value"] == expected.value
    assert tuple(one["term"] for one in contributions) == expected.terms
    total = score["baseline"] + sum(one["term"] for one in contributions)
    assert score["value"] == pytest.approx(1 / (1 + math.exp(-total)), rel=1e-14)


def row_of(manifest: Manifest, request: dict[str, Any]) -> list[float]:
    """The values of a request in the order of the panel."""
    values = {one["analyte"]: one["value"] for one in request["measurements"]}
    return [values[one.name] for one in manifest.analytes]
