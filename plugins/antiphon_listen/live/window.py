"""Sliding window of a stream as curves, in place of a file's `MusicCurves`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from antiphon.api import F32
from antiphon_listen import onsets
from antiphon_listen.onsets import OnsetStrength, divide_by_mean
from antiphon_listen.signals import MusicCurves, curves
from antiphon_listen.spectra import chroma
from antiphon_listen.spectra.chroma import NoteSpectrum
from antiphon_listen.spectra.constant_q import ConstantQ, tuned

RATE = onsets.RATE
SECONDS = 14.0
"""Length of the window: 7 to 20 beats."""
_TUNED_AFTER = 10
"""Frames of pitch classes before the tuning is estimated, 0.9 s."""
_MORE = chroma.HOP // onsets.HOP
"""Onset frames per pitch class frame."""
_FRAMES = round(SECONDS * chroma.FRAMES_PER_SECOND)


class CurveWindow:
    """Sliding window of the last `SECONDS`. `start`: its start in seconds of the stream."""

    def __init__(self) -> None:
        self._onsets, self._spectrum = OnsetStrength(), NoteSpectrum(_TUNED_AFTER)
        self._strength, self._notes = np.zeros((0, 3), np.float32), np.zeros((0, 24), np.float32)
        self._sound = np.zeros(0, np.float32)
        self.start = 0.0

    def feed(self, samples: F32) -> None:
        """Processes the next samples, `[n]`, at `RATE`."""
        self._onsets.feed(samples)
        self._spectrum.feed(samples)
        self._strength = np.concatenate([self._strength, self._onsets.pull()])
        self._notes = np.concatenate([self._notes, self._spectrum.pull()])
        self._sound = np.concatenate([self._sound, samples])
        gone = max(0, len(self._notes) - _FRAMES)
        if gone:
            self._notes, self._strength = self._notes[gone:], self._strength[gone * _MORE :]
            self._sound = self._sound[gone * chroma.HOP :]
            self.start += gone * chroma.HOP / RATE

    @property
    def seconds(self) -> float:
        """Length of the window's content in seconds."""
        return len(self._strength) / onsets.FRAMES_PER_SECOND

    def curves(self) -> MusicCurves | None:
        """The window's curves, in seconds from `start`; None for silence."""
        if len(self._notes) < 2 or not self._notes.any() or not self._strength.any():
            return None
        found = curves(divide_by_mean(self._strength), self._notes, self.seconds)
        return replace(found, drums=self._onsets.has_drums)

    def spectrum(self) -> F32:
        """The window's frames as `ConstantQ` gives them, in tune."""
        spectrum = ConstantQ()
        spectrum.feed(self._sound)
        return tuned(spectrum.end(), self._spectrum.tuning)
