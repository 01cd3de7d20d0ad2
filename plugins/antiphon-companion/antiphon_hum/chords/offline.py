"""Several notes at once in files: windows of two seconds as the network was trained on, and its frames to notes.

A peak of the network's onsets begins a note, which lasts while its pitch sounds.
"""

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, Samples
from antiphon.api.backends.models import read_weights
from antiphon_hum.chords.network import (
    BINS,
    HERTZ,
    HOP,
    LEAST_SHARE,
    LOWEST,
    MODEL,
    PERIODS,
    RATE,
    SIZE,
    ChordLayers,
    decibels,
    kernels,
)

WINDOW = 2 * RATE - HOP
"""Input length in samples, for 172 frames."""
EDGE, FRAMES = 15, 140
"""Frames at a window's start that are left out, since they know too little of what was before, and those used."""
ONSET, SOUNDING = 0.65, 0.4
"""Thresholds of an onset peak at a sensitivity of 0.5, and of a sustained pitch. Chosen on six excerpts of three songs;
.5 and .3, the package's own, find as many notes and half as many more that were not played."""
SENSITIVITY_RANGE = 0.4
"""Change of `ONSET` over the whole range of `sensitivity`."""
CLEAR, NEAR = 0.8, 5
"""Of the surest pitch in a frame or within `NEAR` frames; where none is so sure, as in a distorted chord, `SOUNDING` is
lower in proportion, down to `LEAST_SHARE`."""
OVERTONES, FAINT, TOGETHER = (12, 19, 24, 28), 0.7, 3
"""Semitones from a note to its overtones, the share of its strength under which a note there is one, and the frames
between their beginnings at most."""
LONG, BLUR, BEFORE = 16, 0.2, 4
"""Frames of a note whose onset may be weaker by `BLUR`, and those before it in which its onset is sought."""
LATE = 180
"""Samples that a frame of an onset is behind the strike, the median of songs, guitars and a piano."""
GAP, LEAST_FRAMES = 11, 9
"""Frames that a pitch may be too weak without ending, and the least length of a note: 128 and 104 ms."""
_OCTAVES = 9


