"""The models of the learned modes as plain data, without torch: from the spectrum of a hop to gains for it.

A spectrum is sent as `UNITS` log powers: bins up to 12 kHz one by one, those above in groups of four.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from antiphon.api.backends.models import ModelInfo
from antiphon_denoise.bands import BINS, HOP

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
    network="antiphon_models.denoise.network.autoencoder:Autoencoder",
    array_network="antiphon_denoise.learned.autoencoder_network:ArrayAutoencoder",
    weights="denoise-autoencoder",
)
UNKNOWN = -100.0
"""First value of the second input where no noise has been learned."""


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
