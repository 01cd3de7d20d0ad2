"""The sixteen families that `instruments` tells apart, and by which programs of General MIDI each is played."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from antiphon_models.material.tables import table_beside


@dataclass(frozen=True, slots=True)
class InstrumentFamily:
    """Instruments that a listener takes for one kind.

    Attributes:
        programs: Of General MIDI, 0 to 127.
        low: MIDI number of the lowest note.
        chords: The share of takes in chords.
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
    label: InstrumentFamily(**{**table, "ranges": {int(k): v for k, v in table.get("ranges", {}).items()}})
    for label, table in table_beside(__file__).items()
}
"""By label, in the network's order."""

LABELS: tuple[str, ...] = tuple(FAMILIES)
KITS = (0, 8, 16, 24, 25, 32, 40)
"""Programs of the channel of drums."""
TUNED_DRUMS = (47, 115, 116, 117, 118)
"""Programs of timpani, wood blocks, taiko and toms, which count as drums."""


def targets(present: Sequence[str]) -> list[float]:
    """1.0 for each family that is present, in the order of `LABELS`."""
    return [float(label in present) for label in LABELS]
