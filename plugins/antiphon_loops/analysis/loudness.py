"""Loudness by ITU-R BS.1770-4, and true peak by oversampling."""

from __future__ import annotations

import numpy as np

from antiphon.api import F32
from antiphon.api.backends.analysis import K_STATE, QUIETEST, gated_loudness, k_sections, k_weigh


def integrated_loudness(sound: F32, rate: int) -> float:
    """LUFS of float32 `[channels, frames]`, gated; what is shorter than 0.4 s is taken as one block."""
    frames = sound.shape[1]
    if frames == 0 or not np.any(sound):
        return QUIETEST
    power, sections = np.zeros(frames), k_sections(rate)
    for channel in np.ascontiguousarray(sound, np.float32):
        k_weigh(channel, power, frames, sections, np.zeros(K_STATE), 1.0)
    block, hop = round(0.4 * rate), round(0.1 * rate)
    total = np.concatenate([[0.0], np.cumsum(power)])
    if frames <= block:
        energies = np.array([total[-1] / frames])
    else:
        starts = np.arange(0, frames - block + 1, hop)
        energies = (total[starts + block] - total[starts]) / block
    return gated_loudness(energies)


def true_peak(sound: F32, rate: int) -> float:
    """The largest magnitude of the 4x oversampled sound, linear."""
    import soxr

    if sound.shape[1] == 0:
        return 0.0
    over = soxr.resample(sound.T, rate, 4 * rate, quality="HQ")
    return float(max(np.abs(over).max(initial=0.0), np.abs(sound).max()))
