"""The network of `mode=spectrogram` in numpy; `antiphon_models.hum.baseline_network` is the same in torch."""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import as_strided

from antiphon.api import Samples
from antiphon.api.arrays import Linear, Weights, find_array, gelu
from antiphon_hum.learned import spec

FRAME = 1024
CHANNELS = 16
HOPS, LINES = 3, 5
"""Of a kernel."""
APART = (1, 2, 4, 2, 1)
"""Hops from one tap of a kernel to the next, layer by layer."""
FLOOR = 1e-4
_BETA = np.float32(4.0)
"""Steepness of the last rectifier."""


class CausalLayer:
    """A convolution over hops and lines that looks back only. A hop is multiplied once, with the taps of all hops.

    Attributes:
        inputs: float32 `[channels, BINS]`, to be written before a call; not contiguous.
    """

    def __init__(self, weight: Samples, bias: Samples, apart: int) -> None:
        outputs, channels, hops, lines = weight.shape
        padded: Samples = np.zeros((channels, spec.BINS + lines - 1), np.float32)
        self.inputs: Samples = padded[:, lines // 2 : lines // 2 + spec.BINS]
        row, step = padded.strides
        self._windows = as_strided(padded, (channels, lines, spec.BINS), (row, step, step), writeable=False)
        self._columns: Samples = np.zeros((channels, lines, spec.BINS), np.float32)
        self._flat = self._columns.reshape(-1, spec.BINS)
        # the newest hop's tap is the last
        taps = weight.transpose(2, 0, 1, 3)[::-1].reshape(hops * outputs, -1)
        self._weight = np.ascontiguousarray(taps, np.float32)
        self._bias = np.ascontiguousarray(bias[:, None], np.float32)
        self._size = (hops - 1) * apart + 1
        self._apart, self._hops = apart, hops
        self._past: Samples = np.zeros((self._size, hops, outputs, spec.BINS), np.float32)
        self._products = [part.reshape(hops * outputs, spec.BINS) for part in self._past]
        self.outputs: Samples = np.zeros((outputs, spec.BINS), np.float32)
        self._at = 0

    def start(self) -> None:
        self._past.fill(0.0)
        self._at = 0

    def __call__(self) -> Samples:
        """Computes one hop from `inputs`: float32 `[outputs, BINS]`, valid until the next call."""
        np.copyto(self._columns, self._windows)
        np.matmul(self._weight, self._flat, out=self._products[self._at])
        np.add(self._past[self._at, 0], self._bias, out=self.outputs)
        for tap in range(1, self._hops):
            np.add(self.outputs, self._past[self._at - tap * self._apart, tap], out=self.outputs)
        self._at = (self._at + 1) % self._size
        return self.outputs


class ArrayPainter:
    """The network of one stream: `[1, HOP]` samples in, `[1, SEMITONES]` likenesses to a piano's notes out."""

    def __init__(self, weights: Weights) -> None:
        """Makes the buffers.

        Raises:
            ModelError: They do not fit.
        """
        t = np.arange(FRAME)
        self._window = ((0.5 - 0.5 * np.cos(2 * math.pi * t / FRAME)) / math.sqrt(FRAME * 0.375)).astype(np.float32)
        self._past: Samples = np.zeros(FRAME, np.float32)
        self._framed: Samples = np.zeros(FRAME, np.float32)
        self._lines = np.zeros(FRAME // 2 + 1, np.complex64)
        self._layers = []
        for n, apart in enumerate(APART):
            kernel = find_array(weights, f"layers.{n}.weight", CHANNELS, CHANNELS if n else 1, HOPS, LINES)
            self._layers.append(CausalLayer(kernel, find_array(weights, f"layers.{n}.bias", CHANNELS), apart))
        self._sum: Samples = np.zeros((CHANNELS, spec.BINS), np.float32)
        self._last = find_array(weights, "last.weight", 1, CHANNELS, 1, 1).reshape(CHANNELS).copy()
        self._tilt = find_array(weights, "tilt", spec.BINS) + find_array(weights, "last.bias", 1)[0]
        self._painted: Samples = np.zeros(spec.BINS, np.float32)
        self._positive: Samples = np.zeros(spec.BINS, np.float32)
        self._likeness = Linear(find_array(weights, "templates", spec.SEMITONES, spec.BINS))
        self.start()

    @property
    def painted(self) -> Samples:
        """`[BINS]` compressed magnitudes of the hop computed last, `PLAIN_LATE` hops late."""
        return self._painted

    def start(self) -> None:
        self._past.fill(0.0)
        for layer in self._layers:
            layer.start()

    def step(self, x: Samples, y: Samples) -> None:
        """Computes one hop of float32 `[1, HOP]` into `[1, SEMITONES]`."""
        past, painted = self._past, self._painted
        past[: -spec.HOP] = past[spec.HOP :]
        past[-spec.HOP :] = x[0]
        np.multiply(past, self._window, out=self._framed)
        np.fft.rfft(self._framed, out=self._lines)  # type: ignore[arg-type]  # single precision is right at run time
        np.absolute(self._lines[: spec.BINS], out=painted)
        # magnitudes as logarithms, from 0 for what is below the floor
        np.multiply(painted, np.float32(1.0 / FLOOR), out=painted)
        np.log1p(painted, out=painted)
        np.multiply(painted, np.float32(0.2), out=painted)
        self._layers[0].inputs[0] = painted
        now = self._sum
        for n, layer in enumerate(self._layers):
            if n:
                layer.inputs[...] = now
            found = layer()
            gelu(found, found)
            if n:
                np.add(now, found, out=now)
            else:
                now[...] = found
        np.dot(self._last, now, out=painted)
        np.add(painted, self._tilt, out=painted)
        self._rectify()
        y[0] = self._likeness(painted)

    def _rectify(self) -> None:
        """painted ← log(1 + e^(4 painted)) / 4, without overflow."""
        x, positive = self._painted, self._positive
        np.maximum(x, np.float32(0.0), out=positive)
        np.multiply(x, _BETA, out=x)
        np.absolute(x, out=x)
        np.negative(x, out=x)
        np.exp(x, out=x)
        np.log1p(x, out=x)
        np.multiply(x, np.float32(1.0) / _BETA, out=x)
        np.add(x, positive, out=x)
