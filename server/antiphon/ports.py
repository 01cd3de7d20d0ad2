"""What a processor can be wired by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PortKind = Literal["audio", "events", "asset"]


@dataclass(frozen=True, slots=True)
class Port:
    """One end of a wire.

    channels: of an audio port; None takes the stream's. A wire into a port with another number
    of channels is adapted: mono goes to all, many are averaged to one, else the surplus is dropped.
    """

    name: str
    kind: PortKind = "audio"
    channels: int | None = None


AUDIO_IN = Port("in")
AUDIO_OUT = Port("out")
EVENTS_IN = Port("notes", "events")
EVENTS_OUT = Port("notes", "events")
