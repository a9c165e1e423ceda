"""The application as the server sees it: FastAPI, with `POST /v1/scores` taken out in front of its router.

FastAPI's own work per request, its layers of middleware and the search for the route, is larger than all of ours. The
one route that is asked thousands of times a second passes only the two layers it needs, and they are the same as
everybody's: `AccessLog`, and the framework's answer to a defect.
"""

from __future__ import annotations

from fastapi import FastAPI
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import Receive, Scope, Send

from service.api.access_log import AccessLog
from service.api.post_score import PATH, post_score
from service.api.problems import answer_defect


class Front(FastAPI):
    """The one application object; everything but `POST /v1/scores` is FastAPI's."""

    _post_score = ServerErrorMiddleware(AccessLog(post_score), handler=answer_defect)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope.get("path") == PATH and scope.get("method") == "POST" and not scope.get("root_path"):
            scope["app"] = self
            await self._post_score(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)
