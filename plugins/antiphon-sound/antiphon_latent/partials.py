"""Note representation: levels of 40 partials and 16 noise bands in 64 frames, and their measurement."""

import itertools

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64

PARTIALS, BANDS = 40, 16
ROW = PARTIALS + BANDS
HELD, RELEASED = 52, 12
FRAMES = HELD + RELEASED
"""Frames of a held note, dense near its onset, and of its release."""
LONGEST, RINGS = 3.0, 0.8
"""Durations in seconds of a held note, and of its release, covered by frames."""
BEND, RELEASE_BEND = 1.7, 1.5
TIMES = LONGEST * (np.arange(HELD) / (HELD - 1)) ** BEND
RELEASE_TIMES = RINGS * (np.arange(RELEASED) / (RELEASED - 1)) ** RELEASE_BEND
EDGES = np.geomspace(100.0, 16000.0, BANDS + 1)
"""Hz of the edges of the noise bands."""
FLOOR = -80.0
"""Floor in dB below a note's loudest frame."""
PERIODS, NOISE_PERIODS = 4, 9
"""Windows: Hann's, which separates partials, and Blackman's, to measure noise between partials."""


def hz_of(pitch: float) -> float:
    """Converts a note number to Hz."""
    return float(440.0 * 2.0 ** ((pitch - 69.0) / 12.0))


def measure(sound: F32, rate: int, hz: float, end: int) -> tuple[F32, NDArray[np.bool_]]:
    """Frame levels of a note of the fundamental `hz` with note-off at frame `end`.

    Returns dB `[FRAMES, ROW]`, 0 dB the power of its loudest frame, and what of them there is: partials that the rate
    allows, in frames before the sound's end.
    """
    at = np.concatenate([np.minimum(TIMES * rate, end - 1), end + RELEASE_TIMES * rate])
    count = int(min(PARTIALS, 0.48 * rate // hz))
    power = np.full((FRAMES, ROW), 0.0)
    length = max(16, round(PERIODS * rate / hz))
    window = np.hanning(length + 1)[:-1]
    turns = np.exp(-2j * np.pi * hz / rate * np.outer(np.arange(length), np.arange(1, count + 1)))
    heard = np.abs(_windows(sound, at, length) * window @ turns) / (0.5 * window.sum())
    power[:, :count] = 0.5 * heard**2
    length = max(1024, round(NOISE_PERIODS * rate / hz))
    window = np.blackman(length + 1)[:-1]
    spectrum = np.abs(np.fft.rfft(_windows(sound, at, length) * window, axis=1)) ** 2 / np.sum(window**2)
    frequency = np.arange(spectrum.shape[1]) * rate / length
    apart = np.abs(frequency / hz - np.round(frequency / hz)) > 0.34
    apart |= frequency < 0.66 * hz
    for band, (low, high) in enumerate(itertools.pairwise(EDGES)):
        within = apart & (frequency >= low) & (frequency < high)
        if within.any():
            # the median of noise's power is ln 2 of its mean, and passes over single tones
            density = np.median(spectrum[:, within], axis=1) / np.log(2.0)
            power[:, PARTIALS + band] = density * (high - low) / (0.5 * rate)
    loudest = max(1e-12, float(power[:HELD].sum(axis=1).max()))
    there = np.ones((FRAMES, ROW), bool)
    there[:, count:PARTIALS] = False
    there[:HELD][TIMES * rate > max(len(sound), 1)] = False
    there[HELD:] &= end + RELEASE_TIMES[:, None] * rate < len(sound)
    level = 10.0 * np.log10(np.maximum(power / loudest, 10.0 ** (FLOOR / 10.0)))
    return level.astype(np.float32), there


def _windows(sound: F32, at: F64, length: int) -> F32:
    """Windows around positions, none starting before the sound, so that attacks stay sharp."""
    padded = np.pad(sound, (0, int(at.max()) + length))
    first = np.maximum(0, np.round(at).astype(int) - length // 2)
    return np.asarray(padded[first[:, None] + np.arange(length)], np.float32)


def onset_frame(sound: F32) -> int:
    """Onset frame of a note: 34 dB below its peak."""
    loud = np.abs(sound) > 0.02 * max(1e-9, float(np.abs(sound).max(initial=0.0)))
    return int(loud.argmax())
