"""Tuner: the sounding note and its deviation in cents."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from antiphon.api import (
    IO,
    SHARP_NAMES,
    BlockTime,
    FileHearing,
    FileUse,
    Param,
    Processor,
    Samples,
    Step,
    StreamSpec,
    Value,
)
from antiphon.api.kernels import Audio, RealFft, f32p, f64, f64p, fft_real, fft_real_inverse, i64, i64p, kernel

WINDOW, HOP = 0.08, 0.05
LOWEST, HIGHEST = 25.0, 5000.0
QUIET = 1e-6
"""Mean square below which nothing is reported, -60 dB."""
MIN_CONFIDENCE = 0.85
MIN_FUNDAMENTAL_SHARE = 0.06
"""Minimum share of the power in a note's first three partials."""
_CLEAR, _NOISY = 0.02, 0.03
_SOFTEN, _BLOCK = 500.0, 20.0
TAU = 2.0 * math.pi
# indices in `state` (f64): filter states, sum of squares of this hop, reported values, the pitch a hop before
_LOW, _HIGH, _ENERGY, _HERTZ, _SURE, _NOTE, _CENTS, _BEFORE, _MID, _SIDE = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
# places in `place` (i64): the next frame of the ring, frames of this hop
_AT, _GONE = 0, 1


@kernel
def utilities_tuner_power(spectrum: f32p, bins: i64) -> None:
    """spectrum (interleaved real and imaginary) ← its power."""
    for n in range(bins):
        a = spectrum[2 * n]
        b = spectrum[2 * n + 1]
        spectrum[2 * n] = a * a + b * b
        spectrum[2 * n + 1] = 0.0


@kernel
def utilities_tuner_top(like: f32p, at: i64, top: f64p) -> None:
    """top ← position and height of the parabola through the similarities around lag `at`."""
    a = f64(like[at - 1])
    b = f64(like[at])
    c = f64(like[at + 1])
    bend = a - 2.0 * b + c
    by = 0.0
    if bend < -1e-12:
        by = 0.5 * (a - c) / bend
    by = 0.5 if by > 0.5 else by
    by = -0.5 if by < -0.5 else by
    top[0] = f64(at) + by
    top[1] = b - 0.25 * (a - c) * by


@kernel
def utilities_tuner_period(frame: f32p, size: i64, like: f32p, most: i64, period: f64p) -> None:
    """period ← period in frames (0: none) and similarity of neighbouring periods, up to 1.

    like: in, the frame's autocorrelation; out, its normalised similarity at each lag (McLeod and Wyvill, "A Smarter Way
    to Find Pitch", 2005), up to lag `most` + 1.
    """
    both = 2.0 * f64(like[0])
    like[0] = 1.0
    for lag in range(1, most + 2):
        a = f64(frame[lag - 1])
        b = f64(frame[size - lag])
        both = both - a * a - b * b
        like[lag] = 2.0 * f64(like[lag]) / both if both > 1e-15 else 0.0
    best = 0.0
    chosen = 0.0
    sure = 0.0
    # twice over the humps between zeros: the highest, then the first that is nearly as high
    for turn in range(2):
        # an octave error shows by a small dip for a clear sound; for a noisy one dips occur by chance
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
    # the same peak 2, 4, 8 … periods later refines the period
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
def utilities_tuner_low(power: f32p, bins: i64, step: f64) -> f64:
    """Share of the power in the first three multiples of `step` bins, 0 to 1."""
    total = 0.0
    for n in range(1, bins):
        total = total + f64(power[2 * n])
    low = 0.0
    for times in range(1, 4):
        at = i64(f64(times) * step + 0.5)
        for n in range(max(1, at - 2), min(bins, at + 3)):
            low = low + f64(power[2 * n])
    return low / max(total, 1e-30)


class TunerState(NamedTuple):
    """Input ring buffer, and the buffers of the analysis."""

    ring: f32p
    size: i64
    hop: i64
    place: i64p
    state: f64p
    rate: f64
    most: i64
    frame: f32p
    spectrum: f32p
    like: f32p
    period: f64p
    turns: f32p
    work: f32p


