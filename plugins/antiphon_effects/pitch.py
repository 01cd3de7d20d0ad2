"""Pitch shift at constant length.

The peaks of a phase vocoder's spectra are shifted as whole regions, and their phases advanced from window to window by
the frequency difference (Laroche and Dolson, "New phase-vocoder techniques for pitch-shifting, harmonizing and other
exotic effects", WASPAA 1999). The frequency of a peak is its phase advance per hop (Flanagan and Golden, "Phase
vocoder", Bell System Technical Journal 45, 1966). `formants` preserves the spectral envelope: the low part of the
cepstrum (Oppenheim, "Speech analysis-synthesis system based on homomorphic filtering", JASA 45, 1969).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from antiphon.api import IO, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32, f32p, f64, f64p, fft_real, fft_real_inverse, i64, i64p, kernel
from antiphon_effects.phases import (
    TAU,
    PhaseSpectra,
    SpectraBuffers,
    effects_advance,
    effects_overlap,
    effects_peaks,
    effects_window,
    window_size,
)
from antiphon_effects.shared import effects_finite, smooth_param

WINDOWS = {"short": 0.043, "long": 0.085}
"""Window lengths in seconds: 2,048 and 4,096 frames at 48 kHz."""
SMOOTHEST = 0.0012
"""Length in seconds of the cepstrum taken as envelope: less than a period of 800 Hz."""
LOSS = 0.42
"""Loss of a partial halfway between two bins, 0.86 dB, by the square of its distance from a bin: the windows' product
there."""
MOST = 8.0
"""Maximum factor by which an envelope raises a partial."""
# places in `place`: frames of the output's hop that were given, frames of the input
_AT, _AGE = 0, 1


class PitchState(NamedTuple):
    """Where it is, each bin's turn, and the envelope that `formants` keeps."""

    place: i64p
    angles: f64p
    envelope: f32p
    cepstrum: f32p
    lifter: f32p


@kernel
def effects_shift(s: SpectraBuffers, count: i64, t: PitchState, formants: i64, ratio: f64) -> None:
    """target ← now with every peak at `ratio` of its frequency. angles: by which each bin's peak is turned."""
    bins = s.now.frames // 2
    size = 2 * (bins - 1)
    step = TAU / f64(size)
    for c in range(s.target.channels):
        for k in range(s.target.frames):
            s.target[c, k] = 0.0
    if count == 0:
        for k in range(bins):
            t.angles[k] = 0.0
    for i in range(count):
        peak = s.peaks[i]
        # radians a frame
        expected = step * f64(peak)
        ahead = effects_advance(s.now, s.before, peak) - expected * f64(s.hop)
        ahead = ahead - TAU * math.floor(ahead / TAU + 0.5)
        by = (ratio - 1.0) * (expected + ahead / f64(s.hop))
        turn = t.angles[peak] + by * f64(s.hop)
        turn = turn - TAU * math.floor(turn / TAU)
        bent = by / step
        move = i64(math.floor(bent + 0.5))
        off = bent - f64(move)
        g = 1.0 + LOSS * off * off
        cos = math.cos(turn) * g
        sin = math.sin(turn) * g
        first = s.edges[i]
        last = s.edges[i + 1]
        for k in range(first, last):
            t.angles[k] = turn
        first = max(first, -move)
        last = min(last, bins - move)
        for c in range(s.now.channels):
            for k in range(first, last):
                a = f64(s.now[c, 2 * k])
                b = f64(s.now[c, 2 * k + 1])
                e = f64(1.0)
                if formants == 1:
                    e = min(f64(t.envelope[k + move]) / f64(t.envelope[k]), MOST)
                j = 2 * (k + move)
                s.target[c, j] = s.target[c, j] + f32((a * cos - b * sin) * e)
                s.target[c, j + 1] = s.target[c, j + 1] + f32((a * sin + b * cos) * e)


