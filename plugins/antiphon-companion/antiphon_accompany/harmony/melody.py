"""Melody representation per beat: duration and onsets of each pitch class."""

import math

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
LIVE_BEATS = 64
"""Beats stored live; a power of two well above the reach of the tables."""
ONSET_TOLERANCE = 1.0 / 12.0
"""Onset tolerance in beats for a note to count as on the beat."""
_NONE = -(1 << 60)


class Melody:
    """Ring buffer of beats. Notes are added in order; a beat is complete once `until` has passed its end.

    `held`: `[beats, 12]` 1 for classes that sounded before the beat and continue into it.
    """

    def __init__(self, beats: int = LIVE_BEATS) -> None:
        self.size = beats
        self.durations = np.zeros((beats, 12), np.float32)  # `[beats, 12]` beats of sound of each pitch class
        self.onsets = np.zeros((beats, 12), np.float32)  # `[beats, 12]` notes begun on the beat
        self.held = np.zeros((beats, 12), np.float32)
        self._began = [-1.0] * 128
        self._onset_beats = [_NONE] * 128
        self._open: list[int] = []
        self._clean = 0

    def clear(self, beat: int = 0) -> None:
        """Clears the ring; the next beat is `beat`."""
        for rows in (self.durations, self.onsets, self.held):
            rows.fill(0.0)
        self._open.clear()
        self._clean = beat + self.size // 2

    def note_on(self, pitch: int, beat: float) -> None:
        """Handles a note-on."""
        if pitch in self._open:
            self.note_off(pitch, beat)
        self._began[pitch] = beat
        self._open.append(pitch)
        nearest = round(beat)
        self._onset_beats[pitch] = _NONE
        if abs(beat - nearest) <= ONSET_TOLERANCE:
            self._onset_beats[pitch] = nearest
            self.onsets[nearest % self.size, pitch % 12] += 1.0

    def note_off(self, pitch: int, beat: float) -> None:
        """Handles a note-off."""
        if pitch in self._open:
            self._open.remove(pitch)
            self._add(pitch, self._began[pitch], beat)

    def move(self, pitch: int, to: int) -> None:
        """Corrects a sounding note: its uncounted duration, and its onset, move to another pitch."""
        if pitch not in self._open or to in self._open:
            return
        self._open[self._open.index(pitch)] = to
        self._began[to] = self._began[pitch]
        onset = self._onset_beats[to] = self._onset_beats[pitch]
        if onset > self._clean - self.size:
            self.onsets[onset % self.size, pitch % 12] -= 1.0
            self.onsets[onset % self.size, to % 12] += 1.0

    def complete_beats(self, beat: int) -> None:
        """Completes all beats before `beat`, counting sounding notes up to there."""
        while self._clean < beat + self.size // 2:
            row = self._clean % self.size
            self.durations[row] = self.onsets[row] = self.held[row] = 0.0
            self._clean += 1
        self.durations[(beat - 1) % self.size], self.held[beat % self.size] = self.durations_until(beat)
        for pitch in self._open:
            self._began[pitch] = max(self._began[pitch], float(beat))

    def durations_until(self, beat: int) -> tuple[F32, F32]:
        """Returns durations of the previous beat and held notes of a beat, counting sounding notes up to the beat."""
        lasted, held = self.durations[(beat - 1) % self.size].copy(), self.held[beat % self.size].copy()
        for pitch in self._open:
            lasted[pitch % 12] += max(0.0, beat - max(self._began[pitch], beat - 1.0))
            if self._began[pitch] < beat - ONSET_TOLERANCE:
                held[pitch % 12] = 1.0
        return lasted, held

    def rows(self, first: int, last: int) -> NDArray[np.intp]:
        """Rows of the beats `first` to before `last` in the ring."""
        return np.arange(first, last) % self.size

    def _add(self, pitch: int, start: float, end: float) -> None:
        # a note longer than the ring is one that was never ended
        start = max(start, end - self.size // 2)
        while start < end:
            beat = math.floor(start)
            stop = min(end, beat + 1.0)
            self.durations[beat % self.size, pitch % 12] += stop - start
            start = stop
