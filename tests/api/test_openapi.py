"""The OpenAPI document is valid, complete and true: real traffic is held against it."""

from typing import Any

import httpx
import jsonschema
import pytest
from openapi_spec_validator import validate

Server = Any


@pytest.fixture
def document(server: Server) -> dict[str, Any]:
    return httpx.get(server.origin + "/openapi.json").json()


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    """A validator of one schema inside the document, with the document's components in reach."""
    return jsonschema.Draft202012Validator(schema | {"components": document["components"]})


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_every_operation_names_its_errors_as_problems(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert set(response["content"]) == {"application/problem+json"}, (path, status)


def test_real_answers_match_their_schemas(
    server: Server, document: dict[str, Any], tb_request: dict[str, Any], pgd_request: dict[str, Any]
) -> None:
    with server.client() as client:
        posted = document["paths"]["/v1/scores"]["post"]
        pgd_request["subject"]["id"] = "S-openapi"
        for request in (tb_request, pgd_request):
            schema = posted["requestBody"]["content"]["application/json"]["schema"]
            resolved(document, schema).validate(request)
            answer = client.post("/v1/scores", json=request)
            schema = posted["responses"]["201"]["content"]["application/json"]["schema"]
            resolved(document, schema).validate(answer.json())
        retraction = document["paths"]["/v1/scores/{score_id}/retraction"]["post"]
        body = {"reason": "assay_failure"}
        resolved(document, retraction["requestBody"]["content"]["application/json"]["schema"]).validate(body)
        location = f"/v1/scores/{answer.json()['id']}"
        retracted = client.post(f"{location}/retraction", json=body)
        schema = retraction["responses"]["201"]["content"]["application/json"]["schema"]
        resolved(document, schema).validate(retracted.json())
        schema = document["paths"]["/v1/scores/{score_id}"]["get"]["responses"]["200"]["content"]["application/json"]
        resolved(document, schema["schema"]).validate(client.get(location).json())
        erasure = document["paths"]["/v1/erasures"]["post"]
        body = {"subject": pgd_request["subject"]["id"], "reason": "legal_order"}
        resolved(document, erasure["requestBody"]["content"]["application/json"]["schema"]).validate(body)
        schema = erasure["responses"]["201"]["content"]["application/json"]["schema"]
        resolved(document, schema).validate(client.post("/v1/erasures", json=body).json())
        refused = client.post("/v1/scores", json={})
        schema = posted["responses"]["422"]["content"]["application/problem+json"]["schema"]
        resolved(document, schema).validate(refused.json())
        for path in ("/v1/scores", "/v1/models", "/v1/audit/entries", "/health/ready", "/health/live"):
            schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            resolved(document, schema).validate(client.get(path).json())
        consistency = document["paths"]["/v1/audit/consistency"]["get"]["responses"]["200"]
        schema = consistency["content"]["application/json"]["schema"]
        resolved(document, schema).validate(client.get("/v1/audit/consistency?from=1").json())


@pytest.mark.parametrize(
    "change",
    [{"marker": 1}, {"measurements": []}, {"model": 5}, {"subject": {"id": "S"}}],
    ids=["unknown field", "empty list", "wrong type", "missing field"],
)
def test_what_the_schema_refuses_the_service_refuses(
    server: Server, document: dict[str, Any], tb_request: dict[str, Any], change: dict[str, Any]
) -> None:
    schema = document["paths"]["/v1/scores"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert not resolved(document, schema).is_valid(tb_request | change)
    with server.client() as client:
        assert client.post("/v1/scores", json=tb_request | change).status_code == 422


def test_no_operation_promises_what_is_never_sent(document: dict[str, Any]) -> None:
    assert not {"HTTPValidationError", "ValidationError"} & set(document["components"]["schemas"])
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            reads_input = method == "post" or path == "/v1/scores" or path.startswith("/v1/audit/")
            reads_input = reads_input or path.endswith(("/compare", "/history"))
            assert ("422" in operation["responses"]) == reads_input, (method, path)
