"""The one place that turns errors into answers: `application/problem+json` (RFC 9457), nothing submitted in it.

`instance` is the request's own id, which stands in the log too; the path is not repeated, because a path may hold
whatever a caller typed. Validation errors of the framework lose their `input`, `ctx` and message before they leave.
"""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from service.errors import InputRejected, NotFound, Problem, ServiceError, SystemFault, Unauthenticated
from service.telemetry import log_event
from service.workflows.denied import DeniedAccess

MEDIA_TYPE = "application/problem+json"
MAX_PROBLEMS = 1000

_MEANINGS = {
    "missing": ("missing_field", "A required value is missing.", "Add it."),
    "extra_forbidden": ("unknown_field", "A name is not known here.", "Use only the names in /openapi.json."),
    "json_invalid": ("malformed_body", "The body is not valid JSON.", "Send one JSON object."),
}
_OTHERWISE = (
    "invalid_value",
    "A value has the wrong type or lies outside its limits.",
    "See its schema in /openapi.json.",
)


class InternalError(SystemFault):
    """A defect of the service. The log has the error's type and place under the answer's `instance`."""

    code = "internal_error"
    http_status = 500
    title: ClassVar[str] = "Internal error"


class MethodNotAllowed(InputRejected):
    """The route exists, but not with this method."""

    code = "method_not_allowed"
    http_status = 405
    title = "The route does not know this method"


def problem_response(scope: Scope, error: ServiceError) -> Response:
    """The answer for one error, with every problem it holds; its code is left in the request's state for the log. Every
    refusal passes here, so here denied access is counted."""
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="exoscore"'
    body = {
        "type": f"urn:exoscore:problem:{error.code}",
        "title": error.title,
        "status": error.http_status,
        "detail": f"{error.message} {error.remedy}".strip(),
        "instance": f"urn:uuid:{scope['state']['request_id']}",
        "code": error.code,
        "errors": [_problem(problem) for problem in _shown(error)],
    }
    scope["state"]["code"] = error.code
    denied: DeniedAccess = scope["app"].state.denied
    denied.note(error, (scope["state"].get("actor") or "").removeprefix("key:") or None)
    return Response(json.dumps(body), error.http_status, headers=headers, media_type=MEDIA_TYPE)


def install_problem_handlers(app: FastAPI, denied: DeniedAccess | None = None) -> None:
    """Register the handlers of every error the application can meet; `denied` counts the refusals of access."""
    app.state.denied = DeniedAccess() if denied is None else denied
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Exception, answer_defect)


def _shown(error: ServiceError) -> tuple[Problem, ...]:
    """The problems of an error, or the error itself as one; of thousands, as many as a person can use."""
    if not error.problems:
        return (Problem("", error.code, error.message, error.remedy),)
    if len(error.problems) <= MAX_PROBLEMS:
        return error.problems
    rest = len(error.problems) - MAX_PROBLEMS
    more = Problem("", "more_problems", f"There are {rest} more problems.", "Mend these first and send it again.")
    return (*error.problems[:MAX_PROBLEMS], more)


def _problem(problem: Problem) -> dict[str, Any]:
    item = {
        "pointer": problem.pointer,
        "code": problem.code,
        "message": problem.message,
        "remedy": problem.remedy,
    }
    return item if problem.analyte is None else item | {"analyte": problem.analyte}


async def _service_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, ServiceError):
        raise TypeError("registered for ServiceError alone")
    return problem_response(request.scope, error)


async def _validation_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise TypeError("registered for RequestValidationError alone")
    problems = []
    for item in error.errors():
        code, message, remedy = _MEANINGS.get(item["type"], _OTHERWISE)
        location = [str(part) for part in item["loc"][1:]]
        if code in ("unknown_field", "malformed_body"):
            location = location[:-1]
        problems.append(Problem("".join(f"/{part}" for part in location), code, message, remedy))
    return problem_response(request.scope, InputRejected("The request is not valid.", problems=problems))


async def _http_exception(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise TypeError("registered for HTTPException alone")
    response = problem_response(request.scope, _routing_error(error.status_code))
    response.headers.update(error.headers or {})
    return response


def _routing_error(status: int) -> ServiceError:
    kind = MethodNotAllowed if status == HTTPStatus.METHOD_NOT_ALLOWED else NotFound
    return kind(kind.title + ".", "See /openapi.json for the routes and their methods.")


async def answer_defect(request: Request, error: Exception) -> Response:
    """500 for an error nobody expected; the log gets its type and place, never its text."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    location = None if place is None else f"{place.tb_frame.f_globals.get('__name__')}:{place.tb_lineno}"
    log_event(
        "internal_error",
        level=logging.ERROR,
        request_id=request.state.request_id,
        error_type=type(error).__name__,
        location=location,
    )
    response = problem_response(
        request.scope, InternalError("The service met a defect of its own.", "Report the instance.")
    )
    # The framework answers this one outside of every layer of ours, the access log included.
    response.headers["X-Request-Id"] = request.state.request_id
    return response
