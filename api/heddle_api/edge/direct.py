"""Direct: the routes that must be quick, answered without the framework's walk to them.

At every request the framework matches all routes, opens stacks for what dependencies may leave behind, and walks
through the endpoint's signature; together that took longer than a cached edit. Here a path is looked up, and what the
signature asks for is fetched in three calls. The document is made of routes and signatures as ever, and whatever else
comes to these paths goes the framework's way.
"""

from collections.abc import Sequence
from typing import Final

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from heddle_api.auth import authenticate, require
from heddle_api.edge.form import deadline_of
from heddle_api.edge.service import EditService
from heddle_api.errors import answer_of, place_of
from heddle_platform.errors import HeddleError

EDITOR: Final = require("edits")


async def edit_service(request: Request) -> EditService:
    """Take the service out of the lifespan state."""
    # async although nothing is awaited: FastAPI would send a plain function through a thread
    service: EditService = request.state.edits
    return service


class DirectRoute(APIRoute):
    """A POST whose endpoint takes (request, principal, service, deadline) and answers with a response."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; errors are raised."""
        if scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        request = Request(scope, receive, send)
        principal = await EDITOR(await authenticate(request))
        deadline = await deadline_of(request.headers.get("x-deadline-ms"))
        response = await self.endpoint(request, principal, await edit_service(request), deadline)
        await response(scope, receive, send)


class Direct:
    """Middleware: takes POSTs to direct routes; install it innermost, so that the request's context is around it."""

    def __init__(self, app: ASGIApp, *, routes: Sequence[BaseRoute]) -> None:
        """Make one.

        Args:
            app: answers everything else.
            routes: direct routes, whose paths hold no parameters; others are left to `app`.
        """
        self._app = app
        self._routes = {route.path: route for route in routes if isinstance(route, DirectRoute)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        route = self._routes.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if route is None or scope.get("root_path"):  # below a root path the framework knows what the path means
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        try:
            await route.handle(scope, receive, send)
        except HeddleError as error:
            answer = answer_of(error, place_of(scope))
            await answer(scope, receive, send)
