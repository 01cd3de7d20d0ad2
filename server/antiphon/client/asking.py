"""A message on a connection of its own, with its answers; and a server's messages, followed across its restarts."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from antiphon.client.connection import OscConnection
from antiphon.kernel.errors import EngineError, UsageError, WireError
from antiphon.kernel.runtime.shortening import escape_unprintable
from antiphon.kernel.wire.osc import MAX_DATAGRAM, Arg, Message, encode, encode_tagged

AT_WORK_SECONDS, PING_SECONDS = 120.0, 1.0
"""Timeouts in seconds: of a busy server, for example one that loads a patch's sounds, and of its `/pong`."""
RENEW_SECONDS, FIRST_SECONDS = 5.0, 3.0
"""Seconds between two requests of `follow`, and timeout in seconds of the first answer."""
RESTART_SECONDS = 0.1
"""Interval in seconds at which `follow` asks a port at which nothing listens."""
HELD_REASONS = {"held", "not approved yet"}
"""Reasons in a `/fail` that mean that the machine is not approved; for datagrams too short for a fuller answer."""
_BITS = {"i": 32, "h": 64}


def answers(
    address: str, args: list[tuple[str, Arg]], host: str, port: int, tcp: bool = False, timeout: float = 5.0
) -> Iterator[Message]:
    """Sends a message and yields the answers, until the server has handled it (`/synced`).

    `args` are pairs of type tag and value; `timeout` is in seconds. Raises UsageError: the message cannot be encoded.
    Raises WireError: the server refuses; with its reason. Raises EngineError: the server cannot be reached, or does not
    answer in time.
    """
    packet = encode_typed(address, args)
    began = time.monotonic()
    number = int.from_bytes(os.urandom(4), "big", signed=True)
    with OscConnection(host, port, tcp=tcp) as server:
        with suppress(OSError):  # a connection that has ended yields no message
            server.send(packet, encode("/sync", number))
        for message in _messages_while_alive(server, timeout):
            if message == Message(b"/synced", b",i", (number,)):
                return
            if message.address == b"/fail":
                raise refusal(message, server.own_ip)
            yield message
        raise no_answer(server, f", after {time.monotonic() - began:.1f} s")


def follow(server: OscConnection, requests: Iterable[bytes], until: float) -> Iterator[Message]:
    """Yields a server's messages by UDP until `until` (s, monotonic).

    `requests` are sent again and again, since a restarted server has forgotten them. Raises EngineError: no server
    answers; WireError: it refuses.
    """
    answered = False
    while time.monotonic() < until:
        server.send(*requests)
        wait = RENEW_SECONDS if answered else FIRST_SECONDS
        try:
            for message in server.messages(min(until, time.monotonic() + wait)):
                if message.address == b"/fail":
                    raise refusal(message, server.own_ip)
                answered = True
                yield message
        except TimeoutError:
            pass
        except OSError:  # the server is being started again, or never was there
            time.sleep(RESTART_SECONDS)
        if not answered:
            raise no_answer(server)


def _messages_while_alive(server: OscConnection, timeout: float) -> Iterator[Message]:
    """Yields messages for `timeout` seconds, extended while the server answers `/ping`.

    Raises EngineError: it did nothing else for `AT_WORK_SECONDS`.
    """
    until = time.monotonic() + max(timeout, AT_WORK_SECONDS)
    while (now := time.monotonic()) < until:
        try:
            yield from server.messages(now + timeout)
        except TimeoutError:
            with OscConnection(server.host, server.port, tcp=False) as other:
                other.send(encode("/ping"))
                if next(other.messages_within(PING_SECONDS), None) is None:
                    return
        except OSError:
            return  # the connection has ended
    place = f"{server.host}:{server.port}"
    raise EngineError(f"{place} answers, and is not done with this yet; `antiphon status` shows what it does")


def encode_typed(address: str, args: list[tuple[str, Any]]) -> bytes:
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


def no_answer(server: OscConnection, waited: str = "") -> EngineError:
    """Error of a server that does not answer."""
    start = "`antiphon serve`"
    if not server.own_ip.startswith("127."):
        start = f"`antiphon serve --lan` there, approve this machine (`antiphon approve {server.own_ip}`)"
    return EngineError(f"nothing answers at {server.host}:{server.port}{waited}; start {start}, or name its --osc-port")


def refusal(message: Message, own_ip: str = "") -> WireError:
    """A server's `/fail` as an error; `own_ip`: the address to approve, if known."""
    address, reason = (escape_unprintable(str(one)) for one in (*message.args, "", "")[:2])
    if own_ip and reason in HELD_REASONS:
        return WireError(f"this machine is not approved: on the server's, `antiphon approve {own_ip}`")
    return WireError(f"{address}: {reason}" if address else reason)
