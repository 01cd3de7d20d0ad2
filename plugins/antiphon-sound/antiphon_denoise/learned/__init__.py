"""The learned modes: descriptions of their networks as plain data, and the client of the worker that runs them.

May import `antiphon.api`, `gate` and `bands`; the networks are in `antiphon_models.denoise.network`, by name.
"""

from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64
from antiphon.api.backends.models import ModelInfo
from antiphon_denoise.bands import BINS, COUNT, HOP, places

SINGLE, GROUP = 512, 4
UNITS = SINGLE + (BINS - 1 - SINGLE) // GROUP

MASK = ModelInfo(
    name="denoise-mask",
    network="antiphon_models.denoise.network.mask:MaskNetwork",
    array_network="antiphon_denoise.learned.mask_network:ArrayMaskNetwork",
    weights="denoise-mask",
    plugin="denoise",
    hop=UNITS,
    answer=UNITS,
    frames=HOP,
    slots=1,
    inputs=2,
    outputs=1,
)
AUTOENCODER = replace(
    MASK,
    name="denoise-autoencoder",
    network="antiphon_models.denoise.network.mask:Autoencoder",
    array_network="antiphon_denoise.learned.mask_network:ArrayAutoencoder",
    weights="denoise-autoencoder",
)
NO_NOISE = -100.0
"""Marker in the second input of a missing noise profile."""


def mask() -> ModelInfo:
    """The model of mode `learned`."""
    return MASK


def autoencoder() -> ModelInfo:
    return AUTOENCODER


def unit_of_bin() -> NDArray[np.int64]:
    """`[BINS]`: index of the unit that each bin belongs to."""
    k = np.arange(BINS)
    return np.where(k < SINGLE, k, np.minimum(SINGLE + (k - SINGLE) // GROUP, UNITS - 1))


def first_bins() -> NDArray[np.int64]:
    """`[UNITS]`: first bin of each unit."""
    return np.searchsorted(unit_of_bin(), np.arange(UNITS)).astype(np.int64)


SHORT, LONG, LEVEL = 0.5, 0.97, 0.99
"""Smoothing coefficients per hop of the two smoothed spectra, and of the mean power."""
BLOCK, BLOCKS = 48, 3
"""Length of a block, and number of past blocks, of the noise floor: 1.2 to 1.5 s."""
PAST = BLOCKS + 1
NO_FLOOR = 50.0
QUIET, QUIETEST_MEAN = 1e-10, 1e-9
FEATURES, DETAILS = 9, 9
LOWEST_DETAIL, HIGHEST_DETAIL, DETAIL_SCALE = -9.0, 6.0, 1.0 / 3.0
_ANY = 1e9
# level, what is around it (four rows), what is known of it, and three numbers of the frame
ROWS = {
    "lows": (-18.0, -8.0, -8.0, -8.0, -8.0, -6.0, -_ANY, -8.0, -_ANY),
    "highs": (9.0, 4.0, 4.0, 4.0, 4.0, 3.0, _ANY, 4.0, _ANY),
    "scales": (1 / 3, 0.5, 0.5, 0.5, 0.5, 0.5, 1.0, 0.5, 0.2),
    "shifts": (0.0, 0.3, 0.3, 0.3, 0.3, 0.0, 0.0, 0.0, 1.6),
}
"""Clipping, scale and offset of each row of a band's features."""


@cache
def band_interpolation_weights() -> F64:
    """Interpolation weights `[COUNT, UNITS]` by the units' centres; a band's weights over units add up to one."""
    below, way = places(BINS)
    spread = np.zeros((COUNT, BINS))
    spread[below, np.arange(BINS)] += 1 - way
    spread[below + 1, np.arange(BINS)] += way
    return np.asarray(np.add.reduceat(spread, first_bins(), axis=1))


@cache
def mean() -> F32:
    """Matrix `[UNITS, COUNT]` from units to band means."""
    each = band_interpolation_weights()
    return np.ascontiguousarray((each / each.sum(axis=1, keepdims=True)).T, np.float32)


@cache
def wide() -> F32:
    """Matrix `[COUNT, UNITS]` from bands to units, linear between the bands' centres."""
    return np.ascontiguousarray(band_interpolation_weights() / np.diff(np.append(first_bins(), BINS)), np.float32)


@cache
def sums() -> F32:
    """Matrix `[UNITS, COUNT + 1]`: `mean` and, as last column, the mean power of a frame."""
    frame = np.where(np.arange(UNITS) < SINGLE, 1.0, GROUP) / 1024.0
    return np.ascontiguousarray(np.concatenate([mean(), frame[:, None]], 1), np.float32)
