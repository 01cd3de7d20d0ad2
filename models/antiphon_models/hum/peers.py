"""What `hum` is measured beside: librosa's YIN and pYIN, cut plainly, SwiftF0, Basic Pitch, two that do not listen."""

from __future__ import annotations

import importlib.util
import logging
import sys
import tempfile
import types
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api import F32, F64
from antiphon.kernel.signal.features import import_librosa
from antiphon_models.material.sounds import resampled

Found = list[tuple[float, float, float]]
"""Seconds from and to, and MIDI number."""
RATE, HOP, FRAME = 22050, 256, 2048
"""librosa's own rate, and the frames of its trackers."""
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
        (float(a) * seconds, float(b) * seconds, float(np.nanmedian(smooth[a:b])))
        for a, b in pairwise(edges)
        if keys[a] >= 0 and (b - a) * seconds >= LEAST
    ]


def _level(sound: F32, frames: int) -> F64:
    librosa = import_librosa()
    rms = librosa.feature.rms(y=sound, frame_length=FRAME, hop_length=HOP)[0][:frames]
    return np.asarray(20.0 * np.log10(np.maximum(rms, 1e-9)), np.float64)


def _at_rate(sound: F32, rate: int) -> F32:
    return resampled(sound, rate, RATE)


def pyin(sound: F32, rate: int) -> Found:
    """librosa.pyin, 65 to 2093 Hz."""
    librosa = import_librosa()
    x = _at_rate(sound, rate)
    hz, voiced, _ = librosa.pyin(x, fmin=65.4, fmax=2093.0, sr=RATE, frame_length=FRAME, hop_length=HOP)
    pitch = np.where(voiced, librosa.hz_to_midi(np.where(voiced, hz, 440.0)), np.nan)
    return cut(pitch, _level(x, len(pitch)), HOP / RATE)


def yin(sound: F32, rate: int) -> Found:
    """librosa.yin, which calls every frame voiced; what is softer than -40 dB of the loudest frame is not."""
    librosa = import_librosa()
    x = _at_rate(sound, rate)
    hz = librosa.yin(x, fmin=65.4, fmax=2093.0, sr=RATE, frame_length=FRAME, hop_length=HOP)
    level = _level(x, len(hz))
    pitch = np.where(level > level.max() - 40.0, librosa.hz_to_midi(hz), np.nan)
    return cut(pitch, level, HOP / RATE)


def nothing(_sound: F32, _rate: int) -> Found:
    return []


def single_note(sound: F32, rate: int) -> Found:
    return [(0.0, len(sound) / rate, 60.0)]


@cache
def _basic_pitch() -> tuple[Any, Any, Any] | None:
    """Its inference, its note creation and its network (the ONNX one of its wheel); None where it is not installed."""
    if importlib.util.find_spec("basic_pitch") is None or importlib.util.find_spec("onnxruntime") is None:
        return None
    # it imports these for what is not asked of it here
    for name in ("resampy", "pretty_midi"):
        if importlib.util.find_spec(name) is None:
            stand_in: Any = types.ModuleType(name)
            stand_in.PrettyMIDI = stand_in.Instrument = object
            sys.modules[name] = stand_in
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        import basic_pitch
        from basic_pitch import inference, note_creation

        where = Path(str(basic_pitch.__file__)).parent / "saved_models" / "icassp_2022" / "nmp.onnx"
        return inference, note_creation, inference.Model(str(where))
    finally:
        logging.disable(before)


def basic_pitch(sound: F32, rate: int) -> Found:
    """Basic Pitch (Bittner et al., 2022) at its defaults."""
    import soundfile

    got = _basic_pitch()
    if got is None:
        return []
    inference, creation, model = got
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound.wav"
        soundfile.write(path, sound, rate, "FLOAT")
        made = inference.run_inference(path, model)
    # as its `predict` asks by default: frames of 127.70 ms at least
    least = round(127.70 / 1000 * (22050 / 256))
    notes = creation.output_to_notes_polyphonic(
        made["note"],
        made["onset"],
        onset_thresh=0.5,
        frame_thresh=0.3,
        infer_onsets=True,
        min_note_len=least,
        min_freq=None,
        max_freq=None,
    )
    times = creation.model_frames_to_time(made["contour"].shape[0])
    return sorted((float(times[a]), float(times[b]), float(pitch)) for a, b, pitch, _ in notes)


def swift_f0(sound: F32, rate: int) -> Found:
    """SwiftF0 (Nieradzik, 2025) and its own segmentation, at its defaults."""
    if not has_swift_f0():
        return []
    from swift_f0 import SwiftF0, segment_notes

    notes = segment_notes(SwiftF0(threads=1).detect(sound, rate))
    return [(note.start, note.end, float(69.0 + 12.0 * np.log2(note.pitch_hz / 440.0))) for note in notes]


def has_swift_f0() -> bool:
    """Whether it and the runtime that it needs are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("swift_f0", "onnxruntime"))


PEERS: dict[str, Callable[[F32, int], Found]] = {
    "nothing": nothing,
    "one note": single_note,
    "librosa yin": yin,
    "librosa pyin": pyin,
    "SwiftF0": swift_f0,
    "Basic Pitch": basic_pitch,
}


def has_basic_pitch() -> bool:
    return _basic_pitch() is not None
