"""The routes of the HTTP server: which handler answers a request."""

from __future__ import annotations

from dataclasses import dataclass, field

from antiphon.errors import PluginError
from antiphon.io.http_message import Handler, HttpRoute, Refusal, StreamHandler, StreamRoute

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(slots=True)
class RouteTable:
    """Handlers by path and method.

    Attributes:
        fallback: Answers GET for paths without a route.
    """

    fallback: Handler | None = None
    _routes: dict[str, dict[str, HttpRoute | StreamRoute]] = field(default_factory=dict)
    _reserved: frozenset[str] | None = None

    def add(self, method: str, path: str, handler: Handler, *, token: bool = False) -> None:
        """Adds a route.

        Args:
            method: GET, POST, PUT, PATCH or DELETE. All but GET need the token; a GET route also answers HEAD.
            path: Such as /plugins/NAME/THING; "/*" at its end matches every path below. Below /plugins/ no path is
                reserved.
            handler: Called with each request; it returns a `Response` or an awaitable of one.
            token: Whether GET needs the token too.

        Raises:
            PluginError: The path is reserved, taken or malformed, or there is no such method.
        """
        self._add(method.upper(), path, HttpRoute(handler, token=token or method.upper() != "GET"))

    def add_stream(self, path: str, handler: StreamHandler, most: int, *, live: bool = False) -> None:
        """Adds a route for POST whose handler reads the body in pieces.

        Args:
            path: As in `add`.
            handler: Called with the request and its body's pieces.
            most: Bytes of a body, at most.
            live: Whether sound may be sent as it is made: in small chunks, at a low bit rate.

        Raises:
            PluginError: As `add`.
        """
        self._add("POST", path, StreamRoute(handler, most, live))

    def paths(self) -> list[tuple[str, str]]:
        """Path and method of every route."""
        return [(path, method) for path, methods in self._routes.items() for method in methods]

    def reserve(self, names: frozenset[str]) -> None:
        """Makes `add` refuse "/" and paths whose first part is among `names`, from now on."""
        self._reserved = names | {"", "*"}

    def route(self, method: str, path: str) -> HttpRoute | StreamRoute:
        """The route of a request; `Refusal` 404 where there is none, 405 where it does not take the method."""
        asked = "GET" if method == "HEAD" else method
        methods = self._routes.get(path) or self._below(path)
        if methods is None and self.fallback is not None:
            methods = {"GET": HttpRoute(self.fallback, token=False)}
        if methods is None:
            raise Refusal(404, "there is nothing at this address")
        if asked not in methods:
            allowed = ", ".join(sorted(methods))
            raise Refusal(405, f"this address takes {allowed}", (("Allow", allowed),))
        return methods[asked]

    def _add(self, method: str, path: str, route: HttpRoute | StreamRoute) -> None:
        if not path.startswith("/") or "//" in path or any(p in (".", "..") for p in path.split("/")):
            raise PluginError(f"{path!r} is not a route; write a path like /plugins/NAME/THING")
        if self._reserved is not None and path.split("/")[1] in self._reserved:
            raise PluginError(f"{path!r} is reserved; put the route below /plugins/")
        if method not in _METHODS:
            raise PluginError(f"{method!r} is not a method a route takes: GET, POST, PUT, PATCH or DELETE")
        methods = self._routes.setdefault(path, {})
        if method in methods:
            raise PluginError(f"{method} {path} is taken by another plugin; choose another path")
        methods[method] = route

    def _below(self, path: str) -> dict[str, HttpRoute | StreamRoute] | None:
        parts = path.split("/")
        for depth in range(len(parts) - 1, 0, -1):
            methods = self._routes.get("/".join(parts[:depth]) + "/*")
            if methods is not None:
                return methods
        return None
