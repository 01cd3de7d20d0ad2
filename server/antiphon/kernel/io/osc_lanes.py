"""Takes packets from the lanes of all senders in rotation."""

from __future__ import annotations

from collections import deque

from antiphon.kernel.io.osc_peer import Lane

AT_ONCE = 4
"""Lanes that share a turn; with fewer lanes in use, each gets a larger share."""


class Rotation:
    """The lanes that contain packets, in the order of their turns."""

    def __init__(self) -> None:
        self._lanes: deque[Lane] = deque()

    def __bool__(self) -> bool:
        return bool(self._lanes)

    def __len__(self) -> int:
        return len(self._lanes)

    def add(self, lane: Lane) -> None:
        """Adds a lane that contains packets."""
        if not lane.listed:
            lane.listed = True
            self._lanes.append(lane)

    def now(self) -> list[tuple[Lane, int]]:
        """A snapshot: the waiting lanes, each with the number of packets put into it so far."""
        return [(lane, lane.came) for lane in self._lanes]

    def next(self, turn: int) -> tuple[Lane, int]:
        """Removes the next lane, of which there must be one; returns it with its share of `turn`."""
        share = max(1, turn // min(AT_ONCE, len(self._lanes)))
        lane = self._lanes.popleft()
        lane.listed = False
        return lane, share
