"""Separation networks in numpy, hop by hop or by segments, and their input features.

`antiphon_models.stems.recipe` is the torch version.
"""

import numpy as np

from antiphon.api import Samples
from antiphon.api.backends.models import BandedSums, Gru, Linear, SiluLinear, Weights, find_array
from antiphon_stems.grids import FILE, LIVE, STEMS, UnitGrid

QUIET = 1e-9
DETAILS, ROWS = 5, 3
"""Features of a unit, and of a band, besides one for each of the neighbouring spectra."""
REACHES = (3, 12, 43)
"""Half-widths in frames of a file's level averages: 0.07, 0.28 and 1 s."""
LEVEL_REACH = 129
"""Half-width in frames of a file's overall level average: 3 s."""
DECAYS = (0.6, 0.95, 0.99)
"""Decay per hop of the node's averages: over 20 ms, 0.2 s and 0.8 s."""
LEVEL_DECAY = 0.998
"""Decay per hop of the node's overall level average: 4 s."""
NEIGHBOURS = (2, 8)
"""Distances in units of the neighbour comparison."""
FAR = 3
"""Row of a unit's features that compares it with farther neighbours, above which a voice's harmonics stand out."""
SIDE_FLOOR = 0.01
"""Floor of the side-to-total power ratio before its logarithm."""


_SHIFTS = np.array([[0.3], [1.2]], np.float32)


def moving_mean(x: Samples, reach: int, axis: int) -> Samples:
    """Means over `reach` positions on either side, fewer at the ends."""
    size = x.shape[axis]
    at = np.arange(size)
    low, high = np.maximum(at - reach, 0), np.minimum(at + reach + 1, size)
    zero = np.zeros_like(np.take(x, [0], axis), np.float64)
    sums = np.concatenate([zero, np.cumsum(x, axis, dtype=np.float64)], axis)
    shape = [1] * x.ndim
    shape[axis] = size
    found = (np.take(sums, high, axis) - np.take(sums, low, axis)) / (high - low).reshape(shape)
    return np.asarray(found, np.float32)


def describe(
    grid: UnitGrid, power: Samples, side: Samples, level: Samples, around: tuple[Samples, ...]
) -> tuple[Samples, Samples]:
    """Computes the features of frames.

    `power`, `side`: `[..., units]` mean power of the channels, and of their difference, 0 for mono. `level`: `[..., 1]`
    log power that counts as the sound's level. `around`: `[..., units]` log powers of neighbouring frames, or of their
    averages. Returns `[..., (ROWS + len(around)) * bands]` of bands, `[..., DETAILS + len(around), units]` of units.
    """
    log = np.log(power + np.float32(QUIET))
    band_power = power @ grid.mean + np.float32(QUIET)
    band = np.log(band_power)
    bands = [band - level, log @ grid.mean - band, np.log(side @ grid.mean / band_power + np.float32(SIDE_FLOOR))]
    details = [log - level, log - band @ grid.wide, *(log - moving_mean(log, reach, -1) for reach in NEIGHBOURS)]
    details.append(np.log(side / (power + np.float32(QUIET)) + np.float32(SIDE_FLOOR)))
    both = (
        np.stack([*bands, *(band - other @ grid.mean for other in around)], axis=-2).astype(np.float32),
        np.stack([*details, *(log - other for other in around)], axis=-2).astype(np.float32),
    )
    scale_bands(both[0])
    scale_units(both[1])
    return both[0].reshape(*both[0].shape[:-2], -1), both[1]


def scale_bands(rows: Samples) -> None:
    """Scales band features `[..., ROWS + around, bands]` to about 1, in place."""
    np.multiply(rows, np.float32(0.5), out=rows)
    np.add(rows[..., 1:3, :], _SHIFTS, out=rows[..., 1:3, :])
    np.clip(rows, np.float32(-4.0), np.float32(3.0), out=rows)


