"""Which nodes, buses and buffers of a scsynth are ours."""

from __future__ import annotations

from dataclasses import dataclass

from antiphon_supercollider.jack_bridge import ECHO
from antiphon_supercollider.own import PLACES

FIRST_GROUP = 10


@dataclass(frozen=True, slots=True)
class Layout:
    """What of a scsynth is ours. A joined one belongs to others too.

    nodes: added to our node numbers.  out: first of our output buses.  clock: of the two input buses.  private: first
    audio bus of `2 * places` for each slot.  held: first control bus of `places` for each.  buffers: first number.
    together: all slots go to `out`.
    """

    out: int
    clock: int
    private: int
    nodes: int = 0
    held: int = 0
    places: int = PLACES
    buffers: int = 0
    together: bool = False

    def sound(self, slot: int) -> int:
        """First of the two buses of a slot."""
        return self.out if self.together else self.out + ECHO + 2 * slot

    def group(self, slot: int) -> int:
        return self.nodes + FIRST_GROUP + slot
