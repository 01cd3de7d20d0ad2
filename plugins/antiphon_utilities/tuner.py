"""A tuner: the note that sounds and its deviation in cents."""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import IO, Param, Processor, StreamSpec
from antiphon.api.kernels import Audio, f64, f64p, i64, kernel

WINDOW, HOP = 0.08, 0.05
LOWEST, HIGHEST = 25.0, 5000.0
QUIET = 1e-6
"""Mean square, -60 dB, below which nothing is reported."""
SURE = 0.85
GROUNDED = 0.06
"""Of the power, what the first three partials of a note have at least."""
_CLEAR, _NOISY = 0.02, 0.03
_SOFTEN, _BLOCK = 500.0, 20.0
TAU = 2.0 * math.pi
# places in `filter_state` (f64): the filters' memories, sum of squares of this hop
_LOW, _HIGH, _ENERGY = 0, 1, 2


@kernel
def utilities_tuner_prefilter(
    x: Audio, ring: f64p, size: i64, at: i64, filter_state: f64p, rate: f64, first: i64, last: i64
) -> None:
    """ring ← the mean of the channels, low-passed and without offset; filter_state: see above."""
    soften = 1.0 - math.exp(-TAU * _SOFTEN / rate)
    block = 1.0 - math.exp(-TAU * _BLOCK / rate)
    for n in range(first, last):
        v = f64(0.0)
        for c in range(x.channels):
            v = v + f64(x[c, n])
        v = v / f64(x.channels)
        filter_state[_ENERGY] = filter_state[_ENERGY] + v * v
        filter_state[_LOW] = filter_state[_LOW] + (v - filter_state[_LOW]) * soften + 1e-18
        filter_state[_HIGH] = filter_state[_HIGH] + (filter_state[_LOW] - filter_state[_HIGH]) * block
        ring[(at + n - first) % size] = filter_state[_LOW] - filter_state[_HIGH]


@kernel
def utilities_tuner_power(spectrum: f64p, bins: i64) -> None:
    """spectrum (real and imaginary parts in turn) ← its power."""
    for n in range(bins):
        a = spectrum[2 * n]
        b = spectrum[2 * n + 1]
        spectrum[2 * n] = a * a + b * b
        spectrum[2 * n + 1] = 0.0


@kernel
def utilities_tuner_top(like: f64p, at: i64, top: f64p) -> None:
    """found ← place and height of the parabola through the likenesses about lag `at`."""
    a = like[at - 1]
    b = like[at]
    c = like[at + 1]
    bend = a - 2.0 * b + c
    by = 0.0
    if bend < -1e-12:
        by = 0.5 * (a - c) / bend
    by = 0.5 if by > 0.5 else by
    by = -0.5 if by < -0.5 else by
    top[0] = f64(at) + by
    top[1] = b - 0.25 * (a - c) * by


@kernel
def utilities_tuner_period(frame: f64p, size: i64, like: f64p, most: i64, period: f64p) -> None:
    """found ← the period in frames (0: none) and how alike two neighbouring periods are, up to 1.

    like: in, the frame's autocorrelation; out, the normalised likeness of the frame and itself `lag` later
    (McLeod and Wyvill, "A Smarter Way to Find Pitch", 2005), up to lag `most` + 1.
    """
    both = 2.0 * like[0]
    like[0] = 1.0
    for lag in range(1, most + 2):
        a = frame[lag - 1]
        b = frame[size - lag]
        both = both - a * a - b * b
        like[lag] = 2.0 * like[lag] / both if both > 1e-15 else 0.0
    best = 0.0
    chosen = 0.0
    sure = 0.0
    # twice over the humps between zeros: the highest, then the first that is nearly as high
    for turn in range(2):
        # where the sound is clear an octave shows in little; where it is noisy so do the humps by themselves
        less = max(_CLEAR, min(_NOISY, 1.5 * (1.0 - best)))
        lag = 1
        while lag < most and like[lag] > 0.0:
            lag = lag + 1
        while lag < most:
            top = 0
            while lag < most and like[lag] <= 0.0:
                lag = lag + 1
            while lag < most and like[lag] > 0.0:
                if like[lag] >= like[lag - 1] and like[lag] >= like[lag + 1] and (top == 0 or like[lag] > like[top]):
                    top = lag
                lag = lag + 1
            if top > 0:
                utilities_tuner_top(like, top, period)
                if turn == 0:
                    best = max(best, period[1])
                elif period[1] >= best - less - 0.4 * best / period[0]:  # a parabola cuts the tops of short ones
                    chosen = period[0]
                    sure = period[1]
                    lag = most
    # the same peak 2, 4, 8 … periods later gives the period at a finer resolution
    times = 2.0
    while chosen > 0.0 and times * chosen < f64(most - 3):
        near = i64(times * chosen + 0.5)
        top = near
        for lag in range(near - 2, near + 3):
            if like[lag] > like[top]:
                top = lag
        utilities_tuner_top(like, top, period)
        if period[1] < 0.9 * sure or abs(f64(top - near)) > 1.5:
            break
        chosen = period[0] / times
        times = times * 2.0
    period[0] = chosen
    period[1] = min(sure, 1.0)


