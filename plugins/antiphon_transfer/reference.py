"""Reads and checks the reference sound and cuts it into frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from antiphon.api import F32, FileError
from antiphon.api.backends.files import read_sound
from antiphon_transfer.stream import C64, Framing, hann

LONGEST = 60.0
"""Seconds of a reference that are used; of a longer one the loudest stretch."""


def read(path: str, grid: Framing) -> F32:
    """The reference as float32 `[channels, frames]` at the grid's rate.

    Raises FileError: it cannot be read, is shorter than a frame, or is silent.
    """
    name = Path(path).name
    samples = read_sound(path, rate=grid.rate).samples
    if samples.shape[1] < grid.size:
        raise FileError(
            f"the reference {name} is {1000.0 * samples.shape[1] / grid.rate:.3g} ms long; "
            f"give one of at least {1000.0 * grid.size / grid.rate:.0f} ms"
        )
    if float(np.abs(samples).max()) < 1e-5:
        raise FileError(f"the reference {name} is silent; give one that sounds")
    most = round(LONGEST * grid.rate)
    if samples.shape[1] > most:
        energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64).sum(axis=0))])
        first = int(np.argmax(energy[most:] - energy[:-most]))
        samples = samples[:, first : first + most]
    return np.clip(samples, -16.0, 16.0)


def frames(samples: F32, grid: Framing) -> Iterator[F32]:
    """Windowed frames `[channels, size]`, one a hop, padded with silence; each is valid until the next."""
    window = hann(grid.size)
    padded = np.pad(samples, ((0, 0), (grid.size - grid.hop, grid.size - grid.hop)))
    for at in range(0, padded.shape[1] - grid.size + 1, grid.hop):
        yield padded[:, at : at + grid.size] * window


def spectra(samples: F32, grid: Framing) -> Iterator[C64]:
    """The spectrum `[channels, bins]` of every frame."""
    for frame in frames(samples, grid):
        yield np.fft.rfft(frame, axis=1).astype(np.complex64)
