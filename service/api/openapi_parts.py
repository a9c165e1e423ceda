"""What the parts of the OpenAPI document share: references, bodies and responses."""

from __future__ import annotations

from typing import Any

REF = "#/components/schemas/"
_TITLES = {
    400: "The body could not be read",
    401: "No valid API key",
    403: "The key lacks the scope",
    404: "Unknown name, version, alias or id",
    408: "The body did not arrive in time",
    409: "In conflict with the present state, which is named",
    410: "The score of this Idempotency-Key was erased",
    413: "The body is too large",
    415: "Not the media type that is read here",
    422: "The input is wrong; every problem is listed, nothing was stored",
    429: "Too many attempts",
    500: "A stored record is not the one that was recorded, or the service met a defect of its own",
    503: "The service cannot answer now; nothing was stored",
}


def problems_of(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error responses of a route, for its declaration."""
    return {
        status: {
            "description": _TITLES[status],
            "content": {"application/problem+json": {"schema": {"$ref": REF + "ProblemDocument"}}},
        }
        for status in statuses
    }


def body_of(schema: str) -> dict[str, Any]:
    """The required JSON body of a route."""
    return {"required": True, "content": {"application/json": {"schema": {"$ref": REF + schema}}}}


def responses_of(status: str, description: str, schema: str, *errors: int) -> dict[str, Any]:
    """The one good response of a route, and its errors."""
    content = {"application/json": {"schema": {"$ref": REF + schema}}}
    good = {status: {"description": description, "content": content}}
    return good | {str(error): response for error, response in problems_of(*errors).items()}
