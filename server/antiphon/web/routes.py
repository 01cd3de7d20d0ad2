"""HTTP routes of the server (status, OSCQuery tree, surfaces and their approval, page) and of plugins.

http = await serve_http(control, catalog, HttpOptions(paths.config(), plugins=catalog.hooks))
...
await http.stop()
"""

import asyncio
import logging
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from antiphon.files.owner_token import OwnerToken, load_token
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.params import Value
from antiphon.kernel.errors import FileError
from antiphon.kernel.graph.graph import Graph
from antiphon.kernel.graph.io_nodes import ENDS
from antiphon.kernel.io.listening import local_addresses
from antiphon.kernel.io.tap_memory import TapMemory
from antiphon.kernel.runtime.importing import reason_of
from antiphon.operations.shared import added_operations
from antiphon.web.access import CodeGuard, TokenGuard
from antiphon.web.api.jobs import JobRoutes
from antiphon.web.api.lessons import LessonRoutes
from antiphon.web.api.live import LiveRoutes
from antiphon.web.api.recordings import RecordingRoutes
from antiphon.web.api.server_state import DocumentRoute, ServerRoutes
from antiphon.web.control_link import ControlLink, ServerFacts
from antiphon.web.http_message import Authorise, HttpRefusal, HttpRequest, Response, answer
from antiphon.web.operations import Operation, operations_of
from antiphon.web.oscquery import query
from antiphon.web.oscquery.listeners import AddressSpace
from antiphon.web.page import files, routes
from antiphon.web.page.routes import PageKeyExchange
from antiphon.web.performer_link import PerformerLink
from antiphon.web.protocol.application import Endpoint
from antiphon.web.protocol.guard import Limits
from antiphon.web.server import HttpServer, Uploads

OWNERS = (ServerRoutes, DocumentRoute, JobRoutes, LiveRoutes, RecordingRoutes, LessonRoutes)
OPERATIONS = tuple(one for owner in OWNERS for one in operations_of(owner))


plugin_log = logging.getLogger("antiphon.plugins")
HOOKS = frozenset({"antiphon_routes", "antiphon_operations"})


async def add_routes(http: HttpServer, implemented: Mapping[str, tuple[str, ...]]) -> None:
    """Adds every plugin's routes and operations; an exception is logged, and the next plugin follows."""
    wanted = {plugin for plugin, hooks in implemented.items() if HOOKS.intersection(hooks)}
    if not wanted:
        return
    from antiphon.kernel.plugins.hook_lists import import_plugins

    def failed(name: str, error: BaseException) -> None:
        plugin_log.warning("plugin %s: %s", name, reason_of(error))

    dispatcher = import_plugins(wanted, failed)
    failures = [*await dispatcher.call_and_await("antiphon_routes", http=http)]
    for plugin in dispatcher.implemented:
        added, more = added_operations(dispatcher, plugin)
        failures += more
        for operation in added:
            if not operation.local:
                http.offer(operation)
    for failure in failures:
        plugin_log.warning("plugin %s: %s", failure.name, failure.reason)


def all_operations() -> tuple[Operation, ...]:
    """Operations of the server, then those of the plugins that ship with it, without any other plugins."""
    from antiphon.kernel.plugins.finding import BUILT_IN

    http = HttpServer()
    asyncio.run(add_routes(http, dict.fromkeys(BUILT_IN, tuple(HOOKS))))
    return (*OPERATIONS, *http.operations)


log = logging.getLogger("antiphon.http")


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """Addresses, ports and access of HTTP.

    `proxy`: names under which a reverse proxy forwards requests: HTTP on every address, where everything but the health
    check needs the token. `page`: the server's runtime folder and the page's key; None if every browser needs the
    token.
    """

    folder: Path
    jobs: Path | None = None  # the folder for work on files; None for none of it
    port: int = 4401  # 0 takes any
    listener: socket.socket | None = None  # a socket that listens already, in place of `port`
    lan: bool = False
    proxy: Sequence[str] = ()
    limits: Limits | None = None  # limits for clients; None for the defaults of `Limits`
    taps: TapMemory | None = None  # sound of single nodes; without it there is nothing to listen to
    scripts: socket.socket | None = None  # the socket to what performs scripts; None where nothing is evaluated
    page: tuple[str, str] | None = None
    plugins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # the hooks that each implements


