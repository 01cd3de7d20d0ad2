"""Bytes of Art-Net 4 (ArtDmx), of sACN (ANSI E1.31-2018), and of OS2L.

Packets of our own: both layouts are fixed headers before 512 bytes. The libraries that send them run a thread for each
universe with a clock of its own, and a frame has to leave at its beat.
"""

import json
import struct
from typing import Any

ARTNET_PORT, SACN_PORT, OS2L_PORT = 6454, 5568, 9996
SLOTS = 512
"""Channels of a universe."""
_ART_DMX, _ART_VERSION = 0x5000, 14
_ROOT = struct.Struct(">HH12sHI16s")
_FRAMING = struct.Struct(">HI64sBHBBH")
_DMP = struct.Struct(">HBBHHHB")
_FLAGS = 0x7000
TERMINATED = 0x40
"""Option of sACN: the last packet of a stream."""
SACN_BYTES = _ROOT.size + _FRAMING.size + _DMP.size + SLOTS


def art_dmx(universe: int, sequence: int, slots: bytes) -> bytes:
    """ArtDmx packet. `universe`: from 1, which is Art-Net's port address 0. `sequence`: 1 to 255, 0 for none."""
    address = universe - 1
    head = struct.pack("<8sH", b"Art-Net\0", _ART_DMX)
    return head + struct.pack(">HBBBBH", _ART_VERSION, sequence, 0, address & 255, address >> 8, len(slots)) + slots


class SacnSource:
    """Packets of one source. `cid`: 16 bytes that name it. `name`: at most 63 bytes of UTF-8."""

    def __init__(self, cid: bytes, name: str, priority: int = 100) -> None:
        self._cid, self._name, self._priority = cid, name.encode()[:63], priority

    def packet(self, universe: int, sequence: int, slots: bytes, options: int = 0) -> bytes:
        """Data packet with start code 0. `universe`: 1 to 63999. `slots`: 512 bytes."""
        # flags and length of a layer count from that field to the packet's end
        root = _ROOT.pack(0x10, 0, b"ASC-E1.17", _FLAGS | (SACN_BYTES - 16), 4, self._cid)
        framing = _FRAMING.pack(
            _FLAGS | (SACN_BYTES - _ROOT.size), 2, self._name, self._priority, 0, sequence, options, universe
        )
        length = SACN_BYTES - _ROOT.size - _FRAMING.size
        return root + framing + _DMP.pack(_FLAGS | length, 2, 0xA1, 0, 1, SLOTS + 1, 0) + slots


def sacn_group(universe: int) -> str:
    """Multicast address of a universe."""
    return f"239.255.{universe >> 8}.{universe & 255}"


def os2l(event: str, **fields: Any) -> bytes:
    """One event of OS2L, "beat" or "btn", as a line of JSON."""
    return json.dumps({"evt": event, **fields}, separators=(",", ":")).encode() + b"\n"
