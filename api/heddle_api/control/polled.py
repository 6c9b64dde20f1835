"""Polled: the read that everybody repeats, GET of a job, answered without the framework's walk to it.

At every request the framework matches all routes, opens stacks for what dependencies may leave behind, and walks
through the endpoint's signature: half of what reading a job took. Here the path is looked at, and the endpoint of the
same route is called with what its signature asks for. The document is made of routes and signatures as ever, and
whatever else comes to these paths goes the framework's way. The edge has the like for edits (`edge/direct.py`).
"""

from collections.abc import Sequence
from typing import Final

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from heddle_api.auth import authenticate
from heddle_api.control.context import control_of
from heddle_api.control.jobs.routes import owner_of_jobs
from heddle_api.errors import answer_of, place_of
from heddle_platform.errors import HeddleError

_PREFIX: Final = "/v1/jobs/"


class PolledJobs:
    """Middleware: takes GETs of single jobs; install it innermost, so that the request's context is around it."""

    def __init__(self, app: ASGIApp, *, routes: Sequence[BaseRoute]) -> None:
        """Make one.

        Args:
            app: answers everything else.
            routes: those of jobs; the one that reads a job takes (job id, principal, control).
        """
        self._app = app
        [self._route] = [
            route
            for route in routes
            if isinstance(route, APIRoute) and route.path == f"{_PREFIX}{{job_id}}" and "GET" in (route.methods or ())
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        job_id = _job_id(scope)
        if job_id is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = self._route
        request = Request(scope, receive, send)
        try:
            owner = await owner_of_jobs(await authenticate(request))
            answer = await self._route.endpoint(job_id, owner, await control_of(request))
        except HeddleError as error:
            answer = answer_of(error, place_of(scope))
        await answer(scope, receive, send)


def _job_id(scope: Scope) -> str | None:
    """Return whose GET this is, or None; below a root path the framework knows what the path means."""
    if scope["type"] != "http" or scope["method"] != "GET" or scope.get("root_path"):
        return None
    path: str = scope["path"]
    job_id = path.removeprefix(_PREFIX)
    return job_id if job_id and job_id != path and "/" not in job_id else None