@kernel
def effects_envelope(s: SpectraBuffers, t: PitchState, size: i64) -> None:
    """envelope ← the envelope of a spectrum of that power, a magnitude a bin. cepstrum: size + 2 floats, used."""
    bins = size // 2 + 1
    for k in range(bins):
        t.cepstrum[2 * k] = math.log(f64(s.power[k]) + 1e-12)
        t.cepstrum[2 * k + 1] = 0.0
    fft_real_inverse(t.cepstrum, size, s.turns, s.work, t.cepstrum)
    for n in range(size):
        t.cepstrum[n] = t.cepstrum[n] * t.lifter[n]
    fft_real(t.cepstrum, size, s.turns, s.work, t.cepstrum)
    for k in range(bins):
        t.envelope[k] = math.exp(0.5 * f64(t.cepstrum[2 * k]))


class PitchCurves(NamedTuple):
    """The parameters, a place a frame."""

    semitones: f32p
    cents: f32p
    mix: f32p


@kernel
def effects_pitch(
    x: Audio, y: Audio, frames: i64, p: PitchCurves, formants: i64, latency: i64, t: PitchState, s: SpectraBuffers
) -> None:
    """y ← x pitch-shifted, mixed with x delayed by `latency`. place: see `_AT`; the others as `PhaseSpectra`."""
    for n in range(frames):
        at = t.place[_AT]
        age = t.place[_AGE]
        for c in range(y.channels):
            s.past[c, age & s.mask] = effects_finite(x[c, n])
            dry = s.past[c, (age - latency) & s.mask]
            y[c, n] = dry + (s.output[c, at] - dry) * p.mix[n]
        t.place[_AGE] = age + 1
        t.place[_AT] = at + 1
        if at + 1 == s.hop:
            t.place[_AT] = 0
            ratio = math.exp2((f64(p.semitones[n]) + 0.01 * f64(p.cents[n])) / 12.0)
            for c in range(s.now.channels):
                for k in range(s.now.frames):
                    s.before[c, k] = s.now[c, k]
            effects_window(s, age + 1, s.now)
            count = effects_peaks(s)
            if formants == 1:
                effects_envelope(s, t, s.frame.frames)
            effects_shift(s, count, t, formants, ratio)
            effects_overlap(s)


class Pitch(Processor):
    """Higher or lower by `semitones` and `cents`, at the same speed. A new pitch is reached within a window."""

    split = True
    params = (
        Param(
            "semitones", low=-24.0, high=24.0, unit="semitones", smooth=0.03, doc="Transposition, the pitch up or down."
        ),
        Param("cents", default=0.0, low=-100.0, high=100.0, unit="cents", smooth=0.03, doc="Fine tuning, added to it."),
        smooth_param("mix", 1.0, 0.0, 1.0, "Dry/wet mix; less than 1 for harmony."),
        Param("formants", "switch", False, doc="Preserves formants: a voice keeps its vowels."),
        Param(
            "window",
            "choice",
            "long",
            choices=tuple(WINDOWS),
            restart=True,
            doc="FFT window: long for chords and low notes; short has half the latency.",
        ),
    )

    def prepare(self, spec: StreamSpec) -> None:
        size = window_size(WINDOWS[str(self.settings["window"])], spec.rate)
        self.latency = size
        self._spectra = PhaseSpectra(spec.channels, size, 2 * size)
        bins = size // 2 + 1
        place, angles, envelope = np.zeros(2, np.int64), np.zeros(bins), np.zeros(bins, np.float32)
        smooth = lifter(size, round(SMOOTHEST * spec.rate))
        self._state = PitchState(place, angles, envelope, np.zeros(2 * bins, np.float32), smooth)

    def reset(self) -> None:
        self._spectra.clear()
        self._state.angles.fill(0.0)
        self._state.place.fill(0)

    def step(self, io: IO) -> Step:
        return effects_pitch.step(
            io.audio_in[0],
            io.audio_out[0],
            io.frames,
            PitchCurves._make(map(io.curve, PitchCurves._fields)),
            int(io.at("formants", 0)),
            self.latency,
            self._state,
            self._spectra.record,
        )


def lifter(size: int, frames: int) -> np.ndarray:
    """Lifter: 1 for the first frames of a cepstrum and their mirror image, with soft edges; float32 `[size]`."""
    place = np.minimum(np.arange(size), size - np.arange(size))
    return np.clip(1.5 - place / frames, 0.0, 1.0).astype(np.float32)