class OfflineChords:
    """Computes the network's answers to a sound at `RATE`, given piece by piece. `frames`: samples taken so far."""

    def __init__(self) -> None:
        """Loads the network. Raises `ModelError` where its weights are missing or changed."""
        weights = read_weights(MODEL)
        self._layers, self._waves = ChordLayers(weights), kernels().T
        self._halving = np.asarray(weights["halving"], np.float32)
        self._scale = np.ceil(PERIODS * RATE / HERTZ).astype(np.float32)
        # the first window's edge lies before the sound
        self._sound: F32 = np.zeros(EDGE * HOP, np.float32)
        self._answers: list[tuple[F32, F32]] = []
        self.frames = 0

    def feed(self, sound: Samples) -> None:
        """Processes the next float32 `[1, n]` of the sound."""
        self.frames += sound.shape[1]
        self._take(sound[0])

    def end(self) -> tuple[F32, F32]:
        """Ends the sound: probability of each sustained pitch, and of each onset, each `[frames, 88]`."""
        self._take(np.zeros(WINDOW, np.float32))
        sounding, onsets = zip(*self._answers, strict=True)
        used = -(-self.frames // HOP)
        return np.concatenate(sounding)[:used], np.concatenate(onsets)[:used]

    def window(self, sound: F32) -> tuple[F32, F32]:
        """The network's answers to `[WINDOW]` samples, each `[172, 88]`; all zero where nothing sounds."""
        level = decibels(self._spectrum(sound))
        span = float(level.max() - level.min())
        return self._layers.whole((level - level.min()) / np.float32(span or 1.0))

    def _take(self, sound: F32) -> None:
        self._sound = np.concatenate([self._sound, sound])
        while len(self._sound) >= WINDOW:
            sounding, onsets = (one[EDGE : EDGE + FRAMES] for one in self.window(self._sound[:WINDOW]))
            self._answers.append((sounding, onsets))
            self._sound = self._sound[FRAMES * HOP :]

    def _spectrum(self, sound: F32) -> F32:
        """Power of a constant-Q spectrum `[172, 309]`, octave by octave of the sound at half the rate."""
        count, parts = len(sound) // HOP + 1, []
        for octave in range(_OCTAVES):
            frames = _overlapping(np.pad(sound, SIZE // 2, mode="reflect"), HOP >> octave)[:count]
            parts.append(np.square(np.abs(frames @ self._waves)))
            sound = _overlapping(np.pad(sound, SIZE // 2 - 1), 2) @ self._halving
        return np.asarray(np.concatenate(parts[::-1], axis=1)[:, -BINS:] * self._scale, np.float32)


def _overlapping(sound: F32, hop: int) -> F32:
    return np.asarray(np.lib.stride_tricks.sliding_window_view(sound, SIZE)[::hop])


def decode(sounding: F32, onsets: F32, sensitivity: float = 0.5) -> list[tuple[int, int, int, float]]:
    """Notes as (first frame, end, MIDI number, strength 0 to 1), in order of their start."""
    least = ONSET - SENSITIVITY_RANGE * (sensitivity - 0.5)
    near = np.pad(sounding.max(axis=1), NEAR)
    surest = np.lib.stride_tricks.sliding_window_view(near, 2 * NEAR + 1).max(axis=1)
    strong = sounding >= (SOUNDING * np.clip(surest / CLEAR, LEAST_SHARE, 1.0))[:, None]
    notes = []
    for pitch in range(sounding.shape[1]):
        begun = np.pad(onsets[:, pitch], 1)
        peaks = np.flatnonzero((begun[1:-1] > least) & (begun[1:-1] >= begun[:-2]) & (begun[1:-1] > begun[2:]))
        left = strong[:, pitch].copy()
        for start, stop in itertools.pairwise([*peaks.tolist(), len(sounding)]):
            held = start + np.flatnonzero(strong[start:stop, pitch])
            breaks = np.flatnonzero(np.diff(held, prepend=start) > GAP)
            held = held[: breaks[0]] if len(breaks) else held
            if len(held) and held[-1] + 1 - start >= LEAST_FRAMES and not _overtone(sounding, onsets, start, pitch):
                notes.append((start, int(held[-1]) + 1, pitch))
                left[max(0, start - BEFORE) : held[-1] + 1 + GAP] = False
        for start, end in _blurred(left, sounding[:, pitch], onsets[:, pitch], least):
            if not _overtone(sounding, onsets, start, pitch):
                notes.append((start, end, pitch))
    return [(a, b, LOWEST + pitch, float(sounding[a:b, pitch].mean())) for a, b, pitch in sorted(notes)]


def _overtone(sounding: F32, onsets: F32, start: int, pitch: int) -> bool:
    """Whether a much surer note begins at the same time, of which this pitch is an overtone."""
    first = sounding[start : start + GAP + 1].max(axis=0)
    begun = onsets[max(0, start - TOGETHER) : start + TOGETHER + 1].max(axis=0)
    lower = [pitch - up for up in OVERTONES if pitch >= up]
    return any(begun[low] > ONSET and first[pitch] < FAINT * first[low] for low in lower)


def _blurred(left: NDArray[np.bool_], sounding: F32, onsets: F32, least: float) -> Iterator[tuple[int, int]]:
    """First frames and ends of what sounds for long without a clear onset, as one that tremolo or a slur blurs."""
    places = np.flatnonzero(left)
    for run in np.split(places, np.flatnonzero(np.diff(places) > GAP) + 1):
        if len(run) >= LONG and sounding[run].max() >= SOUNDING:
            first = max(0, int(run[0]) - BEFORE)
            start = first + int(onsets[first : run[0] + 2 * BEFORE].argmax())
            if onsets[start] > least - BLUR:
                yield start, int(run[-1]) + 1
