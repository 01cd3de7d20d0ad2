"""Control signals: a low-frequency oscillator (LFO), and an envelope follower with its level meter."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from antiphon.api import CONTROL_OUT, IO, FileHearing, FileUse, Param, Processor, Step, StreamSpec, Value
from antiphon.api.kernels import Audio, copy_sound, f32p, f64, f64p, i64, i64p, kernel

SHAPES = ("sine", "triangle", "rise", "fall", "square", "steps", "drift")
EDGE = 0.002
"""Minimum transition time in seconds of a jump in the wave, so that the modulated parameter does not click."""
MIN_CYCLE_BEATS = 0.001
"""Minimum beats of a cycle."""
TAU = 2.0 * math.pi
_NEAR = 1e-9
# places in `turns` (f64): turns gone, the wave as it was last
_GONE, _LAST = 0, 1
# places in `whole` (i64): 1 once `_LAST` is true
_BEGUN = 0


@kernel
def utilities_random(seed: i64, turn: i64) -> f64:
    """Random number, -1 to 1, a function of seed and cycle number."""
    s = seed * 6364136223846793005 + turn * 1442695040888963407 + 7046029254386353131
    for _ in range(3):
        high = (s >> 32) & 4294967295
        s = (s | high) - (s & high)
        s = s * 3935559000370003845 + 2691343689449507681
    return f64((s >> 11) & 4503599627370495) / 2251799813685248.0 - 1.0


@kernel
def utilities_wave(shape: i64, seed: i64, turns: f64) -> f64:
    """Waveform value, -1 to 1, at a phase in turns. `shape`: index in SHAPES."""
    whole = math.floor(turns)
    t = turns - whole
    k = i64(whole)
    if shape == 0:
        return math.sin(TAU * t)
    if shape == 1:
        v = 4.0 * t
        v = 2.0 - v if v > 1.0 else v
        return -4.0 + 4.0 * t if t >= 0.75 else v
    if shape == 2:
        return 2.0 * t - 1.0
    if shape == 3:
        return 1.0 - 2.0 * t
    if shape == 4:
        return 1.0 if t < 0.5 else -1.0
    if shape == 5:
        return utilities_random(seed, k)
    here = utilities_random(seed, k)
    return here + (utilities_random(seed, k + 1) - here) * t * t * (3.0 - 2.0 * t)


class LfoCurves(NamedTuple):
    """The parameters, one value per frame."""

    shape: f32p
    rate: f32p
    beats: f32p
    depth: f32p
    offset: f32p
    phase: f32p
    seed: f32p


@kernel
def utilities_lfo(
    y: f32p, p: LfoCurves, turns: f64p, whole: i64p, beat: f64, step: f64, rate: f64, frames: i64
) -> None:
    """y ← offset + depth * wave. `beat`: of the first frame; `step`: beats a frame, 0 while stopped."""
    most = 2.0 / (EDGE * rate)
    for n in range(frames):
        length = f64(p.beats[n])
        if length > 0.0:
            length = max(length, MIN_CYCLE_BEATS)
            turns[_GONE] = (beat + step * f64(n)) / length + _NEAR
        w = utilities_wave(i64(p.shape[n]), i64(p.seed[n]), turns[_GONE] + f64(p.phase[n]))
        if whole[_BEGUN] == 0:
            turns[_LAST] = w
            whole[_BEGUN] = 1
        by = w - turns[_LAST]
        by = most if by > most else by
        by = -most if by < -most else by
        w = turns[_LAST] + by
        turns[_LAST] = w
        if length <= 0.0:
            turns[_GONE] = turns[_GONE] + f64(p.rate[n]) / rate
        v = f64(p.depth[n]) * w + f64(p.offset[n])
        v = 1.0 if v > 1.0 else v
        y[n] = -1.0 if v < -1.0 else v


class Lfo(Processor):
    """Oscillates around `offset` by `depth`, at its own rate or synced to the clock.

    Synced, its phase follows the beat, through jumps of the transport, and stops with the clock. `steps` and `drift`
    draw a random value each cycle; if synced, the same one for the same beat.
    """

    inputs = ()
    outputs = (CONTROL_OUT,)
    params = (
        Param(
            "shape", "choice", "sine", choices=SHAPES, doc="Waveform; steps is sample and hold, drift a random walk."
        ),
        Param("rate", default=1.0, low=0.01, high=50.0, unit="Hz", warp="log", smooth=0.02, doc="LFO rate."),
        Param("beats", high=64.0, unit="beats", doc="LFO period, in time with the beat; 0 uses `rate`."),
        Param(
            "depth", default=0.25, smooth=0.02, doc="LFO depth; 1 is the whole range of the parameter it is wired to."
        ),
        Param("offset", default=0.0, low=-1.0, high=1.0, smooth=0.02, doc="Offset: the centre of the swing."),
        Param("phase", default=0.0, low=0.0, high=1.0, smooth=0.02, doc="Start phase, in periods."),
        Param("seed", "int", 1, low=0, high=9999, doc="Random seed."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._turns = np.zeros(2, np.float64)
        self._whole = np.zeros(1, np.int64)

    def reset(self) -> None:
        self._turns.fill(0.0)
        self._whole.fill(0)

    def step(self, io: IO) -> Step:
        step = io.time.beats_per_frame(self._rate)
        return utilities_lfo.step(
            io.audio_out[0],
            LfoCurves._make(map(io.curve, LfoCurves._fields)),
            self._turns,
            self._whole,
            io.time.beat,
            step,
            self._rate,
            io.frames,
        )


WINDOW = 0.05
FLOOR = -120.0
MIN_POWER = 1e-12
"""Peak and mean square below which the level is silence."""
# places in `state`: frames, peak and sum of squares of the window that fills; levels of the last
_COUNT, _PEAK, _SUM, _PEAK_DB, _RMS_DB, _SIZE = 0, 1, 2, 3, 4, 5
_DECIBELS = 10.0 / math.log(10.0)


@kernel
def utilities_level(power: f64, factor: f64) -> f64:
    """Level in decibels; FLOOR for silence."""
    return factor * _DECIBELS * math.log(power) if power > MIN_POWER else FLOOR


@kernel
def utilities_meter(x: Audio, state: f64p, window: i64) -> None:
    """Accumulates windows of `window` frames, independent of block boundaries."""
    for n in range(x.frames):
        for c in range(x.channels):
            v = f64(x[c, n])
            a = abs(v)
            state[_PEAK] = a if a > state[_PEAK] else state[_PEAK]
            state[_SUM] = state[_SUM] + v * v
        state[_COUNT] = state[_COUNT] + 1.0
        if state[_COUNT] >= f64(window):
            state[_PEAK_DB] = utilities_level(state[_PEAK], 2.0)
            state[_RMS_DB] = utilities_level(state[_SUM] / (f64(window) * f64(x.channels)), 1.0)
            state[_COUNT] = 0.0
            state[_PEAK] = 0.0
            state[_SUM] = 0.0


class Meter(Processor):
    """Passes the sound and reports its level over each 50 ms; offline, the level of the whole file."""

    on_files = FileUse(hears="antiphon_utilities.modulators:hear_level", beside=("report",))
    params = (
        Param("peak", default=FLOOR, low=FLOOR, high=24.0, unit="dB", readonly=True, doc="Peak level."),
        Param("rms", default=FLOOR, low=FLOOR, high=24.0, unit="dB", readonly=True, doc="RMS level over all channels."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._window = round(WINDOW * spec.rate)
        self._state = np.zeros(_SIZE, np.float64)
        self.reset()

    def reset(self) -> None:
        self._state.fill(0.0)
        self._state[_PEAK_DB] = self._state[_RMS_DB] = FLOOR

    def step(self, io: IO) -> Step:
        x = io.audio_in[0]
        measure = utilities_meter.step(x, self._state, self._window)
        levels = {"peak": (self._state, _PEAK_DB), "rms": (self._state, _RMS_DB)}
        return copy_sound.step(x, io.audio_out[0]).then(measure).reporting(**levels)


def hear_level(path: Path, values: Mapping[str, Value], fired: Collection[str]) -> FileHearing:
    """`FileUse.hears` of `meter`: the peak with its place, and the RMS level over all channels and the whole file."""
    from antiphon.api.backends.files import stream_sound

    with stream_sound(path) as (info, blocks):
        peak, at, total, frames = 0.0, 0, 0.0, 0
        for block in blocks:
            highest = np.abs(block).max(axis=0)
            if highest.max() > peak:
                peak, at = float(highest.max()), frames + int(highest.argmax())
            total += float(np.sum(np.square(block, dtype=np.float64)))
            frames += block.shape[1]
    power = total / max(1, frames * info.channels)
    levels = [10.0 * math.log10(one) if one > MIN_POWER else FLOOR for one in (peak * peak, power)]
    report = {"peak": round(levels[0], 2), "peak_seconds": round(at / info.rate, 4), "rms": round(levels[1], 2)}
    said = f"peak {levels[0]:.1f} dBFS at {at / info.rate:.2f} s, RMS {levels[1]:.1f} dBFS"
    return FileHearing(said=said if peak else "silence", report=report)


_FAINT = 1e-10


class FollowerCurves(NamedTuple):
    """The parameters, one value per frame."""

    attack: f32p
    release: f32p
    floor: f32p
    ceiling: f32p
    depth: f32p


@kernel
def utilities_follower(x: Audio, y: f32p, p: FollowerCurves, state: f64p, rate: f64) -> None:
    """y ← depth times x's level normalised from floor to ceiling. `state`: the decaying peak, the smoothed level."""
    for n in range(x.frames):
        top = f64(0.0)
        for c in range(x.channels):
            a = abs(f64(x[c, n]))
            top = a if a > top else top
        fall = math.exp(-1.0 / (f64(p.release[n]) * rate))
        held = top + (state[0] - top) * fall
        held = top if top > held else held
        held = 0.0 if held < _FAINT else held
        state[0] = held
        decibels = 20.0 * math.log(max(held, _FAINT)) / math.log(10.0)
        low = f64(p.floor[n])
        span = f64(p.ceiling[n]) - low
        span = 1.0 if span < 1.0 else span
        place = (decibels - low) / span
        place = 0.0 if place < 0.0 else place
        place = 1.0 if place > 1.0 else place
        rise = math.exp(-1.0 / (f64(p.attack[n]) * rate))
        place = place + (state[1] - place) * rise
        place = 0.0 if place < _FAINT else place
        state[1] = place
        y[n] = f64(p.depth[n]) * place


