"""Systems beside the denoiser: a Wiener filter, DeepFilterNet 3, and the ideal mask."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64
from antiphon.api.backends.models import read_weights
from antiphon.api.backends.signal import SpectrumSizes, hann, windows
from antiphon_denoise.bands import HOP
from antiphon_denoise.deepfilter_network import DELAY, HOP as FRAMES, MODEL, DeepFilterNetwork

if TYPE_CHECKING:
    from antiphon_models.denoise.testset import TestMixture

RATE = 48000


def frames_of(sound: F32, size: int, hop: int) -> F32:
    """Frames `[n, size]`, zero-padded by half a frame at both ends."""
    padded = np.concatenate([np.zeros(size, np.float32), sound, np.zeros(2 * size, np.float32)])
    return np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]


def _together(frames: NDArray[np.floating], size: int, hop: int, length: int) -> F32:
    made = np.zeros(len(frames) * hop + size, np.float32)
    for n, piece in enumerate(frames):
        made[n * hop : n * hop + size] += piece.astype(np.float32)
    return made[size : size + length]


def _spectral(sound: F32, gain: Callable[[F64], F64], size: int, hop: int) -> F32:
    """Sound after a spectral gain, which maps power spectra `[n, bins]` to gains."""
    window = hann(size)
    spectra = np.fft.rfft(frames_of(sound, size, hop) * window, axis=1)
    spectra *= gain(np.abs(spectra) ** 2)
    return _together(np.fft.irfft(spectra, size, axis=1) * window * (hop / size / 0.375), size, hop, len(sound))


def wiener(sound: F32) -> F32:
    """Blind: noise is the lowest smoothed power of the last 1.5 s (Martin, 2001), the gain decision-directed (Ephraim
    and Malah, 1984), -20 dB at the least.
    """

    def gain(power: F64) -> F64:
        back, bias, keep = 140, 1.7, 0.98
        smooth = np.copy(power)
        for n in range(1, len(power)):
            smooth[n] = 0.8 * smooth[n - 1] + 0.2 * power[n]
        gains = np.ones_like(power)
        before = np.zeros(power.shape[1])
        for n in range(len(power)):
            noise = bias * smooth[max(0, n - back) : n + 1].min(axis=0) + 1e-12
            after = power[n] / noise
            prior = keep * before + (1 - keep) * np.maximum(after - 1.0, 0.0)
            gains[n] = np.maximum(prior / (1.0 + prior), 0.1)
            before = gains[n] ** 2 * after
        return gains

    return _spectral(sound, gain, 1024, 512 // 2)


def oracle(item: TestMixture) -> F32:
    """Output of the ideal mask, the root of the power ratio of clean sound to mixture in each bin."""
    sizes = SpectrumSizes(2048, HOP, 1)
    analysis, synthesis = windows(sizes)
    clean, noise = (np.fft.rfft(frames_of(x, sizes.size, HOP) * analysis, axis=1) for x in (item.clean, item.noise))
    wanted, rest = np.abs(clean) ** 2, np.abs(noise) ** 2
    mask = np.sqrt(wanted / (wanted + rest + 1e-12))
    made = np.fft.irfft(mask * (clean + noise), sizes.size, axis=1)[:, -sizes.lag :] * synthesis
    out = np.zeros(len(made) * HOP + sizes.size, np.float32)
    for n, piece in enumerate(made):
        at = n * HOP + sizes.size - sizes.lag
        out[at : at + sizes.lag] += piece
    return out[sizes.size : sizes.size + len(item.clean)]


def deepfilter(sound: F32) -> F32:
    """Output of DeepFilterNet 3 as its author runs it, nothing put back; its delay taken away."""
    network = _deepfilter()
    network.start()
    x, padded = np.zeros((2, FRAMES), np.float32), np.concatenate([sound, np.zeros(DELAY + FRAMES, np.float32)])
    out = np.zeros_like(padded)
    for at in range(0, len(padded) - FRAMES + 1, FRAMES):
        x[0] = padded[at : at + FRAMES]
        network.step(x, out[None, at : at + FRAMES])
    return out[DELAY : DELAY + len(sound)]


@cache
def _deepfilter() -> DeepFilterNetwork:
    network = DeepFilterNetwork({name: np.asarray(array, np.float32) for name, array in read_weights(MODEL).items()})
    network.least_kept = 0.0
    return network
