"""Pitch contour within a recording's notes, and its loudness."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from antiphon.api import F32, F64, Samples

Places = NDArray[np.int_]
HOP = 0.005
"""Seconds between pitch and level values: short relative to a vibrato cycle."""
REACH = 2.5
"""Search range of a note's pitch in semitones: less than the distance of harmonics, more than any vibrato."""
PERIODIC = 0.5
"""Minimum correlation of successive periods for a pitch."""
PERIODS = 2.5
"""Number of periods compared."""
_AT_ONCE = 128
"""Hops per batch: a note may be as long as the recording, and memory is bounded."""
SMOOTH = 5
"""Length in hops of the median filter over pitches."""
LOUD = 0.05
"""Window in seconds of the levels: longer than a period of the lowest voice, shorter than a consonant's gap."""
MOST, LEAST = 8.0, 0.06
"""Gain limits of level following: 18 dB up, 24 down, so that consonants before a beat are not lost."""
TOP = 0.98
"""Maximum output peak."""


def note_pitches(sound: F32, rate: int, start: float, end: float, number: int) -> list[tuple[float, float]]:
    """Pitch contour within a note: peaks of the normalised autocorrelation around the note's period.

    (second, semitones from the note) every `HOP` where the sound is periodic; `number`: of MIDI.
    """
    period = rate / (440.0 * 2.0 ** ((number - 69) / 12.0))
    low, high = int(period * 2.0 ** (-REACH / 12.0)), int(period * 2.0 ** (REACH / 12.0)) + 2
    window = round(PERIODS * period)
    times = np.arange(start, end, HOP)
    at = np.round(times * rate).astype(int) - (window + high) // 2
    inside = (at >= 0) & (at + window + high < len(sound))
    if not inside.any():
        return []
    places = at[inside]
    parts = [_peaks(sound, places[n : n + _AT_ONCE], window, low, high) for n in range(0, len(places), _AT_ONCE)]
    lags, peak = (np.concatenate(values) for values in zip(*parts, strict=True))
    semitones = 12.0 * np.log2(period / lags)
    periodic = peak > PERIODIC
    if periodic.sum() < SMOOTH:
        return []
    held = semitones[periodic]
    padded = np.pad(held, SMOOTH // 2, mode="edge")
    smooth = np.median(sliding_window_view(padded, SMOOTH), axis=1)
    return list(zip(times[inside][periodic].tolist(), smooth.tolist(), strict=True))


def _peaks(sound: F32, at: Places, window: int, low: int, high: int) -> tuple[F64, F64]:
    """Fractional lag in samples, and height of the highest peak from `low` to `high`, for each position."""
    x = np.stack([sound[n : n + window + high] for n in at]).astype(np.float64)
    lagged = sliding_window_view(x, window, axis=1)[:, low - 1 : high + 1]
    product = np.einsum("nw,nlw->nl", x[:, :window], lagged)
    own = np.sqrt((x[:, None, :window] ** 2).sum(-1) * np.einsum("nlw,nlw->nl", lagged, lagged))
    found = product / np.maximum(own, 1e-9)
    best = found[:, 1:-1].argmax(1) + 1
    rows = np.arange(len(best))
    before, peak, after = found[rows, best - 1], found[rows, best], found[rows, best + 1]
    curve = before - 2.0 * peak + after
    shift = np.where(curve < -1e-12, 0.5 * (before - after) / np.minimum(curve, -1e-12), 0.0)
    return best + low - 1 + np.clip(shift, -0.5, 0.5), peak


def follow_level(sound: Samples, source: F32, rate: int) -> Samples:
    """Scales a sound to the loudness contour of another, below full scale.

    `sound`: float32 `[channels, n]`. `source`: float32 `[n]`, whose level is taken. Returns as `sound`: at the other's
    mean level, and its course followed between `LEAST` and `MOST`.
    """
    wanted, own = _levels(source, rate), _levels(sound.mean(0), rate)
    both = (wanted > 0.03 * wanted.max(initial=0.0)) & (own > 0.03 * own.max(initial=0.0))
    if not both.any():
        return sound
    mean = np.sqrt((wanted[both] ** 2).mean() / (own[both] ** 2).mean())
    gain = mean * np.clip(wanted / np.maximum(mean * own, 1e-9), LEAST, MOST)
    frames = np.arange(len(gain)) * HOP * rate
    followed: Samples = sound * np.interp(np.arange(sound.shape[1]), frames, gain).astype(np.float32)
    peak = float(np.abs(followed).max(initial=0.0))
    followed *= np.float32(min(1.0, TOP / max(peak, 1e-9)))
    return followed


def _levels(sound: F32, rate: int) -> F64:
    """RMS over `LOUD`, every `HOP`."""
    window = np.hanning(round(LOUD * rate))
    hop = round(HOP * rate)
    power = np.convolve(sound.astype(np.float64) ** 2, window / window.sum(), mode="same")[::hop]
    return np.asarray(np.sqrt(np.maximum(power, 0.0)))
