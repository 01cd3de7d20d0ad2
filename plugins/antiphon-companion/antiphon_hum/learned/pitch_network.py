"""The network of `mode=learned` in numpy. `antiphon_models.hum.network` is the same in torch, with a description."""

import math

import numpy as np

from antiphon.api import Samples
from antiphon.api.backends.models import BandedSums, Conv1d, Gru, Linear, Weights, find_array, sigmoid
from antiphon.networks.array_network import gelu
from antiphon_hum import learned
from antiphon_hum.learned import (
    BANDS,
    BINS,
    BODY,
    CHANNELS,
    CONTEXT,
    GRID,
    HIDDEN,
    LATE,
    LONG,
    MIDDLE,
    PER_SEMITONE,
    ROOT,
    SHIFTS,
    SHORT,
    lags,
    log_grid,
    window,
)

BINS_BELOW = -SHIFTS[0]
"""Bins below the grid reached by the lowest harmonic."""
FLOOR_LEVEL = -2.0
"""Level below the grid, and in the bands before the sound."""
PITCH_HALF_WIDTH = 4
"""Half-width in bins of the mean around the likeliest pitch."""
_LOG10 = np.float32(0.5 / math.log(10.0))


class Spectrum:
    """Power spectrum of the newest `size` samples, and its logarithm on the grid of bins.

    `power`: float32 `[size // 2 + 1]`; `levels`: float32 `[GRID]`.
    """

    def __init__(self, size: int, levels: Samples) -> None:
        self._size, self._window = size, window(size)
        self._framed: Samples = np.zeros(size, np.float32)
        self._lines = np.zeros(size // 2 + 1, np.complex64)
        parts = self._lines.view(np.float32).reshape(-1, 2)
        self._real, self._imaginary = parts[:, 0], parts[:, 1]
        self.power: Samples = np.zeros(size // 2 + 1, np.float32)
        self._square: Samples = np.zeros(size // 2 + 1, np.float32)
        self._grid = BandedSums(log_grid(size))
        self.levels = levels

    def __call__(self, past: Samples) -> None:
        """Computes both from `past`, float32 `[LONG]`."""
        np.multiply(past[-self._size :], self._window, out=self._framed)
        np.fft.rfft(self._framed, out=self._lines)  # type: ignore[arg-type]  # single precision is right at run time
        np.multiply(self._real, self._real, out=self.power)
        np.multiply(self._imaginary, self._imaginary, out=self._square)
        np.add(self.power, self._square, out=self.power)
        levels = self.levels
        self._grid(self.power, levels)
        # (log10(power) + 5) / 2
        np.add(levels, np.float32(1e-9), out=levels)
        np.log(levels, out=levels)
        np.multiply(levels, _LOG10, out=levels)
        np.add(levels, np.float32(2.5), out=levels)


class Periodicity:
    """The autocorrelation of a compressed power spectrum, at each pitch's period."""

    def __init__(self, size: int) -> None:
        self._root: Samples = np.zeros(size // 2 + 1, np.float32)
        self._sums = Linear(lags(size).T)

    def __call__(self, power: Samples, out: Samples) -> None:
        """out `[BINS]` ← autocorrelation at each period, from power `[size // 2 + 1]`."""
        root = self._root
        np.add(power, np.float32(1e-12), out=root)
        np.log(root, out=root)
        np.multiply(root, np.float32(ROOT), out=root)
        np.exp(root, out=root)
        np.multiply(self._sums(root), np.float32(2.0 / float(root.sum())), out=out)


class ArrayPitchNetwork:
    """The network of one stream: `[1, HOP]` samples in, `[1, ANSWER]` values out."""

    def __init__(self, weights: Weights) -> None:
        """Allocates the buffers. Raises ModelError: the weights do not fit."""
        sizes = {"one": (CHANNELS, 16, 5), "two": (16, 16, 5), "three": (16, BODY, 5), "local": (BODY, 2, 3)}
        made = {
            name: Conv1d(
                find_array(weights, f"{name}.weight", n, m, taps), find_array(weights, f"{name}.bias", n), BINS
            )
            for name, (m, n, taps) in sizes.items()
        }
        self._body, self._local = (made["one"], made["two"], made["three"]), made["local"]
        self._squeeze = Linear.of(weights, "squeeze", CONTEXT, BODY * learned.SEMITONES)
        self._time = Gru.of(weights, "time", CONTEXT + 2 * BANDS, HIDDEN)
        self._keys = Linear.of(weights, "keys", 3 * learned.SEMITONES, HIDDEN)
        self._tell = Linear.of(weights, "tell", 7, HIDDEN)
        self._weigh = np.float32(find_array(weights, "weigh", 1)[0])
        self._past: Samples = np.zeros(LONG, np.float32)
        self._padded: Samples = np.full(BINS_BELOW + GRID, FLOOR_LEVEL, np.float32)
        middle_levels, short_levels = np.zeros(GRID, np.float32), np.zeros(GRID, np.float32)
        self._long = Spectrum(LONG, self._padded[BINS_BELOW:])
        self._middle, self._short = Spectrum(MIDDLE, middle_levels), Spectrum(SHORT, short_levels)
        self._periods = ((Periodicity(LONG), self._long.power), (Periodicity(MIDDLE), self._middle.power))
        self._rows = [self._padded[BINS_BELOW + s : BINS_BELOW + s + BINS] for s in SHIFTS]
        self._rows += [middle_levels[s : s + BINS] for s in SHIFTS[1:4]]
        self._rows += [short_levels[s : s + BINS] for s in SHIFTS[1:3]]
        self._short_bands = short_levels.reshape(BANDS, -1)
        self._period: Samples = np.zeros(BINS, np.float32)
        self._pooled: Samples = np.zeros((BODY, learned.SEMITONES), np.float32)
        self._pooled_flat = self._pooled.reshape(-1)
        self._body_semitones = self._body[2].outputs.reshape(BODY, learned.SEMITONES, PER_SEMITONE)
        self._given: Samples = np.zeros(CONTEXT + 2 * BANDS, np.float32)
        self._bands: Samples = np.zeros((3, BANDS), np.float32)
        self._saliences: Samples = np.zeros((LATE, BINS), np.float32)
        self._logits: Samples = np.zeros((3, BINS), np.float32)
        self._key_logits = self._keys.outputs.reshape(3, learned.SEMITONES, 1)
        self._semitones = self._logits.reshape(3, learned.SEMITONES, PER_SEMITONE)
        self._places: Samples = np.arange(BINS, dtype=np.float32)
        self.start()

    def start(self) -> None:
        self._past.fill(0.0)
        self._bands.fill(FLOOR_LEVEL)
        self._time.start()
        self._saliences.fill(0.0)
        self._at = 0

    def step(self, x: Samples, y: Samples) -> None:
        """Computes one hop of float32 `[1, HOP]` into `[1, ANSWER]`."""
        past = self._past
        past[: -learned.HOP] = past[learned.HOP :]
        past[-learned.HOP :] = x[0]
        self._analyse(past)
        self._advance()
        self._answer(y[0])

    def _analyse(self, past: Samples) -> None:
        """Computes the channels over pitch, and the bands of this hop."""
        self._long(past)
        self._middle(past)
        self._short(past)
        channels = self._body[0].inputs
        for row, levels in enumerate(self._rows):
            channels[row] = levels
        for row, (period, power) in enumerate(self._periods, len(self._rows)):
            period(power, self._period)
            channels[row] = self._period
        bands = self._bands
        bands[0] = bands[1]
        bands[1] = bands[2]
        np.mean(self._short_bands, axis=1, out=bands[2])

    def _advance(self) -> None:
        """Computes the convolutions over pitch and the recurrent step."""
        one, two, three = self._body
        for layer, after in ((one, two.inputs), (two, three.inputs), (three, self._local.inputs)):
            found = layer()
            gelu(found, found)
            after[...] = found
        self._local()
        np.mean(self._body_semitones, axis=2, out=self._pooled)
        given, bands = self._given, self._bands
        context = self._squeeze(self._pooled_flat)
        gelu(context, context)
        given[:CONTEXT] = context
        given[CONTEXT : CONTEXT + BANDS] = bands[2]
        np.subtract(bands[2], bands[0], out=given[CONTEXT + BANDS :])
        hidden = self._time(given)
        self._keys(hidden)
        self._tell(hidden)
        logits, (pitch, note) = self._logits, self._local.outputs
        late = self._saliences[self._at]
        logits[0], logits[1] = pitch, note
        np.multiply(late, self._weigh, out=logits[2])
        late[...] = note
        self._at = (self._at + 1) % LATE
        np.add(self._semitones, self._key_logits, out=self._semitones)

    def _answer(self, y: Samples) -> None:
        """Writes an answer as specified in `spec`: probabilities, and pitches as means around the likeliest bin."""
        found, places = self._logits, self._places
        sure = self._tell.outputs
        sigmoid(sure, sure)
        for row, at in ((0, learned.PITCH), (1, learned.KEY), (2, learned.FAR_KEY)):
            chances = found[row]
            np.subtract(chances, chances.max(), out=chances)
            np.exp(chances, out=chances)
            np.multiply(chances, np.float32(1.0 / float(chances.sum())), out=chances)
            best = int(chances.argmax())
            near = slice(max(0, best - PITCH_HALF_WIDTH), best + PITCH_HALF_WIDTH + 1)
            total = float(chances[near].sum())
            y[at] = (float(np.dot(chances[near], places[near])) / total - 1.0) / BINS
            y[at + 1] = total
        y[learned.VOICED : learned.KEY] = sure[:3]
        y[learned.FAR_VOICED : learned.FAR_KEY] = sure[3:6]
        y[learned.MANY] = sure[6]
        np.sum(self._semitones[2], axis=1, out=y[learned.FAR_KEYS :])
