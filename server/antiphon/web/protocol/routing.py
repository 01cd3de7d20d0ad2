"""Starlette's router with the rules for paths that are added while the server runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from antiphon.kernel.errors import PluginError
from antiphon.web.http_message import Handler, HttpRequest, Refusal, Response
from antiphon.web.protocol.application import Endpoint, Resource
from antiphon.web.protocol.gate import RequestGate
from antiphon.web.protocol.websocket import ServeWebSocket

Owner: TypeAlias = Callable[[HttpRequest], None]
"""Check that raises `Refusal` if a request with the token is not allowed."""

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Routes:
    """Routes of a server, an ASGI application.

    `fallback`: answers GET for paths without a route; `websockets`: by path the handler, and the check of token
    requests.
    """

    def __init__(self, gate: RequestGate) -> None:
        self._gate = gate
        self._router = Router(redirect_slashes=False, default=self._unknown)
        self._resources: dict[str, Resource] = {}
        self.websockets: dict[str, tuple[ServeWebSocket, Owner | None]] = {}
        self._reserved: frozenset[str] | None = None
        self.fallback: Handler | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        await self._router(scope, receive, send)

    def add(self, method: str, path: str, endpoint: Endpoint) -> None:
        """Adds a route; of several matches, one without "*" has priority, then the one with the fewest {parts}.

        A path is as /plugins/NAME/THING/{part}; "/*" at its end matches every path below. A GET route also answers
        HEAD. Raises PluginError: the path is reserved, taken or malformed, or there is no such method.
        """
        if not path.startswith("/") or "//" in path or any(p in (".", "..") for p in path.split("/")):
            raise PluginError(f"{path!r} is not a route; write a path like /plugins/NAME/THING")
        _, first, *more = path.split("/")
        if self._reserved is not None:
            own_api = first == "api" and not (more and _NAME.fullmatch(more[0]))
            if own_api or first in self._reserved or "/".join((first, *more[:1])) in self._reserved:
                raise PluginError(f"{path!r} is reserved; put the route below /plugins/ or /api/NAME")
        if method not in _METHODS:
            raise PluginError(f"{method!r} is not a method a route takes: GET, POST, PUT, PATCH or DELETE")
        if path not in self._resources:
            resource = Resource(self._gate)
            pattern = path.removesuffix("*") + "{rest:path}" if path.endswith("/*") else path
            try:
                route = Route(pattern, resource)
            except (ValueError, AssertionError) as error:
                raise PluginError(f"{path!r} is not a route ({error}); write a path like /plugins/NAME/THING") from None
            self._resources[path] = resource
            self._router.routes.append(route)
            self._router.routes.sort(key=lambda one: _order(one.path))  # type: ignore[attr-defined]
        if method in self._resources[path].endpoints:
            raise PluginError(f"{method} {path} is taken by another plugin; choose another path")
        self._resources[path].endpoints[method] = endpoint

    def add_websocket(self, path: str, serve: ServeWebSocket, owner: Owner | None = None) -> None:
        """Serves the WebSockets of a path; a plain request is answered 426.

        `owner`: requires the token, and is called with the request to raise `Refusal`; None for any page.
        """
        self.websockets[path] = serve, owner

        def upgrade(request: HttpRequest) -> Response:
            if owner is not None:
                owner(request)
            raise Refusal(426, "this address is for WebSockets")

        self.add("GET", path, Endpoint(upgrade, owner is not None))

    def paths(self) -> list[tuple[str, str]]:
        """Path and method of every route."""
        return [(path, method) for path, one in self._resources.items() for method in one.endpoints]

    def reserve(self, names: frozenset[str]) -> None:
        """Makes `add` refuse "/" and paths whose first part, or first two, are among `names`, from now on."""
        self._reserved = names | {"", "*"}

    async def _unknown(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.fallback is None or (scope["method"] not in ("GET", "HEAD") and scope["path"].startswith("/api/")):
            raise Refusal(404, "there is nothing at this address")
        resource = Resource(self._gate)
        resource.endpoints["GET"] = Endpoint(self.fallback, False)
        await resource(scope, receive, send)


def _order(path: str) -> tuple[bool, int, int]:
    return "{rest:path}" in path, path.count("{"), -len(path)
