"""Spectra of frames on both grids."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from antiphon.api import Samples
from antiphon.api.backends.signal import grid as hop_grid, windows
from antiphon_stems.grids import FILE, UnitGrid

C64 = NDArray[np.complex64]


@cache
def analysis_window(grid: UnitGrid) -> Samples:
    """Analysis window `[size]`; of files the square root of Hann's, of the node one with its fall in the last hop."""
    if grid is FILE:
        return np.sin(np.pi * (np.arange(grid.size) + 0.5) / grid.size).astype(np.float32)
    return windows(hop_grid(48000, grid.hop))[0]


def analysis_frames(grid: UnitGrid, sound: Samples) -> C64:
    """Spectra `[channels, frames, bins]` of sound `[channels, samples]`, white noise of variance 1 having power 1.

    One frame ends per hop; before the sound there is silence.
    """
    window = analysis_window(grid)
    padded = np.pad(sound, ((0, 0), (grid.size - grid.hop, 0)))
    frames = sliding_window_view(padded, grid.size, axis=1)[:, :: grid.hop]
    scale = 1.0 / np.sqrt(np.sum(window.astype(np.float64) ** 2))
    return np.fft.rfft(frames * (window * np.float32(scale)), axis=-1).astype(np.complex64)
