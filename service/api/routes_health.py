"""Health: is the process alive, and may it be sent work. The only routes without a key."""

from __future__ import annotations

from fastapi import APIRouter, Request

from service.api.openapi_parts import problems_of
from service.api.schemas import Live, Ready
from service.api.security import services_of
from service.workflows.patience import in_thread
from service.workflows.readiness import check_ready

router = APIRouter(tags=["health"])


@router.get("/health/live", summary="The process runs")
async def live() -> Live:
    """Answers as long as the event loop turns."""
    return Live(status="ok")


@router.get("/health/ready", summary="The service may be sent work", responses=problems_of(503))
async def ready(request: Request) -> Ready:
    """Asks the database; 503 while it is away or its schema is not current."""
    in_force = await in_thread(check_ready, services_of(request))
    return Ready(status="ready", versions_in_force=in_force)
