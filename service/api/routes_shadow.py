"""Shadows over HTTP: how a model's shadows agree with the versions that answered."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from service.api.openapi_parts import problems_of
from service.api.schemas_registry import ShadowAnswer
from service.api.security import requires, services_of
from service.workflows.key_cache import Caller
from service.workflows.patience import in_thread
from service.workflows.read_shadow import read_shadow

router = APIRouter(tags=["models"])
Reader = Annotated[Caller, Depends(requires("models:read"))]


@router.get(
    "/v1/models/{name}/shadow",
    summary="Compare shadows with what was answered",
    responses=problems_of(401, 403, 404, 503),
)
async def show_shadow(request: Request, name: str, _: Reader) -> ShadowAnswer:
    """The shadow of now, and for each pair of versions how far the shadow's scores are from the answers."""
    return ShadowAnswer.model_validate(await in_thread(read_shadow, services_of(request).database, name))
