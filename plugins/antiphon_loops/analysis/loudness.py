"""Loudness by ITU-R BS.1770-4, and true peak by oversampling."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from antiphon.api.kernels import f32p, f64, f64p, i64, kernel

F32 = NDArray[np.float32]
SILENCE = -70.0


@kernel
def loops_weigh(x: f32p, power: f64p, frames: i64, k: f64p) -> None:
    """power[n] += the square of x through two second-order sections. k: b0 b1 b2 a1 a2 of each."""
    s1 = f64(0.0)
    s2 = f64(0.0)
    t1 = f64(0.0)
    t2 = f64(0.0)
    for n in range(frames):
        v = f64(x[n])
        w = k[0] * v + s1
        s1 = k[1] * v - k[3] * w + s2
        s2 = k[2] * v - k[4] * w
        y = k[5] * w + t1
        t1 = k[6] * w - k[8] * y + t2
        t2 = k[7] * w - k[9] * y
        power[n] = power[n] + y * y


def _sections(rate: int) -> NDArray[np.float64]:
    """The two K-weighting filters, head shelf and high pass.

    Analog prototypes' parameters as fitted by Mansbridge, Finn and Reiss (AES 2012) from the 48 kHz coefficients.
    """
    out: list[float] = []
    for gain, q, centre, shelf in ((3.999843853973347, 0.7071752369554196, 1681.974450955533, True),
                                   (0.0, 0.5003270373238773, 38.13547087602444, False)):  # fmt: skip
        k = float(np.tan(np.pi * min(centre / rate, 0.49)))
        norm = 1 + k / q + k * k
        if shelf:
            vh = 10 ** (gain / 20)
            vb = vh**0.4996667741545416
            out += [(vh + vb * k / q + k * k) / norm, 2 * (k * k - vh) / norm, (vh - vb * k / q + k * k) / norm]
        else:
            out += [1.0, -2.0, 1.0]
        out += [2 * (k * k - 1) / norm, (1 - k / q + k * k) / norm]
    return np.array(out)


def integrated(sound: F32, rate: int) -> float:
    """LUFS of float32 `[channels, frames]`, gated; what is shorter than 0.4 s is taken as one block."""
    frames = sound.shape[1]
    if frames == 0 or not np.any(sound):
        return SILENCE
    power, sections = np.zeros(frames), _sections(rate)
    for channel in np.ascontiguousarray(sound, np.float32):
        loops_weigh(channel, power, frames, sections)
    block, hop = round(0.4 * rate), round(0.1 * rate)
    total = np.concatenate([[0.0], np.cumsum(power)])
    if frames <= block:
        energies = np.array([total[-1] / frames])
    else:
        starts = np.arange(0, frames - block + 1, hop)
        energies = (total[starts + block] - total[starts]) / block
    loud = -0.691 + 10 * np.log10(np.maximum(energies, 1e-15))
    gated = energies[loud > SILENCE]
    if not len(gated):
        return SILENCE
    gate = -0.691 + 10 * np.log10(gated.mean()) - 10
    gated = energies[(loud > SILENCE) & (loud > gate)]
    return float(max(SILENCE, -0.691 + 10 * np.log10(gated.mean())))


def true_peak(sound: F32, rate: int) -> float:
    """The largest magnitude of the 4x oversampled sound, linear."""
    import soxr

    if sound.shape[1] == 0:
        return 0.0
    over = soxr.resample(sound.T, rate, 4 * rate, quality="HQ")
    return float(max(np.abs(over).max(initial=0.0), np.abs(sound).max()))
