"""Time stretch at constant pitch, of the recent input live, or of a file.

A phase vocoder: spectra are analysed at one hop and resynthesised at another, and each peak's phase advances by its
rotation per output hop, measured with a second spectrum one hop earlier (Puckette, "Phase-locked vocoder", IEEE ASSP
Workshop on Applications of Signal Processing to Audio and Acoustics, 1995). At an attack, spectra are analysed at the
output hop, with the input's phases, and the time is made up afterwards (Duxbury, Davies and Sandler, "Improved
time-scaling of musical audio using phase locking at transients", AES 112th Convention, 2002): so an attack is neither
smeared nor repeated.
"""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import IO, FileUse, Param, Processor, Step, StreamSpec
from antiphon.api.kernels import Audio, f32, f32p, f64, f64p, i64, i64p, kernel
from antiphon_effects.phases import (
    TAU,
    PhaseSpectra,
    effects_angle,
    effects_overlap,
    effects_peaks,
    effects_window,
    window_size,
)
from antiphon_effects.shared import effects_finite

WINDOW = 0.085
"""Window length in seconds: 4,096 frames at 48 kHz."""
FACTORS = (0.25, 8.0)
LONGEST = 20.0
"""Maximum buffer length in seconds."""
RISE = 4.0
"""Power ratio of a peak per hop that marks an attack: 6 dB."""
SHARE = 0.3
"""Share of the bins that must rise at once for an attack: in a steady noise some always do."""
FADING, FAINT = 0.9, 0.001
"""Decay of the loudest power per hop, and the share of it below which no attack is detected."""
MOST_DEBT = 2.0
"""Maximum time debt in windows: after dense attacks, some are stretched."""
# indices in `place`: frames output of the hop, input frames, whether to return to now, hops until an attack is output
# and hops of it, peaks of the spectrum
_AT, _AGE, _RETURN, _BEFORE, _WITHIN, _PEAKS = 0, 1, 2, 3, 4, 5
# places in `state`, frames: by which attacks have put the pace forward (above 0) or back, to be made good; the input of
# the last hop; of the hop before an attack; by which the output lags
_DEBT, _PACE, _BACK, _BEHIND = 0, 1, 2, 3


@kernel
def effects_attack(
    now: Audio, before: Audio, power: f32p, edges: i64p, peaks: i64p, count: i64, rises: f32p, loudest: f32p, hop: i64
) -> f64:
    """Frames from the window's centre to an onset; 0 for none.

    rises: 1 for each of its peaks.  loudest: power of the last second's loudest window.
    """
    bins = now.frames // 2
    whole = f64(0.0)
    for k in range(bins):
        whole = whole + f64(power[k])
    loudest[0] = max(f64(loudest[0]) * FADING, whole)
    risen = 0
    lags = f64(0.0)
    for i in range(count):
        first = edges[i]
        last = edges[i + 1]
        here = f64(0.0)
        old = f64(0.0)
        for k in range(first, last):
            here = here + f64(power[k])
        for c in range(now.channels):
            for k in range(first, last):
                old = old + f64(before[c, 2 * k] * before[c, 2 * k] + before[c, 2 * k + 1] * before[c, 2 * k + 1])
        rises[i] = 0.0
        if here > RISE * old:
            re = f64(0.0)
            im = f64(0.0)
            for c in range(now.channels):
                for k in range(first, last - 1):
                    a = f64(now[c, 2 * k])
                    b = f64(now[c, 2 * k + 1])
                    x = f64(now[c, 2 * k + 2])
                    y = f64(now[c, 2 * k + 3])
                    re = re + a * x + b * y
                    im = im + a * y - b * x
            # position of the energy: phase slope over the bins
            lag = -effects_angle(im, re) * f64(2 * (bins - 1)) / TAU
            if lag > 0.5 * f64(hop):
                rises[i] = 1.0
                risen = risen + last - first
                lags = lags + lag * f64(last - first)
    if f64(risen) < SHARE * f64(bins) or whole < FAINT * f64(loudest[0]):
        return 0.0
    return lags / f64(risen)


