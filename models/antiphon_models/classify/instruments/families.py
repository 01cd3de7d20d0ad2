"""The sixteen families that `instruments` tells apart, and by which programs of General MIDI each is played."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class InstrumentFamily:
    """Instruments that a listener takes for one kind.

    Attributes:
        programs: Of General MIDI, 0 to 127.
        held: Of these, the programs that no network is trained on: thresholds are chosen with them.
        low: MIDI number of the lowest note.
        high: High of the highest.
        ranges: Ranges of programs whose range is another.
        chords: The share of takes in chords.
        plucked: Chords are strummed, notes ring on.
    """

    programs: tuple[int, ...]
    low: int
    high: int
    held: tuple[int, ...] = ()
    ranges: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    chords: float = 0.0
    plucked: bool = False

    def range_of(self, program: int) -> tuple[int, int]:
        """The lowest and highest note of a program."""
        return self.ranges.get(program, (self.low, self.high))


FAMILIES: Mapping[str, InstrumentFamily] = {
    "piano": InstrumentFamily((0, 1, 2, 3, 4, 5), 36, 96, held=(3,), chords=0.55),
    "mallets": InstrumentFamily((8, 9, 10, 11, 12, 13, 14, 108, 114), 57, 98, held=(13,), chords=0.25,
                                ranges={8: (60, 100), 9: (72, 103), 12: (45, 90), 14: (55, 80)}),
    "organ": InstrumentFamily((16, 17, 18, 19, 20), 36, 88, held=(17,), chords=0.65),
    "accordion": InstrumentFamily((21, 22, 23), 50, 88, chords=0.5, ranges={22: (57, 88)}),
    "guitar": InstrumentFamily((24, 25, 26, 27, 28), 40, 80, held=(26,), chords=0.55, plucked=True),
    "distorted guitar": InstrumentFamily((29, 30), 40, 78, chords=0.5, plucked=True),
    "bass": InstrumentFamily((32, 33, 34, 35, 36, 37, 38, 39), 28, 55, held=(37,)),
    "strings": InstrumentFamily((40, 41, 42, 43, 44, 48, 49, 110), 43, 90, held=(41,), chords=0.3,
                                ranges={40: (55, 95), 41: (48, 84), 42: (36, 74), 43: (28, 55), 110: (55, 90)}),
    "plucked": InstrumentFamily((6, 7, 15, 45, 46, 104, 105, 106, 107), 43, 86, held=(107,),
                               chords=0.3, plucked=True),
    "voice": InstrumentFamily((52, 53), 45, 80, chords=0.6),
    "brass": InstrumentFamily((56, 57, 58, 59, 60, 61, 62, 63), 46, 82, held=(59, 62), chords=0.2,
                              ranges={57: (40, 72), 58: (28, 58), 60: (41, 77)}),
    "reed": InstrumentFamily((64, 65, 66, 67, 68, 69, 70, 71, 109, 111), 50, 84, held=(69,), chords=0.05,
                             ranges={66: (44, 76), 67: (36, 69), 70: (34, 70), 68: (58, 90)}),
    "flute": InstrumentFamily((72, 73, 74, 75, 76, 77, 78, 79), 60, 94, held=(78,), ranges={72: (74, 103)}),
    "synth lead": InstrumentFamily((80, 81, 82, 83, 84, 86, 87), 45, 90, held=(83,), chords=0.1),
    "synth pad": InstrumentFamily((50, 51, 88, 89, 90, 91, 92, 93, 94, 95), 40, 84, held=(93,), chords=0.85),
    "drums": InstrumentFamily((), 35, 81),
}  # fmt: skip
"""By label, in the network's order. Effects (96 to 103, 119 to 127) and what is of two (31, 54, 55, 85) are none."""

LABELS: tuple[str, ...] = tuple(FAMILIES)
KITS = (0, 8, 16, 24, 25, 32, 40)
"""Programs of the channel of drums."""
TUNED_DRUMS = (47, 115, 116, 117, 118)
"""Programs of timpani, wood blocks, taiko and toms, which count as drums."""


def targets(present: Sequence[str]) -> list[float]:
    """1.0 for each family that is present, in the order of `LABELS`."""
    return [float(label in present) for label in LABELS]
