"""Removes mains hum before the other stages: harmonics of 50 or 60 Hz whose phase is constant for seconds.

Each harmonic ("line") is demodulated, averaged over about a second and subtracted: a notch some tenths of a hertz wide
(Widrow et al., 1975), narrower than any mask on bins of 23 Hz. A line counts as hum when its average is far above what
chance gives; mains hum is present when several of its lines do. The mains frequency is the one of a fine comb of
guesses at which the averages are largest.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64
from antiphon.api.backends.signal import SpectrumSizes
from antiphon.api.kernels import f32p, f64, f64p, i64, kernel

C128 = NDArray[np.complex128]
MAINS = (50.0, 60.0)
LINES = 20
CANDIDATES = 2 * 28 + 1
FREQUENCY_STEP = 0.0001
"""Relative spacing of the candidate mains frequencies; together they cover ±0.28 %."""
_SECONDS = 4.0
_SURE, _OVER = 9.0, 6.0
_MOST = 40.0
_LEAST, _MANY = 3.0, 2.0
_DOUBT = 1.5
_FIRST = 12
_TUNED, _ROWS = len(MAINS), len(MAINS) * CANDIDATES * LINES
_MIN_POWER = 1e-16
_PERIODS = 3
_QUIET, _STEADY = 0.02, 0.05
"""Least power beside the hum, as a share of its average and of the hum's, that makes a hop count more."""


