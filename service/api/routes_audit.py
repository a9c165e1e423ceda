"""The audit log over HTTP: its verifier key, its checkpoint, its entries, and proofs that need no trust in us.

Texts are those of C2SP: verifier key, signed note, tlog-proof. A file of the last kind holds the entry it proves, so
that the file and the verifier key are all that is needed to check it, with any tool that knows the formats.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from service.api.openapi_parts import problems_of
from service.api.schemas import ConsistencyProof, EntryPage
from service.api.security import requires, services_of
from service.domain import log_query
from service.domain.query import query_parameters
from service.domain.record import Record
from service.errors import NotFound
from service.workflows import read_log
from service.workflows.key_cache import Caller
from service.workflows.patience import in_thread

HEADERS = {"Cache-Control": "private, no-cache"}

_INDEX = re.compile(r"0|[1-9][0-9]{0,15}")

router = APIRouter(tags=["audit"])
Auditor = Annotated[Caller, Depends(requires("audit:read"))]
Reader = Annotated[Caller, Depends(requires("scores:read"))]


def _text(description: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": description}}


def _asks(table: Record) -> dict[str, Any]:
    return {"parameters": query_parameters(table)}


QUERY_ERRORS = problems_of(401, 403, 404, 422, 503)


@router.get(
    "/v1/audit/key",
    summary="The verifier key of a log",
    responses=QUERY_ERRORS | _text("Name, key id and public key, in one line"),
    response_class=Response,
    openapi_extra=_asks(log_query.LOG),
)
async def show_key(request: Request, _: Auditor) -> Response:
    """The key that checkpoints are signed with, as C2SP signed-note writes it. It never changes for one log."""
    origin = log_query.parse_log(request.query_params.multi_items())
    return _plain(await in_thread(read_log.show_key, services_of(request).database, origin))


@router.get(
    "/v1/audit/checkpoint",
    summary="The signed checkpoint of a log",
    responses=QUERY_ERRORS | _text("A signed note: origin, size, root, signature"),
    response_class=Response,
    openapi_extra=_asks(log_query.LOG),
)
async def show_checkpoint(request: Request, _: Auditor) -> Response:
    """What the log commits itself to now (C2SP tlog-checkpoint). Kept elsewhere, it is what a later log is held to."""
    origin = log_query.parse_log(request.query_params.multi_items())
    return _plain(await in_thread(read_log.show_checkpoint, services_of(request).database, origin))


@router.get(
    "/v1/audit/entries",
    summary="List the entries of a log",
    responses=QUERY_ERRORS | {200: {"model": EntryPage, "description": "One page, in the order of the log"}},
    response_class=Response,
    openapi_extra=_asks(log_query.ENTRIES),
)
async def list_entries(request: Request, _: Auditor) -> Response:
    """The stored bytes of entries: those that were hashed. They hold no subject, no specimen and no score."""
    query = log_query.parse_entries(request.query_params.multi_items())
    return JSONResponse(await in_thread(read_log.list_log, services_of(request).database, query), headers=HEADERS)


@router.get(
    "/v1/audit/entries/{index}/proof",
    summary="Prove one entry of a log",
    responses=QUERY_ERRORS | _text("C2SP tlog-proof; `extra` is the entry"),
    response_class=Response,
    openapi_extra=_asks(log_query.LOG),
)
async def prove_entry(request: Request, index: str, _: Auditor) -> Response:
    """That the entry stands at this index under the checkpoint of now."""
    origin = log_query.parse_log(request.query_params.multi_items())
    if _INDEX.fullmatch(index) is None:
        raise NotFound("An entry is named by its index, a whole number.", "See GET /v1/audit/entries.")
    return _plain(await in_thread(read_log.prove_entry, services_of(request).database, origin, int(index)))


@router.get(
    "/v1/audit/consistency",
    summary="Prove that a log only grew",
    responses=QUERY_ERRORS | {200: {"model": ConsistencyProof, "description": "Hashes in base64, as in RFC 9162"}},
    response_class=Response,
    openapi_extra=_asks(log_query.CONSISTENCY),
)
async def prove_consistency(request: Request, _: Auditor) -> Response:
    """That the tree of size `to` begins with the tree of size `from`; `to` is the size of now where it is left out."""
    query = log_query.parse_consistency(request.query_params.multi_items())
    proof = await in_thread(read_log.prove_consistency, services_of(request).database, query)
    return JSONResponse(proof, headers=HEADERS)


@router.get(
    "/v1/scores/{score_id}/proof",
    tags=["scores"],
    summary="Prove that a score was recorded",
    responses=problems_of(401, 403, 404, 500, 503) | _text("C2SP tlog-proof; `extra` is the entry of the score"),
    response_class=Response,
)
async def prove_score(request: Request, score_id: str, _: Reader) -> Response:
    """That the entry of this score is in the log. The entry commits to request and answer and shows neither."""
    return _plain(await in_thread(read_log.prove_score, services_of(request).database, score_id))


def _plain(text: str) -> Response:
    return PlainTextResponse(text, headers=HEADERS)