@kernel
def utilities_tuner_low(power: f64p, bins: i64, step: f64) -> f64:
    """How much of the power lies in the first three multiples of `step` bins, 0 to 1."""
    total = 0.0
    for n in range(1, bins):
        total = total + power[2 * n]
    low = 0.0
    for times in range(1, 4):
        at = i64(f64(times) * step + 0.5)
        for n in range(max(1, at - 2), min(bins, at + 3)):
            low = low + power[2 * n]
    return low / max(total, 1e-30)


class Tuner(Processor):
    """Passes every bit; twenty times a second it says which note sounds, from the last 85 ms at 48 kHz.

    For one note at a time, 25 Hz to 5 kHz, louder than -60 dB. What it reports stays 0 where nothing, noise
    or a chord sounds.
    """

    params = (
        Param(
            "reference", default=440.0, low=400.0, high=480.0, unit="Hz", doc="Tuning: the frequency of A4 (note 69)."
        ),
        Param(
            "note",
            "int",
            0,
            low=0,
            high=127,
            readonly=True,
            doc="The nearest note, a MIDI number (69 is A4); 0 is none.",
        ),
        Param(
            "cents",
            default=0.0,
            low=-50.0,
            high=50.0,
            unit="cents",
            readonly=True,
            doc="Deviation from the note, above 0 sharp.",
        ),
        Param(
            "hertz", default=0.0, low=0.0, high=HIGHEST, unit="Hz", readonly=True, doc="Detected frequency; 0 is none."
        ),
        Param("sure", default=0.0, low=0.0, high=1.0, readonly=True, doc="Confidence of the detection."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = spec.rate
        self._hop = round(HOP * spec.rate)
        self._size = 1 << math.ceil(math.log2(WINDOW * spec.rate))
        self._most = min(self._size // 2, round(spec.rate / LOWEST))
        self._ring = np.zeros(self._size, np.float64)
        self._frame = np.zeros(2 * self._size, np.float64)
        self._spectrum = np.zeros(self._size + 1, np.complex128)
        self._parts = self._spectrum.view(np.float64)
        self._like = np.zeros(2 * self._size, np.float64)
        self._found = np.zeros(2, np.float64)
        self._filter_state = np.zeros(3, np.float64)
        self.reset()

    def reset(self) -> None:
        self._ring.fill(0.0)
        self._filter_state.fill(0.0)
        self._at = self._gone = 0
        self._hertz = self._sure = self._before = 0.0
        self._reported = 0.0, 0.0

    def process(self, io: IO) -> None:
        x, at = io.audio_in[0], 0
        io.audio_out[0][:] = x
        while at < io.frames:
            count = min(io.frames - at, self._hop - self._gone)
            utilities_tuner_prefilter(
                x, self._ring, self._size, self._at, self._filter_state, float(self._rate), at, at + count
            )
            at += count
            self._at = (self._at + count) % self._size
            self._gone += count
            if self._gone == self._hop:
                self._listen(float(io.at("reference", at - 1)))
        io.report("note", self._reported[0])
        io.report("cents", self._reported[1])
        io.report("hertz", self._hertz)
        io.report("sure", self._sure)

    def _listen(self, reference: float) -> None:
        """A hop is over: what does the window hold? A leap counts once the next hop says it too."""
        hertz = self._pitch()
        before, self._before = self._before, hertz
        if hertz and abs(math.log2(hertz / (before or 1.0))) > 1.0 / 12.0:
            hertz = self._hertz
        self._hertz = hertz
        self._reported = 0.0, 0.0
        if hertz:
            place = 69.0 + 12.0 * math.log2(hertz / reference)
            note = min(127, max(0, round(place)))
            self._reported = float(note), min(50.0, max(-50.0, 100.0 * (place - note)))

    def _pitch(self) -> float:
        """The window's pitch, 0 for none."""
        loud = float(self._filter_state[_ENERGY]) >= QUIET * self._hop
        self._gone = 0
        self._filter_state[_ENERGY] = self._sure = 0.0
        if not loud:
            return 0.0
        old = self._size - self._at
        self._frame[:old] = self._ring[self._at :]
        self._frame[old : self._size] = self._ring[: self._at]
        np.fft.rfft(self._frame, out=self._spectrum)
        utilities_tuner_power(self._parts, self._size + 1)
        np.fft.irfft(self._spectrum, 2 * self._size, out=self._like)
        utilities_tuner_period(self._frame, self._size, self._like, self._most, self._found)
        period, self._sure = float(self._found[0]), max(0.0, float(self._found[1]))
        if period * HIGHEST < self._rate or self._sure < SURE:
            return 0.0
        # many chords repeat as well, at a pitch far below all their notes
        if utilities_tuner_low(self._parts, self._size + 1, 2.0 * self._size / period) < GROUNDED:
            return 0.0
        return self._rate / period
