"""OSC packets as bytes: for a plugin that talks to another program."""

from __future__ import annotations

from antiphon.kernel.wire.osc import (
    IMMEDIATELY,
    IMPULSE,
    Arg,
    Bundle,
    Double,
    Impulse,
    Long,
    Message,
    Packet,
    decode,
    encode,
    encode_bundle,
)