def scale_units(rows: Samples) -> None:
    """Scales unit features `[..., DETAILS + around, units]` to about 1, in place."""
    np.multiply(rows, np.float32(0.5), out=rows)
    np.add(rows[..., 4, :], np.float32(1.2), out=rows[..., 4, :])
    np.clip(rows, np.float32(-4.0), np.float32(3.0), out=rows)


def smoothing_matrix(units: int, reach: int) -> Samples:
    """Matrix of `moving_mean`, `[units, units]`."""
    apart = np.abs(np.arange(units)[:, None] - np.arange(units)) <= reach
    return np.asarray(apart / apart.sum(axis=0), np.float32)


def describe_file(grid: UnitGrid, power: Samples, side: Samples) -> tuple[Samples, Samples]:
    """Features of a file segment, with look-ahead: power and side `[frames, units]`."""
    log = np.log(power + np.float32(QUIET))
    frame = (power @ grid.width)[:, None] / np.float32(grid.bins)
    level = np.log(moving_mean(frame, LEVEL_REACH, 0) + np.float32(QUIET))
    before, after = np.concatenate([log[:1], log[:-1]]), np.concatenate([log[1:], log[-1:]])
    means = (moving_mean(log, reach, 0) for reach in REACHES)
    return describe(grid, power, side, level, (*means, before, after))


BENT, WIDTH, SLOPE = 16, 224, 0.1
"""Rectified features of a unit, width of the band layers, and the rectifier's slope below 0."""
MASKS = len(STEMS) - 1
"""Number of output shares; the last stem has the remainder."""


FILE_AROUND = len(REACHES) + 2
VOICE = STEMS.index("voice")


def find_arrays(weights: Weights, grid: UnitGrid, around: int, inputs: int) -> dict[str, Samples]:
    """Checked arrays of what both networks have; `ModelError` if they do not fit."""
    said = (BENT + len(STEMS)) * grid.bands
    shapes = {
        "enter.weight": (WIDTH, inputs),
        "enter.bias": (WIDTH,),
        "say.weight": (said, WIDTH),
        "say.bias": (said,),
        "bend.weight": (BENT, DETAILS + around),
        "last.weight": (len(STEMS), BENT),
    }
    return {name: find_array(weights, name, *shape) for name, shape in shapes.items()}


class FileNetwork:
    """Network shares of stems in segments of a file."""

    def __init__(self, weights: Weights) -> None:
        """Checks the weights; `ModelError` if they do not fit."""
        self._w = find_arrays(weights, FILE, FILE_AROUND, (ROWS + FILE_AROUND) * FILE.bands)
        self._middle = find_array(weights, "middle.weight", WIDTH, WIDTH).T, find_array(weights, "middle.bias", WIDTH)

    def shares(self, power: Samples, side: Samples) -> Samples:
        """Shares `[4, frames, units]`, of sum 1, of power and side `[frames, units]`."""
        w, frames = self._w, len(power)
        bands, details = describe_file(FILE, power, side)
        x = _silu(bands @ w["enter.weight"].T + w["enter.bias"])
        weight, bias = self._middle
        x = x + _silu(x @ weight + bias)
        said = (x @ w["say.weight"].T + w["say.bias"]).reshape(frames, BENT + len(STEMS), FILE.bands)
        context = said @ FILE.wide
        bent = w["bend.weight"] @ details + context[:, :BENT]
        logits = w["last.weight"] @ np.maximum(bent, SLOPE * bent) + context[:, BENT:]
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.ascontiguousarray((shares / shares.sum(axis=1, keepdims=True)).transpose(1, 0, 2), np.float32)


def _silu(x: Samples) -> Samples:
    return np.asarray(x / (1.0 + np.exp(-np.clip(x, -60.0, 60.0))), np.float32)


