"""Acknowledgements over HTTP: what is answered, who may, what is refused, and what a promotion says without them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest

from tests.registry.artifacts import PGD, TB
from tests.served_registry import Person, Registry
from tests.workflows.registering import PASSPHRASE, REASON

CODES = ["cohort_relative_input", "index_not_probability", "no_external_validation"]
PATH = "/v1/models/{name}/versions/{version}"


@pytest.fixture
def zoe(registry: Registry) -> Person:
    return registry.people[0]


@pytest.fixture
def kimura(registry: Registry) -> Person:
    return registry.people[1]


@pytest.fixture
def client(registry: Registry) -> Iterator[httpx.Client]:
    with registry.client() as client:
        yield client


@pytest.fixture
def version(registry: Registry, zoe: Person) -> str:
    """An approved version of which nothing is acknowledged."""
    number = registry.version()
    assert registry.register(PGD, number).status_code == 201
    assert registry.sign(zoe, PGD, number, "approved").status_code == 201
    return number


def acknowledge(registry: Registry, person: Person, version: str, codes: Any, **other: Any) -> httpx.Response:
    body = {"codes": codes, "reason": REASON, "passphrase": PASSPHRASE} | other
    with registry.client(person) as client:
        return client.post(f"/v1/models/{PGD}/versions/{version}/acknowledgements", json=body)


def promote(registry: Registry, person: Person, version: str, to: str = "canary") -> httpx.Response:
    body = {"to": to, "reason": REASON, "meaning": "approval", "passphrase": PASSPHRASE}
    with registry.client(person) as client:
        return client.post(f"/v1/models/{PGD}/versions/{version}/transitions", json=body)


def validated(client: httpx.Client, path: str, method: str, status: int, answer: Any) -> None:
    """Hold an answer against the OpenAPI document."""
    document = client.get("/openapi.json").json()
    response = document["paths"][path][method]["responses"][str(status)]
    schema = next(iter(response["content"].values()))["schema"]
    jsonschema.Draft202012Validator(schema | {"components": document["components"]}).validate(answer)


def test_a_promotion_names_every_open_warning_and_is_made_when_none_is(
    registry: Registry, client: httpx.Client, zoe: Person, kimura: Person, version: str
) -> None:
    refused = promote(registry, zoe, version)
    assert (refused.status_code, refused.json()["code"]) == (409, "promotion_refused")
    validated(client, f"{PATH}/transitions", "post", 409, refused.json())
    errors = refused.json()["errors"]
    assert [one["code"] for one in errors] == ["unacknowledged_warning"] * 3
    for code, one in zip(CODES, errors, strict=True):
        assert code in one["message"]
        assert f"{PGD}@{version} {code}" in one["remedy"]
    assert promote(registry, zoe, version, "shadow").status_code == 201
    answer = acknowledge(registry, zoe, version, CODES[:2], meaning="responsibility")
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    done = answer.json()
    validated(client, f"{PATH}/acknowledgements", "post", 201, done)
    assert [one["code"] for one in done["acknowledged"]] == CODES[:2]
    assert {(one["printed_name"], one["meaning"]) for one in done["acknowledged"]} == {(zoe.name, "responsibility")}
    assert (done["already"], done["open_warnings"]) == ([], [CODES[2]])
    assert [one["code"] for one in promote(registry, zoe, version).json()["errors"]] == ["unacknowledged_warning"]
    again = acknowledge(registry, zoe, version, CODES[:1])
    assert again.status_code == 200
    validated(client, f"{PATH}/acknowledgements", "post", 200, again.json())
    assert (again.json()["acknowledged"], again.json()["already"], again.json()["audit"]) == ([], CODES[:1], None)
    last = acknowledge(registry, kimura, version, CODES[2:]).json()
    assert (last["acknowledged"][0]["meaning"], last["open_warnings"]) == ("review", [])
    assert promote(registry, zoe, version).status_code == 201
    shown = client.get(PATH.format(name=PGD, version=version)).json()
    validated(client, PATH, "get", 200, shown)
    assert shown["open_warnings"] == shown["missing_card_fields"] == []
    assert [one["acknowledgements"][0]["printed_name"] for one in shown["warnings"]] == [zoe.name] * 2 + [kimura.name]
    history = client.get(f"/v1/models/{PGD}/history").json()
    validated(client, "/v1/models/{name}/history", "get", 200, history)
    items = [one for one in history["items"] if one["version"] == version and one["kind"] == "acknowledged"]
    assert [(one["codes"], one["person"], one["to"]) for one in items] == [
        (CODES[:2], zoe.id, None), (CODES[2:], kimura.id, None),
    ]  # fmt: skip
    assert items[0]["audit"]["index"] == done["audit"]["index"]
    card = client.get(f"{PATH.format(name=PGD, version=version)}/card", headers={"accept": "text/html"}).text
    assert zoe.name.split()[0] in card


def test_a_machine_and_a_reader_acknowledge_nothing(registry: Registry, zoe: Person, version: str) -> None:
    before = registry.stored()
    machine = Person(zoe.id, "", registry.key("models:approve"))
    reader = Person(zoe.id, "", registry.key("models:read", person_id=zoe.id))
    for person, code in ((machine, "person_required"), (reader, "scope_missing")):
        answer = acknowledge(registry, person, version, CODES)
        assert (answer.status_code, answer.json()["code"]) == (403, code)
    wrong = acknowledge(registry, zoe, version, CODES, passphrase="zwölf böse Zeichen")
    assert (wrong.status_code, wrong.json()["code"]) == (403, "signature_refused")
    assert "böse" not in wrong.text
    with registry.server.stranger() as stranger:
        path = f"/v1/models/{PGD}/versions/{version}/acknowledgements"
        assert stranger.post(path, json={}).status_code == 401
    assert registry.stored().rows == before.rows


WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no code": ({"codes": []}, ["/codes"]),
    "no list": ({"codes": "no_external_validation"}, ["/codes"]),
    "no text": ({"codes": [7]}, ["/codes/0"]),
    "no code's form": ({"codes": ["Marker two"]}, ["/codes/0"]),
    "too many": ({"codes": ["a"] * 65}, ["/codes"]),
    "unknown codes": ({"codes": ["marker", CODES[0], "demonstration_only"]}, ["/codes/0", "/codes/2"]),
    "no reason": ({"reason": ""}, ["/reason"]),
    "a meaning of its own": ({"meaning": "marker"}, ["/meaning"]),
    "another field": ({"marker": 1}, [""]),
}


@pytest.mark.parametrize(("body", "pointers"), WRONG.values(), ids=WRONG.keys())
def test_what_is_asked_wrongly_names_every_fault_and_repeats_nothing(
    registry: Registry, zoe: Person, body: dict[str, Any], pointers: list[str]
) -> None:
    before = registry.stored()
    answer = acknowledge(registry, zoe, "1.0.0", **({"codes": CODES} | body))
    assert (answer.status_code, answer.json()["code"]) == (422, "input_rejected")
    assert sorted({problem["pointer"] for problem in answer.json()["errors"]}) == pointers
    assert "arker" not in answer.text
    assert registry.stored() == before


def test_other_bodies_and_unknown_versions_are_refused_as_everywhere(registry: Registry, zoe: Person) -> None:
    path = f"/v1/models/{PGD}/versions/1.0.0/acknowledgements"
    with registry.client(zoe) as client:
        for content, kind, status in (("{", "application/json", 400), ("{}", "text/plain", 415)):
            assert client.post(path, content=content, headers={"content-type": kind}).status_code == status
        body = json.dumps({"codes": CODES, "reason": REASON, "passphrase": PASSPHRASE})
        headers = {"content-type": "application/json"}
        for odd in (
            "marker/versions/1.0.0",
            f"{PGD}/versions/9.9.9",
            "%00/versions/1.0.0",
            f"{PGD}/versions/%ed%a0%80",
        ):
            answer = client.post(f"/v1/models/{odd}/acknowledgements", content=body, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found"), odd


def test_what_ships_is_acknowledged_in_development_by_the_service_and_says_so(client: httpx.Client) -> None:
    for name in (PGD, TB):
        shown = client.get(PATH.format(name=name, version="1.0.0")).json()
        noted = [one for warning in shown["warnings"] for one in warning["acknowledgements"]]
        assert shown["open_warnings"] == []
        assert {(one["actor"], one["printed_name"], one["meaning"]) for one in noted} == {
            ("system:bundled", None, None)
        }
        validated(client, PATH, "get", 200, shown)
    card = client.get(f"{PATH.format(name=TB, version='1.0.0')}/card").text
    assert "system:bundled" in card


def test_what_was_done_is_sound(registry: Registry) -> None:
    verified = registry.command("audit", "verify", "--deep")
    assert (verified.returncode, verified.stderr) == (0, "")
