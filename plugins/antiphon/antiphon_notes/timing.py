"""Timed notes: arpeggios on the clock, and delays in beats for echoes, strummed chords and humanising.

A delayed note lasts as long as its key was held.
"""

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator

from antiphon.api import IO, Event, FileUse, Param, Port
from antiphon_notes.mapping import SEED
from antiphon_notes.node import DROPPED_NOTES, JUMP, ClockNode, Key, Made, dice

MODES = ("up", "down", "updown", "played", "random", "chord")
LATE = 0.25
"""Share of a step by which the first key may be late and still start at once."""
_NEAR = 1e-6


class Arpeggiator(ClockNode):
    """Plays held keys in turn on multiples of `rate` beats. The first key of a phrase restarts the order."""

    inputs = (Port("notes", "events", held=True),)
    params = (
        Param("mode", "choice", "up", choices=MODES, doc="The order of the notes."),
        Param("rate", default=0.25, low=0.03125, high=4.0, unit="beats", doc="From one step to the next."),
        Param("gate", default=0.6, low=0.05, high=1.0, doc="Length of a note, as a share of a step."),
        Param("octaves", "int", 1, 1, 4, unit="octaves", doc="Octaves that it goes through."),
        SEED,
        DROPPED_NOTES,
    )

    def forget(self) -> None:
        super().forget()
        self._keys: dict[Key, float] = {}
        self._shape: dict[Key, dict[str, float]] = {}
        self._notes: dict[Key, tuple[Key, ...]] = {}
        self._tick, self._step = math.inf, 0

    def notes_for(self, io: IO, event: Event) -> Iterable[Made]:
        if not self._keys:
            rate, beat = float(io.at("rate", event.offset)), self.beat(event.offset)
            before = rate * math.floor(beat / rate + _NEAR)
            self._tick = beat if beat - before <= LATE * rate else before + rate
            self._step = 0
        self._keys[event.channel, event.number] = event.value
        return ()

    def release_key(self, io: IO, event: Event, key: Key) -> None:
        super().release_key(io, event, key)
        self._keys.pop(key, None)
        self._shape.pop(key, None)
        self._notes.pop(key, None)

    def express(self, io: IO, event: Event, key: Key) -> None:
        if key in self._keys:
            self._shape.setdefault(key, {})[event.kind] = event.value
        super().express(io, event, key)

    def keys_of(self, key: Key) -> Iterable[Key]:
        return (*super().keys_of(key), *self._notes.get(key, ()))

    def begin_block(self, io: IO) -> None:
        super().begin_block(io)
        rate = float(io.at("rate", 0))
        now = self.beat(0)
        if self._keys and io.time.playing and not now - JUMP <= self._tick <= now + rate + JUMP:
            self._tick = rate * math.ceil(now / rate - _NEAR)

    def next_tick(self) -> float:
        return self._tick if self._keys else math.inf

    def tick(self, io: IO, frame: int, beat: float) -> None:
        rate, length = float(io.at("rate", frame)), float(io.at("gate", frame))
        self._tick = rate * (math.floor(beat / rate + _NEAR) + 1)
        end = beat + length * rate
        self._notes.clear()
        for key, number in self._turn(io, frame):
            note = key[0], number
            if self.schedule_note_on(beat, note, self._keys[key]):
                self._notes[key] = (*self._notes.get(key, ()), note)
                for kind, value in self._shape.get(key, {}).items():
                    self.send(io, Event(kind, frame, number, value, key[0]))
                self.ends(end, note)
        self._step += 1

    def _turn(self, io: IO, frame: int) -> list[tuple[Key, int]]:
        """Keys of this step, each with its output note."""
        mode, octaves = str(io.at("mode", frame)), int(io.at("octaves", frame))
        keys = list(self._keys) if mode == "played" else sorted(self._keys, key=_number)
        notes = [(key, key[1] + 12 * n) for n in range(octaves) for key in keys]
        count = len(notes)
        if mode == "chord":
            return [(key, key[1] + 12 * (self._step % octaves)) for key in keys]
        if mode == "random":
            return [notes[int(count * dice(int(io.at("seed", frame)), self._step))]]
        if mode == "updown" and count > 1:
            at = self._step % (2 * count - 2)
            return [notes[min(at, 2 * count - 2 - at)]]
        at = self._step % count
        return [notes[count - 1 - at if mode == "down" else at]]


def _number(key: Key) -> tuple[int, int]:
    return key[1], key[0]


DIRECTIONS = ("up", "down", "alternate")
WINDOW = 0.05
"""Maximum distance in beats of the notes of a chord."""
MIN_NOTE_BEATS = 1e-4
"""Minimum length of a note in beats, so that its end follows its begin."""


