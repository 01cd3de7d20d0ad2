"""Mode `learned`: the data of its network, the client of its worker, and the decoding of answers to notes.

The data are the layout of the answers, and the sizes, windows and tables of both forms of the network: in numpy, and
in torch for CUDA, named by `spec`. May import `antiphon.api` and `tracker`.
"""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64, frequency
from antiphon.api.backends.models import ModelInfo

RATE = 16000
"""Sample rate in Hz of the network's input. At a rate near it, pitch and time are scaled and then scaled back."""
HOP = 160
NEAR, FAR = 3, 12
"""Lag in hops of the two groups of an answer's values behind the newest sample."""
LOWEST, SEMITONES = 35, 62
"""MIDI number of the lowest semitone, and number of semitones."""
# places in an answer; pitches are parts of `SEMITONES` above `LOWEST`, so that all values are of one size
PITCH, SURE, VOICED, NOTE, ONSET, KEY, KEY_SURE = range(7)
FAR_VOICED, FAR_NOTE, FAR_ONSET, FAR_KEY, FAR_SURE, MANY = range(7, 13)
FAR_KEYS = 13
"""First of `SEMITONES` values: probabilities of each semitone for the note `FAR` hops ago."""
ANSWER = FAR_KEYS + SEMITONES
"""Number of values in an answer."""


def pitch(value: float) -> float:
    """The MIDI number of a pitch value, 0 to 1, in an answer."""
    return LOWEST + SEMITONES * value


PITCH_MODEL = ModelInfo(
    name="hum-learned",
    network="antiphon_models.hum.network:PitchNetwork",
    array_network="antiphon_hum.learned.pitch_network:ArrayPitchNetwork",
    weights="hum-learned",
    plugin="hum",
    rate=RATE,
    hop=HOP,
    inputs=1,
    outputs=1,
    slots=1,
    answer=ANSWER,
)


def learned_model() -> ModelInfo:
    return PITCH_MODEL


PER_SEMITONE = 3
BINS = SEMITONES * PER_SEMITONE
GRID = 280
"""Number of bins of the spectra: of the pitches, and of their harmonics above."""
LONG, MIDDLE, SHORT = 2048, 1024, 512
FALLS = {LONG: 320, MIDDLE: 200, SHORT: 120}
"""Fall time of each window at its end in samples."""
HARMONICS = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
SHIFTS = tuple(round(PER_SEMITONE * 12 * math.log2(h)) for h in HARMONICS)
"""Bins from a pitch to each of its harmonics."""
BANDS = 20
"""Number of bands of the short window, for onsets."""
CHANNELS, BODY, CONTEXT, HIDDEN = 14, 8, 64, 108
LATE = FAR - NEAR
ROOT = 0.35
"""Exponent of the power spectrum in the autocorrelation; below 1, strong harmonics do not mask others."""


def hertz(places: NDArray[np.int64]) -> F64:
    """Frequencies of bins of the grid. The middle bin of a semitone is in tune."""
    return np.asarray(frequency(LOWEST + (places - 1.0) / PER_SEMITONE))


@cache
def window(size: int) -> F32:
    """Window `[size]`, of energy 1: a slow rise and a fall within `FALLS` samples, for low latency."""
    fall = FALLS[size]
    up = 0.5 - 0.5 * np.cos(math.pi * np.arange(size - fall) / (size - fall))
    down = 0.5 + 0.5 * np.cos(math.pi * np.arange(fall) / fall)
    both = np.concatenate([up, down])
    return np.asarray(both / np.sqrt(np.square(both).sum()), np.float32)


@cache
def log_grid(size: int) -> F32:
    """`[size // 2 + 1, GRID]`: a triangle for each bin, as wide as the wider of the two spacings."""
    lines = np.arange(size // 2 + 1) * RATE / size
    middle = hertz(np.arange(GRID))
    width = np.maximum(middle * (2 ** (1 / 36) - 1), RATE / size)
    weights = np.maximum(0.0, 1.0 - np.abs(lines[:, None] - middle) / width)
    weights = weights / np.maximum(weights.sum(0), 1e-6)
    return np.asarray(weights * (middle < 0.49 * RATE), np.float32)


@cache
def lags(size: int) -> F32:
    """`[size // 2 + 1, BINS]`: cosines that turn a power spectrum into the autocorrelation at each pitch's period."""
    lines = np.arange(size // 2 + 1)[:, None]
    lag = RATE / hertz(np.arange(BINS))
    return np.asarray(np.cos(2 * math.pi * lines * lag / size) * (lines > 0), np.float32)
