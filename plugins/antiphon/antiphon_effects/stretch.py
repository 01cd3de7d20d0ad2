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
from typing import NamedTuple

import numpy as np

from antiphon.api import IO, FileUse, Param, Processor, Step, StreamSpec
from antiphon.api.backends.signal import (
    PhaseSpectra,
    SpectraBuffers,
    vocoder_overlap,
    vocoder_peaks,
    vocoder_turn,
    vocoder_window,
)
from antiphon.api.kernels import Audio, f32p, f64, f64p, i64, i64p, kernel
from antiphon_effects.pitch import TAU, effects_atan2, window_size
from antiphon_effects.shared import effects_finite

WINDOW = 0.085
"""Window length in seconds: 4,096 frames at 48 kHz."""
FACTORS = (0.25, 8.0)
MAX_SECONDS = 20.0
"""Maximum buffer length in seconds."""
MIN_RISE = 4.0
"""Power ratio of a peak per hop that marks an attack: 6 dB."""
SHARE = 0.3
"""Share of the bins that must rise at once for an attack; in steady noise some bins always rise."""
FADING, FAINT = 0.9, 0.001
"""Decay of the loudest power per hop, and the share of it below which no attack is detected."""
MAX_DEBT = 2.0
"""Maximum time debt in windows: after dense attacks, some are stretched."""
# indices in `place`: frames output of the hop, input frames, whether to return to now, hops until an attack is output
# and hops of it, peaks of the spectrum
_AT, _AGE, _RETURN, _BEFORE, _WITHIN, _PEAKS = 0, 1, 2, 3, 4, 5
# places in `state`, frames: by which attacks have put the pace forward (above 0) or back, to be made good; the input of
# the last hop; of the hop before an attack; by which the output lags
_DEBT, _PACE, _BACK, _BEHIND = 0, 1, 2, 3


class StretchState(NamedTuple):
    """State of the attack detector; see `_AT` for place and `_DEBT` for state."""

    rises: f32p
    loudest: f32p
    place: i64p
    state: f64p


@kernel
def effects_attack(s: SpectraBuffers, count: i64, t: StretchState) -> f64:
    """Offset in frames of an onset from the window's centre; 0 without one.

    rises: 1 for each peak that belongs to the onset.  loudest: power of the last second's loudest window.
    """
    bins = s.now.frames // 2
    whole = f64(0.0)
    for k in range(bins):
        whole = whole + f64(s.power[k])
    t.loudest[0] = max(f64(t.loudest[0]) * FADING, whole)
    risen = 0
    lags = f64(0.0)
    for i in range(count):
        first = s.edges[i]
        last = s.edges[i + 1]
        here = f64(0.0)
        old = f64(0.0)
        for k in range(first, last):
            here = here + f64(s.power[k])
        for c in range(s.now.channels):
            for k in range(first, last):
                old = old + f64(
                    s.before[c, 2 * k] * s.before[c, 2 * k] + s.before[c, 2 * k + 1] * s.before[c, 2 * k + 1]
                )
        t.rises[i] = 0.0
        if here > MIN_RISE * old:
            re = f64(0.0)
            im = f64(0.0)
            for c in range(s.now.channels):
                for k in range(first, last - 1):
                    a = f64(s.now[c, 2 * k])
                    b = f64(s.now[c, 2 * k + 1])
                    x = f64(s.now[c, 2 * k + 2])
                    y = f64(s.now[c, 2 * k + 3])
                    re = re + a * x + b * y
                    im = im + a * y - b * x
            # position of the energy: phase slope over the bins
            lag = -effects_atan2(im, re) * f64(2 * (bins - 1)) / TAU
            if lag > 0.5 * f64(s.hop):
                t.rises[i] = 1.0
                risen = risen + last - first
                lags = lags + lag * f64(last - first)
    if f64(risen) < SHARE * f64(bins) or whole < FAINT * f64(t.loudest[0]):
        return 0.0
    return lags / f64(risen)


@kernel
def effects_analyse(end: i64, s: SpectraBuffers, t: StretchState) -> f64:
    """Computes the spectra of the input before `end`; returns the onset's offset in the window, or 0."""
    vocoder_window(s, end - s.hop, s.before)
    vocoder_window(s, end, s.now)
    t.place[_PEAKS] = vocoder_peaks(s)
    return effects_attack(s, t.place[_PEAKS], t)


@kernel
def effects_stretch_hop(end: i64, factor: f64, s: SpectraBuffers, t: StretchState) -> f64:
    """output ← the next hop, from the input before `end`; returns the increment of the next one's `end`.

    place, state: see `_AT` and `_DEBT`; for the others see `PhaseSpectra` and `effects_attack`.
    """
    size = s.frame.frames
    pace = f64(s.hop) / factor
    debt = t.state[_DEBT]
    lag = effects_analyse(end, s, t)
    begins = 0
    moved = 0.0
    if t.place[_BEFORE] > 0:
        t.place[_BEFORE] = t.place[_BEFORE] - 1
        moved = 0.0 if t.place[_BEFORE] > 0 else t.state[_BACK]
    elif t.place[_WITHIN] > 0:
        t.place[_WITHIN] = t.place[_WITHIN] - 1
        begins = 1 if lag > 0.0 else 0
        moved = f64(s.hop)
    elif lag == 0.0 or abs(debt) > MAX_DEBT * f64(size):
        # the correction is at most half the pace
        moved = pace - max(-0.5 * pace, min(0.5 * pace, debt))
    else:
        t.place[_WITHIN] = size // s.hop
        # so that the sound begins in its time, the debt must be 0 when its first frame is given
        early = debt + lag * (1.0 - pace / f64(s.hop))
        hops = i64(math.floor(early / pace))
        if hops > 0 and t.state[_PACE] > 0.0:
            t.place[_BEFORE] = hops
            t.state[_BACK] = t.state[_PACE]
            back = i64(math.floor(-t.state[_PACE]))
            effects_analyse(end + back, s, t)  # fmt: skip
            moved = -t.state[_PACE]
        else:
            begins = 1
            moved = f64(s.hop) + max(0.0, -early)
    vocoder_turn(s, t.place[_PEAKS], t.rises, begins)
    vocoder_overlap(s)
    t.state[_DEBT] = debt + moved - pace
    t.state[_PACE] = moved
    return moved


