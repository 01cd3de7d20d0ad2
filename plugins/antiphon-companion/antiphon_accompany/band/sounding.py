"""Sounding notes of the band, and the player's pitch bend."""

import math
from collections.abc import Iterable

from antiphon.api import IO, Event
from antiphon.api.backends.synths import ChannelBends
from antiphon_accompany.band.player import PendingStrike

BEND_RANGE = 2
"""Semitones of a full pitch bend, as in MIDI."""
MAX_NOTES = 64
"""Maximum sounding notes; the oldest is ended to make room."""
RESTRIKE_SECONDS = 0.04
"""Seconds within which a non-drum part does not restrike a key: two lanes of a style may meet on it."""
Key = tuple[int, int]
"""Channel and number of a note."""


class SoundingStrikes(dict[Key, PendingStrike]):
    """Sounding strikes, by channel and number, in the order in which they began."""

    @property
    def first_end(self) -> float:
        """End beat of the next strike to end; infinite without any."""
        return min((due.end for due in self.values()), default=math.inf)

    def strike(self, io: IO, frame: int, due: PendingStrike, channel: int, pitches: Iterable[int]) -> None:
        """Begins the notes of a strike. A sounding note on the same key ends first, or continues if just begun."""
        for pitch in pitches:
            held = self.get((channel, pitch))
            near = held is not None and 0.0 <= due.start - held.start < RESTRIKE_SECONDS * io.time.tempo / 60.0
            if held is not None and near and due.part != "drums":
                self[channel, pitch] = held._replace(end=max(held.end, due.end))
                continue
            if held is not None:
                self.end(io, (channel, pitch), frame)
            elif len(self) >= MAX_NOTES:
                self.end(io, next(iter(self)), frame)
            io.emit(Event("on", frame, pitch, due.velocity, channel))
            self[channel, pitch] = due

    def end(self, io: IO, key: Key, frame: int) -> None:
        del self[key]
        io.emit(Event("off", frame, key[1], channel=key[0]))

    def end_due(self, io: IO, frame: int, beat: float) -> None:
        """Ends notes due up to a beat."""
        for key in [key for key, due in self.items() if due.end <= beat]:
            self.end(io, key, frame)

    def end_all(self, io: IO, frame: int) -> None:
        for key in list(self):
            self.end(io, key, frame)


class PlayerBend:
    """The pitch bend of the player, in whole semitones."""

    def __init__(self) -> None:
        self._bent, self._bends = 0, ChannelBends()

    def reset(self) -> None:
        self._bent = 0
        self._bends.reset()

    def number(self, event: Event) -> int:
        """Number of an event's note including the present bend, 0 to 127."""
        return min(127, max(0, event.number + self._bent))

    def update(self, event: Event, sounding: Iterable[int]) -> int:
        """Processes a bend or its range; returns the change of sounding notes in semitones."""
        if not self._bends.follow(event, BEND_RANGE):
            return 0
        before, self._bent = self._bent, round(self._bends.semitones[event.channel])
        by = self._bent - before
        return by if all(0 <= pitch + by <= 127 for pitch in sounding) else 0
