"""The latency of scsynth's sound, as whole hops that a node declares."""

from __future__ import annotations

MARGIN_SECONDS = 0.010
"""How late the engine may be before a note is."""
WAY = 4
"""Blocks from a message to its sound: to arrive, to sound in the next, to come back, and one for the order of clients.

Engine and JACK client are called in either order within a cycle.
"""


def delay(rate: int, hop: int) -> int:
    """Hops of latency where JACK's block is a hop."""
    return WAY + max(1, round(MARGIN_SECONDS * rate / hop))


def ahead(rate: int, hop: int, block: int) -> int:
    """Frames by which a hop's notes are sent before their frames.

    A third of the available time is for sound that comes back late, the rest for notes that are sent late.
    """
    latest = (delay(rate, hop) - 1) * hop - block
    return latest - max(1, round(0.35 * (latest - block) / block)) * block
