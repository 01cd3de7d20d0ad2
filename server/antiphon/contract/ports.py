"""What a processor can be wired by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PortKind = Literal["audio", "control", "events", "asset"]


@dataclass(frozen=True, slots=True)
class Port:
    """One end of a wire.

    kind: "control" is a signal that moves something: one channel, frame by frame, 1 the whole way of
    what it moves. Its wire ends in another control port or in a parameter (`Param.glides`).
    channels: of an audio port; None takes the stream's. A wire into a port with another number
    of channels is adapted: mono goes to all, many are averaged to one, else the surplus is dropped.
    """

    name: str
    kind: PortKind = "audio"
    channels: int | None = None

    def __post_init__(self) -> None:
        if self.kind == "control":
            object.__setattr__(self, "channels", 1)

    @property
    def signal(self) -> bool:
        """Whether it carries samples: `io.audio_in` and `io.audio_out` hold these ports, in declared order."""
        return self.kind in ("audio", "control")


AUDIO_IN = Port("in")
AUDIO_OUT = Port("out")
EVENTS_IN = Port("notes", "events")
EVENTS_OUT = Port("notes", "events")
CONTROL_OUT = Port("out", "control")
