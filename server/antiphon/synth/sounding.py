"""Which notes sound, by what was played: what a synth that died is told when it is back."""

from __future__ import annotations

from collections.abc import Sequence

from antiphon.contract.processor import PEDAL, Event
from antiphon.synth.backend import VOICES
from antiphon.synth.controls import FIRST_DIAL

TOLD = 128
"""Events that tell a synth all it has to know."""
MOST = 128
"""Notes remembered; the oldest is forgotten first."""


class Sounding:
    """Remembers which notes sound and where controllers stand, for a synth that is given them again after a restart.

    At most 128 notes; the oldest is dropped first.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[int, int], tuple[float, int]] = {}
        self._pedalled: dict[tuple[int, int], tuple[float, int]] = {}
        self._controls: dict[tuple[int, int], float] = {}
        self._bends: dict[int, float] = {}

    def follow(self, sample: int, events: Sequence[Event]) -> None:
        """Takes the events that the synth is sent.

        Args:
            sample: The engine's sample at which the hop begins.
            events: Of the hop, in order of offset.
        """
        for event in events:
            key = (event.channel, event.number)
            match event.kind:
                case "on":
                    self._pedalled.pop(key, None)
                    self._held.pop(key, None)
                    if len(self._held) >= MOST:
                        del self._held[next(iter(self._held))]
                    self._held[key] = (event.value, sample + event.offset - event.age)
                case "off":
                    note = self._held.pop(key, None)
                    if note is not None and self._controls.get((event.channel, PEDAL), 0.0) >= 0.5:
                        if len(self._pedalled) >= MOST:
                            del self._pedalled[next(iter(self._pedalled))]
                        self._pedalled[key] = note
                case "control":
                    self._controls[key] = event.value
                    if event.number == PEDAL and event.value < 0.5:
                        for note_key in [k for k in self._pedalled if k[0] == event.channel]:
                            del self._pedalled[note_key]
                case "bend":
                    self._bends[event.channel] = event.value

    def again(self, sample: int) -> list[Event]:
        """Gives the state as events: controllers, bends, and the notes with their age.

        Args:
            sample: The engine's sample at which the coming hop begins.

        Returns:
            At most 128 events at offset 0: as many notes as there are voices, the newest, and the controllers changed
            last.
        """
        moved = [Event("control", 0, number, value, channel) for (channel, number), value in self._controls.items()]
        dials = [event for event in moved if event.number >= FIRST_DIAL]
        events = [event for event in moved if event.number < FIRST_DIAL]
        events += [Event("bend", 0, 0, value, channel) for channel, value in self._bends.items()]
        events = [*dials, *events[-(TOLD - 2 * VOICES - len(dials)) :]]
        notes = sorted({**self._pedalled, **self._held}.items(), key=lambda item: item[1][1])[-VOICES:]
        for (channel, number), (velocity, began) in notes:
            events.append(Event("on", 0, number, velocity, channel, max(1, sample - began)))
        events += [Event("off", 0, k[1], 0.0, k[0]) for k, _ in notes if k in self._pedalled and k not in self._held]
        return events

    def clear(self) -> None:
        """Forgets everything."""
        for table in (self._held, self._pedalled, self._controls, self._bends):
            table.clear()