@kernel
def effects_pace_hop(end: i64, s: SpectraBuffers, t: StretchState) -> None:
    """output ← the next hop, from the input before `end`, without attack detection."""
    vocoder_window(s, end - s.hop, s.before)
    vocoder_window(s, end, s.now)
    t.place[_PEAKS] = vocoder_peaks(s)
    vocoder_turn(s, t.place[_PEAKS], t.rises, 0)
    vocoder_overlap(s)


@kernel
def effects_delay_in_seconds(state: f64p, rate: f64, behind: f64p) -> None:
    """behind ← delay of the output in seconds."""
    behind[0] = state[_BEHIND] / rate


@kernel
def effects_clear_phases(t: StretchState) -> None:
    """Clears the phases: the next hop is discontinuous with the last one."""
    t.state[_DEBT] = 0.0
    t.state[_PACE] = 0.0
    t.state[_BACK] = 0.0
    t.place[_BEFORE] = 0
    t.place[_WITHIN] = 0


@kernel
def effects_stretch(
    x: Audio, y: Audio, frames: i64, factor: f32p, limit: f64, return_at: i64, s: SpectraBuffers, t: StretchState
) -> None:
    """y ← x stretched, at most `limit` frames behind; at frame `return_at` it jumps back to now."""
    for n in range(frames):
        at = t.place[_AT]
        age = t.place[_AGE]
        for c in range(y.channels):
            s.past[c, age & s.mask] = effects_finite(x[c, n])
            y[c, n] = s.output[c, at]
        if n == return_at:
            t.place[_RETURN] = 1
        t.place[_AGE] = age + 1
        t.place[_AT] = at + 1
        if at + 1 == s.hop:
            t.place[_AT] = 0
            if t.place[_RETURN] == 1:
                t.place[_RETURN] = 0
                t.state[_BEHIND] = 0.0
                effects_clear_phases(t)
            moved = effects_stretch_hop(age + 1 - i64(math.floor(t.state[_BEHIND])), f64(factor[n]), s, t)  # fmt: skip
            t.state[_BEHIND] = t.state[_BEHIND] + f64(s.hop) - moved
            if t.state[_BEHIND] < 0.0:
                # it has caught up
                t.state[_BEHIND] = 0.0
                effects_clear_phases(t)
            elif t.state[_BEHIND] > limit:
                t.place[_RETURN] = 1


class Stretcher:
    """Phase vocoder: computes output hops, each from the window before an input position.

    `spectra`: the windows, with the input in `spectra.past`.
    """

    def __init__(self, channels: int, rate: int, seconds: float) -> None:
        """Allocates the buffers, with at least `seconds` of input."""
        size = window_size(WINDOW, rate)
        self.spectra = PhaseSpectra(channels, size, round(seconds * rate) + 2 * size)
        self._loudest = np.zeros(1, np.float32)
        self.place = np.zeros(6, np.int64)  # whole numbers: see `_AT`
        self.state = np.zeros(4, np.float64)  # numbers: see `_DEBT`
        self.record = StretchState(np.zeros(size // 2 + 1, np.float32), self._loudest, self.place, self.state)

    def clear(self) -> None:
        self.spectra.clear()
        for state in (self._loudest, self.place, self.state):
            state.fill(0)

    def vocoder_hop(self, end: int) -> None:
        """Computes `spectra.output`, the next output hop, from the input before frame `end`, as a plain vocoder."""
        effects_pace_hop(end, self.spectra.record, self.record)


class Stretch(Processor):
    """Plays the recent input stretched by `factor`; a factor below 1 catches up.

    Live, the output lags by up to `buffer` seconds and then returns to the present, as `now` does; at factor 1 the lag
    is constant. A file is stretched by `factor`.
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
        Param("buffer", default=8.0, low=0.5, high=MAX_SECONDS, unit="s", doc="Live: longest lag behind the input."),
        Param("now", "trigger", doc="Live: returns to the present."),
        Param("behind", default=0.0, low=0.0, high=MAX_SECONDS, unit="s", readonly=True, doc="Lag behind the input."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = float(spec.rate)
        self._stretcher = Stretcher(spec.channels, spec.rate, MAX_SECONDS)
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
                self._stretcher.spectra.record,
                self._stretcher.record,
            )
            .then(effects_delay_in_seconds.step(self._stretcher.state, self._rate, self._behind))
            .reporting(behind=(self._behind, 0))
        )
