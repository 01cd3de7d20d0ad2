"""`antiphon osc` sends a message to a running server, and prints answers; `antiphon monitor` shows what arrives."""

import math
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import Annotated

import click

from antiphon.cli import ports
from antiphon.client import LOCAL
from antiphon.client.asking import answers, follow
from antiphon.client.connection import OscConnection
from antiphon.client.finding import osc_port as port_of
from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.shortening import escape_unprintable
from antiphon.kernel.wire import ntp
from antiphon.kernel.wire.osc import (
    IMMEDIATELY,
    Arg,
    Bundle,
    Message,
    Packet,
    address_text as shown_address,
    decode,
    encode,
)

SUBSCRIBED_SECONDS = 0.5
"""Seconds to wait for messages to subscribers."""
TYPES = {"i", "f", "d", "h", "s"}
WORDS = {"true": True, "false": False}
Timeout = Annotated[float, argument("Seconds to wait for an answer.", low=0.01, high=600.0)]
Tcp = Annotated[bool, argument("Send over TCP.", flags="--tcp")]


def osc(
    address: Annotated[str, argument("An OSC address, for example /node/gain/gain.")],
    args: Annotated[list[str] | None, argument("Numbers, words, true, false; s:4 is the word 4.", placed=True)] = None,
    host: ports.Host = LOCAL,
    osc_port: ports.Osc = None,
    http_port: ports.HttpBesideOsc = None,
    tcp: Tcp = False,
    timeout: Annotated[float, argument("Seconds to wait for a server that says nothing.", low=0.01, high=600.0)] = 5.0,
) -> None:
    """Send an OSC message to the running server and print its answers."""
    port = port_of(osc_port, http_port, host)
    # for a person: a program reads answers alone
    watched = OscConnection(host, port, tcp=False) if args and sys.stdout.isatty() else None
    with watched or nullcontext():
        if watched is not None:
            watched.send(encode("/notify", 1))
            next(watched.messages_within(SUBSCRIBED_SECONDS), None)
            watched.forget()  # the values of before
        shown = False
        for line in ask(address, [value(text) for text in args or []], host, port, tcp, timeout):
            shown = True
            click.echo(line)
        if watched is not None and not shown and (line := change(watched, address)):
            shown = True
            click.echo(line)
        if not shown:
            click.echo(f"{address}: done", err=True)
    if address == "/learn":
        click.echo("the next MIDI controller that moves is learned: move it; monitor --events shows /learned", err=True)


def change(subscribed: OscConnection, address: str) -> str:
    """Waits for the new value reported to subscribers, and returns it on one line; "" without a change.

    `subscribed` is not the connection that sent the message, since the sender is not notified.
    """
    messages = subscribed.messages_within(SUBSCRIBED_SECONDS)
    line = next((message_text(one) for one in messages if shown_address(one.address) == address), "")
    with suppress(OSError):
        subscribed.send(encode("/notify", 0))
    return line


CONTEXT_SETTINGS = {"ignore_unknown_options": True}
"""Settings of the command's registration: -40 is a number, not an option."""


def value(text: str) -> tuple[str, Arg]:
    """Parses one word of the command line to (type tag, value): 3 is i, 0.5 is f, d:0.5 is d, the rest s."""
    kind, colon, rest = text.partition(":")
    if colon and kind in TYPES:
        try:
            return kind, rest if kind == "s" else int(rest) if kind in "ih" else float(rest)
        except ValueError:
            raise UsageError(f"{text!r} is not a number of type {kind}; s:{text} sends it as a word") from None
    if text.lower() in WORDS:
        return ("T" if WORDS[text.lower()] else "F"), WORDS[text.lower()]
    for kind, number in (("i", int), ("f", float)):
        try:
            parsed = number(text)
        except ValueError:
            continue
        return ("h" if kind == "i" and not -(2**31) <= parsed < 2**31 else kind), parsed
    return "s", text


def ask(address: str, args: list[tuple[str, Arg]], host: str, port: int, tcp: bool, timeout: float) -> Iterator[str]:
    """Yields the messages of `answers`, a line each."""
    return map(message_text, answers(address, args, host, port, tcp, timeout))


def message_text(message: Message) -> str:
    """A message on one line: `/node/gain/gain 0.5`."""
    return " ".join([shown_address(message.address), *map(_shown, message.args)])


def _shown(one: Arg) -> str:
    match one:
        case bool() | None:
            return str(one).lower()
        case float():
            return f"{one:.7g}"
        case int():
            return str(one)
        case str():
            plain = one.isprintable() and one and not set(one) & set(" \"'[]")
            return one if plain else repr(one)
        case bytes():
            return f"<{len(one)} bytes {one[:16].hex()}{'…' if len(one) > 16 else ''}>"
        case tuple():
            return f"[{' '.join(map(_shown, one))}]"
    return "bang"


# ---- `antiphon monitor`: prints the OSC messages that arrive at a running server


def monitor(
    host: ports.Host = LOCAL,
    osc_port: ports.Osc = None,
    http_port: ports.HttpBesideOsc = None,
    events: Annotated[bool, argument("Show also the server's messages to surfaces.")] = False,
) -> None:
    """Show every OSC message that arrives at the running server, until Ctrl-C."""
    for line in watch(host, port_of(osc_port, http_port, host), events):
        print(line, flush=True)


def watch(host: str, port: int, events: bool) -> Iterator[str]:
    """Yields a line for each message, without end. `events`: includes messages sent to surfaces.

    Raises EngineError: no server answers. Raises WireError: the server refuses.
    """
    with OscConnection(host, port, tcp=False) as server:
        done = False
        requests = [encode("/monitor", 1), *([encode("/notify", 1)] if events else ())]
        for message in follow(server, requests, math.inf):
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
                yield f"{stamp} {escape_unprintable(sender)}{held} {line}"
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
