"""The sounding notes, by the events played so far: sent to a synth after its restart."""

from collections.abc import Sequence
from typing import NamedTuple

from antiphon.kernel.contract.processor import PEDAL, Event
from antiphon.kernel.session.play import BEGIN, FIRST_WORD, LOW, MAX_NAMED, MAX_WORD, NAME, PIECE
from antiphon.kernel.synth.backend import VOICES
from antiphon.kernel.synth.controls import FIRST_DIAL
from antiphon.kernel.synth.shapes import RESET, ChannelBends

MAX_RESTORE_EVENTS = 128
"""Most events that restore a synth's state."""
MAX_NOTES = 128
"""Maximum tracked notes; the oldest is dropped first."""
_MAX_OWN = 1 + MAX_NAMED * (MAX_WORD // PIECE + 2)
_MAX_SHAPES = 40
"""Maximum pitches, pressures and timbres among them: 8 dials and 16 programs then leave none for controllers."""


class _HeldNote(NamedTuple):
    """A held note: velocity, start sample, expression values by kind of event, and controllers of its own values."""

    velocity: float
    began: int
    shape: dict[str, float]
    own: tuple[Event, ...]


class Sounding:
    """Tracks sounding notes and controller positions, to restore a synth after its restart.

    At most 128 notes; the oldest is dropped first.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[int, int], _HeldNote] = {}
        self._pedalled: dict[tuple[int, int], _HeldNote] = {}
        self._next: dict[tuple[int, int], dict[str, float]] = {}
        self._controls: dict[tuple[object, ...], Event] = {}
        self._bends: dict[int, float] = {}
        self._programs: dict[int, int] = {}
        self._own: dict[int, list[Event]] = {}

    def follow(self, sample: int, events: Sequence[Event]) -> None:
        """Tracks events sent to the synth. `sample`: the engine's sample at which the hop begins."""
        for event in events:
            key = (event.channel, event.number)
            match event.kind:
                case "on":
                    self._pedalled.pop(key, None)
                    self._held.pop(key, None)
                    if len(self._held) >= MAX_NOTES:
                        del self._held[next(iter(self._held))]
                    began = sample + event.offset - event.age
                    own = tuple(self._own.pop(event.channel, ()))[:_MAX_OWN]
                    self._held[key] = _HeldNote(event.value, began, self._next.pop(key, {}), own)
                case "control" if event.number == BEGIN:
                    self._own[event.channel] = [Event("control", 0, BEGIN, event.value, event.channel)]
                case "control" if event.channel in self._own and (
                    NAME <= event.number <= LOW or event.number == FIRST_WORD
                ):
                    self._own[event.channel].append(Event("control", 0, event.number, event.value, event.channel))
                case "off":
                    note = self._held.pop(key, None)
                    pedal = self._controls.get((event.channel, PEDAL))
                    if note is not None and pedal is not None and pedal.value >= 0.5:
                        if len(self._pedalled) >= MAX_NOTES:
                            del self._pedalled[next(iter(self._pedalled))]
                        self._pedalled[key] = note
                case "control":
                    if event.number == RESET:
                        self._bends.pop(event.channel, None)
                        for number in (1, 7, 11, PEDAL, 98, 99, 100, 101):
                            self._controls.pop((event.channel, number), None)
                    else:
                        ChannelBends.keep(self._controls, event)
                    if event.number == RESET or (event.number == PEDAL and event.value < 0.5):
                        for note_key in [k for k in self._pedalled if k[0] == event.channel]:
                            del self._pedalled[note_key]
                case "bend":
                    self._bends[event.channel] = event.value
                case "program":
                    self._programs[event.channel] = event.number
                case "pitch" | "pressure" | "timbre":
                    held = self._held.get(key)
                    shape = self._next.setdefault(key, {}) if held is None else held.shape
                    shape[event.kind] = event.value

    def again(self, sample: int) -> list[Event]:
        """State as events: programs, controllers, bends, and the notes with their age and expression.

        `sample`: the engine's sample at which the coming hop begins. Returns at most 128 events at offset 0: as many
        notes as there are voices, the newest, and what was changed last of the rest.
        """
        moved = [Event("control", 0, e.number, e.value, e.channel) for e in self._controls.values()]
        dials = [event for event in moved if event.number >= FIRST_DIAL]
        events = [event for event in moved if event.number < FIRST_DIAL]
        events += [Event("bend", 0, 0, value, channel) for channel, value in self._bends.items()]
        programs = [Event("program", 0, number, 0.0, channel) for channel, number in self._programs.items()]
        notes = sorted({**self._pedalled, **self._held}.items(), key=lambda item: item[1].began)[-VOICES:]
        shapes = [
            Event(kind, 0, number, value, channel)
            for (channel, number), note in notes
            for kind, value in note.shape.items()
        ][-_MAX_SHAPES:]
        room = MAX_RESTORE_EVENTS - 2 * VOICES - len(dials) - len(programs) - len(shapes)
        own = sum(len(note.own) for _, note in notes)
        events = [*dials, *programs, *(events[-room:] if room > 0 else ()), *shapes]
        for (channel, number), note in notes:
            events += note.own if len(events) + own + 2 * len(notes) <= MAX_RESTORE_EVENTS else ()
            events.append(Event("on", 0, number, note.velocity, channel, max(1, sample - note.began)))
        events += [Event("off", 0, k[1], 0.0, k[0]) for k, _ in notes if k in self._pedalled and k not in self._held]
        return events

    def clear(self) -> None:
        """Clears all state."""
        for table in (self._held, self._pedalled, self._next, self._controls, self._bends, self._programs, self._own):
            table.clear()
