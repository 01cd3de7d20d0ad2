"""`antiphon osc` sends a message to a running server, and prints answers; `antiphon monitor` shows what arrives."""

import math
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext, suppress
from typing import Annotated, Any

import typer

from antiphon.cli import ports
from antiphon.kernel.errors import EngineError, UsageError, WireError
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.shortening import escape_unprintable
from antiphon.kernel.wire import ntp
from antiphon.kernel.wire.frames import Framer
from antiphon.kernel.wire.osc import (
    IMMEDIATELY,
    MAX_DATAGRAM,
    Arg,
    Bundle,
    Message,
    Packet,
    address_text as shown_address,
    decode,
    encode,
    encode_tagged,
    messages_of,
)

SUBSCRIBED_SECONDS = 0.5
"""Seconds to wait for messages to subscribers."""
AT_WORK_SECONDS, PING_SECONDS = 120.0, 1.0
"""Timeouts in seconds: of a busy server, for example one that loads a patch's sounds, and of its `/pong`."""
TYPES = {"i", "f", "d", "h", "s"}
_BITS = {"i": 32, "h": 64}
HELD_REASONS = {"held", "not approved yet"}
"""Reasons in a `/fail` that mean that the machine is not approved; for datagrams too short for a fuller answer."""
WORDS = {"true": True, "false": False}
Timeout = Annotated[float, argument("Seconds to wait for an answer.", low=0.01, high=600.0)]
Tcp = Annotated[bool, argument("Send over TCP.", flags="--tcp")]


def osc(
    address: Annotated[str, argument("An OSC address, for example /node/gain/gain.")],
    args: Annotated[list[str] | None, argument("Numbers, words, true, false; s:4 is the word 4.", placed=True)] = None,
    host: ports.Host = ports.LOCAL,
    osc_port: ports.Osc = None,
    http_port: ports.HttpBesideOsc = None,
    tcp: Tcp = False,
    timeout: Annotated[float, argument("Seconds to wait for a server that says nothing.", low=0.01, high=600.0)] = 5.0,
) -> None:
    """Send an OSC message to the running server and print its answers."""
    port = ports.osc_port(osc_port, http_port, host)
    # for a person: a program reads answers alone
    watched = closing_socket(host, port, False) if args and sys.stdout.isatty() else None
    with nullcontext() if watched is None else watched:
        if watched is not None:
            watched.send(encode("/notify", 1))
            next(listen(watched, None, time.monotonic() + SUBSCRIBED_SECONDS), None)
        answered = False
        for line in ask(address, [value(text) for text in args or []], host, port, tcp, timeout):
            answered = True
            typer.echo(line)
        if watched is not None and not answered and (line := change(watched, address)):
            answered = True
            typer.echo(line)
        if not answered:
            typer.echo(f"{address}: done", err=True)
    if address == "/learn":
        typer.echo("the next MIDI controller that moves is learned: move it; monitor --events shows /learned", err=True)


def change(sock: socket.socket, address: str) -> str:
    """Waits for the new value reported to subscribers, and returns it on one line; "" without a change.

    `sock` is subscribed, and is not the socket that sent the message, since the sender is not notified.
    """
    found = ""
    for message in listen(sock, None, time.monotonic() + SUBSCRIBED_SECONDS):
        if shown_address(message.address) == address:
            found = message_text(message)
            break
    with suppress(OSError):
        sock.send(encode("/notify", 0))
    return found


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


def answers(
    address: str, args: list[tuple[str, Arg]], host: str, port: int, tcp: bool = False, timeout: float = 5.0
) -> Iterator[Message]:
    """Sends a message and yields the answers, until the server has handled it (`/synced`).

    `args` are pairs of type tag and value, as `value` gives them; `timeout` is in seconds. Raises UsageError: the
    message cannot be encoded. Raises WireError: the server refuses; with its reason. Raises EngineError: the server
    cannot be reached, or does not answer in time.
    """
    packet = build(address, args)
    began = time.monotonic()
    number = int.from_bytes(os.urandom(4), "big", signed=True)
    with closing_socket(host, port, tcp) as sock:
        framer = Framer()
        for data in (packet, encode("/sync", number)):
            send(sock, data, tcp)
        for message in _listen_while_alive(sock, framer if tcp else None, timeout):
            if message == Message(b"/synced", b",i", (number,)):
                return
            if message.address == b"/fail":
                raise refusal(message, sock)
            yield message
        raise silent(sock, host, port, f", after {time.monotonic() - began:.1f} s")


def build(address: str, args: list[tuple[str, Any]]) -> bytes:
    """Encodes a message; `UsageError` if it is invalid, or too long for a datagram."""
    if not address.startswith("/"):
        raise UsageError(f"an OSC address begins with /, {address!r} does not")
    for kind, one in args:
        if kind in _BITS and not -(2 ** (_BITS[kind] - 1)) <= one < 2 ** (_BITS[kind] - 1):
            raise UsageError(f"{one} has more than the {_BITS[kind]} bits of OSC's type {kind}")
    data = encode_tagged(address, f",{''.join(kind for kind, _ in args)}".encode(), tuple(one for _, one in args))
    if len(data) > MAX_DATAGRAM:
        raise UsageError(f"a message is at most {MAX_DATAGRAM} bytes long, this one is {len(data)}")
    return data


