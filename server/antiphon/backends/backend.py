"""Interface of synth backends, which render notes.

A backend runs in a worker process. It gets events hop by hop, each with the engine's sample; it returns the hop's
sound, or forwards the events with their time (a timetagged bundle) to an external synthesizer.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.contract.event import EVENT_KINDS, Event

VOICES = 32
"""Polyphony: maximum notes of one node that sound at once."""
MAX_EVENTS = 256
"""Maximum events of one hop; more are dropped and counted by the caller."""
COLUMNS = 7
"""Numbers of a packed event."""
INSTRUMENTS = ("piano", "bass", "pad", "pluck", "strings", "drums")
"""Instruments that every built-in backend plays."""
MORE_INSTRUMENTS = ("electric_piano", "organ", "sampler", "grains")
"""Instruments of some backends only, such as SynthDefs; `SynthSupport.check_settings` refuses the others."""


@dataclass(frozen=True, slots=True)
class SynthSettings:
    """Settings of one synth node for its backend.

    Attributes:
        bend: Semitones up or down at a full pitch bend.
        voices: Notes that sound at once, 1 to `VOICES`.
        synthdef: Path of a compiled SynthDef to play in place of the instrument, or ""; only for scsynth.
        sound: Path of a sound file for a buffer, or ""; only for scsynth.
        controls: The result of `parse_controls`; only for scsynth.
    """

    instrument: str = "piano"
    bend: float = 2.0
    voices: int = VOICES
    seed: int = 1
    synthdef: str = ""
    sound: str = ""
    controls: str = ""

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON data, for the stream's config."""
        return asdict(self)


class SynthBackend(Protocol):
    """Renders notes in a worker process; a class with these methods, made with rate, hop, slots and its settings.

    A slot is a synth node. All calls come from one thread, none of them on the engine's block path. `rehearses`: a
    chord is played on it before the first node, so that data needed by the first note is loaded.
    """

    name: str
    rehearses: bool

    def open(self, slot: int, settings: SynthSettings) -> None:
        """Opens a node, or resets an open one, silent."""

    def close(self, slot: int) -> None:
        """Closes a node and its sound."""

    def play(self, slot: int, sample: int, events: Sequence[Event]) -> None:
        """Processes the events of a slot's coming hop.

        A note off, a pedal or a bend applies to the notes of its channel; a pitch, pressure or timbre to one note. A
        note with an `age` sounded for that number of frames before a restart: it gets no new attack. Controller 64 is
        the sustain pedal, down from 0.5. `sample`: the engine's sample at which the hop begins. `events`: in order of
        offset, counted from the hop's first frame.
        """

    def render(self, out: Samples, active: NDArray[np.bool_]) -> None:
        """Renders the hop's sound of every active slot.

        `out`: float32 `[slots, 2, hop]`, to be filled in active rows; silence where the notes sound elsewhere.
        `active`: bool `[slots]`.
        """


def shape_in() -> tuple[int, int]:
    """Shape of a packed hop."""
    return (1 + MAX_EVENTS, COLUMNS)


def pack(sample: int, events: Sequence[Event], into: Samples) -> int:
    """Packs a hop's events for a synth's worker. Every number is exact in a float32.

    `sample`: the engine's sample at which the hop begins. `into`: float32 of the shape of a packed hop, written.
    """
    count = min(len(events), MAX_EVENTS)
    into[0, 0], into[0, 1], into[0, 2] = count, sample >> 24, sample & 0xFFFFFF
    for row, event in enumerate(events[:count], 1):
        line = into[row]
        line[0], line[1], line[2] = EVENT_KINDS.index(event.kind), event.offset, event.number
        line[3], line[4], line[5] = event.value, event.channel, min(event.age, 0xFFFFFF)
        line[6] = event.serial or event.live
    return len(events) - count


def unpack(packed: Samples) -> tuple[int, list[Event]]:
    """Unpacks sample and events; the inverse of `pack`."""
    head = packed[0]
    sample = (int(head[1]) << 24) + int(head[2])
    rows = packed[1 : 1 + int(head[0])]
    return sample, [_event(*row) for row in rows.tolist()]


def _event(kind: float, offset: float, number: float, value: float, channel: float, age: float, live: float) -> Event:
    # a serial is above 1
    serial = int(live) if live > 1.0 else 0
    return Event(EVENT_KINDS[int(kind)], int(offset), int(number), value, int(channel), int(age), live > 0.0, serial)
