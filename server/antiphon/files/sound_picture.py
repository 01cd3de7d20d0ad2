"""Draws sound and notes: waveform, spectrogram, piano roll; a PNG encoder (ISO/IEC 15948)."""

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples
from antiphon.signal.listening_mix import listening_mono


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """Encodes pixels `[rows, columns, 3]` (red, green, blue) as PNG, of colour type 2 without filters."""
    height, width, _ = pixels.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, 3 * width)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


WIDTH, HEIGHT, WAVE_HEIGHT = 480, 128, 40
"""Size in pixels of a spectrogram, and height of a waveform."""
LOWEST_KEY, KEYS = 21, 88
"""MIDI number of a piano's lowest key, and its keys: rows of a piano roll."""
LOWEST, HIGHEST = 40.0, 16000.0
"""Frequency range of a spectrogram in Hz."""
RANGE = 80.0
"""Displayed range in dB below full scale."""
FRAMES = 4096
_COLOURS = np.array([[8, 10, 24], [40, 42, 110], [150, 60, 130], [240, 130, 70], [255, 240, 180]], np.float64)
"""Colour map from silence to full scale."""
Levels = NDArray[np.float64]
"""Rows of `WIDTH` levels, 0 to 1, the highest row first."""


def piano_roll(notes: Sequence[Sequence[float]], seconds: float) -> Levels:
    """Levels of notes, one row per piano key. `notes`: seconds, length, number and velocity of each."""
    roll = np.zeros((KEYS, WIDTH))
    for start, length, number, velocity in notes:
        row, first = LOWEST_KEY + KEYS - 1 - int(number), int(WIDTH * start / seconds)
        if 0 <= row < KEYS:
            roll[row, first : max(first + 1, int(WIDTH * (start + length) / seconds))] = 0.5 + 0.5 * velocity
    return roll


def waveform(sound: Samples) -> Levels:
    """Levels of a waveform `[channels, frames]`, at least one, from the minimum to the maximum of each column."""
    mono = listening_mono(sound).astype(np.float64)
    bounds = np.linspace(0, len(mono), WIDTH + 1).astype(int)
    places = np.minimum(bounds[:-1], len(mono) - 1)
    low, high = np.minimum.reduceat(mono, places), np.maximum.reduceat(mono, places)
    heights = 1.0 - 2.0 * (np.arange(WAVE_HEIGHT) + 0.5)[:, None] / WAVE_HEIGHT
    half = 1.0 / WAVE_HEIGHT
    return np.where((heights >= low - half) & (heights <= high + half), 0.7, 0.0)


def levels_picture(*levels: Levels) -> bytes:
    """PNG of stacked levels, with a bright line between them."""
    line = np.full((1, WIDTH), 1.0)
    stacked = [part for each in levels if len(each) for part in (line, each)][1:]
    steps = np.linspace(0.0, 1.0, len(_COLOURS))
    level = np.concatenate(stacked)
    pixels = np.stack([np.interp(level, steps, _COLOURS[:, colour]) for colour in range(3)], axis=2)
    return png_bytes(pixels.astype(np.uint8))


def spectrogram(sound: Samples, rate: int) -> Levels:
    """Levels of a spectrogram of `[channels, frames]`: 40 Hz to 16 kHz on an octave scale, -80 dBFS to 0 dB."""
    mono = listening_mono(sound).astype(np.float64)
    starts = np.linspace(0, max(0, len(mono) - FRAMES), WIDTH).astype(int)
    padded = np.pad(mono, (0, FRAMES))
    pieces = np.stack([padded[at : at + FRAMES] for at in starts]) * np.hanning(FRAMES)
    power = np.abs(np.fft.rfft(pieces)) * 4.0 / FRAMES
    bounds = np.geomspace(LOWEST, HIGHEST, HEIGHT + 1) * FRAMES / rate
    first = np.minimum(bounds[:-1].astype(int), power.shape[1] - 2)
    last = np.maximum(first + 1, np.minimum(bounds[1:].astype(int), power.shape[1] - 1))
    rows = np.stack([power[:, a:b].max(axis=1) for a, b in zip(first, last, strict=True)])[::-1]
    levels: Levels = np.clip(1.0 + 20.0 * np.log10(np.maximum(rows, 1e-9)) / RANGE, 0.0, 1.0)
    return levels
