"""What `hum` is measured beside: librosa's YIN and pYIN, cut into notes plainly, and two that do not listen."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Found = list[tuple[float, float]]
"""Onset in seconds, and MIDI number."""
HOP, FRAME = 256, 2048
LEAST = 0.06
"""Seconds of a note at least."""


def cut(pitch: F64, level: F64, seconds: float) -> Found:
    """Notes of a pitch track: a new one where the rounded pitch of five frames' median changes, or after a gap.

    pitch: MIDI numbers, NaN unvoiced.  level: dB.  seconds: a frame's.
    """
    padded = np.pad(pitch, 2, constant_values=np.nan)
    frames = np.lib.stride_tricks.sliding_window_view(padded, 5)
    there = np.isfinite(frames).sum(axis=1) >= 3
    smooth = np.full(len(pitch), np.nan)
    smooth[there] = np.nanmedian(frames[there], axis=1)
    keys = np.where(np.isfinite(smooth) & (level > -60.0), np.round(np.nan_to_num(smooth)), -1).astype(int)
    edges = np.concatenate([[0], np.flatnonzero(np.diff(keys)) + 1, [len(keys)]])
    return [
        (float(a) * seconds, float(np.nanmedian(smooth[a:b])))
        for a, b in pairwise(edges)
        if keys[a] >= 0 and (b - a) * seconds >= LEAST
    ]


def _level(sound: F32, frames: int) -> F64:
    import librosa

    rms = librosa.feature.rms(y=sound, frame_length=FRAME, hop_length=HOP)[0][:frames]
    return np.asarray(20.0 * np.log10(np.maximum(rms, 1e-9)), np.float64)


def pyin(sound: F32, rate: int) -> Found:
    """librosa.pyin, 65 to 2093 Hz."""
    import librosa

    hz, voiced, _ = librosa.pyin(sound, fmin=65.4, fmax=2093.0, sr=rate, frame_length=FRAME, hop_length=HOP)
    pitch = np.where(voiced, librosa.hz_to_midi(np.where(voiced, hz, 440.0)), np.nan)
    return cut(pitch, _level(sound, len(pitch)), HOP / rate)


def yin(sound: F32, rate: int) -> Found:
    """librosa.yin, which calls every frame voiced; what is softer than -40 dB of the loudest frame is not."""
    import librosa

    hz = librosa.yin(sound, fmin=65.4, fmax=2093.0, sr=rate, frame_length=FRAME, hop_length=HOP)
    level = _level(sound, len(hz))
    pitch = np.where(level > level.max() - 40.0, librosa.hz_to_midi(hz), np.nan)
    return cut(pitch, level, HOP / rate)


def nothing(_sound: F32, _rate: int) -> Found:
    """No note."""
    return []


def held(_sound: F32, _rate: int) -> Found:
    """One note."""
    return [(0.0, 60.0)]


PEERS: dict[str, Callable[[F32, int], Found]] = {
    "nothing": nothing, "one note held": held, "librosa.yin, cut": yin, "librosa.pyin, cut": pyin,
}  # fmt: skip
