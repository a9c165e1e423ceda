"""A version that knows its uncertainty and its inputs, registered and approved on a real server: what it answers."""

from __future__ import annotations

import json
import math
from typing import Any

import httpx
import jsonschema
import pytest

from service.domain.example import example_request
from service.registry.build import build_scorer
from service.registry.scorer import LinearScorer
from tests.conftest import RunningServer
from tests.registry.attacks import zipped
from tests.registry.fitted import example_of, manifest_of
from tests.registry.spread import spread_files
from tests.served_registry import ZIP, Registry

Document = dict[str, Any]


@pytest.fixture(scope="module")
def server(registry: Registry) -> RunningServer:
    """A server on which a person approved the version and put it in production."""
    with registry.client() as client:
        registered = client.post("/v1/models", content=zipped(spread_files()), headers=ZIP)
    assert registered.status_code == 201, registered.text
    for to in ("approved", "production"):
        moved = registry.sign(registry.people[0], "odd-model", "2.0.0", to)
        assert moved.status_code == 201, moved.text
    return registry.server


@pytest.fixture
def client(server: RunningServer) -> Any:
    with server.client() as client:
        yield client


def sent() -> Document:
    files = spread_files()
    return example_request(manifest_of(files).panel(), example_of(files))


def answer(client: httpx.Client, request: Document, **headers: str) -> Document:
    response = client.post("/v1/scores", json=request, headers=headers)
    assert response.status_code in {200, 201}, response.text
    found: Document = response.json()
    return found


def test_a_score_tells_how_sure_it_is_and_what_was_set_against_what(
    server: RunningServer, client: httpx.Client
) -> None:
    request = sent()
    found = answer(client, request, **{"Idempotency-Key": "k-1"})
    score = found["score"]
    assert found["status"] == "final"
    assert list(score["interval"]) == ["level", "low", "high"]
    assert score["interval"]["level"] == 0.95
    assert 0 < score["interval"]["low"] < score["value"] < score["interval"]["high"] < 1
    (check,) = [check for check in found["quality"]["checks"] if check["code"] == "applicability"]
    assert (check["verdict"], check["limit"], check["source"]) == ("pass", 11.0, "Simulated people.")
    assert 0 < check["observed"] <= 11.0
    _re_derives(found)
    scorer = build_scorer(manifest_of(spread_files()), {})
    assert isinstance(scorer, LinearScorer)
    alone = scorer.score_one([item["value"] for item in found["contributions"]])
    assert (score["value"], score["interval"]["low"], score["interval"]["high"]) == (
        alone.value,
        *(alone.interval or ()),
    )
    stored = client.get(f"/v1/scores/{found['id']}").json()
    assert stored["score"] == score
    again = answer(client, request, **{"Idempotency-Key": "k-1"})
    assert (again["id"], again["score"]) == (found["id"], score)
    document = client.get("/openapi.json").json()
    schema = document["paths"]["/v1/scores"]["post"]["responses"]["201"]["content"]["application/json"]["schema"]
    jsonschema.Draft202012Validator(schema | {"components": document["components"]}).validate(stored)
    preview = json.loads(server.command("score", _file(server, request)).stdout)
    assert (preview["score"], preview["quality"]) == (score, found["quality"])


def _file(server: RunningServer, request: Document) -> str:
    path = server.home.parent / "request.json"
    path.write_text(json.dumps(request))
    return str(path)


def _re_derives(found: Document) -> None:
    """By hand, from what the answer shows and the card says."""
    items = found["contributions"]
    values, used = [item["value"] for item in items], [item["used"] for item in items]
    mean = (values[2] + values[3]) / 2
    assert used[:4] == [values[0] - mean, values[1] - mean, values[2], values[3]]
    assert used[4:6] == pytest.approx([math.log2(count / values[6] + 1e-6) for count in values[4:6]])
    assert used[6:] == values[6:]
    assert [item["input"] for item in items] == ["analyte"] * 6 + ["covariate"] * 2
    assert [items[place]["term"] for place in (2, 3, 6)] == [0.0, 0.0, 0.0]
    total = found["score"]["baseline"]
    for item in items:
        total += item["term"]
    assert 1 / (1 + math.exp(-total)) == pytest.approx(found["score"]["value"], abs=1e-15)


def _moved(request: Document, place: int, by: float) -> Document:
    changed: Document = json.loads(json.dumps(request))
    changed["measurements"][place]["value"] += by
    return changed


def test_a_sample_unlike_those_it_was_fitted_on_gets_no_number(server: RunningServer, client: httpx.Client) -> None:
    request = sent()
    verdicts = []
    # Further and further from the others: the same person's first miRNA, cycle after cycle.
    for cycles in range(11):
        found = answer(client, _moved(request, 0, float(-cycles)))
        (check,) = [check for check in found["quality"]["checks"] if check["code"] == "applicability"]
        verdicts.append(check["verdict"])
        assert check["limit"] == (30.0 if check["verdict"] == "fail" else 11.0)
        withheld = check["verdict"] == "fail"
        assert found["status"] == ("not_reportable" if withheld else "final")
        assert (found["score"] is None) is (found["contributions"] is None) is withheld
        assert found["quality"]["verdict"] == check["verdict"]
    assert sorted(set(verdicts), key=verdicts.index) == ["pass", "flag", "fail"]
    assert verdicts == sorted(verdicts, key=["pass", "flag", "fail"].index)
    checked = server.command("audit", "verify", "--deep", "--json")
    assert checked.returncode == 0, checked.stdout


def test_a_missing_total_and_a_missing_reference_are_refused(client: httpx.Client) -> None:
    request = sent()
    del request["covariates"][0], request["measurements"][2]
    refused = client.post("/v1/scores", json=request)
    assert refused.status_code == 422
    assert [one["code"] for one in refused.json()["errors"]] == ["missing_analyte", "missing_covariate"]


def test_the_card_shows_limits_and_steps(client: httpx.Client) -> None:
    card = client.get("/v1/models/odd-model/versions/2.0.0/card", headers={"accept": "text/markdown"}).text
    assert "Simulated people" in card
    assert "30" in card
    assert "library" in card
