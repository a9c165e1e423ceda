"""Scores over HTTP: read one, list, search, retract; `post_score.py` submits one.

Whatever takes a body or a query is a plain Starlette route. It asks for the key before it reads a byte of the body, and
is checked by the domain's own tables; the OpenAPI document is made from the same tables, see `openapi.py`.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from service.api.headers import JSON, check_media_type, headers_of, read_body
from service.api.openapi_parts import problems_of
from service.api.post_score import PATH, post_score
from service.api.schemas import AuditOut, RetractionAnswer, RetractionOut, ScoreAnswer, ScorePage
from service.api.security import caller_with, requires, services_of
from service.domain.score_life import parse_retraction
from service.domain.score_query import ScoreQuery, parse_list, parse_search
from service.workflows import read_scores
from service.workflows.key_cache import Caller
from service.workflows.retract_score import retract_score

router = APIRouter(tags=["scores"])
Reader = Annotated[Caller, Depends(requires("scores:read"))]


@router.get(
    "/v1/scores/{score_id}",
    summary="Read one stored score",
    responses=problems_of(401, 403, 404, 500, 503)
    | {200: {"model": ScoreAnswer, "description": "The stored score"}, 304: {"description": "Not modified"}},
    response_class=Response,
)
async def get_score(request: Request, score_id: str, caller: Reader) -> Response:
    """The stored answer, byte for byte, with what is derived at read time. That it was read is recorded first."""
    row = await read_scores.show_score(services_of(request), caller, score_id)
    answer = row.row.answer
    tag = read_scores.etag(answer, row.superseded_by, row.retracted)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if _matches(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    content = read_scores.render(answer, row.seq, row.checkpoint, row.superseded_by, row.retracted)
    return Response(content, headers=headers, media_type=JSON)


async def list_scores(request: Request) -> Response:
    """Scores in the order of the audit log, oldest first; no subject and no specimen."""
    caller = await _caller(request, SCORES, "scores:read")
    return await _page(request, caller, parse_list(request.query_params.multi_items()))


async def search_scores(request: Request) -> Response:
    """The list with subject and specimen filters, in a body because identifiers must not stand in a URL."""
    caller = await _caller(request, SEARCH, "scores:read")
    headers = headers_of(request.scope)
    check_media_type(headers)
    return await _page(request, caller, parse_search(await read_body(headers, request.receive)))


async def post_retraction(request: Request) -> Response:
    """Retract one score; the answer leaves after the retraction and its audit entry are durable."""
    caller = await _caller(request, RETRACTION, "scores:write")
    headers = headers_of(request.scope)
    check_media_type(headers)
    reason = parse_retraction(await read_body(headers, request.receive))
    done = await retract_score(services_of(request), caller, request.path_params["score_id"], reason)
    answer = RetractionAnswer(
        id=done.score_id,
        retracted=RetractionOut.model_validate(done.retraction, from_attributes=True),
        audit=AuditOut(index=done.receipt.index, checkpoint=done.receipt.note),
    )
    return Response(answer.model_dump_json(), 201, headers={"Cache-Control": "no-store"}, media_type=JSON)


async def scores(request: Request) -> ASGIApp:
    """The two methods of one path: a single route, so that a wrong method is told both."""
    return post_score if request.method == "POST" else await list_scores(request)


SCORES = Route(PATH, scores, methods=["GET", "POST"])
SEARCH = Route("/v1/scores/search", search_scores, methods=["POST"])
RETRACTION = Route("/v1/scores/{score_id}/retraction", post_retraction, methods=["POST"])
plain_routes = (SCORES, SEARCH, RETRACTION)


async def _caller(request: Request, route: Route, scope: str) -> Caller:
    request.state.route = route.path  # a plain route does not tell the access log by itself
    return await caller_with(request, scope)


async def _page(request: Request, caller: Caller, query: ScoreQuery) -> Response:
    page = await read_scores.show_page(services_of(request), caller, query)
    return Response(ScorePage(**page).model_dump_json(), media_type=JSON, headers={"Cache-Control": "no-store"})


def _matches(header: str, tag: str) -> bool:
    """Whether If-None-Match names `tag` (weak comparison, RFC 9110, section 13.1.2)."""
    candidates = {item.strip().removeprefix("W/") for item in header.split(",")}
    return tag in candidates or "*" in candidates
