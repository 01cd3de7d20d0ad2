"""Server operations: its state, the patch, OSC messages, surfaces, the page's address."""

import asyncio
import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.errors import PatchError
from antiphon.kernel.graph.graph import NodeSpec, known_type
from antiphon.kernel.graph.io_nodes import declaration
from antiphon.kernel.graph.patch import load
from antiphon.kernel.wire.osc import Arg
from antiphon.layout import STAGE_CONTROL, TOUCHOSC, layout_file
from antiphon.operations import patch_list
from antiphon.signal.lyrics import syllables
from antiphon.web import operations
from antiphon.web.access import plain_ip
from antiphon.web.api import types
from antiphon.web.control_link import ControlLink
from antiphon.web.http_message import HttpRefusal, HttpRequest, Response, answer
from antiphon.web.operations import Operation, TokenLevel, operation
from antiphon.web.osc_socket import OscRefusals, check_message
from antiphon.web.oscquery.query import finite_value_or_none
from antiphon.web.protocol.guard import HEALTH, LOOPBACK
from antiphon.web.server import HttpServer


def graph_object(plan: dict[str, Any], values: dict[str, dict[str, Value]], catalog: Catalog) -> dict[str, Any]:
    """Answer to `GET /api/graph`: control's plan, with values and each type's declaration."""
    return {**plan, "nodes": [_node(node, values.get(node["name"], {}), catalog) for node in plan["nodes"]]}


def _sketches(catalog: Catalog) -> list[dict[str, Any]]:
    """Nodes with their types, and wires, of all listed patches that can be loaded."""
    found = []
    for name in patch_list.names():
        with contextlib.suppress(PatchError):  # to load it says why
            drawn = load(name, catalog).graph
            ends = [[wire.source.node, wire.dest.node] for wire in drawn.wires]
            found.append({"name": name, "nodes": [[node.name, node.type] for node in drawn.nodes], "wires": ends})
    return found


def _layout(file: str, catalog: Catalog) -> Response:
    name, dot, ending = file.rpartition(".")
    known = next((one for one in patch_list.names() if one.lower() == name.lower()), "")
    if dot + ending not in (TOUCHOSC, STAGE_CONTROL) or not known:
        names = f"PATCH{TOUCHOSC} or PATCH{STAGE_CONTROL}"
        raise HttpRefusal(404, f"there is no such layout: it is {names}, of a patch of GET /api/patches")
    try:
        body, _ = layout_file(load(known, catalog), catalog, dot + ending)
    except PatchError as error:
        raise HttpRefusal(409, str(error)) from None
    return Response(body=body, type="application/octet-stream")


def known_plugin(name: str, catalog: Catalog) -> ProcessorInfo:
    """Processor of that name; raises `HttpRefusal` 404 if there is none."""
    try:
        return known_type(name, catalog)
    except PatchError as error:
        raise HttpRefusal(404, str(error)) from None


def plugin_json(info: ProcessorInfo) -> dict[str, Any]:
    """A processor for `GET /api/plugins`."""
    needs, splits = list(info.on_files.needs), list(info.on_files.splits)
    return {"name": info.type, "plugin": info.plugin, "needs": needs, "splits": splits, **_declared(info)}


def _node(node: dict[str, Any], values: dict[str, Value], catalog: Catalog) -> dict[str, Any]:
    info = declaration(NodeSpec(node["name"], node["type"]), catalog)
    if info is None:
        return {**node, "doc": "", "inputs": [], "outputs": [], "params": []}
    shown = {**node, **_declared(info)}
    shown["params"] = [{**param, "value": finite_value_or_none(values.get(param["name"]))} for param in shown["params"]]
    return shown


def _declared(info: ProcessorInfo) -> dict[str, Any]:
    inputs, outputs = (
        [{"name": port.name, "kind": port.kind, "midi": port.midi} for port in ports]
        for ports in (info.inputs, info.outputs)
    )
    return {"doc": info.doc, "inputs": inputs, "outputs": outputs, "params": [_param(param) for param in info.cells]}


