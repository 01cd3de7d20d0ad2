"""Addresses of patches, nodes, wires and parameters."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated

from msgspec import Meta

from antiphon.kernel.contract.params import Param
from antiphon.kernel.control.osc.answers import reply_words
from antiphon.kernel.control.osc.arguments import MAX_WORD, OWNER, Args, OnOff, OscCall, Word, is_press, osc
from antiphon.kernel.control.osc.intake import AddressRoute
from antiphon.kernel.control.osc.served import OscServer
from antiphon.kernel.control.patches.history import PlanAnswer
from antiphon.kernel.control.subscribers.feedback import osc_value_of, param_level
from antiphon.kernel.errors import PatchError
from antiphon.kernel.graph import patch as patches
from antiphon.kernel.graph.graph import IN, known_type
from antiphon.kernel.graph.names import MACRO
from antiphon.kernel.io.osc_peer import Level, Peer
from antiphon.kernel.session import messages, play
from antiphon.kernel.session.actions import Effect
from antiphon.kernel.session.commands import ResetNode, SetParam, When
from antiphon.kernel.session.graph_state import FADE, MAX_FADE, GraphState
from antiphon.kernel.session.messages import check_count
from antiphon.kernel.session.node_state import Node
from antiphon.kernel.wire.osc import encode

Fade = Annotated[float, Meta(ge=0.0, le=MAX_FADE)]
End = Annotated[str, Meta(max_length=MAX_WORD, title="from.port")]
OtherEnd = Annotated[str, Meta(max_length=MAX_WORD, title="to.port")]


@osc("/patch/load", OWNER)
def patch_load(ask: OscCall, name: Word, fade: Fade = FADE) -> None:
    """Loads a patch by name, faded over seconds. A clock that was stopped waits for the player, where the patch has a
    node for which it can wait. Answers `/done`.
    """
    plans, catalog = ask.server.plans, ask.server.catalog

    def play(loaded: patches.Patch) -> None:
        plans.load(loaded, fade, ask.peer, "/patch/load", (name,))

    path = patches.find(name)
    ask.read("/patch/load", os.path.getsize(path), lambda: patches.read(path, catalog), play)


@osc("/patch/reload", OWNER)
def patch_reload(ask: OscCall, fade: Fade = FADE) -> None:
    """Loads the present patch again from its file, for a new song: a clock that waits for a player waits again. Answers
    `/done`.
    """
    plans, name = ask.server.plans, ask.server.session.state.shown.name
    size = os.path.getsize(path) if os.path.isfile(path := ask.server.session.state.shown.path) else 0

    def play(loaded: patches.Patch) -> None:
        plans.load(loaded, fade, ask.peer, "/patch/reload", (name,), plans.wait_if_possible)

    ask.read("/patch/reload", size, plans.read_again, play)


@osc("/patch/save", OWNER)
def patch_save(ask: OscCall, name: Word, replace: OnOff = 0) -> None:
    """Saves nodes, wires and values as a patch of yours; over another one of yours only with 1, and the old file is
    kept as `NAME~`. A file outside the library is refused. Answers `/done`.
    """
    ask.server.plans.save(name, replacing=bool(replace))
    ask.reply("/done", "/patch/save", name)


@osc("/patch/undo", OWNER)
def patch_undo(ask: OscCall) -> None:
    """Undoes the last of 64 edits: of a value, nodes, wires or clips, the recall of a scene, or the load of a patch.
    Moves of one parameter less than a second apart are one edit; values that a script or a clip sets at a beat are
    none. Answers `/done /patch/undo s:what`.
    """
    ask.server.plans.undo(ask.peer, "/patch/undo")


@osc("/patch/redo", OWNER)
def patch_redo(ask: OscCall) -> None:
    """Repeats the edit that was undone last."""
    ask.server.plans.redo(ask.peer, "/patch/redo")


@osc("/patch/hint", once=True)
def patch_hint(ask: OscCall) -> None:
    """A sentence on the first thing to do with the present patch. Answers `/patch/hint.reply s:patch s:hint`."""
    patch = ask.server.session.state.shown.patch
    ask.reply("/patch/hint.reply", ask.server.session.state.shown.name, "" if patch is None else patch.hint)


@osc("/node/list", once=True)
def node_list(ask: OscCall) -> None:
    """Answers `/node/list.reply`, name and type of each node."""
    nodes = ask.server.session.state.nodes.values()
    listing(ask, "/node/list.reply", [word for node in nodes for word in (node.name, node.info.type)])


@osc("/plugin/list", once=True)
def plugin_list(ask: OscCall) -> None:
    """Answers `/plugin/list.reply`, type and doc of each processor."""
    types = ask.server.catalog.types.values()
    listing(ask, "/plugin/list.reply", [word for info in types for word in (info.type, info.doc)])


def listing(ask: OscCall, address: str, words: list[str]) -> None:
    """Answers with a list of words, as `reply_words`."""
    reply_words(ask.server.replies, ask.peer, address, words)


@osc("/node/add", OWNER)
def node_add(ask: OscCall, type: Word, name: Word, after: Word = "") -> None:
    """Adds a node. Behind `after` (a node, or `in`) it takes over its outgoing audio wires, or joins them if it has no
    audio input; without `after` it has no wires.
    """
    try:
        known_type(type, ask.server.catalog)
    except PatchError as error:
        raise PatchError(
            f"{error}. A new plugin is there some seconds after it is saved, an installed one once the server is "
            "started again"
        ) from None
    _edit(ask, "/node/add", lambda state: state.add(type, name, after or None))


@osc("/node/remove", OWNER)
def node_remove(ask: OscCall, name: Word) -> None:
    """Removes a node; its audio inputs are wired to where its outputs went."""
    _edit(ask, "/node/remove", lambda state: state.remove(name))


@osc("/node/move", OWNER)
def node_move(ask: OscCall, name: Word, after: Word = IN) -> None:
    """Moves a node behind another; without `after`, behind `in`."""
    _edit(ask, "/node/move", lambda state: state.move(name, after))


@osc("/node/connect", OWNER)
def node_connect(ask: OscCall, source: End, dest: OtherEnd) -> None:
    """Adds a wire; a plain name means its first port. Beside loudspeakers `howl_guard` stands before one that plays the
    input.
    """
    plans = ask.server.plans
    _edit(ask, "/node/connect", lambda state: state.connect(source, dest, guarded=plans.loudspeakers and plans.guards))


@osc("/node/disconnect", OWNER)
def node_disconnect(ask: OscCall, source: End, dest: OtherEnd) -> None:
    """Removes a wire."""
    _edit(ask, "/node/disconnect", lambda state: state.disconnect(source, dest))


def _edit(ask: OscCall, address: str, change: Callable[[GraphState], list[Effect]]) -> None:
    ask.server.plans.edit(lambda: change(ask.server.session.state), ask.peer, address)


def node_routes(server: OscServer, node: Node) -> list[AddressRoute]:
    """All addresses of one node; the macros have short ones too."""
    short = f"/{MACRO}" if node.name == MACRO else ""
    routes: list[AddressRoute] = []
    if not short:
        reset = partial(_reset, server, node.name)
        routes.append(AddressRoute(f"/node/{node.name}/reset", reset, Level.SURFACE, timed=True))
    for param in node.cells:
        address = f"/node/{node.name}/{param.name}"
        handle, check = partial(_handle, server, node.name, param), partial(_check, server, node.name, param)
        low, high = _span(param)
        asks = param.kind != "trigger"
        value = AddressRoute(
            address, partial(handle, address), param_level(param), True, low, high, node.name, param.name, asks,
            check=check, is_value=asks, edits=asks and (param.restart or param.kind in ("text", "file")),
        )  # fmt: skip
        routes.append(value)
        if param.kind not in ("text", "file", "trigger"):
            norm = AddressRoute(
                f"{address}/norm", partial(_handle_norm, server, node.name, param, f"{address}/norm"), Level.SURFACE,
                True, asks=True, check=partial(check, norm=True), is_value=True, edits=value.edits,
            )  # fmt: skip
            routes.append(norm)
        if short:
            address = f"{short}/{param.name}"
            routes.append(replace(value, address=address, handler=partial(handle, address)))
            set_value, check = partial(_handle_macro, server, param.name), partial(_check_macro, server, param.name)
            routes.append(AddressRoute(f"{address}/value", set_value, Level.SURFACE, True, check=check, is_value=True))
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
    goal = server.session.state.states.goal
    server.executor.do(command, peer.key)
    if server.session.state.states.goal != goal:
        server.saver.mark_changed()
        server.plans.expect(PlanAnswer(peer, address))


def _reset(server: OscServer, node: str, peer: Peer, args: Args, when: When) -> None:
    check_count(args, 1, "no arguments")
    if is_press(args):
        server.executor.do(ResetNode(node, when), peer.key)


def _handle(server: OscServer, node: str, param: Param, address: str, peer: Peer, args: Args, when: When) -> None:
    if param.kind == "trigger":
        info = server.session.state.node(node).info
        if play.takes(info, param.name, args):
            given, past = play.fitted(info.params, args)
            with server.executor.batch():
                for command in play.read(node, info.params, given, when):
                    server.executor.do(command, peer.key)
            server.unknown_words.answer(peer, address, server.session.state.node(node), given, past)
            return
    elif not args:
        server.replies.reply(peer, encode(address, osc_value_of(param, server.executor.value(node, param.name))))
        return
    set_param(server, messages.parameter(node, param, args, when), peer, address)
    if param.kind == "text":
        server.unknown_words.answer(peer, address, server.session.state.node(node), (param.name, args[0]))


def _handle_norm(server: OscServer, node: str, param: Param, address: str, peer: Peer, args: Args, when: When) -> None:
    server.feedback.note_norm(address)
    if not args:
        server.replies.reply(peer, encode(address, float(param.to_norm(server.executor.value(node, param.name)))))
        return
    set_param(server, messages.parameter(node, param, args, when, norm=True), peer, address)


def _check(
    server: OscServer, node: str, param: Param, _peer: Peer, args: Args, when: When, *, norm: bool = False
) -> None:
    """Raises AntiphonError: a parameter's message is refused."""
    if param.kind == "trigger":
        info = server.session.state.node(node).info
        if play.takes(info, param.name, args):
            given, _ = play.fitted(info.params, args)
            play.read(node, info.params, given, when)
            return
    if args or param.kind == "trigger":
        server.session.check(messages.parameter(node, param, args, when, norm=norm), server.clock.moment())


def _macro_command(server: OscServer, name: str, args: Args, when: When) -> SetParam:
    state = server.session.state

    def find(node: str, param: str) -> Param:
        there, cell = state.param(node, param)
        return there.cells[cell]

    return messages.macro_value(name, state.graph.macros, args, when, find)


def _handle_macro(server: OscServer, name: str, peer: Peer, args: Args, when: When) -> None:
    set_param(server, _macro_command(server, name, args, when), peer, f"/{MACRO}/{name}/value")


def _check_macro(server: OscServer, name: str, _peer: Peer, args: Args, when: When) -> None:
    server.session.check(_macro_command(server, name, args, when), server.clock.moment())


_ANY = 1e38
"""Upper bound of a switch's number; 0 is off."""
