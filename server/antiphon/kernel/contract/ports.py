"""The ports of processors, which wires connect."""

from dataclasses import dataclass
from typing import Literal

PortKind = Literal["audio", "control", "events", "asset"]
"""Signal kind of a port: sound, a control signal, events, or a decoded file."""

PORT, MIXED = 1 << 16, 1 << 24
"""Added to a node's number in recordings: `PORT` for each port after its first, `MIXED` for its part of the output."""


@dataclass(frozen=True, slots=True)
class Port:
    """Input or output port of a processor, an end of a wire.

    A wire into a port with another number of channels is adapted: mono goes to all channels, several channels are
    averaged to one, otherwise surplus channels are dropped.

    Attributes:
        kind: "audio", "control", "events" or "asset". A control port carries one channel, a value for each frame, in
            which 1 is the whole range of what it modulates; its wire ends in another control port or in a parameter
            (`Param.glides`).
        channels: Channels of an audio port; None takes the stream's. Always 1 for a control port.
        midi: For an events output, the only MIDI channel that its wires carry; 0 carries all channels, a negative
            number all but that one.
        overhears: For an events input: notes that name no node are received here as well, whichever nodes play them.
        held: For an events input: keys that are held when a patch with the node is loaded are received as note-ons, for
            a node that derives other notes from them. In a synth each change of patch would cause an attack.
    """

    name: str
    kind: PortKind = "audio"
    channels: int | None = None
    midi: int = 0
    overhears: bool = False
    held: bool = False

    def __post_init__(self) -> None:
        if self.kind == "control":
            object.__setattr__(self, "channels", 1)

    @property
    def signal(self) -> bool:
        """True for ports with samples, in `io.audio_in` and `io.audio_out` in declared order."""
        return self.kind in ("audio", "control")


AUDIO_IN = Port("in")
"""An audio input named `in`, with the stream's channels: the default of a processor."""
AUDIO_OUT = Port("out")
"""An audio output named `out`, with the stream's channels: the default of a processor."""
EVENTS_IN = Port("notes", "events")
"""An events input named `notes`."""
EVENTS_OUT = Port("notes", "events")
"""An events output named `notes`."""
CONTROL_OUT = Port("out", "control")
"""A control output named `out`."""
