"""Polyphonic transcription of files: the network of Basic Pitch (Bittner et al., ICASSP 2022), installed separately.

Its wheel holds the network as ONNX, 230 kB; nothing else of it is used. Its frames are decoded here: a peak of the
network's onsets begins a note, which lasts while its pitch sounds.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api import F32, Samples, UsageError
from antiphon.api.backends.models import check_onnx

MODE = "polyphonic"
RATE, HOP = 22050, 256
"""Sample rate in Hz, and hop of the network's frames in samples."""
WINDOW = 2 * RATE - HOP
"""Input length in samples, for 172 frames."""
EDGE, FRAMES = 15, 140
"""Frames dropped at a window's start for lack of context, and those used."""
LOWEST = 21
"""MIDI number of the first of 88 pitches."""
ONSET, SOUNDING = 0.65, 0.4
"""Thresholds of an onset peak at a sensitivity of 0.5, and of a sustained pitch. Chosen on six excerpts of three songs;
.5 and .3, the package's own, find as many notes and half as many more that were not played."""
REACH = 0.4
"""Change of `ONSET` over the whole range of `sensitivity`."""
GAP, LEAST = 11, 9
"""Maximum frames below the threshold within a note, and minimum length of a note: 128 and 104 ms."""
INPUT, ANSWERS = "serving_default_input_2:0", ("StatefulPartitionedCall:1", "StatefulPartitionedCall:2")
"""Names of the network's input, and of its outputs `[1, 172, 88]` of sustained pitches and of onsets."""


def installed() -> bool:
    """Whether the network is installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("basic_pitch", "onnxruntime"))


def network() -> Any:
    """The network, single-threaded. Raises UsageError: it is not installed."""
    package = importlib.util.find_spec("basic_pitch")
    if package is None or package.origin is None or not installed():
        raise UsageError(
            f"mode={MODE} plays Basic Pitch's network, which is not installed: "
            "pip install onnxruntime && pip install --no-deps basic-pitch"
        )
    import onnxruntime

    data = (Path(package.origin).parent / "saved_models" / "icassp_2022" / "nmp.onnx").read_bytes()
    check_onnx(data)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


class PolyphonicModel:
    """Computes the network's answers to a streamed sound at `RATE`. `frames`: number of samples processed."""

    def __init__(self) -> None:
        self._network = network()
        # the first window's edge lies before the sound
        self._sound: F32 = np.zeros(EDGE * HOP, np.float32)
        self._answers: list[tuple[F32, F32]] = []
        self.frames = 0

    def feed(self, sound: Samples) -> None:
        """Processes the next float32 `[1, n]` of the sound."""
        self.frames += sound.shape[1]
        self._take(sound[0])

    def end(self) -> tuple[F32, F32]:
        """Ends the sound: probability of each sustained pitch, and of each onset, each `[frames, 88]`."""
        self._take(np.zeros(WINDOW, np.float32))
        sounding, onsets = zip(*self._answers, strict=True)
        used = -(-self.frames // HOP)
        return np.concatenate(sounding)[:used], np.concatenate(onsets)[:used]

    def _take(self, sound: F32) -> None:
        self._sound = np.concatenate([self._sound, sound])
        while len(self._sound) >= WINDOW:
            found = self._network.run(ANSWERS, {INPUT: self._sound[None, :WINDOW, None]})
            sounding, onsets = (one[0, EDGE : EDGE + FRAMES] for one in found)
            self._answers.append((sounding, onsets))
            self._sound = self._sound[FRAMES * HOP :]


def decode(sounding: F32, onsets: F32, sensitivity: float = 0.5) -> list[tuple[int, int, int, float]]:
    """Notes as (first frame, end, MIDI number, strength 0 to 1), in order of their start."""
    least = ONSET - REACH * (sensitivity - 0.5)
    notes = []
    for pitch in range(sounding.shape[1]):
        begun = np.pad(onsets[:, pitch], 1)
        peaks = np.flatnonzero((begun[1:-1] > least) & (begun[1:-1] >= begun[:-2]) & (begun[1:-1] > begun[2:]))
        strong = np.flatnonzero(sounding[:, pitch] >= SOUNDING)
        for start, stop in zip(peaks, np.append(peaks, len(sounding))[1:], strict=True):
            held = strong[(strong >= start) & (strong < stop)]
            breaks = np.flatnonzero(np.diff(held, prepend=start) > GAP)
            held = held[: breaks[0]] if len(breaks) else held
            if len(held) and held[-1] + 1 - start >= LEAST:
                end = int(held[-1]) + 1
                strength = float(sounding[start:end, pitch].mean())
                notes.append((int(start), end, LOWEST + pitch, strength))
    return sorted(notes)