class LiveNetwork:
    """Network shares hop by hop: power and side `[2, units]` to all stems but the last, `[3, units]`."""

    def __init__(self, weights: Weights) -> None:
        """Allocates the buffers; `ModelError` if the weights do not fit."""
        around, units, bands = len(DECAYS) + 1, LIVE.units, LIVE.bands
        inputs = (ROWS + around) * bands
        w = find_arrays(weights, LIVE, around, inputs + LIVE.single)
        self._enter = SiluLinear(w["enter.weight"], w["enter.bias"])
        self._recall = Gru.of(weights, "recall", WIDTH, WIDTH)
        self._tell = Linear(find_array(weights, "tell.weight", LIVE.single, WIDTH))
        self._say = Linear(w["say.weight"], w["say.bias"])
        self._said = self._say.outputs.reshape(BENT + len(STEMS), bands)
        self._bend, self._last = np.ascontiguousarray(w["bend.weight"]), np.ascontiguousarray(w["last.weight"])
        self._mean, self._wide = BandedSums(LIVE.mean), BandedSums(LIVE.wide)
        self._near, self._far = (BandedSums(smoothing_matrix(units, reach)) for reach in NEIGHBOURS)
        self._share = np.float32(1.0 / LIVE.bins) * LIVE.width
        self._around: Samples = np.zeros((around, units), np.float32)
        self._keeps = np.array([*DECAYS, 0.0], np.float32)[:, None]
        self._details: Samples = np.zeros((DETAILS + around, units), np.float32)
        self._seen: Samples = np.zeros(inputs + LIVE.single, np.float32)
        self._bands = self._seen[:inputs].reshape(ROWS + around, bands)
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
        self._recall.start()
        self._sum = self._weight = 0.0

    def step(self, x: Samples, y: Samples) -> None:
        """Computes one hop of float32 `[2, units]` into `[3, units]`."""
        # magnitude, as networks are warmed up with noise
        np.abs(x, out=self._powers)
        power, side = self._powers
        np.add(power, np.float32(QUIET), out=self._log)
        np.log(self._log, out=self._log)
        if not self._begun:
            self._begun = True
            self._around[...] = self._log
        self._sum = self._sum * LEVEL_DECAY + float(np.dot(power, self._share))
        self._weight = self._weight * LEVEL_DECAY + 1.0
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
        np.add(rows[2], np.float32(SIDE_FLOOR), out=rows[2])
        np.log(rows[2], out=rows[2])
        np.log(row, out=band)
        np.subtract(band, level, out=rows[0])
        self._mean(self._log, row)
        np.subtract(row, band, out=rows[1])
        for n, other in enumerate(self._around):
            self._mean(other, row)
            np.subtract(band, row, out=rows[ROWS + n])
        scale_bands(rows)

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
        np.add(rows[4], np.float32(SIDE_FLOOR), out=rows[4])
        np.log(rows[4], out=rows[4])
        np.subtract(log, self._around, out=rows[DETAILS:])
        scale_units(rows)

    def _answer(self, y: Samples) -> None:
        hidden, logits = self._hidden, self._logits
        self._seen[-LIVE.single :] = self._details[FAR, : LIVE.single]
        hidden[:] = self._enter(self._seen)
        np.add(hidden, self._recall(hidden), out=hidden)
        self._say(hidden)
        np.matmul(self._said, LIVE.wide, out=self._context)
        np.matmul(self._bend, self._details, out=self._bent)
        np.add(self._bent, self._context[:BENT], out=self._bent)
        np.multiply(self._bent, np.float32(SLOPE), out=self._sloped)
        np.maximum(self._bent, self._sloped, out=self._bent)
        np.matmul(self._last, self._bent, out=logits)
        np.add(logits, self._context[BENT:], out=logits)
        voice = logits[VOICE, : LIVE.single]
        np.add(voice, self._tell(hidden), out=voice)
        np.maximum.reduce(logits, axis=0, out=self._most)
        np.subtract(logits, self._most, out=logits)
        np.exp(logits, out=logits)
        np.add.reduce(logits, axis=0, out=self._most)
        np.divide(logits[:MASKS], self._most, out=y)
