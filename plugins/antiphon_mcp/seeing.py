"""Sound as a picture and as figures: a spectrogram, levels of bands, onsets."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from antiphon.api import Samples
from antiphon.api.backends.analysis import ONSET_RISE, level_rises, listening_mono, piece_frames
from antiphon.api.backends.files import png_bytes

BANDS = {
    "sub": (20, 60),
    "bass": (60, 250),
    "low mid": (250, 500),
    "mid": (500, 2000),
    "high mid": (2000, 4000),
    "presence": (4000, 8000),
    "air": (8000, 20000),
}
"""Bands in Hz by name."""
WIDTH, HEIGHT = 480, 128
"""Pixels of a spectrogram."""
LOWEST_KEY, KEYS = 21, 88
"""MIDI number of a piano's lowest key, and its keys: rows of a piano roll."""
NOTHING = np.zeros((0, WIDTH))
LOWEST, HIGHEST = 40.0, 16000.0
RANGE = 80.0
"""Displayed range in dB below full scale."""
FRAMES = 4096
QUIETEST = -120.0
MAX_ONSETS = 256
_COLOURS = np.array([[8, 10, 24], [40, 42, 110], [150, 60, 130], [240, 130, 70], [255, 240, 180]], np.float64)
"""Colour map from silence to full scale."""


def piano_roll(notes: Sequence[Sequence[float]], seconds: float) -> NDArray[np.float64]:
    """Rows of levels 0 to 1 for `spectrogram`: a key of the piano is a row, the highest first.

    `notes`: seconds, length, number and velocity of each.
    """
    roll = np.zeros((KEYS, WIDTH))
    for start, length, number, velocity in notes:
        row, first = LOWEST_KEY + KEYS - 1 - int(number), int(WIDTH * start / seconds)
        if 0 <= row < KEYS:
            roll[row, first : max(first + 1, int(WIDTH * (start + length) / seconds))] = 0.5 + 0.5 * velocity
    return roll


def spectrogram(sound: Samples, rate: int, below: NDArray[np.float64] = NOTHING) -> bytes:
    """A spectrogram as PNG: time to the right, 40 Hz to 16 kHz upwards by octaves, -80 dBFS to 0 dB from dark to light.

    `sound`: `[channels, frames]`. `below`: rows of levels 0 to 1 under it.
    """
    mono = _mono(sound)
    starts = np.linspace(0, max(0, len(mono) - FRAMES), WIDTH).astype(int)
    padded = np.pad(mono, (0, FRAMES))
    pieces = np.stack([padded[at : at + FRAMES] for at in starts]) * np.hanning(FRAMES)
    power = np.abs(np.fft.rfft(pieces)) * 4.0 / FRAMES
    bounds = np.geomspace(LOWEST, HIGHEST, HEIGHT + 1) * FRAMES / rate
    first = np.minimum(bounds[:-1].astype(int), power.shape[1] - 2)
    last = np.maximum(first + 1, np.minimum(bounds[1:].astype(int), power.shape[1] - 1))
    rows = np.stack([power[:, a:b].max(axis=1) for a, b in zip(first, last, strict=True)])[::-1]
    level = np.clip(1.0 + 20.0 * np.log10(np.maximum(rows, 1e-9)) / RANGE, 0.0, 1.0)
    if len(below):
        level = np.concatenate([level, np.full((1, WIDTH), 1.0), below])
    steps = np.linspace(0.0, 1.0, len(_COLOURS))
    pixels = np.stack([np.interp(level, steps, _COLOURS[:, colour]) for colour in range(3)], axis=2)
    return png_bytes(pixels.astype(np.uint8))


def bands(sound: Samples, rate: int) -> dict[str, float]:
    """Level of each band, dBFS (RMS)."""
    mono = _mono(sound)
    if not len(mono):
        return dict.fromkeys(BANDS, QUIETEST)
    power = np.abs(np.fft.rfft(mono)) ** 2 * 2.0 / len(mono) ** 2
    hertz = np.fft.rfftfreq(len(mono), 1.0 / rate)
    found = {}
    for name, (low, high) in BANDS.items():
        inside = float(power[(hertz >= low) & (hertz < high)].sum())
        found[name] = round(max(QUIETEST, 10.0 * float(np.log10(max(inside, 1e-12)))), 1)
    return found


def onsets(sound: Samples, rate: int) -> list[float]:
    """Onset times in seconds."""
    piece = piece_frames(rate)
    mono = _mono(sound)[: len(sound[0]) // piece * piece]
    if len(mono) < 2 * piece:
        return []
    rises = level_rises(mono, rate, (1, 2), circular=False)
    peaks = (rises > ONSET_RISE) & (rises >= np.roll(rises, 1)) & (rises > np.roll(rises, -1))
    return [round(float(at * piece / rate), 3) for at in np.flatnonzero(peaks)[:MAX_ONSETS]]


def _mono(sound: Samples) -> NDArray[np.float64]:
    return listening_mono(sound).astype(np.float64)
