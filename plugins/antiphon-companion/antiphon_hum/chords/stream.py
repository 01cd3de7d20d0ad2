"""The network hop by hop, in a worker: windows that end soon after their middle, and layers near the newest frame.

A pitch's window reaches `AHEAD` after the frame at most, and as long before it as a constant-Q window does, up to
`MAX_WINDOW`. Of the layers, whose frames see `FEATURE_COUNT` others on either side, those after the newest are taken as
silent, as at the end of a file.
"""

import numpy as np

from antiphon.api import F32, Samples
from antiphon.api.backends.models import Weights, logistic
from antiphon_hum.chords.network import (
    BINS,
    HERTZ,
    OCTAVE,
    PERIODS,
    PITCHES,
    ChordLayers,
    decibels,
    rectified,
)

AHEAD = 0.06
"""Seconds after a frame's middle that its spectrum reaches at most."""
MAX_WINDOW = 0.25
"""Seconds of the longest window."""
LATER = 3
"""Frames after the one that is answered."""
FEATURE_COUNT = 9
"""Frames before an answered one that count for its notes, without the frame before that its onset sees."""
SPAN = 172
"""Frames over which levels are scaled between the softest and the loudest: two seconds."""
ANSWER = 2 * PITCHES
"""Values of an answer: how surely each pitch sounds, then how surely it begins."""
_OCTAVES, _SIDE, _HELD, _KEPT = 9, 15, 512, 4096
FLOOR, QUIET = -100.0, 50.0
"""dB of what is silent, and the least range of levels, so that the noise of a quiet room is no music."""


def half_band() -> F32:
    """A low-pass of 31 samples for half the rate, 60 dB down where it folds into the lower half of the band."""
    n = np.arange(-_SIDE, _SIDE + 1)
    taps = np.sinc(n / 2.0) * np.kaiser(2 * _SIDE + 1, 6.5)
    return np.asarray(taps / taps.sum(), np.float32)


class StreamedSpectrum:
    """Power `[309]` of a constant-Q spectrum of the newest sound, hop by hop of 256 samples at `rate`.

    Each octave is that of the sound at twice the rate that it needs, so that the filters before it are short.
    """

    def __init__(self, rate: float) -> None:
        self._taps = half_band()
        self._sounds: list[F32] = [np.zeros(_KEPT, np.float32) for _ in range(_OCTAVES - 1)]
        self._waves: list[F32] = []
        self._power: F32 = np.zeros(BINS, np.float32)
        self._rows: list[slice] = []
        self._skipped: list[int] = []
        for octave in range(_OCTAVES):
            last = BINS - octave * OCTAVE
            self._rows.append(slice(max(0, last - OCTAVE), last))
            self._waves.append(self._kernels(octave, rate))

    def _kernels(self, octave: int, rate: float) -> F32:
        """Cosines and sines `[2 * bins, 512]` of an octave, the newest sample last."""
        level = max(0, octave - 1)
        behind = _SIDE * (2**level - 1) / rate
        at, hertz = rate / 2**level, HERTZ[self._rows[octave]]
        late = max(AHEAD - behind, 0.004)
        self._skipped.append(int(late * at) - int(min(PERIODS / hertz[0], MAX_WINDOW, 2.0 * late) / 2.0 * at))
        made = np.zeros((len(hertz), _HELD), np.complex128)
        for row, hz in zip(made, hertz, strict=True):
            whole = min(PERIODS / hz, MAX_WINDOW)
            after = min(whole / 2.0, late) * at
            before = min(whole * at - after, _HELD - 2.0 - after)
            n = np.arange(-int(before), int(after) + 1)
            window = 0.5 + 0.5 * np.cos(np.pi * n / np.where(n <= 0, before + 1.0, after + 1.0))
            end = _HELD + self._skipped[octave] - (int(late * at) - int(after))
            row[end - len(n) : end] = (
                np.sqrt(PERIODS * rate / hz) * window / window.sum() * np.exp(2j * np.pi * hz / at * n)
            )
        return np.ascontiguousarray(np.concatenate([made.real, made.imag]), np.float32)

    def start(self) -> None:
        for sound in self._sounds:
            sound.fill(0.0)

    def step(self, hop: F32) -> F32:
        """The spectrum with `[256]` more samples; valid until the next step."""
        new = hop
        for level, sound in enumerate(self._sounds):
            count = len(new)
            sound[:-count] = sound[count:]
            sound[-count:] = new
            if level + 1 < len(self._sounds):
                near = np.lib.stride_tricks.sliding_window_view(sound[-count - 2 * _SIDE :], 2 * _SIDE + 1)
                new = near[1::2] @ self._taps
        for octave, (rows, waves) in enumerate(zip(self._rows, self._waves, strict=True)):
            end = _KEPT - self._skipped[octave]
            parts = waves @ self._sounds[max(0, octave - 1)][end - _HELD : end]
            half = len(parts) // 2
            self._power[rows] = np.square(parts[:half]) + np.square(parts[half:])
        return self._power


class StreamedChords:
    """The network of one stream: `[1, 256]` samples in, `[1, 176]` values out, of `LATER` frames before the newest."""

    rate = 22050.0

    def __init__(self, weights: Weights) -> None:
        self._layers = ChordLayers(weights)
        self._spectrum = StreamedSpectrum(self.rate)
        self.start()

    def start(self) -> None:
        self._spectrum.start()
        self._lows: F32 = np.full(SPAN, FLOOR, np.float32)
        self._highs: F32 = np.full(SPAN, FLOOR, np.float32)
        self._at = 0
        silent = np.zeros((5, BINS), np.float32)
        self._stack = self._layers.stack(silent)
        self._attack = np.repeat(rectified(self._layers.attack(self._stack)), LATER, axis=0)
        body = rectified(self._layers.body(self._stack[:3]))
        self._body = np.repeat(body, FEATURE_COUNT + 1 + LATER, axis=0)

    def step(self, x: Samples, y: Samples) -> None:
        layers = self._layers
        level = decibels(self._spectrum.step(x[0]))
        self._lows[self._at], self._highs[self._at] = level.min(), level.max()
        self._at = (self._at + 1) % SPAN
        low, high = float(self._lows.min()), float(self._highs.max())
        scaled = (level[None] - np.float32(low)) / np.float32(max(high - low, QUIET))
        self._stack = np.concatenate([self._stack[1:], layers.stack(scaled)])
        # the frame before the newest has all that it sees, the newest not yet
        none = np.zeros_like(self._stack[:1])
        fresh = rectified(layers.body(np.concatenate([self._stack[-3:], none])))
        self._body = np.concatenate([self._body[1:-1], fresh])
        self._attack = np.concatenate([self._attack[1:], rectified(layers.attack(self._stack))])
        contour = logistic(layers.contour.same(self._body))
        notes = logistic(layers.note.same(rectified(layers.wide.same(contour))))
        answered = len(notes) - 1 - LATER
        # an attack is known two frames after it
        here = slice(answered - 1, answered + 2)
        attacks = self._attack[:3]
        begun = layers.onset(np.concatenate([notes[here], attacks], axis=2))
        y[0, :PITCHES] = notes[answered, :, 0]
        y[0, PITCHES:] = logistic(begun)[0, :, 0]


class StreamedChords24(StreamedChords):
    """The same for sound at 24 kHz."""

    rate = 24000.0