@kernel
def effects_turn(
    now: Audio, before: Audio, target: Audio, edges: i64p, peaks: i64p, count: i64, rises: f32p, attack: i64
) -> None:
    """target ← now, with phases continuing `target`, or with the input's at an attack."""
    bins = now.frames // 2
    for i in range(count):
        peak = peaks[i]
        re = f64(0.0)
        im = f64(0.0)
        for c in range(now.channels):
            a = f64(before[c, 2 * peak])
            b = f64(before[c, 2 * peak + 1])
            x = f64(target[c, 2 * peak])
            y = f64(target[c, 2 * peak + 1])
            re = re + a * x + b * y
            im = im + a * y - b * x
        size = math.sqrt(re * re + im * im)
        if size < 1e-30 or (attack == 1 and rises[i] > 0.0):
            re = 1.0
            im = 0.0
            size = 1.0
        cos = re / size
        sin = im / size
        for c in range(now.channels):
            for k in range(edges[i], edges[i + 1]):
                a = f64(now[c, 2 * k])
                b = f64(now[c, 2 * k + 1])
                target[c, 2 * k] = f32(a * cos - b * sin)
                target[c, 2 * k + 1] = f32(a * sin + b * cos)
    if count == 0:
        for c in range(target.channels):
            for k in range(2 * bins):
                target[c, k] = 0.0


@kernel
def effects_look(
    end: i64,
    past: Audio,
    mask: i64,
    hop: i64,
    window: f32p,
    frame: Audio,
    now: Audio,
    before: Audio,
    power: f32p,
    edges: i64p,
    peaks: i64p,
    turns: f32p,
    work: f32p,
    rises: f32p,
    loudest: f32p,
    place: i64p,
) -> f64:
    """Analyses the input before `end`; returns the onset's position in the window, or 0."""
    effects_window(past, mask, end - hop, window, frame, turns, work, before)
    effects_window(past, mask, end, window, frame, turns, work, now)
    place[_PEAKS] = effects_peaks(now, power, edges, peaks)
    return effects_attack(now, before, power, edges, peaks, place[_PEAKS], rises, loudest, hop)


@kernel
def effects_stretch_hop(
    end: i64,
    factor: f64,
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
    rises: f32p,
    loudest: f32p,
    place: i64p,
    state: f64p,
) -> f64:
    """output ← next hop, from the input before `end`; returns the advance of `end` to the next hop.

    place, state: see `_AT` and `_DEBT`; the others as `PhaseSpectra` and `effects_attack` have them.
    """
    size = frame.frames
    pace = f64(hop) / factor
    debt = state[_DEBT]
    lag = effects_look(
        end, past, mask, hop, window, frame, now, before, power, edges, peaks, turns, work, rises, loudest, place
    )
    begins = 0
    moved = 0.0
    if place[_BEFORE] > 0:
        place[_BEFORE] = place[_BEFORE] - 1
        moved = 0.0 if place[_BEFORE] > 0 else state[_BACK]
    elif place[_WITHIN] > 0:
        place[_WITHIN] = place[_WITHIN] - 1
        begins = 1 if lag > 0.0 else 0
        moved = f64(hop)
    elif lag == 0.0 or abs(debt) > MOST_DEBT * f64(size):
        # the correction is at most half the pace
        moved = pace - max(-0.5 * pace, min(0.5 * pace, debt))
    else:
        place[_WITHIN] = size // hop
        # the debt must be 0 at the first output frame of the onset, so that it is on time
        early = debt + lag * (1.0 - pace / f64(hop))
        hops = i64(math.floor(early / pace))
        if hops > 0 and state[_PACE] > 0.0:
            place[_BEFORE] = hops
            state[_BACK] = state[_PACE]
            back = i64(math.floor(-state[_PACE]))
            effects_look(
                end + back, past, mask, hop, window, frame, now, before, power, edges, peaks, turns, work, rises,
                loudest, place,
            )  # fmt: skip
            moved = -state[_PACE]
        else:
            begins = 1
            moved = f64(hop) + max(0.0, -early)
    effects_turn(now, before, target, edges, peaks, place[_PEAKS], rises, begins)
    effects_overlap(target, turns, work, frame, scaled, sums, hop, output)
    state[_DEBT] = debt + moved - pace
    state[_PACE] = moved
    return moved


@kernel
def effects_seconds(state: f64p, rate: f64, behind: f64p) -> None:
    """behind ← output lag in seconds."""
    behind[0] = state[_BEHIND] / rate


@kernel
def effects_jump(place: i64p, state: f64p) -> None:
    """Resets the phases for a jump in the input position."""
    state[_DEBT] = 0.0
    state[_PACE] = 0.0
    state[_BACK] = 0.0
    place[_BEFORE] = 0
    place[_WITHIN] = 0


