"""Loudness by ITU-R BS.1770-4, and true peak by oversampling."""

import numpy as np

from antiphon.api import F32
from antiphon.api.backends.analysis import QUIETEST, LoudnessMeter


def integrated_loudness(sound: F32, rate: int) -> float:
    """Integrated loudness in LUFS of float32 `[channels, frames]`, gated; below 0.4 s it is one block."""
    if sound.shape[1] == 0 or not np.any(sound):
        return QUIETEST
    meter = LoudnessMeter(rate, len(sound))
    meter.feed(sound)
    return meter.integrated()


def true_peak(sound: F32, rate: int) -> float:
    """True peak: largest magnitude of the 4x oversampled sound, linear."""
    import soxr

    if sound.shape[1] == 0:
        return 0.0
    over = soxr.resample(sound.T, rate, 4 * rate, quality="HQ")
    return float(max(np.abs(over).max(initial=0.0), np.abs(sound).max()))
