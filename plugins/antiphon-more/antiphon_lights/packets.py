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
_SACN = struct.Struct(">HH12sHI16s HI64sBHBBH HBBHHHB")
"""Layers root, framing and DMP; flags and length of each count from that field to the packet's end."""
_FLAGS, _FRAMING_AT, _DMP_AT = 0x7000, 38, 115
_NAME, _PRIORITY = b"Antiphon", 100
TERMINATED = 0x40
"""Option of sACN: the last packet of a stream."""
SACN_BYTES = _SACN.size + SLOTS


def art_dmx(universe: int, sequence: int, slots: bytes) -> bytes:
    """ArtDmx packet. `universe`: from 1, which is Art-Net's port address 0. `sequence`: 1 to 255, 0 for none."""
    address = universe - 1
    head = struct.pack("<8sH", b"Art-Net\0", _ART_DMX)
    return head + struct.pack(">HBBBBH", _ART_VERSION, sequence, 0, address & 255, address >> 8, len(slots)) + slots


def sacn_packet(source: bytes, universe: int, sequence: int, slots: bytes, options: int = 0) -> bytes:
    """Data packet with start code 0. `source`: 16 bytes that name it. `universe`: 1 to 63999. `slots`: 512 bytes."""
    root = 0x10, 0, b"ASC-E1.17", _FLAGS | (SACN_BYTES - 16), 4, source
    framing = _FLAGS | (SACN_BYTES - _FRAMING_AT), 2, _NAME, _PRIORITY, 0, sequence, options, universe
    return _SACN.pack(*root, *framing, _FLAGS | (SACN_BYTES - _DMP_AT), 2, 0xA1, 0, 1, SLOTS + 1, 0) + slots


def sacn_group(universe: int) -> str:
    """Multicast address of a universe."""
    return f"239.255.{universe >> 8}.{universe & 255}"


def os2l(event: str, **fields: Any) -> bytes:
    """One event of OS2L, "beat" or "btn", as a line of JSON."""
    return json.dumps({"evt": event, **fields}, separators=(",", ":")).encode() + b"\n"
