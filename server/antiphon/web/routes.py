"""What HTTP answers: the status, the OSCQuery tree, surfaces and their approval, the page.

http = await serve_http(app, port=4401, folder=paths.config())
for plugin in plugins: plugin.antiphon_routes(http)
...
await http.stop()
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from antiphon.contract.catalog import Catalog
from antiphon.contract.params import Value
from antiphon.control.osc.addresses import ADDRESSES
from antiphon.errors import FileError, UsageError
from antiphon.graph.graph import Graph
from antiphon.web import oscquery, page
from antiphon.web.access import Approvals, TokenGuard, load_token, local_addresses, plain_ip
from antiphon.web.server import Authorise, HttpRequest, HttpServer, Limits, Refusal, Response, answer

log = logging.getLogger("antiphon.http")

FIXED = tuple(oscquery.method(address.path, address.args, address.doc) for address in ADDRESSES)
"""The fixed commands, as OSCQuery shows them."""


class SurfaceApproval(Protocol):
    """Who may send OSC: addresses held back until somebody approves them."""

    def held(self) -> Iterable[str]: ...
    def approved(self) -> Iterable[str]: ...
    def approve(self, ip: str) -> object: ...
    def restore(self, left: Mapping[str, float]) -> object: ...
    def forget(self, ip: str) -> object: ...


class HttpApp(Protocol):
    """What HTTP needs of the server it speaks for."""

    @property
    def catalog(self) -> Catalog: ...
    @property
    def graph(self) -> Graph: ...
    @property
    def access(self) -> SurfaceApproval: ...
    @property
    def osc_port(self) -> int: ...
    def status(self) -> dict[str, Any]: ...
    def value(self, node: str, param: str) -> Value | None: ...


async def serve_http(
    app: HttpApp,
    *,
    folder: Path,
    port: int = 4401,
    listener: socket.socket | None = None,
    lan: bool = False,
    limits: Limits | None = None,
    methods: tuple[oscquery.Method, ...] = FIXED,
) -> HttpServer:
    """Starts HTTP on loopback, or with `lan` HTTPS on every address; `.port` is the port it got.

    folder: the configuration folder, for token, certificate and approvals. Approvals still good are
    given to `app.access`. Raises `EngineError` for a port taken, `FileError` where `lan` cannot keep its secrets.
    """
    server = HttpServer(limits=limits or Limits())
    approvals = Approvals(folder)
    if lan:
        from antiphon.web.certificate import tls_context  # cryptography is for those who ask for it

        addresses = local_addresses()
        server.tls, fingerprint = tls_context(folder, addresses)
        server.hosts = frozenset(addresses)
        server.authorise = _with_page(TokenGuard(load_token(folder), everything=True).check)
        log.info("HTTPS with a certificate of our own, SHA-256 %s", fingerprint)
        app.access.restore(approvals.load())
    else:
        server.authorise = TokenGuard(_token_if_any(folder)).check
    install(server, app, approvals, methods)
    await server.start("0.0.0.0" if lan else "127.0.0.1", port, listener)
    return server


def install(
    server: HttpServer,
    app: HttpApp,
    approvals: Approvals | None = None,
    methods: tuple[oscquery.Method, ...] = FIXED,
) -> None:
    """Adds our routes and reserves their names and OSC's; plugins add theirs after this."""

    def status(request: HttpRequest) -> Response:
        return answer({**server.status(), **app.status()})

    def surfaces(request: HttpRequest) -> Response:
        return answer({"held": sorted(app.access.held()), "approved": sorted(app.access.approved())})

    def approve(request: HttpRequest) -> Response:
        ip = _machine(request, "approve")
        app.access.approve(ip)
        return answer({"approved": ip, "kept": _kept(approvals, lambda kept: kept.add(ip), f"the approval of {ip}")})

    def forget(request: HttpRequest) -> Response:
        ip = _machine(request, "forget")
        # from the file first: what cannot be taken out of it would be let in again by the next start
        kept = _kept(approvals, lambda kept: kept.remove(ip), f"that {ip} is forgotten")
        try:
            app.access.forget(ip)
        except UsageError as error:
            raise Refusal(404, str(error)) from None
        return answer({"forgot": ip, "kept": kept})

    def tree(request: HttpRequest) -> Response:
        if request.query == "HOST_INFO":
            return answer(oscquery.host_info("Antiphon", request.local, app.osc_port))
        found = oscquery.query(request.path, request.query, app.graph, app.catalog, app.value, methods)
        match found.status:
            case 200:
                return answer(found.data)
            case 204:
                return Response(204)
            case 404:
                raise Refusal(404, "there is nothing at this address; GET / lists what there is")
        known = ", ".join(sorted(oscquery.ATTRIBUTES | {"HOST_INFO"}))
        raise Refusal(400, f"an address may be asked for one attribute of: {known}")

    def front(request: HttpRequest) -> Response:
        if request.query is None and wants_html(request.headers.get("accept", "")):
            return Response(200, page.html().encode(), "text/html; charset=utf-8", page.headers())
        return tree(request)

    server.add("GET", "/", front)
    server.add("GET", "/api/status", status)
    server.add("GET", "/api/surfaces", surfaces)
    server.add("POST", "/api/surfaces/approve", approve)
    server.add("POST", "/api/surfaces/forget", forget)
    server.fallback = tree
    server.reserve(oscquery.roots(methods) | {"api"})


def _machine(request: HttpRequest, word: str) -> str:
    """The address that a request names."""
    data = request.json()
    given = data.get("ip") if isinstance(data, dict) else None
    try:
        return plain_ip(given if isinstance(given, str) else "")
    except ValueError:
        raise Refusal(400, f'{word} takes {{"ip": "ADDRESS"}} with one machine\'s IP address') from None


def _kept(approvals: Approvals | None, change: Callable[[Approvals], None], what: str) -> bool:
    """Whether a change of the approvals outlives this run."""
    try:
        if approvals is not None:
            change(approvals)
    except FileError as error:
        log.warning("%s ends with this run: %s", what, error)
        return False
    return True


def wants_html(accept: str) -> bool:
    """Whether a client would rather have a page than JSON: browsers name text/html, tools do not."""
    offers = [part.strip().lower().replace(" ", "") for part in accept.split(",")]
    named = [offer for offer in offers if offer.split(";")[0] in ("text/html", "application/xhtml+xml")]
    return any(";q=0" not in offer or ";q=0." in offer for offer in named)


def _with_page(check: Authorise) -> Authorise:
    """As `check`, but a browser without the token gets the page, which holds no data, to type it into."""

    def checked(request: HttpRequest, needed: bool) -> None:
        try:
            check(request, needed)
        except Refusal as refusal:
            if refusal.status == 401 and request.path == "/" and wants_html(request.headers.get("accept", "")):
                refusal.page, refusal.headers = page.html(), (*refusal.headers, *page.headers())
            raise

    return checked


def _token_if_any(folder: Path) -> str | None:
    try:
        return load_token(folder)
    except FileError as error:
        log.warning("approvals are off, there is no token: %s", error)
        return None
