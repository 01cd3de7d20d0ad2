"""The place of decoded frames in time: gaps of the time stamps become silence, and overlaps are left out."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import NamedTuple

from antiphon.kernel.runtime.notices import Notice

LOOK_AHEAD = 8
"""Frames that have to agree on a gap or an overlap, since recorders write time stamps that jitter."""
TOLERANCE = 0.015
"""Seconds below which a time stamp is not followed: less than a packet of any codec that loses some."""
MAX_OVERLAP = 0.5
"""Seconds of overlap that are left out. Time stamps that go back further begin anew, as in joined files."""
MAX_JUMP = 10.0
"""Seconds of a gap in a container of broadcasts beyond which its time stamps begin anew."""


class FramePlacement(NamedTuple):
    """How the next frame follows: after frames of silence, without its first frames, and the frames that are left."""

    silence: int
    skipped: int
    kept: int


class FrameTimes:
    """Places decoded frames by their time stamps, `LOOK_AHEAD` frames late.

    `restarts`: whether the container's time stamps may begin anew, as in broadcasts.

    Attributes:
        notices: Gaps and overlaps so far.
    """

    def __init__(self, rate: int, *, restarts: bool) -> None:
        self._rate, self._restarts = rate, restarts
        self._tolerance = round(TOLERANCE * rate)
        self._waiting: deque[tuple[int | None, int]] = deque()
        self._origin: int | None = None  # the time stamp of the first frame, in frames
        self._at = 0
        self.notices: list[Notice] = []

    def put(self, at: int | None, frames: int) -> None:
        """Adds a decoded frame. `at`: its time stamp in frames, None without one; `frames`: its length."""
        if self._origin is None and at is not None:
            self._origin = at - self._at - sum(length for _, length in self._waiting)
        self._waiting.append((at, frames))

    def place(self, *, last: bool) -> FramePlacement | None:
        """Places the next frame; None while later ones have to be known. `last`: whether no more will come."""
        if not self._waiting or (len(self._waiting) <= LOOK_AHEAD and not last):
            return None
        shift = self._shift()
        _, frames = self._waiting.popleft()
        silence, skipped = max(0, shift), min(frames, max(0, -shift))
        if shift:
            what, length = ("gap", silence) if shift > 0 else ("overlap", skipped)
            place = f"{length / self._rate:.3f} s at {self._at / self._rate:.3f} s"
            self.notices.append(Notice(what, place=place, manner="mended"))
        self._at += silence + frames - skipped
        return FramePlacement(silence, skipped, frames - skipped)

    def _shift(self) -> int:
        """Frames by which the next frame and those after it come late; below 0 if early, 0 within the tolerance."""
        shifts, at = list[int](), self._at + (self._origin or 0)
        for stamp, frames in islice(self._waiting, LOOK_AHEAD + 1):
            if stamp is not None:
                shifts.append(stamp - at)
            at += frames
        if not shifts or self._waiting[0][0] is None:
            return 0
        late = min(shifts) if min(shifts) > 0 else min(0, max(shifts))
        if abs(late) < self._tolerance * (LOOK_AHEAD + 1) / len(shifts):
            return 0
        if late < -MAX_OVERLAP * self._rate or (self._restarts and late > MAX_JUMP * self._rate):
            assert self._origin is not None
            self._origin += late
            return 0
        return late
