"""How far scsynth's sound is behind the engine, as whole hops that a node declares."""

from __future__ import annotations

MARGIN_SECONDS = 0.010
"""By how much the engine may be late before a note is."""
WAY = 4
"""Blocks a message and its sound take: to be heard, to sound in the next, to come back, and one because the engine
and the wires are called in either order within a cycle."""


def delay(rate: int, hop: int) -> int:
    """Hops by which answers are behind, where JACK's block is a hop."""
    return WAY + max(1, round(MARGIN_SECONDS * rate / hop))


def ahead(rate: int, hop: int, block: int) -> int:
    """Frames by which a hop's notes are told before their frames. block: JACK's.

    Of the room there is a third is for sound that comes back late, the rest for notes that are told late.
    """
    latest = (delay(rate, hop) - 1) * hop - block
    return latest - max(1, round(0.35 * (latest - block) / block)) * block
