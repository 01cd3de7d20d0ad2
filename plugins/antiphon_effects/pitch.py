"""Pitch shift: every partial to another frequency, with the length as it is.

The peaks of a phase vocoder's spectra are moved as wholes, and turned from window to window by what their new frequency
is ahead (Laroche and Dolson, "New phase-vocoder techniques for pitch-shifting, harmonizing and other exotic effects",
WASPAA 1999). The frequency of a peak is that by which its phase advances in a hop (Flanagan and Golden, "Phase
vocoder", Bell System Technical Journal 45, 1966). What `formants` keeps is the spectrum's envelope: the low part of its
cepstrum (Oppenheim, "Speech analysis-synthesis system based on homomorphic filtering", JASA 45, 1969).
"""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import IO, Param, Processor, StreamSpec
from antiphon.api.kernels import Audio, f32, f32p, f64, f64p, i64, i64p, kernel
from antiphon_effects.phases import TAU, PhaseSpectra, effects_advance, window_size
from antiphon_effects.shared import effects_finite, smooth_param

WINDOWS = {"short": 0.043, "long": 0.085}
"""Seconds of a window: 2,048 and 4,096 frames at 48 kHz."""
SMOOTHEST = 0.0012
"""Seconds of cepstrum that are the envelope: less than a period of 800 Hz."""
LOSS = 0.42
"""A partial halfway between two bins comes out 0.86 dB softer, as the square of its distance from a bin: the loss of
the windows' product there."""
MOST = 8.0
"""Factor by which an envelope raises a partial at most."""


@kernel
def effects_shift(
    now: Audio,
    before: Audio,
    target: Audio,
    edges: i64p,
    peaks: i64p,
    count: i64,
    turns: f64p,
    envelope: f32p,
    formants: i64,
    ratio: f64,
    hop: i64,
) -> None:
    """target ← now with every peak at `ratio` of its frequency. turns: the angle by which each bin's peak is turned."""
    bins = now.frames // 2
    size = 2 * (bins - 1)
    step = TAU / f64(size)
    for c in range(target.channels):
        for k in range(target.frames):
            target[c, k] = 0.0
    if count == 0:
        for k in range(bins):
            turns[k] = 0.0
    for i in range(count):
        peak = peaks[i]
        # radians a frame
        expected = step * f64(peak)
        ahead = effects_advance(now, before, peak) - expected * f64(hop)
        ahead = ahead - TAU * math.floor(ahead / TAU + 0.5)
        by = (ratio - 1.0) * (expected + ahead / f64(hop))
        turn = turns[peak] + by * f64(hop)
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
            turns[k] = turn
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
def effects_shift_frames(
    x: Audio,
    y: Audio,
    first: i64,
    count: i64,
    output: Audio,
    at: i64,
    past: Audio,
    mask: i64,
    age: i64,
    latency: i64,
    mix: f32p,
) -> None:
    """Frames of y ← what is ready and x `latency` frames before, mixed; x is written to `past`."""
    for c in range(y.channels):
        for n in range(first, first + count):
            past[c, (age + n) & mask] = effects_finite(x[c, n])
            dry = past[c, (age + n - latency) & mask]
            y[c, n] = dry + (output[c, at + n - first] - dry) * mix[n]


class Pitch(Processor):
    """Higher or lower by `semitones` and `cents`, at the same speed. A new pitch is reached within a window."""

    params = (
        Param(
            "semitones",
            default=0.0,
            low=-24.0,
            high=24.0,
            unit="semitones",
            smooth=0.03,
            doc="Transposition, the pitch up or down.",
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
        self._run = effects_shift_frames.caller()
        size = window_size(WINDOWS[str(self.settings["window"])], spec.rate)
        self.latency = size
        self._spectra = PhaseSpectra(spec.channels, size, 2 * size)
        bins = size // 2 + 1
        self._turns = np.zeros(bins)
        self._envelope = np.zeros(bins, np.float32)
        self._logs = np.zeros(bins, np.complex64)
        self._cepstrum = np.zeros(size, np.float32)
        self._lifter = lifter(size, round(SMOOTHEST * spec.rate))
        self._at = self._age = 0

    def reset(self) -> None:
        self._spectra.clear()
        self._turns.fill(0.0)
        self._at = self._age = 0

    def process(self, io: IO) -> None:
        x, y, spectra = io.audio_in[0], io.audio_out[0], self._spectra
        semitones, cents, mix = io.curve("semitones"), io.curve("cents"), io.curve("mix")
        first = 0
        while first < io.frames:
            count = min(io.frames - first, spectra.hop - self._at)
            self._run(
                x, y, first, count, spectra.output, self._at, spectra.past, spectra.mask, self._age, self.latency, mix
            )
            first += count
            self._at += count
            if self._at == spectra.hop:
                self._at = 0
                last = first - 1
                steps = float(semitones[last]) + 0.01 * float(cents[last])
                self._next(self._age + first, 2.0 ** (steps / 12.0), formants=bool(io.at("formants", last)))
        self._age += io.frames

    def _next(self, end: int, ratio: float, *, formants: bool) -> None:
        spectra = self._spectra
        spectra.keep()
        spectra.take(end)
        count = spectra.find()
        if formants:
            self._trace()
        effects_shift(
            spectra.now,
            spectra.before,
            spectra.target,
            spectra.edges,
            spectra.peaks,
            count,
            self._turns,
            self._envelope,
            int(formants),
            ratio,
            spectra.hop,
        )
        spectra.give()

    def _trace(self) -> None:
        """_envelope ← the envelope of the spectrum of now, a magnitude a bin."""
        np.add(self._spectra.power, 1e-12, out=self._envelope)
        np.log(self._envelope, out=self._logs.real)
        np.fft.irfft(self._logs, self._spectra.size, out=self._cepstrum)  # type: ignore[arg-type]
        np.multiply(self._cepstrum, self._lifter, out=self._cepstrum)
        np.fft.rfft(self._cepstrum, out=self._logs)  # type: ignore[arg-type]
        np.multiply(self._logs.real, 0.5, out=self._envelope)
        np.exp(self._envelope, out=self._envelope)
        self._logs.imag.fill(0.0)


def lifter(size: int, frames: int) -> np.ndarray:
    """1 for the first frames of a cepstrum and their mirror image, with soft edges; float32 `[size]`."""
    place = np.minimum(np.arange(size), size - np.arange(size))
    return np.clip(1.5 - place / frames, 0.0, 1.0).astype(np.float32)
