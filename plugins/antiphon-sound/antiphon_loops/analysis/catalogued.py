"""Analyses `loop` and `fit` as stored in the catalogue: the fields of a `Loop`, its harmony and rhythm."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api import Samples
from antiphon.api.backends.analysis import Analysis, AnalysisRun, Quantity, plain_result
from antiphon_loops.analysis.analyse import read
from antiphon_loops.analysis.reading import (
    NO_LABEL,
    NoLoop,
    TempoLabel,
    fit_values,
    most_frames,
    read_tempo_label,
    too_long,
)
from antiphon_loops.record import Loop

NAME = "loop"
PREFIX = "loop_"
REASON = "no_loop"
ENDING = "loop_ending"
COMPATIBLE_VERSIONS = (3, 4, 5, 6, 7, 8)
"""Versions of rows that are compatible with the loops of this version."""
_FIELDS = (
    ("rate", "number", "Hz", "Of the file."),
    ("start", "number", "s", "Where the loop begins in the file."),
    ("seconds", "number", "s", "Its length."),
    ("bpm", "number", "bpm", "Beats a minute when it holds so many bars of four."),
    ("bars", "number", "", "Bars of four."),
    ("tempo_sure", "number", "", "How certain the tempo is: 0 without a beat, 1 where it is stated."),
    ("tempo_from", "text", "", "Where the tempo is from: sound, name, number, file or user."),
    ("other_bpm", "number", "bpm", "The second best tempo."),
    ("key", "text", "", 'As "A minor".'),
    ("key_sure", "number", "", "How certain the key is."),
    ("instrument", "text", "", "drums, bass or harmonic."),
    ("role", "text", "", "drums, bass, chords or melody."),
    ("lufs", "number", "LUFS", "Integrated loudness."),
    ("peak", "number", "dBTP", "True peak."),
    ("pitch", "number", "", "Median MIDI number of the lead note."),
    ("contour", "numbers", "", "Semitones from that in each 16th part; none where nothing sounds."),
    ("chroma", "numbers", "", "Share of each pitch class from C on; empty for drums."),
    ("pattern", "numbers", "", "Onset strength in the 16ths of a bar."),
    ("straight", "number", "", "1 where all onsets lie on 16ths."),
    ("levels", "numbers", "dB", "Of each bar, the loudest 0."),
    ("danceability", "number", "", "By rule, 0 to 1."),
    ("valence", "number", "", "By rule, 0 to 1."),
    ("arousal", "number", "", "By rule, 0 to 1."),
    ("mood", "text", "", "A word for these."),
    ("style", "text", "", "A word for the groove or the playing."),
    ("mfcc", "numbers", "", "Means of 13 coefficients."),
    ("confidence", "number", "", "How certain it is that it is a loop with a beat."),
)
"""Fields of `Loop` except `file`, each with kind, unit and sentence."""
_WHOLE = ("rate", "bars")
_SILENT = 1e-8
"""Mean power of silence."""
_HELD, _FAINT = 3.0, 0.01
"""Length of sound in seconds; share of the peak, -40 dB, below which a sound is silent."""


class LoopAnalysis(Analysis):
    """Loop analysis of a sound by its content; for a too short, too long or silent sound, the reason."""

    version = COMPATIBLE_VERSIONS[-1]
    by_name = True
    longest = 60.0
    quantities = (
        *(Quantity(PREFIX + name, kind, unit, doc) for name, kind, unit, doc in _FIELDS),  # type: ignore[arg-type]
        Quantity(REASON, "text", "", "Why it is no loop; none for a loop."),
        Quantity(ENDING, "number", "dB", "Level of its last quarter, of the loudest 0: far below in one stroke."),
    )

    def begin(self, rate: int, channels: int) -> LoopRun:
        return LoopRun(rate, min(2, channels))


class LoopRun(AnalysisRun):
    """Buffers the samples of a loop, none if it is too long. `rate`: of the sound, Hz."""

    def __init__(self, rate: int, channels: int) -> None:
        self.rate, self._most = rate, most_frames(rate, channels)
        self._pieces: list[Samples] = []
        self._frames = 0

    def feed(self, block: Samples) -> None:
        self._frames += block.shape[1]
        if self._frames > self._most:
            self._pieces = []
        else:
            self._pieces.append(np.array(block[:2]))

    def samples(self) -> Samples:
        """All fed samples, float32 `[1 or 2, frames]`. Raises NoLoop: it is nothing, or too long."""
        if not self._frames:
            raise NoLoop("it", "there is nothing in it")
        if self._frames > self._most:
            raise too_long("it", self._frames / self.rate, self._most / self.rate)
        return np.ascontiguousarray(np.concatenate(self._pieces, axis=1))

    def label(self) -> TempoLabel:
        """Tempo label of the known beats; else what the file states, by its name, `acid` and `smpl`."""
        if not self._frames:
            return NO_LABEL
        if not self.beats:
            return read_tempo_label(Path(self.file), self.file) if self.file else NO_LABEL
        return TempoLabel(60.0 * self.beats * self.rate / self._frames, True, "user")

    def result(self) -> Mapping[str, Any]:
        from antiphon_loops.analysis.analyse import analyse

        ending: float | None = None
        try:
            samples = self.samples()
            ending = _ending_level(samples, self.rate)
            return {**quantities_of(analyse(samples, self.rate, label=self.label())), ENDING: ending}
        except NoLoop as error:
            return {**reason_values(error.reason), ENDING: ending}


def _ending_level(samples: Samples, rate: int) -> float | None:
    """Level of the last quarter relative to the loudest, dB; None for silence or fewer than four frames.

    Silence after at least `_HELD` seconds of sound is ignored, as a sustained note ends there without fading.
    """
    loud = np.flatnonzero(np.abs(samples).max(axis=0) > _FAINT * np.abs(samples).max(initial=0.0))
    if loud.size and loud[-1] >= _HELD * rate:
        samples = samples[:, : loud[-1] + 1]
    if samples.shape[1] < 4:
        return None
    power = [float((part.astype(np.float64) ** 2).mean()) for part in np.array_split(samples, 4, axis=1)]
    top = max(power)
    return round(10.0 * float(np.log10(max(power[3] / top, 1e-10))), 2) if top > _SILENT else None


def quantities_of(loop: Loop) -> dict[str, Any]:
    return {REASON: None, ENDING: None, **{PREFIX + name: getattr(loop, name) for name, *_ in _FIELDS}}


def reason_values(reason: str) -> dict[str, Any]:
    return {**{PREFIX + name: None for name, *_ in _FIELDS}, REASON: reason, ENDING: None}


def to_stored(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of `quantities_of` or `reason_values` as JSON data, numbers rounded to 6 digits.

    Raises PluginError: a value is not of its quantity's kind.
    """
    return plain_result(NAME, LoopAnalysis(), values)


