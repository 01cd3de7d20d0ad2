"""Sends what a script sends to other programs: OSC over UDP, each message in a bundle with its time."""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import replace
from typing import Any

from antiphon.kernel.wire.osc import encode, encode_bundle
from antiphon.live.records import MIDI, OUTSIDE
from antiphon.performer.outgoing import SentEvent

_EPOCH = 2_208_988_800
"""Seconds from 1900, where OSC's time begins, to 1970."""


_STATUS = {"@/note/on": 0x90, "@/note/off": 0x80, "@/cc": 0xB0}


def to_midi(event: SentEvent) -> SentEvent:
    """The message `/midi/out` for an event that goes to a MIDI port."""
    number, value, channel, port = event.args
    status = _STATUS[event.address] + int(channel) - 1
    return replace(event, address="/midi/out", args=(str(port).removeprefix(MIDI), status, int(number), round(value)))


class OutsidePrograms:
    """The socket that messages leave by; one that cannot be sent is counted in `lost`."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self.lost = 0

    def send(self, address: str, args: tuple[Any, ...], later: float) -> None:
        """Sends a message that is to take effect so many seconds from now."""
        host, _, rest = address.removeprefix(OUTSIDE).partition(":")
        port, _, path = rest.partition("/")
        tag = int((time.time() + max(later, 0.0) + _EPOCH) * 2**32)
        packet = encode_bundle(tag, [encode(f"/{path}", *args)])
        try:
            self._socket.sendto(packet, (host, int(port)))
        except OSError:
            self.lost += 1

    def close(self) -> None:
        """Closes the socket."""
        with contextlib.suppress(OSError):
            self._socket.close()
