"""Transitions over HTTP: what is answered, who may, what is refused, and two servers at once."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import jsonschema
import pytest
from sqlalchemy import update

from service.store.tables import artifact_part
from tests.api.conftest import Serve
from tests.registry.artifacts import PGD, digest, misjudged, release
from tests.registry.attacks import zipped
from tests.served_registry import Person, Registry
from tests.workflows.registering import PASSPHRASE, REASON

MODELS = (f"graft-{number}" for number in itertools.count(1))


@pytest.fixture
def zoe(registry: Registry) -> Person:
    return registry.people[0]


@pytest.fixture
def kimura(registry: Registry) -> Person:
    return registry.people[1]


@pytest.fixture
def model(registry: Registry) -> str:
    """A model of its own, with two verified versions that a machine registered."""
    name = next(MODELS)
    for version in ("1.9.0", "1.10.0"):
        assert registry.register(PGD, version, name=name).status_code == 201
    return name


@pytest.fixture
def client(registry: Registry) -> Iterator[httpx.Client]:
    with registry.client() as client:
        yield client


def signed(registry: Registry, person: Person, model: str, version: str, *places: str) -> httpx.Response:
    """Bring a version to states and aliases, one after the other; the last answer."""
    for to in places:
        answer = registry.sign(person, model, version, to)
        assert answer.status_code == 201, answer.text
    return answer


def refusal(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert PASSPHRASE not in answer.text
    return answer.status_code, answer.json()["code"]


def validated(client: httpx.Client, path: str, method: str, status: int, answer: Any) -> None:
    """Hold an answer against the OpenAPI document."""
    document = client.get("/openapi.json").json()
    response = document["paths"][path][method]["responses"][str(status)]
    schema = next(iter(response["content"].values()))["schema"]
    jsonschema.Draft202012Validator(schema | {"components": document["components"]}).validate(answer)


TRANSITIONS = "/v1/models/{name}/versions/{version}/transitions"


def test_an_approval_is_answered_with_its_signature_and_shown_with_the_version(
    registry: Registry, client: httpx.Client, zoe: Person, model: str
) -> None:
    began = datetime.now(UTC)
    other = {"meaning": "responsibility", "reason": "Reviewed as SOP 7 says."}
    answer = registry.sign(zoe, model, "1.10.0", "approved", **other)
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    body = answer.json()
    validated(client, TRANSITIONS, "post", 201, body)
    signature = body["signature"]
    assert (body["state"], body["alias"], body["dropped"]) == ("approved", None, [])
    assert (signature["printed_name"], signature["person_id"]) == (zoe.name, zoe.id)
    assert other.items() <= signature.items()
    assert began <= datetime.fromisoformat(signature["at"]) <= datetime.now(UTC)
    location = f"/v1/models/{model}/versions/1.10.0"
    shown = client.get(location).json()
    assert (shown["state"], shown["signatures"]) == ("approved", [signature])
    validated(client, "/v1/models/{name}/versions/{version}", "get", 200, shown)
    for path, accept in itertools.product(
        (f"{location}/card", f"/v1/models/{model}/versions/1.9.0/compare?with=1.10.0"),
        ("text/markdown", "text/html", "application/json"),
    ):
        page = client.get(path, headers={"accept": accept}).text
        for part in (zoe.name.split()[0], "esponsibility", signature["at"][:10]):
            assert part in page or json.dumps(part)[1:-1] in page, (path, accept, part)
    history = client.get(f"/v1/models/{model}/history").json()
    validated(client, "/v1/models/{name}/history", "get", 200, history)
    last = history["items"][-1]
    assert (last["kind"], last["from"], last["to"], last["at"]) == ("approved", "verified", "approved", signature["at"])
    assert (last["printed_name"], last["person"], last["reason"]) == (zoe.name, zoe.id, other["reason"])
    assert last["audit"]["index"] == body["audit"]["index"]


def test_the_bare_name_follows_its_alias_forth_and_back(
    registry: Registry, client: httpx.Client, zoe: Person, model: str, pgd_request: dict[str, Any]
) -> None:
    request = pgd_request | {"model": model}

    def scored(reference: str = model) -> tuple[int, str]:
        answer = client.post("/v1/scores", json=request | {"model": reference})
        body = answer.json()
        return answer.status_code, body["model"]["version"] if answer.status_code == 201 else body["code"]

    assert scored() == (503, "no_active_model")
    for version in ("1.9.0", "1.10.0"):
        signed(registry, zoe, model, version, "approved", "production")
        assert scored() == (201, version)
    back = signed(registry, zoe, model, "1.9.0", "production").json()
    assert (back["alias"], back["version"]) == ("production", "1.9.0")
    assert scored() == (201, "1.9.0")
    assert client.get(f"/v1/models/{model}").json()["aliases"] == {"production": "1.9.0"}
    signed(registry, zoe, model, "1.10.0", "shadow", "candidate")
    assert scored(f"{model}@candidate") == (201, "1.10.0")
    assert scored(f"{model}@shadow") == (409, "version_not_in_force")
    assert signed(registry, zoe, model, "1.10.0", "withdrawn").json()["dropped"] == ["candidate", "shadow"]
    assert scored(f"{model}@candidate") == (404, "model_not_found")
    assert scored(f"{model}@1.10.0") == (201, "1.10.0")
    assert signed(registry, zoe, model, "1.9.0", "retired").json()["dropped"] == ["production"]
    assert scored() == (503, "no_active_model")
    assert scored(f"{model}@1.9.0") == (409, "version_not_in_force")
    assert client.get(f"/v1/models/{model}").json()["aliases"] == {}


def test_four_eyes_are_needed_and_a_machine_has_none(
    registry: Registry, client: httpx.Client, zoe: Person, kimura: Person
) -> None:
    model = next(MODELS)
    assert registry.register(PGD, "1.0.0", zoe, name=model).status_code == 201
    machine = Person(zoe.id, "", registry.key("models:approve"))
    assert refusal(registry.sign(machine, model, "1.0.0", "approved")) == (403, "person_required")
    refused = registry.sign(zoe, model, "1.0.0", "approved")
    assert refusal(refused) == (409, "conflict")
    assert "somebody else" in refused.json()["detail"]
    reader = Person(kimura.id, "", registry.key("models:read", person_id=kimura.id))
    assert refusal(registry.sign(reader, model, "1.0.0", "approved")) == (403, "scope_missing")
    assert client.get(f"/v1/models/{model}/versions/1.0.0").json()["signatures"] == []
    signed(registry, kimura, model, "1.0.0", "approved")


def test_five_wrong_passphrases_close_the_door(registry: Registry, client: httpx.Client, model: str) -> None:
    eve = registry.person("Eve", "models:approve")
    for _ in range(5):
        refused = registry.sign(eve, model, "1.10.0", "approved", passphrase="zwölf böse Zeichen")
        assert refusal(refused) == (403, "signature_refused")
        assert "böse" not in refused.text
    waiting = registry.sign(eve, model, "1.10.0", "approved")
    assert refusal(waiting) == (429, "too_many_attempts")
    assert 800 < int(waiting.headers["retry-after"]) <= 900
    validated(client, TRANSITIONS, "post", 429, waiting.json())
    assert client.get(f"/v1/models/{model}").json()["versions"][-1]["state"] == "verified"
    log = registry.server.log.read_text()
    assert log.count("passphrase_wrong") == 4
    assert log.count("passphrase_locked") == 1
    for secret in (PASSPHRASE, "böse", "b\\u00f6se", eve.name, REASON):
        assert secret not in log


BODY = {"to": "approved", "reason": REASON, "meaning": "approval", "passphrase": PASSPHRASE}
WRONG: dict[str, tuple[Any, int, str, list[str]]] = {
    "no JSON": ("marker", 400, "malformed_body", [""]),
    "twice the same key": ('{"to":"approved","to":"retired"}', 400, "malformed_body", [""]),
    "nothing": ({}, 422, "input_rejected", ["/meaning", "/passphrase", "/reason", "/to"]),
    "a list": ([], 400, "malformed_body", [""]),
    "another meaning": (BODY | {"meaning": "marker"}, 422, "input_rejected", ["/meaning"]),
    "an unknown field": (BODY | {"marker": 1}, 422, "input_rejected", [""]),
    "no reason": (BODY | {"reason": ""}, 422, "input_rejected", ["/reason"]),
    "a blank reason": (BODY | {"reason": " \n\u2003"}, 422, "input_rejected", ["/reason"]),
    "a reason with a control character": (BODY | {"reason": "good\x1b[2J"}, 422, "input_rejected", ["/reason"]),
    "a long reason": (BODY | {"reason": "x" * 5000}, 422, "input_rejected", ["/reason"]),
    "no word": (BODY | {"to": "Marker Two"}, 422, "input_rejected", ["/to"]),
    "a number": (BODY | {"passphrase": 12}, 422, "input_rejected", ["/passphrase"]),
    "the service's own step": (BODY | {"to": "verified"}, 422, "input_rejected", ["/to"]),
}


@pytest.mark.parametrize(("body", "status", "code", "pointers"), WRONG.values(), ids=WRONG.keys())
def test_what_is_asked_wrongly_names_every_fault_and_repeats_nothing(
    registry: Registry, zoe: Person, body: Any, status: int, code: str, pointers: list[str]
) -> None:
    before = registry.stored()
    with registry.client(zoe) as client:
        content = body if isinstance(body, str) else json.dumps(body)
        headers = {"content-type": "application/json"}
        path = f"/v1/models/{PGD}/versions/1.0.0/transitions"
        answer = client.post(path, content=content, headers=headers)
        assert refusal(answer) == (status, code)
        assert sorted({problem["pointer"] for problem in answer.json()["errors"]}) == pointers
        assert "arker" not in answer.text
        assert refusal(client.post(path, content=content, headers={"content-type": "text/plain"}))[0] == 415
        assert refusal(client.post(path, content="x" * (1 << 21), headers=headers))[0] == 413
    assert registry.stored() == before


def test_an_unknown_version_is_404_and_an_impossible_move_409(registry: Registry, zoe: Person, model: str) -> None:
    before = registry.stored()
    for name, version in (("marker", "1.0.0"), (model, "9.9.9"), (model, "production")):
        assert refusal(registry.sign(zoe, name, version, "approved")) == (404, "model_not_found")
    for to in ("production", "retired", "withdrawn"):
        assert refusal(registry.sign(zoe, model, "1.10.0", to)) == (409, "conflict")
    assert registry.stored() == before
    with registry.server.stranger() as stranger:
        assert stranger.post(f"/v1/models/{model}/versions/1.10.0/transitions", json=BODY).status_code == 401


def test_a_version_that_cannot_be_used_leaves_in_force_what_was(
    registry: Registry, client: httpx.Client, zoe: Person, model: str, pgd_request: dict[str, Any]
) -> None:
    signed(registry, zoe, model, "1.9.0", "approved", "production")
    manifest = release(PGD, "1.10.0", name=model)["manifest.json"]
    with registry.database.write() as connection:
        place = artifact_part.c.digest == digest(manifest)
        connection.execute(update(artifact_part).where(place).values(content=manifest + b" "))
    assert refusal(registry.sign(zoe, model, "1.10.0", "approved")) == (422, "artifact_rejected")
    assert client.get(f"/v1/models/{model}/versions/1.10.0").json()["reason"].startswith("The stored bytes")
    assert client.get(f"/v1/models/{model}/versions/1.10.0/card").status_code == 409
    for reference in (model, f"{model}@1.9.0"):
        assert client.post("/v1/scores", json=pgd_request | {"model": reference}).status_code == 201
    with registry.database.write() as connection:
        connection.execute(update(artifact_part).where(place).values(content=manifest))
    signed(registry, zoe, model, "1.10.0", "approved", "production")
    upload = zipped(misjudged(PGD, "9.0.0"))
    assert client.post("/v1/models", content=upload, headers={"content-type": "application/zip"}).status_code == 201
    assert refusal(registry.sign(zoe, PGD, "9.0.0", "approved")) == (409, "conflict")


def test_the_past_can_be_asked_for(registry: Registry, client: httpx.Client, zoe: Person, model: str) -> None:
    times = [
        signed(registry, zoe, model, version, to).json()["signature"]["at"]
        for version, to in (("1.9.0", "approved"), ("1.10.0", "approved"), ("1.9.0", "production"))
    ]
    path = f"/v1/models/{model}/history"
    for number, at in enumerate(times):
        told = client.get(path, params={"as_of": at}).json()
        moves = [one for one in told["items"] if one["kind"] != "acknowledged"]
        assert (told["as_of"], len(moves)) == (at, 5 + number)
        assert [one["version"] for one in told["versions"]] == ["1.9.0", "1.10.0"]
    assert told["aliases"] == {"production": "1.9.0"}
    assert client.get(path, params={"as_of": "2020-01-01T00:00:00Z"}).json()["versions"] == []
    for query in ("?as_of=yesterday", "?as_of=2026-11-23", "?marker=1", f"?as_of={times[0]}&as_of={times[1]}"):
        assert refusal(client.get(path + query))[0] == 422
    assert refusal(client.get("/v1/models/marker/history")) == (404, "model_not_found")


def test_what_was_done_is_sound(registry: Registry) -> None:
    verified = registry.command("audit", "verify", "--deep")
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.fixture(scope="module")
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, serve: Serve
) -> Iterator[list[Registry]]:
    """Two servers on one PostgreSQL, of one home, with two people who may sign."""
    backend = request.getfixturevalue("postgresql_backend")
    url = backend.migrated()
    home = tmp_path_factory.mktemp("pair") / "home"
    servers = [serve(url, home) for _ in range(2)]
    scopes = ("models:approve", "models:read")
    for name in ("Zoë Müller", "木村 拓哉"):
        servers[0].people.append(servers[0].person(name, *scopes))
    yield servers
    for one in servers:
        one.server.stop()
    backend.remove(url)


EXCLUSIVE = {
    "one version": (("1.9.0", "approved"), ("1.9.0", "approved")),
    "for and against": (("1.9.0", "approved"), ("1.9.0", "rejected")),
}


@pytest.mark.parametrize("targets", EXCLUSIVE.values(), ids=EXCLUSIVE.keys())
def test_of_two_transitions_at_once_one_is_made_and_the_other_is_told(
    pair: list[Registry], targets: tuple[tuple[str, str], tuple[str, str]]
) -> None:
    model, people = next(MODELS), pair[0].people
    assert pair[0].register(PGD, "1.9.0", name=model).status_code == 201

    def ask(server: Registry, person: Person, target: tuple[str, str]) -> httpx.Response:
        return server.sign(person, model, *target)

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(ask, pair, people, targets))
    assert sorted(answer.status_code for answer in answers) == [201, 409], [answer.text for answer in answers]
    made = next(answer.json() for answer in answers if answer.status_code == 201)
    for server in pair:
        with server.client() as client:
            (version,) = client.get(f"/v1/models/{model}").json()["versions"]
            assert (version["version"], version["state"]) == ("1.9.0", made["state"])


def test_both_servers_tell_one_history(pair: list[Registry]) -> None:
    verified = pair[1].server.command("audit", "verify", "--deep")
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.parametrize("odd", ["%00", "a%00b", "%ed%a0%80"], ids=["NUL", "NUL inside", "surrogate"])
def test_what_is_no_name_is_unknown_on_every_database(
    registry: Registry, client: httpx.Client, zoe: Person, odd: str
) -> None:
    for path in (odd, f"{odd}/history", f"{odd}/shadow", f"{odd}/versions/1.0.0"):
        assert refusal(client.get(f"/v1/models/{path}")) == (404, "model_not_found")
    assert refusal(registry.sign(zoe, odd, "1.0.0", "approved")) == (404, "model_not_found")
    assert refusal(registry.sign(zoe, PGD, odd, "approved")) == (404, "model_not_found")
