"""Forward filter over beat period, phase and beat of the bar: the posterior of the player's position per frame."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64
from antiphon.api.kernels import f64, f64p, i64, i64p, kernel

METERS = (4, 3)
"""Meters that `auto` chooses from; a bar of two beats counts as half a bar of four."""
BINS = 24
"""Number of bins of a beat in a table of likelihoods."""
STEADINESS, WANDER, WANDERS, LEAP = 100.0, 15.0, 0.2, 2e-3
"""Decay rates of the probability of a relative change of period per beat, for a steady and a wandering player; shares
of the wandering player, and of any other change."""
METER_CHANGE = 2e-3
"""Probability per bar of another meter."""
USUAL_BPM, USUAL_WIDTH = 92.0, 0.5
"""Centre in bpm and width in logarithms of the prior of the tempo."""
UNFORESEEN = 0.3
"""Odds that a suggested tempo is entirely wrong."""
GAIN_SECONDS = 4.0
"""Time constant in seconds of the measure by which the beat predicts the input better than chance."""
NEAR_PERIOD, NEAR_PHASE = 0.09, 0.22
"""Distances, relative to the period and in beats, within which states are the same answer."""
ONSET_SHARE, ONSET_WIDTH, ONSET_BACK = 0.7, 0.1, 0.5
"""Share of an onset's distance from the nearest half beat that corrects the phase; distance in beats that means another
division; share of the correction undone within a beat."""


@kernel
def bars_advance_filter(
    state: f64p,
    tails: f64p,
    shape: i64p,
    ends: i64p,
    bins: i64p,
    following: i64p,
    moves: f64p,
    fresh: f64p,
    likely: f64p,
    change: f64,
    marks: f64p,
) -> f64:
    """Advances state[layers, n] a frame, times likely[layers, BINS]; sums of periods to `marks`. Returns the total."""
    layers, n, periods, width = shape[0], shape[1], shape[2], shape[3]
    for layer in range(layers):
        for i in range(periods):
            tails[layer * periods + i] = state[layer * n + ends[i]]
    for layer in range(layers):
        base = layer * n
        carried = 0.0
        for k in range(n):
            v = state[base + k]
            state[base + k] = carried
            carried = v
    for layer in range(layers):
        to = following[layer] * n
        bar = following[layer] != layer + 1
        begin = 0
        for j in range(periods):
            total = 0.0
            for i in range(periods):
                total += tails[layer * periods + i] * moves[i * periods + j]
            total *= fresh[j]
            if bar:
                state[to + begin] = total * (1.0 - change)
                tails[(layers + layer) * periods + j] = total * change
            else:
                state[to + begin] = total
                tails[(layers + layer) * periods + j] = 0.0
            begin = ends[j] + 1
    for layer in range(layers):
        other = following[layers + layer] * n
        if change > 0.0:
            begin = 0
            for j in range(periods):
                state[other + begin] += tails[(layers + layer) * periods + j]
                begin = ends[j] + 1
    whole = 0.0
    for i in range(periods):
        marks[i] = 0.0
    for layer in range(layers):
        base = layer * n
        k = 0
        for i in range(periods):
            part = 0.0
            while k <= ends[i]:
                v = state[base + k] * likely[layer * width + bins[k]] + 1e-30
                state[base + k] = v
                part += v
                k += 1
            marks[i] += part
            whole += part
    scale = 1.0 / whole
    for k in range(layers * n):
        state[k] *= scale
    for i in range(periods):
        marks[i] *= scale
    return whole


@kernel
def bars_read_posterior(
    state: f64p, shape: i64p, ends: i64p, positions: f64p, marks: f64p, first: i64, last: i64, bars: f64p, out: f64p
) -> None:
    """Layers' shares (`bars`) and a histogram of phases (`out`) of the periods first to last."""
    layers, n, width = shape[0], shape[1], shape[3]
    fine = 2 * width
    for layer in range(layers):
        bars[layer] = 0.0
    for b in range(fine * layers):
        out[b] = 0.0
    begin = 0
    if first > 0:
        begin = ends[first - 1] + 1
    for layer in range(layers):
        base = layer * n
        for k in range(begin, ends[last] + 1):
            v = state[base + k]
            out[layer * fine + i64(positions[k] * f64(fine))] += v
            bars[layer] += v


