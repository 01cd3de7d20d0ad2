"""From a frame's power to a gain for every bin: features, network, gate.

All levels are natural logarithms of power; white noise of variance 1 has power 1 in every bin.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from antiphon.api.kernels import f32, f32p, i64, i64p, kernel
from antiphon_denoise.bands import BINS, COUNT, places
from antiphon_denoise.gate.network import Network, load_weights
from antiphon_denoise.gate.suppression_limit import Care

F32 = NDArray[np.float32]
QUIET = 1e-10
_SHORT, _LONG, _LEVEL = 0.6, 0.97, 0.99


@kernel
def denoise_power(spectrum: f32p, channels: i64, bins: i64, unit: f32, power: f32p) -> None:
    """power `[bins]` ← squared magnitude of complex `[channels, bins]`, summed over channels, times unit."""
    for k in range(bins):
        power[k] = f32(QUIET)
    for c in range(channels):
        at = 2 * c * bins
        for k in range(bins):
            re = spectrum[at + 2 * k]
            im = spectrum[at + 2 * k + 1]
            power[k] = power[k] + (re * re + im * im) * unit


@kernel
def denoise_bands(
    power: f32p, log_power: f32p, bins: i64, below: i64p, way: f32p, area: f32p, out: f32p, bands: i64
) -> None:
    """out `[2, bands]` ← mean power and mean log power of each band; area: its bins' weights summed."""
    for b in range(2 * bands):
        out[b] = 0.0
    for k in range(bins):
        b = below[k]
        up = way[k]
        down = f32(1.0) - up
        out[b] = out[b] + down * power[k]
        out[b + 1] = out[b + 1] + up * power[k]
        out[bands + b] = out[bands + b] + down * log_power[k]
        out[bands + b + 1] = out[bands + b + 1] + up * log_power[k]
    for b in range(bands):
        out[b] = out[b] / area[b]
        out[bands + b] = out[bands + b] / area[b]


@kernel
def denoise_follow(log_power: f32p, short: f32p, long: f32p, bins: i64) -> None:
    """Smooths log power over some 30 ms and some 400 ms."""
    for k in range(bins):
        short[k] = f32(_SHORT) * short[k] + f32(1.0 - _SHORT) * log_power[k]
        long[k] = f32(_LONG) * long[k] + f32(1.0 - _LONG) * log_power[k]


@kernel
def denoise_drive(
    log_power: f32p, short: f32p, long: f32p, noise: f32p, level: f32p, rule: f32p,
    edge: i64p, way: f32p, bands: i64, told: f32p, drive: f32p, rest: f32p,
) -> None:  # fmt: skip
    """How far each bin's gate is pushed shut, and its rest, both as logits with the sign turned.

    rule: `[6, bands]`, read between band centres; edge: the first bin above each centre. told[0]: 1
    where noise, the log power of the learned noise, is to be used, else 0. told[1]: a band above
    this log power is not shut.
    """
    known = told[0]
    ceiling = told[1]
    for b in range(bands - 1):
        slope = rule[b + 1] - rule[b]
        now = rule[bands + b]
        now_slope = rule[bands + b + 1] - now
        lately = rule[2 * bands + b]
        lately_slope = rule[2 * bands + b + 1] - lately
        always = rule[3 * bands + b]
        always_slope = rule[3 * bands + b + 1] - always
        learned = known * rule[4 * bands + b]
        learned_slope = known * rule[4 * bands + b + 1] - learned
        shut = rule[5 * bands + b]
        shut_slope = rule[5 * bands + b + 1] - shut
        start = rule[b]
        lower = level[b]
        climb = level[b + 1] - lower
        for k in range(edge[b], edge[b + 1]):
            up = way[k]
            here = lower + up * climb
            push = start + up * slope
            push = push + (now + up * now_slope) * (log_power[k] - here)
            push = push + (lately + up * lately_slope) * (short[k] - here)
            push = push + (always + up * always_slope) * (long[k] - here)
            push = push + (learned + up * learned_slope) * max(min(noise[k] - here, f32(4.0)), f32(-8.0))
            push = push + max(f32(2.0) * (here - ceiling), f32(0.0))
            drive[k] = max(min(-push, f32(30.0)), f32(-30.0))
            rest[k] = max(min(-(shut + up * shut_slope), f32(30.0)), f32(-30.0))


@kernel
def denoise_gain(drive: f32p, rest: f32p, bins: i64, gain: f32p) -> None:
    """gain ← rest + (1 - rest) * opening, given the exponentials of `denoise_drive`'s logits."""
    for k in range(bins):
        floor = f32(1.0) / (f32(1.0) + rest[k])
        gain[k] = floor + (f32(1.0) - floor) / (f32(1.0) + drive[k])