@kernel
def utilities_tuner_pitch(s: TunerState, at: i64) -> f64:
    """Pitch of the window that ends at position `at` of the ring, 0 for none; its confidence goes into `state`."""
    for n in range(s.size):
        s.frame[n] = s.ring[(at + n) % s.size]
        s.frame[s.size + n] = 0.0
    fft_real(s.frame, 2 * s.size, s.turns, s.work, s.spectrum)
    utilities_tuner_power(s.spectrum, s.size + 1)
    fft_real_inverse(s.spectrum, 2 * s.size, s.turns, s.work, s.like)
    utilities_tuner_period(s.frame, s.size, s.like, s.most, s.period)
    s.state[_SURE] = max(0.0, s.period[1])
    if s.period[0] * HIGHEST < s.rate or s.period[1] < MIN_CONFIDENCE:
        return 0.0
    # many chords repeat as well, at a pitch far below all their notes
    if utilities_tuner_low(s.spectrum, s.size + 1, 2.0 * f64(s.size) / s.period[0]) < MIN_FUNDAMENTAL_SHARE:
        return 0.0
    return f64(s.rate / s.period[0])


@kernel
def utilities_tuner(x: Audio, y: Audio, frames: i64, reference: f64, s: TunerState) -> None:
    """y ← x; each hop, the pitch of the last `size` frames, mid or side without offset and treble."""
    soften = 1.0 - math.exp(-TAU * _SOFTEN / s.rate)
    block = 1.0 - math.exp(-TAU * _BLOCK / s.rate)
    listen = 1.0 - math.exp(-1.0 / (WINDOW * s.rate))
    for n in range(frames):
        v = f64(0.0)
        side = f64(0.0)
        sign = 1.0
        for c in range(x.channels):
            y[c, n] = x[c, n]
            v = v + f64(x[c, n])
            side = side + sign * f64(x[c, n])
            sign = -sign
        s.state[_MID] = s.state[_MID] + (v * v - s.state[_MID]) * listen
        s.state[_SIDE] = s.state[_SIDE] + (side * side - s.state[_SIDE]) * listen
        # a channel turned over would cancel in the mean
        v = (side if x.channels > 1 and s.state[_SIDE] > 1.5 * s.state[_MID] else v) / f64(x.channels)
        s.state[_ENERGY] = s.state[_ENERGY] + v * v
        s.state[_LOW] = s.state[_LOW] + (v - s.state[_LOW]) * soften + 1e-18
        s.state[_HIGH] = s.state[_HIGH] + (s.state[_LOW] - s.state[_HIGH]) * block
        at = s.place[_AT]
        s.ring[at] = s.state[_LOW] - s.state[_HIGH]
        s.place[_AT] = 0 if at + 1 == s.size else at + 1
        s.place[_GONE] = s.place[_GONE] + 1
        if s.place[_GONE] == s.hop:
            s.place[_GONE] = 0
            loud = s.state[_ENERGY] >= QUIET * f64(s.hop)
            s.state[_ENERGY] = 0.0
            s.state[_SURE] = 0.0
            hertz = 0.0
            if loud:
                hertz = utilities_tuner_pitch(s, s.place[_AT])
            # a leap counts once the next hop says it too
            before = s.state[_BEFORE] if s.state[_BEFORE] > 0.0 else 1.0
            s.state[_BEFORE] = hertz
            if hertz > 0.0 and abs(math.log2(hertz / before)) > 1.0 / 12.0:
                hertz = s.state[_HERTZ]
            s.state[_HERTZ] = hertz
            s.state[_NOTE] = 0.0
            s.state[_CENTS] = 0.0
            if hertz > 0.0:
                midi = 69.0 + 12.0 * math.log2(hertz / reference)
                note = min(127.0, max(0.0, math.floor(midi + 0.5)))
                s.state[_NOTE] = note
                s.state[_CENTS] = min(50.0, max(-50.0, 100.0 * (midi - note)))