class BarFilter:
    """Posterior over (beat of the bar, period, phase), advanced by frames.

    `rate`: frames per second. `low`, `high`: range of the tempo, bpm. `meters`: beats per bar to choose from. `gain`:
    nats per frame by which a certain beat predicts the input better than chance; 0 for noise. `regular`: set from
    outside, 0 to 1, how evident the beat is otherwise.
    After `step`: `phase` within the beat, `period` in seconds, `place` in the bar, `meter`, `sureness` 0 to 1.
    """

    def __init__(self, rate: float, low: float, high: float, meters: tuple[int, ...], gain: float) -> None:
        self.rate, self.meters, self.usual_gain = rate, meters, gain
        short, long = max(2, math.floor(60.0 * rate / high)), math.ceil(60.0 * rate / low)
        lengths = np.arange(short, max(short + 1, long) + 1)
        self._lengths, self._n = lengths.astype(np.float64), int(lengths.sum())
        self._ends = (np.cumsum(lengths) - 1).astype(np.int64)
        self._positions = np.concatenate([np.arange(size) / size for size in lengths])
        self._bins = (np.floor(self._positions * BINS + 0.5).astype(np.int64)) % (BINS)
        # what rounds up to the next beat belongs to its table
        self._over = np.floor(self._positions * BINS + 0.5) >= BINS
        self._bins[self._over] = BINS
        self._layers = sum(meters)
        self._shape = np.array([self._layers, self._n, len(lengths), BINS + 1], np.int64)
        self._places = [(meter, place) for meter in meters for place in range(meter)]
        firsts = np.cumsum([0, *meters])[:-1]
        following, other = [], []
        for number, meter in enumerate(meters):
            following += [int(firsts[number]) + (place + 1) % meter for place in range(meter)]
            other += [int(firsts[(number + 1) % len(meters)])] * meter
        self._following = np.array([*following, *other], np.int64)
        self._next = self._following[: self._layers]
        self._change = METER_CHANGE if len(meters) > 1 else 0.0
        ratio = np.abs(np.log(self._lengths[None] / self._lengths[:, None]))
        bpm = 60.0 * rate / self._lengths
        usual = np.exp(-0.5 * (np.log(bpm / USUAL_BPM) / USUAL_WIDTH) ** 2)
        self._usual = usual / usual.sum()
        steady, wander = (np.exp(-rate * ratio) for rate in (STEADINESS, WANDER))
        near = (1.0 - WANDERS) * steady / steady.sum(axis=1, keepdims=True)
        near += WANDERS * wander / wander.sum(axis=1, keepdims=True)
        self._moves = np.ascontiguousarray((1.0 - LEAP) * near + LEAP * self._usual[None])
        self._bpm, self._prior = np.log(bpm), np.ones(len(lengths))
        self._tails = np.zeros(2 * self._layers * len(lengths))
        self._marks, self._masses = np.zeros(len(lengths)), np.zeros(len(lengths) + 1)
        self._firsts = np.searchsorted(self._lengths, self._lengths * (1.0 - NEAR_PERIOD))
        self._lasts = np.searchsorted(self._lengths, self._lengths * (1.0 + NEAR_PERIOD), side="right")
        self._window = np.ones(2 * int(NEAR_PHASE * 2 * (BINS + 1)) + 1)
        self._state = np.zeros(self._layers * self._n)
        self._ones = np.ones(self._layers * (BINS + 1))
        self._shares = np.zeros(self._layers)
        self._phases = np.zeros(2 * (BINS + 1) * self._layers)
        self.clear()

    def clear(self) -> None:
        """Forgets the notes so far: every phase is equally likely, and the usual tempos are the likely ones."""
        share = np.repeat(self._usual / self._lengths, self._lengths.astype(int))
        for number, (meter, _) in enumerate(self._places):
            weight = (0.8 if meter == max(self.meters) else 0.2) / meter if len(self.meters) > 1 else 1.0 / meter
            self._state[number * self._n : (number + 1) * self._n] = share * weight
        self._marks[:], self._prior[:], self.gain, self.regular = self._usual, 1.0, 0.0, 0.0
        self.phase, self.period, self.place, self.meter, self.sureness = 0.0, 60.0 / USUAL_BPM, 0, self.meters[0], 0.0
        self._ahead = 0.0

    def table(self, bars: NDArray[np.float64]) -> F64:
        """Likelihoods `[layers, BINS + 1]` of a table of four beats, `[4, BINS]`, for every meter."""
        rows = []
        for meter, place in self._places:
            rows.append(_row(bars, meter, place))
        made = np.array(rows)
        after = [_row(bars, meter, (place + 1) % meter)[0] for meter, place in self._places]
        return np.ascontiguousarray(np.concatenate([made, np.array(after)[:, None]], axis=1))

    def tables(self, places: F64) -> F64:
        """`table` of each row of places of a bar of four, `[rows, 4 * BINS]`, one beside the other: `[n, rows]`."""
        return np.ascontiguousarray(np.array([self.table(row.reshape(4, BINS)).ravel() for row in places]).T)

    def suggest(self, tempos: F64, odds: F64, share: float) -> None:
        """Weights the tempos of coming beats by the odds of `tempos` (bpm). `share`: weight at every beat."""
        weight = np.interp(self._bpm, np.log(tempos), np.log(odds + UNFORESEEN))
        np.exp(share * (weight - weight.max()), out=self._prior)

    def step(self, likely: F64 | None = None) -> None:
        """Advances a frame. `likely`: a `table`; None for a frame without evidence."""
        whole = bars_advance_filter(
            self._state,
            self._tails,
            self._shape,
            self._ends,
            self._bins,
            self._following,
            self._moves,
            self._prior,
            self._ones if likely is None else likely,
            self._change,
            self._marks,
        )
        self._ahead *= 1.0 - ONSET_BACK / (self.rate * self.period)
        if likely is not None:
            told = math.log(max(whole, 1e-30) / float(likely.mean()))
            self.gain += (told - self.gain) / (GAIN_SECONDS * self.rate)

    def onset(self, ago: float) -> None:
        """Corrects the phase by an onset, `ago` seconds before the last frame's time: players deviate from the beat."""
        self.read()
        away = 2.0 * (self.phase - ago / self.period)
        away = (away - round(away)) / 2.0
        self._ahead -= ONSET_SHARE * away * math.exp(-0.5 * (away / ONSET_WIDTH) ** 2)

    def read(self) -> None:
        """Computes the estimate from the best period, its best phase (both with close ones), and the recent onsets."""
        lengths, marks = self._lengths, self._marks
        np.cumsum(marks, out=self._masses[1:])
        best = int(np.argmax(self._masses[self._lasts] - self._masses[self._firsts]))
        first, last = int(self._firsts[best]), int(self._lasts[best]) - 1
        part = marks[first : last + 1]
        self.period = float((part * lengths[first : last + 1]).sum() / max(part.sum(), 1e-12)) / self.rate
        bars_read_posterior(
            self._state, self._shape, self._ends, self._positions, marks, first, last, self._shares, self._phases
        )
        fine = 2 * (BINS + 1)
        table = self._phases.reshape(self._layers, fine)
        phases = table.sum(axis=0)
        window = len(self._window) // 2
        around = np.concatenate([phases[-window:], phases, phases[:window]])
        sums = np.convolve(around, self._window, "valid")
        top = int(np.argmax(sums))
        index = np.arange(top - window, top + window + 1)
        wrapped = index % fine
        centre = float((phases[wrapped] * (index + 0.5)).sum() / max(phases[wrapped].sum(), 1e-12)) / fine
        evident = max(self.gain / self.usual_gain, self.regular)
        self.sureness = float(sums[top]) * min(max(evident, 0.0), 1.0)
        # states before the beat's line belong to the beat that comes if the centre lies behind it
        turn, part = index // fine - math.floor(centre), table[:, wrapped]
        shares = part @ (turn == 0) + (part @ (turn > 0))[self._next]
        shares[self._next] += part @ (turn < 0)
        layer = int(np.argmax(shares))
        self.meter, place = self._places[layer]
        phase = centre - math.floor(centre) + self._ahead
        self.place, self.phase = (place + math.floor(phase)) % self.meter, phase - math.floor(phase)


def _row(bars: NDArray[np.float64], meter: int, place: int) -> NDArray[np.float64]:
    """Returns likelihoods for one beat of a bar of that meter, from likelihoods of a bar of four."""
    if place == 0:
        return np.asarray(bars[0])
    if meter % 4 == 0 or meter == 2:
        return np.asarray(bars[place % 4] if meter > 2 else bars[2] * 0.5 + bars[1] * 0.5)
    if meter == 6 and place == 3:
        return np.asarray(bars[2])
    return np.asarray(0.5 * (bars[1] + bars[3]))
