"""Arpeggiator, on the clock."""

import math
from collections.abc import Iterable

from antiphon.api import IO, Event, Param
from antiphon_notes.mapping import SEED
from antiphon_notes.node import DROPPED_NOTES, JUMP, ClockNode, Key, Made, dice

MODES = ("up", "down", "updown", "played", "random", "chord")
LATE = 0.25
"""Share of a step by which the first key may be late and still start at once."""
_NEAR = 1e-6


class Arpeggiator(ClockNode):
    """Steps fall on multiples of `rate` beats. The first key of a phrase restarts the order."""

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

    def made(self, io: IO, event: Event) -> Iterable[Made]:
        if not self._keys:
            rate, beat = float(io.at("rate", event.offset)), self.beat(event.offset)
            before = rate * math.floor(beat / rate + _NEAR)
            self._tick = beat if beat - before <= LATE * rate else before + rate
            self._step = 0
        self._keys[event.channel, event.number] = event.value
        return ()

    def up(self, io: IO, event: Event, key: Key) -> None:
        super().up(io, event, key)
        self._keys.pop(key, None)
        self._shape.pop(key, None)
        self._notes.pop(key, None)

    def express(self, io: IO, event: Event, key: Key) -> None:
        if key in self._keys:
            self._shape.setdefault(key, {})[event.kind] = event.value
        super().express(io, event, key)

    def expressed(self, key: Key) -> Iterable[Key]:
        return (*super().expressed(key), *self._notes.get(key, ()))

    def clocked(self, io: IO) -> None:
        super().clocked(io)
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
            if self.later(beat, note, self._keys[key]):
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
