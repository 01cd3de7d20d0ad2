"""The library LinkPython-extern, with times of CLOCK_MONOTONIC."""

from __future__ import annotations

import importlib
import time
from typing import Any


class LinkLibrary:
    """Participant of a Link session. All times are ns of CLOCK_MONOTONIC."""

    def __init__(self, bpm: float) -> None:
        """Joins the session of this network, or starts one at `bpm`."""
        self._link: Any = importlib.import_module("link").Link(bpm)
        self._clock = self._link.clock()
        self._link.enabled = True

    def peers(self) -> int:
        """Number of other programs in the Link session."""
        return int(self._link.numPeers())

    def read(self, ns: int, quantum: float) -> tuple[float, float]:
        """Tempo in bpm, and beat at a time, with the session's phase within the quantum."""
        state = self._link.captureSessionState()
        return float(state.tempo()), float(state.beatAtTime(self._micros(ns), quantum))

    def set_tempo(self, bpm: float, ns: int) -> None:
        """Sets the session's tempo from a time on, for all participants."""
        state = self._link.captureSessionState()
        state.setTempo(bpm, self._micros(ns))
        self._link.commitSessionState(state)

    def place(self, bpm: float, beat: float, ns: int, quantum: float) -> None:
        """Sets tempo and beat of a session without peers."""
        state = self._link.captureSessionState()
        at = self._micros(ns)
        state.setTempo(bpm, at)
        state.requestBeatAtTime(beat, at, quantum)
        self._link.commitSessionState(state)

    def close(self) -> None:
        """Leaves the session."""
        self._link.enabled = False

    def _micros(self, ns: int) -> int:
        """Time on Link's own clock, which differs from CLOCK_MONOTONIC on Linux."""
        return int(self._clock.micros()) + (ns - time.monotonic_ns()) // 1000
