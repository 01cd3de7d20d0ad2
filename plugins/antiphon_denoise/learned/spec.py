"""What the learned modes are, as data: no torch here. Both post a hop's spectrum and get gains for it.

A spectrum travels as `UNITS` log powers: the bins to 12 kHz one by one, those above in fours.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from antiphon.api.models import ModelInfo
from antiphon_denoise.bands import BINS

SINGLE, GROUP = 512, 4
UNITS = SINGLE + (BINS - 1 - SINGLE) // GROUP
HOP = 384
"""Frames between two spectra at 48 kHz."""

MASK = ModelInfo(
    name="denoise-mask",
    network="antiphon_models.denoise.network.mask:MaskNetwork",
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
    network="antiphon_models.denoise.network.autoencoder:Autoencoder",
    weights="denoise-autoencoder",
)
UNKNOWN = -100.0
"""Stands, as the first value of the second input, for: no noise has been learned."""


def mask() -> ModelInfo:
    """A factory of `antiphon_models`."""
    return MASK


def autoencoder() -> ModelInfo:
    """A factory of `antiphon_models`."""
    return AUTOENCODER


def unit_of_bin() -> NDArray[np.int64]:
    """`[BINS]`: the unit a bin belongs to."""
    k = np.arange(BINS)
    return np.where(k < SINGLE, k, np.minimum(SINGLE + (k - SINGLE) // GROUP, UNITS - 1))


def first_bins() -> NDArray[np.int64]:
    """`[UNITS]`: where each unit begins."""
    return np.searchsorted(unit_of_bin(), np.arange(UNITS)).astype(np.int64)
