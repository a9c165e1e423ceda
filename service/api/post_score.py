"""`POST /v1/scores`: plain ASGI from the server to the workflow; whatever stood in between would be paid per request.

It asks for the key before it reads a byte of the body, hands on the raw bytes, because those are what the audit entry
commits to, and is checked by the domain's own tables; the OpenAPI document is made from the same tables, see
`openapi.py`. What headers and bodies mean stands in `headers.py`, which the other routes use too.
"""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from service.api.headers import bearer_key, check_media_type, headers_of, idempotency_key, read_body
from service.api.problems import problem_response
from service.errors import ServiceError
from service.workflows import read_scores
from service.workflows.keys import recent_caller
from service.workflows.score_specimen import score_specimen
from service.workflows.services import Services

PATH = "/v1/scores"


async def post_score(scope: Scope, receive: Receive, send: Send) -> None:
    """Score one specimen; the answer leaves after the score and its audit entry are durable."""
    scope["state"]["route"] = PATH
    services: Services = scope["app"].state.services
    try:
        headers = headers_of(scope)
        caller = await recent_caller(services, bearer_key(headers))
        scope["state"]["actor"] = caller.actor
        caller.require("scores:write")
        check_media_type(headers)
        body = await read_body(headers, receive)
        outcome = await score_specimen(services, caller, body, idempotency_key(scope))
    except ServiceError as error:
        await problem_response(scope, error)(scope, receive, send)
        return
    content = read_scores.render(
        outcome.answer, outcome.index, outcome.checkpoint, outcome.superseded_by, outcome.retracted
    )
    answered = [
        (b"location", f"{PATH}/{outcome.score_id}".encode()),
        (b"cache-control", b"no-store"),
        (b"content-length", str(len(content)).encode()),
        (b"content-type", b"application/json"),
    ]
    if not outcome.created:
        answered.append((b"idempotent-replayed", b"true"))
    await send({"type": "http.response.start", "status": 201 if outcome.created else 200, "headers": answered})
    await send({"type": "http.response.body", "body": content})