def _param(param: Param) -> dict[str, Any]:
    shown = {name: finite_value_or_none(getattr(param, name)) for name in types.Param.__struct_fields__}
    return {**shown, "choices": list(param.choices)}


TIMEOUT_SECONDS = 3.0
"""Timeout in seconds of control for the health; load balancers wait for 5 or more."""
MACHINE = {"body": {"ip": "192.0.2.7"}}
MAX_MESSAGE = 8192
"""Maximum bytes of a body forwarded as an OSC message, in one datagram."""


class ServerRoutes:
    """Handlers of server operations."""

    def __init__(self, server: HttpServer, control: ControlLink, catalog: Catalog) -> None:
        self._server, self._control, self._catalog = server, control, catalog
        self._plugins: tuple[Mapping[str, ProcessorInfo], Response] | None = None
        self._messages = OscRefusals(control.osc)
        server.closing.append(self._messages.close)
        server.serve(self)

    async def state(self) -> dict[str, Any]:
        """Object of `GET /api/status`."""
        own = {"web": {"pid": os.getpid(), "state": "running"}, "lan": self._server.tls is not None}
        return {**self._server.status(), **await self._control.status(), **own}

    @operation("GET", HEALTH, types.Health, level=TokenLevel.ANYONE)
    async def health(self, request: HttpRequest) -> object:
        """Whether the server plays, for load balancers; any Host is accepted."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                engine = (await self._control.status()).get("engine", {})
        except (TimeoutError, HttpRefusal):
            raise HttpRefusal(503, "control does not answer; it is restarted if that lasts") from None
        if engine.get("state") != "running":
            raise HttpRefusal(503, f"the engine is {engine.get('state', 'not there')}; it is restarted if that lasts")
        return {"health": "ok"}

    @operation("GET", "/api/status", dict)
    async def status(self, request: HttpRequest) -> object:
        """The state of the server and its counters."""
        return await self.state()

    @operation("GET", "/api/graph", types.Graph)
    async def graph(self, request: HttpRequest) -> object:
        """The patch: nodes with their parameters and values, wires, scenes."""
        plan, nodes = await self._control.graph(), await self._control.nodes()
        return graph_object(plan, {item.node.name: item.values for item in nodes}, self._catalog)

    @operation("GET", "/api/syllables", types.list_of(types.Sung), example={"lyrics": "twin-kle twin-kle / star"})
    async def syllables(self, request: HttpRequest, query: types.LyricsQuery) -> object:
        """The syllables of a text as `sing` divides it, with word and line, from 0."""
        return syllables(query.lyrics)

    @operation("GET", "/api/patches", types.list_of(types.Patch))
    async def patches(self, request: HttpRequest) -> object:
        """The available patches."""
        # files are read in a thread, so that a slow disk delays no other request
        listed = await asyncio.to_thread(patch_list.entries)
        shown = [entry.plain() for entry in listed if entry.listed]
        return [{key: value for key, value in entry.items() if key != "file"} for entry in shown]

    @operation("GET", "/api/patches/sketches", types.list_of(types.Sketch))
    async def sketches(self, request: HttpRequest) -> object:
        """What is wired to what in each available patch."""
        return await asyncio.to_thread(_sketches, self._catalog)

    @operation("GET", "/api/plugins", types.list_of(types.Plugin))
    async def plugins(self, request: HttpRequest) -> object:
        """The available processors, with their parameters."""
        known = self._catalog.types
        if self._plugins is None or self._plugins[0] is not known:  # a thread's work, once for each catalog taken
            made = await asyncio.to_thread(lambda: answer([plugin_json(known[name]) for name in sorted(known)]))
            self._plugins = known, made
        return self._plugins[1]

    @operation("GET", "/api/plugins/{name}", types.Plugin, example={"name": "denoise"})
    async def plugin(self, request: HttpRequest, name: str) -> object:
        """One processor."""
        return plugin_json(known_plugin(name, self._catalog))

    @operation("GET", "/api/surfaces", dict)
    async def surfaces(self, request: HttpRequest) -> object:
        """Machines that may send OSC, and those that wait for it."""
        return await self._control.surfaces()

    @operation("GET", "/api/surfaces/{file}", bytes, example={"file": "band.tosc"})
    async def layout(self, request: HttpRequest, file: str) -> Response:
        """The layout of a patch: PATCH.tosc for TouchOSC, PATCH.json for Open Stage Control."""
        return await asyncio.to_thread(_layout, file, self._catalog)

    @operation("GET", "/api/phone", types.Phone)
    async def phone(self, request: HttpRequest) -> object:
        """With --lan, the page's address with the token, and its QR code."""
        server = self._server
        if server.tls is None or not server.token:
            raise HttpRefusal(409, "other machines cannot open the page; start the server with --lan")
        found = []
        for host in sorted(server.hosts - LOOPBACK):
            url = f"https://{host}:{server.port}/#token={server.token}"
            found.append({"host": host, "url": url, "rows": qr_rows(url)})
        return {"addresses": found}

    @operation("POST", "/api/surfaces/approve", types.Approved, example=MACHINE)
    async def approve(self, request: HttpRequest, body: types.MachineBody) -> object:
        """Approve an address."""
        ip = _parse_machine_ip(body.ip, "approve")
        return {"approved": ip, "kept": await self._control.approve(ip)}

    @operation("POST", "/api/surfaces/forget", types.Forgot, example=MACHINE)
    async def forget(self, request: HttpRequest, body: types.MachineBody) -> object:
        """Revoke an approval."""
        ip = _parse_machine_ip(body.ip, "forget")
        return {"forgot": ip, "kept": await self._control.forget(ip)}

    @operation("POST", "/api/osc", status=202, example={"body": {"address": "/node/echo/feedback", "args": [0.5]}})
    async def osc(self, request: HttpRequest, body: types.OscBody) -> Response:
        """Send an OSC message, as a client of this machine; refused: 404 or 422."""
        address, args = check_message(body.address, list(body.args))
        if any(type(arg) is int and not -(2**31) <= arg < 2**31 for arg in args):
            raise HttpRefusal(400, "an int is of 32 bits")
        if not address.isascii() or not address.isprintable() or len(request.body) > MAX_MESSAGE:
            raise HttpRefusal(400, f"an address is ASCII, and a message has at most {MAX_MESSAGE} bytes")
        await self._messages.send(address, *args)
        return Response(202)

    @operation("POST", "/api/capture", types.Captured, 201, example={"body": {"bars": 1}})
    async def capture(self, request: HttpRequest, body: types.CaptureBody) -> object:
        """Write the last whole bars of a node into the library's folder `captures`."""
        given: list[Arg] = [body.bars, body.node, *([body.name] if body.name else [])]
        path, *_ = await self._messages.ask("/capture", "/capture.reply", *given)
        return {"path": path}

    @operation("POST", "/api/panic", types.Sent)
    async def panic(self, request: HttpRequest) -> object:
        """Silence everything at once."""
        # by OSC, which is not queued behind other web requests
        self._control.send("/panic")
        return {"sent": "/panic"}


class DocumentRoute:
    """Route of the OpenAPI document."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = operations
        self._document: Response | None = None

    @operation("GET", "/api/openapi.json", dict)
    async def openapi(self, request: HttpRequest) -> object:
        """This document."""
        if self._document is None:  # it takes a fifth of a second
            self._document = await asyncio.to_thread(lambda: answer(operations.document(self._operations)))
        return self._document


def qr_rows(text: str) -> list[str]:
    """QR code rows of a text (ISO/IEC 18004), level M, without border: 1 for dark and 0 for light modules."""
    import segno  # 2 MB, for a page that shows the code

    code = segno.make_qr(text, error="m", boost_error=False)
    return ["".join("01"[bool(module)] for module in row) for row in code.matrix]


def _parse_machine_ip(given: str, word: str) -> str:
    """Returns the IP address of a machine. Raises HttpRefusal: it is invalid."""
    try:
        return plain_ip(given)
    except ValueError:
        raise HttpRefusal(400, f'{word} takes {{"ip": "ADDRESS"}} with one machine\'s IP address') from None
