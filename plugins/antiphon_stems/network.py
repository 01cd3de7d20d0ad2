"""The networks in numpy: one hop at a time for the node, whole stretches for files.

`antiphon_models.stems.network` is the same in torch.
"""

from __future__ import annotations

import numpy as np

from antiphon.api import Samples
from antiphon.api.backends.models import BandedSums, Linear, SiluLinear, Weights, find_array
from antiphon_stems import features
from antiphon_stems.features import DETAILS, KEEPS, LEVEL_KEEP, QUIET, REACHES, ROWS
from antiphon_stems.grids import FILE, LIVE, STEMS, UnitGrid

BENT, WIDTH, SLOPE = 16, 224, 0.1
"""Numbers of a unit that are bent, numbers of the layers over bands, and the bend's slope below 0."""
MASKS = len(STEMS) - 1
"""Shares that are sent: the last stem has the rest."""


def shapes(grid: UnitGrid, around: int) -> dict[str, tuple[int, ...]]:
    """The arrays of a network, by name."""
    said = (BENT + len(STEMS)) * grid.bands
    return {
        "enter.weight": (WIDTH, (ROWS + around) * grid.bands),
        "enter.bias": (WIDTH,),
        "middle.weight": (WIDTH, WIDTH),
        "middle.bias": (WIDTH,),
        "say.weight": (said, WIDTH),
        "say.bias": (said,),
        "bend.weight": (BENT, DETAILS + around),
        "last.weight": (len(STEMS), BENT),
    }


def check_arrays(weights: Weights, grid: UnitGrid, around: int) -> dict[str, Samples]:
    """The arrays of a network, checked; `ModelError` where they do not fit."""
    return {name: find_array(weights, name, *shape) for name, shape in shapes(grid, around).items()}


class FileNetwork:
    """Shares of stems in stretches of a file."""

    def __init__(self, weights: Weights) -> None:
        """Checks the weights; `ModelError` where they do not fit."""
        self._w = check_arrays(weights, FILE, len(REACHES) + 2)

    def shares(self, power: Samples, side: Samples) -> Samples:
        """Power and side `[frames, units]` to shares `[4, frames, units]`, whose sum is 1."""
        w, frames = self._w, len(power)
        bands, details = features.describe_file(FILE, power, side)
        x = _silu(bands @ w["enter.weight"].T + w["enter.bias"])
        x = x + _silu(x @ w["middle.weight"].T + w["middle.bias"])
        said = (x @ w["say.weight"].T + w["say.bias"]).reshape(frames, BENT + len(STEMS), FILE.bands)
        context = said @ FILE.wide
        bent = w["bend.weight"] @ details + context[:, :BENT]
        logits = w["last.weight"] @ np.maximum(bent, SLOPE * bent) + context[:, BENT:]
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.ascontiguousarray((shares / shares.sum(axis=1, keepdims=True)).transpose(1, 0, 2), np.float32)


def _silu(x: Samples) -> Samples:
    return np.asarray(x / (1.0 + np.exp(-np.clip(x, -60.0, 60.0))), np.float32)


