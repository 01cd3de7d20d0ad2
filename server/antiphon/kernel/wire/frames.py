"""OSC over a stream: length-prefixed (OSC 1.0) or SLIP (OSC 1.1), distinguished by the first byte.

A length of at most 1 MiB begins with a zero byte; SLIP begins with END or straight with a packet,
and packets begin with `/` or `#`. Replies use the framing received.
"""

import struct
from typing import Literal

from antiphon.kernel.errors import WireError

MAX_FRAME = 1 << 20
_LENGTH = struct.Struct(">I")


class LengthReader:
    """Packets after four-byte lengths. After a length over `limit` bytes the stream is unreadable: `broken`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.broken = False
        self._buffer = bytearray()

    @property
    def partial(self) -> bool:
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[bytes | WireError]:
        packets: list[bytes | WireError] = []
        if self.broken:
            return packets
        buffer = self._buffer
        buffer += data
        at = 0
        while len(buffer) - at >= 4:
            (length,) = _LENGTH.unpack_from(buffer, at)
            if length > self.limit:
                self.broken = True
                buffer.clear()
                packets.append(WireError(f"a frame is at most {self.limit} bytes long, this one says {length}"))
                return packets
            if len(buffer) - at - 4 < length:
                break
            packets.append(bytes(buffer[at + 4 : at + 4 + length]))
            at += 4 + length
        del buffer[:at]
        return packets


class Framer:
    """The frames of one connection. `framing` is "" until the first byte has been received."""

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self.limit = limit
        self.framing: Literal["", "length", "slip"] = ""
        self.broken = False
        self._reader: LengthReader | SlipReader | None = None

    @property
    def partial(self) -> bool:
        """True inside an incomplete frame."""
        return self._reader is not None and self._reader.partial

    def feed(self, data: bytes) -> list[bytes | WireError]:
        """Decodes received bytes; returns complete packets and errors, in order. Nothing once `broken`."""
        if self.broken or not data:
            return []
        if self._reader is None:
            first = data[:1]
            if first == b"\0":
                self.framing, self._reader = "length", LengthReader(self.limit)
            elif first in (END, b"/", b"#"):
                self.framing, self._reader = "slip", SlipReader(self.limit)
            else:
                self.broken = True
                return [WireError("this port takes OSC over TCP: length-prefixed (1.0) or SLIP (1.1) frames")]
        packets = self._reader.feed(data)
        self.broken = isinstance(self._reader, LengthReader) and self._reader.broken
        return packets

    def wrap(self, packet: bytes) -> bytes:
        """Frames a reply in the framing received; length-prefixed if nothing was received."""
        if self.framing == "slip":
            return wrap(packet)
        return _LENGTH.pack(len(packet)) + packet


END, ESC = b"\xc0", b"\xdb"
_ESC_END, _ESC_ESC = b"\xdb\xdc", b"\xdb\xdd"


def wrap(packet: bytes) -> bytes:
    """Encodes a packet as one frame."""
    return END + packet.replace(ESC, _ESC_ESC).replace(END, _ESC_END) + END


def unwrap(frame: bytes) -> bytes | WireError:
    """Decodes the bytes between two ENDs; an error if an escape is invalid."""
    if ESC not in frame:
        return frame
    first, *rest = frame.split(ESC)
    parts = [first]
    for part in rest:
        if part[:1] == b"\xdc":
            parts.append(END + part[1:])
        elif part[:1] == b"\xdd":
            parts.append(ESC + part[1:])
        else:
            return WireError("a SLIP frame has an invalid escape")
    return b"".join(parts)


class SlipReader:
    """Decodes packets of a stream cut anywhere. Empty frames are skipped; one over `limit` bytes is an error value."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._part = bytearray()
        self._skipping = False

    @property
    def partial(self) -> bool:
        """True inside an incomplete frame."""
        return bool(self._part) or self._skipping

    def feed(self, data: bytes) -> list[bytes | WireError]:
        packets: list[bytes | WireError] = []
        *whole, tail = data.split(END)
        for piece in whole:
            self._append_piece(piece, packets)
            if self._part:
                packets.append(unwrap(bytes(self._part)))
                self._part.clear()
            self._skipping = False
        self._append_piece(tail, packets)
        return packets

    def _append_piece(self, piece: bytes, packets: list[bytes | WireError]) -> None:
        if self._skipping:
            return
        # Escapes double a byte: twice the limit holds every packet that is short enough.
        if len(self._part) + len(piece) > 2 * self.limit:
            packets.append(WireError(f"a frame is at most {self.limit} bytes long"))
            self._part.clear()
            self._skipping = True
            return
        self._part += piece
