"""Reads sound files: whole, block by block, or as the loop of `--input`. Another process decodes them (`decode`)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from antiphon.files.decode import AudioInfo, Decoder
from antiphon.files.decode_process import decoders
from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime.shortening import count_of

MAX_SAMPLES = 1 << 26
"""Maximum samples (frames times channels) of `read`: 256 MiB, 11 minutes of 96 kHz mono, or 11.6 minutes of 48 kHz
stereo."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A decoded sound file. `samples`: float32 `[channels, frames]`. `rate`: frames per second."""

    samples: Samples
    rate: int
    info: AudioInfo


def read(path: str | os.PathLike[str], *, rate: int | None = None, max_samples: int = MAX_SAMPLES) -> Sound:
    """Reads a whole sound file. A separate process decodes it, so that a damaged file does no harm.

    `rate`: resample to this rate, in Hz; None keeps the file's. `max_samples`: maximum of frames times channels. Raises
    FileError: the file cannot be read, or is longer.
    """
    with Decoder(path, rate=rate) as decoder:
        info = decoder.info
        most = max_samples // info.channels
        if decoder.frames is not None and decoder.frames > most:
            raise _too_long_error(decoder, most)
        samples = np.empty((info.channels, decoder.frames or 0), np.float32)
        at = 0
        for block in decoder.blocks():
            end = at + block.shape[1]
            if end > most:
                raise _too_long_error(decoder, most)
            if end > samples.shape[1]:
                grown = np.empty((info.channels, min(most, max(end, 2 * samples.shape[1]))), np.float32)
                grown[:, :at] = samples[:, :at]
                samples = grown
            samples[:, at:end] = block
            at = end
    return Sound(np.ascontiguousarray(samples[:, :at]), decoder.rate, info)


@contextmanager
def stream(path: str | os.PathLike[str], *, rate: int | None = None) -> Iterator[tuple[AudioInfo, Iterator[Samples]]]:
    """Reads a sound file block by block, decoded as blocks are asked for.

        with stream("in.wav") as (info, blocks): …

    `rate`: resample to this rate, in Hz; None keeps the file's. Yields the file's properties, with its original rate
    and length, and its blocks at the requested rate, float32 `[channels, n]`. Raises FileError: it cannot be read; also
    after some blocks, or instead of the first block of an empty file.
    """
    with Decoder(path, rate=rate) as decoder:
        yield decoder.info, _read_nonempty_blocks(decoder)


def _read_nonempty_blocks(decoder: Decoder) -> Iterator[Samples]:
    frames = 0
    for block in decoder.blocks():
        frames += block.shape[1]
        yield block
    if not frames:
        raise FileError(f"{decoder.name} holds no sound (0 frames)")


def _too_long_error(decoder: Decoder, most: int) -> FileError:
    minutes = most / decoder.rate / 60
    return FileError(
        f"cannot read {decoder.name}: it is longer than the {minutes:.3g} minutes that are held in memory "
        f"with {count_of(decoder.info.channels, 'channel')} at {decoder.rate} Hz; cut it into parts"
    )


LONG_LOOP = 1 << 21
"""Frames above which a loop is resampled during reading, with a seam at -60 dB: resampling it whole takes seconds."""


def load_sound(path: Path, rate: int) -> Samples:
    """Reads a file as float32 `[channels, frames]` at `rate` Hz in a child process; seamless to `LONG_LOOP` frames."""
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
    """Resamples a periodic float32 `[channels, frames]` by FFT, to at least one frame; the seam stays continuous."""
    frames = samples.shape[1]
    longer = max(1, round(frames * wanted / rate))
    resampled: Samples = np.empty((samples.shape[0], longer), np.float32)
    for row, into in zip(samples, resampled, strict=True):
        spectrum = np.fft.rfft(row)
        below = (min(frames, longer) + 1) // 2  # bins below both Nyquist frequencies; the bin at Nyquist has no phase
        into[:] = np.fft.irfft(spectrum[:below], longer) * (longer / frames)
    return resampled
