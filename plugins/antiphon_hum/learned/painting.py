"""`antiphon run hum IN OUT -p mode=spectrogram -p painted=istft`: the painted spectrogram itself as sound.

Nothing reads notes off it: magnitudes up to 4.5 kHz, and the phases of Griffin and Lim (1984). Kept to be compared with
the road over notes.
"""

from __future__ import annotations

import numpy as np

from antiphon.api import Samples
from antiphon.api.models import read_weights
from antiphon_hum.learned import spec
from antiphon_hum.learned.painter_network import FLOOR, FRAME, ArrayPainter

WEIGHTS = {"istft": "hum-spectrogram", "gan": "hum-gan"}
"""By value of `painted`."""
ROUNDS = 50


def paint(mono: Samples, weights: str) -> Samples:
    """The spectrogram that a network paints of sound `[n]` at `spec.RATE`: magnitudes `[hops, FRAME / 2 + 1]`.

    Raises:
        ModelError: The weights are missing or do not fit.
    """
    network = ArrayPainter(read_weights(weights))
    padded = np.pad(mono, (0, (spec.PLAIN_LATE + 1) * spec.HOP)).astype(np.float32)
    hops = len(padded) // spec.HOP
    found, likeness = np.zeros((hops, FRAME // 2 + 1), np.float32), np.zeros((1, spec.SEMITONES), np.float32)
    for n in range(hops):
        network.step(padded[None, n * spec.HOP : (n + 1) * spec.HOP], likeness)
        found[n, : spec.BINS] = network.painted
    # what the network gives for silence is its floor, and no sound
    return np.asarray(np.expm1(np.maximum(found - 0.05, 0.0) / 0.2)[spec.PLAIN_LATE :] * FLOOR, np.float32)


def sound_of(magnitudes: Samples, length: int) -> Samples:
    """A sound `[length]` at `spec.RATE` with these magnitudes."""
    t = np.arange(FRAME)
    window = (0.5 - 0.5 * np.cos(2 * np.pi * t / FRAME)) / np.sqrt(FRAME * 0.375)
    hops, hop = len(magnitudes), spec.HOP
    whole = np.zeros(hops * hop + FRAME)
    weights = np.zeros_like(whole) + 1e-6
    for n in range(hops):
        weights[n * hop : n * hop + FRAME] += window**2
    phases = np.exp(2j * np.pi * np.random.default_rng(1).random(magnitudes.shape))
    for _ in range(ROUNDS):
        whole[:] = 0.0
        for n, frame in enumerate(np.fft.irfft(magnitudes * phases, FRAME, axis=1) * window):
            whole[n * hop : n * hop + FRAME] += frame
        whole /= weights
        spectra = np.fft.rfft(
            np.lib.stride_tricks.sliding_window_view(whole, FRAME)[: hops * hop : hop] * window, axis=1
        )
        phases = spectra / np.maximum(np.abs(spectra), 1e-9)
    # a frame ends with its hop
    return whole[FRAME - hop :][:length].astype(np.float32)