@kernel
def effects_stretch(
    x: Audio,
    y: Audio,
    frames: i64,
    factor: f32p,
    limit: f64,
    return_at: i64,
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
    rises: f32p,
    loudest: f32p,
    place: i64p,
    state: f64p,
) -> None:
    """y ← x stretched, at most `limit` frames behind; at frame `return_at` it jumps back to now."""
    for n in range(frames):
        at = place[_AT]
        age = place[_AGE]
        for c in range(y.channels):
            past[c, age & mask] = effects_finite(x[c, n])
            y[c, n] = output[c, at]
        if n == return_at:
            place[_RETURN] = 1
        place[_AGE] = age + 1
        place[_AT] = at + 1
        if at + 1 == hop:
            place[_AT] = 0
            if place[_RETURN] == 1:
                place[_RETURN] = 0
                state[_BEHIND] = 0.0
                effects_jump(place, state)
            moved = effects_stretch_hop(
                age + 1 - i64(math.floor(state[_BEHIND])), f64(factor[n]),
                past, mask, hop, output, window, scaled, frame, sums, now, before, target,
                power, edges, peaks, turns, work,
                rises, loudest, place, state,
            )  # fmt: skip
            state[_BEHIND] = state[_BEHIND] + f64(hop) - moved
            if state[_BEHIND] < 0.0:
                # caught up with the input
                state[_BEHIND] = 0.0
                effects_jump(place, state)
            elif state[_BEHIND] > limit:
                place[_RETURN] = 1


class Stretcher:
    """Phase vocoder: computes output hops, each from the window before an input position.

    Attributes:
        spectra: The windows, with the input in `spectra.past`.
        place: Whole numbers: see `_AT`.
        state: Numbers: see `_DEBT`.
        arguments: What `effects_stretch_hop` and `effects_stretch` are given after their own.
    """

    def __init__(self, channels: int, rate: int, seconds: float) -> None:
        """Allocates the buffers, with at least `seconds` of input."""
        size = window_size(WINDOW, rate)
        self.spectra = PhaseSpectra(channels, size, round(seconds * rate) + 2 * size)
        self._loudest = np.zeros(1, np.float32)
        self.place = np.zeros(6, np.int64)
        self.state = np.zeros(4, np.float64)
        self.arguments = (
            *self.spectra.arguments,
            np.zeros(size // 2 + 1, np.float32),
            self._loudest,
            self.place,
            self.state,
        )

    def clear(self) -> None:
        self.spectra.clear()
        for state in (self._loudest, self.place, self.state):
            state.fill(0)

    def step(self, end: int, factor: float) -> float:
        """Computes `spectra.output`, the next output hop, from the input before frame `end`.

        Args:
            end: Frame of the input.
            factor: How much longer the output is to be.

        Returns:
            Frames by which the next hop's `end` lies further on; below 0 where a sound begins.
        """
        return effects_stretch_hop(end, factor, *self.arguments)


class Stretch(Processor):
    """Plays the recent input stretched by `factor`; a factor below 1 catches up.

    Live, the output lags by up to `buffer` seconds and then returns to now, as on `now`; at factor 1 the lag is
    constant. A file is stretched by `factor`.
    """

    split = True
    on_files = FileUse("antiphon_effects.jobs:stretch_file")
    params = (
        Param(
            "factor",
            default=1.0,
            low=FACTORS[0],
            high=FACTORS[1],
            warp="log",
            smooth=0.03,
            doc="Stretch factor: 2 is half the speed; below 1 catches up.",
        ),
        Param("buffer", default=8.0, low=0.5, high=LONGEST, unit="s", doc="Live: longest lag behind the input."),
        Param("now", "trigger", doc="Live: returns to the present."),
        Param("behind", default=0.0, low=0.0, high=LONGEST, unit="s", readonly=True, doc="Lag behind the input."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._stretcher = Stretcher(spec.channels, spec.rate, LONGEST)
        self.latency = self._stretcher.spectra.size
        # frames are reported as seconds
        self._behind = np.zeros(1, np.float64)

    def reset(self) -> None:
        self._stretcher.clear()
        self._behind.fill(0.0)

    def step(self, io: IO) -> Step:
        fired = io.fired("now")
        return (
            effects_stretch.step(
                io.audio_in[0],
                io.audio_out[0],
                io.frames,
                io.curve("factor"),
                self._rate * float(io.at("buffer", 0)),
                fired[0] if len(fired) else -1,
                *self._stretcher.arguments,
            )
            .then(effects_seconds.step(self._stretcher.state, self._rate, self._behind))
            .reporting(behind=(self._behind, 0))
        )
