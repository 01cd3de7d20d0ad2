"""Patches, nodes and wires; parameters of nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.contract.params import Param
from antiphon.control.osc.arguments import Args, most, number, pressed, text, whole
from antiphon.control.osc.feedback import param_level, wire_value
from antiphon.control.osc.intake import AddressRoute, Handler
from antiphon.errors import PatchError, WireError
from antiphon.graph import patch as patches
from antiphon.graph.graph import IN, known_type
from antiphon.io.osc_peer import Level, Peer
from antiphon.session.commands import ResetNode, SetParam, When
from antiphon.session.node_state import Node
from antiphon.session.nodes import FADE, MAX_FADE
from antiphon.session.session import MAX_RAMP, near
from antiphon.wire.osc import IMPULSE, MAX_DATAGRAM, encode

if TYPE_CHECKING:
    from antiphon.control.app import ControlApp


def patch_load(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 2, "s:name [f:fade]")
    name, fade = text(args, 0, "name"), number(args, 1, "fade", 0.0, MAX_FADE, FADE)
    found = patches.load(name, app.catalog)
    app.plans.load(found, fade, peer, "/patch/load", (name,))


def patch_reload(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 1, "[f:fade]")
    fade = number(args, 0, "fade", 0.0, MAX_FADE, FADE)
    app.plans.load(app.plans.read_again(), fade, peer, "/patch/reload", (app.session.name,))


def patch_save(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 2, "s:name [i:replace]")
    name = text(args, 0, "name")
    app.plans.save(name, replacing=bool(whole(args, 1, "replace", 0, 1, 0)))
    app.reply(peer, encode("/done", "/patch/save", name))


def patch_undo(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 1, "no arguments")
    if pressed(args):
        app.plans.undo(peer, "/patch/undo")


def patch_redo(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 1, "no arguments")
    if pressed(args):
        app.plans.redo(peer, "/patch/redo")


def patch_list(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 0, "")
    listing(app, peer, "/patch/list.reply", list(patches.names()))


def node_list(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 0, "")
    listing(app, peer, "/node/list.reply", [t for n in app.session.nodes.values() for t in (n.name, n.info.type)])


def plugin_list(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 0, "")
    listing(app, peer, "/plugin/list.reply", [t for i in app.catalog.types.values() for t in (i.type, i.doc)])


def listing(app: ControlApp, peer: Peer, address: str, words: list[str]) -> None:
    """Answers as many of the words as a datagram holds."""
    packet = encode(address, *words)
    while len(packet) > MAX_DATAGRAM:
        words = words[: len(words) * 3 // 4]
        packet = encode(address, *words)
    app.reply(peer, packet)


def node_add(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 3, "s:type s:name [s:after]")
    kind, name, after = text(args, 0, "type"), text(args, 1, "name"), text(args, 2, "after", "")
    try:
        known_type(kind, app.catalog)
    except PatchError as error:
        raise PatchError(f"{error}. One written since the server was started needs it started again") from None
    app.plans.edit(lambda: app.session.add(kind, name, after or None), peer, "/node/add")


def node_remove(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 1, "s:name")
    name = text(args, 0, "name")
    app.plans.edit(lambda: app.session.remove(name), peer, "/node/remove")


def node_move(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 2, "s:name [s:after]")
    name, after = text(args, 0, "name"), text(args, 1, "after", IN)
    app.plans.edit(lambda: app.session.move(name, after), peer, "/node/move")


def node_connect(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 2, "s:from.port s:to.port")
    source, dest = text(args, 0, "from"), text(args, 1, "to")
    app.plans.edit(lambda: app.session.connect(source, dest), peer, "/node/connect")


def node_disconnect(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 2, "s:from.port s:to.port")
    source, dest = text(args, 0, "from"), text(args, 1, "to")
    app.plans.edit(lambda: app.session.disconnect(source, dest), peer, "/node/disconnect")


def node_routes(node: Node) -> list[AddressRoute]:
    """Every address of one node."""
    routes = [AddressRoute(f"/node/{node.name}/reset", _reset(node.name), Level.SURFACE, timed=True)]
    for param in node.cells:
        address = f"/node/{node.name}/{param.name}"
        low, high = _span(param)
        handler, asks = _param(node.name, param, address), param.kind != "trigger"
        routes.append(AddressRoute(address, handler, param_level(param), True, low, high, node.name, param.name, asks))
        if param.kind not in ("text", "file", "trigger"):
            handler = _norm(node.name, param, f"{address}/norm")
            routes.append(AddressRoute(f"{address}/norm", handler, Level.SURFACE, True, asks=True))
    return routes


def _span(param: Param) -> tuple[float, float]:
    """Between which any number does nothing but set the parameter; (1, 0) when none does."""
    if param.restart or param.readonly:
        return 1.0, 0.0
    match param.kind:
        case "float" | "int":
            return param.low, param.high
        case "switch":
            return -_ANY, _ANY
    return 1.0, 0.0


def _reset(node: str) -> Handler:
    def handle(app: ControlApp, peer: Peer, args: Args, when: When) -> None:
        most(args, 1, "no arguments")
        if pressed(args):
            app.do(ResetNode(node, when), peer)

    return handle


def _param(node: str, param: Param, address: str) -> Handler:
    def handle(app: ControlApp, peer: Peer, args: Args, when: When) -> None:
        if param.kind == "trigger":
            most(args, 1, "nothing, or a number other than 0")
            value: object = True if not args or args[0] is IMPULSE else args[0]
            app.set_param(SetParam(node, param.name, _plain(param, value), 0.0, when), peer, address)
            return
        if not args:
            app.reply(peer, encode(address, wire_value(param, app.asked(node, param.name))))
            return
        ramp = _ramp(param, args)
        app.set_param(SetParam(node, param.name, _plain(param, args[0]), ramp, when), peer, address)

    return handle


def _norm(node: str, param: Param, address: str) -> Handler:
    def handle(app: ControlApp, peer: Peer, args: Args, when: When) -> None:
        if not args:
            app.reply(peer, encode(address, float(param.to_norm(app.asked(node, param.name)))))
            return
        ramp = _ramp(param, args)
        value = param.from_norm(near(_NORM, args[0]))
        app.set_param(SetParam(node, param.name, value, ramp, when), peer, address)

    return handle


_NORM = Param("norm")
_ANY = 1e38
"""Any finite number switches a switch."""


def _ramp(param: Param, args: Args) -> float:
    if len(args) > 1 and param.kind != "float":
        raise WireError(f"{param.name} takes {param.allowed} and nothing more; only a float can be ramped")
    most(args, 2, f"{param.allowed}, then at most the seconds of a ramp")
    return number(args, 1, "the ramp in seconds", 0.0, MAX_RAMP, 0.0)


def _plain(param: Param, value: object) -> float | int | bool | str:
    """The argument as a value a parameter may take; None and blobs are refused in its own words."""
    if isinstance(value, int | float | str):
        return value
    return param.check(value)
