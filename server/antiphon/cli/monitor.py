"""`antiphon monitor`: shows what arrives at a running server, as it arrives."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated

import typer

from antiphon.cli.osc import PORT, Host, Port, closing_socket, listen, refusal, shown
from antiphon.errors import EngineError
from antiphon.wire import ntp
from antiphon.wire.osc import IMMEDIATELY, Bundle, Message, Packet, decode, encode
from antiphon.wire.text import printable

RENEW = 5.0
"""Seconds between two requests: a server started again has to be asked again."""
PATIENCE = 3.0
"""Seconds for the first answer."""


def monitor(
    host: Host = "127.0.0.1",
    port: Port = PORT,
    events: Annotated[bool, typer.Option("--events", help="Show also what the server tells its surfaces.")] = False,
) -> None:
    """Show every OSC message that arrives at the running server. It ends at Ctrl-C."""
    for line in watch(host, port, events):
        print(line, flush=True)


def watch(host: str, port: int, events: bool) -> Iterator[str]:
    """Lines without end. `EngineError` when nobody answers at first, `WireError` when the server refuses."""
    with closing_socket(host, port, False) as sock:
        answered = False
        while True:
            try:
                sock.send(encode("/monitor", 1))
                if events:
                    sock.send(encode("/notify", 1))
            except ConnectionRefusedError:
                time.sleep(0.1)  # the server is being started again, or never was there
            wait = RENEW if answered else PATIENCE
            for message in listen(sock, None, time.monotonic() + wait):
                if message.address == b"/done":
                    if not answered:
                        yield f"watching {host}:{port}"
                    answered = True
                elif message.address == b"/fail":
                    raise refusal(message)
                else:
                    yield from lines(message)
            if not answered:
                raise EngineError(f"nothing answers at {host}:{port}; start `antiphon serve`, or name its --port")


def lines(message: Message) -> Iterator[str]:
    """What a message of the server's says to a person: the packets it shows, its own events as they are."""
    stamp = time.strftime("%H:%M:%S")
    match message:
        case Message(b"/packet" | b"/packet/held", _, (str(sender), bytes(packet))):
            # held: it came from an address that nobody has approved, and nothing was done of it
            held = " held" if message.address == b"/packet/held" else ""
            for line in described(decode(packet), time.time_ns()):
                yield f"{stamp} {printable(sender)}{held} {line}"
        case Message(b"/packet/skipped", _, (int(count),)):
            yield f"{stamp} … and {count} more in that second"
        case Message(b"/ping"):
            return
        case _:
            yield f"{stamp} server {shown(message)}"


def described(packet: Packet, now_ns: int, when: str = "") -> Iterator[str]:
    """One line a message, with a bundle's time before it: `[+0.200 s] /node/gain/gain 0.5`."""
    if isinstance(packet, Message):
        yield when + shown(packet)
    elif isinstance(packet, Bundle):
        if packet.timetag > IMMEDIATELY:
            when = f"[{(ntp.to_unix_ns(packet.timetag) - now_ns) / 1e9:+.3f} s] "
        if not packet.items:
            yield f"{when}(an empty bundle)"
        for item in packet.items:
            yield from described(item, now_ns, when)
    else:
        yield f"{when}{packet.address} (refused: {packet})"
