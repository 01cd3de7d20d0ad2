"""Nodes, buses and buffers of a scsynth used by Antiphon."""

from dataclasses import dataclass

from antiphon_supercollider.scsynth.jack_bridge import ECHO
from antiphon_supercollider.voices.own import PLACES

FIRST_GROUP = 10


@dataclass(frozen=True, slots=True)
class Layout:
    """Resource layout within a scsynth; an external one has other clients."""

    out: int
    clock: int
    private: int  # first audio bus of `2 * places` for each slot
    nodes: int = 0
    held: int = 0  # first control bus of `places` for each slot
    places: int = PLACES
    buffers: int = 0
    together: bool = False  # whether all slots write to `out`

    def sound(self, slot: int) -> int:
        """First of the two buses of a slot."""
        return self.out if self.together else self.out + ECHO + 2 * slot

    def group(self, slot: int) -> int:
        return self.nodes + FIRST_GROUP + slot
