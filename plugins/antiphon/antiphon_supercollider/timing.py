"""Latency of scsynth's sound, in whole hops declared by a node."""

MARGIN_SECONDS = 0.010
"""Maximum lateness of the engine before a note is late, in seconds."""
ROUND_TRIP_BLOCKS = 4
"""Blocks from a message to its sound: arrival, sounding in the next, return, and one for the order of clients.

Engine and JACK client are called in either order within a cycle.
"""


def delay(rate: int, hop: int) -> int:
    """Hops of latency for JACK blocks of one hop."""
    return ROUND_TRIP_BLOCKS + max(1, round(MARGIN_SECONDS * rate / hop))


def ahead(rate: int, hop: int, block: int) -> int:
    """Frames by which a hop's notes are sent before their frames.

    A third of the available time is for late returned sound, the rest for late sent notes.
    """
    latest = (delay(rate, hop) - 1) * hop - block
    return latest - max(1, round(0.35 * (latest - block) / block)) * block
