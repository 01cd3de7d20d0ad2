"""Peer systems of `hum`: one note, librosa's pYIN with segmentation, and Basic Pitch for chords."""

import tempfile
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from antiphon.api import F32, F64
from antiphon.api.backends.analysis import import_librosa
from antiphon_models.material.sounds import resampled

Found = list[tuple[float, float, float]]
"""Notes as rows: start and end in seconds, and MIDI number."""
RATE, HOP, FRAME = 22050, 256, 2048
"""librosa's own rate, and the frames of its trackers."""
MIN_NOTE_SECONDS = 0.06
"""Minimum length of a note in seconds."""


def cut(pitch: F64, level: F64, seconds: float) -> Found:
    """Notes of a pitch track, split where the rounded five-frame median pitch changes, or after a gap.

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
        (float(a) * seconds, float(b) * seconds, float(np.nanmedian(smooth[a:b])))
        for a, b in pairwise(edges)
        if keys[a] >= 0 and (b - a) * seconds >= MIN_NOTE_SECONDS
    ]


def _level(sound: F32, frames: int) -> F64:
    librosa = import_librosa()
    rms = librosa.feature.rms(y=sound, frame_length=FRAME, hop_length=HOP)[0][:frames]
    return np.asarray(20.0 * np.log10(np.maximum(rms, 1e-9)), np.float64)


def pyin(sound: F32, rate: int) -> Found:
    """librosa.pyin, 65 to 2093 Hz."""
    librosa = import_librosa()
    x = resampled(sound, rate, RATE)
    hz, voiced, _ = librosa.pyin(x, fmin=65.4, fmax=2093.0, sr=RATE, frame_length=FRAME, hop_length=HOP)
    pitch = np.where(voiced, librosa.hz_to_midi(np.where(voiced, hz, 440.0)), np.nan)
    return cut(pitch, _level(x, len(pitch)), HOP / RATE)


def single_note(sound: F32, rate: int) -> Found:
    return [(0.0, len(sound) / rate, 60.0)]


def basic_pitch(sound: F32, rate: int) -> Found:
    """Basic Pitch (Bittner et al., 2022) at its defaults."""
    import soundfile
    from basic_pitch.inference import predict

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/in.wav"
        soundfile.write(path, sound, rate, "FLOAT")
        _, _, notes = predict(path)
    return [(float(start), float(end), float(number)) for start, end, number, *_ in notes]


PEERS: dict[str, Callable[[F32, int], Found]] = {
    "one note": single_note,
    "librosa pyin": pyin,
    "Basic Pitch": basic_pitch,
}
