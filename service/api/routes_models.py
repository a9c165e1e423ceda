"""Models over HTTP: which version of one answers, what a version needs, its card, and what a new one changes.

See `routes_registry` for what changes them.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from service.api.openapi_parts import problems_of
from service.api.schemas import ModelDetail, VersionDetail
from service.api.security import requires, services_of
from service.domain import model_query
from service.domain.query import query_parameters
from service.workflows import read_models
from service.workflows.describe import Described, describe
from service.workflows.key_cache import Caller
from service.workflows.patience import in_thread

router = APIRouter(tags=["models"])
Reader = Annotated[Caller, Depends(requires("models:read"))]
ERRORS = problems_of(401, 403, 404, 500, 503)


def _forms(description: str) -> dict[int | str, dict[str, Any]]:
    content: dict[str, Any] = {kind: {} for kind in read_models.CARD_FORMS}
    return {200: {"content": content, "description": description}}


@router.get("/v1/models/{name}", summary="Show a model", responses=ERRORS)
async def show_model(request: Request, name: str, _: Reader) -> ModelDetail:
    """A model's aliases and all its versions with their states, newest last."""
    return ModelDetail.model_validate(read_models.show_model(await services_of(request).registry.now(), name))


@router.get("/v1/models/{name}/versions/{version}", summary="Show a version", responses=ERRORS)
async def show_version(request: Request, name: str, version: str, _: Reader) -> VersionDetail:
    """State, digest, publisher, signatures and manifest of one version; the reason where it was rejected."""
    return VersionDetail.model_validate(read_models.show_version(await _described(request, name, version)))


@router.get(
    "/v1/models/{name}/versions/{version}/panel",
    summary="JSON Schema of a version's request",
    responses=ERRORS
    | problems_of(409)
    | {200: {"content": {"application/schema+json": {}}, "description": "JSON Schema 2020-12"}},
    response_class=Response,
)
async def show_panel(request: Request, name: str, version: str, _: Reader) -> Response:
    """A JSON Schema that a caller can check a request against before sending it."""
    schema = read_models.panel_of(await _described(request, name, version))
    return JSONResponse(schema, media_type="application/schema+json")


@router.get(
    "/v1/models/{name}/versions/{version}/card",
    summary="Model card of a version",
    responses=ERRORS | problems_of(409) | _forms("The model card"),
    response_class=Response,
)
async def show_card(request: Request, name: str, version: str, _: Reader) -> Response:
    """The model card in the form that Accept prefers: Markdown (the default), HTML or JSON."""
    form = preferred(request.headers.get("accept", "*/*"))
    described = await _described(request, name, version)
    # A manifest may be large: no score waits while its card is written.
    return _answer(await in_thread(read_models.card_of, described, form), form)


@router.get(
    "/v1/models/{name}/versions/{version}/compare",
    summary="Two versions side by side",
    responses=ERRORS | problems_of(409, 422) | _forms("The comparison"),
    response_class=Response,
    openapi_extra={"parameters": query_parameters(model_query.COMPARE)},
)
async def compare_versions(request: Request, name: str, version: str, _: Reader) -> Response:
    """What changes from `version` to the version in `with`, in the form that Accept prefers, as for the card."""
    other = model_query.parse_compare(request.query_params.multi_items())
    form = preferred(request.headers.get("accept", "*/*"))
    old, new = await _described(request, name, version), await _described(request, name, other)
    # In a thread, as the card.
    return _answer(await in_thread(read_models.comparison_of, old, new, form), form)


async def _described(request: Request, name: str, version: str) -> Described:
    services = services_of(request)
    models = await services.registry.now()
    return await in_thread(describe, models, name, version, services.database)


def _answer(content: Any, form: read_models.CardForm) -> Response:
    headers = {"Vary": "Accept"}
    if form == "json":
        return JSONResponse(content, headers=headers)
    if form == "html":
        return HTMLResponse(
            content, headers=headers | {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        )
    return PlainTextResponse(content, headers=headers, media_type="text/markdown")


def preferred(accept: str) -> read_models.CardForm:
    """The card's form that an Accept header prefers; Markdown where it does not say (RFC 9110, section 12.5.1)."""
    best: tuple[float, read_models.CardForm] = (0.0, "markdown")
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        form = read_models.CARD_FORMS.get(kind)
        weight = _weight(parameters)
        if form is not None and weight > best[0]:
            best = (weight, form)
    return best[1]


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            return float(value) if value.isascii() and value.replace(".", "", 1).isdigit() else 0.0
    return 1.0
