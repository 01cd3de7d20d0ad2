"""What the server itself answers: how it is, who is subscribed, when all has taken effect."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import antiphon
from antiphon.control.osc.arguments import Args, most, pressed, whole
from antiphon.io.osc_peer import Peer
from antiphon.session.commands import ClearSchedule, Panic, When
from antiphon.wire.osc import MAX_DATAGRAM, Arg, Double, encode, encode_tagged

if TYPE_CHECKING:
    from antiphon.control.app import ControlApp

_INT_MASK = 0x7FFFFFFF


def status(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 0, "")
    first, rate, counters = _figures(app)
    app.reply(peer, encode("/status.reply", *first, Double(rate), Double(rate), *counters))


def status_ext(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 0, "")
    first, rate, counters = _figures(app)
    app.reply(peer, encode("/status.ext.reply", *first, float(rate), float(rate), *counters))


COUNTERS = (
    "blocks", "missed_blocks", "late_blocks", "late", "osc_received", "osc_dropped", "osc_failed", "engine_restarts",
    "device_xruns", "schedule_dropped", "commands_dropped", "scheduled", "surfaces",
)  # fmt: skip
"""What follows scsynth's nine fields, each an `i` that begins again at 0 after 2147483647."""


def _figures(app: ControlApp) -> tuple[list[Arg], float, list[int]]:
    engine, nodes = app.link.status(), len(app.session.nodes)
    load = [engine.load_mean * 100.0, engine.load_peak * 100.0]
    counts = app.counts()
    return [1, nodes, nodes, 1, len(app.catalog.types), *load], engine.rate, [counts[n] & _INT_MASK for n in COUNTERS]


def version(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 0, "")
    found = re.match(r"(\d+)\.(\d+)(.*)", antiphon.__version__)
    major, minor, patch = (int(found[1]), int(found[2]), found[3]) if found else (0, 0, antiphon.__version__)
    app.reply(peer, encode("/version.reply", "antiphon", major, minor, patch, "", ""))


def ping(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    clock = Double(app.moment().sample / app.session.rate)
    packet = encode_tagged("/pong", app.intake.handling.tags + b"d", (*args, clock))
    if len(packet) > MAX_DATAGRAM:
        app.fail(peer, "/ping", f"the answer would not fit a datagram of {MAX_DATAGRAM} bytes; send less")
        return
    app.reply(peer, packet)


def notify(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 2, "i:on [i:port]")
    on = whole(args, 0, "on", 0, 1)
    port = whole(args, 1, "port", 0, 65535, 0)  # sclang's Server sends its client number there, 0
    number = app.subscribers.add(peer, port) if on else app.subscribers.remove(peer, port)
    app.reply(peer, encode("/done", "/notify", number))


def monitor(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 1, "i:on")
    app.monitor.set(peer, bool(whole(args, 0, "on", 0, 1)))
    app.reply(peer, encode("/done", "/monitor"))


def sync(app: ControlApp, peer: Peer, args: Args, when: When) -> None:
    most(args, 1, "i:id")
    app.sync(peer, whole(args, 0, "id", -(2**31), 2**31 - 1), when)


def panic(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 1, "no arguments")
    if pressed(args):
        app.drop_scheduled("/panic")
        app.do(Panic(), peer)


def clear_schedule(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 1, "no arguments")
    if pressed(args):
        app.drop_scheduled("/clearSched")
        app.do(ClearSchedule(), peer)