@kernel
def denoise_hum_rest(parts: f32p, channels: i64, scale: f64, row: i64, mean: f64p, phasor: f64p, known: f64p) -> f64:
    """Power at the lines of guess row `row` that their averages leave of one hop; known[0] ← power of the averages.

    parts, mean, phasor: as `denoise_hum_follow` has them.
    """
    rest = 0.0
    known[0] = 0.0
    for c in range(channels):
        for k in range(LINES):
            here = row * LINES + k
            at = 2 * ((c * _TUNED + row // CANDIDATES) * LINES + k)
            to = 2 * (c * _ROWS + here)
            re = f64(parts[at]) * scale
            im = -f64(parts[at + 1]) * scale
            left = re * phasor[2 * here] - im * phasor[2 * here + 1] - mean[to]
            turned = re * phasor[2 * here + 1] + im * phasor[2 * here] - mean[to + 1]
            rest = rest + left * left + turned * turned
            known[0] = known[0] + mean[to] * mean[to] + mean[to + 1] * mean[to + 1]
    return rest


@kernel
def denoise_hum_follow(
    parts: f32p, channels: i64, scale: f64, share: f64, mean: f64p, power: f64p, phasor: f64p
) -> None:
    """Averages the demodulated lines of one hop into mean and power, in place.

    parts: `[channels, mains, lines, 2]` cosine and sine correlation of the hop, times `scale` its amplitude. share: of
    this hop in the averages, 0 to 1. mean: `[channels, mains, guesses, lines, 2]`, complex. power: `[channels, mains,
    lines]`. phasor: `[mains, guesses, lines, 2]` rotation that undoes the phase advance since the first hop.
    """
    for c in range(channels):
        for m in range(_TUNED):
            for k in range(LINES):
                at = (c * _TUNED + m) * LINES + k
                re = f64(parts[2 * at]) * scale
                im = -f64(parts[2 * at + 1]) * scale
                power[at] = power[at] + (re * re + im * im - power[at]) * share
                for g in range(CANDIDATES):
                    turn = 2 * ((m * CANDIDATES + g) * LINES + k)
                    to = 2 * c * _ROWS + turn
                    mean[to] = mean[to] + (re * phasor[turn] - im * phasor[turn + 1] - mean[to]) * share
                    mean[to + 1] = mean[to + 1] + (re * phasor[turn + 1] + im * phasor[turn] - mean[to + 1]) * share


@kernel
def denoise_hum_best(mean: f64p, power: f64p, channels: i64, chance: f64, above: f64p) -> i64:
    """above `[mains, guesses, lines]` ← the squared average of each line relative to chance, in its loudest channel.

    mean, power: as `denoise_hum_follow` has them; chance: squared average that unit power of noise leaves. Returns the
    row `mains * CANDIDATES + guess` with the largest capped sum.
    """
    best = 0
    most = -1.0
    for row in range(_TUNED * CANDIDATES):
        total = 0.0
        for k in range(LINES):
            here = row * LINES + k
            highest = 0.0
            for c in range(channels):
                at = 2 * (c * _ROWS + here)
                square = mean[at] * mean[at] + mean[at + 1] * mean[at + 1]
                own = power[(c * _TUNED + row // CANDIDATES) * LINES + k]
                highest = max(highest, square / (own * chance + _MIN_POWER))
            above[here] = highest
            total = total + highest / (1.0 + highest / _MOST)
        if total > most:
            most = total
            best = row
    return best


@kernel
def denoise_hum_sure(above: f64p, row: i64) -> f64:
    """Soft count, 0 to `LINES`, of the lines of guess row `row` that are far above chance."""
    total = 0.0
    for k in range(LINES):
        total = total + max(min((above[row * LINES + k] - _SURE) / _OVER, 1.0), 0.0)
    return total


@kernel
def denoise_hum_lines(
    mean: f64p, phasor: f64p, above: f64p, row: i64, channels: i64, amount: f64, weak_share: f64, back: f32p
) -> None:
    """back `[channels, mains, lines, 2]` ← cosine and sine amplitudes of the lines to subtract from this hop.

    mean, phasor, above: as the kernels before have them; row: the best guess. Removed is the share `amount` of the hum,
    and of lines that are barely above chance `weak_share` of that.
    """
    for n in range(channels * _TUNED * LINES * 2):
        back[n] = 0.0
    for c in range(channels):
        for k in range(LINES):
            here = row * LINES + k
            sure = max(min((above[here] - _SURE) / _OVER, 1.0), 0.0)
            share = max(sure, weak_share * max(1.0 - _DOUBT / (above[here] + 1e-9), 0.0)) * amount
            at = 2 * (c * _ROWS + here)
            to = 2 * ((c * _TUNED + row // CANDIDATES) * LINES + k)
            re = phasor[2 * here]
            im = phasor[2 * here + 1]
            back[to] = (mean[at] * re + mean[at + 1] * im) * share
            back[to + 1] = -(mean[at + 1] * re - mean[at] * im) * share


@kernel
def denoise_hum_turn(phasor: f64p, turn: f64p) -> None:
    """phasor `[mains, guesses, lines, 2]` ← rotated by turn, of the same shape: one hop later."""
    for n in range(_ROWS):
        re = phasor[2 * n]
        im = phasor[2 * n + 1]
        phasor[2 * n] = re * turn[2 * n] - im * turn[2 * n + 1]
        phasor[2 * n + 1] = re * turn[2 * n + 1] + im * turn[2 * n]


class MainsHumRemover:
    """Mains hum canceller of one stream: its confidence `presence`, 0 to 1; whether it `subtracts` some."""

    def __init__(self, grid: SpectrumSizes, rate: int, channels: int) -> None:
        self._hop, self._channels = grid.hop, channels
        orders = np.arange(1, LINES + 1, dtype=np.float64)
        middle = np.arange(grid.hop) - (grid.hop - 1) / 2
        turns = 2 * np.pi / rate * np.outer(np.outer(MAINS, orders).ravel(), middle)
        # rows: cosine and sine of every line, its phase 0 in the middle of the hop
        self._basis: F32 = np.stack([np.cos(turns), np.sin(turns)], 1).reshape(-1, grid.hop).astype(np.float32)
        self._across = self._basis.T
        shares = 1.0 + FREQUENCY_STEP * (np.arange(CANDIDATES) - CANDIDATES // 2)
        hertz = np.outer(MAINS, shares)
        self._turn: C128 = np.exp(-2j * np.pi * grid.hop / rate * hertz[:, :, None] * orders)
        self._parts: F32 = np.zeros((channels, len(self._basis)), np.float32)
        self._line: F32 = np.zeros((channels, grid.hop), np.float32)
        self._back: F32 = np.zeros((channels, len(self._basis)), np.float32)
        self._keep = 1.0 - grid.hop / rate / _SECONDS
        shape = (channels, len(MAINS), CANDIDATES, LINES)
        self._mean: C128 = np.zeros(shape, np.complex128)
        self._known: F64 = np.zeros(1)
        self._rests: F64 = np.zeros(round(_PERIODS * rate / MAINS[0] / grid.hop))
        self._power: F64 = np.zeros((channels, len(MAINS), LINES))
        self._phasor: C128 = np.ones(shape[1:], np.complex128)
        self._above: F64 = np.zeros(shape[1:])
        self.reset()

    def reset(self) -> None:
        self._mean.fill(0.0)
        self._power.fill(0.0)
        self._phasor.fill(1.0)
        self._weight = self._squares = self._usual = self._count = 0.0
        self._row = 0
        self._first: C128 | None = None
        self._rests.fill(0.0)
        self._hops = 0
        self.presence, self.subtracts = 0.0, False

    def rewind(self) -> None:
        """Expects the first hop since `reset` again: phases restart, those of its averages too where it was heard."""
        self._phasor.fill(1.0)
        if self._first is not None:
            np.copyto(self._mean, self._first)

    def look_ahead(self, hops: list[F32]) -> None:
        """Estimates the hum from these hops in reversed order, so that the first of them begins with the estimate."""
        self.reset()
        for hop in reversed(hops):
            self.take(np.ascontiguousarray(hop[:, ::-1]), 0.0)
        # a reversed sine has the conjugate amplitude, and phases count from the first hop on
        self._first = np.conj(self._mean) * self._turn ** (len(hops) - 1)
        self.rewind()

    def take(self, sound: F32, amount: float) -> None:
        """Subtracts a share of the hum, 0 to 1, from the newest hop, float32 `[channels, hop]`, in place."""
        if not sound.any():
            # digital silence has no hum, and says nothing of what sounds after it
            denoise_hum_turn(self._phasor, self._turn)
            return
        np.dot(sound, self._across, out=self._parts)
        share = self._share()
        denoise_hum_follow(self._parts, self._channels, 2.0 / self._hop, share, self._mean, self._power, self._phasor)
        chance = self._squares / self._weight**2
        row = self._row = denoise_hum_best(self._mean, self._power, self._channels, chance, self._above)
        sure = denoise_hum_sure(self._above, row)
        self._hops += 1
        self.presence = min(1.0, max(0.0, sure - _LEAST + 1.0)) if self._hops > _FIRST else 0.0
        if self.presence > 0.0 and amount > 0.0:
            self.subtracts = True
            many = min(1.0, max(0.0, (sure - _LEAST) / _MANY))
            denoise_hum_lines(
                self._mean, self._phasor, self._above, row, self._channels, amount * self.presence, many, self._back
            )
            np.dot(self._back, self._basis, out=self._line)
            np.subtract(sound, self._line, out=sound)
        denoise_hum_turn(self._phasor, self._turn)

    def _share(self) -> float:
        """Share of this hop in the averages: the less else sounds beside the hum, the larger."""
        rest = denoise_hum_rest(
            self._parts, self._channels, 2.0 / self._hop, self._row, self._mean, self._phasor, self._known
        )
        self._rests[self._hops % len(self._rests)] = rest
        rest = float(self._rests.max())  # over whole periods of the mains, in which the lines beat
        self._usual += (rest - self._usual) * max(1.0 - self._keep, 1.0 / (self._hops + 1))
        least = _QUIET * self._usual + _STEADY * float(self._known[0]) + _MIN_POWER
        weight = 1.0 / (rest + least)
        # what was quiet for as long as it is remembered counts no more than a quiet hop of now
        past = min(self._weight * self._keep, self._count / least)
        self._count = self._count * self._keep + 1.0
        # squares: the squared mean that noise of unit power leaves
        self._squares = self._squares * (past / self._weight) ** 2 + weight**2 if self._weight else weight**2
        self._weight = past + weight
        return weight / self._weight
