"""The sound file of `--input`, decoded and resampled for its loop."""

from pathlib import Path

import numpy as np

from antiphon.files.audiofile import read
from antiphon.files.decode_process import decoders
from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import FileError

LONG_LOOP = 1 << 21
"""Frames above which a loop is resampled as it is read, with a seam at -60 dB: resampling it whole takes seconds."""


def load_sound(path: Path, rate: int) -> Samples:
    """A file as float32 `[channels, frames]` at `rate` Hz, from a child process; seam kept to `LONG_LOOP` frames."""
    try:
        sound = read(path)
        if not sound.samples.shape[1]:
            raise FileError(f"{path.name} holds no sound (0 frames)")
        if sound.rate == rate:
            return sound.samples
        if sound.samples.shape[1] > LONG_LOOP:
            return read(path, rate=rate).samples
        return resampled_loop(sound.samples, sound.rate, rate)
    finally:
        decoders().close()  # before the supervisor forks


def resampled_loop(samples: Samples, rate: int, wanted: int) -> Samples:
    """Periodic resampling by FFT of float32 `[channels, frames]`, to at least one frame; the seam stays continuous."""
    frames = samples.shape[1]
    longer = max(1, round(frames * wanted / rate))
    resampled: Samples = np.empty((samples.shape[0], longer), np.float32)
    for row, into in zip(samples, resampled, strict=True):
        spectrum = np.fft.rfft(row)
        below = (min(frames, longer) + 1) // 2  # bins below both Nyquist frequencies; the bin at Nyquist has no phase
        into[:] = np.fft.irfft(spectrum[:below], longer) * (longer / frames)
    return resampled
