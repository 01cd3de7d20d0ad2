"""A sound file that loops in place of the device's input."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import FileError

LONG_LOOP = 1 << 21
"""Frames above which a loop is resampled as it is read, with a seam at -60 dB: resampling it whole takes seconds."""


class FileLoop:
    """A sound that repeats without end from frame 0, with silence before it."""

    def __init__(self, samples: Samples, channels: int, block: int) -> None:
        """A loop of float32 `[channels, frames]`. Mono is copied to all channels; other missing channels are silent."""
        if samples.shape[0] < channels:
            samples = (
                np.repeat(samples[:1], channels, axis=0)
                if samples.shape[0] == 1
                else np.concatenate([samples, np.zeros((channels - samples.shape[0], samples.shape[1]), np.float32)])
            )
        self.sound: Samples = np.ascontiguousarray(samples[:channels], np.float32)  # float32 `[channels, frames]`
        self._out: Samples = np.zeros((channels, block), np.float32)

    def block(self, sample: int, frames: int) -> Samples:
        """`frames` of the loop from `sample` on, a view valid until the next call; silence for a negative `sample`."""
        if sample < 0:
            self._out.fill(0.0)
            return self._out[:, :frames]
        length = self.sound.shape[1]
        at, done = sample % length, 0
        while done < frames:
            count = min(frames - done, length - at)
            self._out[:, done : done + count] = self.sound[:, at : at + count]
            done += count
            at = 0
        return self._out[:, :frames]


def load_sound(path: Path, rate: int) -> Samples:
    """A file as float32 `[channels, frames]` at `rate` Hz, from a child process; seam kept to `LONG_LOOP` frames."""
    from antiphon.kernel.io.audiofile import read

    sound = read(path)
    if not sound.samples.shape[1]:
        raise FileError(f"{path.name} holds no sound (0 frames)")
    if sound.rate == rate:
        return sound.samples
    if sound.samples.shape[1] > LONG_LOOP:
        return read(path, rate=rate).samples
    return resampled_loop(sound.samples, sound.rate, rate)


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
