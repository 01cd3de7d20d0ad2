"""Measures, calibration and the regression on tables whose result is known."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")

from antiphon_models.classify.mfcc import fit_logistic, mfcc
from antiphon_models.classify.tags.calibration import calibrate
from antiphon_models.learning.measures import average_precision, f1, roc_auc


def test_measures_of_small_tables() -> None:
    truth = np.array([True, False, True, False])
    assert roc_auc(np.array([4.0, 3.0, 2.0, 1.0]), truth) == 0.75
    assert average_precision(np.array([4.0, 3.0, 2.0, 1.0]), truth) == pytest.approx((1 + 2 / 3) / 2)
    # without an order, precision is the share of what is true
    assert roc_auc(np.zeros(4), truth) == 0.5
    assert average_precision(np.zeros(4), truth) == 0.5
    assert f1(np.array([True, True, True, False]), truth) == pytest.approx(0.8)


def test_measures_are_those_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    truth = rng.random(300) < 0.2
    scores = np.round(rng.normal(size=300) + truth, 1)  # with ties
    assert roc_auc(scores, truth) == pytest.approx(metrics.roc_auc_score(truth, scores))
    assert average_precision(scores, truth) == pytest.approx(metrics.average_precision_score(truth, scores))


def test_calibration_undoes_a_slope_and_a_shift() -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(0.0, 2.0, (4000, 3))
    truth = (rng.random(logits.shape) < 1.0 / (1.0 + np.exp(-logits))).astype(np.float32)
    truth[::7, 1] = np.nan
    read = calibrate((logits / 0.5 + [1.0, -2.0, 0.0]).astype(np.float32), truth)
    assert read.slope == pytest.approx(0.5, abs=0.04)
    assert read.offsets == pytest.approx([-0.5, 1.0, 0.0], abs=0.15)
    assert (read.thresholds > 0.2).all()
    assert (read.thresholds < 0.7).all()


def test_a_label_without_examples_is_not_stated_by_chance() -> None:
    read = calibrate(np.zeros((50, 1), np.float32), np.zeros((50, 1), np.float32))
    assert read.thresholds.tolist() == [0.5]
    assert read.probabilities(np.zeros((1, 1), np.float32))[0, 0] < 0.1


def test_the_regression_finds_a_plane_where_half_is_unknown() -> None:
    rng = np.random.default_rng(4)
    features = rng.normal(3.0, 2.0, (600, 5)).astype(np.float32)
    truth = (features @ np.array([[1.0, 0.0], [-1.0, 1.0], [0, 0], [0, 0], [0, 1.0]]) > 3.0).astype(np.float32)
    unknown = truth.copy()
    unknown[::2, 0] = np.nan
    line = fit_logistic(features[:400], unknown[:400])
    assert ((line.logits(features[400:]) > 0.0) == (truth[400:] > 0.5)).mean() > 0.93


def test_mfcc_have_no_level() -> None:
    mel = np.random.default_rng(5).normal(-40.0, 10.0, (3, 30, 64)).astype(np.float32)
    assert np.abs(mfcc(mel) - mfcc(mel - 12.0)).max() < 1e-3
    assert np.abs(mfcc(mel)[0] - mfcc(mel)[1]).max() > 0.1


def test_mfcc_tell_dark_from_bright() -> None:
    slope = np.linspace(0.0, -40.0, 64)
    found = mfcc(np.stack([np.tile(slope, (30, 1)), np.tile(slope[::-1], (30, 1))]))
    assert found.shape == (2, 80)
    assert found[0, 0] > 0.0 > found[1, 0]
    assert np.allclose(found[:, 20:], 0.0, atol=1e-4)
