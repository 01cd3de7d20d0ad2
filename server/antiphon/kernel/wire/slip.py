"""SLIP frames (OSC 1.1 over TCP): END on both sides, END and ESC escaped inside."""

from __future__ import annotations

from antiphon.kernel.errors import WireError

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
            self._grow(piece, packets)
            if self._part:
                packets.append(unwrap(bytes(self._part)))
                self._part.clear()
            self._skipping = False
        self._grow(tail, packets)
        return packets

    def _grow(self, piece: bytes, packets: list[bytes | WireError]) -> None:
        if self._skipping:
            return
        # Escapes double a byte: twice the limit holds every packet that is short enough.
        if len(self._part) + len(piece) > 2 * self.limit:
            packets.append(WireError(f"a frame is at most {self.limit} bytes long"))
            self._part.clear()
            self._skipping = True
            return
        self._part += piece
