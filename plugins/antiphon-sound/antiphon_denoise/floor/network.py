"""Network for the trust in the mask on a file: `antiphon train denoise-floor`; its features.

100 numbers of a band (its own features, the means of those of the three bands below and above it, and of all) to 24, to
12, to the trust in that band: how much of what the mask takes there is noise. Four such networks are asked, each
trained without a quarter of the sources of music.
"""

from functools import cache

import numpy as np

from antiphon.api import F32, F64
from antiphon.api.backends.models import sigmoid
from antiphon_denoise.bands import COUNT
from antiphon_denoise.gate.network import WeightLayout, installed
from antiphon_denoise.learned import tables

HOPS = 5
"""Hops per row."""
ROWS_A_SECOND = 25
"""Rows per second, the minimum for an estimate."""
FEATURES = 25
REMOVED_GAIN = 0.3
"""Gain below which a unit counts as removed."""
QUIET = 1e-10
MIN_SHARE = 1e-4
NEPER = 10.0 / np.log(10.0)
"""Decibels per neper of power."""


def rows_of(log: F32, gain: F32) -> F32:
    """Log powers and the mask's gains of hops, `[T, UNITS]` → rows `[T // HOPS, 6, COUNT]`."""
    power = np.exp(log)
    parts = (
        power,
        np.square(1.0 - gain) * power,
        np.square(gain) * power,
        log,
        gain,
        (gain < REMOVED_GAIN).astype(np.float32),
    )
    count = len(log) // HOPS
    means = [(part @ tables.mean())[: count * HOPS].reshape(count, HOPS, COUNT).mean(1) for part in parts]
    return np.stack(means, 1)


def describe(rows: F32) -> F32:
    """The features of each band, `[COUNT, FEATURES]`, of `ROWS_A_SECOND` rows or more."""
    powers = rows[:, :3].astype(np.float64)
    levels = 10.0 * np.log10(powers + QUIET)
    level, took, left = levels.swapaxes(0, 1)
    means = powers.mean(0)
    mean = 10.0 * np.log10(means + QUIET)
    whole = (10.0 * np.log10(powers.mean(2) + QUIET))[..., None].swapaxes(0, 1)
    flat = NEPER * rows[:, 3] - level
    low = level <= _quantile(level, 0.2)
    seconds = level[: len(level) // ROWS_A_SECOND * ROWS_A_SECOND].reshape(-1, ROWS_A_SECOND, COUNT)
    of_all = np.log10(powers[:, 1].sum() / (powers[:, 0].sum() + QUIET) + MIN_SHARE)
    made = [
        np.log10(means[1] / (means[0] + QUIET) + MIN_SHARE),
        np.log10(means[2] / (means[0] + QUIET) + MIN_SHARE),
        *(_beside(_quantile(level, share), mean[0]) for share in (0.05, 0.2, 0.5, 0.8)),
        *(_beside(_quantile(took, share), mean[1]) for share in (0.1, 0.3, 0.5, 0.8, 0.95)),
        flat.mean(0) / 3.0 + 1.0,
        (flat * low).sum(0) / low.sum(0) / 3.0 + 1.0,
        *(_together(took, other) for other in (left, whole[2], whole[1])),
        _together(level, level.mean(1, keepdims=True)),
        *(np.abs(np.diff(part, axis=0)).mean(0) / 4.0 for part in (took, level)),
        rows[:, 4].mean(0) - 0.5,
        rows[:, 4].std(0),
        rows[:, 5].mean(0) - 0.5,
        np.clip(seconds.min(1).std(0) / 4.0, 0.0, 4.0),
        np.clip((mean[0] - 10.0 * np.log10(means[0].mean() + QUIET)) / 20.0, -4.0, 2.0),
        np.full(COUNT, of_all),
    ]
    return np.stack(made, 1).astype(np.float32)


def _quantile(levels: F64, share: float) -> F64:
    return np.asarray(np.sort(levels, 0)[int(share * (len(levels) - 1))])


def _beside(level: F64, mean: F64) -> F64:
    return np.asarray(np.clip((level - mean) / 8.0, -5.0, 3.0))


def _together(one: F64, other: F64) -> F64:
    """Correlation of levels over time."""
    a, b = one - one.mean(0), other - other.mean(0)
    return np.asarray((a * b).sum(0) / np.sqrt((a * a).sum(0) * (b * b).sum(0) + 1e-3))


MODEL = "denoise-floor"
EXPERTS = 4
VIEWS, BESIDE = 4, 3
HIDDEN, SECOND = 24, 12
LAYOUT: WeightLayout = (
    ("w0", (EXPERTS, VIEWS * FEATURES, HIDDEN)), ("b0", (EXPERTS, 1, HIDDEN)),
    ("w1", (EXPERTS, HIDDEN, SECOND)), ("b1", (EXPERTS, 1, SECOND)),
    ("w2", (EXPERTS, SECOND, 1)), ("b2", (EXPERTS, 1, 1)),
)  # fmt: skip


def viewed(features: F32) -> F32:
    """Network inputs `[…, COUNT, VIEWS * FEATURES]` of features `[…, COUNT, FEATURES]`."""
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


CONFIDENT = 1.0
"""Added to the logit of the trust where noise is certain."""
UNSTEADY, STEADY, DOUBT = 0.03, 0.1, 2.0
"""Quietest fifth of what is taken over its mean up to which it is no floor, and from which it is: barks, cries, a cock
and a clock's ticks have 0 to .02, rain, engines and saws .1 to .5; and what is subtracted from the logit of the former.
"""


def logits_of(weights: dict[str, F32], features: F32) -> F32:
    """Features `[COUNT, FEATURES]` → logits of each network, `[EXPERTS, COUNT]`."""
    x = viewed(features)
    for layer in "01":
        x = np.tanh(x @ weights[f"w{layer}"] + weights[f"b{layer}"])
    return np.asarray((x @ weights["w2"] + weights["b2"])[..., 0], np.float32)


def trusts_of(logits: F32, taken: F32) -> F32:
    """The cautious and the confident trust of a stretch, `[2, COUNT]`.

    Cautious: the networks' mean and least logit are added, since on music that is new to all of them they err apart;
    and what is noise is so in every part, since a phrase that passes for it seldom comes twice. Confident: the means.
    What is taken now and then only, as barks and strokes are, is no floor: there both are one, and less.

    Args:
        logits: Of the parts of the stretch, `[parts, EXPERTS, COUNT]`.
        taken: Power that the mask takes from each band over time, `[rows, COUNT]`.
    """
    cautious = (logits.mean(1) + logits.min(1)).min(0)
    confident = 2.0 * logits.mean((0, 1)) + CONFIDENT
    noise = np.sort(taken @ sigmoid(confident))
    steady = (float(noise[len(noise) // 5]) / (float(noise.mean()) + QUIET) - UNSTEADY) / (STEADY - UNSTEADY)
    steady = min(1.0, max(0.0, steady))
    low = cautious - DOUBT * (1.0 - steady)
    return sigmoid(np.stack([low, low + steady * (confident - cautious)]))


@cache
def load_floor() -> dict[str, F32] | None:
    """The weights of the network of the noise floor, as `installed`."""
    return installed(MODEL, LAYOUT, "does not look for a noise floor, and may take dense music for noise")
