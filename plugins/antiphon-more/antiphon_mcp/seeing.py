"""Sound as figures: levels of bands, onsets."""

import numpy as np
from numpy.typing import NDArray

from antiphon.api import Samples
from antiphon.api.backends.analysis import ONSET_RISE, level_rises, listening_mono, piece_frames

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
QUIETEST = -120.0
MAX_ONSETS = 256


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
