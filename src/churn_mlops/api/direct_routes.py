"""The short way to the routes that are asked most: past the framework's router and dependency solving."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from churn_mlops.api.errors import answer_error
from churn_mlops.errors import ChurnMlopsError

if TYPE_CHECKING:
    from fastapi.routing import APIRoute
    from starlette.types import ASGIApp, Receive, Scope, Send

Endpoint = Callable[[Request], Awaitable[Response]]
"""What a route has to be to go the short way: all it takes is the request, and it answers a response."""


class DirectRoutes:
    """Calls the endpoints of some routes itself, and passes every other request on.

    The framework knows and documents these routes as any other. On its own way it compares the path with each route
    in turn, builds two exit stacks and looks for parameters, which takes several times as long as scoring a customer.

    Args:
        app: the next application.
        routes: by method and path, without parameters in the path.
    """

    def __init__(self, app: ASGIApp, routes: Mapping[tuple[str, str], APIRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        try:
            response = await route.endpoint(Request(scope, receive))
        except ChurnMlopsError as error:
            response = answer_error(error)
        await response(scope, receive, send)
