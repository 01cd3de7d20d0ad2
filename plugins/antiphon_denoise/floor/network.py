"""The network that tells how far the mask may be trusted in a file: `antiphon train denoise-floor` makes its weights.

100 numbers of a band (its own features, the means of those of the three bands below and above it, and of all) to 24, to
12, to the trust in that band: how much of what the mask takes there is noise. Four such networks are asked, each
trained without a quarter of the sources of music.
"""

from __future__ import annotations

import logging
from functools import cache

import numpy as np

from antiphon.api import F32
from antiphon.api.backends.models import ModelError, find_array, read_weights
from antiphon_denoise.bands import COUNT
from antiphon_denoise.floor.features import FEATURES
from antiphon_denoise.learned.file_confidence import logistic

log = logging.getLogger("antiphon.denoise")
MODEL = "denoise-floor"
EXPERTS = 4
VIEWS, BESIDE = 4, 3
HIDDEN, SECOND = 24, 12
LAYOUT: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("w0", (EXPERTS, VIEWS * FEATURES, HIDDEN)), ("b0", (EXPERTS, 1, HIDDEN)),
    ("w1", (EXPERTS, HIDDEN, SECOND)), ("b1", (EXPERTS, 1, SECOND)),
    ("w2", (EXPERTS, SECOND, 1)), ("b2", (EXPERTS, 1, 1)),
)  # fmt: skip


def viewed(features: F32) -> F32:
    """Features `[…, COUNT, FEATURES]` → what the network takes of them, `[…, COUNT, VIEWS * FEATURES]`."""
    seen = np.einsum("vcb,...bf->...cvf", _views(), features)
    return np.ascontiguousarray(seen.reshape(*features.shape[:-1], -1), np.float32)


@cache
def _views() -> F32:
    made = np.zeros((VIEWS, COUNT, COUNT), np.float32)
    for band in range(COUNT):
        below = range(max(0, band - BESIDE), band) or [0]
        above = range(band + 1, min(COUNT, band + 1 + BESIDE)) or [band]
        for view, some in enumerate(([band], below, above)):
            made[view, band, list(some)] = 1.0 / len(some)
    made[3] = 1.0 / COUNT
    return made


def trust_of(weights: dict[str, F32], features: F32) -> F32:
    """Features `[COUNT, FEATURES]` → the trust in each band, `[COUNT]`.

    The networks' mean and least logit are added: on music that is new to all of them they err apart.
    """
    x = viewed(features)
    for layer in "01":
        x = np.tanh(x @ weights[f"w{layer}"] + weights[f"b{layer}"])
    said = (x @ weights["w2"] + weights["b2"])[..., 0]
    return logistic(said.mean(0) + said.min(0))


@cache
def load_floor() -> dict[str, F32] | None:
    """The installed weights by name, float32; None, after one warning, where no sound model is installed."""
    try:
        named = read_weights(MODEL)
        return {name: find_array(named, name, *shape).astype(np.float32) for name, shape in LAYOUT}
    except ModelError as error:
        log.warning("denoise does not look for a noise floor, and may take dense music for noise: %s", error)
        return None