def closing_socket(host: str, port: int, tcp: bool) -> socket.socket:
    """Opens a connected, non-blocking socket; `EngineError` if the server cannot be reached."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
    try:
        sock.settimeout(2.0)
        sock.connect((host, port))
    except OSError as error:
        sock.close()
        raise EngineError(
            f"{host}:{port} cannot be reached ({error.strerror or error}); start `antiphon serve`, or name its "
            "--osc-port"
        ) from None
    sock.setblocking(False)
    return sock


def listen(sock: socket.socket, framer: Framer | None, until: float) -> Iterator[Message]:
    """Yields received messages, also those in bundles, until `until` (s, monotonic) or the end of the connection.

    `framer` is the framing of a TCP stream, None for UDP.
    """
    while (left := until - time.monotonic()) > 0:
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        if not poll.poll(left * 1000):
            return
        try:
            data = sock.recv(65536)
        except BlockingIOError:
            continue
        except ConnectionRefusedError:
            return
        if framer is not None and not data:
            return
        packets = [data] if framer is None else [p for p in framer.feed(data) if isinstance(p, bytes)]
        for packet in packets:
            yield from messages_of(decode(packet))


RENEW_SECONDS, FIRST_SECONDS = 5.0, 3.0
"""Seconds between two requests of `follow`, and timeout in seconds of the first answer."""


def follow(sock: socket.socket, place: tuple[str, int], requests: Iterable[bytes], until: float) -> Iterator[Message]:
    """Yields a server's messages until `until` (s, monotonic). `place`: the server's host and port.

    `requests` are sent again and again, since a restarted server has forgotten them. Raises EngineError: no server
    answers; WireError: it refuses.
    """
    answered = False
    while time.monotonic() < until:
        try:
            for request in requests:
                sock.send(request)
        except ConnectionRefusedError:
            time.sleep(0.1)  # the server is being started again, or never was there
        wait = RENEW_SECONDS if answered else FIRST_SECONDS
        for message in listen(sock, None, min(until, time.monotonic() + wait)):
            if message.address == b"/fail":
                raise refusal(message, sock)
            answered = True
            yield message
        if not answered:
            raise silent(sock, *place)


def _listen_while_alive(sock: socket.socket, framer: Framer | None, timeout: float) -> Iterator[Message]:
    """Yields messages like `listen`, for `timeout` seconds, extended while the server answers `/ping`.

    Raises EngineError: it did nothing else for `AT_WORK_SECONDS`.
    """
    until = time.monotonic() + max(timeout, AT_WORK_SECONDS)
    host, port = sock.getpeername()
    while (now := time.monotonic()) < until:
        yield from listen(sock, framer, now + timeout)
        if time.monotonic() < now + timeout:
            return  # the connection has ended
        with closing_socket(host, port, False) as other:
            with suppress(OSError):
                other.send(encode("/ping"))
            if next(listen(other, None, time.monotonic() + PING_SECONDS), None) is None:
                return
    raise EngineError(f"{host}:{port} answers, and is not done with this yet; `antiphon status` shows what it does")


def silent(sock: socket.socket, host: str, port: int, waited: str = "") -> EngineError:
    """Error of a server that does not answer; `sock` is connected to its address."""
    own = sock.getsockname()[0]
    start = "`antiphon serve`"
    if not own.startswith("127."):
        start = f"`antiphon serve --lan` there, approve this machine (`antiphon approve {own}`)"
    return EngineError(f"nothing answers at {host}:{port}{waited}; start {start}, or name its --osc-port")


def refusal(message: Message, sock: socket.socket | None = None) -> WireError:
    """A server's `/fail` as an error; `sock`: its connection, for the address to approve."""
    address, reason = (escape_unprintable(str(one)) for one in (*message.args, "", "")[:2])
    if sock is not None and reason in HELD_REASONS:
        return WireError(f"this machine is not approved: on the server's, `antiphon approve {sock.getsockname()[0]}`")
    return WireError(f"{address}: {reason}" if address else reason)


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


def send(sock: socket.socket, data: bytes, tcp: bool) -> None:
    """Sends a packet by a socket of `closing_socket`."""
    framed = struct.pack(">I", len(data)) + data if tcp else data
    try:
        sock.send(framed)
    except ConnectionRefusedError:
        # the error belongs to the previous datagram, and this one was not sent; its own error ends the wait
        with suppress(ConnectionRefusedError):
            sock.send(framed)


# ---- `antiphon monitor`: prints the OSC messages that arrive at a running server


def monitor(
    host: ports.Host = ports.LOCAL,
    osc_port: ports.Osc = None,
    http_port: ports.HttpBesideOsc = None,
    events: Annotated[bool, argument("Show also the server's messages to surfaces.")] = False,
) -> None:
    """Show every OSC message that arrives at the running server, until Ctrl-C."""
    for line in watch(host, ports.osc_port(osc_port, http_port, host), events):
        print(line, flush=True)


def watch(host: str, port: int, events: bool) -> Iterator[str]:
    """Yields a line for each message, without end. `events`: includes messages sent to surfaces.

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
