"""Handlers of patches, nodes, wires and parameters."""

from antiphon.kernel.contract.params import Param
from antiphon.kernel.control.osc.arguments import (
    AddressRoute,
    Args,
    Handler,
    check_count,
    is_press,
    number,
    text,
    whole,
)
from antiphon.kernel.control.osc.note_watch import words_packet
from antiphon.kernel.control.osc.served import OscServer
from antiphon.kernel.control.subscribers.feedback import param_level, wire_value
from antiphon.kernel.control.subscribers.replies import Replies
from antiphon.kernel.errors import PatchError, RequestError
from antiphon.kernel.graph import patch as patches
from antiphon.kernel.graph.graph import IN, known_type
from antiphon.kernel.graph.names import MACRO
from antiphon.kernel.io.osc_peer import Level, Peer
from antiphon.kernel.session import play
from antiphon.kernel.session.commands import ResetNode, SetParam, When
from antiphon.kernel.session.graph_state import FADE, MAX_FADE
from antiphon.kernel.session.node_state import Node
from antiphon.kernel.session.session import MAX_RAMP, clamp_rounding
from antiphon.kernel.wire.osc import IMPULSE, encode


def patch_load(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    name, fade = text(args, 0, "name"), number(args, 1, "fade", 0.0, MAX_FADE, FADE)
    loaded = patches.load(name, server.catalog)
    server.plans.load(loaded, fade, peer, "/patch/load", (name,))


def patch_reload(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    fade = number(args, 0, "fade", 0.0, MAX_FADE, FADE)
    server.plans.load(server.plans.read_again(), fade, peer, "/patch/reload", (server.session.state.name,))


def patch_save(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    name = text(args, 0, "name")
    server.plans.save(name, replacing=bool(whole(args, 1, "replace", 0, 1, 0)))
    server.replies.reply(peer, encode("/done", "/patch/save", name))


def patch_undo(server: OscServer, peer: Peer, _args: Args, _when: When) -> None:
    server.plans.undo(peer, "/patch/undo")


def patch_redo(server: OscServer, peer: Peer, _args: Args, _when: When) -> None:
    server.plans.redo(peer, "/patch/redo")


def patch_list(server: OscServer, peer: Peer, _args: Args, _when: When) -> None:
    server.patch_questions.ask(peer)


def patch_hint(server: OscServer, peer: Peer, _args: Args, _when: When) -> None:
    hint = "" if server.plans.patch is None else server.plans.patch.hint
    server.replies.reply(peer, encode("/patch/hint.reply", server.session.state.name, hint))


def node_list(server: OscServer, peer: Peer, _args: Args, _when: When) -> None:
    listing(
        server.replies,
        peer,
        "/node/list.reply",
        [t for n in server.session.state.nodes.values() for t in (n.name, n.info.type)],
    )


def plugin_list(server: OscServer, peer: Peer, _args: Args, _when: When) -> None:
    listing(
        server.replies, peer, "/plugin/list.reply", [t for i in server.catalog.types.values() for t in (i.type, i.doc)]
    )


def listing(replies: Replies, peer: Peer, address: str, words: list[str]) -> None:
    """Answers with a list of words, cut to fit into a datagram."""
    replies.reply(peer, words_packet(address, words))


def node_add(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    kind = text(args, 0, "type")
    try:
        known_type(kind, server.catalog)
    except PatchError as error:
        raise PatchError(
            f"{error}. A plugin written since the server started is found once it is started again"
        ) from None
    name, after = text(args, 1, "name"), text(args, 2, "after", "")
    server.plans.edit(lambda: server.session.state.add(kind, name, after or None), peer, "/node/add")


def node_remove(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    name = text(args, 0, "name")
    server.plans.edit(lambda: server.session.state.remove(name), peer, "/node/remove")


def node_move(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    name, after = text(args, 0, "name"), text(args, 1, "after", IN)
    server.plans.edit(lambda: server.session.state.move(name, after), peer, "/node/move")


def node_connect(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    source, dest = text(args, 0, "from"), text(args, 1, "to")
    server.plans.edit(lambda: server.session.state.connect(source, dest), peer, "/node/connect")


def node_disconnect(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    source, dest = text(args, 0, "from"), text(args, 1, "to")
    server.plans.edit(lambda: server.session.state.disconnect(source, dest), peer, "/node/disconnect")


def node_routes(server: OscServer, node: Node) -> list[AddressRoute]:
    """All addresses of one node; the macros have short ones too."""
    short = f"/{MACRO}" if node.name == MACRO else ""
    routes: list[AddressRoute] = []
    if not short:
        routes.append(AddressRoute(f"/node/{node.name}/reset", _reset(server, node.name), Level.SURFACE, timed=True))
    for param in node.cells:
        address = f"/node/{node.name}/{param.name}"
        low, high = _span(param)
        handler, asks = _param(server, node.name, param, address), param.kind != "trigger"
        routes.append(AddressRoute(address, handler, param_level(param), True, low, high, node.name, param.name, asks))
        if param.kind not in ("text", "file", "trigger"):
            handler = _norm(server, node.name, param, f"{address}/norm")
            routes.append(AddressRoute(f"{address}/norm", handler, Level.SURFACE, True, asks=True))
        if short:
            address = f"{short}/{param.name}"
            handler = _param(server, node.name, param, address)
            routes.append(AddressRoute(address, handler, Level.SURFACE, True, low, high, node.name, param.name, asks))
            handler = _macro_value(server, param.name)
            routes.append(AddressRoute(f"{address}/value", handler, Level.SURFACE, True))
    return routes


def _span(param: Param) -> tuple[float, float]:
    """Range in which a number only sets the parameter, so that `Intake` may coalesce it; (1, 0) for none."""
    if param.restart or param.readonly:
        return 1.0, 0.0
    match param.kind:
        case "float" | "int":
            return param.low, param.high
        case "switch":
            return -_ANY, _ANY
    return 1.0, 0.0


def set_param(server: OscServer, command: SetParam, peer: Peer, address: str) -> None:
    """Sets a parameter; if that needs a new plan, the sender is answered once the engine confirms or refuses it."""
    goal = server.session.state.goal
    server.executor.do(command, peer.key)
    if server.session.state.goal != goal:
        server.saver.soon()
        server.plans.expect(peer, address)


def _reset(server: OscServer, node: str) -> Handler:
    def handle(peer: Peer, args: Args, when: When) -> None:
        check_count(args, 1, "no arguments")
        if is_press(args):
            server.executor.do(ResetNode(node, when), peer.key)

    return handle


def _param(server: OscServer, node: str, param: Param, address: str) -> Handler:
    def handle(peer: Peer, args: Args, when: When) -> None:
        if param.kind == "trigger":
            info = server.session.state.node(node).info
            if play.takes(info, param.name, args):
                with server.executor.batch():
                    for command in play.read(node, info.params, args, when):
                        server.executor.do(command, peer.key)
                server.unknown_words.answer(peer, address, server.session.state.node(node), args)
                return
            check_count(args, 1, "nothing, or a number other than 0")
            value: object = True if not args or args[0] is IMPULSE else args[0]
            set_param(server, SetParam(node, param.name, _plain(param, value), 0.0, when), peer, address)
            return
        if not args:
            server.replies.reply(peer, encode(address, wire_value(param, server.executor.value(node, param.name))))
            return
        ramp = _ramp(param, args)
        set_param(server, SetParam(node, param.name, _plain(param, args[0]), ramp, when), peer, address)

    return handle


def _macro_value(server: OscServer, name: str) -> Handler:
    def handle(peer: Peer, args: Args, when: When) -> None:
        state = server.session.state
        macro = next(one for one in state.graph.macros if one.name == name)

        def find(node: str, param: str) -> Param:
            there, cell = state.param(node, param)
            return there.cells[cell]

        place = macro.place(find, number(args, 0, "value", -_ANY, _ANY))
        set_param(server, SetParam(MACRO, name, place, _ramp(_NORM, args), when), peer, f"/{MACRO}/{name}/value")

    return handle


def _norm(server: OscServer, node: str, param: Param, address: str) -> Handler:
    def handle(peer: Peer, args: Args, when: When) -> None:
        if not args:
            server.replies.reply(peer, encode(address, float(param.to_norm(server.executor.value(node, param.name)))))
            return
        ramp = _ramp(param, args)
        value = param.from_norm(clamp_rounding(_NORM, args[0]))
        set_param(server, SetParam(node, param.name, value, ramp, when), peer, address)

    return handle


_NORM = Param("norm")
_ANY = 1e38
"""Upper bound of a switch's number; 0 is off."""


def _ramp(param: Param, args: Args) -> float:
    if len(args) > 1 and param.kind != "float":
        raise RequestError(f"{param.name} takes {param.allowed} and nothing more; only a float can be ramped")
    check_count(args, 2, f"{param.allowed}, then at most the seconds of a ramp")
    return number(args, 1, "the ramp in seconds", 0.0, MAX_RAMP, 0.0)


def _plain(param: Param, value: object) -> float | int | bool | str:
    """Argument as a value of a type that a parameter may take; None and blobs are refused by `Param.check`."""
    if isinstance(value, int | float | str):
        return value
    return param.check(value)
