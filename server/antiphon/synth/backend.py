"""What can play notes: the interface that every backend keeps.

A backend lives in a worker process. It is given events hop by hop, each with the engine's sample; it
gives the hop's sound, or sends the events on with their time (a timetagged bundle) to what sounds elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from antiphon.contract.block import Samples
from antiphon.contract.processor import Event

VOICES = 32
MAX_EVENTS = 256
"""Events one hop carries; more are dropped and counted by whoever packs them."""
COLUMNS = 7
KINDS = ("on", "off", "control", "bend")
INSTRUMENTS = ("piano", "bass", "pad", "pluck", "strings", "drums")
MORE_INSTRUMENTS = ("electric_piano", "organ", "sampler", "grains")
"""Played by some backends alone, as SynthDefs are; `SynthSupport.playable` refuses what its backend does not play."""


@dataclass(frozen=True, slots=True)
class SynthSettings:
    """One synth node's. bend: semitones either way at full bend.  voices: sounding at once, 1 to `VOICES`.

    synthdef: path of a compiled SynthDef, instead of the instrument; "" for none.  sound: path of what a buffer is to
    hold.  controls: as `antiphon.synth.controls` reads them. Some backends alone take these three.
    """

    instrument: str = "piano"
    bend: float = 2.0
    voices: int = VOICES
    seed: int = 1
    synthdef: str = ""
    sound: str = ""
    controls: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class SynthBackend(Protocol):
    """Slots are synth nodes. All calls come from one thread, and none of them is on the engine's block path.

    rehearses: it is played a chord before the first node, which loads what has to be loaded.
    """

    name: str
    rehearses: bool

    def open(self, slot: int, settings: SynthSettings) -> None:
        """A node begins (or begins again, silent) in `slot`."""

    def close(self, slot: int) -> None:
        """The node has gone; its sound ends."""

    def play(self, slot: int, sample: int, events: Sequence[Event]) -> None:
        """The events of the slot's coming hop, which begins at the engine's `sample`; in order of offset.

        on: number note 0-127, value velocity above 0 to 1, age frames it has sounded already (a note taken up
        again after the synth died: no new attack).  off: number note.  control: number 0-127, value 0-1 (64 is
        the sustain pedal: down from 0.5).  bend: value -1 to 1. Channels 1 to 16; a note off, a pedal or a bend
        is for the notes of its channel.
        """

    def render(self, out: Samples, active: NDArray[np.bool_]) -> None:
        """The hop's sound of every active slot into `out` `[slots, 2, hop]`; silence where it sounds elsewhere."""


def shape_in() -> tuple[int, int]:
    """Of a packed hop."""
    return (1 + MAX_EVENTS, COLUMNS)


def pack(sample: int, events: Sequence[Event], into: Samples) -> int:
    """Writes a hop's events; returns how many there was no room for. Every number is exact in a float32."""
    count = min(len(events), MAX_EVENTS)
    into[0, 0], into[0, 1], into[0, 2] = count, sample >> 24, sample & 0xFFFFFF
    for row, event in enumerate(events[:count], 1):
        line = into[row]
        line[0], line[1], line[2] = KINDS.index(event.kind), event.offset, event.number
        line[3], line[4], line[5] = event.value, event.channel, min(event.age, 0xFFFFFF)
        line[6] = event.serial or event.live
    return len(events) - count


def unpack(packed: Samples) -> tuple[int, list[Event]]:
    """Inverse of `pack`: the sample and the events."""
    head = packed[0]
    sample = (int(head[1]) << 24) + int(head[2])
    rows = packed[1 : 1 + int(head[0])]
    return sample, [_event(*row) for row in rows.tolist()]


def _event(
    kind: float, offset: float, number: float, value: float, channel: float, age: float, live: float
) -> Event:  # fmt: skip
    # a serial is above 1
    serial = int(live) if live > 1.0 else 0
    return Event(KINDS[int(kind)], int(offset), int(number), value, int(channel), int(age), live > 0.0, serial)