def loop_from_values(values: Mapping[str, Any], name: str) -> Loop:
    """Loop of `to_stored` values. Raises KeyError: a value is missing. Raises TypeError: one has another form."""
    stated = {f"{PREFIX}confidence": 0.0, **values}  # which version 3 has not
    fields = {field: stated[PREFIX + field] for field, *_ in _FIELDS}
    fields |= {field: int(fields[field]) for field in _WHOLE}
    return Loop.from_json({"file": name, **fields})


FIT = "fit"


class FitAnalysis(Analysis):
    """Compatibility analysis for `library fits`: the first four bars of a loop; None for other sounds."""

    version = 3
    by_name = True
    longest = 60.0
    quantities = (
        Quantity("fit_bpm", "number", "bpm", "Tempo of the bars that were compared."),
        Quantity("fit_density", "number", "", "Onsets a beat."),
        Quantity("fit_register", "number", "", "Mean MIDI number of the notes; none for drums."),
        Quantity("fit", "vector", "", "Harmony of 16 beats and rhythm: the product of two is how well they fit."),
    )

    def begin(self, rate: int, channels: int) -> LoopRun:
        return FitRun(rate, min(2, channels))


class FitRun(LoopRun):
    """Buffers the samples of a loop."""

    def result(self) -> Mapping[str, Any]:
        try:
            return fit_values(read(self.samples(), self.rate, label=self.label()))
        except NoLoop:
            return {quantity.name: None for quantity in FitAnalysis.quantities}