class LiveNetwork:
    """Shares of stems hop by hop: power and side `[2, units]` to those of all stems but the last, `[3, units]`."""

    def __init__(self, weights: Weights) -> None:
        """Makes the buffers; `ModelError` where the weights do not fit."""
        around, units, bands = len(KEEPS) + 1, LIVE.units, LIVE.bands
        w = check_arrays(weights, LIVE, around)
        self._enter = SiluLinear(w["enter.weight"], w["enter.bias"])
        self._middle = SiluLinear(w["middle.weight"], w["middle.bias"])
        self._say = Linear(w["say.weight"], w["say.bias"])
        self._said = self._say.outputs.reshape(BENT + len(STEMS), bands)
        self._bend, self._last = np.ascontiguousarray(w["bend.weight"]), np.ascontiguousarray(w["last.weight"])
        self._mean, self._wide = BandedSums(LIVE.mean), BandedSums(LIVE.wide)
        self._near, self._far = (BandedSums(features.smoother(units, reach)) for reach in features.NEIGHBOURS)
        self._share = np.float32(1.0 / LIVE.bins) * LIVE.width
        self._around: Samples = np.zeros((around, units), np.float32)
        self._keeps = np.array([*KEEPS, 0.0], np.float32)[:, None]
        self._details: Samples = np.zeros((DETAILS + around, units), np.float32)
        self._bands: Samples = np.zeros((ROWS + around, bands), np.float32)
        self._flat = self._bands.reshape(-1)
        self._powers: Samples = np.zeros((2, units), np.float32)
        self._log, self._unit = np.zeros((2, units), np.float32)
        self._band, self._row = np.zeros((2, bands), np.float32)
        self._hidden: Samples = np.zeros(WIDTH, np.float32)
        self._context: Samples = np.zeros((BENT + len(STEMS), units), np.float32)
        self._bent: Samples = np.zeros((BENT, units), np.float32)
        self._sloped: Samples = np.zeros((BENT, units), np.float32)
        self._logits: Samples = np.zeros((len(STEMS), units), np.float32)
        self._most: Samples = np.zeros(units, np.float32)
        self.start()

    def start(self) -> None:
        self._begun = False
        self._sum = self._weight = 0.0

    def step(self, x: Samples, y: Samples) -> None:
        """Computes one hop of float32 `[2, units]` into `[3, units]`."""
        # of noise, which networks are tried with, the size
        np.abs(x, out=self._powers)
        power, side = self._powers
        np.add(power, np.float32(QUIET), out=self._log)
        np.log(self._log, out=self._log)
        if not self._begun:
            self._begun = True
            self._around[...] = self._log
        self._sum = self._sum * LEVEL_KEEP + float(np.dot(power, self._share))
        self._weight = self._weight * LEVEL_KEEP + 1.0
        level = np.float32(np.log(self._sum / self._weight + QUIET))
        self._describe_bands(power, side, level)
        self._describe_units(power, side, level)
        self._answer(y)
        # around ← log + keep · (around - log), of the last row the hop itself
        np.subtract(self._around, self._log, out=self._around)
        np.multiply(self._around, self._keeps, out=self._around)
        np.add(self._around, self._log, out=self._around)

    def _describe_bands(self, power: Samples, side: Samples, level: np.float32) -> None:
        rows, band, row = self._bands, self._band, self._row
        self._mean(power, row)
        self._mean(side, rows[2])
        np.add(row, np.float32(QUIET), out=row)
        np.divide(rows[2], row, out=rows[2])
        np.add(rows[2], np.float32(features.SIDE), out=rows[2])
        np.log(rows[2], out=rows[2])
        np.log(row, out=band)
        np.subtract(band, level, out=rows[0])
        self._mean(self._log, row)
        np.subtract(row, band, out=rows[1])
        for n, other in enumerate(self._around):
            self._mean(other, row)
            np.subtract(band, row, out=rows[ROWS + n])
        features.scale_bands(rows)

    def _describe_units(self, power: Samples, side: Samples, level: np.float32) -> None:
        rows, log, unit = self._details, self._log, self._unit
        np.subtract(log, level, out=rows[0])
        self._wide(self._band, unit)
        np.subtract(log, unit, out=rows[1])
        self._near(log, unit)
        np.subtract(log, unit, out=rows[2])
        self._far(log, unit)
        np.subtract(log, unit, out=rows[3])
        np.add(power, np.float32(QUIET), out=unit)
        np.divide(side, unit, out=rows[4])
        np.add(rows[4], np.float32(features.SIDE), out=rows[4])
        np.log(rows[4], out=rows[4])
        np.subtract(log, self._around, out=rows[DETAILS:])
        features.scale_units(rows)

    def _answer(self, y: Samples) -> None:
        hidden, logits = self._hidden, self._logits
        hidden[:] = self._enter(self._flat)
        np.add(hidden, self._middle(hidden), out=hidden)
        self._say(hidden)
        np.matmul(self._said, LIVE.wide, out=self._context)
        np.matmul(self._bend, self._details, out=self._bent)
        np.add(self._bent, self._context[:BENT], out=self._bent)
        np.multiply(self._bent, np.float32(SLOPE), out=self._sloped)
        np.maximum(self._bent, self._sloped, out=self._bent)
        np.matmul(self._last, self._bent, out=logits)
        np.add(logits, self._context[BENT:], out=logits)
        np.maximum.reduce(logits, axis=0, out=self._most)
        np.subtract(logits, self._most, out=logits)
        np.exp(logits, out=logits)
        np.add.reduce(logits, axis=0, out=self._most)
        np.divide(logits[:MASKS], self._most, out=y)