class EnvelopeFollower(Processor):
    """The peak of the loudest channel with a slow release, in dB from `floor` to `ceiling`, then smoothed.

    The decoupled detector in the log domain of Giannoulis, Massberg and Reiss, "Digital Dynamic Range Compressor
    Design" (JAES 60, 2012): a steady tone's level is its peak, unbiased by either time constant, and a sound after
    silence changes the output no faster than `attack`.
    """

    outputs = (CONTROL_OUT,)
    params = (
        Param(
            "attack", default=0.01, low=0.001, high=1.0, unit="s", warp="log", smooth=0.02,
            doc="Attack time: 63 % of the way to a sudden level.",
        ),
        Param(
            "release", default=0.2, low=0.005, high=5.0, unit="s", warp="log", smooth=0.02,
            doc="Release time: the level falls by 8.7 dB.",
        ),
        Param("floor", default=-50.0, low=-90.0, high=-1.0, unit="dB", smooth=0.02, doc="At or below this it is 0."),
        Param(
            "ceiling", default=-6.0, low=-80.0, high=0.0, unit="dB", smooth=0.02,
            doc="At or above this it is `depth`; taken as at least 1 dB above the floor.",
        ),
        Param(
            "depth", default=0.5, low=-1.0, high=1.0, smooth=0.02,
            doc="Modulation depth, 1 the parameter's whole range; below 0 louder turns it down.",
        ),
    )  # fmt: skip

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._state = np.zeros(2, np.float64)

    def reset(self) -> None:
        self._state.fill(0.0)

    def step(self, io: IO) -> Step:
        x, y = io.audio_in[0], io.audio_out[0]
        return utilities_follower.step(
            x, y, FollowerCurves._make(map(io.curve, FollowerCurves._fields)), self._state, self._rate
        )
