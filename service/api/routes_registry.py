"""The registry over HTTP: list models, register an artifact, acknowledge its warnings, sign for it, ask for the past.

Plain Starlette routes, as in `routes_scores`: the key is asked for before a byte of the body is read, and the domain's
own tables check what was sent.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.api.headers import JSON, check_media_type, check_zip, headers_of, read_body
from service.api.schemas import AuditOut
from service.api.schemas_registry import (
    AcknowledgementAnswer,
    AcknowledgementOut,
    HistoryAnswer,
    ModelPage,
    RegistrationAnswer,
    SignatureOut,
    TransitionAnswer,
)
from service.api.security import caller_with, services_of
from service.domain.model_life import parse_acknowledgement, parse_transition
from service.domain.model_query import parse_history
from service.errors import BodyTooSlow, Overloaded
from service.workflows import read_models
from service.workflows.acknowledge_warnings import acknowledge_warnings
from service.workflows.key_cache import Caller
from service.workflows.keys import renew
from service.workflows.model_history import find_history, rendered
from service.workflows.patience import in_thread
from service.workflows.register_model import MAX_ZIP_BYTES, register_zip
from service.workflows.signed import require_person
from service.workflows.transition_model import transition_model
from service.workflows.transitions import Signatory

UPLOADS = 2
"""Artifacts that are taken in at once: each may have 128 MiB, and waits in memory for its turn."""

UPLOAD_SECONDS = 300.0
"""How long a caller may take to send one."""


async def post_model(request: Request) -> Response:
    """Register an artifact; the answer leaves after it is tested and both are durable."""
    caller = await _caller(request, MODELS, "models:register")
    headers = headers_of(request.scope)
    check_zip(headers)
    slots: asyncio.Semaphore = request.app.state.uploads
    if slots.locked():
        raise Overloaded("Other artifacts are being registered.", "Send the artifact again soon.")
    async with slots:
        try:
            async with asyncio.timeout(UPLOAD_SECONDS):
                body = await read_body(headers, request.receive, MAX_ZIP_BYTES)
        except TimeoutError:
            raise BodyTooSlow("The artifact did not arrive in time.", "Send it over a faster line.") from None
        services = services_of(request)
        # Minutes may have gone by: a key that was revoked meanwhile registers nothing.
        caller = await in_thread(renew, services, caller)
        signatory = Signatory(caller.actor, caller.person_id)
        done = await asyncio.to_thread(register_zip, services, body, signatory)
    await services.registry.moved()
    row, receipt = done.version, done.receipt
    answer = RegistrationAnswer(
        name=row.name,
        version=row.version,
        digest=row.digest,
        state=row.state,
        publisher=done.publisher,
        fault=done.fault,
        audit=None if receipt is None else AuditOut(index=receipt.index, checkpoint=receipt.note),
    )
    place = {"Location": f"/v1/models/{row.name}/versions/{row.version}"}
    return Response(answer.model_dump_json(), 201 if done.created else 200, headers=place, media_type=JSON)


async def post_transition(request: Request) -> Response:
    """Bring a version to a state or an alias; the answer leaves after that is durable and in force here."""
    caller = await _caller(request, TRANSITIONS, "models:approve")
    headers = headers_of(request.scope)
    check_media_type(headers)
    signing = parse_transition(await read_body(headers, request.receive))
    path = request.path_params
    moved = await transition_model(
        services_of(request), require_person(caller), path["name"], path["version"], signing, caller
    )
    row, receipt = moved.version, moved.receipt
    answer = TransitionAnswer(
        name=row.name,
        version=row.version,
        digest=row.digest,
        state=row.state,
        alias=moved.move.alias,
        dropped=list(moved.move.dropped),
        signature=SignatureOut(**asdict(moved.signature)),
        audit=AuditOut(index=receipt.index, checkpoint=receipt.note),
    )
    return Response(answer.model_dump_json(), 201, headers={"Cache-Control": "no-store"}, media_type=JSON)


async def post_acknowledgement(request: Request) -> Response:
    """Acknowledge warnings of a version; the answer leaves after that is durable."""
    caller = await _caller(request, ACKNOWLEDGEMENTS, "models:approve")
    headers = headers_of(request.scope)
    check_media_type(headers)
    asked = parse_acknowledgement(await read_body(headers, request.receive))
    path = request.path_params
    done = await acknowledge_warnings(
        services_of(request), require_person(caller), path["name"], path["version"], asked, caller
    )
    row, receipt = done.version, done.receipt
    answer = AcknowledgementAnswer(
        name=row.name,
        version=row.version,
        digest=row.digest,
        acknowledged=[AcknowledgementOut(**asdict(one)) for one in done.made],
        already=list(done.already),
        open_warnings=list(done.still_open),
        audit=None if receipt is None else AuditOut(index=receipt.index, checkpoint=receipt.note),
    )
    status = 200 if receipt is None else 201
    return Response(answer.model_dump_json(), status, headers={"Cache-Control": "no-store"}, media_type=JSON)


async def get_history(request: Request) -> Response:
    """Every transition and acknowledgement of a model, and how it stood at a time."""
    await _caller(request, HISTORY, "models:read")
    as_of = parse_history(request.query_params.multi_items())
    history = await in_thread(find_history, services_of(request).database, request.path_params["name"], as_of)
    return Response(HistoryAnswer(**rendered(history, as_of)).model_dump_json(by_alias=True), media_type=JSON)


async def list_models(request: Request) -> Response:
    """Every model with its aliases and its newest version."""
    await _caller(request, MODELS, "models:read")
    items = read_models.list_models(await services_of(request).registry.now())
    return Response(ModelPage(items=items, next_cursor=None).model_dump_json(), media_type=JSON)


async def models(request: Request) -> Response:
    """The two methods of one path: a single route, so that a wrong method is told both."""
    return await post_model(request) if request.method == "POST" else await list_models(request)


MODELS = Route("/v1/models", models, methods=["GET", "POST"])
TRANSITIONS = Route("/v1/models/{name}/versions/{version}/transitions", post_transition, methods=["POST"])
ACKNOWLEDGEMENTS = Route(
    "/v1/models/{name}/versions/{version}/acknowledgements", post_acknowledgement, methods=["POST"]
)
HISTORY = Route("/v1/models/{name}/history", get_history, methods=["GET"])
plain_routes = (MODELS, TRANSITIONS, ACKNOWLEDGEMENTS, HISTORY)


async def _caller(request: Request, route: Route, scope: str) -> Caller:
    request.state.route = route.path  # a plain route does not tell the access log by itself
    return await caller_with(request, scope)
