"""Addresses of the server itself: status, version, ping, subscription, sync, panic."""

import re
from collections.abc import Callable
from typing import Annotated

from msgspec import Meta

import antiphon
from antiphon.kernel.control.osc.arguments import OWNER, Args, OnOff, OscCall, osc, text, whole
from antiphon.kernel.control.osc.counters import IN_STATUS
from antiphon.kernel.runtime.settings import MAX_BLOCK
from antiphon.kernel.session.commands import ClearSchedule, Panic, Sync
from antiphon.kernel.wire.osc import MAX_DATAGRAM, Arg, Double, encode_tagged

_INT_MASK = 0x7FFFFFFF
MAX_DEVICE_RATE = 192000
"""Rate of a sound device, at most, in Hz."""


@osc("/status", once=True)
def status(ask: OscCall) -> None:
    """Answers `/status.reply`."""
    _status(ask, "/status.reply", Double)


@osc("/status.ext", once=True)
def status_ext(ask: OscCall) -> None:
    """Answers `/status.ext.reply`: no doubles, for Pure Data."""
    _status(ask, "/status.ext.reply", float)


def _status(ask: OscCall, address: str, real: Callable[[float], Arg]) -> None:
    server = ask.server
    engine, nodes, counts = server.link.status(), len(server.session.state.nodes), server.counts()
    load = engine.load_mean * 100.0, engine.load_peak * 100.0
    kept = (counts[name] & _INT_MASK for name in IN_STATUS)
    types, rate = len(server.catalog.types), engine.rate
    ask.reply(address, 1, nodes, nodes, 1, types, *load, real(rate), real(rate), *kept)


@osc("/version", once=True)
def version(ask: OscCall) -> None:
    """Answers `/version.reply`: s:antiphon i:major i:minor s:patch s: s:."""
    match = re.match(r"(\d+)\.(\d+)(.*)", antiphon.__version__)
    major, minor, patch = (int(match[1]), int(match[2]), match[3]) if match else (0, 0, antiphon.__version__)
    ask.reply("/version.reply", "antiphon", major, minor, patch, "", "")


@osc("/ping", args="x…", once=True)
def ping(ask: OscCall, args: Args) -> None:
    """Answers `/pong x… d:clock`: the same arguments, then the engine's time in seconds."""
    server = ask.server
    clock = Double(server.clock.moment().sample / server.session.rate)
    packet = encode_tagged("/pong", server.intake.handling.tags + b"d", (*args, clock))
    if len(packet) > MAX_DATAGRAM:
        reason = f"the answer would not fit a datagram of {MAX_DATAGRAM} bytes; send less"
        server.replies.fail(ask.peer, "/ping", reason)
        return
    server.replies.reply(ask.peer, packet)


Port = Annotated[int, Meta(ge=0, le=65535)]
"""A port; 0 too, since sclang's Server sends its client number there."""


@osc("/notify", once=True)
def notify(ask: OscCall, on: OnOff, port: Port = 0) -> None:
    """1 subscribes the sender, or that port (not 0) of its machine; 0 ends it. Answers `/done /notify i:id`."""
    subscribers = ask.server.subscribers
    ask.reply("/done", "/notify", subscribers.add(ask.peer, port) if on else subscribers.remove(ask.peer, port))


@osc("/sync", timed=True)
def sync(ask: OscCall, id: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]) -> None:
    """Answers `/synced i:id` once every message that came before it and is due has taken effect and was answered; in a
    bundle, at its time.
    """
    ask.do(Sync(ask.server.syncs.expect(ask.peer, id, ask.when), ask.when))


@osc("/audio/device", OWNER, args="[s:device] [i:rate] [i:block]")
def audio_device(ask: OscCall, args: Args) -> None:
    """Changes the sound device while it plays, after one fade: `headless`, `jack`, `jack:SERVER`, `portaudio`, or a
    number or part of a name that `antiphon devices` lists, at its rate and block (0: the server's). Answers
    `/done /audio/device s:device i:rate i:block`, without arguments the same without `/done`.
    """
    if not args:
        ask.reply("/audio/device", *ask.server.device.figures)
        return
    device = str(args[0]) if isinstance(args[0], int) else text(args, 0, "device")
    rate, block = (
        whole(args, at, name, 0, most) if at < len(args) else 0
        for at, name, most in ((1, "rate", MAX_DEVICE_RATE), (2, "block", MAX_BLOCK))
    )
    ask.server.device.ask(ask.peer, device, rate, block)


@osc("/headphones", OWNER)
def headphones(ask: OscCall, on: OnOff | None = None) -> None:
    """Says that the output is headphones. 0: it is loudspeakers, and `echo_cancel` or `howl_guard` is put in front of
    the input. Kept for the sound device. Answers `/done`, without arguments `/headphones i:on s:device`.
    """
    server = ask.server
    if on is None:
        ask.reply("/headphones", int(not server.plans.loudspeakers), server.device.name)
        return
    server.plans.beside(not on, ask.peer, "/headphones")
    server.saver.mark_changed()
    if server.device.name != "headless":  # which has neither
        server.headphones.choose(server.device.name, bool(on))
    ask.reply("/done", "/headphones", on)


@osc("/panic")
def panic(ask: OscCall) -> None:
    """Silences everything within one block (docs/kernel.md), and drops the scheduled messages."""
    ask.do(Panic())


@osc("/clearSched")
def clear_schedule(ask: OscCall) -> None:
    """Drops the scheduled messages."""
    ask.do(ClearSchedule())


@osc("/meter/watch", once=True)
def meter_watch(ask: OscCall, on: OnOff) -> None:
    """0 sends a subscribed sender no `/meter`; 1 sends it again. Answers `/done`."""
    ask.server.surfaces.subscriber(ask.peer).meters = bool(on)
    ask.reply("/done", "/meter/watch")
