"""Erasures over HTTP: everything about one subject goes, and the log says that it did."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.api.headers import JSON, check_media_type, headers_of, read_body
from service.api.schemas import AuditOut, ErasureAnswer
from service.api.security import caller_with, services_of
from service.domain.score_life import parse_erasure
from service.workflows.erase_subject import erase_subject


async def post_erasure(request: Request) -> Response:
    """Erase one subject; the answer leaves after the last of its rows is gone and that is recorded."""
    request.state.route = ERASURES.path
    caller = await caller_with(request, "subjects:erase")
    headers = headers_of(request.scope)
    check_media_type(headers)
    erasure = parse_erasure(await read_body(headers, request.receive))
    done = await erase_subject(services_of(request), erasure, actor=caller.actor, caller=caller)
    answer = ErasureAnswer(
        erased=done.count,
        purged=done.purged,
        audit=AuditOut(index=done.receipt.index, checkpoint=done.receipt.note),
    )
    return Response(answer.model_dump_json(), 201, headers={"Cache-Control": "no-store"}, media_type=JSON)


ERASURES = Route("/v1/erasures", post_erasure, methods=["POST"])
plain_routes = (ERASURES,)
