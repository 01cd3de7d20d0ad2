"""Mask network of files: `mask_network` with look-ahead.

A first pass over the file records its log powers. Then the network runs over all hops, with recurrent layers forwards
and backwards, in stretches of `STRETCH` hops and `BESIDE` more on both sides. Its gains replace the live mask's.
`antiphon_models.denoise.network.mask` is the same network in torch; `antiphon train denoise-mask-file` makes the
weights.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from antiphon.api import F32
from antiphon.api.backends.models import sigmoid
from antiphon.api.backends.signal import SpectrumSizes, windows
from antiphon_denoise import learned
from antiphon_denoise.bands import COUNT
from antiphon_denoise.learned import (
    BLOCK,
    DETAILS,
    FEATURES,
    LEVEL,
    LONG,
    NO_FLOOR,
    PAST,
    QUIET,
    SHORT,
    UNITS,
    first_bins,
)
from antiphon_denoise.learned.file_confidence import bidirectional_gru, load as load_installed
from antiphon_denoise.learned.mask_network import GATE_BIAS, LEAKY_SLOPE

FLOOR_BLOCKS = 8
"""Number of blocks of hops on each side whose minima enter the median: 3 s."""
FILE_FEATURES = 2 * FEATURES + 1
FILE_DETAILS = DETAILS + 4
_LOWS, _HIGHS, _SCALES, _SHIFTS = (np.array(row, np.float32) for row in learned.ROWS.values())


def file_mask_features(log: F32, noise: F32 | None) -> tuple[F32, Callable[[slice], F32]]:
    """bands `[T, COUNT, FILE_FEATURES]`, and a function for the details `[…, FILE_DETAILS, UNITS]` of a slice of hops.

    log: `[T, UNITS]` log powers; noise: `[UNITS]`, those of the noise, where they are known.
    """
    past, future = _smoothed_levels(log), [part[::-1] for part in _smoothed_levels(log[::-1])]
    around = lowest_around(past[0])
    power = np.exp(log)
    level = np.log(power @ learned.mean() + np.float32(QUIET))
    frame = power @ learned.sums()[:, COUNT]
    frames = _running_mean(frame), _running_mean(frame[::-1])[::-1]
    bands = [
        _bands(log, level, followed, mean, frame, noise) for followed, mean in zip((past, future), frames, strict=True)
    ]
    near = np.clip(around @ learned.mean() - level, _LOWS[4], _HIGHS[4]) * _SCALES[4] + _SHIFTS[4]
    here = level @ learned.wide()

    def details(some: slice) -> F32:
        now = log[some]
        wide = np.pad(now, ((0, 0), (2, 2)), "edge")
        parts = [now, wide[:, 1:-3], wide[:, 3:-1], wide[:, :-4], wide[:, 4:], *(part[some] for part in past)]
        parts += [here[some] if noise is None else np.broadcast_to(noise, now.shape)]
        parts += [*(part[some] for part in future), around[some]]
        made = np.stack(parts, 1) - here[some, None]
        np.clip(made, np.float32(learned.LOWEST_DETAIL), np.float32(learned.HIGHEST_DETAIL), out=made)
        return np.asarray(made * np.float32(learned.DETAIL_SCALE))

    return np.concatenate([*bands, near[..., None]], 2), details


def lowest_around(short: F32) -> F32:
    """Noise floor of smoothed levels `[T, UNITS]`: median of the blocks' minima over `FLOOR_BLOCKS` blocks each way."""
    lowest = np.minimum.reduceat(short, np.arange(0, len(short), BLOCK))
    # of an even number the lower one, as torch has it
    median = [np.sort(lowest[max(0, row - FLOOR_BLOCKS) : row + FLOOR_BLOCKS + 1], 0) for row in range(len(lowest))]
    return np.repeat([rows[(len(rows) - 1) // 2] for rows in median], BLOCK, 0)[: len(short)]


def _smoothed_levels(log: F32) -> list[F32]:
    """Both smoothed levels, and the minimum of the first over past blocks, each `[T, UNITS]`."""
    short, long, floor = (np.empty_like(log) for _ in range(3))
    floors = np.full((PAST, log.shape[1]), NO_FLOOR, np.float32)
    keep_short, keep_long = np.float32(SHORT), np.float32(LONG)
    for hop, now in enumerate(log):
        before = max(0, hop - 1)
        short[hop] = now + keep_short * (short[before] - now) if hop else now
        long[hop] = now + keep_long * (long[before] - now) if hop else now
        block = hop // BLOCK % PAST
        if hop % BLOCK == 0:
            floors[block] = NO_FLOOR
        np.minimum(floors[block], short[hop], out=floors[block])
        np.minimum.reduce(floors, axis=0, out=floor[hop])
    return [short, long, floor]


def _running_mean(frame: F32) -> F32:
    """Exponentially weighted running mean `[T]` of all past hops with factor `LEVEL`."""
    out, mean, weight = np.empty_like(frame), 0.0, 0.0
    for hop, now in enumerate(frame):
        weight = weight * LEVEL + 1.0
        mean += (float(now) - mean) / weight
        out[hop] = mean
    return out


def _bands(log: F32, level: F32, followed: list[F32], mean: F32, frame: F32, noise: F32 | None) -> F32:
    """Band features `[T, COUNT, FEATURES]`, in the order of `HopFeatures.bands`."""
    made = np.zeros((*level.shape, FEATURES), np.float32)
    mean_log = np.log(mean + learned.QUIETEST_MEAN)[:, None]
    made[..., 0] = level - mean_log
    for row, part in enumerate((log, *followed), 1):
        made[..., row] = part @ learned.mean() - level
    if noise is not None:
        made[..., 5] = np.log(np.exp(noise) @ learned.mean() + np.float32(QUIET)) - level
        made[..., 6] = 1.0
    made[..., 7] = np.log(frame + QUIET)[:, None] - mean_log
    made[..., 8] = mean_log
    return np.asarray(np.clip(made, _LOWS, _HIGHS) * _SCALES + _SHIFTS, np.float32)


NOISE_HOPS = 64
"""Hops after which the noise of an empty top repeats."""
EDGE, EDGE_NEPERS = 24, 5.8
"""Units within which the levels fall at the edge of an empty top, and by how much (25 dB) at least."""
LOWEST_EDGE, EMPTY = 128, -20.7
"""Lowest unit of an edge, 3 kHz, and log power below which what is above it is empty: -90 dB."""
QUIET_SHARE, TOP_UNIT = 0.1, 554
"""Share of the hops that are the quietest, and unit (16 kHz) from which a top may be empty in a clean record."""


@dataclass(frozen=True, slots=True)
class EmptyTop:
    """The empty top of a file: of a lower rate, a tape, a lossy format.

    The networks were trained on noise that has no upper end, and mistake one for a sound's. Therefore they are shown
    white noise there, as loud as that below in the quietest hops. Nothing of it is heard.

    Attributes:
        edge: The last unit that is not empty.
        level: Power of the noise.
    """

    edge: int
    level: float

    def noise(self, sizes: SpectrumSizes) -> F32:
        """Powers of `NOISE_HOPS` hops, `[NOISE_HOPS, bins]`; 0 below the edge."""
        sound = np.random.default_rng(0).standard_normal(NOISE_HOPS * sizes.hop)
        window = windows(sizes)[0]
        frames = np.resize(sound, len(sound) + sizes.size)
        frames = np.lib.stride_tricks.sliding_window_view(frames, sizes.size)[:: sizes.hop][:NOISE_HOPS]
        powers = np.square(np.abs(np.fft.rfft(frames * window))) * (self.level / np.square(window).sum())
        powers[:, : first_bins()[self.edge]] = 0.0
        return np.asarray(powers, np.float32)


@dataclass(frozen=True, slots=True)
class FileNoise:
    """What `floor` found in a file: each band's share of the reduction, `[COUNT]`, and its empty top."""

    trust: F32 | None = None
    top: EmptyTop | None = None


def find_empty_top(log: F32) -> EmptyTop | None:
    """Finds the empty top in log powers `[T, UNITS]` of a sound; None if it has none, or in a clean record's place."""
    loud = log[log.max(1) > np.log(QUIET) + 1.0]
    if not len(loud):
        return None
    quiet = np.quantile(loud, QUIET_SHARE, axis=0)
    above = np.maximum.accumulate(quiet[::-1])[::-1]
    falls = (quiet[:-EDGE] - above[EDGE:] > EDGE_NEPERS) & (above[EDGE:] < EMPTY)
    edges = np.flatnonzero(falls[LOWEST_EDGE:]) + LOWEST_EDGE
    if not len(edges) or edges[-1] >= TOP_UNIT:
        return None
    edge = int(edges[-1])
    below = np.median(np.exp(loud[:, edge * 2 // 3 : edge - EDGE // 2]), axis=1)  # not of partials
    return EmptyTop(edge, float(np.quantile(below, QUIET_SHARE)))


MODEL = "denoise-mask-file"
STRETCH, BESIDE = 156 * BLOCK, 20 * BLOCK
"""Hops per batch, a minute, and their context of 8 s for the layers."""
UNIT_BATCH = 128
"""Hops per batch of the unit gates."""


class FileMask:
    """Gains of one file: records its log powers, then computes the gains of all hops."""

    def __init__(self, weights: dict[str, F32], hops: int) -> None:
        """`weights`: as from `load`; `hops`: of the file."""
        self._weights = weights
        self._logs = np.zeros((hops, UNITS), np.float16)
        self._gains = np.zeros((0, UNITS), np.float16)
        self._own: F32 = np.zeros(UNITS, np.float32)
        self._count = 0

    @property
    def known(self) -> bool:
        """Whether the gains have been computed."""
        return len(self._gains) > 0

    def note(self, hop: int, log: F32) -> None:
        """Records the log powers `[UNITS]` of a hop of the file."""
        if hop < len(self._logs):
            self._logs[hop] = log
            self._count = hop + 1

    def compute(self, noise: F32 | None) -> None:
        """Computes the gains of all recorded hops. `noise`: log powers `[UNITS]` of the noise, if known."""
        logs = self._logs[: self._count]
        if len(self._gains) != len(logs):
            self._gains = np.zeros_like(logs)
        for first in range(0, len(logs), STRETCH):
            before, last = max(0, first - BESIDE), first + STRETCH
            made = compute_file_gains(self._weights, logs[before : last + BESIDE].astype(np.float32), noise)
            self._gains[first:last] = made[first - before :][:STRETCH]

    def free_levels(self) -> None:
        """Frees the levels, after the last `compute`."""
        self._logs, self._count = self._logs[:0].copy(), 0

    def gain(self, hop: int) -> F32:
        """Gains `[UNITS]` of a hop, after `compute`."""
        self._own[:] = self._gains[min(hop, len(self._gains) - 1)]
        return self._own


def compute_file_gains(weights: dict[str, F32], log: F32, noise: F32 | None) -> F32:
    """Computes gains `[T, UNITS]` from log powers `[T, UNITS]` of all hops, as `FileMaskNetwork` does."""
    bands, details = file_mask_features(log, noise)
    x = bands.reshape(len(log), -1) @ weights["enter.weight"].T + weights["enter.bias"]
    low = bidirectional_gru(weights, "first", x * sigmoid(x))
    high = bidirectional_gru(weights, "second", low)
    said = np.concatenate([low, high], 1) @ weights["say.weight"].T + weights["say.bias"]
    said = said.reshape(len(log), COUNT, -1).transpose(0, 2, 1)
    gains = np.zeros((len(log), UNITS), np.float32)
    for first in range(0, len(log), UNIT_BATCH):
        some = slice(first, first + UNIT_BATCH)
        gains[some] = _gains(weights, details(some), said[some])
    return gains


def _gains(weights: dict[str, F32], details: F32, said: F32) -> F32:
    """Gains `[T, UNITS]` from details `[T, FILE_DETAILS, UNITS]` and the bands' network output, `[T, …, COUNT]`."""
    rule = said @ learned.wide()
    push = (details * rule[:, :FILE_DETAILS]).sum(1) + rule[:, FILE_DETAILS]
    seen = np.concatenate([details, rule[:, FILE_DETAILS + 1 :], push[:, None]], 1)
    bent = weights["bend.weight"] @ seen + weights["bend.bias"][:, None]
    push += (weights["last.weight"] @ np.maximum(bent, np.float32(LEAKY_SLOPE) * bent))[:, 0]
    return sigmoid(push + (weights["last.bias"] + np.float32(GATE_BIAS)))


def load() -> dict[str, F32] | None:
    """Loads the installed weights, float32 by name; None if there are none: the live mask then processes files too."""
    return load_installed(MODEL)
