"""Who may call what: the bearer key of a request, and the scope each route asks for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import Request

from service.api.headers import bearer_key, headers_of
from service.workflows.key_cache import Caller
from service.workflows.keys import authenticate
from service.workflows.patience import in_thread
from service.workflows.services import Services


def services_of(request: Request) -> Services:
    """The services this application was composed with."""
    services: Services = request.app.state.services
    return services


async def caller_with(request: Request, scope: str) -> Caller:
    """The caller of a request; raises Unauthenticated, or ScopeMissing where the key lacks `scope`."""
    presented = bearer_key(headers_of(request.scope))
    caller = await in_thread(authenticate, services_of(request), presented)
    request.state.actor = caller.actor
    caller.require(scope)
    return caller


def requires(scope: str) -> Callable[[Request], Awaitable[Caller]]:
    """A dependency that lets only callers with `scope` through."""

    async def dependency(request: Request) -> Caller:
        return await caller_with(request, scope)

    return dependency
