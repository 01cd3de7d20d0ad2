"""Temperature, threshold and calibration error are what a classifier of known confidence has."""

from __future__ import annotations

import numpy as np
import pytest

from antiphon_models.classify.genre.calibration import (
    best_temperature,
    calibrate,
    calibration_error,
    joined_calibration,
    softmax,
)


def drawn(count: int, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `factor` times too large for the labels drawn by them."""
    rng = np.random.default_rng(4)
    logits = rng.normal(0.0, 1.5, (count, 4))
    chances = softmax(logits).cumsum(axis=1)
    targets = (rng.random((count, 1)) > chances).sum(axis=1)
    return (factor * logits).astype(np.float32), targets


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_was_too_sure(factor: float) -> None:
    logits, targets = drawn(4000, factor)
    assert best_temperature(logits, targets) == pytest.approx(factor, rel=0.1)
    found = calibrate(logits, targets, logits[:0], 3)
    assert found.error < 0.03
    sure = softmax(logits)
    before = calibration_error(sure.max(axis=1), sure.argmax(axis=1) == targets)
    assert before > 0.1 or factor == 1.0


def test_the_error_by_hand() -> None:
    confidence = np.array([0.95, 0.95, 0.55, 0.55])
    assert calibration_error(confidence, np.array([True, True, True, False])) == pytest.approx(0.05)
    assert calibration_error(np.array([1.0]), np.array([False])) == 1.0


def test_the_threshold_keeps_most_songs_and_refuses_the_flat() -> None:
    rng = np.random.default_rng(5)
    targets = rng.integers(0, 3, 400)
    known = (np.eye(4)[targets] * 6.0 + rng.normal(0, 0.5, (400, 4))).astype(np.float32)
    flat = rng.normal(0, 0.2, (50, 4)).astype(np.float32)
    found = calibrate(known, targets, flat, 3)
    assert (softmax(known, found.temperature).max(axis=1) >= found.threshold).mean() == pytest.approx(0.95, abs=0.01)
    assert found.refused == 1.0


def noisy_songs(count: int, shared: float) -> tuple[np.ndarray, np.ndarray]:
    """Log probabilities by five looks at each song, whose errors are shared in part, as if each look were the only one.

    Args:
        count: Count of the songs.
        shared: 0 to 1: the share of the variance of errors that all looks at a song have in common.
    """
    rng = np.random.default_rng(6)
    targets = rng.integers(0, 4, count)
    own, common = rng.normal(0.0, 1.0, (count, 5, 4)), rng.normal(0.0, 1.0, (count, 1, 4))
    seen = np.eye(4)[targets][:, None] + np.sqrt(1.0 - shared) * own + np.sqrt(shared) * common
    return seen.astype(np.float32), targets  # of unit noise: the logits of one look are calibrated


@pytest.mark.parametrize(("shared", "exponent"), [(0.0, 1.0), (1.0, 0.0), (0.4, 0.4)])
def test_the_temperature_falls_as_far_as_excerpts_are_independent(shared: float, exponent: float) -> None:
    seen, targets = noisy_songs(3000, shared)
    first = calibrate(seen[:, 0], targets, seen[:0, 0], 4)
    found = joined_calibration(first, seen, targets, 4)
    assert found.temperatures[0] == first.temperature
    assert found.thresholds[0] == first.threshold
    assert found.temperatures[4] / found.temperatures[0] == pytest.approx(5.0**-exponent, rel=0.12)
    assert np.all(np.diff(found.temperatures) <= 0.0)
    joined = softmax(seen.mean(axis=1), found.temperatures[4])
    assert calibration_error(joined.max(axis=1), joined.argmax(axis=1) == targets) < 0.03
    assert (joined.max(axis=1) >= found.thresholds[4]).mean() == pytest.approx(0.95, abs=0.01)