async def serve_http(control: ControlLink, catalog: Catalog, options: HttpOptions) -> HttpServer:
    """Starts HTTP on loopback; with `lan` HTTPS on every address, with `proxy` HTTP on every address.

    Returns the server; `.port` is its port. Raises EngineError: the port is taken. Raises FileError: with `lan` or
    `proxy`, the token or the certificate cannot be written. Raises HttpRefusal: control does not answer.
    """
    server = HttpServer(control, limits=options.limits)
    _guard(server, options)
    state = ServerRoutes(server, control, catalog)
    server.serve(DocumentRoute(server.operations))
    feed = routes.install(server, control, state.state, options.taps)
    code, jobs = CodeGuard(options.scripts is not None, bool(options.proxy)), options.jobs
    LiveRoutes(server, control, PerformerLink(options.scripts, feed), code).add()
    RecordingRoutes(server)
    lessons = LessonRoutes(server, control, code)
    if jobs is not None:
        job_routes = JobRoutes(server, catalog, jobs, code)
        job_routes.start()
        server.closing.append(job_routes.close)
        server.draining.append(job_routes.drain)
        server.uploads = Uploads(jobs, job_routes.path)
        lessons.job = job_routes.find_result
    install(server, control, catalog, await control.addresses_and_port())
    await add_routes(server, options.plugins)  # before it listens: a route that is still to come would be a 404
    host = "0.0.0.0" if options.lan or options.proxy else "127.0.0.1"
    await server.start(host, options.port, options.listener)
    return server


def _guard(server: HttpServer, options: HttpOptions) -> None:
    """Sets access rules by host name and token, and the certificate."""
    folder, page = options.folder, options.page
    if options.lan:
        from antiphon.web.certificate import tls_context  # imports cryptography, which only `lan` needs

        addresses = local_addresses()
        server.connections.tls, fingerprint = tls_context(folder, addresses)
        server.hosts = frozenset(addresses)
        server.token = load_token(folder)
        server.gate.authorise = _with_page(TokenGuard(OwnerToken(folder), everything=True).check)
        log.info("HTTPS with a certificate of our own, SHA-256 %s", fingerprint)
    elif options.proxy:
        server.proxied = frozenset(name.lower() for name in options.proxy)
        server.gate.authorise = _with_page(TokenGuard(OwnerToken(folder), everything=True).check)
    else:
        guard = TokenGuard(_read_owner_token(folder), page_key=page[1] if page else "")
        server.gate.authorise = guard.check
        if page:
            opening = PageKeyExchange(Path(page[0]), guard)
            server.routes.add("POST", "/api/page/open", Endpoint(opening.serve, token=False))


def install(server: HttpServer, control: ControlLink, catalog: Catalog, about: ServerFacts) -> None:
    """Adds OSCQuery and the front page, and reserves their first parts; plugins add their routes later."""
    methods = tuple(query.method(path, args, doc) for path, args, doc in about.methods)

    def asked(request: HttpRequest) -> str | None:
        return None if request.query is None else unquote(request.query)

    async def tree(request: HttpRequest) -> Response:
        if asked(request) == "HOST_INFO":
            return answer(query.host_info(server.name(), request.local, about.osc_port, server.port))
        entry = await _found(request)
        match entry.status:
            case 200:
                return answer(entry.data)
            case 204:
                return Response(204)
            case 404:
                raise HttpRefusal(404, "there is nothing at this address; GET / lists what there is")
        known = ", ".join(sorted(query.ATTRIBUTES | {"HOST_INFO"}))
        raise HttpRefusal(400, f"an address may be asked for one attribute of: {known}")

    async def _found(request: HttpRequest) -> query.QueryAnswer:
        root, only = (*request.path.split("/")[1:3], "", "")[:2]
        nodes = await control.nodes(only) if root in ("", "node") else []
        values = {item.node.name: item.values for item in nodes}

        def value(node: str, param: str) -> Value | None:
            return values.get(node, {}).get(param)

        graph = Graph(tuple(item.node for item in nodes if item.node.name not in ENDS))
        return query.query(request.path, asked(request), graph, catalog, value, methods)

    async def front(request: HttpRequest) -> Response:
        if request.query is None and wants_html(request.headers.get("accept", "")):
            return Response(200, files.html().encode(), "text/html; charset=utf-8", files.headers())
        return await tree(request)

    server.add("GET", "/", front)
    server.routes.fallback = tree
    server.listeners.space = AddressSpace(catalog)
    own = {"/".join(path.split("/")[1:3]) for path, _ in server.routes.paths() if path.startswith("/api/")}
    server.routes.reserve(query.roots(methods) | {"page"} | own)


def wants_html(accept: str) -> bool:
    """True if an Accept header names HTML, as browsers' do, so that the page is sent instead of JSON."""
    offers = [part.strip().lower().replace(" ", "") for part in accept.split(",")]
    named = [offer for offer in offers if offer.split(";")[0] in ("text/html", "application/xhtml+xml")]
    return any(";q=0" not in offer or ";q=0." in offer for offer in named)


def _with_page(check: Authorise) -> Authorise:
    """Wraps `check` so that a browser without the token gets the page, without data, to enter it."""

    def checked(request: HttpRequest, needed: bool) -> None:
        try:
            if not (request.method == "GET" and request.path in files.PUBLIC_PATHS):
                check(request, needed)
        except HttpRefusal as refusal:
            if refusal.status == 401 and request.path == "/" and wants_html(request.headers.get("accept", "")):
                refusal.page, refusal.headers = files.html(), (*refusal.headers, *files.headers())
            raise

    return checked


def _read_owner_token(folder: Path) -> OwnerToken | None:
    try:
        return OwnerToken(folder)
    except FileError as error:
        log.warning("approvals are off, there is no token: %s", error)
        return None
