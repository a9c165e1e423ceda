"""The registry's part of the OpenAPI document: the routes that `routes_registry` declares without the framework."""

from __future__ import annotations

from typing import Any

from service.api.openapi_parts import REF, body_of, problems_of, responses_of
from service.api.schemas_registry import (
    AcknowledgementAnswer,
    HistoryAnswer,
    ModelPage,
    RegistrationAnswer,
    TransitionAnswer,
)
from service.domain.model_query import HISTORY
from service.domain.query import query_parameters

REGISTRY_ANSWERS = (ModelPage, RegistrationAnswer, TransitionAnswer, AcknowledgementAnswer, HistoryAnswer)


def registry_paths() -> dict[str, Any]:
    """The operations by path and method."""
    return {
        "/v1/models": {"get": _list(), "post": _register()},
        "/v1/models/{name}/versions/{version}/transitions": {"post": _transition()},
        "/v1/models/{name}/versions/{version}/acknowledgements": {"post": _acknowledgement()},
        "/v1/models/{name}/history": {"get": _history()},
    }


def _list() -> dict[str, Any]:
    return {
        "tags": ["models"],
        "summary": "List models",
        "description": "Every model with its aliases and its newest version.",
        "operationId": "list_models",
        "responses": responses_of("200", "All models", "ModelPage", 401, 403, 503),
    }


def _register() -> dict[str, Any]:
    answer = {"application/json": {"schema": {"$ref": REF + "RegistrationAnswer"}}}
    errors = problems_of(401, 403, 408, 409, 413, 415, 422, 500, 503)
    return {
        "tags": ["registry"],
        "summary": "Register an artifact",
        "description": "Takes the zip of an artifact. Nothing in it runs before its signature and its digests were "
        "checked; what is refused leaves an audit entry and nothing else. The version is then tested and ends "
        "`verified`, or `rejected` with the fault. The same bytes once more answer 200.",
        "operationId": "post_model",
        "requestBody": {
            "required": True,
            "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
        },
        "responses": {
            "201": {
                "description": "Registered",
                "content": answer,
                "headers": {"Location": {"schema": {"type": "string"}, "description": "Where the version can be read"}},
            },
            "200": {"description": "These bytes are registered already", "content": answer},
        }
        | {str(status): response for status, response in errors.items()},
    }


def _transition() -> dict[str, Any]:
    errors = (400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503)
    return {
        "tags": ["registry"],
        "summary": "Sign for a version: approve, reject, retire, withdraw, or point an alias to it",
        "description": "Needs a key that belongs to a person, and that person's passphrase. The printed name, the time "
        "and the meaning of the signature are kept with the version (21 CFR 11.50). Approval takes a second person. "
        "Of two transitions at once one is made, the other answers 409. An alias other than `shadow` is refused (409 "
        "`promotion_refused`) while a warning of the version is not acknowledged or a required field of its card is "
        "missing; every one is listed.",
        "operationId": "post_transition",
        "parameters": [_path("name"), _path("version")],
        "requestBody": body_of("TransitionRequest"),
        "responses": responses_of("201", "Done, and in force here", "TransitionAnswer", *errors),
    }


def _acknowledgement() -> dict[str, Any]:
    answer = {"application/json": {"schema": {"$ref": REF + "AcknowledgementAnswer"}}}
    errors = problems_of(400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503)
    return {
        "tags": ["registry"],
        "summary": "Acknowledge warnings of a version by name",
        "description": "Needs a key that belongs to a person, and that person's passphrase; `meaning` is `review` "
        "where it is not given. The printed name, the time, the meaning and the reason are kept with the version "
        "(21 CFR 11.50) and shown on its card. A code that the version does not warn of is refused (422), and every "
        "code of a version that is retired or rejected (409). What the same person has acknowledged before is told in "
        "`already` and not recorded again; another person may add a signature.",
        "operationId": "post_acknowledgement",
        "parameters": [_path("name"), _path("version")],
        "requestBody": body_of("AcknowledgementRequest"),
        "responses": {
            "201": {"description": "Acknowledged", "content": answer},
            "200": {"description": "The same person had acknowledged all of it already", "content": answer},
        }
        | {str(status): response for status, response in errors.items()},
    }


def _history() -> dict[str, Any]:
    return {
        "tags": ["registry"],
        "summary": "What happened to a model, and how it stood at a time",
        "description": "Every transition and acknowledgement up to `as_of`, and the states and aliases that were then "
        "in force: with the recorded time of a score, the version that answered.",
        "operationId": "get_history",
        "parameters": [_path("name"), *query_parameters(HISTORY)],
        "responses": responses_of("200", "The history", "HistoryAnswer", 401, 403, 404, 422, 500, 503),
    }


def _path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
