"""Scores over HTTP: submit one, read one, list, search.

Whatever takes a body or a query is a plain Starlette route. It asks for the key before it reads a byte of the body,
hands on the raw bytes, because those are what the audit entry commits to, and is checked by the domain's own tables;
the OpenAPI document is made from the same tables, see `openapi.py`.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.api.openapi import problems_of
from service.api.schemas import ScoreAnswer, ScorePage
from service.api.security import caller_with, requires, services_of
from service.domain.score_query import ScoreQuery, parse_list, parse_search
from service.errors import BodyTooLarge, InputRejected, Problem, UnsupportedMediaType
from service.workflows import read_scores
from service.workflows.keys import Caller
from service.workflows.score_specimen import score_specimen
from service.workflows.services import in_thread

MAX_BODY_BYTES = 1024 * 1024
JSON = "application/json"

router = APIRouter(tags=["scores"])
Reader = Annotated[Caller, Depends(requires("scores:read"))]


async def post_score(request: Request) -> Response:
    """Score one specimen; the answer leaves after the score and its audit entry are durable."""
    caller = await _caller(request, SCORES, "scores:write")
    _check_media_type(request)
    body = await read_body(request)
    outcome = await score_specimen(services_of(request), caller, body, _idempotency_key(request))
    headers = {"Location": f"/v1/scores/{outcome.score_id}", "Cache-Control": "no-store"}
    if not outcome.created:
        headers["Idempotent-Replayed"] = "true"
    content = read_scores.render(outcome.answer, outcome.index, outcome.checkpoint, outcome.superseded_by)
    return Response(content, 201 if outcome.created else 200, headers=headers, media_type=JSON)


@router.get(
    "/v1/scores/{score_id}",
    summary="Read one stored score",
    responses=problems_of(401, 403, 404, 500, 503)
    | {200: {"model": ScoreAnswer, "description": "The stored score"}, 304: {"description": "Not modified"}},
    response_class=Response,
)
async def get_score(request: Request, score_id: str, _: Reader) -> Response:
    """The stored answer, byte for byte, with what is derived at read time."""
    row = await in_thread(read_scores.get_score, services_of(request), score_id)
    answer = row.row.answer
    tag = read_scores.etag(answer, row.superseded_by)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if _matches(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    return Response(
        read_scores.render(answer, row.seq, row.checkpoint, row.superseded_by), headers=headers, media_type=JSON
    )


async def list_scores(request: Request) -> Response:
    """Scores in the order of the audit log, oldest first; no subject and no specimen."""
    await _caller(request, SCORES, "scores:read")
    return await _page(request, parse_list(request.query_params.multi_items()))


async def search_scores(request: Request) -> Response:
    """The list with subject and specimen filters, in a body because identifiers must not stand in a URL."""
    await _caller(request, SEARCH, "scores:read")
    _check_media_type(request)
    return await _page(request, parse_search(await read_body(request)))


async def scores(request: Request) -> Response:
    """The two methods of one path: a single route, so that a wrong method is told both."""
    return await (post_score if request.method == "POST" else list_scores)(request)


SCORES = Route("/v1/scores", scores, methods=["GET", "POST"])
SEARCH = Route("/v1/scores/search", search_scores, methods=["POST"])
plain_routes = (SCORES, SEARCH)


async def _caller(request: Request, route: Route, scope: str) -> Caller:
    request.state.route = route.path  # a plain route does not tell the access log by itself
    return await caller_with(request, scope)


async def read_body(request: Request) -> bytes:
    """The whole body, at most 1 MiB; raises BodyTooLarge as soon as that is certain."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        raise _too_large()
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise _too_large()
        chunks.append(chunk)
    return b"".join(chunks)


async def _page(request: Request, query: ScoreQuery) -> Response:
    page = await in_thread(read_scores.list_scores, services_of(request), query)
    return Response(ScorePage(**page).model_dump_json(), media_type=JSON, headers={"Cache-Control": "no-store"})


def _matches(header: str, tag: str) -> bool:
    """Whether If-None-Match names `tag` (weak comparison, RFC 9110, section 13.1.2)."""
    candidates = {item.strip().removeprefix("W/") for item in header.split(",")}
    return tag in candidates or "*" in candidates


def _check_media_type(request: Request) -> None:
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if kind.strip().lower() != JSON or charset not in ("", "charset=utf-8"):
        raise UnsupportedMediaType("The body must be JSON in UTF-8.", f"Send Content-Type: {JSON}.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Compressed bodies are not read here.", "Send the body without Content-Encoding.")


def _idempotency_key(request: Request) -> str | None:
    values = request.headers.getlist("idempotency-key")
    if len(values) > 1:
        message = "There is more than one Idempotency-Key header."
        problem = Problem("", "invalid_idempotency_key", message, "Send one.")
        raise InputRejected(message, problems=[problem])
    return values[0] if values else None


def _too_large() -> BodyTooLarge:
    return BodyTooLarge(f"The body is larger than {MAX_BODY_BYTES} bytes.", "Send one specimen per request.")