class DelayingNode(ClockNode):
    """Plays `delayed` copies of each note. While the clock is stopped, they are dropped or played at once."""

    def forget(self) -> None:
        super().forget()
        # delay, begin and output note of each delayed note of a held key
        self._delays: dict[Key, list[tuple[float, float, Key]]] = {}

    @abstractmethod
    def delays(self, io: IO, event: Event, beat: float) -> Iterable[tuple[float, Made]]:
        """Returns pairs of a delay in beats and a note."""

    def notes_for(self, io: IO, event: Event) -> Iterable[Made]:
        beat, key = self.beat(event.offset), (event.channel, event.number)
        for delay, made in self.delays(io, event, beat):
            if delay <= 0.0:
                yield made
            elif self.schedule_note_on(beat + delay, made[:2], made[2]):
                self._delays.setdefault(key, []).append((delay, beat + delay, made[:2]))

    def release_key(self, io: IO, event: Event, key: Key) -> None:
        super().release_key(io, event, key)
        for delay, begin, note in self._delays.pop(key, ()):
            self.ends(max(begin + MIN_NOTE_BEATS, self.beat(event.offset) + delay), note)

    def keys_of(self, key: Key) -> Iterable[Key]:
        return (*super().keys_of(key), *(note for _, _, note in self._delays.get(key, ())))

    def drop_pending(self, io: IO) -> None:
        super().drop_pending(io)
        self._delays.clear()


class EchoNode(DelayingNode):
    """Repeats each note every `beats`, softer by `feedback` each time."""

    params = (
        Param("beats", default=0.75, low=0.03125, high=16.0, unit="beats", doc="From one repeat to the next."),
        Param("repeats", "int", 3, 0, 16, doc="How often each note is repeated."),
        Param("feedback", default=0.6, low=0.0, high=1.0, doc="Velocity of each repeat, as a share of the one before."),
        Param("transpose", "int", 0, -24, 24, unit="semitones", doc="Transposes each repeat against the one before."),
        Param("through", "switch", True, doc="Plays the notes themselves too."),
        DROPPED_NOTES,
    )

    def delays(self, io: IO, event: Event, beat: float) -> Iterator[tuple[float, Made]]:
        frame = event.offset
        if io.at("through", frame):
            yield 0.0, (event.channel, event.number, event.value)
        if not io.time.playing:
            return
        feedback, by = float(io.at("feedback", frame)), int(io.at("transpose", frame))
        for n in range(1, int(io.at("repeats", frame)) + 1):
            velocity = event.value * feedback**n
            if velocity < 1.0 / 127.0:
                return
            yield n * float(io.at("beats", frame)), (event.channel, event.number + n * by, velocity)


class Strum(DelayingNode):
    """Spreads the notes of a chord: each starts `beats` after the previous one. Notes played apart keep their order."""

    params = (
        Param("beats", default=0.04, low=0.0, high=1.0, unit="beats", doc="From one note to the next."),
        Param("direction", "choice", "up", choices=DIRECTIONS, doc="Order of notes that come at one frame."),
        Param(
            "tilt", default=0.0, low=-1.0, high=1.0, doc="Velocity from the first note to the eighth: softer, louder."
        ),
        DROPPED_NOTES,
    )

    def forget(self) -> None:
        super().forget()
        self._chord, self._chords = -math.inf, 0
        self._places: list[tuple[int, float]] = []
        self._place = 0

    def process(self, io: IO) -> None:
        self._places.clear()
        beat, per_frame = io.time.beat, io.time.beats_per_frame(self._rate)
        events, at = io.events_in, 0
        while at < len(events):
            offset, end = events[at].offset, at
            while end < len(events) and events[end].offset == offset and _begins(events[end]):
                end += 1
            if end > at:
                self._sort_into_chord(io, events, at, end, beat + per_frame * offset)
            at = max(end, at + 1)
        super().process(io)

    def _sort_into_chord(self, io: IO, events: list[Event], first: int, end: int, beat: float) -> None:
        """Sorts the notes of one frame, and assigns each its index in its chord."""
        if not 0.0 <= beat - self._chord <= WINDOW:
            self._chord, self._place = beat, 0
            self._chords += 1
        direction = str(io.at("direction", events[first].offset))
        falling = direction == "down" or (direction == "alternate" and self._chords % 2 == 0)
        events[first:end] = sorted(events[first:end], key=_number_of, reverse=falling)
        for _ in range(first, end):
            self._places.append((self._place, beat - self._chord))
            self._place += 1

    def delays(self, io: IO, event: Event, beat: float) -> Iterator[tuple[float, Made]]:
        place, since = self._places.pop(0) if self._places else (0, 0.0)
        velocity = event.value * (1.0 + float(io.at("tilt", event.offset)) * (min(place, 7) / 7.0 - 0.5))
        delay = place * float(io.at("beats", event.offset)) - since if io.time.playing else 0.0
        yield delay, (event.channel, event.number, velocity)


class Humanise(DelayingNode):
    """Delays each note by up to `beats`, and changes its velocity by up to `velocity`."""

    on_files = FileUse(changes=("time",))
    params = (
        Param("beats", default=0.04, low=0.0, high=0.5, unit="beats", doc="The longest delay."),
        Param("velocity", default=0.2, low=0.0, high=1.0, doc="The largest change of velocity, as a share of it."),
        SEED,
        DROPPED_NOTES,
    )

    def forget(self) -> None:
        super().forget()
        self._count = 0

    def delays(self, io: IO, event: Event, beat: float) -> Iterator[tuple[float, Made]]:
        frame, seed = event.offset, int(io.at("seed", event.offset))
        self._count += 2
        by = float(io.at("velocity", frame)) * (2.0 * dice(seed, self._count) - 1.0)
        late = float(io.at("beats", frame)) * dice(seed, self._count + 1) if io.time.playing else 0.0
        yield late, (event.channel, event.number, max(1.0 / 127.0, event.value * (1.0 + by)))


def _begins(event: Event) -> bool:
    return event.kind == "on" and event.value > 0.0


def _number_of(event: Event) -> int:
    return event.number
