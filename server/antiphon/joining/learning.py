"""Addresses `/learn`, `/unlearn` and `/learn/list`: mapping the next MIDI controller that moves to a parameter."""

from collections.abc import Mapping
from typing import cast

from antiphon.joining.controllers import BUTTONS, CAPTURE, COUNTING_MODES, CUE, pressable, settable
from antiphon.kernel.control.app import ControlApp
from antiphon.kernel.control.osc.arguments import OWNER, Args, OscCall, osc, text, whole
from antiphon.kernel.control.osc.handlers.time import MAX_BARS, node_number
from antiphon.kernel.control.transports import Transports
from antiphon.kernel.errors import RequestError
from antiphon.kernel.graph.names import MACRO
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.session.messages import check_count
from antiphon.kernel.session.transport_server import Learner
from antiphon.kernel.wire.osc import MAX_DATAGRAM, encode

NAME = "learn"
"""Name of the transports, of which one has the learner, among what has joined control."""


@osc(
    "/learn",
    OWNER,
    args="s:address [x:cue] [s:node]",
    doc="Maps the next MIDI controller that moves to `/node/NAME/PARAM` or `/macro/NAME`, over its whole range, or by "
    "steps where it is endless (told by its values, or by `relative`, `twos`, `offset` or `sign` behind it); or a "
    "controller or note to a button, "
    + ", ".join(f"`{button}`" for button in BUTTONS)
    + ", `/cue` with a cue's name or `/capture` with bars and a node. Saves it, and answers "
    "`/done /learn s:address s:control`.",
)
def learn(ask: OscCall, args: Args) -> None:
    how = text(args, 1, "how") if len(args) == 2 and args[0] not in (CUE, CAPTURE) else ""
    address, target = _target(args[:1] if how else args)
    if how and pressable(target):
        check_count(args, 1, "s:address")
    if not pressable(target):
        node, name = split_address(address)
        node_state, cell = ask.server.session.state.param(node, name)
        settable(node_state.cells[cell], address)
        if how not in ("", *COUNTING_MODES):
            raise RequestError(f"how takes {', '.join(COUNTING_MODES)}, not {how[:60]!r}")
    elif address.startswith(CAPTURE) and len(args) > 2:
        node_number(ask.server.session, text(args, 2, "node"))
    _learner(ask).learn(target, lambda control: ask.reply("/done", "/learn", address, control), how)


@osc("/unlearn", OWNER, args="s:address [x:cue] [s:node]")
def unlearn(ask: OscCall, args: Args) -> None:
    """Removes the address's mapping to a controller, or cancels its `/learn`."""
    _learner(ask).unlearn(_target(args)[1])


@osc("/learn/list", OWNER, once=True)
def assignments(ask: OscCall) -> None:
    """Answers `/learn/list.reply`, address, controller and MIDI port of each mapping; the port is empty for one of the
    patch or the set list.
    """
    words: list[str] = []
    for target, control, port in _learner(ask).assignments():
        address = target if target.startswith("/") else "/node/" + target.replace(".", "/", 1)
        words += [address, control, port]
    packet = encode("/learn/list.reply", *words)
    while len(packet) > MAX_DATAGRAM:
        words = words[: len(words) // 3 * 3 // 4 // 3 * 3]
        packet = encode("/learn/list.reply", *words)
    ask.server.replies.reply(ask.peer, packet)


def _target(args: Args) -> tuple[str, str]:
    """Address as named in answers, and the learner's target."""
    address = text(args, 0, "address")
    if address == CUE:
        check_count(args, 2, "s:address s:cue")
        target = f"{CUE} {text(args, 1, 'cue')}"
        return target, target
    if address == CAPTURE:
        check_count(args, 3, "s:address i:bars [s:node]")
        target = " ".join([CAPTURE, str(whole(args, 1, "bars", 1, MAX_BARS)), *map(str, args[2:])])
        return target, target
    check_count(args, 1, "s:address")
    return address, address if pressable(address) else ".".join(split_address(address))


def _learner(ask: OscCall) -> Learner:
    if (learner := cast(Transports, ask.server.joined[NAME]).learner) is None:
        raise RequestError("no MIDI is open: start the server with --midi")
    return learner


def split_address(address: str) -> tuple[str, str]:
    """Returns (node, parameter) of `/node/NAME/PARAM` or `/macro/NAME`, or of `NAME.PARAM` as in a patch.

    Raises RequestError: the address has another form.
    """
    if address.startswith(f"/{MACRO}/"):
        address = f"/node{address}"
    parts = address.removeprefix("/node/").removesuffix("/norm").split("/" if address.startswith("/") else ".")
    if len(parts) != 2 or not all(parts):
        buttons = ", ".join((*BUTTONS, CUE))
        raise RequestError(f"address takes /node/NAME/PARAM, {buttons} or {CAPTURE}, not {address[:60]!r}")
    return parts[0], parts[1]


ADDRESSES = (learn, unlearn, assignments)


def join(app: ControlApp, settings: ServeSettings, fds: Mapping[str, int]) -> None:
    """Has control learn; as of `Companions.control`."""
    app.joined[NAME] = app.transports
    app.directory.add(ADDRESSES)