class Tuner(Processor):
    """Passes audio bit-exact; reports the sounding note twenty times a second, from the last 85 ms at 48 kHz.

    Monophonic, 25 Hz to 5 kHz, louder than -60 dB. Its reports stay 0 for silence, noise and chords.
    """

    split = True
    on_files = FileUse(hears="antiphon_utilities.tuner:hear", beside=("report",))
    params = (
        Param("reference", "float", 440.0, 400.0, 480.0, "Hz", doc="Tuning: the frequency of A4 (note 69)."),
        Param("note", "int", 0, 0, 127, readonly=True, doc="The nearest note, a MIDI number (69 is A4); 0 is none."),
        Param(
            "cents", low=-50.0, high=50.0, unit="cents", readonly=True, doc="Deviation from the note, above 0 sharp."
        ),
        Param("hertz", high=HIGHEST, unit="Hz", readonly=True, doc="Detected frequency; 0 is none."),
        Param("sure", default=0.0, low=0.0, high=1.0, readonly=True, doc="Confidence of the detection."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        size = 1 << math.ceil(math.log2(WINDOW * spec.rate))
        fft = RealFft(2 * size)
        self._state = TunerState(
            ring=np.zeros(size, np.float32),
            size=size,
            hop=round(HOP * spec.rate),
            place=np.zeros(2, np.int64),
            state=np.zeros(10, np.float64),
            rate=float(spec.rate),
            most=min(size // 2, round(spec.rate / LOWEST)),
            frame=np.zeros(2 * size, np.float32),
            spectrum=np.zeros(2 * size + 2, np.float32),
            like=np.zeros(2 * size, np.float32),
            period=np.zeros(2, np.float64),
            turns=fft.turns,
            work=fft.work,
        )

    def reset(self) -> None:
        for state in (self._state.ring, self._state.place, self._state.state):
            state.fill(0)

    def step(self, io: IO) -> Step:
        state, reference = self._state.state, float(io.at("reference", 0))
        return utilities_tuner.step(io.audio_in[0], io.audio_out[0], io.frames, reference, self._state).reporting(
            note=(state, _NOTE), cents=(state, _CENTS), hertz=(state, _HERTZ), sure=(state, _SURE)
        )


class TunerReading(NamedTuple):
    """Report of one hop: its end in seconds, the note, 0 for none, its deviation in cents, and its frequency in Hz."""

    seconds: float
    note: int
    cents: float
    hertz: float


def hear(path: Path, values: Mapping[str, Value], fired: Collection[str]) -> FileHearing:
    """`FileUse.hears` of `tuner`: the predominant note, with medians, and all notes in order."""
    from antiphon.api.backends.files import stream_sound

    with stream_sound(path) as (info, blocks):
        readings = list(_readings(blocks, StreamSpec(info.rate, round(HOP * info.rate), info.channels), values))
    notes = [list(some) for note, some in groupby(readings, lambda reading: reading.note) if note]
    if not notes:
        return FileHearing(said="no note was found, as in silence, noise and chords")
    most = Counter(reading.note for some in notes for reading in some).most_common(1)[0][0]
    found = _found([reading for some in notes for reading in some if reading.note == most])
    spans = [{"begin": some[0].seconds - HOP, "end": some[-1].seconds, **_found(some)} for some in notes]
    cents = round(found["cents"], 1) + 0.0  # without the sign of a zero
    said = f"{found['name']} {cents:+.1f} cents ({found['hertz']:.2f} Hz)"
    if len(notes) > 1:
        said = f"most of it {said}, {len(notes)} notes in all"
    return FileHearing(said=said, report={**found, "notes": spans})


def _found(readings: list[TunerReading]) -> dict[str, Any]:
    """Note of readings, and the medians of its cents and frequency."""
    note, cents = readings[0].note, float(np.median([reading.cents for reading in readings]))
    name = f"{SHARP_NAMES[note % 12]}{note // 12 - 1}"
    hertz = float(np.median([reading.hertz for reading in readings]))
    return {"note": note, "name": name, "cents": round(cents, 2), "hertz": round(hertz, 3)}


def _readings(blocks: Iterator[Samples], spec: StreamSpec, values: Mapping[str, Value]) -> Iterator[TunerReading]:
    """Yields a tuner's report after each hop of a sound; a partial last hop has none."""
    from antiphon.api.backends.rendering import prepare_processor

    tuner = Tuner()
    cells = prepare_processor(tuner, spec, values)
    out, rest, at = np.zeros((spec.channels, spec.block), np.float32), np.zeros((spec.channels, 0), np.float32), 0
    for block in blocks:
        rest = np.concatenate([rest, block], axis=1)
        while rest.shape[1] >= spec.block:
            io = IO((rest[:, : spec.block],), (out,), cells, BlockTime(at), spec.block)
            cells.render(at, spec.block)
            tuner.process(io)
            cells.settle(at + spec.block)
            rest, at = rest[:, spec.block :], at + spec.block
            told = io.reports
            yield TunerReading(at / spec.rate, int(told["note"]), told["cents"], told["hertz"])
