"""The last seconds of a stream as curves: what `MusicCurves` is of a file."""

from __future__ import annotations

import numpy as np

from antiphon.api import F32
from antiphon_listen import chroma, onsets
from antiphon_listen.chroma import NoteSpectrum
from antiphon_listen.onsets import OnsetStrength, divide_by_mean
from antiphon_listen.signals import MusicCurves, curves

RATE = onsets.RATE
SECONDS = 14.0
"""Length of the window: 7 to 20 beats."""
_TUNED_AFTER = 10
"""Frames of pitch classes, 0.9 s, from which the tuning is estimated."""
_MORE = chroma.HOP // onsets.HOP
"""Frames of onsets for one of pitch classes."""
_FRAMES = round(SECONDS * chroma.FRAMES_PER_SECOND)


class CurveWindow:
    """Keeps the frames of the last `SECONDS`. `start`: seconds of the stream at which the window begins."""

    def __init__(self) -> None:
        self._onsets, self._spectrum = OnsetStrength(), NoteSpectrum(_TUNED_AFTER)
        self._strength, self._notes = np.zeros((0, 3), np.float32), np.zeros((0, 24), np.float32)
        self.start = 0.0

    def feed(self, samples: F32) -> None:
        """Takes the next samples, `[n]`, at `RATE`."""
        self._onsets.feed(samples)
        self._spectrum.feed(samples)
        self._strength = np.concatenate([self._strength, self._onsets.pull()])
        self._notes = np.concatenate([self._notes, self._spectrum.pull()])
        gone = max(0, len(self._notes) - _FRAMES)
        if gone:
            self._notes, self._strength = self._notes[gone:], self._strength[gone * _MORE :]
            self.start += gone * chroma.HOP / RATE

    @property
    def seconds(self) -> float:
        """Length of the stream that the window holds."""
        return len(self._strength) / onsets.FRAMES_PER_SECOND

    def curves(self) -> MusicCurves | None:
        """The window's curves, in seconds from `start`; None for silence."""
        if len(self._notes) < 2 or not self._notes.any() or not self._strength.any():
            return None
        return curves(divide_by_mean(self._strength), self._notes, self.seconds)
