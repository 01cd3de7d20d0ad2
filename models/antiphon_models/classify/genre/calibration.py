"""Temperatures of a classifier and thresholds of "unknown", from sounds that it was not fitted to.

Both depend on how many excerpts are joined: the mean of several logits is right more often than one of the same size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from antiphon.api import F32, F64

BINS = 10
"""Of the calibration error (Naeini et al. 2015), of equal width from 0 to 1."""
KEPT = 0.95
"""Share of known clips that are not to become "unknown"."""
EXPONENTS = np.arange(0.0, 1.001, 0.02)
"""Of the count of excerpts, by which the temperature falls: 0 where they all say the same, 1 where they are
independent."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Temperatures and thresholds by the number of excerpts that are joined.

    `temperature`: that logits are divided by. `threshold`: probability of the first label below which a sound is
    unknown. `error`: the expected calibration error on the clips that chose. `refused`: share of strangers' clips below
    the threshold.
    """

    temperature: float
    threshold: float
    error: float
    refused: float


@dataclass(frozen=True, slots=True)
class JoinedCalibration:
    """What was chosen for each count of excerpts that are joined, from 1; the last one holds for more.

    `temperatures`: that the mean of their logits is divided by. `thresholds`: probability of the first label below
    which a sound is unknown.
    """

    temperatures: tuple[float, ...]
    thresholds: tuple[float, ...]


def softmax(logits: F32 | F64, temperature: float = 1.0) -> F64:
    """Probabilities: float64 of the same shape, over the last axis."""
    return np.asarray(special.softmax(logits.astype(np.float64) / temperature, axis=-1))


def calibration_error(confidence: F64, right: NDArray[np.bool_], bins: int = BINS) -> float:
    """The mean distance between confidence `[n]` and accuracy over bins of confidence, weighted by their clips.

    0 for a classifier that is right as often as it says.
    """
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(confidence[place == n].sum() - right[place == n].sum()) for n in range(bins)]
    return float(np.sum(gaps) / max(1, len(confidence)))


def best_temperature(logits: F32, targets: NDArray[np.integer]) -> float:
    """The temperature of the greatest likelihood (Guo et al. 2017), from 0.25 to 4 in steps of 2 %."""
    rows = np.arange(len(targets))
    options = np.geomspace(0.25, 4.0, 141)
    losses = [-np.log(softmax(logits, t)[rows, targets] + 1e-12).mean() for t in options]
    return float(options[int(np.argmin(losses))])


def calibrate(known: F32, targets: NDArray[np.integer], strange: F32, other: int) -> Calibration:
    """Chooses temperature and threshold, which keeps `KEPT` of the known songs, by float32 `[clips, labels]`.

    Clips of the label `other`, what is no song, do not count for the threshold.
    """
    temperature = best_temperature(known, targets)
    sure = softmax(known, temperature)
    songs = sure[targets != other].max(axis=1)
    threshold = float(np.quantile(songs, 1.0 - KEPT))
    error = calibration_error(sure.max(axis=1), sure.argmax(axis=1) == targets)
    odd = softmax(strange, temperature)
    refused = (odd.max(axis=1) < threshold) | (odd.argmax(axis=1) == other)
    return Calibration(temperature, threshold, error, float(refused.mean()) if len(refused) else 0.0)


def joined_calibration(first: Calibration, whole: F32, targets: NDArray[np.integer], other: int) -> JoinedCalibration:
    """Chooses temperatures and thresholds of several excerpts, from songs of several.

    Args:
        whole: float32 `[songs, excerpts, labels]`, logits of excerpts that follow each other.
        targets: int `[songs]`.

    Returns:
        A temperature that is `first`'s times a power of the count, of the greatest likelihood over all counts from 2;
        thresholds that keep `KEPT` of the songs, none lower than that of fewer excerpts.
    """
    counts = range(1, whole.shape[1] + 1)
    runs = [_runs(whole, targets, count) for count in counts]

    def loss(exponent: float) -> float:
        found = [softmax(runs[count - 1][0], first.temperature * count**-exponent) for count in counts[1:]]
        own = [each[np.arange(len(each)), runs[n][1]] for n, each in enumerate(found, start=1)]
        return -sum(float(np.log(each + 1e-12).mean()) for each in own)

    exponent = min(EXPONENTS.tolist(), key=loss)
    temperatures = tuple(first.temperature * count**-exponent for count in counts)
    thresholds = [first.threshold]
    for count in counts[1:]:
        logits, own = runs[count - 1]
        sure = softmax(logits[own != other], temperatures[count - 1]).max(axis=1)
        thresholds.append(max(thresholds[-1], float(np.quantile(sure, 1.0 - KEPT))))
    return JoinedCalibration(temperatures, tuple(thresholds))


def _runs(whole: F32, targets: NDArray[np.integer], count: int) -> tuple[F32, NDArray[np.integer]]:
    """The mean logits of every `count` excerpts that follow each other, and the targets of each."""
    starts = range(whole.shape[1] - count + 1)
    means = [whole[:, start : start + count].mean(axis=1) for start in starts]
    return np.concatenate(means), np.tile(targets, len(starts))
