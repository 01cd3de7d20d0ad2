"""Frequency grids of the masks: bins grouped into units, units into bands; and the node's network as plain data."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from antiphon.api import Samples
from antiphon.api.backends.models import ModelInfo

STEMS = ("drums", "bass", "voice", "other")
NOMINAL = 44100
"""Training rate of the networks in Hz; at 48 kHz the live grid is 9 % higher."""
_LOWEST, _HIGHEST = 30.0, 17000.0


@dataclass(frozen=True)
class UnitGrid:
    """Grouping of a spectrum's bins into units: single bins at low frequencies, groups of 4 and of 16 above."""

    size: int  # samples of a frame
    hop: int  # samples from one frame to the next
    single: int
    fours: int  # the bin from which on 16 are one
    bands: int
    knee: float  # Hz below which bands are about equally wide, above which they widen in proportion

    @property
    def bins(self) -> int:
        """Number of bins of a spectrum."""
        return self.size // 2 + 1

    @cached_property
    def first(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """First bin of each unit, `[units]`; the last bin belongs to the last unit."""
        ranges = (
            np.arange(self.single),
            np.arange(self.single, self.fours, 4),
            np.arange(self.fours, self.bins - 1, 16),
        )
        return np.concatenate(ranges).astype(np.int64)

    @property
    def units(self) -> int:
        return len(self.first)

    @cached_property
    def width(self) -> Samples:
        """Number of bins of each unit, `[units]`."""
        return np.diff(np.append(self.first, self.bins)).astype(np.float32)

    @cached_property
    def unit_of_bin(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Unit index of each bin, `[bins]`."""
        return np.repeat(np.arange(self.units), self.width.astype(int))

    @cached_property
    def wide(self) -> Samples:
        """Matrix from bands to units, `[bands, units]`, linear between the bands' centres."""
        low, high = (math.log10(1.0 + hertz / self.knee) for hertz in (_LOWEST, _HIGHEST))
        centres = self.knee * (10.0 ** np.linspace(low, high, self.bands) - 1.0)
        middle = (self.first + (self.width - 1.0) / 2.0) * NOMINAL / self.size
        at = np.interp(middle, centres, np.arange(self.bands))
        return np.maximum(0.0, 1.0 - np.abs(at - np.arange(self.bands)[:, None])).astype(np.float32)

    @cached_property
    def mean(self) -> Samples:
        """Matrix from mean powers of units to bands, `[units, bands]`."""
        weights = self.wide * self.width
        return np.ascontiguousarray((weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)).T, np.float32)

    def means(self, power: Samples) -> Samples:
        """Means over units, `[..., units]`, of `[..., bins]`."""
        return np.asarray(np.add.reduceat(power, self.first, axis=-1) / self.width, np.float32)


FILE = UnitGrid(4096, 1024, 384, 1024, 56, 200.0)
"""Grid of files: frames of 93 ms."""
LIVE = UnitGrid(2048, 384, 256, 640, 48, 400.0)
"""Grid of the node: frames of 43 to 46 ms with a sharp end."""


FILE_WEIGHTS, VOICE_WEIGHTS = "stems-file", "stems-voice"
LIVE_MODEL = ModelInfo(
    name="stems-live",
    network="antiphon_models.stems.streaming:StreamStems",
    array_network="antiphon_stems.network:LiveNetwork",
    weights="stems-live",
    plugin="stems",
    hop=LIVE.units,
    answer=LIVE.units,
    frames=LIVE.hop,
    slots=1,
    inputs=2,
    outputs=len(STEMS) - 1,
)


def live() -> ModelInfo:
    """Model of mode `learned`."""
    return LIVE_MODEL
