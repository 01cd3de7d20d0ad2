"""What transfer is measured beside: doing nothing, the reference itself, and the known classical ways."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64

C128 = NDArray[np.complex128]
SIZE = 2048
HOP = 512

Way = Callable[[F32, F32], F32]
"""Input and reference, mono at one rate, to a sound as long as the input."""


def spectra(sound: F32, size: int = SIZE, hop: int = HOP) -> C128:
    """`[frames, size / 2 + 1]` under a Hann window."""
    window = np.hanning(size + 1)[:-1]
    padded = np.pad(sound.astype(np.float64), size)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    return np.asarray(np.fft.rfft(frames * window, axis=1), np.complex128)


def sound(frames: C128, length: int, size: int = SIZE, hop: int = HOP) -> F32:
    """The inverse of `spectra`."""
    window = np.hanning(size + 1)[:-1]
    output = np.zeros(hop * len(frames) + size)
    for n, piece in enumerate(np.fft.irfft(frames, size, axis=1) * window * (hop / size / 0.375)):
        output[n * hop : n * hop + size] += piece
    return output[size : size + length].astype(np.float32)


def copy_input(source: F32, reference: F32) -> F32:
    return source


def copy_reference(source: F32, reference: F32) -> F32:
    """The reference, as long as the input."""
    return np.resize(reference, len(source))


def long_term(source: F32, reference: F32) -> F32:
    """An equaliser that gives the input the long-term spectrum of the reference, in third octaves."""
    a, b = spectra(source), spectra(reference)
    width = np.maximum(1.0, np.arange(a.shape[1]) * 0.115)

    def smooth(power: F64) -> F64:
        total = np.concatenate([[0.0], np.cumsum(power)])
        bins = np.arange(len(power))
        low = np.maximum(0, np.floor(bins - width)).astype(int)
        high = np.minimum(len(power), np.ceil(bins + width + 1)).astype(int)
        return np.asarray((total[high] - total[low]) / (high - low) + 1e-12, np.float64)

    gain = np.sqrt(smooth((np.abs(b) ** 2).mean(axis=0)) / smooth((np.abs(a) ** 2).mean(axis=0)))
    return sound(a * np.minimum(gain, 1000.0), len(source))


def lifter(spectrum: C128, keep: int = 40) -> F64:
    """Log magnitudes smoothed by the first `keep` cepstral coefficients."""
    cepstrum = np.fft.irfft(np.log(np.abs(spectrum) + 1e-6), axis=1)
    cepstrum[:, keep:-keep] = 0.0
    return np.asarray(np.fft.rfft(cepstrum, axis=1).real, np.float64)


def cepstral(source: F32, reference: F32) -> F32:
    """Every frame's cepstral envelope becomes that of the reference's mean, its level staying."""
    a, b = spectra(source), spectra(reference)
    own, theirs = lifter(a), lifter(b)
    loud = np.abs(b).sum(axis=1)
    mean = theirs[loud > 0.05 * loud.max()].mean(axis=0)
    shaped = a * np.exp(np.clip(mean[None] - mean.mean() - own + own.mean(axis=1, keepdims=True), -7.0, 7.0))
    power = (np.abs(a) ** 2).sum(axis=1) / ((np.abs(shaped) ** 2).sum(axis=1) + 1e-12)
    return sound(shaped * np.sqrt(power)[:, None], len(source))


def quantiles(source: F32, reference: F32) -> F32:
    """In every bin, the log magnitudes of the input get the distribution of the reference's; the phase stays."""
    a, b = spectra(source), spectra(reference)
    levels, wanted = np.log(np.abs(a) + 1e-6), np.sort(np.log(np.abs(b) + 1e-6), axis=0)
    rank = levels.argsort(axis=0).argsort(axis=0) / max(1, len(levels) - 1)
    output = np.stack(
        [np.interp(rank[:, k], np.linspace(0.0, 1.0, len(wanted)), wanted[:, k]) for k in range(a.shape[1])], axis=1
    )
    return sound(np.exp(output) * np.exp(1j * np.angle(a)), len(source))


def mosaic(source: F32, reference: F32, rounds: int = 20, repeat: int = 3, poly: int = 10, run: int = 3) -> F32:
    """NMF with the reference's frames as templates, after Driedger, Prätzlich and Müller, "Let it Bee" (ISMIR 2015).

    Activations that repeat, that are many at once, or that do not move diagonally are pressed down more each round.
    """
    a, b = spectra(source, SIZE, SIZE // 2), spectra(reference, SIZE, SIZE // 2)
    target, templates = np.abs(a).T + 1e-9, np.abs(b).T + 1e-9
    scale = templates.sum(axis=0) + 1e-9
    templates = templates / scale
    h = np.random.default_rng(1).random((templates.shape[1], target.shape[1]))
    from scipy.ndimage import maximum_filter1d

    for n in range(rounds):
        press = 1.0 - (n + 1) / rounds
        h = np.where(h >= maximum_filter1d(h, 2 * repeat + 1, axis=1), h, h * press)
        if poly < len(h):
            least = np.partition(h, -poly, axis=0)[-poly]
            h = np.where(h >= least, h, h * press)
        long = h.copy()
        for k in range(1, run + 1):
            long[k:, k:] += h[:-k, :-k]
            long[:-k, :-k] += h[k:, k:]
        h = long * (templates.T @ (target / (templates @ long + 1e-9)))
    return sound(((b.T / scale) @ h).T, len(source), SIZE, SIZE // 2)


WAYS: dict[str, Way] = {
    "copy A": copy_input,
    "copy B": copy_reference,
    "EQ match": long_term,
    "cepstral": cepstral,
    "quantiles": quantiles,
    "NMF": mosaic,
}
