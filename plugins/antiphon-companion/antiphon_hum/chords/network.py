"""Basic Pitch's network (Bittner et al., ICASSP 2022) in numpy: how surely each pitch of a piano sounds, and begins."""

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32
from antiphon.api.backends.models import Weights, logistic

MODEL = "hum-chords"
RATE, HOP = 22050, 256
"""Hz, and samples between frames."""
LOWEST, PITCHES = 21, 88
"""MIDI number of the first pitch, and number of pitches."""
OCTAVE, BINS = 36, 309
"""Bins of the constant-Q spectrum in an octave, and in all."""
WIDE = 264
"""Bins of the network's layers, three a semitone."""
SHIFTS = (-36, 0, 36, 57, 72, 84, 93, 101)
"""Bins from a pitch to half of it, to itself and to its harmonics 2 to 7."""
STRIDE = 3
LEAST_POWER = 1e-10
LEAST_SHARE = 0.7
"""Least share of the thresholds of a sustained pitch, where no pitch is sure."""
HERTZ = 27.5 * 2.0 ** (np.arange(BINS) / OCTAVE)
PERIODS = 1.0 / (2.0 ** (1.0 / OCTAVE) - 1.0)
"""Periods of a bin's frequency in its window."""
SIZE = 256
"""Samples of the kernels of every octave, and of the filter before the next lower one."""


def decibels(power: F32) -> F32:
    """Levels of a spectrum's power, which is never silent."""
    return np.asarray(10.0 * np.log10(power + np.float32(LEAST_POWER)), np.float32)


def kernels() -> NDArray[np.complex64]:
    """Windowed waves of the highest 36 bins, `[36, 256]`; those of lower octaves are the same at lower rates."""
    made = np.zeros((OCTAVE, SIZE), np.complex64)
    for row, hertz in zip(made, HERTZ[-OCTAVE:], strict=True):
        count = int(np.ceil(PERIODS * RATE / hertz))
        first, n = (SIZE - count) // 2, np.arange(count)
        window = 0.5 - 0.5 * np.cos(2.0 * np.pi * n / count)
        row[first : first + count] = window / window.sum() * np.exp(2j * np.pi * hertz / RATE * n)
    return made


class ConvolutionLayer:
    """A convolution over frames and bins. `[n, bins, channels]` becomes `[n - reach, bins // stride, …]`.

    Beside the lowest and highest bins are zeros. `reach`: frames fewer than are given.
    """

    def __init__(self, weights: Weights, name: str, stride: int = 1) -> None:
        kernel = np.asarray(weights[f"{name}.weight"], np.float32)
        out, channels, high, wide = kernel.shape
        self._taps = np.ascontiguousarray(kernel.transpose(2, 1, 3, 0).reshape(high, channels * wide, out))
        self._points = np.ascontiguousarray(kernel[0].reshape(channels, -1).T)
        self._single = out == 1
        self._bias = np.asarray(weights[f"{name}.bias"], np.float32)
        self._wide, self._stride, self._sides = wide, stride, (wide - stride) // 2
        self.reach = high - 1

    def __call__(self, x: F32) -> F32:
        count, sides = len(x) - self.reach, self._sides
        padded = np.zeros((len(x), x.shape[1] + 2 * sides, x.shape[2]), np.float32)
        padded[:, sides : sides + x.shape[1]] = x
        if self._single:
            return self._one_channel(padded, count, x.shape[1])
        near = np.lib.stride_tricks.sliding_window_view(padded, self._wide, axis=1)[:, :: self._stride]
        rows = np.ascontiguousarray(near).reshape(*near.shape[:2], -1)
        found = self._bias + rows[:count] @ self._taps[0]
        for tap in range(1, self.reach + 1):
            found += rows[tap : tap + count] @ self._taps[tap]
        return np.asarray(found)

    def _one_channel(self, padded: F32, count: int, bins: int) -> F32:
        """Each tap of all points at once, and their sum: faster than the points that each result sees."""
        taps = (self._points @ padded.reshape(-1, padded.shape[2]).T).reshape(-1, self._wide, *padded.shape[:2])
        found = np.full((count, bins), self._bias, np.float32)
        for tap, beside in np.ndindex(*taps.shape[:2]):
            found += taps[tap, beside, tap : tap + count, beside : beside + bins]
        return found[:, :, None]

    def same(self, x: F32) -> F32:
        """With silence before and after, as many frames as are given."""
        padded = np.zeros((len(x) + self.reach, *x.shape[1:]), np.float32)
        padded[self.reach // 2 :][: len(x)] = x
        return self(padded)


class ChordLayers:
    """The network's layers. `weights`: its arrays, as `antiphon_models.hum.basic_pitch` names them."""

    def __init__(self, weights: Weights) -> None:
        self.attack = ConvolutionLayer(weights, "attack", STRIDE)
        self.body, self.contour = ConvolutionLayer(weights, "body"), ConvolutionLayer(weights, "contour")
        self.wide, self.note = ConvolutionLayer(weights, "wide", STRIDE), ConvolutionLayer(weights, "note")
        self.onset = ConvolutionLayer(weights, "onset")
        self._scale, self._shift = (np.float32(weights[name][0]) for name in ("input.scale", "input.shift"))

    def stack(self, levels: F32) -> F32:
        """`[n, 309]` levels of 0 to 1 to `[n, 264, 8]`: of each bin those of its harmonics."""
        found: F32 = np.zeros((len(levels), WIDE, len(SHIFTS)), np.float32)
        levels = levels * self._scale + self._shift
        for channel, shift in enumerate(SHIFTS):
            first = max(0, -shift)
            part = levels[:, first + shift :][:, : WIDE - first]
            found[:, first : first + part.shape[1], channel] = part
        return found

    def whole(self, levels: F32) -> tuple[F32, F32]:
        """How surely each pitch sounds, and begins, in a sound of `[n, 309]` levels; each `[n, 88]`."""
        stack = self.stack(levels)
        contour = logistic(self.contour.same(rectified(self.body.same(stack))))
        notes = logistic(self.note.same(rectified(self.wide.same(contour))))
        begun = np.concatenate([notes, rectified(self.attack.same(stack))], axis=2)
        return notes[:, :, 0], logistic(self.onset.same(begun))[:, :, 0]


def rectified(x: F32) -> F32:
    return np.maximum(x, np.float32(0.0), out=x)
