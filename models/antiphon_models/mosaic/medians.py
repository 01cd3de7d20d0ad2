"""What is struck apart from what is held, by medians over time and frequency (Fitzgerald, DAFx 2010)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from antiphon.api import F32

SIZE, HOP, MEDIAN = 2048, 512, 17
"""Samples of a window and of its hop; frames and bins of the medians."""
AT_ONCE = 256


def apply_filter(sound: F32, gains: Callable[[F32], tuple[F32, ...]], count: int) -> tuple[F32, ...]:
    """Sounds by gains of the spectra of `[channels, n]`; `gains` gives `count` arrays for magnitudes `[frames, bins]`.

    The magnitudes have `MEDIAN // 2` frames more on either side than the gains.
    """
    window = np.hanning(SIZE + 1)[:-1].astype(np.float32)
    side, length = MEDIAN // 2, sound.shape[1]
    outs = tuple(np.zeros_like(sound) for _ in range(count))
    frames = length // HOP + SIZE // HOP + 1
    before = SIZE + side * HOP
    for channel in range(len(sound)):
        padded = np.pad(sound[channel], (before, before + SIZE + HOP))
        views = np.lib.stride_tricks.sliding_window_view(padded, SIZE)[::HOP]
        sums = np.zeros((count, length + 3 * SIZE), np.float32)
        for at in range(0, frames, AT_ONCE):
            spectra = np.fft.rfft(views[at : min(frames, at + AT_ONCE) + 2 * side] * window, axis=1)
            inner = spectra[side : len(spectra) - side]
            for total, gain in zip(sums, gains(np.abs(spectra)), strict=True):
                for n, piece in enumerate(np.fft.irfft(inner * gain, SIZE, axis=1) * (window / 1.5), at):
                    total[n * HOP : n * HOP + SIZE] += piece
        for out, total in zip(outs, sums, strict=True):
            out[channel] = total[SIZE : SIZE + length]
    return outs


def separate(sound: F32, rate: int) -> tuple[F32, F32]:
    """What is held and what is struck, at any rate."""
    half = MEDIAN // 2

    def masks(levels: F32) -> tuple[F32, ...]:
        view = np.lib.stride_tricks.sliding_window_view
        held = np.median(view(levels, MEDIAN, axis=0), axis=-1) ** 2
        wide = np.pad(levels[half:-half], ((0, 0), (half, half)), "edge")
        struck = np.median(view(wide, MEDIAN, axis=1), axis=-1) ** 2
        share = (held / (held + struck + 1e-12)).astype(np.float32)
        return share, 1.0 - share

    held, struck = apply_filter(sound, masks, 2)
    return held, struck
