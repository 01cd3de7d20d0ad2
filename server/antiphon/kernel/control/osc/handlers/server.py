"""Handlers of the server itself: status, version, ping, subscription, monitor, sync, panic."""

import re

import antiphon
from antiphon.kernel.control.osc.arguments import Args, text, whole
from antiphon.kernel.control.osc.served import OscServer
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.runtime.settings import MAX_BLOCK
from antiphon.kernel.session.commands import ClearSchedule, Panic, Sync, When
from antiphon.kernel.wire.osc import MAX_DATAGRAM, Arg, Double, encode, encode_tagged

_INT_MASK = 0x7FFFFFFF
MAX_DEVICE_RATE = 192000
"""Rate of a sound device, at most, in Hz."""


def status(server: OscServer, peer: Peer, _args: Args, _when: When) -> None:
    first, rate, counters = _figures(server)
    server.replies.reply(peer, encode("/status.reply", *first, Double(rate), Double(rate), *counters))


def status_ext(server: OscServer, peer: Peer, _args: Args, _when: When) -> None:
    first, rate, counters = _figures(server)
    server.replies.reply(peer, encode("/status.ext.reply", *first, float(rate), float(rate), *counters))


COUNTERS = (
    "blocks", "missed_blocks", "late_blocks", "late", "osc_received", "osc_dropped", "osc_failed", "engine_restarts",
    "device_xruns", "schedule_dropped", "commands_dropped", "scheduled", "surfaces",
)  # fmt: skip
"""Counters after scsynth's nine fields in `/status.reply`, each an `i` that wraps to 0 after 2147483647."""


def _figures(server: OscServer) -> tuple[list[Arg], float, list[int]]:
    engine, nodes = server.link.status(), len(server.session.state.nodes)
    load = [engine.load_mean * 100.0, engine.load_peak * 100.0]
    counts = server.counts()
    return (
        [1, nodes, nodes, 1, len(server.catalog.types), *load],
        engine.rate,
        [counts[n] & _INT_MASK for n in COUNTERS],
    )


def version(server: OscServer, peer: Peer, _args: Args, _when: When) -> None:
    match = re.match(r"(\d+)\.(\d+)(.*)", antiphon.__version__)
    major, minor, patch = (int(match[1]), int(match[2]), match[3]) if match else (0, 0, antiphon.__version__)
    server.replies.reply(peer, encode("/version.reply", "antiphon", major, minor, patch, "", ""))


def ping(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    clock = Double(server.clock.moment().sample / server.session.rate)
    packet = encode_tagged("/pong", server.intake.handling.tags + b"d", (*args, clock))
    if len(packet) > MAX_DATAGRAM:
        server.replies.fail(peer, "/ping", f"the answer would not fit a datagram of {MAX_DATAGRAM} bytes; send less")
        return
    server.replies.reply(peer, packet)


def notify(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    on = whole(args, 0, "on", 0, 1)
    port = whole(args, 1, "port", 0, 65535, 0)  # sclang's Server sends its client number there, 0
    number = server.subscribers.add(peer, port) if on else server.subscribers.remove(peer, port)
    server.replies.reply(peer, encode("/done", "/notify", number))


def monitor(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    server.monitor.set(peer, bool(whole(args, 0, "on", 0, 1)))
    server.replies.reply(peer, encode("/done", "/monitor"))


def note_watch(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    server.note_watch.set(peer, on=bool(whole(args, 0, "on", 0, 1)))
    server.replies.reply(peer, encode("/done", "/note/watch"))


def sync(server: OscServer, peer: Peer, args: Args, when: When) -> None:
    token = server.syncs.expect(peer, whole(args, 0, "id", -(2**31), 2**31 - 1), when)
    server.executor.do(Sync(token, when), peer.key)


def audio_device(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    if not args:
        server.replies.reply(peer, encode("/audio/device", *server.device.figures))
        return
    device = str(args[0]) if isinstance(args[0], int) else text(args, 0, "device")
    rate, block = whole(args, 1, "rate", 0, MAX_DEVICE_RATE, 0), whole(args, 2, "block", 0, MAX_BLOCK, 0)
    server.device.ask(peer, device, rate, block)


def headphones(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    if not args:
        server.replies.reply(peer, encode("/headphones", int(not server.plans.loudspeakers), server.device.name))
        return
    on = bool(whole(args, 0, "on", 0, 1))
    server.plans.beside(not on, peer, "/headphones")
    if server.device.name != "headless":  # which has neither
        server.headphones.choose(server.device.name, on)
    server.replies.reply(peer, encode("/done", "/headphones", int(on)))


def panic(server: OscServer, peer: Peer, _args: Args, _when: When) -> None:
    server.executor.do(Panic(), peer.key)


def clear_schedule(server: OscServer, peer: Peer, _args: Args, _when: When) -> None:
    server.executor.do(ClearSchedule(), peer.key)