@kernel
def denoise_taken(power: f32p, gain: f32p, bins: i64) -> f32:
    """Mean power of what the gate takes away."""
    total = f32(0.0)
    for k in range(bins):
        rest = f32(1.0) - gain[k]
        total = total + power[k] * rest * rest
    return total / f32(bins)


class Estimator:
    """One stream's gate: `update` turns `power` into `gain` `[bins]`, 0..1, and `care`, 0..1.

    `care` is how much of what the gate would take may be taken.
    """

    def __init__(self, bins: int) -> None:
        self.bins = bins
        self.gain: F32 = np.ones(bins, np.float32)
        self.power: F32 = np.zeros(bins, np.float32)
        self.noise: F32 = np.full(bins, math.log(QUIET), np.float32)
        self.known = False
        self._log: F32 = np.zeros(bins, np.float32)
        self._short: F32 = np.zeros(bins, np.float32)
        self._long: F32 = np.zeros(bins, np.float32)
        self._below, self._way = places(bins)
        self._edge = np.searchsorted(self._below, np.arange(COUNT)).astype(np.int64)
        self._edge[-1] = bins
        below, way = places(BINS)
        self._area = (np.bincount(below, 1.0 - way, COUNT) + np.bincount(below + 1, way, COUNT)).astype(np.float32)
        self._bands: F32 = np.zeros((2, COUNT), np.float32)
        self._level: F32 = np.zeros(COUNT, np.float32)
        self._noise_bands: F32 = np.zeros((2, COUNT), np.float32)
        self._noise_level: F32 = np.zeros(COUNT, np.float32)
        self._scratch: F32 = np.zeros(COUNT, np.float32)
        self._drive: F32 = np.zeros((2, bins), np.float32)
        self.network = Network(load_weights())
        self._told: F32 = np.zeros(2, np.float32)
        self._follow = denoise_follow.bind(self._log, self._short, self._long, bins)
        self._push = denoise_drive.bind(
            self._log, self._short, self._long, self.noise, self._level, self.network.outputs,
            self._edge, self._way, COUNT, self._told, self._drive[0], self._drive[1],
        )  # fmt: skip
        self._finish = denoise_gain.bind(self._drive[0], self._drive[1], bins, self.gain)
        self._care = Care()
        self._take = denoise_taken.bind(self.power, self.gain, BINS)
        self._measure = denoise_bands.bind(
            self.power, self._log, BINS, self._below, self._way, self._area, self._bands, COUNT
        )
        self.reset()

    def reset(self) -> None:
        self.known = False
        self._first = True
        self._mean = 0.0
        self.level = 0.0
        self.care = 1.0
        self._care.reset()
        self._count = 0.0
        self.gain.fill(1.0)
        self.network.reset()

    def learn(self, power: F32) -> None:
        """From now on the noise is what has `power` `[bins]`."""
        np.add(power, QUIET, out=self.noise)
        np.log(self.noise, out=self.noise)
        denoise_bands(power, self.noise, BINS, self._below, self._way, self._area, self._noise_bands, COUNT)
        np.add(self._noise_bands[0], QUIET, out=self._noise_level)
        np.log(self._noise_level, out=self._noise_level)
        self.known = True

    def update(self, ceiling: float) -> None:
        """Works out `gain` from `power`, which holds `QUIET` or more everywhere."""
        np.log(self.power, out=self._log)
        if self._first:
            self._short[:] = self._log
            self._long[:] = self._log
            self._first = False
        self._follow()
        self._measure()
        np.log(self._bands[0], out=self._level)
        self._features()
        self.network.step()
        self._told[0] = 1.0 if self.known else 0.0
        self._told[1] = ceiling
        self._push()
        np.exp(self._drive, out=self._drive)
        self._finish()
        care = self._care.update(self.level, self._take())
        self.care = 1.0 if self.known else care

    def _features(self) -> None:
        now = self.level = float(np.mean(self.power[:BINS]))
        self._count = self._count * _LEVEL + 1.0
        self._mean += (now - self._mean) / self._count
        mean = math.log(self._mean + 1e-8)
        x = self.network.inputs
        np.subtract(self._level, mean, out=self._scratch)
        np.multiply(self._scratch, 1.0 / 3.0, out=x[:COUNT])
        np.subtract(self._bands[1], self._level, out=self._scratch)
        np.add(self._scratch, 0.6, out=x[COUNT : 2 * COUNT])
        if self.known:
            np.subtract(self._noise_level, self._level, out=self._scratch)
            np.clip(self._scratch, -6.0, 3.0, out=self._scratch)
            np.multiply(self._scratch, 0.5, out=x[2 * COUNT : 3 * COUNT])
        else:
            x[2 * COUNT : 3 * COUNT] = 0.0
        x[3 * COUNT] = 1.0 if self.known else 0.0
        x[3 * COUNT + 1] = (math.log(now + QUIET) - mean) / 2.0
        x[3 * COUNT + 2] = (mean + 8.0) / 5.0
