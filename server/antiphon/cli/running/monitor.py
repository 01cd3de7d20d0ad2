"""`antiphon monitor`: prints the OSC messages that arrive at a running server."""

import math
import time
from collections.abc import Iterator
from typing import Annotated

from antiphon.cli import ports
from antiphon.cli.running.osc import closing_socket, follow, message_text
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.shortening import printable
from antiphon.kernel.wire import ntp
from antiphon.kernel.wire.osc import IMMEDIATELY, Bundle, Message, Packet, decode, encode


def monitor(
    host: ports.Host = "127.0.0.1",
    osc_port: ports.Osc = None,
    http_port: ports.HttpBesideOsc = None,
    events: Annotated[bool, argument("Show also the server's messages to surfaces.")] = False,
) -> None:
    """Show every OSC message that arrives at the running server. It ends at Ctrl-C."""
    for line in watch(host, ports.osc_port(osc_port, http_port, host), events):
        print(line, flush=True)


def watch(host: str, port: int, events: bool) -> Iterator[str]:
    """Yields a line for each message, endlessly; `events`: also those sent to surfaces.

    Raises EngineError: no server answers. Raises WireError: the server refuses.
    """
    with closing_socket(host, port, False) as sock:
        done = False
        requests = [encode("/monitor", 1), *([encode("/notify", 1)] if events else ())]
        for message in follow(sock, (host, port), requests, math.inf):
            if message.address != b"/done":
                yield from lines(message)
            elif not done:
                done = True
                yield f"watching {host}:{port}"


def lines(message: Message) -> Iterator[str]:
    """Lines of one server message: the packets in a `/packet`, or the message itself."""
    stamp = time.strftime("%H:%M:%S")
    match message:
        case Message(b"/packet" | b"/packet/held", _, (str(sender), bytes(packet))):
            # held: its sender is not approved, and the server did not handle it
            held = " held" if message.address == b"/packet/held" else ""
            for line in describe_packet(decode(packet), time.time_ns()):
                yield f"{stamp} {printable(sender)}{held} {line}"
        case Message(b"/packet/skipped", _, (int(count),)):
            yield f"{stamp} … and {count} more in that second"
        case Message(b"/ping"):
            return
        case _:
            yield f"{stamp} server {message_text(message)}"


def describe_packet(packet: Packet, now_ns: int, when: str = "") -> Iterator[str]:
    """Yields a line for each message of a packet.

    `now_ns`: Unix time in ns, to which time tags are shown relative. `when`: the time of the enclosing bundle, as text
    before each line: `[+0.200 s] /node/gain/gain 0.5`.
    """
    if isinstance(packet, Message):
        yield when + message_text(packet)
    elif isinstance(packet, Bundle):
        if packet.timetag > IMMEDIATELY:
            when = f"[{(ntp.to_unix_ns(packet.timetag) - now_ns) / 1e9:+.3f} s] "
        if not packet.items:
            yield f"{when}(an empty bundle)"
        for item in packet.items:
            yield from describe_packet(item, now_ns, when)
    else:
        yield f"{when}{packet.address} (refused: {packet})"
