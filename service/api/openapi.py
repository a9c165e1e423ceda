"""The OpenAPI 3.1 document: what FastAPI knows, plus `POST /v1/scores` from the field table that checks it.

One source for the schema that is shown and the schema that is checked: the request's schema comes from
`domain.fields`, the answer's from `schemas.ScoreAnswer`, and a test holds real traffic against both.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service import __version__
from service.api.openapi_parts import REF, body_of, problems_of, responses_of
from service.api.openapi_registry import REGISTRY_ANSWERS, registry_paths
from service.api.schemas import ErasureAnswer, ProblemDocument, RetractionAnswer, ScoreAnswer, ScorePage
from service.domain.fields import request_schema
from service.domain.model_life import ACKNOWLEDGEMENT, TRANSITION
from service.domain.query import query_parameters
from service.domain.score_life import ERASURE, RETRACTION
from service.domain.score_query import LIST, SEARCH

SECURITY: list[dict[str, list[str]]] = [{"apiKey": []}]
OPEN_PATHS = ("/health/live", "/health/ready")
DESCRIPTION = (
    "Scores exosome (extracellular vesicle) biomarker panels with one exact model version, and stores each score with "
    "its audit record before it answers. The bundled models are for research use only."
)
_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 257},
    "description": "The same key with the same body gives the stored answer again; remembered for 24 hours by default.",
}


def document(app: FastAPI) -> dict[str, Any]:
    """The whole OpenAPI document of the application; built once and kept."""
    if app.openapi_schema is None:
        openapi = get_openapi(title="ExoScore", version=__version__, description=DESCRIPTION, routes=app.routes)
        components = openapi.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        for model in (ProblemDocument, ScoreAnswer, ScorePage, RetractionAnswer, ErasureAnswer, *REGISTRY_ANSWERS):
            schema = model.model_json_schema(ref_template=REF + "{model}")
            schemas.update(schema.pop("$defs", {}))
            schemas[model.__name__] = schema
        schemas |= {"ScoreRequest": request_schema(), "ScoreSearch": SEARCH.schema()}
        schemas |= {"RetractionRequest": RETRACTION.schema(), "ErasureRequest": ERASURE.schema()}
        schemas |= {"TransitionRequest": TRANSITION.schema(), "AcknowledgementRequest": ACKNOWLEDGEMENT.schema()}
        components["securitySchemes"] = {"apiKey": {"type": "http", "scheme": "bearer", "description": "An API key"}}
        openapi["paths"]["/v1/scores"] = {"post": _score_operation(), "get": _list_operation()}
        openapi["paths"]["/v1/scores/search"] = {"post": _search_operation()}
        openapi["paths"]["/v1/scores/{score_id}/retraction"] = {"post": _retraction_operation()}
        openapi["paths"]["/v1/erasures"] = {"post": _erasure_operation()}
        openapi["paths"] |= registry_paths()
        for framework_own in ("HTTPValidationError", "ValidationError"):
            schemas.pop(framework_own, None)
        for path, operations in openapi["paths"].items():
            for operation in operations.values():
                _tidy(operation, secured=path not in OPEN_PATHS)
        app.openapi_schema = openapi
    return app.openapi_schema


def _score_operation() -> dict[str, Any]:
    answer = {"application/json": {"schema": {"$ref": REF + "ScoreAnswer"}}}
    errors = problems_of(400, 401, 403, 404, 409, 410, 413, 415, 422, 500, 503)
    return {
        "tags": ["scores"],
        "summary": "Score one specimen",
        "description": "Answers after the score and its audit entry are durable. A panel that is in scope but fails a "
        "measured quality gate is stored as `not_reportable`, without a number.",
        "operationId": "post_score",
        "parameters": [_IDEMPOTENCY],
        "requestBody": body_of("ScoreRequest"),
        "responses": {
            "201": {
                "description": "Scored and stored",
                "content": answer,
                "headers": {"Location": {"schema": {"type": "string"}, "description": "Where the score can be read"}},
            },
            "200": {
                "description": "The stored answer of an earlier request with the same key and body",
                "content": answer,
            },
        }
        | {str(status): response for status, response in errors.items()},
    }


def _list_operation() -> dict[str, Any]:
    return {
        "tags": ["scores"],
        "summary": "List scores",
        "description": "Scores in the order of the audit log, oldest first; no subject and no specimen. That they were "
        "read is recorded first.",
        "operationId": "list_scores",
        "parameters": query_parameters(LIST),
        "responses": _page_responses(401, 403, 422, 503),
    }


def _search_operation() -> dict[str, Any]:
    return {
        "tags": ["scores"],
        "summary": "Search scores by subject or specimen",
        "description": "The list with two more filters, in a body because identifiers must not stand in a URL. That it "
        "was asked is recorded first.",
        "operationId": "search_scores",
        "requestBody": body_of("ScoreSearch"),
        "responses": _page_responses(400, 401, 403, 413, 415, 422, 503),
    }


def _retraction_operation() -> dict[str, Any]:
    errors = (400, 401, 403, 404, 409, 413, 415, 422, 500, 503)
    return {
        "tags": ["scores"],
        "summary": "Retract a score that was entered in error",
        "description": "For a score without a replacement; it stays readable, marked as retracted. Only the newest "
        "score of a chain can be retracted. No Idempotency-Key is needed: a second try answers 409 `retracted`.",
        "operationId": "post_retraction",
        "parameters": [{"name": "score_id", "in": "path", "required": True, "schema": {"type": "string"}}],
        "requestBody": body_of("RetractionRequest"),
        "responses": responses_of("201", "Retracted", "RetractionAnswer", *errors),
    }


def _erasure_operation() -> dict[str, Any]:
    errors = (400, 401, 403, 404, 409, 413, 415, 422, 503)
    return {
        "tags": ["erasures"],
        "summary": "Erase everything that is stored about a subject",
        "description": "Deletes the subject's scores and what proves their content; the audit log keeps its entries, "
        "which hold nothing about the subject, and records what was erased. 404 where nothing is stored, so a second "
        "try answers 404. Idempotency-Keys of erased scores answer 410 until they expire.",
        "operationId": "post_erasure",
        "requestBody": body_of("ErasureRequest"),
        "responses": responses_of("201", "Erased", "ErasureAnswer", *errors),
    }


def _page_responses(*errors: int) -> dict[str, Any]:
    return responses_of("200", "One page, and the cursor of the next or null", "ScorePage", *errors)


def _tidy(operation: dict[str, Any], *, secured: bool) -> None:
    """Every operation states its security; the framework's own 422, which is never sent, goes."""
    operation["security"] = SECURITY if secured else []
    if "application/json" in operation["responses"].get("422", {}).get("content", {}):
        del operation["responses"]["422"]
