"""Loudness by ITU-R BS.1770-4, and true peak by oversampling."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
SILENCE = -70.0


def _k_weight(sound: F32, rate: int) -> NDArray[np.float64]:
    """The two K-weighting filters, applied as their frequency response: head shelf and high pass.

    Analog prototypes' parameters as fitted by Mansbridge, Finn and Reiss (AES 2012) from the 48 kHz coefficients.
    """
    size = 1 << (sound.shape[1] + rate // 10 - 1).bit_length()
    spectrum = np.fft.rfft(sound.astype(np.float64), size, axis=1) * _response(size, rate)
    return np.asarray(np.fft.irfft(spectrum, size, axis=1)[:, : sound.shape[1]])


@lru_cache(2)
def _response(size: int, rate: int) -> NDArray[np.complex128]:
    z = np.exp(2j * np.pi * np.arange(size // 2 + 1) / size)
    response = np.ones(size // 2 + 1, np.complex128)
    for gain, q, centre, shelf in ((3.999843853973347, 0.7071752369554196, 1681.974450955533, True),
                                   (0.0, 0.5003270373238773, 38.13547087602444, False)):  # fmt: skip
        k = np.tan(np.pi * centre / rate)
        norm = 1 + k / q + k * k
        if shelf:
            vh = 10 ** (gain / 20)
            vb = vh**0.4996667741545416
            b = np.array([vh + vb * k / q + k * k, 2 * (k * k - vh), vh - vb * k / q + k * k]) / norm
        else:
            b = np.array([1.0, -2.0, 1.0])
        a = np.array([1.0, 2 * (k * k - 1) / norm, (1 - k / q + k * k) / norm])
        response *= (b[0] + b[1] / z + b[2] / z**2) / (a[0] + a[1] / z + a[2] / z**2)
    return response


def integrated(sound: F32, rate: int) -> float:
    """LUFS of float32 `[channels, frames]`, gated; what is shorter than 0.4 s is taken as one block."""
    frames = sound.shape[1]
    if frames == 0 or not np.any(sound):
        return SILENCE
    power = (_k_weight(sound, rate) ** 2).sum(axis=0)
    block, hop = round(0.4 * rate), round(0.1 * rate)
    total = np.concatenate([[0.0], np.cumsum(power)])
    if frames <= block:
        energies = np.array([total[-1] / frames])
    else:
        starts = np.arange(0, frames - block + 1, hop)
        energies = (total[starts + block] - total[starts]) / block
    loud = -0.691 + 10 * np.log10(np.maximum(energies, 1e-15))
    kept = energies[loud > SILENCE]
    if not len(kept):
        return SILENCE
    gate = -0.691 + 10 * np.log10(kept.mean()) - 10
    kept = energies[(loud > SILENCE) & (loud > gate)]
    return float(max(SILENCE, -0.691 + 10 * np.log10(kept.mean())))


def true_peak(sound: F32, rate: int) -> float:
    """The largest magnitude of the 4x oversampled sound, linear."""
    import soxr

    if sound.shape[1] == 0:
        return 0.0
    over = soxr.resample(sound.T, rate, 4 * rate, quality="HQ")
    return float(max(np.abs(over).max(initial=0.0), np.abs(sound).max()))
