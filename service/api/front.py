"""The application as the server sees it: FastAPI, with `POST /v1/scores` taken out in front of its router.

FastAPI's own work per request, its layers of middleware and the search for the route, is larger than all of ours. The
one route that is asked thousands of times a second passes only the two layers it needs, and they do the same as
everybody's: `AccessLog`, and the answer to a defect.
"""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from service.api.access_log import AccessLog
from service.api.post_score import PATH, post_score
from service.api.problems import answer_defect


class Front(FastAPI):
    """The one application object; everything but `POST /v1/scores` is FastAPI's."""

    _post_score = AccessLog(post_score)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope.get("path") == PATH and scope.get("method") == "POST" and not scope.get("root_path"):
            scope["app"] = self
            try:
                await self._post_score(scope, receive, send)
            except Exception as error:
                # As the framework does it: answered, unless an answer has begun, and raised for the server to see.
                if "status" not in scope["state"]:
                    response = await answer_defect(Request(scope), error)
                    await response(scope, receive, send)
                raise
        else:
            await super().__call__(scope, receive, send)
