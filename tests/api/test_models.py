"""Models over HTTP: lists, manifests, panels a LIMS can check against, cards in three forms."""

import hashlib
import json
from typing import Any

import httpx
import jsonschema
import pytest

from service.api.routes_models import preferred
from service.settings import shipped

Server = Any
TB = "/v1/models/tb-exosomal-mirna"


@pytest.fixture
def client(server: Server) -> httpx.Client:
    with server.client() as client:
        yield client


def test_the_bundled_models_are_listed_with_their_alias(client: httpx.Client) -> None:
    page = client.get("/v1/models").json()
    assert page["next_cursor"] is None
    assert [(i["name"], i["aliases"], i["latest"]) for i in page["items"]] == [
        ("ad-plasma-ev-protein", {"production": "1.0.0"}, "1.0.0"),
        ("brain-tumour-ev-multiomic", {"production": "1.0.0"}, "1.0.0"),
        ("crc-plasma-ev-mirna", {"production": "1.0.0"}, "1.0.0"),
        ("pgd-klkb1-inotrope", {"production": "1.0.0"}, "1.0.0"),
        ("tb-exosomal-mirna", {"production": "1.1.0"}, "1.1.0"),
    ]


def test_a_version_shows_the_manifest_whose_digest_it_names(client: httpx.Client) -> None:
    detail = client.get(TB).json()
    version, _ = detail["versions"]
    raw = (shipped("model_artifacts") / "tb-exosomal-mirna" / "1.0.0" / "manifest.json").read_bytes()
    assert version == {"version": "1.0.0", "state": "approved", "digest": "sha256:" + hashlib.sha256(raw).hexdigest()}
    shown = client.get(f"{TB}/versions/1.0.0").json()
    assert shown["manifest"] == json.loads(raw)
    assert (shown["state"], shown["digest"], shown["reason"]) == ("approved", version["digest"], None)


@pytest.mark.parametrize(
    "path", ["/v1/models/marker", f"{TB}/versions/2.0.0", f"{TB}/versions/marker/panel", f"{TB}/versions/9/card"]
)
def test_an_unknown_model_or_version_is_404(client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.json()["code"]) == (404, "model_not_found")
    assert "marker" not in response.text


def test_the_panel_is_a_schema_that_tells_right_from_wrong_before_sending(
    client: httpx.Client, tb_request: dict[str, Any]
) -> None:
    response = client.get(f"{TB}/versions/1.0.0/panel")
    assert response.headers["content-type"].startswith("application/schema+json")
    validator = jsonschema.Draft202012Validator(response.json())
    validator.check_schema(response.json())
    assert list(validator.iter_errors(tb_request)) == []
    tb_request["measurements"][0]["unit"] = "{Cq}"
    assert not validator.is_valid(tb_request)
    assert client.post("/v1/scores", json=tb_request).status_code == 422


def test_every_bundled_panel_accepts_its_own_example(client: httpx.Client) -> None:
    for item in client.get("/v1/models").json()["items"]:
        schema = client.get(f"/v1/models/{item['name']}/versions/{item['latest']}/panel").json()
        for example in schema["examples"]:
            jsonschema.validate(example, schema)
            assert client.post("/v1/scores", json=example).status_code == 201


@pytest.mark.parametrize(
    ("accept", "kind"),
    [("*/*", "text/markdown"), ("text/html,*/*;q=0.5", "text/html"), ("application/json", "application/json")],
)
def test_the_card_comes_in_the_form_that_is_asked_for(client: httpx.Client, accept: str, kind: str) -> None:
    response = client.get(f"{TB}/versions/1.0.0/card", headers={"accept": accept})
    assert response.headers["content-type"].startswith(kind)
    assert response.headers["vary"] == "Accept"
    text = response.text.lower()
    assert "research use only" in text or "research_use_only" in text
    assert "z-score" in text


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "markdown"),
        ("image/png", "markdown"),
        ("text/html;q=0.2, application/json;q=0.9", "json"),
        ("text/html;level=1", "html"),
        ("text/html;q=x", "markdown"),
        ("text/html;q=\xb2", "markdown"),
    ],
)
def test_accept_is_weighed(accept: str, form: str) -> None:
    assert preferred(accept) == form


COMPARE = f"{TB}/versions/1.0.0/compare"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [("*/*", "text/markdown"), ("text/html,*/*;q=0.5", "text/html"), ("application/json", "application/json")],
)
def test_a_comparison_comes_in_the_form_that_is_asked_for(client: httpx.Client, accept: str, kind: str) -> None:
    response = client.get(COMPARE, params={"with": "1.0.0"}, headers={"accept": accept})
    assert response.status_code == 200
    assert response.headers["content-type"].startswith(kind)
    assert response.headers["vary"] == "Accept"
    assert ("content-security-policy" in response.headers) == (kind == "text/html")
    assert "research use only" in response.text.lower()
    assert "Both are one and the same version, byte for byte." in response.text.replace("\\", "")


def test_programs_get_both_versions_and_every_change(client: httpx.Client) -> None:
    document = client.get(COMPARE, params={"with": "1.0.0"}, headers={"accept": "application/json"}).json()
    digest = client.get(TB).json()["versions"][0]["digest"]
    assert (document["old"]["digest"], document["new"]["digest"]) == (digest, digest)
    assert (document["changes"], document["changes_meaning"]) == ([], False)
    assert document["performance"][0]["difference"] == 0.0


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "missing_field"),
        ("?with=1.0.0&marker=1", "unknown_field"),
        ("?with=1.0.0&with=1.0.0", "duplicate_parameter"),
        ("?with=", "wrong_length"),
        ("?with=marker", "wrong_format"),
    ],
)
def test_a_comparison_takes_one_version_and_nothing_else(client: httpx.Client, query: str, code: str) -> None:
    response = client.get(COMPARE + query)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert [item["code"] for item in response.json()["errors"]] == [code]
    assert "marker" not in response.text


@pytest.mark.parametrize(
    "path",
    [
        f"{COMPARE}?with=2.0.0",
        f"{TB}/versions/2.0.0/compare?with=1.0.0",
        "/v1/models/marker/versions/1.0.0/compare?with=1.0.0",
    ],
)
def test_an_unknown_version_cannot_be_compared(client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.json()["code"]) == (404, "model_not_found")
    assert "marker" not in response.text


def test_a_comparison_needs_a_key_that_may_read_models(server: Server) -> None:
    made = json.loads(server.command("key", "create", "--name", "n", "--scope", "scores:read", "--json").stdout)
    with server.stranger() as stranger, server.client(made["key"]) as other:
        assert stranger.get(COMPARE, params={"with": "1.0.0"}).status_code == 401
        assert other.get(COMPARE, params={"with": "1.0.0"}).status_code == 403
