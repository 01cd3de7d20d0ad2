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
from antiphon.api.backends.signal import PhaseSpectra, SpectraBuffers, vocoder_overlap, vocoder_peaks, vocoder_window
from antiphon.api.kernels import Audio, f32, f32p, f64, f64p, fft_real, fft_real_inverse, i64, i64p, kernel
from antiphon_effects.shared import PI, effects_finite, smooth_param

TAU = 2.0 * math.pi


@kernel
def effects_atan2(y: f64, x: f64) -> f64:
    """atan2(y, x), -π to π, within 2e-8. Abramowitz and Stegun, Handbook of Mathematical Functions, 4.4.49."""
    a = abs(x)
    b = abs(y)
    top = max(a, b)
    if top == 0.0:
        return 0.0
    t = min(a, b) / top
    s = t * t
    p = ((0.0028662257 * s - 0.0161657367) * s + 0.0429096138) * s - 0.0752896400
    p = (((p * s + 0.1065626393) * s - 0.1420889944) * s + 0.1999355085) * s - 0.3333314528
    v = t + t * s * p
    v = 0.5 * PI - v if b > a else v
    v = PI - v if x < 0.0 else v
    return -v if y < 0.0 else v


@kernel
def effects_phase_advance(now: Audio, before: Audio, bin: i64) -> f64:
    """Phase advance of a bin from one spectrum to the other, -π to π, over all channels."""
    re = f64(0.0)
    im = f64(0.0)
    for c in range(now.channels):
        a = f64(before[c, 2 * bin])
        b = f64(before[c, 2 * bin + 1])
        x = f64(now[c, 2 * bin])
        y = f64(now[c, 2 * bin + 1])
        re = re + a * x + b * y
        im = im + a * y - b * x
    return effects_atan2(im, re)


def window_size(seconds: float, rate: int) -> int:
    """Window size in frames for about `seconds`: a power of two."""
    return 1 << max(6, round(math.log2(seconds * rate)))


WINDOWS = {"short": 0.043, "long": 0.085}
"""Window lengths in seconds: 2,048 and 4,096 frames at 48 kHz."""
LIFTER_SECONDS = 0.0012
"""Length in seconds of the cepstrum taken as envelope: less than a period of 800 Hz."""
SCALLOPING_FACTOR = 0.42
"""Factor of the gain 1 + factor · offset², offset in bins, which makes a partial between two bins as loud as on one:
the windows' product loses 0.86 dB halfway."""
MAX_ENVELOPE_GAIN = 8.0
"""Maximum factor by which an envelope raises a partial."""
# places in `place`: frames of the output's hop that were given, frames of the input
_AT, _AGE = 0, 1


class PitchState(NamedTuple):
    """Position, phase rotation of each bin, and the envelope kept by `formants`."""

    place: i64p
    angles: f64p
    envelope: f32p
    cepstrum: f32p
    lifter: f32p


@kernel
def effects_shift(s: SpectraBuffers, count: i64, t: PitchState, formants: i64, ratio: f64) -> None:
    """target ← now with every peak at `ratio` times its frequency. angles: phase rotation of each bin's peak."""
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
        ahead = effects_phase_advance(s.now, s.before, peak) - expected * f64(s.hop)
        ahead = ahead - TAU * math.floor(ahead / TAU + 0.5)
        by = (ratio - 1.0) * (expected + ahead / f64(s.hop))
        turn = t.angles[peak] + by * f64(s.hop)
        turn = turn - TAU * math.floor(turn / TAU)
        bent = by / step
        move = i64(math.floor(bent + 0.5))
        off = bent - f64(move)
        g = 1.0 + SCALLOPING_FACTOR * off * off
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
                    e = min(f64(t.envelope[k + move]) / f64(t.envelope[k]), MAX_ENVELOPE_GAIN)
                j = 2 * (k + move)
                s.target[c, j] = s.target[c, j] + f32((a * cos - b * sin) * e)
                s.target[c, j + 1] = s.target[c, j + 1] + f32((a * sin + b * cos) * e)


@kernel
def effects_envelope(s: SpectraBuffers, t: PitchState, size: i64) -> None:
    """envelope ← spectral envelope, a magnitude per bin, from `power`. cepstrum: scratch of size + 2 floats."""
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
    """The parameters, one value per frame."""

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
            vocoder_window(s, age + 1, s.now)
            count = vocoder_peaks(s)
            if formants == 1:
                effects_envelope(s, t, s.frame.frames)
            effects_shift(s, count, t, formants, ratio)
            vocoder_overlap(s)


class Pitch(Processor):
    """Shifts the pitch by `semitones` and `cents` at constant speed. A new pitch is reached within a window."""

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
        smooth = lifter(size, round(LIFTER_SECONDS * spec.rate))
        self._state = PitchState(place, angles, envelope, np.zeros(2 * bins, np.float32), smooth)

    def reset(self) -> None:
        self._spectra.clear()
        self._state.angles.fill(0.0)
        self._state.place.fill(0)

    def step(self, io: IO) -> Step:
        x, y, curves = io.audio_in[0], io.audio_out[0], PitchCurves._make(map(io.curve, PitchCurves._fields))
        formants = int(io.at("formants", 0))
        return effects_pitch.step(x, y, io.frames, curves, formants, self.latency, self._state, self._spectra.record)


def lifter(size: int, frames: int) -> np.ndarray:
    """Lifter: 1 for the first frames of a cepstrum and their mirror image, with soft edges; float32 `[size]`."""
    place = np.minimum(np.arange(size), size - np.arange(size))
    return np.clip(1.5 - place / frames, 0.0, 1.0).astype(np.float32)
