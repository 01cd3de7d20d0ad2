"""Pitch shift at constant length.

The peaks of a phase vocoder's spectra are shifted as whole regions, and their phases advanced from window to window by
the frequency difference (Laroche and Dolson, "New phase-vocoder techniques for pitch-shifting, harmonizing and other
exotic effects", WASPAA 1999). The frequency of a peak is its phase advance per hop (Flanagan and Golden, "Phase
vocoder", Bell System Technical Journal 45, 1966). `formants` preserves the spectral envelope: the low part of the
cepstrum (Oppenheim, "Speech analysis-synthesis system based on homomorphic filtering", JASA 45, 1969).
"""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import IO, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32, f32p, f64, f64p, fft_real, fft_real_inverse, i64, i64p, kernel
from antiphon_effects.phases import (
    TAU,
    PhaseSpectra,
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


@kernel
def effects_shift(
    now: Audio,
    before: Audio,
    target: Audio,
    edges: i64p,
    peaks: i64p,
    count: i64,
    angles: f64p,
    envelope: f32p,
    formants: i64,
    ratio: f64,
    hop: i64,
) -> None:
    """target ← now with every peak shifted to `ratio` of its frequency. angles: phase rotation of each bin's peak."""
    bins = now.frames // 2
    size = 2 * (bins - 1)
    step = TAU / f64(size)
    for c in range(target.channels):
        for k in range(target.frames):
            target[c, k] = 0.0
    if count == 0:
        for k in range(bins):
            angles[k] = 0.0
    for i in range(count):
        peak = peaks[i]
        # radians a frame
        expected = step * f64(peak)
        ahead = effects_advance(now, before, peak) - expected * f64(hop)
        ahead = ahead - TAU * math.floor(ahead / TAU + 0.5)
        by = (ratio - 1.0) * (expected + ahead / f64(hop))
        turn = angles[peak] + by * f64(hop)
        turn = turn - TAU * math.floor(turn / TAU)
        bent = by / step
        move = i64(math.floor(bent + 0.5))
        off = bent - f64(move)
        g = 1.0 + LOSS * off * off
        cos = math.cos(turn) * g
        sin = math.sin(turn) * g
        first = edges[i]
        last = edges[i + 1]
        for k in range(first, last):
            angles[k] = turn
        first = max(first, -move)
        last = min(last, bins - move)
        for c in range(now.channels):
            for k in range(first, last):
                a = f64(now[c, 2 * k])
                b = f64(now[c, 2 * k + 1])
                e = f64(1.0)
                if formants == 1:
                    e = min(f64(envelope[k + move]) / f64(envelope[k]), MOST)
                j = 2 * (k + move)
                target[c, j] = target[c, j] + f32((a * cos - b * sin) * e)
                target[c, j + 1] = target[c, j + 1] + f32((a * sin + b * cos) * e)


@kernel
def effects_envelope(
    power: f32p, envelope: f32p, cepstrum: f32p, lifter: f32p, turns: f32p, work: f32p, size: i64
) -> None:
    """envelope ← spectral envelope of a power spectrum, a magnitude a bin. cepstrum: size + 2 floats, scratch."""
    bins = size // 2 + 1
    for k in range(bins):
        cepstrum[2 * k] = math.log(f64(power[k]) + 1e-12)
        cepstrum[2 * k + 1] = 0.0
    fft_real_inverse(cepstrum, size, turns, work, cepstrum)
    for n in range(size):
        cepstrum[n] = cepstrum[n] * lifter[n]
    fft_real(cepstrum, size, turns, work, cepstrum)
    for k in range(bins):
        envelope[k] = math.exp(0.5 * f64(cepstrum[2 * k]))


@kernel
def effects_pitch(
    x: Audio,
    y: Audio,
    frames: i64,
    semitones: f32p,
    cents: f32p,
    mix: f32p,
    formants: i64,
    latency: i64,
    place: i64p,
    angles: f64p,
    envelope: f32p,
    cepstrum: f32p,
    lifter: f32p,
    past: Audio,
    mask: i64,
    hop: i64,
    output: Audio,
    window: f32p,
    scaled: f32p,
    frame: Audio,
    sums: Audio,
    now: Audio,
    before: Audio,
    target: Audio,
    power: f32p,
    edges: i64p,
    peaks: i64p,
    turns: f32p,
    work: f32p,
) -> None:
    """y ← x pitch-shifted, mixed with x delayed by `latency`. place: see `_AT`; the others as `PhaseSpectra`."""
    for n in range(frames):
        at = place[_AT]
        age = place[_AGE]
        for c in range(y.channels):
            past[c, age & mask] = effects_finite(x[c, n])
            dry = past[c, (age - latency) & mask]
            y[c, n] = dry + (output[c, at] - dry) * mix[n]
        place[_AGE] = age + 1
        place[_AT] = at + 1
        if at + 1 == hop:
            place[_AT] = 0
            ratio = math.exp2((f64(semitones[n]) + 0.01 * f64(cents[n])) / 12.0)
            for c in range(now.channels):
                for k in range(now.frames):
                    before[c, k] = now[c, k]
            effects_window(past, mask, age + 1, window, frame, turns, work, now)
            count = effects_peaks(now, power, edges, peaks)
            if formants == 1:
                effects_envelope(power, envelope, cepstrum, lifter, turns, work, frame.frames)
            effects_shift(now, before, target, edges, peaks, count, angles, envelope, formants, ratio, hop)
            effects_overlap(target, turns, work, frame, scaled, sums, hop, output)


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
        self._angles = np.zeros(bins)
        self._envelope = np.zeros(bins, np.float32)
        self._cepstrum = np.zeros(2 * bins, np.float32)
        self._lifter = lifter(size, round(SMOOTHEST * spec.rate))
        self._place = np.zeros(2, np.int64)

    def reset(self) -> None:
        self._spectra.clear()
        self._angles.fill(0.0)
        self._place.fill(0)

    def step(self, io: IO) -> Step:
        return effects_pitch.step(
            io.audio_in[0],
            io.audio_out[0],
            io.frames,
            io.curve("semitones"),
            io.curve("cents"),
            io.curve("mix"),
            int(io.at("formants", 0)),
            self.latency,
            self._place,
            self._angles,
            self._envelope,
            self._cepstrum,
            self._lifter,
            *self._spectra.arguments,
        )


def lifter(size: int, frames: int) -> np.ndarray:
    """Lifter: 1 for the first frames of a cepstrum and their mirror image, with soft edges; float32 `[size]`."""
    place = np.minimum(np.arange(size), size - np.arange(size))
    return np.clip(1.5 - place / frames, 0.0, 1.0).astype(np.float32)
